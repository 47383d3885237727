"""Small windows over the screen: one line of text, the help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from frazil.tui.words.palette import BLUE, GRAY


class TextPrompt(ModalScreen[str | None]):
    """Asks for a line of text; ends with it, or with None when it was cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(
        self, question: str, about: str = "", *, placeholder: str = "", initial: str = "", required: bool = False
    ) -> None:
        super().__init__()
        self._question, self._about, self._placeholder, self._initial = question, about, placeholder, initial
        self._required = required

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text.assemble((self._question, "bold"), "  ", (self._about, BLUE)))
            yield Input(self._initial, placeholder=self._placeholder, max_length=1000)
            yield Static(Text("Enter: apply   Escape: change nothing", GRAY))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if text or not self._required:
            self.dismiss(text)
        else:
            # Closing here would let the next words act as single-key commands.
            self.query_one(Input).placeholder = "a reason is needed; Escape leaves everything as it is"


class HelpScreen(ModalScreen[None]):
    """Keys and signs of one mode."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "dismiss", "Close")]

    def __init__(self, mode: str, keys: Sequence[tuple[str, str]], meaning: str) -> None:
        super().__init__()
        self._mode, self._keys, self._meaning = mode, keys, meaning

    def compose(self) -> ComposeResult:
        table = Table.grid(padding=(0, 2))
        table.add_column(style=BLUE, no_wrap=True)
        table.add_column()
        for names, meaning in self._keys:
            table.add_row(Text(names), Text(meaning))
        with VerticalScroll(classes="dialog help"):
            yield Static(Text(f"Keys in {self._mode}", "bold"))
            yield Static(table)
            yield Static(Text("\nWhat is shown", "bold"))
            yield Static(Text(self._meaning, GRAY))
