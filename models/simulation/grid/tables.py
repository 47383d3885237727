"""Outcomes and places as two tables, with the columns of a public recorded grid: `./run bench where_next` reads them.

Names: area (`gr`), square (`sq`), patch (`hl`), exposure (`en`). The prediction before the shot is what a person would
read off the hole's brightness: the resolution that ice of that thickness allows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from frazil.models.formats.atomic import atomic_path
from frazil.models.simulation.grid.exposure import BEST_FIT_ANGSTROM, FIT_HALVES_NM, FIT_POWER
from frazil.models.simulation.grid.microscope import Exposure
from frazil.models.simulation.grid.survey import ATTENUATION_NM, VACUUM_COUNTS, Brightness
from frazil.models.simulation.grid.truth import Array, GridTruth

PATCH_PX_PER_UM = 65.0
EXPOSURES = (
    "acquired", "exposure", "grid_area", "square", "patch", "x_in_patch_px", "y_in_patch_px",
    "ctf_max_resolution_angstrom", "ctf_cross_correlation", "predicted_from_hole_image_angstrom", "particles",
    "loss_ln", "usable", "effective_signal",
)  # fmt: skip
TARGETS = ("acquired", "target", "level", "parent", "x_in_parent_px", "y_in_parent_px")


def seen_ice_nm(seen: Brightness) -> Array:
    """Thickness by brightness, (holes,)."""
    return np.asarray(-ATTENUATION_NM * np.log(np.maximum(seen.mean, 1.0) / VACUUM_COUNTS))


def predicted_angstrom(seen: Brightness) -> Array:
    """(holes,)"""
    ice = np.maximum(seen_ice_nm(seen), 0.0)
    return np.asarray(BEST_FIT_ANGSTROM * (1.0 + (ice / FIT_HALVES_NM) ** FIT_POWER))


class Names:
    """Of areas, squares, patches and exposures."""

    def __init__(self, truth: GridTruth, grid: str = "grid") -> None:
        self._truth, self._grid = truth, grid

    def area(self, area: int) -> str:
        return f"{self._grid}_{area + 1:05d}gr"

    def square(self, square: int) -> str:
        return f"{self.area(self._truth.squares[square].area)}_{square + 1:05d}sq"

    def patch(self, hole: int) -> str:
        holes = self._truth.holes
        return f"{self.square(int(holes.square[hole]))}_{int(holes.patch[hole]) + 1:05d}hl"

    def exposure(self, hole: int) -> str:
        return f"{self.patch(hole)}_{int(self._truth.holes.number[hole])}en"


def utc_text(start_utc_us: int, seconds: float) -> str:
    return f"{datetime.fromtimestamp(start_utc_us / 1e6 + seconds, tz=UTC):%Y-%m-%d %H:%M:%S}"


def exposure_rows(
    truth: GridTruth, seen: Brightness, exposures: Sequence[Exposure], start_utc_us: int
) -> Iterator[tuple[str, ...]]:
    """Of `EXPOSURES`."""
    names, predicted = Names(truth), predicted_angstrom(seen)
    middles = patch_middles_um(truth)
    for one in exposures:
        square = int(truth.holes.square[one.hole])
        x, y = (
            (float(part[one.hole]) - middle) * PATCH_PX_PER_UM
            for part, middle in zip(
                (truth.holes.x_um, truth.holes.y_um), middles[int(truth.holes.patch[one.hole])], strict=True
            )
        )
        yield (
            utc_text(start_utc_us, one.ended_s), names.exposure(one.hole), names.area(truth.squares[square].area),
            names.square(square), names.patch(one.hole), f"{x:.2f}", f"{y:.2f}", f"{one.resolution_angstrom:.4f}",
            f"{one.fit_quality:.4f}", f"{predicted[one.hole]:.2f}", f"{one.particles:.0f}", f"{one.loss_ln:.4f}",
            str(int(one.usable)), f"{one.effective_signal:.2f}",
        )  # fmt: skip


def target_rows(truth: GridTruth, start_utc_us: int) -> Iterator[tuple[str, ...]]:
    """Of `TARGETS`: areas, and the surveyed squares and their patches."""
    names, when = Names(truth), utc_text(start_utc_us, 0.0)
    middles = patch_middles_um(truth)
    for area in sorted({square.area for square in truth.squares}):
        inside = [square for square in truth.squares if square.area == area]
        x, y = (float(np.mean([getattr(square, axis) for square in inside])) for axis in ("x_um", "y_um"))
        yield when, names.area(area), "grid_area", "grid", f"{x:.2f}", f"{y:.2f}"
    for at, square in enumerate(truth.squares):
        if square.surveyed:
            yield when, names.square(at), "square", names.area(square.area), f"{square.x_um:.2f}", f"{square.y_um:.2f}"
    first = np.unique(truth.holes.patch, return_index=True)[1]
    for hole in first[truth.surveyed[first]].tolist():
        x, y = middles[int(truth.holes.patch[hole])]
        square_name = names.square(int(truth.holes.square[hole]))
        yield when, names.patch(hole), "patch", square_name, f"{x * PATCH_PX_PER_UM:.2f}", f"{y * PATCH_PX_PER_UM:.2f}"


def patch_middles_um(truth: GridTruth) -> list[tuple[float, float]]:
    """Of every patch, from the middle of its square."""
    count = np.maximum(np.bincount(truth.holes.patch), 1)
    x, y = (np.bincount(truth.holes.patch, part) / count for part in (truth.holes.x_um, truth.holes.y_um))
    return list(zip(x.tolist(), y.tolist(), strict=True))


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
