"""A table of targets that a person or a program of a facility writes, where no acquisition program's file is at hand.

CSV with a line of column names; at least one of `name` and `square`:

========================  ==========================================================================================
`name`, `square`          of the hole and of its square, as they will stand in the movie's name or sidecar
`group`                   holes with one name here are taken from one position of the stage
`x_um`, `y_um`, `z_um`    of the stage
`x_px`, `y_px`            of the square's image at full size, from its top left corner
`diameter_um`             of the hole
`state`                   `seen`, `chosen` (where it is left out), `exposed` or `avoided`
`ice`, `defocus_um`, ...  every other column of numbers: what is known of the hole; put the unit into the name
========================  ==========================================================================================

Holes are taken in the order of the lines.
"""

from __future__ import annotations

from pathlib import Path

from frazil.models.formats.grid.reading import GridNote, GridReading
from frazil.models.formats.hole_list import csv_rows, read_text
from frazil.models.formats.sidecar_values import number
from frazil.models.grid_target import STATES, GridTarget

PROGRAM = "list"
_WORDS = ("name", "square", "group", "state")
_PLACES = ("x_um", "y_um", "z_um", "x_px", "y_px", "diameter_um")


def read_target_list(path: Path) -> GridReading:
    """Squares and holes of a table; a hole that is listed twice counts as its last line says.

    Raises
    ------
    UsageError
        There is no such file.
    FormatError
        No table with one of the two columns.
    """
    notes: list[GridNote] = []
    squares: dict[str, GridTarget] = {}
    holes: dict[str, GridTarget] = {}
    for line, row in csv_rows(read_text(path), path):
        if not row.get("name") and not row.get("square"):
            continue
        hole = _hole(row, line, path, notes)
        if hole.parent_id is not None:
            square = GridTarget(hole.parent_id, "square", PROGRAM, row["square"], said_by=path.name)
            squares.setdefault(hole.parent_id, square)
        if hole.target_id in holes:
            notes.append(GridNote(path.name, f"line {line} lists {hole.name} once more", "keep one of the lines"))
        holes[hole.target_id] = hole
    return GridReading((*squares.values(), *holes.values()), tuple(notes))


def _hole(row: dict[str, str], line: int, path: Path, notes: list[GridNote]) -> GridTarget:
    square, name, state = row.get("square", ""), row.get("name", ""), row.get("state", "").lower() or "chosen"
    if state not in STATES:
        what = f"line {line} gives the state {state[:20]!r}"
        notes.append(GridNote(path.name, what, f"use {', '.join(STATES)}"))
        state = "chosen"
    values = _numbers(row, line, path, notes)
    group = row.get("group", "")
    features = tuple((key, value) for key, value in values.items() if key not in _PLACES)
    return GridTarget(
        f"list:hole:{square}/{name or f'line {line}'}",
        "hole",
        PROGRAM,
        name,
        f"list:square:{square}" if square else None,
        state,
        line - 2 if state == "chosen" else None,
        f"list:group:{square}/{group}" if group else None,
        values.get("x_px"),
        values.get("y_px"),
        values.get("x_um"),
        values.get("y_um"),
        values.get("z_um"),
        values.get("diameter_um"),
        features,
        said_by=path.name,
    )


def _numbers(row: dict[str, str], line: int, path: Path, notes: list[GridNote]) -> dict[str, float]:
    values: dict[str, float] = {}
    for key, word in row.items():
        if key in _WORDS or not word:
            continue
        value = number(word)
        if value is None:
            notes.append(GridNote(path.name, f"line {line}: {key} is {word[:40]!r}, no number", "correct it"))
        else:
            values[key] = value
    return values
