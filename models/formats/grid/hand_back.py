"""A ranked list for a person at EPU, which takes no list from outside: a table to choose holes by."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from frazil.models.formats.grid.navigator_write import RankedTarget

_COLUMNS = ("rank", "square", "hole", "x_in_square_px", "y_in_square_px", "stage_x_um", "stage_y_um", "reason")


def ranked_csv(ranked: Sequence[RankedTarget]) -> str:
    """One line a hole, best first: the numbers that EPU shows, its pixel in the full image of the square, and why."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for rank, one in enumerate(ranked, 1):
        target = one.target
        square = (target.parent_id or "").rpartition(":")[2]
        places = (target.x_in_parent_px, target.y_in_parent_px, target.stage_x_um, target.stage_y_um)
        numbers = ("" if value is None else f"{value:.2f}" for value in places)
        writer.writerow((rank, *map(_cell, (square, target.name)), *numbers, _cell(one.reason)))
    return out.getvalue()


def _cell(text: str) -> str:
    """On one line, and no formula to a spreadsheet."""
    plain = " ".join(text.split())
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain
