"""A grid of which every hole was shot: its places as they are known before, and apart from them what each shot gave."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frazil.models.grid_target import GridTarget

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
PREDICTED = "predicted_resolution_angstrom"


@dataclass(frozen=True, slots=True)
class Grid:
    """Holes in order of acquisition."""

    targets: tuple[GridTarget, ...]
    """Areas, squares and patches, then the holes: nothing in them comes from a shot."""
    hole_ids: tuple[str, ...]
    area: Index
    square: Index
    patch: Index
    predicted_angstrom: Array
    resolution_angstrom: Array
    """The truth: what each hole gives if it is shot."""

    def with_predictions(self, predicted_angstrom: Array | None) -> Grid:
        """The same grid, other predictions from the holes' images; None: none."""
        by_id = (
            dict(zip(self.hole_ids, predicted_angstrom.tolist(), strict=True)) if predicted_angstrom is not None else {}
        )
        targets = tuple(
            replace(one, features=((PREDICTED, by_id[one.target_id]),) if one.target_id in by_id else ())
            for one in self.targets
        )
        told = np.full(len(self.hole_ids), np.nan) if predicted_angstrom is None else predicted_angstrom
        return replace(self, targets=targets, predicted_angstrom=told)

    def with_squares(self, squares: npt.NDArray[np.intp]) -> Grid:
        """Only the holes of these squares (numbers of `square`)."""
        kept = np.isin(self.square, squares)
        names = {self.hole_ids[at] for at in np.flatnonzero(kept)}
        targets = tuple(one for one in self.targets if one.level != "hole" or one.target_id in names)
        return Grid(
            targets, tuple(self.hole_ids[at] for at in np.flatnonzero(kept)), self.area[kept],
            self.square[kept], self.patch[kept], self.predicted_angstrom[kept], self.resolution_angstrom[kept],
        )  # fmt: skip


def read(exposures: Path, targets: Path) -> Grid:
    """From two tables as in `shared/data/grid_exploration`."""
    with targets.open(newline="", encoding="utf-8") as file:
        places = {row["target"]: row for row in csv.DictReader(file)}
    with exposures.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: (row["acquired"], row["exposure"]))
    found: dict[str, GridTarget] = {}
    holes = []
    for number, row in enumerate(rows):
        chain = (
            ("area", row["grid_area"], None),
            ("square", row["square"], row["grid_area"]),
            ("patch", row["patch"], row["square"]),
        )
        for level, name, parent in chain:
            if name not in found:
                found[name] = _place(level, name, parent, places.get(name))
        holes.append(GridTarget(
            row["exposure"], "hole", "leginon", row["exposure"], parent_id=row["patch"], order=number,
            x_in_parent_px=float(row["x_in_patch_px"]), y_in_parent_px=float(row["y_in_patch_px"]),
        ))  # fmt: skip
    number_of = {
        key: {name: at for at, name in enumerate(dict.fromkeys(row[key] for row in rows))}
        for key in ("grid_area", "square", "patch")
    }
    area, square, patch = (
        np.array([number_of[key][row[key]] for row in rows]) for key in ("grid_area", "square", "patch")
    )
    grid = Grid(
        (*found.values(), *holes), tuple(row["exposure"] for row in rows), area, square, patch,
        np.full(len(rows), np.nan), np.array([float(row["ctf_max_resolution_angstrom"]) for row in rows]),
    )  # fmt: skip
    return grid.with_predictions(np.array([float(row["predicted_from_hole_image_angstrom"]) for row in rows]))


def _place(level: str, name: str, parent: str | None, row: dict[str, str] | None) -> GridTarget:
    if row is None:
        return GridTarget(name, level, "leginon", name.rsplit("_", 1)[-1], parent_id=parent)
    return GridTarget(
        name, level, "leginon", name.rsplit("_", 1)[-1], parent_id=parent,
        x_in_parent_px=float(row["x_in_parent_px"]), y_in_parent_px=float(row["y_in_parent_px"]),
    )  # fmt: skip
