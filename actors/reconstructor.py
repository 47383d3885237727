"""The actor that keeps the running reconstruction: the map, or 2-D classes where there is nothing to start one from.

A plain class; `frazil.daemon.map_desk` wraps it in Ray. It reads particle stacks from the session folder itself. Its
state lies in `maps/checkpoint.npz` with the movies that it includes, written at every round; what came after the last
round is given again by the desk after a restart, and a movie that is included is never added twice.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import imagecodecs
import numpy as np
import torch
from numpy.typing import NDArray

from frazil.config.errors import FrazilError
from frazil.config.settings import Settings
from frazil.models.formats.atomic import atomic_path
from frazil.models.formats.mrc import MrcReader
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.optics.ctf import CtfParameters
from frazil.models.particles.half_sets import half_sets
from frazil.models.reconstruction import map_picture
from frazil.models.reconstruction.class_averages import ClassAssignment, StreamingClasses
from frazil.models.reconstruction.fourier_slices import FourierPlane
from frazil.models.reconstruction.initial_map import initial_map
from frazil.models.reconstruction.orientation_search import FoundPoses
from frazil.models.reconstruction.particle_spectra import ParticleSpectra, particle_spectra, working_box_px
from frazil.models.reconstruction.rotations import euler_deg_from_matrices
from frazil.models.reconstruction.round_report import RoundReport, round_report
from frazil.models.reconstruction.running_map import RunningMap
from frazil.models.reconstruction.symmetry import symmetry_matrices
from frazil.models.reconstruction.weights import relative_ssnr
from frazil.models.records import CausalLosses, CtfEstimate

_FORMAT = 1
_NICENESS = 10
_CHECKPOINT = "maps/checkpoint.npz"
MAP_PATHS = ("maps/map.mrc", "maps/half1.mrc", "maps/half2.mrc")
AVERAGES_PATH = "classes/averages.mrcs"
SECTIONS_PATH, PROJECTIONS_PATH, STRIP_PATH = "maps/sections.png", "maps/projections.png", "classes/strip.png"
_STRIP_CLASSES = 8


@dataclass(frozen=True, slots=True)
class MapMovie:
    """What the reconstruction needs of one processed movie."""

    movie_id: str
    result_id: str
    """Names one writing of its result: another result is another movie."""
    particles_path: str | None
    """Stack, relative to the session folder; None: nothing was picked."""
    pixel_size_angstrom: float
    diameter_angstrom: float | None
    """Of the picks."""
    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float
    ctf: CtfEstimate
    losses: CausalLosses | None


@dataclass(frozen=True, slots=True)
class ParticlePoses:
    """What was found out about a movie's particles, in the order of its picks."""

    movie_id: str
    half_set: tuple[int, ...]
    class_id: tuple[int | None, ...] | None
    rot_deg: tuple[float | None, ...] | None
    tilt_deg: tuple[float | None, ...] | None
    psi_deg: tuple[float | None, ...]
    origin_x_angstrom: tuple[float | None, ...]
    """RELION's: what moves the particle to the centre of its box."""
    origin_y_angstrom: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Added:
    """The answer to one movie."""

    movie_count: int
    particle_count: int
    poses: tuple[ParticlePoses, ...]
    skipped: str | None = None
    """Why its particles could not be used; the movie still counts as included."""


@dataclass(frozen=True, slots=True)
class FinishedRound:
    """Files are written; numbers are for the store."""

    movie_count: int
    particle_count: int
    symmetry: str
    frequency_per_angstrom: tuple[float, ...] = ()
    fsc: tuple[float, ...] = ()
    resolution_0143_angstrom: float | None = None
    resolution_05_angstrom: float | None = None
    map_path: str | None = None
    half1_path: str | None = None
    half2_path: str | None = None
    class_counts: tuple[int, ...] = ()
    averages_path: str | None = None
    report: RoundReport | None = None
    diameter_angstrom: float | None = None
    own_orientations: bool = True
    """False: most particles still stand as the 30 A start had them, and how the map will grow cannot be told."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a checkpoint brought back."""

    included: tuple[str, ...]
    """Movie ids in the order in which they were added."""
    movie_count: int
    particle_count: int


