"""A simulated session: the same specimen, microscope and camera for a number of movies, each made from its own seed.

Every movie can be made alone and again: its random numbers depend on (seed, index, purpose) only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from frazil.models.atomic_model.potential import Atoms, read_atoms
from frazil.models.atomic_model.projection import potential_map, random_euler_deg
from frazil.models.conventions import ANGSTROM_PER_UM, wrap_astigmatism_angle_deg
from frazil.models.optics.ice import transmitted_fraction
from frazil.models.simulation.detector import Detector, coincidence_survival, draw_detector
from frazil.models.simulation.local_motion import LocalField, draw_local_field
from frazil.models.simulation.microscope import Canvas, make_canvas
from frazil.models.simulation.movie import SimulatedMovie
from frazil.models.simulation.settings import DriftKind, SimulationSettings
from frazil.models.simulation.structures import SYMMETRY, structure_path
from frazil.models.simulation.trajectory import Trajectory, draw_trajectory, given_trajectory
from frazil.models.simulation.truth import LOCAL_GRID, LocalMotionTruth, MovieTruth, ParticleTruth

SESSION_START_UTC_US = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z: a date for sidecars; nothing depends on it."""
MARGIN_STEP_PX = 16
IMAGE_SHIFT_PITCH_UM = 1.8
STAGE_PITCH_UM = 9.0
BEAM_SHIFT_GROUP = 7_200_000
"""EPU numbers the positions of its template; the nine image shifts of a stage position are such numbers here."""
_DRAW, _DETECTOR = 1, 2  # purposes of random streams; movies use further ones


@dataclass(frozen=True, slots=True)
class MovieOverrides:
    """What a fault, or the hole of a grid, makes of a movie that would otherwise be drawn."""

    drift_kind: DriftKind | None = None
    ice_thickness_nm: float | None = None
    empty: bool = False
    particles_per_um2: float | None = None
    drift_total_angstrom: float | None = None


