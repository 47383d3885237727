"""A short list with a cursor. It holds all its lines, where the movie table holds a few pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip


class ChoiceList(ScrollView, can_focus=True):
    """Lines by key; the cursor (`▌`) stays on its key when the lines change."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"choice-list--cursor", "choice-list--dim"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("pagedown", "move(10)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First", show=False),
        Binding("end", "move(1000000)", "Last", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """The cursor stands on this key now; None: the list is empty."""

        choices: ChoiceList
        key: str | None

        @property
        def control(self) -> ChoiceList:
            return self.choices

    def __init__(self, empty_text: str, *, heading: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._empty_text = empty_text
        self._heading = Text("") if heading else None
        self._lines: list[tuple[str, Text]] = []
        self.chosen: str | None = None

    def show_lines(self, lines: Sequence[tuple[str, Text]], heading: Text | None = None) -> None:
        """Pairs of key and line. A line that is too long is cut."""
        self._lines = list(lines)
        if self._heading is not None and heading is not None:
            self._heading = heading
        self.virtual_size = Size(0, len(self._lines) + self._head_lines)
        if self.chosen not in {key for key, _ in self._lines}:
            self._choose(self._lines[0][0] if self._lines else None)
        self.refresh()

    @property
    def _head_lines(self) -> int:
        return int(self._heading is not None)

    def _index(self) -> int:
        return next((i for i, (key, _) in enumerate(self._lines) if key == self.chosen), 0)

    def _choose(self, key: str | None) -> None:
        if key != self.chosen:
            self.chosen = key
            self.post_message(self.Chosen(self, key))

    def action_move(self, step: int) -> None:
        if self._lines:
            self._move_to(self._index() + step)

    def _move_to(self, index: int) -> None:
        index = min(max(0, index), len(self._lines) - 1)
        self._choose(self._lines[index][0])
        self.reveal()

    def reveal(self) -> None:
        """Scrolls as little as needed for the cursor to be seen."""
        index = self._index()
        top, room = int(self.scroll_offset.y), max(1, self.size.height - self._head_lines)
        if index < top:
            self.scroll_to(y=index, animate=False, force=True)
        elif index >= top + room:
            self.scroll_to(y=index - room + 1, animate=False, force=True)
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None:
            index = int(self.scroll_offset.y) + at.y - self._head_lines
            if at.y >= self._head_lines and 0 <= index < len(self._lines):
                self._move_to(index)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        self._styles = (
            self.rich_style,
            self.get_component_rich_style("choice-list--cursor"),
            self.get_component_rich_style("choice-list--dim"),
        )
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        base, on_cursor, dim = self._styles
        if self._heading is not None and y == 0 and self._lines:
            return Strip([Segment(f" {self._heading.plain}", dim)]).adjust_cell_length(width, base)
        index = int(self.scroll_offset.y) + y - self._head_lines
        if not 0 <= index < len(self._lines):
            text = f" {self._empty_text}" if not self._lines and y == 0 else ""
            return Strip([Segment(text, dim)]).adjust_cell_length(width, base)
        key, line = self._lines[index]
        chosen = key == self.chosen
        style = on_cursor if chosen else base
        cut = line.copy()
        cut.truncate(max(1, width - 1), overflow="ellipsis")
        # On the cursor the marks must do without their colours: it has its own.
        shown = Text(cut.plain) if chosen else cut
        segments = [Segment("▌" if chosen else " ", style)]
        segments += [
            Segment(part.text, style + part.style if part.style else style)
            for part in shown.render(self.app.console)
            if part.text != "\n"
        ]
        return Strip(segments).adjust_cell_length(width, style)
