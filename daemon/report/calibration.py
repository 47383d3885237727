"""What a known structure tells of a session's newest map, in words and numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.config.errors import UsageError
from frazil.daemon.store.reading import open_session
from frazil.models.reconstruction.calibration.known_structure import COARSEST_ANGSTROM, Calibration, calibrate
from frazil.models.reconstruction.calibration.structure_files import read_structure
from frazil.models.reconstruction.refine.initial_map import read_map

_TOLD_SD = 2.0
"""So many of its errors a pixel size has to be off before anything is to be done."""
_HAND_ANGSTROM = 7.0
"""Maps that are better have the hand that the likelihood says."""


@dataclass(frozen=True, slots=True)
class CalibratedSession:
    """A session's map beside a structure."""

    model: str
    round: int
    pixel_size_angstrom: float | None
    """Of most movies, as stated."""
    calibration: Calibration

    def as_json(self) -> dict[str, Any]:
        """Everything; frequencies and correlations as lists."""
        values = asdict(self) | {"fits": self.calibration.fits}
        known = {name: None if value != value else value for name, value in values["calibration"].items()}  # NaN
        return values | {"calibration": known}


def calibrated(session_dir: Path, model: Path) -> CalibratedSession:
    """Compare the newest map's halves with a structure.

    Raises
    ------
    UsageError
        There is no map, it is too coarse, or there is no such structure.
    FormatError, OSError
        The structure or the half maps cannot be read.
    """
    structure = read_structure(model)
    with open_session(session_dir) as reader:
        newest = next((row for row in reversed(reader.named("reconstructions").as_dicts()) if row["half1_path"]), None)
        diameter = reader.named("particle_columns").as_dicts()[0]["diameter_angstrom"]
        stated = reader.named("acquisition").as_dicts()[0]["pixel_size_angstrom"]
    if newest is None:
        raise UsageError(
            "there is no map to be compared",
            path=session_dir,
            remedy="the map comes with the first particles of a session that has an initial map, or 700 of one without",
        )
    (first, pixel), (second, _) = _read_halves([session_dir / str(newest[f"half{n}_path"]) for n in (1, 2)])
    found = calibrate(
        torch.from_numpy(first),
        torch.from_numpy(second),
        structure,
        pixel_size_angstrom=pixel,
        symmetry=str(newest["symmetry"]),
        diameter_angstrom=float(str(diameter)) if diameter is not None else 0.6 * first.shape[0] * pixel,
    )
    if found is None:
        raise UsageError(
            f"the map is coarser than {COARSEST_ANGSTROM:.0f} A and tells nothing of its pixel size",
            path=session_dir,
            remedy="ask again when there are more particles",
        )
    return CalibratedSession(
        str(model), int(str(newest["round"])), None if stated is None else float(str(stated)), found
    )


def _read_halves(paths: list[Path]) -> tuple[tuple[NDArray[np.float32], float], tuple[NDArray[np.float32], float]]:
    """Of one round: a round that ends meanwhile replaces both."""
    while True:
        before = [path.stat().st_mtime_ns for path in paths]
        first, second = (read_map(path) for path in paths)
        if [path.stat().st_mtime_ns for path in paths] == before:
            return first, second


def calibration_lines(session: CalibratedSession) -> list[str]:
    """For people."""
    found = session.calibration
    agrees = "nowhere" if found.agrees_to_angstrom is None else f"to {found.agrees_to_angstrom:.1f} A"
    compared = (
        f"map of round {session.round} ({found.resolution_angstrom:.1f} A) and {session.model}: they agree {agrees} "
        "(FSC 0.5)"
    )
    if not found.fits:
        return [compared, "this map is not of this structure, or not of all of it: nothing can be said by it"]
    return [compared, *_pixel_lines(session), _hand_line(found), *_gain_lines(found)]


def _pixel_lines(session: CalibratedSession) -> list[str]:
    found = session.calibration
    ratio, error = found.pixel_size_ratio, found.pixel_size_ratio_error
    percent = f"{100 * (ratio - 1):+.2f} +- {100 * error:.2f} %"
    stated = session.pixel_size_angstrom
    size = "" if stated is None else f"{stated * ratio:.4f} +- {stated * error:.4f} A, stated {stated:g} A: "
    line = f"pixel size: {size}{percent} by the structure's own scale"
    if abs(ratio - 1) < _TOLD_SD * error:
        return [f"{line}; it is right as far as can be told"]
    lines = [
        line,
        f"  with it defoci are {ratio**2:.4f} times what was said, resolutions and diameters {ratio:.4f} times",
    ]
    if stated is not None:
        lines.append(
            f"  to use it: frazil set SESSION microscope.pixel_size_angstrom={stated * ratio:.4f} "
            "intake.sidecar_distrust=pixel_size_angstrom"
        )
    return lines


def _hand_line(found: Calibration) -> str:
    if found.is_mirrored is None:
        return "hand: cannot be told at this resolution"
    odds = "beyond doubt" if found.hand_ln > 20 else f"{math.exp(found.hand_ln):,.0f} to 1"
    which = "MIRRORED: the map has the other hand" if found.is_mirrored else "right"
    coarse = found.resolution_angstrom > _HAND_ANGSTROM
    return f"hand: {which} ({odds}{'; at such a resolution by its outline alone' if coarse else ''})"


def _gain_lines(found: Calibration) -> list[str]:
    if math.isnan(found.gain):
        return []
    return [
        f"scale: the map is {found.gain:.3g} +- {found.gain_error:.2g} times the structure's potential (V), and falls "
        f"by B = {found.b_factor_a2:.0f} +- {found.b_factor_error_a2:.0f} A2 more"
    ]
