"""Places of the grid as a picture of signs with a cursor that goes from one to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from frazil.tui.grid.layout import Cells, Place, cells_of, nearest_to, neighbour, window_start
from frazil.tui.words.formatting import clean
from frazil.tui.words.palette import GRAY

_CURSOR = Style(color="#ffffff", bgcolor="#2d4a66", bold=True)
_CURSOR_ALONE = Style(reverse=True, bold=True)
"""Where there is no room for the pointer: seen without colours, too."""
_POINTER = "▸"
"""Stands left of the place under the cursor."""
_BESIDE_NAME = 4
"""Cells of a place with a name: its mark and blanks."""


class PlaceMap(Widget, can_focus=True):
    """Marks of at most two cells at their positions; part of them where there is no room for all."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "go(-1, 0)", "left", show=False),
        Binding("right", "go(1, 0)", "right", show=False),
        Binding("up", "go(0, -1)", "up", show=False),
        Binding("down", "go(0, 1)", "down", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """A person has moved the cursor to this place."""

        places: PlaceMap
        key: str

        @property
        def control(self) -> PlaceMap:
            return self.places

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.chosen: str | None = None
        self._places: Sequence[Place] = ()
        self._marks: Mapping[str, Text] = {}
        self._names: Mapping[str, str] = {}
        self._cells = Cells({}, 0, 0, 0.0)
        self._named = False
        self._start = (0, 0)
        self._lines: dict[int, list[tuple[int, Text]]] = {}

    def show_places(
        self, places: Sequence[Place], marks: Mapping[str, Text], names: Mapping[str, str], chosen: str | None
    ) -> None:
        """Names stand beside their marks where there is room for all of them."""
        self._places, self._marks, self._names, self.chosen = places, marks, names, chosen
        self._arrange()

    @property
    def whole(self) -> bool:
        """All of it is seen."""
        return self._cells.columns <= self.size.width and self._cells.rows <= self.size.height

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.size.width, self.size.height
        longest = max((len(name) for name in self._names.values()), default=0) + _BESIDE_NAME
        self._cells = cells_of(self._places, width - longest, height)
        self._named = bool(self._names) and self._cells.spacing >= longest
        if not self._named:
            self._cells = cells_of(self._places, width, height)
        self._follow()

    def _follow(self) -> None:
        """Moves the window so that the cursor is seen, and draws."""
        column, row = self._cells.at.get(self.chosen or "", (0, 0))
        self._start = (
            window_start(self._start[0], column, self.size.width, self._cells.columns),
            window_start(self._start[1], row, self.size.height, self._cells.rows),
        )
        self._lines = {}
        for key, (column, row) in self._cells.at.items():
            mark = self._marks[key].copy()
            if self._named:
                mark.append(f" {clean(self._names[key])}", GRAY)
            self._lines.setdefault(row, []).append((column, mark))
        for line in self._lines.values():
            line.sort(key=lambda one: one[0])
        self.refresh()

    # ---- the cursor

    def action_go(self, right: int, down: int) -> None:
        if self._cells.at:
            begin = next(iter(self._cells.at))
            key = begin if self.chosen is None else self.chosen
            self._choose(neighbour(self._cells.at, key if key in self._cells.at else begin, right, down))

    def _choose(self, key: str) -> None:
        self.chosen = key
        self._follow()
        self.post_message(self.Chosen(self, key))

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None:
            key = nearest_to(self._cells.at, at.x + self._start[0], at.y + self._start[1])
            if key is not None:
                self._choose(key)

    # ---- drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width, row = self.size.width, y + self._start[1]
        cursor_cell = self._cells.at.get(self.chosen or "")
        segments: list[Segment] = []
        at = 0
        for column, mark in self._lines.get(row, ()):
            here, under = column - self._start[0], (column, row) == cursor_cell
            begin = here - 1 if under and here > at else here
            if begin < at or here >= width:
                continue
            if cursor_cell == (column + mark.cell_len, row):
                mark = mark[:1]  # the pointer stands there
            segments.append(Segment(" " * (begin - at), self._base))
            if begin < here:
                segments.append(Segment(_POINTER, self._base + Style(bold=True)))
            shown = Text(mark.plain) if under else mark
            style = self._base + (_CURSOR if begin < here else _CURSOR_ALONE) if under else self._base
            segments += [
                Segment(part.text, style + part.style if part.style else style)
                for part in shown.render(self.app.console)
                if part.text != "\n"
            ]
            at = here + mark.cell_len
        return Strip(segments).adjust_cell_length(width, self._base)
