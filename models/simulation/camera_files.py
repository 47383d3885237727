"""Gain reference and defects as files, in the frame of the movies as frazil reads them (row 0 first)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frazil.models.formats.mrc_write import write_mrc
from frazil.models.simulation.detector import Detector


def write_gain(
    path: Path, detector: Detector, *, convention: str, orientation: str, pixel_size_angstrom: float
) -> None:
    """Gain reference as `convention` says, after what `orientation` says was done to the array (row 0 first)."""
    reference: NDArray[np.float32] = detector.gain_multiplier() if convention == "multiply" else detector.sensitivity
    if orientation == "rot90":
        reference = np.rot90(reference)
    elif orientation == "flipud":
        reference = reference[::-1]
    write_mrc(path, np.ascontiguousarray(reference), pixel_size_angstrom)


def write_defects(folder: Path, detector: Detector, pixel_size_angstrom: float) -> None:
    """`defects.mrc` (1 is bad) and `defects.txt` (a line `x y width height` per pixel or whole column)."""
    height = detector.dead.shape[0]
    columns = np.nonzero(detector.dead.all(axis=0))[0]
    single = detector.defects.copy()
    single[:, columns] = False
    rows = [f"{x} 0 1 {height}" for x in columns] + [f"{x} {y} 1 1" for y, x in np.argwhere(single)]
    (folder / "defects.txt").write_text("\n".join(rows) + "\n", encoding="ascii")
    write_mrc(folder / "defects.mrc", detector.defects.astype(np.int8), pixel_size_angstrom)
