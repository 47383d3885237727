"""Where places of a grid stand on a terminal: a cell for each, whatever is known of its position. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from frazil.daemon.transport.messages import Row, Scalar

CELL_ASPECT = 2.0
"""Height of a terminal's cell over its width."""
_LEAST_SPACING, _MOST_SPACING = 2.4, 14.0
"""Columns between neighbours: a mark has two, and a few places need not fill the pane."""
_NEIGHBOURS_OF = 48
"""Places whose nearest neighbour is looked for, to know the spacing of all."""
_ACROSS = 2.5
"""How much dearer it is to go sideways than to go on, when the cursor looks for its next place."""


@dataclass(frozen=True, slots=True)
class Place:
    """x grows to the right, y downwards, both in one unit."""

    key: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Cells:
    """Column and row of each place, from 0, and how many there are: more than the pane has where all cannot fit."""

    at: Mapping[str, tuple[int, int]]
    columns: int
    rows: int
    spacing: float
    """Columns between neighbours."""


def placed(rows: Sequence[Row], key: str = "target_id") -> list[Place]:
    """By stage positions in um (y upwards), or by pixels of the parent's image: what tells more places apart.

    Pixels count in one image only: that of the parent that most rows have.
    """
    by_stage = [
        Place(str(row[key]), x, -y)
        for row in rows
        if (x := _number(row["stage_x_um"])) is not None and (y := _number(row["stage_y_um"])) is not None
    ]
    parents = Counter(row["parent_id"] for row in rows if row["x_in_parent_px"] is not None)
    parent = parents.most_common(1)[0][0] if parents else None
    by_pixel = [
        Place(str(row[key]), x, y)
        for row in rows
        if row["parent_id"] == parent
        and (x := _number(row["x_in_parent_px"])) is not None
        and (y := _number(row["y_in_parent_px"])) is not None
    ]
    return by_stage if _distinct(by_stage) >= _distinct(by_pixel) else by_pixel


def _distinct(places: Sequence[Place]) -> int:
    return len({(place.x, place.y) for place in places})


def _number(value: Scalar) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def cells_of(places: Sequence[Place], width: int, height: int) -> Cells:
    """Cells for a pane of `width` x `height`: all of the grid if neighbours stay apart, else as large as they need."""
    if not places:
        return Cells({}, 0, 0, 0.0)
    xs, ys = [place.x for place in places], [place.y for place in places]
    left, top = min(xs), min(ys)
    span_x, span_y = max(xs) - left, max(ys) - top
    apart = spacing_of(places)
    fits = min(
        max(width - 3, 1) / span_x if span_x else math.inf,
        max(height - 1, 1) * CELL_ASPECT / span_y if span_y else math.inf,
    )
    per_unit = min(max(fits, _LEAST_SPACING / apart), _MOST_SPACING / apart) if apart else 0.0
    at: dict[str, tuple[int, int]] = {}
    taken: set[tuple[int, int]] = set()
    steps: dict[tuple[int, int], int] = {}
    for place in places:
        column, row = round((place.x - left) * per_unit), round((place.y - top) * per_unit / CELL_ASPECT)
        at[place.key] = cell = _free(column, row, taken, steps)
        taken.add(cell)
    columns = max(column for column, _ in at.values()) + 2
    return Cells(at, columns, max(row for _, row in at.values()) + 1, apart * per_unit)


def _free(column: int, row: int, taken: set[tuple[int, int]], steps: dict[tuple[int, int], int]) -> tuple[int, int]:
    """The nearest cell along row or column that has no other mark on it, a mark being two columns wide.

    `steps` remembers how far from each cell the search has got: many places may lie at one position.
    """
    step = steps.get((column, row), 0)
    while True:
        steps[column, row] = step
        for shift, down in ((2 * step, 0), (-2 * step, 0), (0, step), (0, -step)):
            cell = max(0, column + shift), max(0, row + down)
            if not {(cell[0] + beside, cell[1]) for beside in (-1, 0, 1)} & taken:
                return cell
        step += 1


def spacing_of(places: Sequence[Place]) -> float:
    """Median distance to the nearest neighbour, of places that do not lie on each other; 0: there is no other."""
    step = max(1, len(places) // _NEIGHBOURS_OF)
    nearest = []
    for place in places[::step]:
        away = [math.hypot(place.x - other.x, place.y - other.y) for other in places]
        apart = [distance for distance in away if distance > 0]
        if apart:
            nearest.append(min(apart))
    return median(nearest) if nearest else 0.0


def neighbour(at: Mapping[str, tuple[int, int]], key: str, right: int, down: int) -> str:
    """The place next to `key` in a direction (one of `right` and `down` is 1 or -1); itself where there is none."""
    column, row = at[key]
    best, least = key, math.inf
    for other, (other_column, other_row) in at.items():
        x, y = float(other_column - column), (other_row - row) * CELL_ASPECT
        along, across = x * right + y * down, abs(x * down) + abs(y * right)
        if along > 0 and along + _ACROSS * across < least:
            best, least = other, along + _ACROSS * across
    return best


def nearest_to(at: Mapping[str, tuple[int, int]], column: int, row: int, reach: float = 3.0) -> str | None:
    """The place on which somebody has clicked; None: none lies within `reach` columns."""
    away = {
        key: math.hypot(here - column, (line - row) * CELL_ASPECT) - 0.1 * (here <= column <= here + 1)
        for key, (here, line) in at.items()
    }
    best = min(away, key=lambda key: away[key], default=None)
    return best if best is not None and away[best] <= reach else None


def window_start(before: int, at: int, shown: int, whole: int, margin: int = 2) -> int:
    """The first of `shown` cells out of `whole`, moved as little as needed for the cursor at `at` to be seen."""
    if whole <= shown:
        return -((shown - whole) // 2)
    room = min(margin, max(0, (shown - 1) // 2))
    start = min(max(before, at - shown + 1 + room), at - room)
    return min(max(start, 0), whole - shown)
