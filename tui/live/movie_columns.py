"""The columns of the movie table: what the store calls them, what people read, how wide, when there is room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


def _state(value: Scalar) -> str:
    return movie_look(value).text


FILE_WIDTH_MIN = 18
_FILE_WIDTH_LEAST = 12
"""Room for the end of a name, which tells movies apart; less than `FILE_WIDTH_MIN` only for the most needed columns."""

COLUMNS: tuple[Column, ...] = (
    Column("state", "state", 13, 0, _state, right=False),
    Column("relative_path", "movie", 0, 0, movie_name, right=False),  # takes the room that is left
    Column("ctf_fit_angstrom", "fit Å", 6, 0, _fixed(1)),
    Column("defocus_um", "def µm", 7, 2, _fixed(2)),
    Column("astigmatism_angstrom", "astig Å", 8, 5, _fixed(0)),
    Column("motion_total_angstrom", "mot. Å", 7, 1, _fixed(1)),
    Column("motion_early_angstrom", "early Å", 8, 5, _fixed(1)),
    Column("ice_nm", "ice nm", 7, 2, _fixed(0)),
    Column("ice_ring_density", "ring", 5, 5, _fixed(2)),
    Column("named_cause", "cause", 7, 1, short_cause, right=False),
    Column("particle_count", "parts", 6, 7, _fixed(0)),
    Column("lag_s", "lag s", 6, 3, _fixed(0)),
    Column("frame_count", "frames", 7, 8, _fixed(0)),
    Column("optics_group", "group", 5, 8, _fixed(0)),
    Column("found_utc_us", "found", 8, 4, clock),
    Column("flags", "flags", 18, 6, lambda value: clean(value or ""), right=False),
)
BY_KEY = {column.key: column for column in COLUMNS}

_INCOMPLETE = "incomplete: "
"""How the reason of a file begins that stands still and is not whole (`daemon/intake/machine.py`)."""
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


def fitting(width: int) -> Layout:
    """For lines of `width` cells; columns of high rank are left out first."""
    for highest in range(max(column.rank for column in COLUMNS), -1, -1):
        chosen = [column for column in COLUMNS if column.rank <= highest]
        for gap in _GAPS if highest <= _WANTED_RANK else _GAPS[:1]:
            left = width - sum(column.width for column in chosen) - gap * (len(chosen) - 1)
            least = _FILE_WIDTH_LEAST if gap == _GAPS[-1] else FILE_WIDTH_MIN
            if left >= least or (highest == 0 and gap == _GAPS[-1]):
                return Layout(tuple((column, column.width or max(4, left)) for column in chosen), gap)
    raise AssertionError("the last turn of the loop returns")


def header_cells(layout: Layout, sort: str, descending: bool) -> list[str]:
    """Titles; the column that sorts has an arrow."""
    cells = []
    for column, width in layout.columns:
        title = column.title + (("▼" if descending else "▲") if column.key == sort else "")
        cells.append(_fit(title, width, column.right))
    return cells


def row_cells(layout: Layout, row: Row) -> list[tuple[str, Style | None]]:
    """Texts of one row, cut to their widths, with the state's colour where there is one."""
    cells: list[tuple[str, Style | None]] = []
    for column, width in layout.columns:
        text = column.text(row.get(column.key))
        if column.key == "ice_nm" and row.get("ice_sd_nm") is not None:
            text += f"±{number(row.get('ice_sd_nm'), 0)}"
        if column.key == "state" and str(row.get("reason") or "").startswith(_INCOMPLETE):
            text = "… incomplete" if row.get("state") == "settling" else text
        if column.key == "relative_path":
            text = shorten_left(text, width)
        style = Style(color=movie_look(row.get("state")).color) if column.key == "state" else None
        cells.append((_fit(text, width, column.right), style))
    return cells


def _fit(text: str, width: int, right: bool) -> str:
    cut = text if len(text) <= width else text[: max(0, width - 1)] + "…"
    return cut.rjust(width) if right else cut.ljust(width)
