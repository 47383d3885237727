"""The actor that keeps the running reconstruction: the map, and 2-D classes where no initial map was given.

A plain class; `frazil.daemon.analysis.map.reconstruction` wraps it in Ray. It reads particle stacks from the session
folder itself: those of a new movie, and again those of the earlier ones that the map wants to search once more. Without
an initial map the first `AB_INITIO_PARTICLES` particles make one (`models/reconstruction/refine/ab_initio.py`), and all
goes on as if it had been given.

Its state lies in `maps/checkpoint.npz` with the movies that it includes, written at every round; what came after the
last round is given again by the daemon after a restart, and a movie that is included is never added twice.
"""

from __future__ import annotations

import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from frazil.actors import checkpoint, niceness
from frazil.actors.particle_poses import poses_in_classes, poses_in_map
from frazil.actors.reconstruction_records import (
    Added,
    FinishedRound,
    MapMovie,
    ParticlePoses,
    Resumed,
)
from frazil.actors.round_files import RoundFiles
from frazil.config.errors import FrazilError
from frazil.config.settings import Settings
from frazil.models.formats.mrc import MrcReader
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.classes.class_averages import StreamingClasses
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra, working_box_px
from frazil.models.reconstruction.orientation.orientation_search import FoundPoses
from frazil.models.reconstruction.refine.ab_initio import ab_initio_map
from frazil.models.reconstruction.refine.initial_map import INITIAL_RESOLUTION_ANGSTROM, initial_map
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES, RunningMap
from frazil.models.reconstruction.refine.weights import relative_ssnr

AB_INITIO_PARTICLES = 700
"""So many are waited for before a map is made from them alone."""
_AB_INITIO_SEED = 20240301


def result_file(movie: MapMovie) -> str:
    """Where its result lies; checkpoints of an earlier frazil do not say."""
    return movie.result_file or f"results/{movie.movie_id}.msgpack"


