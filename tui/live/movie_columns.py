"""The columns of the movie table: what the store calls them, what people read, how wide, when there is room."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from rich.style import Style

from frazil.daemon.transport.messages import Row, Scalar
from frazil.tui.words.causes import short_cause
from frazil.tui.words.formatting import clean, clock, movie_name, number, shorten_left
from frazil.tui.words.palette import movie_look


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `title` carries the unit; `rank` says which columns go first when there is no room (0 stays)."""

    key: str
    title: str
    width: int
    rank: int
    text: Callable[[Scalar], str]
    right: bool = True


def _fixed(digits: int) -> Callable[[Scalar], str]:
    return lambda value: number(value, digits)


def _text(value: Scalar) -> str:
    return clean(value or "")


def _state(value: Scalar) -> str:
    return movie_look(value).text


_NUMBER, _STATE, _NAME, _CAUSE, _FLAGS = "number", "state", "relative_path", "named_cause", "flags"
ALWAYS = (_STATE, _NAME)
"""Without these a line says nothing."""
FILE_WIDTH_MIN = 18
_FILE_WIDTH_LEAST = 8
"""Room for the end of a name, which tells movies apart; less than `FILE_WIDTH_MIN` only for the most needed columns."""
_CAUSE_WHOLE = 12
"""A cause or a flag in a word; the name gives way to it."""
_NAME_MOST, _CAUSE_MOST, _STATE_WHOLE = 60, 48, 13
"""What is left of the line goes to the name, then to the words of the state, the reason, and to the name again."""

COLUMNS: tuple[Column, ...] = (
    Column(_NUMBER, "#", 4, 2, _fixed(0)),
    Column(_STATE, "state", 10, 0, _state, right=False),
    Column(_NAME, "movie", 0, 0, movie_name, right=False),  # takes the room that is left
    Column("ctf_fit_angstrom", "fit Å", 5, 0, _fixed(1)),
    Column("defocus_um", "def µm", 6, 2, _fixed(2)),
    Column("astigmatism_angstrom", "astig Å", 8, 5, _fixed(0)),
    Column("motion_total_angstrom", "mot. Å", 6, 1, _fixed(1)),
    Column("motion_early_angstrom", "early Å", 8, 5, _fixed(1)),
    Column("ice_nm", "ice nm", 6, 2, _fixed(0)),
    Column("ice_ring_density", "ring", 5, 5, _fixed(2)),
    Column(_CAUSE, "cause/flag", 10, 1, short_cause, right=False),
    Column("particle_count", "parts", 6, 7, _fixed(0)),
    Column("lag_s", "lag s", 6, 3, _fixed(0)),
    Column("grid_square", "square", 12, 9, _text, right=False),
    Column("hole", "hole", 12, 9, _text, right=False),
    Column("frame_count", "frames", 7, 8, _fixed(0)),
    Column("optics_group", "group", 5, 8, _fixed(0)),
    Column("found_utc_us", "found", 8, 4, clock),
    Column(_FLAGS, "flags", 18, 9, _text, right=False),
)
BY_KEY = {column.key: column for column in COLUMNS}

_INCOMPLETE = "incomplete: "
"""How the reason of a file begins that stands still and is not whole (`daemon/intake/machine.py`)."""
_ENDS_COUNT = (_NAME, "grid_square", "hole")
_GIVEN_UP = ("rejected", "failed", "quarantined")
_GAPS = (2, 1)
_WANTED_RANK = 2
"""Columns up to here are worth narrower gaps and shorter names."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that fit with their widths, and the cells between them."""

    columns: tuple[tuple[Column, int], ...]
    gap: int

    def join(self, cells: list[str]) -> str:
        """One line."""
        return (" " * self.gap).join(cells)

    def at(self, x: int) -> Column | None:
        """The column under a cell of the header line."""
        left = 1
        for column, width in self.columns:
            if left <= x < left + width + self.gap:
                return column
            left += width + self.gap
        return None


