"""The movie table: draws only the lines that are seen, holds only the pages around them.

Textual's own DataTable keeps and measures every row; at 50 000 movies that takes seconds and hundreds of megabytes.
This one asks for pages (`Wanted`), and the answers are handed to it (`take`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from frazil.daemon.transport.messages import Row, Rows
from frazil.tui.live.movie_columns import Layout, fitting, header_cells, row_cells
from frazil.tui.live.pages import MoviePages, View
from frazil.tui.words.short_names import ShortNames

_HEADER_LINES = 1
_AHEAD_ROWS = 60


class MovieTable(ScrollView, can_focus=True):
    """Lines of movies with a cursor. While it follows the newest, the mark is on the movie that is shown beside the
    table (`follow_movie`); once a person has moved it, it stays on its movie whatever arrives."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "movie-table--header",
        "movie-table--cursor",
        "movie-table--dim",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "first", "Newest", show=False),
        Binding("end", "last", "Last", show=False),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)
    following: reactive[bool] = reactive(True, repaint=False)

    @dataclass
    class Wanted(Message):
        """Rows of these pages are on the screen and not in memory (or out of date)."""

        numbers: list[int]
        version: int
        view: View

    @dataclass
    class Highlighted(Message):
        """The cursor is on this movie, put there by a person (`by_hand`) or by rows that moved under it."""

        row: Row
        by_hand: bool

    class SortAsked(Message):
        """A click on a column's title."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pages = MoviePages()
        self._cursor_movie: str | None = None
        self._followed: str | None = None
        self.empty_text = "no movies yet"
        self.names = ShortNames()
        self.shown: tuple[str, ...] | None = None
        """Columns that a person wants; None: as many as there is room for."""
        self._base = self._header = self._on_cursor = self._dim = Style.null()
        self._layout = fitting(0)
        self._mark = 0

    # ---- what the screen calls

    def set_view(self, view: View) -> None:
        """Another order or filter; back to the top."""
        self.pages.set_view(view)
        self.following = True
        self._cursor_movie = None
        self.cursor = 0
        self.scroll_to(y=0, animate=False)
        self.ask()

    def changed(self) -> None:
        """The daemon's table has changed; what is seen is fetched again."""
        self.pages.invalidate()
        self.ask()

    def ask(self) -> None:
        """Asks for what is seen and not there, and for what a little scrolling would show."""
        first = max(0, int(self.scroll_offset.y) - _AHEAD_ROWS)
        last = int(self.scroll_offset.y) + max(1, self.size.height) + _AHEAD_ROWS
        if self.pages.total:
            last = min(last, max(0, self.pages.total - 1))
        numbers = self.pages.wanted(min(first, last), last)
        if numbers:
            self.post_message(self.Wanted(numbers, self.pages.version, self.pages.view))

    def take(self, number: int, version: int, view: View, answer: Rows) -> None:
        """A page has come."""
        if not self.pages.fill(number, version, view, answer):
            return
        self.names.learn([str(row["relative_path"]) for row in answer.as_dicts()])
        self.virtual_size = Size(self._width, self.pages.total + _HEADER_LINES)
        self._keep_cursor()
        self.refresh()

    def go_to(self, index: int) -> None:
        """Puts the cursor on a line, as a person would."""
        self._move_to(index)

    @property
    def follows_newest(self) -> bool:
        """Nobody has moved the cursor, sorted or filtered."""
        return self.following and self.pages.view == View()

    def follow_movie(self, movie_id: str | None) -> None:
        """The newest result, which is marked while nobody has moved the cursor."""
        if movie_id != self._followed:
            self._followed = movie_id
            self.refresh()

    def _marked(self) -> int:
        """The line that is marked, and from which the cursor starts to move."""
        if self.follows_newest and self._followed is not None:
            index = self.pages.index_of(self._followed)
            if index is not None:
                return index
        return self.cursor

    def current(self) -> Row | None:
        """The movie under the cursor, if its page is here."""
        return self.pages.row(self.cursor)

    def show_columns(self, shown: tuple[str, ...] | None) -> None:
        """Other columns."""
        if shown != self.shown:
            self.shown = shown
            self.refresh()

    def _fitting(self) -> Layout:
        return fitting(
            self._width - 1, self.shown, name_cells=self.names.longest, highest_number=self.pages.highest_number
        )

    # ---- cursor

    def action_move(self, step: int) -> None:
        self._move_to(self._marked() + step)

    def action_page(self, step: int) -> None:
        self._move_to(self._marked() + step * max(1, self.size.height - _HEADER_LINES - 1))

    def action_first(self) -> None:
        self._move_to(0)
        self.following = True

    def action_last(self) -> None:
        self._move_to(self.pages.total - 1)

    def _move_to(self, index: int) -> None:
        if not self.pages.total:
            return
        self.cursor = min(max(0, index), self.pages.total - 1)
        self.following = False
        self._cursor_movie = None
        self._show_cursor()
        self._announce(by_hand=True)
        self.refresh()

    def _show_cursor(self) -> None:
        top, room = int(self.scroll_offset.y), max(1, self.size.height - _HEADER_LINES)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + room:
            self.scroll_to(y=self.cursor - room + 1, animate=False, force=True)

    def _keep_cursor(self) -> None:
        """Rows that arrive above must not put another movie under the cursor."""
        self.cursor = min(self.cursor, max(0, self.pages.total - 1))
        if not self.following and self._cursor_movie is not None:
            index = self.pages.index_of(self._cursor_movie)
            if index is not None and index != self.cursor:
                self.scroll_to(y=max(0, int(self.scroll_offset.y) + index - self.cursor), animate=False, force=True)
                self.cursor = index
        self._announce(by_hand=False)

    def _announce(self, *, by_hand: bool) -> None:
        row = self.current()
        if row is None:
            return
        known, self._cursor_movie = self._cursor_movie, str(row["movie_id"])
        if by_hand or known is None or known != self._cursor_movie:
            self.post_message(self.Highlighted(row, by_hand or known is None))

    # ---- drawing

    @property
    def _width(self) -> int:
        """Cells beside the scrollbar."""
        return self.scrollable_content_region.width

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.ask()
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        self.virtual_size = Size(self._width, self.pages.total + _HEADER_LINES)
        self.ask()

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:  # on the border
            return
        if at.y == 0:
            column = self._fitting().at(at.x)
            if column is not None:
                self.post_message(self.SortAsked(column.key))
        else:
            self._move_to(int(self.scroll_offset.y) + at.y - _HEADER_LINES)

    def render_lines(self, crop: Region) -> list[Strip]:
        # Styles and widths are costly: once a drawing, not once a line.
        self._base = self.rich_style
        self._header = self.get_component_rich_style("movie-table--header")
        self._on_cursor = self.get_component_rich_style("movie-table--cursor")
        self._dim = self.get_component_rich_style("movie-table--dim")
        self._layout = self._fitting()
        self._mark = self._marked()
        self.call_later(self.ask)  # more lines may be seen than before
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self._width
        if y == 0:
            view = self.pages.view
            text = " " + self._layout.join(header_cells(self._layout, view.sort, view.descending))
            return Strip([Segment(text, self._header)]).adjust_cell_length(width, self._header)
        index = int(self.scroll_offset.y) + y - _HEADER_LINES
        if index >= self.pages.total:
            text = f" {self.empty_text}" if not self.pages.total and y == 1 else ""
            return Strip([Segment(text, self._dim)]).adjust_cell_length(width, self._base)
        return self._row_strip(index, width)

    def _row_strip(self, index: int, width: int) -> Strip:
        on_cursor = index == self._mark
        base = self._on_cursor if on_cursor else self._base
        row = self.pages.row(index)
        if row is None:
            return Strip([Segment(" …", base + self._dim)]).adjust_cell_length(width, base)
        segments = [Segment("▌" if on_cursor else " ", base)]
        gap = " " * self._layout.gap
        for text, style in row_cells(self._layout, row, self.names.short):
            segments.append(Segment(text + gap, base if style is None or on_cursor else base + style))
        return Strip(segments).adjust_cell_length(width, base)
