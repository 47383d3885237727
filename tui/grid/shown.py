"""What a pane of places shows of squares or holes: positions, marks, lines of the list, what the signs mean. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from frazil.daemon.transport.messages import Row
from frazil.tui.grid import looks, words
from frazil.tui.grid.layout import Place, placed


@dataclass(frozen=True, slots=True)
class Shown:
    """Every place has a line; those with a position have a mark, and a name where names are wanted beside it."""

    places: Sequence[Place]
    marks: Mapping[str, Text]
    names: Mapping[str, str]
    lines: Sequence[tuple[str, Text]]
    heading: Text
    legend: Text


def squares_shown(squares: Mapping[str, Row], next_square_id: str | None) -> Shown:
    """Rows of the query `grid_squares` by id."""
    rows = list(squares.values())
    places = placed(rows)
    return Shown(
        places,
        {key: looks.square_mark(row, next_square_id) for key, row in squares.items()},
        {key: words.name_of(row) for key, row in squares.items()},
        [(key, words.square_line(row, next_square_id)) for key, row in squares.items()],
        words.SQUARE_HEADING,
        looks.legend(
            {looks.square_state(row, next_square_id) for row in rows},
            steps=any(row["usable"] is not None for row in rows),
            unplaced=_unplaced(rows, places),
        ),
    )


def holes_shown(holes: Mapping[str, Row], following: Container[str], ranked: int) -> Shown:
    """Rows of the query `square_targets` by id; `following` are the ids of the `ranked` to take next."""
    rows = list(holes.values())
    places = placed(rows)
    others = [row for key, row in holes.items() if key not in following]
    return Shown(
        places,
        {key: looks.hole_mark(row, ranked) for key, row in holes.items()},
        {},
        [(key, words.hole_line(row)) for key, row in holes.items()],
        words.HOLE_HEADING,
        looks.legend(
            {looks.hole_state(row) for row in others},
            steps=any(row["usable"] is not None for row in others),
            ranked=len(others) < len(rows),
            unplaced=_unplaced(rows, places),
        ),
    )


def _unplaced(rows: Sequence[Row], places: Sequence[Place]) -> int:
    """Places that are not on the picture, where there is one."""
    return len(rows) - len(places) if places else 0
