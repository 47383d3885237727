"""How the specimen moves during an exposure: whole-frame displacement at the borders of frames.

A frame's shift is the mean position during the frame, its blur the distance travelled in it. Signs as in
`frazil.models.conventions`: displacement of the specimen in A, zero mean over the frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from frazil.config.errors import FormatError
from frazil.models.conventions import shifts_from_relion_px
from frazil.models.simulation.settings import DriftKind, StageSettings

_REMEDY = "give the motion STAR of one movie, as RELION's motion correction writes it"


@dataclass(frozen=True, slots=True)
class Trajectory:
    kind: str
    shift_angstrom: NDArray[np.float64]  # (frames, 2) x, y; zero mean
    travel_angstrom: NDArray[np.float64]  # (frames, 2) motion within each frame

    @property
    def total_angstrom(self) -> float:
        """Path length from frame to frame."""
        return float(np.hypot(*np.diff(self.shift_angstrom, axis=0).T).sum()) if len(self.shift_angstrom) > 1 else 0.0


def _from_borders(kind: str, border_angstrom: NDArray[np.float64]) -> Trajectory:
    shift = 0.5 * (border_angstrom[1:] + border_angstrom[:-1])
    return Trajectory(kind, shift - shift.mean(axis=0), np.diff(border_angstrom, axis=0))


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0.0, 2.0 * math.pi)
    return np.array([math.cos(angle), math.sin(angle)])


def draw_trajectory(
    kind: DriftKind, stage: StageSettings, frame_count: int, dose_per_frame_e_per_a2: float, rng: np.random.Generator
) -> Trajectory:
    """A random trajectory of one kind.

    `still`: vibration only. `drifting`: constant velocity, slightly bent. `settling`: fast at first, decaying over 2-6
    e/A2 (beam-induced). `burst`: drifting, and a jump within about a frame. `lost-stage`: runs away, ten times the
    typical path.
    """
    dose = np.arange(frame_count + 1) * dose_per_frame_e_per_a2
    along = dose / max(dose[-1], 1e-9)
    typical = stage.drift_total_angstrom
    steps = rng.normal(0.0, stage.jitter_sd_angstrom * math.sqrt(dose_per_frame_e_per_a2), (frame_count + 1, 2))
    position = np.cumsum(steps, axis=0)
    if kind in ("drifting", "burst", "lost-stage"):
        length = typical * rng.uniform(0.6, 1.5) * (10.0 if kind == "lost-stage" else 1.0)
        bend = rng.normal(0.0, 0.2) * length
        forward, sideways = _direction(rng), _direction(rng)
        position += length * along[:, None] * forward + bend * (along * (1.0 - along))[:, None] * sideways
    if kind == "settling":
        length = typical * rng.uniform(0.8, 2.0)
        decay = rng.uniform(2.0, 6.0)
        position += length * (1.0 - np.exp(-dose / decay))[:, None] * _direction(rng)
    if kind == "burst":
        jump = typical * rng.uniform(0.8, 1.8)
        moment, width = rng.uniform(0.2, 0.8), 0.5 / frame_count
        position += jump * (0.5 + 0.5 * np.tanh((along - moment) / width))[:, None] * _direction(rng)
    return _from_borders(kind, position)


def given_trajectory(shift_angstrom: NDArray[np.float64], frame_count: int) -> Trajectory:
    """A measured or chosen trajectory, resampled in time if its frame count differs; travel by finite differences."""
    given = np.asarray(shift_angstrom, dtype=np.float64).reshape(-1, 2)
    if len(given) == 1:
        given = np.repeat(given, 2, axis=0)
    middle = (np.arange(frame_count) + 0.5) / frame_count
    source = (np.arange(len(given)) + 0.5) / len(given)
    shift = np.stack([np.interp(middle, source, given[:, axis]) for axis in (0, 1)], axis=1)
    if frame_count == len(given):
        shift = given
    travel = np.gradient(shift, axis=0) if frame_count > 1 else np.zeros_like(shift)
    return Trajectory("given", shift - shift.mean(axis=0), travel)


def trajectory_from_relion_star(path: Path, pixel_size_angstrom: float) -> tuple[tuple[float, float], ...]:
    """Displacements (x, y) in A per frame from a RELION motion STAR (`data_global_shift`), in frazil's sign.

    Raises
    ------
    FormatError
        If the file has no such table.
    """
    try:
        document = gemmi.cif.read(str(path))
    except (RuntimeError, ValueError, OSError) as error:
        raise FormatError(f"not a STAR file ({error})", path=path, remedy=_REMEDY) from error
    for block in document:
        table = block.find(["_rlnMicrographShiftX", "_rlnMicrographShiftY"])
        if len(table):
            x = shifts_from_relion_px([float(row[0]) for row in table], pixel_size_angstrom)
            y = shifts_from_relion_px([float(row[1]) for row in table], pixel_size_angstrom)
            return tuple(zip(x, y, strict=True))
    raise FormatError("no table with rlnMicrographShiftX and rlnMicrographShiftY", path=path, remedy=_REMEDY)