class Reconstructor:
    """See the module. One call at a time, on one thread; `polite`: movies go first where cores are few."""

    def __init__(self, session_dir: str, settings: Settings, device: str = "cpu", *, polite: bool = False) -> None:
        torch.set_num_threads(1)
        if polite:
            niceness.give_way(niceness.MAP)
        self._session_dir = Path(session_dir)
        self._settings = settings
        self._device = torch.device(device)
        self._forget()

    def _forget(self) -> None:
        self._movies: dict[str, MapMovie] = {}
        """All included, in order; without their losses, which the map has turned into weights."""
        self._plane: FourierPlane | None = None
        self._diameter_angstrom = 0.0
        self._map: RunningMap | None = None
        self._classes: StreamingClasses | None = None
        self._class_ids: dict[str, tuple[int, ...]] = {}
        self._waiting: dict[str, NDArray[np.float32]] = {}
        """Relative SSNR on the plane of the movies whose particles wait for a map."""
        self._waiting_count = 0
        self._particle_count = 0

    # --- movies ----------------------------------------------------------------------------------------------------

    def add(self, movie: MapMovie) -> Added:
        """Add a movie's particles, and search those of a few earlier ones again.

        Raises
        ------
        UsageError
            If the initial map cannot be used: nothing can be reconstructed with these settings.
        ValueError
            If another result of this movie is included: the map has to be made again (`resume`).
        """
        included = self._movies.get(movie.movie_id)
        if included is not None and included.result_id != movie.result_id:
            raise ValueError(f"another result of movie {movie.movie_id} is in the map and cannot be taken out")
        if included is not None:
            return Added(len(self._movies), self._particle_count, ())
        skipped: str | None = None
        particles: ParticleSpectra | None = None
        stack: torch.Tensor | None = None
        try:
            stack = self._read_stack(movie)
        except (FrazilError, OSError) as error:
            skipped = str(error)
        if stack is not None:
            self._prepare(stack.shape[-1], movie)
            try:
                particles = self._spectra(stack, movie)
            except ValueError as error:
                skipped = str(error)
        digest = checkpoint.file_digest(self._session_dir / result_file(movie))
        self._movies[movie.movie_id] = replace(movie, losses=None, result_digest=digest)
        poses = [*self._add_to_classes(movie, particles), *self._add_to_map(movie, particles)]
        # A movie has one row of poses: what the map says, once it says something.
        newest = {one.movie_id: one for one in poses}
        return Added(len(self._movies), self._particle_count, tuple(newest.values()), skipped)

    def _particles_again(self, movie: MapMovie) -> ParticleSpectra | None:
        """Of a movie that is included; None: it has none that can be used, or they are gone since."""
        try:
            stack = self._read_stack(movie)
            return None if stack is None else self._spectra(stack, movie)
        except (FrazilError, OSError, ValueError):
            return None

    def _read_stack(self, movie: MapMovie) -> torch.Tensor | None:
        if movie.particles_path is None or not movie.ctf.defocus_known:
            return None  # without a CTF a particle would be added with the wrong sign at most frequencies
        with MrcReader(self._session_dir / movie.particles_path) as reader:
            sections = [np.asarray(section, dtype=np.float32) for section in reader.frames()]
        return torch.from_numpy(np.stack(sections)).to(self._device)

    def _prepare(self, box_px: int, movie: MapMovie) -> None:
        """With the first particles: the grid on which everything is done from now on."""
        if self._plane is not None:
            return
        working_px = working_box_px(box_px)
        box_angstrom = box_px * movie.pixel_size_angstrom
        self._set_grid(working_px, box_angstrom / working_px, movie.diameter_angstrom)

    def _set_grid(
        self,
        box_px: int,
        pixel_size_angstrom: float,
        picked_diameter_angstrom: float | None,
        *,
        resumed: bool = False,
    ) -> None:
        """`resumed`: a checkpoint has what became of the start."""
        particles = self._settings.particles
        plane = FourierPlane.of_box(box_px, pixel_size_angstrom)
        self._diameter_angstrom = (
            particles.diameter_angstrom or picked_diameter_angstrom or box_px * pixel_size_angstrom / 1.6
        )
        if particles.initial_map is not None:
            if resumed and not Path(particles.initial_map).exists():  # an archived session without its start
                start = torch.zeros((box_px,) * 3)
            else:
                start = initial_map(
                    Path(particles.initial_map),
                    box_px=box_px,
                    pixel_size_angstrom=pixel_size_angstrom,
                    symmetry=particles.symmetry,
                    diameter_angstrom=self._diameter_angstrom,
                )
            self._map = self._new_map(start, plane)
            # Movies without particles that came before are counted, so that rounds fall where they would anyhow.
            for _ in self._movies:
                self._map.add(None, (), np.ones(len(plane.kx)))
        else:
            self._classes = StreamingClasses(plane, diameter_angstrom=self._diameter_angstrom, device=self._device)
        self._plane = plane

    def _new_map(
        self, start: torch.Tensor, plane: FourierPlane, resolution_angstrom: float = INITIAL_RESOLUTION_ANGSTROM
    ) -> RunningMap:
        return RunningMap(
            start,
            plane,
            symmetry=self._settings.particles.symmetry,
            diameter_angstrom=self._diameter_angstrom,
            device=self._device,
            start_resolution_angstrom=resolution_angstrom,
            class_count=self._settings.particles.map_classes,
        )

    def _spectra(self, stack: torch.Tensor, movie: MapMovie) -> ParticleSpectra:
        assert self._plane is not None
        if movie.fibre and len(movie.fibre) != len(stack):
            raise ValueError(f"{len(stack)} boxes of a movie with {len(movie.fibre)} segments")
        ctf = movie.ctf
        return particle_spectra(
            stack,
            self._plane,
            pixel_size_angstrom=movie.pixel_size_angstrom,
            diameter_angstrom=self._diameter_angstrom,
            ctf=CtfParameters(
                voltage_kv=movie.voltage_kv,
                cs_mm=movie.cs_mm,
                amplitude_contrast=movie.amplitude_contrast,
                defocus_u_angstrom=ctf.defocus_u_angstrom,
                defocus_v_angstrom=ctf.defocus_v_angstrom,
                astigmatism_angle_deg=ctf.astigmatism_angle_deg,
                phase_shift_deg=ctf.phase_shift_deg,
            ),
            defocus_offset_angstrom=movie.defocus_offset_angstrom,
        )

    def _add_to_map(self, movie: MapMovie, particles: ParticleSpectra | None) -> list[ParticlePoses]:
        if self._plane is None:
            return []
        ssnr = relative_ssnr(movie.losses, self._plane.frequency_per_angstrom)
        if self._map is None:
            return self._wait_for_map(movie, particles, ssnr)
        halves = () if particles is None else movie.half_sets(len(particles.values))
        found = self._map.add(particles, halves, ssnr, movie.exposure)
        self._particle_count = self._map.particle_count
        poses = [] if found is None else [self._map_poses(self._map.movie_count - 1, movie, found, particles)]
        return poses + self._search_again()

    def _search_again(self) -> list[ParticlePoses]:
        assert self._map is not None
        poses = []
        movies = list(self._movies.values())
        for number in self._map.due():
            particles = self._particles_again(movies[number])
            # Where the stack is gone or another the particles stay where they were found before.
            if particles is not None and len(particles.values) == self._map.count_of(number):
                found = self._map.again(number, particles)
                poses.append(self._map_poses(number, movies[number], found, particles))
        return poses

    # --- a map from nothing ----------------------------------------------------------------------------------------

    def _wait_for_map(
        self, movie: MapMovie, particles: ParticleSpectra | None, ssnr: NDArray[np.float64]
    ) -> list[ParticlePoses]:
        assert self._plane is not None
        if particles is not None:
            self._waiting[movie.movie_id] = ssnr.astype(np.float32)
            self._waiting_count += len(particles.values)
        if self._waiting_count < AB_INITIO_PARTICLES:
            return []
        waited = {movie_id: self._particles_again(self._movies[movie_id]) for movie_id in self._waiting}
        present = {movie_id: one for movie_id, one in waited.items() if one is not None}
        if len(present) < len(waited):
            # Stacks that are gone are not waited for any longer; others may come.
            self._waiting = {movie_id: self._waiting[movie_id] for movie_id in present}
            self._waiting_count = sum(len(one.values) for one in present.values())
            if self._waiting_count < AB_INITIO_PARTICLES:
                return []
        found = ab_initio_map(
            list(present.values()),
            self._plane,
            symmetry=self._settings.particles.symmetry,
            diameter_angstrom=self._diameter_angstrom,
            seed=_AB_INITIO_SEED,
            device=self._device,
        )
        self._map = self._new_map(found.volume, self._plane, found.resolution_angstrom)
        poses = []
        for number, (movie_id, included) in enumerate(self._movies.items()):
            weights = self._waiting.get(movie_id)
            own = None if weights is None else self._particles_again(included)
            count = 0 if own is None else len(own.values)
            flat = np.ones(len(self._plane.kx)) if weights is None else weights.astype(np.float64)
            placed = self._map.add(own, included.half_sets(count), flat, included.exposure)
            if placed is not None:
                poses.append(self._map_poses(number, included, placed, own))
        self._particle_count = self._map.particle_count
        self._waiting = {}
        return poses

    def _map_poses(
        self, number: int, movie: MapMovie, found: FoundPoses, particles: ParticleSpectra | None
    ) -> ParticlePoses:
        assert self._plane is not None
        assert self._map is not None
        assert particles is not None
        share = self._map.class_share(number)
        return poses_in_map(
            movie,
            found,
            pixel_size_angstrom=self._plane.pixel_size_angstrom,
            class_id=self._class_ids.get(movie.movie_id),
            map_class=None if share is None else tuple((share.argmax(axis=1) + 1).tolist()),
            evidence=self._map.evidence(number, particles, voltage_kv=movie.voltage_kv, cs_mm=movie.cs_mm),
        )

    def _add_to_classes(self, movie: MapMovie, particles: ParticleSpectra | None) -> list[ParticlePoses]:
        if self._classes is None:
            return []
        decided = self._classes.add(movie.movie_id, particles, movie.fibre)
        if self._map is None:
            self._particle_count = self._classes.particle_count
        for movie_id, assigned in decided:
            self._class_ids[movie_id] = tuple(assigned.class_id.tolist())
        assert self._plane is not None
        pixel = self._plane.pixel_size_angstrom
        return [
            poses_in_classes(self._movies[movie_id], assigned, pixel_size_angstrom=pixel)
            for movie_id, assigned in decided
        ]

    # --- rounds ----------------------------------------------------------------------------------------------------

    def finish_round(self) -> FinishedRound:
        """Write maps or class averages and the checkpoint; what is added later does not depend on when this is called.

        Raises
        ------
        OSError
            If the disk is full: the files of the round before are still whole.
        """
        finished = FinishedRound(
            round=-(-len(self._movies) // ROUND_MOVIES),
            created_utc_us=None,
            movie_count=len(self._movies),
            particle_count=self._particle_count,
            symmetry=self._settings.particles.symmetry,
        )
        files = RoundFiles(self._session_dir, self._diameter_angstrom)
        if self._map is not None and self._particle_count:
            finished = files.write_map(finished, self._map)
        if self._classes is not None and self._plane is not None:
            finished = files.write_averages(finished, self._classes.averages(), self._plane.pixel_size_angstrom)
            if self._map is None:
                averaged = sum(summary.particle_count for summary in finished.classes)
                # Some may still be waiting.
                finished = replace(finished, particle_count=max(self._classes.particle_count, averaged), symmetry="C1")
        self._save()
        return finished

    # --- checkpoint ------------------------------------------------------------------------------------------------

    def resume(self, expected: dict[str, str]) -> Resumed:
        """Load the checkpoint if all that it includes is still as it was; else begin anew.

        `expected`: movie id -> result id of every movie that is `ready` now.
        """
        self._forget()
        try:
            begun_anew = self._load(expected)
        except FileNotFoundError:
            begun_anew = ""
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
            self._forget()  # damaged, or of another frazil: it is made again from the movies
            begun_anew = "its checkpoint cannot be read"
        return Resumed(tuple(self._movies), len(self._movies), self._particle_count, begun_anew)

    def _load(self, expected: dict[str, str]) -> str:
        """Empty, or why the checkpoint cannot be gone on with."""
        header, arrays = checkpoint.read(self._session_dir)
        if (why := checkpoint.what_changed(header["key"], self._key())) != "":
            return why
        movies = [
            self._as_it_lies_there(movie, expected.get(movie.movie_id))
            for movie in msgspec.convert(header["movies"], list[MapMovie])
        ]
        # What a movie left in the sums cannot be taken out.
        other = [movie for movie in movies if expected.get(movie.movie_id) != movie.result_id]
        if other:
            if all(movie.movie_id in expected and not movie.result_digest for movie in other):
                return (
                    f"{len(other)} of its {len(movies)} movies were made again or copied since, and its checkpoint, of "
                    "an earlier frazil, does not tell which"
                )
            return f"{len(other)} of its {len(movies)} movies are made again, or no longer kept"
        if header["grid"] is not None:
            own = {name: checkpoint.of(arrays, name) for name in ("map", "classes", "waiting")}
            box_px, *grid = header["grid"]
            self._set_grid(int(box_px), float(grid[0]), float(grid[1]), resumed=bool(own["map"]))
            assert self._plane is not None
            if self._map is None and own["map"]:
                self._map = self._new_map(torch.zeros((self._plane.box_px,) * 3), self._plane)
            if self._classes is not None:
                self._classes.restore(own["classes"])
                self._particle_count = self._classes.particle_count
            if self._map is not None:
                self._map.restore(own["map"])
                self._particle_count = self._map.particle_count
            self._waiting, self._waiting_count = own["waiting"], int(header["waiting_count"])
        self._class_ids = {movie_id: tuple(ids) for movie_id, ids in header["class_ids"].items()}
        self._movies = {movie.movie_id: movie for movie in movies}
        return ""

    def _as_it_lies_there(self, movie: MapMovie, result_id: str | None) -> MapMovie:
        """The movie under the name that its result has now, if that has the content which is in the sums."""
        if result_id is None or (result_id == movie.result_id and movie.result_digest):
            return movie
        digest = checkpoint.file_digest(self._session_dir / result_file(movie))
        if result_id == movie.result_id:
            return replace(movie, result_digest=digest)
        same = bool(digest) and digest == movie.result_digest
        return replace(movie, result_id=result_id) if same else movie

    def _save(self) -> None:
        grid = None
        if self._plane is not None:
            grid = (self._plane.box_px, self._plane.pixel_size_angstrom, self._diameter_angstrom)
        header = {
            "key": self._key(),
            "movies": [asdict(movie) for movie in self._movies.values()],
            "grid": grid,
            "class_ids": self._class_ids,
            "waiting_count": self._waiting_count,
        }
        arrays: dict[str, NDArray[Any]] = {
            f"waiting/{movie_id}": weights for movie_id, weights in self._waiting.items()
        }
        for name, state in (("map", self._map), ("classes", self._classes)):
            if state is not None:
                arrays |= {f"{name}/{part}": array for part, array in state.state().items()}
        checkpoint.write(self._session_dir, header, arrays)

    def _key(self) -> list[object]:
        return checkpoint.key(self._settings.particles)