class SimulatedSession:
    """Draws movies with known truth.

    Parameters
    ----------
    settings:
        The experiment.
    overrides:
        Per movie index, what is forced (faults).
    device:
        Where images are formed; random numbers are drawn on the CPU and so do not depend on it.
    """

    def __init__(
        self,
        settings: SimulationSettings,
        *,
        overrides: dict[int, MovieOverrides] | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.settings = settings
        self.device = device or torch.device("cpu")
        self.atoms: Atoms = read_atoms(structure_path(settings.specimen.structure))
        self.detector: Detector = draw_detector(
            settings.camera, settings.height_px, settings.width_px, self.rng(0, _DETECTOR)
        )
        self._overrides = overrides or {}
        self._canvases: dict[int, Canvas] = {}

    @property
    def symmetry(self) -> str:
        """Point group of a shipped structure; C1 where it is not known."""
        return SYMMETRY.get(self.settings.specimen.structure, "C1")

    def rng(self, index: int, purpose: int, item: int = 0) -> np.random.Generator:
        seed = np.random.SeedSequence([self.settings.seed, index, purpose, item])
        return np.random.Generator(np.random.SFC64(seed))

    def canvas(self, margin_px: int) -> Canvas:
        """Canvases are shared among movies: margins come in steps."""
        margin = MARGIN_STEP_PX * math.ceil(margin_px / MARGIN_STEP_PX)
        if margin not in self._canvases:
            s = self.settings
            self._canvases[margin] = make_canvas(s.height_px, s.width_px, margin, s.pixel_size_angstrom, self.device)
        return self._canvases[margin]

    def potential_map(self, *, box_px: int, pixel_size_angstrom: float) -> Tensor:
        """The map that a perfect reconstruction would give, (z, y, x) in volt against the solvent."""
        return potential_map(
            self.atoms,
            box_px=box_px,
            pixel_size_angstrom=pixel_size_angstrom,
            b_factor_a2=self.settings.specimen.b_factor_a2,
            device=self.device,
        )

    def movie(self, index: int, forced: MovieOverrides | None = None) -> SimulatedMovie:
        """One movie, its frames computed when they are asked for. `forced` counts before the session's overrides."""
        truth, trajectory, field = self._draw(index, forced)
        return SimulatedMovie(self, truth, trajectory, field)

    def truth(self, index: int) -> MovieTruth:
        """What is true of a movie, without making any image."""
        return self._draw(index)[0]

    def _draw(
        self, index: int, forced: MovieOverrides | None = None
    ) -> tuple[MovieTruth, Trajectory, LocalField | None]:
        s, specimen, optics = self.settings, self.settings.specimen, self.settings.optics
        forced = forced or self._overrides.get(index, MovieOverrides())
        rng = self.rng(index, _DRAW)
        square, hole = divmod(index, s.holes_per_square)
        defocus = rng.uniform(optics.defocus_min_angstrom, optics.defocus_max_angstrom)
        astigmatism = abs(rng.normal(0.0, optics.astigmatism_sd_angstrom))
        angle = rng.uniform(-90.0, 90.0)
        ice_nm = max(
            rng.normal(specimen.ice_thickness_mean_nm, specimen.ice_thickness_sd_nm), specimen.min_ice_thickness_nm
        )
        weights = np.asarray(s.stage.drift_weights)
        kind = s.stage.drift_kinds[int(rng.choice(len(weights), p=weights / weights.sum()))]
        target_error_um = rng.normal(0.0, 0.05)
        stage_jitter = rng.normal(0.0, 0.05, 2)
        ice_nm = forced.ice_thickness_nm or ice_nm
        trajectory, field = self._draw_motion(index, kind, forced)
        density = specimen.particles_per_um2 if forced.particles_per_um2 is None else forced.particles_per_um2
        particles = () if forced.empty else self._place(ice_nm, density, self.rng(index, _DRAW, 3))
        row, column = divmod(hole, 3)
        start_us = SESSION_START_UTC_US + round(index * s.movie_interval_s * 1e6)
        square_id, hole_id = str(7_000_000 + 1_000 * square), str(7_100_000 + 1_000 * square + hole)
        truth = MovieTruth(
            index=index,
            stem=f"FoilHole_{hole_id}_Data_{BEAM_SHIFT_GROUP + hole % 9}_{index}_{_file_time(start_us)}",
            grid_square=square_id,
            hole=hole_id,
            acquired_utc_us=start_us,
            drift_kind=trajectory.kind,
            shift_x_angstrom=tuple(trajectory.shift_angstrom[:, 0].tolist()),
            shift_y_angstrom=tuple(trajectory.shift_angstrom[:, 1].tolist()),
            travel_x_angstrom=tuple(trajectory.travel_angstrom[:, 0].tolist()),
            travel_y_angstrom=tuple(trajectory.travel_angstrom[:, 1].tolist()),
            local_motion=None if field is None else _local_truth(field),
            defocus_u_angstrom=defocus + 0.5 * astigmatism,
            defocus_v_angstrom=defocus - 0.5 * astigmatism,
            astigmatism_angle_deg=wrap_astigmatism_angle_deg(angle),
            phase_shift_deg=optics.phase_shift_deg,
            target_defocus_um=round(defocus / ANGSTROM_PER_UM + target_error_um, 1),
            dose_per_frame_e_per_a2=s.dose_per_frame_e_per_a2,
            ice_thickness_nm=ice_nm,
            transmitted_fraction=self._transmission(ice_nm),
            expected_counts_per_px_per_frame=self._mean_counts(ice_nm),
            stage_x_um=40.0 * square - 200.0 + STAGE_PITCH_UM * (hole // 9) + float(stage_jitter[0]),
            stage_y_um=25.0 * square - 150.0 + float(stage_jitter[1]),
            image_shift_x_um=IMAGE_SHIFT_PITCH_UM * (column - 1),
            image_shift_y_um=IMAGE_SHIFT_PITCH_UM * (row % 3 - 1),
            particles=particles,
        )
        return truth, trajectory, field

    def _draw_motion(self, index: int, kind: DriftKind, forced: MovieOverrides) -> tuple[Trajectory, LocalField | None]:
        """Whole-frame motion of a kind, unless another is forced or a trajectory is given, and local motion."""
        s = self.settings
        if s.stage.trajectory_angstrom is not None and forced.drift_kind is None:
            trajectory = given_trajectory(np.asarray(s.stage.trajectory_angstrom), s.frame_count)
        else:
            stage = s.stage
            if forced.drift_total_angstrom is not None:
                stage = replace(stage, drift_total_angstrom=forced.drift_total_angstrom)
            trajectory = draw_trajectory(
                forced.drift_kind or kind, stage, s.frame_count, s.dose_per_frame_e_per_a2, self.rng(index, _DRAW, 1)
            )
        field = draw_local_field(
            rms_angstrom=s.stage.local_motion_rms_angstrom,
            decay_e_per_a2=s.stage.local_motion_decay_e_per_a2,
            frame_count=s.frame_count,
            dose_per_frame_e_per_a2=s.dose_per_frame_e_per_a2,
            height_px=s.height_px,
            width_px=s.width_px,
            rng=self.rng(index, _DRAW, 2),
        )
        return trajectory, field

    def _transmission(self, ice_nm: float) -> float:
        """Share of the beam that carries contrast; without an energy filter the rest arrives too, as background."""
        return transmitted_fraction(ice_nm, self.settings.optics.voltage_kv)

    def _mean_counts(self, ice_nm: float) -> float:
        s = self.settings
        arriving = self._transmission(ice_nm) if s.optics.energy_filter else 1.0
        electrons = s.dose_per_frame_e_per_a2 * s.pixel_size_angstrom**2 * arriving
        per_camera_frame = electrons / max(s.frame_time_s * s.camera.camera_frame_rate_hz, 1.0)
        return electrons * coincidence_survival(per_camera_frame, s.camera.coincidence_area_px)

    def _place(self, ice_nm: float, particles_per_um2: float, rng: np.random.Generator) -> tuple[ParticleTruth, ...]:
        """Random particles that do not overlap, on planes within the ice; some reach over the edge of the camera."""
        s = self.settings
        radius_px = self.atoms.radius_angstrom / s.pixel_size_angstrom
        spacing = s.specimen.plane_spacing_angstrom
        room = max(0.5 * ice_nm * 10.0 - self.atoms.radius_angstrom, 0.0)
        planes = int(room // spacing)
        low_x, high_x = -0.5 * radius_px, s.width_px + 0.5 * radius_px
        low_y, high_y = -0.5 * radius_px, s.height_px + 0.5 * radius_px
        area_um2 = (high_x - low_x) * (high_y - low_y) * (s.pixel_size_angstrom / ANGSTROM_PER_UM) ** 2
        wanted = int(rng.poisson(particles_per_um2 * area_um2))
        placed: list[ParticleTruth] = []
        for _ in range(30 * wanted):
            if len(placed) >= wanted:
                break
            x, y = float(rng.uniform(low_x, high_x)), float(rng.uniform(low_y, high_y))
            if any(math.hypot(x - p.x_px, y - p.y_px) < 1.9 * radius_px for p in placed):
                continue
            rot, tilt, psi = random_euler_deg(rng)
            height = spacing * float(rng.integers(-planes, planes + 1))
            placed.append(ParticleTruth(x, y, rot, tilt, psi, height))
        return tuple(placed)


def _file_time(utc_us: int) -> str:
    return datetime.fromtimestamp(utc_us / 1e6, tz=UTC).strftime("%Y%m%d_%H%M%S")


def _local_truth(field: LocalField) -> LocalMotionTruth:
    x, y = np.linspace(0, field.width_px - 1, LOCAL_GRID), np.linspace(0, field.height_px - 1, LOCAL_GRID)
    modes = field.mode_angstrom(x[None, :], y[:, None])

    def nested(axis: int) -> tuple[tuple[tuple[float, ...], ...], ...]:
        return tuple(tuple(tuple(row.tolist()) for row in mode[axis]) for mode in modes)

    return LocalMotionTruth(
        tuple(x.tolist()), tuple(y.tolist()), tuple(tuple(c.tolist()) for c in field.course), nested(0), nested(1)
    )