def fitting(
    width: int, shown: Collection[str] | None = None, *, name_cells: int = FILE_WIDTH_MIN, highest_number: int = 0
) -> Layout:
    """For lines of `width` cells; columns of high rank are left out first.

    Parameters
    ----------
    shown:
        Keys of the columns that a person wants; None: all.
    name_cells:
        How long the names are.
    highest_number:
        Of the movies: a number is never cut, it would be another movie's.
    """
    columns = (_wide_enough(column, highest_number) for column in COLUMNS)
    wanted = [column for column in columns if shown is None or column.key in shown or column.key in ALWAYS]
    for highest in range(max(column.rank for column in wanted), -1, -1):
        chosen = [column for column in wanted if column.rank <= highest]
        for gap in _GAPS if highest <= _WANTED_RANK else _GAPS[:1]:
            left = width - sum(column.width for column in chosen) - gap * (len(chosen) - 1)
            least = _FILE_WIDTH_LEAST if gap == _GAPS[-1] else FILE_WIDTH_MIN
            if left >= least or (highest == 0 and gap == _GAPS[-1]):
                return Layout(tuple(_shared_out(chosen, left, name_cells)), gap)
    raise AssertionError("the last turn of the loop returns")


def _wide_enough(column: Column, highest_number: int) -> Column:
    digits = len(str(highest_number))
    return replace(column, width=digits) if column.key == _NUMBER and digits > column.width else column


def _shared_out(chosen: list[Column], left: int, name_cells: int) -> list[tuple[Column, int]]:
    """Widths of the columns, of which the name and the reason take what is left."""
    with_cause = BY_KEY[_CAUSE] in chosen
    whole = min(max(0, left - _FILE_WIDTH_LEAST), _CAUSE_WHOLE - BY_KEY[_CAUSE].width) if with_cause else 0
    name = min(max(4, left - whole), max(name_cells, _FILE_WIDTH_LEAST), _NAME_MOST)
    spare = max(0, left - whole - name)
    state = min(spare, _STATE_WHOLE - BY_KEY[_STATE].width)
    spare -= state
    more = whole + min(spare, _CAUSE_MOST - BY_KEY[_CAUSE].width - whole) if with_cause else 0
    widths = {
        _STATE: BY_KEY[_STATE].width + state,
        _NAME: max(4, left) - more - state,
        _CAUSE: BY_KEY[_CAUSE].width + more,
    }
    return [(column, widths.get(column.key, column.width)) for column in chosen]


def header_cells(layout: Layout, sort: str, descending: bool) -> list[str]:
    """Titles; the column that sorts has an arrow, where there is no room for it between the name and its unit."""
    cells = []
    for column, width in layout.columns:
        title, arrow = column.title, "▼" if descending else "▲"
        if column.key == sort:
            title = title + arrow if len(title) < width else title.replace(" ", arrow, 1)
        cells.append(_fit(title, width, column.right))
    return cells


def row_cells(layout: Layout, row: Row, name: Callable[[object], str] = movie_name) -> list[tuple[str, Style | None]]:
    """Texts of one row, cut to their widths, with the state's colour where there is one. `name`: of a path."""
    keys = {column.key for column, _ in layout.columns}
    cells: list[tuple[str, Style | None]] = []
    for column, width in layout.columns:
        text = column.text(row.get(column.key))
        if column.key == "ice_nm" and row.get("ice_sd_nm") is not None:
            text += f"±{number(row.get('ice_sd_nm'), 0)}"
        if column.key == _STATE and str(row.get("reason") or "").startswith(_INCOMPLETE):
            text = "… incomplete" if row.get("state") == "settling" else text
        if column.key == _CAUSE:
            text = _why(row, text, with_flags=_FLAGS not in keys)
        if column.key == _NAME:
            text = name(row.get(_NAME))
        if column.key in _ENDS_COUNT:
            text = shorten_left(text, width)
        style = Style(color=movie_look(row.get("state")).color) if column.key == _STATE else None
        cells.append((_fit(text, width, column.right), style))
    return cells


def _why(row: Row, cause: str, *, with_flags: bool) -> str:
    """The reason of what was given up; else what costs most, and the flags."""
    if row.get("state") in _GIVEN_UP and row.get("reason"):
        return clean(row["reason"])
    flags = clean(row.get(_FLAGS) or "") if with_flags else ""
    return ", ".join(part for part in (cause, flags) if part)


def _fit(text: str, width: int, right: bool) -> str:
    cut = text if len(text) <= width else text[: max(0, width - 1)] + "…"
    return cut.rjust(width) if right else cut.ljust(width)
