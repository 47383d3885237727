"""The actor that keeps the running reconstruction: 2-D classes, and the map of the particles that are chosen by them.

A plain class; `frazil.daemon.analysis.map.reconstruction` wraps it in Ray. It reads particle stacks from the session
folder itself: those of a new movie, and again those of the earlier ones that the map wants to search once more. Without
an initial map the first `AB_INITIO_PARTICLES` particles make one (`models/reconstruction/refine/ab_initio.py`), and all
goes on as if it had been given.

Which particles are chosen changes: classes are judged after every `ROUND_MOVIES` movies, and people give verdicts. The
particles concerned are put into the map's sums, or taken out of them, where they were found last, a tenth of their
movies beside each new one: within the round after the one that heard of it, and without a search.

Its state lies in `maps/checkpoint.npz` and beside it (`checkpoint`) with the movies that it includes, written at every
round; what came after the last round is given again by the daemon after a restart, and a movie that is included is
never added twice.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from frazil.actors import checkpoint, niceness
from frazil.actors.checkpoint import Checkpoint, Grown
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
from frazil.models.reconstruction.classes.chosen_particles import ChosenParticles
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra, working_box_px
from frazil.models.reconstruction.movie_table import MovieTable
from frazil.models.reconstruction.orientation.orientation_search import FoundPoses
from frazil.models.reconstruction.refine.ab_initio import ab_initio_map
from frazil.models.reconstruction.refine.initial_map import INITIAL_RESOLUTION_ANGSTROM, initial_map
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES, RunningMap
from frazil.models.reconstruction.refine.weights import relative_ssnr

AB_INITIO_PARTICLES = 700
"""So many are waited for before a map is made from them alone."""
_AB_INITIO_SEED = 20240301


@dataclass(frozen=True, slots=True)
class KeptClasses:
    """The classes of a checkpoint whose map cannot be gone on with."""

    grid: tuple[int, float, float] | None
    """Box (px), pixel (A) and diameter (A)."""
    arrays: dict[str, NDArray[Any]]
    class_ids: dict[str, tuple[int, ...]]
    """Of the movies that are as they were."""

    @classmethod
    def of(
        cls,
        header: Mapping[str, Any],
        arrays: dict[str, NDArray[Any]],
        class_ids: Mapping[str, tuple[int, ...]],
        movie_ids: Collection[str],
    ) -> KeptClasses:
        """From a checkpoint. Raises KeyError where a part is missing."""
        # Where nothing was decided yet the particles are waited for anew.
        grid = header["grid"] if class_ids else None
        return cls(
            None if grid is None else (int(grid[0]), float(grid[1]), float(grid[2])),
            checkpoint.of(arrays, "chosen"),
            {one: class_ids[one] for one in movie_ids if one in class_ids},
        )


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
        self._checkpoint = Checkpoint(self._session_dir)
        self._movies: MovieTable[str, MapMovie] = MovieTable()
        """All included, in order; without their losses, which the map has turned into weights."""
        self._order: list[str] = []
        """Their ids."""
        self._number: dict[str, int] = {}
        """Their places in it."""
        self._plane: FourierPlane | None = None
        self._diameter_angstrom = 0.0
        self._map: RunningMap | None = None
        self._chosen: ChosenParticles | None = None
        """None: no particles yet, or `particles.classes` is off."""
        self._kept: KeptClasses | None = None
        """Of a checkpoint whose map is begun anew."""
        self._first_class_id = 1
        self._pending: list[int] = []
        """Numbers of movies whose particles in the map are not those that are chosen now."""
        self._pending_each = 0
        """So many of them are dealt with beside each new movie."""
        self._unlike: set[int] = set()
        """Numbers of movies that may have in the map what is not chosen, or lack what is."""
        self._waiting: MovieTable[str, NDArray[np.float32]] = MovieTable()
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
        self._include(replace(movie, losses=None, result_digest=digest))
        in_classes, class_ids = self._add_to_classes(movie, particles)
        poses = [*in_classes, *self._add_to_map(movie, particles)]
        if len(self._movies) % ROUND_MOVIES == 0 and self._chosen is not None:
            self._chosen.judge()
            self._look_for_pending()
        self._carry_out(self._pending_each)
        # A movie has one row of poses: what the map says, once it says something.
        newest = {one.movie_id: one for one in poses}
        told = {movie_id: ids for movie_id, ids in class_ids.items() if movie_id not in newest}
        return Added(len(self._movies), self._particle_count, tuple(newest.values()), skipped, told)

    def _include(self, movie: MapMovie) -> None:
        self._number[movie.movie_id] = len(self._order)
        self._order.append(movie.movie_id)
        self._movies[movie.movie_id] = movie

    def _movie(self, number: int) -> MapMovie:
        return self._movies[self._order[number]]

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
        if particles.classes:
            self._chosen = ChosenParticles(
                plane,
                diameter_angstrom=self._diameter_angstrom,
                device=self._device,
                first_id=self._first_class_id,
            )
            if self._kept is not None and self._kept.grid == (box_px, pixel_size_angstrom, self._diameter_angstrom):
                self._chosen.restore(self._kept.arrays, self._kept.class_ids)
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
        found = self._map.add(particles, halves, ssnr, movie.exposure, self._mask(movie.movie_id, len(halves)))
        self._particle_count = self._map.particle_count
        self._was_placed(self._map.movie_count - 1)
        poses = [] if found is None else [self._map_poses(self._map.movie_count - 1, movie, found, particles)]
        return poses + self._search_again()

    def _search_again(self) -> list[ParticlePoses]:
        assert self._map is not None
        poses = []
        for number in self._map.due():
            movie = self._movie(number)
            particles = self._particles_again(movie)
            # Where the stack is gone or another the particles stay where they were found before.
            if particles is not None and len(particles.values) == self._map.count_of(number):
                if self._chosen is not None:
                    self._chosen.find(movie.movie_id, particles)
                chosen = self._mask(movie.movie_id, len(particles.values))
                found = self._map.again(number, particles, chosen)
                self._was_placed(number)
                poses.append(self._map_poses(number, movie, found, particles))
        self._particle_count = self._map.particle_count
        return poses

    # --- who is chosen ---------------------------------------------------------------------------------------------

    def _mask(self, movie_id: str, count: int) -> NDArray[np.bool_] | None:
        """(count,) of a movie's particles; None: all."""
        return None if self._chosen is None or not count else self._chosen.mask(movie_id, count)

    def _was_placed(self, number: int) -> None:
        if self._chosen is not None:
            self._unlike.add(number)

    def _look_for_pending(self) -> None:
        """Among the movies that were placed, or whose classes are others or judged otherwise, since it was done last;
        and those that were pending then: the others have in the map what is chosen."""
        self._pending = []
        if self._chosen is None:
            return
        concerned = self._chosen.concerned()
        if self._map is None:
            return  # all will be placed when there is one
        self._unlike |= {self._number[one] for one in concerned if one in self._number}
        for number in sorted(self._unlike):
            count, movie_id = self._map.count_of(number), self._order[number]
            if count and not np.array_equal(self._map.chosen_of(number), self._chosen.mask(movie_id, count)):
                self._pending.append(number)
        self._unlike = set(self._pending)
        self._pending_each = math.ceil(len(self._pending) / ROUND_MOVIES)

    def _carry_out(self, count: int) -> None:
        """Let the next so many movies that are pending have in the map what is chosen of them."""
        now, self._pending = self._pending[:count], self._pending[count:]
        for number in now:
            assert self._map is not None
            movie = self._movie(number)
            particles = self._particles_again(movie)
            # Where the stack is gone nothing can be taken out or put in.
            if particles is not None and len(particles.values) == self._map.count_of(number):
                chosen = self._mask(movie.movie_id, len(particles.values))
                assert chosen is not None
                self._map.choose(number, particles, chosen)
        if now and self._map is not None:
            self._particle_count = self._map.particle_count

    # --- a map from nothing ----------------------------------------------------------------------------------------

    def _wait_for_map(
        self, movie: MapMovie, particles: ParticleSpectra | None, ssnr: NDArray[np.float64]
    ) -> list[ParticlePoses]:
        assert self._plane is not None
        if particles is not None:
            self._waiting[movie.movie_id] = ssnr.astype(np.float32)
            self._waiting_count += len(particles.values)
        if self._chosen_waiting() < AB_INITIO_PARTICLES:
            return []
        waited = {movie_id: self._particles_again(self._movies[movie_id]) for movie_id in self._waiting}
        present = {movie_id: one for movie_id, one in waited.items() if one is not None}
        if len(present) < len(waited):
            # Stacks that are gone are not waited for any longer; others may come.
            for movie_id in waited.keys() - present.keys():
                del self._waiting[movie_id]
            self._waiting_count = sum(len(one.values) for one in present.values())
            if self._chosen_waiting() < AB_INITIO_PARTICLES:
                return []
        found = ab_initio_map(
            self._chosen_of(present),
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
            chosen = self._mask(movie_id, count)
            placed = self._map.add(own, included.half_sets(count), flat, included.exposure, chosen)
            if placed is not None:
                poses.append(self._map_poses(number, included, placed, own))
        self._particle_count = self._map.particle_count
        for number in range(len(self._order)):
            self._was_placed(number)
        for movie_id in waited:
            self._waiting.pop(movie_id, None)
        return poses

    def _chosen_waiting(self) -> int:
        if self._chosen is None:
            return self._waiting_count
        return self._waiting_count - sum(self._chosen.left_out(movie_id) for movie_id in self._waiting)

    def _chosen_of(self, present: Mapping[str, ParticleSpectra]) -> list[ParticleSpectra]:
        """What is chosen of them, by the classes that they have now."""
        found = []
        for movie_id, particles in present.items():
            if self._chosen is not None:
                self._chosen.find(movie_id, particles)
            chosen = self._mask(movie_id, len(particles.values))
            if chosen is None or chosen.all():
                found.append(particles)
            elif chosen.any():
                found.append(particles.chosen(torch.from_numpy(np.nonzero(chosen)[0]).to(self._device)))
        return found

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
            class_id=self._class_id(movie.movie_id, len(particles.values)),
            map_class=None if share is None else tuple((share.argmax(axis=1) + 1).tolist()),
            evidence=self._map.evidence(number, particles, voltage_kv=movie.voltage_kv, cs_mm=movie.cs_mm),
        )

    def _class_id(self, movie_id: str, count: int) -> tuple[int, ...] | None:
        ids = () if self._chosen is None else self._chosen.class_ids.get(movie_id, ())
        return ids if len(ids) == count else None

    def _add_to_classes(
        self, movie: MapMovie, particles: ParticleSpectra | None
    ) -> tuple[list[ParticlePoses], dict[str, tuple[int, ...]]]:
        """Poses in the plane, while there is no map, and the classes of movies whose poses stay as the map has them."""
        if self._chosen is None:
            return [], {}
        if particles is not None and self._kept is not None and movie.movie_id in self._kept.class_ids:
            found = self._chosen.find(movie.movie_id, particles)  # it is in the averages already
            decided = [] if found is None else [(movie.movie_id, found)]
        else:
            decided = self._chosen.add(movie.movie_id, particles, movie.fibre)
        if self._map is not None:
            return [], {movie_id: tuple(assigned.class_id.tolist()) for movie_id, assigned in decided}
        self._particle_count = self._chosen.particle_count
        assert self._plane is not None
        pixel = self._plane.pixel_size_angstrom
        poses = [
            poses_in_classes(self._movies[movie_id], assigned, pixel_size_angstrom=pixel)
            for movie_id, assigned in decided
        ]
        return poses, {}

    # --- rounds ----------------------------------------------------------------------------------------------------

    def finish_round(self, verdicts: Mapping[int, bool | None] | None = None, at_rest: bool = False) -> FinishedRound:
        """Write maps, class averages and the checkpoint. What is added later does not depend on when this is called,
        but on what people say.

        Parameters
        ----------
        verdicts:
            All that people say of classes (`ChosenParticles.hear`); None: as before. Carried out beside the next ten
            movies.
        at_rest:
            No movie is expected: it is carried out now.

        Raises
        ------
        OSError
            If the disk is full: the files of the round before are still whole.
        """
        if verdicts is not None and self._chosen is not None and dict(verdicts) != self._chosen.heard:
            self._chosen.hear(verdicts)
            self._look_for_pending()
        if at_rest:
            self._carry_out(len(self._pending))
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
        if self._chosen is not None and self._plane is not None:
            finished = files.write_averages(finished, self._chosen, self._plane.pixel_size_angstrom)
            if self._map is None:
                averaged = sum(summary.particle_count for summary in finished.classes)
                # Some may still be waiting.
                finished = replace(finished, particle_count=max(self._chosen.particle_count, averaged), symmetry="C1")
        self._save()
        return finished

    # --- checkpoint ------------------------------------------------------------------------------------------------

    def resume(self, expected: dict[str, str], first_class_id: int = 1) -> Resumed:
        """Load the checkpoint if all that it includes is still as it was; else begin anew.

        Classes are begun anew only where particles are looked at on another grid: people speak of them.

        Parameters
        ----------
        expected:
            Movie id -> result id of every movie that is `ready` now.
        first_class_id:
            The lowest number that no class of the session has had.
        """
        self._forget()
        self._first_class_id = first_class_id
        try:
            begun_anew = self._load(expected)
            if begun_anew:
                self._checkpoint = Checkpoint(self._session_dir)
        except FileNotFoundError:
            begun_anew = ""
        except (OSError, KeyError, ValueError, msgspec.DecodeError):
            self._forget()  # damaged, or of another frazil: it is made again from the movies
            self._first_class_id = first_class_id
            begun_anew = "its checkpoint cannot be read"
        heard = {} if self._chosen is None else self._chosen.heard
        return Resumed(tuple(self._movies), len(self._movies), self._particle_count, begun_anew, heard)

    def _load(self, expected: dict[str, str]) -> str:
        """Empty, or why the checkpoint cannot be gone on with."""
        header, arrays = self._checkpoint.read()
        if (why := checkpoint.what_changed(header["key"], self._key())) != "":
            return why
        movies, class_ids = self._included_then()
        # What a movie left in the sums cannot be taken out.
        now = {one: self._as_it_lies_there(movie, expected.get(one)) for one, movie in movies.items()}
        other = {one: movie for one, movie in now.items() if expected.get(one) != movie.result_id}
        if other:
            self._kept = KeptClasses.of(header, arrays, class_ids, [one for one in movies if one not in other])
            if all(one in expected and not movie.result_digest for one, movie in other.items()):
                return (
                    f"{len(other)} of its {len(movies)} movies were made again or copied since, and its checkpoint, of "
                    "an earlier frazil, does not tell which"
                )
            return f"{len(other)} of its {len(movies)} movies are made again, or no longer kept"
        if header["grid"] is not None:
            self._restore(header, arrays, class_ids)
        self._pending, self._pending_each = list(header["pending"]), int(header["pending_each"])
        self._unlike = set(header["unlike"])
        self._movies.take(movies)
        self._order = list(movies)
        self._number = {one: number for number, one in enumerate(movies)}
        for one, movie in now.items():
            if movie != movies[one]:
                self._movies[one] = movie  # under another name
        return ""

    def _included_then(self) -> tuple[dict[str, MapMovie], dict[str, tuple[int, ...]]]:
        """All movies of the checkpoint in order, and the classes of their particles."""
        movies: dict[str, MapMovie] = {}
        class_ids: dict[str, tuple[int, ...]] = {}
        for grown in self._checkpoint.grown():
            movies |= {movie.movie_id: movie for movie in msgspec.convert(grown.header["movies"], list[MapMovie])}
            class_ids |= {one: tuple(ids) for one, ids in grown.header["class_ids"].items()}
        return movies, class_ids

    def _restore(
        self, header: dict[str, Any], arrays: dict[str, NDArray[Any]], class_ids: dict[str, tuple[int, ...]]
    ) -> None:
        box_px, *grid = header["grid"]
        of_map = checkpoint.of(arrays, "map")
        self._set_grid(int(box_px), float(grid[0]), float(grid[1]), resumed=bool(of_map))
        assert self._plane is not None
        if self._map is None and of_map:
            self._map = self._new_map(torch.zeros((self._plane.box_px,) * 3), self._plane)
        if self._chosen is not None:
            self._chosen.restore(checkpoint.of(arrays, "chosen"), class_ids)
            self._particle_count = self._chosen.particle_count
        if self._map is not None:
            self._map.restore(of_map)
            self._particle_count = self._map.particle_count
        for grown in self._checkpoint.grown():
            rows = grown.unpacked()
            self._waiting.take(checkpoint.of(rows, "waiting"), grown.header["not_waiting"])
            if self._map is not None:
                self._map.take_changes(checkpoint.of(rows, "map"))
        self._waiting_count = int(header["waiting_count"])

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
        if not self._checkpoint.goes_on:
            for table in self._tables():
                table.unwritten()
        grid = None
        if self._plane is not None:
            grid = (self._plane.box_px, self._plane.pixel_size_angstrom, self._diameter_angstrom)
        header = {
            "key": self._key(),
            "grid": grid,
            "pending": self._pending,
            "pending_each": self._pending_each,
            "unlike": sorted(self._unlike),
            "waiting_count": self._waiting_count,
        }
        arrays: dict[str, NDArray[Any]] = {}
        if self._map is not None:
            arrays |= {f"map/{part}": array for part, array in self._map.fixed().items()}
        if self._chosen is not None:
            arrays |= {f"chosen/{part}": array for part, array in self._chosen.state().items()}
        self._checkpoint.write(header, arrays, self._grown())
        for table in self._tables():
            table.written()

    def _grown(self) -> Grown:
        """What changed of single movies since the last checkpoint."""
        header = {
            "movies": [asdict(movie) for movie in self._movies.changed().values()],
            "class_ids": {} if self._chosen is None else self._chosen.class_ids.changed(),
            "not_waiting": self._waiting.removed(),
        }
        arrays = {f"waiting/{movie_id}": weights for movie_id, weights in self._waiting.changed().items()}
        if self._map is not None:
            arrays |= {f"map/{part}": array for part, array in self._map.changes().items()}
        return Grown.of(header, arrays)

    def _tables(self) -> list[MovieTable[Any, Any]]:
        """What grows with the session."""
        tables: list[MovieTable[Any, Any]] = [self._movies, self._waiting]
        if self._chosen is not None:
            tables.append(self._chosen.class_ids)
        return tables if self._map is None else [*tables, *self._map.tables]

    def _key(self) -> list[object]:
        return checkpoint.key(self._settings.particles)
