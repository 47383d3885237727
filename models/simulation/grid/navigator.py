"""A SerialEM navigator file of a simulated grid: a map for each imaged square, a point for each hole that was chosen.

Positions are of the stage in um; `MapScaleMat` takes them from the map's own middle to its pixels, whose origin is
bottom left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from frazil.models.formats.atomic import atomic_path
from frazil.models.simulation.grid.images import Sheet, square_sheet
from frazil.models.simulation.grid.truth import Flags, GridTruth

_FIRST_MAP, _FIRST_POINT = 100_000, 200_000


def write_navigator(path: Path, truth: GridTruth, chosen: Flags) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\r\n".join(("AdocVersion = 2.00", f"LastSavedAs = X:\\simulated\\{path.name}", "", *_items(truth, chosen)))
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\r\n", encoding="utf-8", newline="")


def _items(truth: GridTruth, chosen: Flags) -> Iterator[str]:
    label = 0
    for at, square in enumerate(truth.squares):
        if not square.surveyed:
            continue
        label += 1
        yield from _map(label, at, square_sheet(truth, at), square.number)
        for hole in np.flatnonzero(chosen & (truth.holes.square == at)).tolist():
            x, y = square.x_um + float(truth.holes.x_um[hole]), square.y_um + float(truth.holes.y_um[hole])
            yield from (
                f"[Item = {truth.holes.number[hole]}]", "Color = 0", f"StageXYZ = {x:.4f} {y:.4f} 0", "NumPts = 1",
                "Regis = 1", "Type = 0", f"DrawnID = {_FIRST_MAP + at}", f"GroupID = {at + 1}",
                f"MapID = {_FIRST_POINT + hole}", "Acquire = 1", f"PtsX = {x:.4f}", f"PtsY = {y:.4f}", "",
            )  # fmt: skip


def _map(label: int, at: int, sheet: Sheet, number: int) -> Iterator[str]:
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], dtype=float)
    x, y = sheet.stage_um(corners[:, 0] * (sheet.width_px - 1), corners[:, 1] * (sheet.height_px - 1))
    # Rows run down in the file, y runs up in SerialEM's pixels.
    matrix = np.diag([1.0, -1.0]) @ np.linalg.inv(np.array(sheet.matrix_um_per_px))
    image = f"X:\\simulated\\session\\Images-Disc1\\GridSquare_{number}\\square.mrc"
    yield from (
        f"[Item = {label}-A]", "Color = 2", f"StageXYZ = {sheet.x_um:.4f} {sheet.y_um:.4f} 0", "NumPts = 5",
        "Regis = 1", "Type = 2", f"Note = GridSquare_{number}", f"MapID = {_FIRST_MAP + at}", f"MapFile = {image}",
        "MapSection = 0", "MapBinning = 1", "MontBinning = 0", "MapMagInd = 17", "MapCamera = 0",
        f"MapWidthHeight = {sheet.width_px} {sheet.height_px}", "MapMontage = 0",
        "MapScaleMat = " + " ".join(f"{value:.6g}" for value in matrix.ravel()),
        "PtsX = " + " ".join(f"{value:.4f}" for value in x), "PtsY = " + " ".join(f"{value:.4f}" for value in y), "",
    )  # fmt: skip
