"""A map of ten thousand movies: what a movie costs it at the end of a session, and how much it writes for it.

Part of `./run bench flat_session`, which see. Particles of a shipped structure, four a movie in boxes of 24 px, go
through the reconstruction's actor as the daemon drives it: movie by movie, with a round and its checkpoint after every
ten. Boxes are tiny so that what every movie costs anyhow hides as little as possible of what grows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frazil.actors.reconstruction_records import FinishedRound, MapMovie
from frazil.actors.reconstructor import Reconstructor
from frazil.config.settings import Settings
from frazil.models.atomic_model.potential import read_atoms
from frazil.models.atomic_model.projection import potential_map, project_atoms, random_euler_deg
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES
from frazil.models.records import CtfEstimate
from frazil.models.simulation.structures import structure_path

PARTICLES, BOX_PX, PIXEL_ANGSTROM, DIAMETER_ANGSTROM, NOISE_SD = 4, 24, 7.2, 105.0, 0.8
STACKS = 40
"""Different ones; later movies have them again."""
PART = 1000
"""Movies that are told together."""
YOUNG_MOVIES, TURNS = 300, 20
"""Rounds on the long session and on a young one by turns: a busy machine does not matter to their ratio."""
_CTF = CtfEstimate(16000.0, 15200.0, 40.0, 0.0, 50.0, 50.0, 5.0, 0.9, 0.0, True)
_OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)


@dataclass(frozen=True, slots=True)
class Spent:
    """A movie's share of a round."""

    cpu_s: float
    written_bytes: float


class MapSession:
    """One session's reconstruction, in this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.movies = 0
        (folder / "particles").mkdir(parents=True)
        atoms = read_atoms(structure_path("gltph"))
        for number in range(STACKS):
            stack = _particles(atoms, np.random.default_rng(100 + number))
            write_mrc(folder / f"particles/{number}.mrcs", stack, PIXEL_ANGSTROM)
        start = potential_map(atoms, box_px=BOX_PX, pixel_size_angstrom=PIXEL_ANGSTROM, b_factor_a2=100.0)
        write_mrc(folder / "start.mrc", start.numpy(), PIXEL_ANGSTROM, is_volume=True)
        particles = {"diameter_angstrom": DIAMETER_ANGSTROM, "initial_map": str(folder / "start.mrc")}
        self._settings = Settings.model_validate({"particles": particles})
        self._worker = Reconstructor(str(folder), self._settings)
        self._worker.resume({})
        self.newest: FinishedRound | None = None

    def round(self) -> Spent:
        """Ten more movies, and what they come to on the disk."""
        cpu_s, written = time.process_time(), _written_bytes()
        for number in range(self.movies, self.movies + ROUND_MOVIES):
            self._worker.add(_movie(number))
        self.newest = self._worker.finish_round()
        self.movies += ROUND_MOVIES
        return Spent((time.process_time() - cpu_s) / ROUND_MOVIES, (_written_bytes() - written) / ROUND_MOVIES)

    def resumes_in_s(self) -> float:
        """Processor seconds until another process would go on. Raises RuntimeError if it does not."""
        cpu_s = time.process_time()
        resumed = Reconstructor(str(self._folder), self._settings).resume({f"m{n}": "r" for n in range(self.movies)})
        if resumed.movie_count != self.movies:
            raise RuntimeError(f"the checkpoint has {resumed.movie_count} of {self.movies} movies")
        return time.process_time() - cpu_s

    def checkpoint_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self._folder / "maps").glob("checkpoint*"))


def _particles(atoms: Any, rng: np.random.Generator) -> np.ndarray:
    transfer = ctf_2d(_OPTICS, BOX_PX, BOX_PX, PIXEL_ANGSTROM)
    images = []
    for _ in range(PARTICLES):
        shift_px = (float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)))
        seen = project_atoms(
            atoms,
            random_euler_deg(rng),
            box_px=BOX_PX,
            pixel_size_angstrom=PIXEL_ANGSTROM,
            b_factor_a2=100.0,
            shift_px=shift_px,
        )
        images.append(-torch.fft.irfft2(torch.fft.rfft2(seen) * transfer, s=(BOX_PX, BOX_PX)))
    stack = torch.stack(images)
    noise = torch.from_numpy(rng.standard_normal(stack.shape).astype(np.float32))
    return ((stack / stack.std() + NOISE_SD * noise) / NOISE_SD).numpy()


def _movie(number: int) -> MapMovie:
    path = f"particles/{number % STACKS}.mrcs"
    return MapMovie(f"m{number}", "r", path, PIXEL_ANGSTROM, DIAMETER_ANGSTROM, 300.0, 2.7, 0.1, _CTF, None)


def _written_bytes() -> int:
    """By this process so far."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar:"))


def by_parts(session: MapSession, movies: int) -> Iterator[Spent]:
    """What a movie costs, the mean of every `PART` movies."""
    spent: list[Spent] = []
    while session.movies < movies:
        spent.append(session.round())
        if session.movies % PART == 0:
            yield Spent(
                float(np.mean([one.cpu_s for one in spent])), float(np.mean([one.written_bytes for one in spent]))
            )
            spent = []


def measure(movies: int) -> dict[str, Any]:
    """A session of so many movies, and beside its end a young one."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        long, young = MapSession(Path(folder) / "long"), MapSession(Path(folder) / "young")
        parts = []
        for spent in by_parts(long, movies):
            parts.append(spent)
            print(
                f"{long.movies:6d} movies in the map: {1000 * spent.cpu_s:.1f} CPU-ms and "
                f"{spent.written_bytes / 1e3:.1f} kB written a movie",
                flush=True,
            )
        while young.movies < YOUNG_MOVIES:
            young.round()
        turns = [(long.round(), young.round()) for _ in range(TURNS)]
        assert long.newest is not None
        late, early = (float(np.median([turn[place].cpu_s for turn in turns])) for place in (0, 1))
        return {
            "movies": movies,
            "particles_a_movie": PARTICLES,
            "box_px": BOX_PX,
            "cpu_s_a_movie_by_thousand": [round(one.cpu_s, 5) for one in parts],
            "written_bytes_a_movie_by_thousand": [round(one.written_bytes) for one in parts],
            "cpu_s_a_movie_beside_a_young_session": round(late, 5),
            "cpu_s_a_movie_of_the_young_session": round(early, 5),
            "cpu_ratio_by_turns": round(late / early, 4),
            "cpu_ratio_last_to_first": round(parts[-1].cpu_s / parts[0].cpu_s, 4),
            "written_ratio_last_to_first": round(parts[-1].written_bytes / parts[0].written_bytes, 4),
            "checkpoint_mb": round(long.checkpoint_bytes() / 1e6, 2),
            "resumes_cpu_s": round(long.resumes_in_s(), 2),
            "classes_2d": len(long.newest.class_verdicts),
        }