class Reconstructor:
    """See the module. One call at a time, on one thread; `polite`: movies go first where cores are few."""

    def __init__(self, session_dir: str, settings: Settings, device: str = "cpu", *, polite: bool = False) -> None:
        torch.set_num_threads(1)
        if polite:
            os.nice(_NICENESS)
        self._session_dir = Path(session_dir)
        self._settings = settings
        self._device = torch.device(device)
        self._forget()

    def _forget(self) -> None:
        self._included: dict[str, str] = {}  # movie id -> result id, in order
        self._plane: FourierPlane | None = None
        self._diameter_angstrom = 0.0
        self._map: RunningMap | None = None
        self._classes: StreamingClasses | None = None
        self._particle_count = 0

    @property
    def _with_map(self) -> bool:
        return self._settings.particles.initial_map is not None

    # --- movies ----------------------------------------------------------------------------------------------------

    def add(self, movie: MapMovie) -> Added:
        """Add a movie's particles.

        Raises
        ------
        UsageError
            If the initial map cannot be used: nothing can be reconstructed with these settings.
        ValueError
            If another result of this movie is included: the map has to be made again (`resume`).
        """
        included_as = self._included.get(movie.movie_id)
        if included_as is not None and included_as != movie.result_id:
            raise ValueError(f"another result of movie {movie.movie_id} is in the map and cannot be taken out")
        if included_as is not None:
            return Added(len(self._included), self._particle_count, ())
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
        poses = self._add_to_map(movie, particles) if self._with_map else self._add_to_classes(movie, particles)
        self._included[movie.movie_id] = movie.result_id
        return Added(len(self._included), self._particle_count, poses, skipped)

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

    def _set_grid(self, box_px: int, pixel_size_angstrom: float, picked_diameter_angstrom: float | None) -> None:
        particles = self._settings.particles
        plane = FourierPlane.of_box(box_px, pixel_size_angstrom)
        self._diameter_angstrom = (
            particles.diameter_angstrom or picked_diameter_angstrom or box_px * pixel_size_angstrom / 1.6
        )
        if particles.initial_map is not None:
            start = initial_map(
                Path(particles.initial_map),
                box_px=box_px,
                pixel_size_angstrom=pixel_size_angstrom,
                symmetry=particles.symmetry,
                diameter_angstrom=self._diameter_angstrom,
            )
            self._map = RunningMap(
                start,
                plane,
                symmetry=particles.symmetry,
                diameter_angstrom=self._diameter_angstrom,
                device=self._device,
            )
            # Movies without particles that came before are counted, so that rounds fall where they would anyhow.
            for _ in self._included:
                self._map.add(None, (), np.ones(len(plane.kx)))
        else:
            self._classes = StreamingClasses(plane, diameter_angstrom=self._diameter_angstrom, device=self._device)
        self._plane = plane

    def _spectra(self, stack: torch.Tensor, movie: MapMovie) -> ParticleSpectra:
        assert self._plane is not None
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
        )

    def _add_to_map(self, movie: MapMovie, particles: ParticleSpectra | None) -> tuple[ParticlePoses, ...]:
        if self._map is None or self._plane is None:
            return ()
        halves = () if particles is None else half_sets(movie.movie_id, len(particles.values))
        ssnr = relative_ssnr(movie.losses, self._plane.frequency_per_angstrom)
        found = self._map.add(particles, halves, ssnr)
        self._particle_count = self._map.particle_count
        return () if found is None else (self._map_poses(movie.movie_id, halves, found),)

    def _map_poses(self, movie_id: str, halves: tuple[int, ...], found: FoundPoses) -> ParticlePoses:
        assert self._plane is not None
        euler = euler_deg_from_matrices(found.poses)
        origin = -found.shift_px * self._plane.pixel_size_angstrom
        return ParticlePoses(
            movie_id=movie_id,
            half_set=halves,
            class_id=None,
            rot_deg=tuple(euler[:, 0].tolist()),
            tilt_deg=tuple(euler[:, 1].tolist()),
            psi_deg=tuple(euler[:, 2].tolist()),
            origin_x_angstrom=tuple(origin[:, 0].tolist()),
            origin_y_angstrom=tuple(origin[:, 1].tolist()),
        )

    def _add_to_classes(self, movie: MapMovie, particles: ParticleSpectra | None) -> tuple[ParticlePoses, ...]:
        if self._classes is None:
            return ()
        decided = self._classes.add(movie.movie_id, particles)
        self._particle_count = self._classes.particle_count
        return tuple(self._class_poses(movie_id, found) for movie_id, found in decided)

    def _class_poses(self, movie_id: str, found: ClassAssignment) -> ParticlePoses:
        assert self._plane is not None
        origin = -found.shift_px * self._plane.pixel_size_angstrom
        return ParticlePoses(
            movie_id=movie_id,
            half_set=half_sets(movie_id, len(found.class_id)),
            class_id=tuple(found.class_id.tolist()),
            rot_deg=None,
            tilt_deg=None,
            psi_deg=tuple(found.psi_deg.tolist()),
            origin_x_angstrom=tuple(origin[:, 0].tolist()),
            origin_y_angstrom=tuple(origin[:, 1].tolist()),
        )

    # --- rounds ----------------------------------------------------------------------------------------------------

    def finish_round(self) -> FinishedRound:
        """Write maps or class averages and the checkpoint; what is added later does not depend on when this is called.

        Raises
        ------
        OSError
            If the disk is full: the files of the round before are still whole.
        """
        particles = self._settings.particles
        finished = FinishedRound(len(self._included), self._particle_count, particles.symmetry)
        if self._map is not None and self._particle_count:
            now = self._map.round()
            pixel_size_angstrom = now.pixel_size_angstrom
            for relative, volume in zip(MAP_PATHS, (now.full, now.half1, now.half2), strict=True):
                path = self._session_dir / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                write_mrc(path, volume.numpy(), pixel_size_angstrom, is_volume=True)
            radius_px = 0.6 * self._diameter_angstrom / pixel_size_angstrom
            self._write_picture(SECTIONS_PATH, map_picture.sections(now.full.numpy(), radius_px))
            self._write_picture(PROJECTIONS_PATH, map_picture.projections(now.full.numpy(), radius_px))
            report = round_report(
                now.half1,
                now.half2,
                now.agreement,
                pixel_size_angstrom=pixel_size_angstrom,
                symmetry_order=len(symmetry_matrices(particles.symmetry)),
            )
            finished = FinishedRound(
                movie_count=len(self._included),
                particle_count=self._particle_count,
                symmetry=particles.symmetry,
                frequency_per_angstrom=now.fsc.frequency_per_angstrom,
                fsc=now.fsc.fsc,
                resolution_0143_angstrom=now.resolution_0143_angstrom,
                resolution_05_angstrom=now.resolution_05_angstrom,
                map_path=MAP_PATHS[0],
                half1_path=MAP_PATHS[1],
                half2_path=MAP_PATHS[2],
                report=report,
                diameter_angstrom=self._diameter_angstrom,
                own_orientations=now.own_orientations,
            )
        elif self._classes is not None and self._plane is not None:
            averages, counts = self._classes.averages()
            path = self._session_dir / AVERAGES_PATH
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mrc(path, averages.numpy(), self._plane.pixel_size_angstrom)
            radius_px = 0.6 * self._diameter_angstrom / self._plane.pixel_size_angstrom
            row = map_picture.strip(averages.numpy(), counts.tolist(), radius_px, _STRIP_CLASSES)
            self._write_picture(STRIP_PATH, row)
            finished = FinishedRound(
                movie_count=len(self._included),
                particle_count=int(counts.sum()),
                symmetry="C1",
                class_counts=tuple(counts.tolist()),
                averages_path=AVERAGES_PATH,
            )
        self._save()
        return finished

    def _write_picture(self, relative: str, picture: NDArray[np.uint8]) -> None:
        with atomic_path(self._session_dir / relative) as temporary:
            Path(temporary).write_bytes(imagecodecs.png_encode(picture))

    # --- checkpoint ------------------------------------------------------------------------------------------------

    def resume(self, expected: dict[str, str]) -> Resumed:
        """Load the checkpoint if all that it includes is still as it was; else begin anew.

        `expected`: movie id -> result id of every movie that is `ready` now.
        """
        self._forget()
        try:
            self._load(expected)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            self._forget()  # damaged, or of another frazil: it is made again from the movies
        return Resumed(tuple(self._included), len(self._included), self._particle_count)

    def _load(self, expected: dict[str, str]) -> None:
        with np.load(self._session_dir / _CHECKPOINT, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
        included: dict[str, str] = dict(header["included"])
        if header["key"] != self._key():
            return
        if any(expected.get(movie_id) != made_with for movie_id, made_with in included.items()):
            return  # a movie was replaced, rejected or done again since: what it left cannot be taken out
        if header["grid"] is not None:
            self._set_grid(int(header["grid"][0]), float(header["grid"][1]), float(header["grid"][2]))
            state = self._map if self._map is not None else self._classes
            assert state is not None
            state.restore(arrays)
            self._particle_count = state.particle_count
        self._included = included

    def _save(self) -> None:
        state = self._map if self._map is not None else self._classes
        grid = None
        if self._plane is not None:
            grid = (self._plane.box_px, self._plane.pixel_size_angstrom, self._diameter_angstrom)
        header = {"key": self._key(), "included": list(self._included.items()), "grid": grid}
        arrays = {} if state is None else state.state()
        arrays["header"] = np.array(json.dumps(header))
        path = self._session_dir / _CHECKPOINT
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **cast(Any, arrays))

    def _key(self) -> list[object]:
        """What the sums depend on besides the movies."""
        particles = self._settings.particles
        start: list[object] = []
        if particles.initial_map is not None:
            try:
                status = os.stat(particles.initial_map)
                start = [particles.initial_map, status.st_size, status.st_mtime_ns]
            except OSError:
                start = [particles.initial_map]
        return [_FORMAT, particles.symmetry, particles.diameter_angstrom, particles.box_px, start]
