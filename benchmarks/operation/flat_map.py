"""A map of ten thousand movies: what a movie costs it at the end of a session, and how much it writes for it.

Part of `./run bench flat_session`, which see. Particles of a shipped structure, four a movie in boxes of 24 px, go
through the reconstruction's actor as the daemon drives it: movie by movie, with a round and its checkpoint after every
ten. Boxes are tiny so that what every movie costs anyhow hides as little as possible of what grows.

Either all movies are run (`measure`), or the first two hundred, whose rows in the checkpoint are then copied as those
of later movies; another process goes on from it (`measure_copied`), and is compared with the young session by turns.
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

from frazil.actors import checkpoint
from frazil.actors.checkpoint import Checkpoint, Grown
from frazil.actors.reconstruction_records import FinishedRound, MapMovie
from frazil.actors.reconstructor import Reconstructor
from frazil.config.settings import Settings
from frazil.models.atomic_model.potential import read_atoms
from frazil.models.atomic_model.projection import potential_map, project_atoms, random_euler_deg
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.reconstruction.refine.held_out_weights import MOST_MOVIES
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES
from frazil.models.records import CtfEstimate
from frazil.models.simulation.structures import structure_path

PARTICLES, BOX_PX, PIXEL_ANGSTROM, DIAMETER_ANGSTROM, NOISE_SD = 4, 24, 7.2, 105.0, 0.8
STACKS = 40
"""Different ones; later movies have them again."""
PART = 1000
"""Movies that are told together."""
YOUNG_MOVIES, TURNS = 200, 8
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
        self.newest: FinishedRound | None = None
        self._worker = Reconstructor(str(folder), self._settings)
        self._worker.resume({})

    def round(self) -> Spent:
        """Ten more movies, and what they come to on the disk."""
        cpu_s, written = time.process_time(), _written_bytes()
        for number in range(self.movies, self.movies + ROUND_MOVIES):
            self._worker.add(_movie(number))
        self.newest = self._worker.finish_round()
        self.movies += ROUND_MOVIES
        return Spent((time.process_time() - cpu_s) / ROUND_MOVIES, (_written_bytes() - written) / ROUND_MOVIES)

    def go_on(self) -> float:
        """As another process would after this one; the processor seconds that it takes. Raises RuntimeError if the
        checkpoint does not hold all movies."""
        cpu_s = time.process_time()
        self._worker = Reconstructor(str(self._folder), self._settings)
        resumed = self._worker.resume({f"m{n}": "r" for n in range(self.movies)})
        if resumed.movie_count != self.movies:
            raise RuntimeError(
                f"the checkpoint has {resumed.movie_count} of {self.movies} movies: {resumed.begun_anew}"
            )
        return time.process_time() - cpu_s

    def copy_of(self, young: MapSession, movies: int) -> None:
        """Take over what the other has, and its rows over and over again."""
        read = Checkpoint(young._folder)
        header, arrays = read.read()
        blocks, copies = list(read.grown()), movies // young.movies
        for part in ("tally.counts", "tally.amplitude", "views.shown", "views.fine", "tilt.precision", "movie_count"):
            arrays[f"map/{part}"] = (arrays[f"map/{part}"] * copies).astype(arrays[f"map/{part}"].dtype)
        arrays["map/tilt.information"] = arrays["map/tilt.information"] * copies
        written = Checkpoint(self._folder)
        header["key"] = checkpoint.key(self._settings.particles)
        for copy in range(copies):
            first = copy * young.movies
            for block in blocks:
                written.write(header, arrays, _later(block, first, held_out=first >= movies - MOST_MOVIES))
        self.movies = copies * young.movies

    def checkpoint_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self._folder / "maps").glob("checkpoint*"))


def _later(block: Grown, by: int, *, held_out: bool) -> Grown:
    """The same rows, of movies that came so many later."""
    header = dict(block.header)
    header["movies"] = [one | {"movie_id": _id_later(one["movie_id"], by)} for one in header["movies"]]
    header["class_ids"] = {_id_later(one, by): ids for one, ids in header["class_ids"].items()}
    arrays = {name: array.copy() for name, array in block.unpacked().items()}
    for name in ("map/placed.number", "map/held_out.number", "map/held_out.removed", "map/tilt.removed"):
        if name in arrays:
            arrays[name] += by
    for name in ("map/tilt.aimed", "map/tilt.measured"):
        arrays[name][:, 0] += by
    return Grown.of(header, {name: one for name, one in arrays.items() if held_out or "held_out" not in name})


def _id_later(movie_id: str, by: int) -> str:
    return f"m{int(movie_id[1:]) + by}"


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
            "resumes_cpu_s": round(long.go_on(), 2),
            "classes_2d": len(long.newest.class_verdicts),
        }


def measure_copied(movies: int) -> dict[str, Any]:
    """A session whose later movies are copies of the first ones, beside the session of those."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        long, young = MapSession(Path(folder) / "long"), MapSession(Path(folder) / "young")
        while young.movies < YOUNG_MOVIES:
            young.round()
        young_movies, young_bytes = young.movies, young.checkpoint_bytes()
        long.copy_of(young, movies)
        long_bytes, resumes_s = long.checkpoint_bytes(), long.go_on()
        turns = [(long.round(), young.round()) for _ in range(TURNS)]
        late, early = (
            Spent(
                float(np.median([turn[place].cpu_s for turn in turns])),
                float(np.median([turn[place].written_bytes for turn in turns])),
            )
            for place in (0, 1)
        )
        return {
            "movies": movies,
            "young_movies": young_movies,
            "compared": TURNS * ROUND_MOVIES,
            "particles_a_movie": PARTICLES,
            "box_px": BOX_PX,
            "late_cpu_s": round(late.cpu_s, 5),
            "early_cpu_s": round(early.cpu_s, 5),
            "cpu_ratio_by_turns": round(late.cpu_s / early.cpu_s, 4),
            "late_written_bytes": round(late.written_bytes),
            "early_written_bytes": round(early.written_bytes),
            "written_ratio": round(late.written_bytes / early.written_bytes, 4),
            "checkpoint_mb": round(long_bytes / 1e6, 2),
            "young_checkpoint_mb": round(young_bytes / 1e6, 2),
            "resumes_cpu_s": round(resumes_s, 2),
        }
