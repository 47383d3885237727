"""On a small terminal one thing is shown at a time; this line says which, and which keys show the others."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from frazil.tui.words.palette import BLUE, GRAY


class PaneBar(Static):
    """`[1 movies] 2 movie 3 trends 4 workers`."""

    def __init__(self, panes: tuple[str, ...], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._panes = panes

    def on_mount(self) -> None:
        self.screen.add_class(f"pane-{self._panes[0]}")
        self.show_pane(self._panes[0])

    def show_pane(self, pane: str) -> None:
        text = Text()
        for number, name in enumerate(self._panes, 1):
            label = f"[{number} {name}]" if name == pane else f" {number} {name} "
            text.append(label, f"bold {BLUE}" if name == pane else GRAY)
            text.append(" ")
        self.update(text, layout=False)
