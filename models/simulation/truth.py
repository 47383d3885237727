"""What is true of every simulated movie, and its JSON form.

All numbers are in frazil's conventions, in the frame of the array *as frazil reads it* (a TIFF is written upside down
so that it reads back like this).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LOCAL_GRID = 17
"""The local field is stored on a grid of 17 x 17 points from the first to the last pixel."""


@dataclass(frozen=True, slots=True)
class ParticleTruth:
    x_px: float
    y_px: float
    """Position in the specimen at zero shift (RELION coordinates: pixel index)."""
    rot_deg: float
    tilt_deg: float
    psi_deg: float
    height_angstrom: float
    """Its defocus is greater than the micrograph's by this."""


@dataclass(frozen=True, slots=True)
class LocalMotionTruth:
    """displacement_x(frame, gy, gx) = sum_m course[m][frame] * field_x_angstrom[m][gy][gx]; on top of the shift."""

    grid_x_px: tuple[float, ...]
    grid_y_px: tuple[float, ...]
    course: tuple[tuple[float, ...], ...]
    field_x_angstrom: tuple[tuple[tuple[float, ...], ...], ...]
    field_y_angstrom: tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class MovieTruth:
    index: int
    stem: str
    grid_square: str
    hole: str
    acquired_utc_us: int
    drift_kind: str
    shift_x_angstrom: tuple[float, ...]
    shift_y_angstrom: tuple[float, ...]
    travel_x_angstrom: tuple[float, ...]
    travel_y_angstrom: tuple[float, ...]
    """Motion within each frame."""
    local_motion: LocalMotionTruth | None
    defocus_u_angstrom: float
    defocus_v_angstrom: float
    astigmatism_angle_deg: float
    phase_shift_deg: float
    target_defocus_um: float
    dose_per_frame_e_per_a2: float
    ice_thickness_nm: float
    transmitted_fraction: float
    expected_counts_per_px_per_frame: float
    """After losses, before the pixels' sensitivities: the mean of a gain-corrected frame."""
    stage_x_um: float
    stage_y_um: float
    image_shift_x_um: float
    image_shift_y_um: float
    particles: tuple[ParticleTruth, ...]
    faults: tuple[str, ...] = ()
    file: str | None = None
    """Path below the raw folder."""
    sidecar: str | None = None
    eer_raw_frames_per_frame: int | None = None
    """EER only: raw frames [f n, (f + 1) n) show frame f; they share its blurred image, each with its own electrons."""


@dataclass(frozen=True, slots=True)
class SessionTruth:
    settings: dict[str, Any]
    file_format: str
    sidecar_kind: str
    gain_convention: str
    """Of the gain file as written."""
    gain_orientation_written: str
    """What was done to the reference before it was written; `identity` fits the movies as they read."""
    symmetry: str
    movies: tuple[MovieTruth, ...] = field(default=())
    faults: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """As JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.tmp")
        part.write_text(json.dumps(_rounded(asdict(self)), allow_nan=False), encoding="utf-8")
        os.replace(part, path)


def _rounded(value: Any) -> Any:
    """Floats to seven digits: a truth file is read by people too."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def read_truth(path: Path) -> dict[str, Any]:
    """The JSON of `SessionTruth` as plain dictionaries and lists."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
