"""Small windows over the screen: one line of text, a choice of column, the help."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from frazil.tui.movie_columns import COLUMNS
from frazil.tui.palette import BLUE, GRAY


class TextPrompt(ModalScreen[str | None]):
    """Asks for a line; None when the person thought better of it."""

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
            yield Static(Text("Enter: do it   Escape: leave everything as it is", GRAY))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if text or not self._required:
            self.dismiss(text)
        else:
            # Closing here would let the next words act as single-key commands.
            self.query_one(Input).placeholder = "a reason is needed; Escape leaves everything as it is"


class SortDialog(ModalScreen[str | None]):
    """Which column sorts. The one that does already is turned round."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,s", "dismiss(None)", "Cancel")]

    def __init__(self, present: str, descending: bool) -> None:
        super().__init__()
        self._present, self._descending = present, descending

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog narrow"):
            yield Static(Text("Sort by (again: turn round)", "bold"))
            options = []
            for column in COLUMNS:
                arrow = ("▼" if self._descending else "▲") if column.key == self._present else " "
                options.append(Option(Text(f"{arrow} {column.title}"), id=column.key))
            yield OptionList(*options)

    def on_mount(self) -> None:
        choices = self.query_one(OptionList)
        choices.highlighted = next((i for i, c in enumerate(COLUMNS) if c.key == self._present), 0)
        choices.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


HELP: tuple[tuple[str, str], ...] = (
    ("↑ ↓ PgUp PgDn", "choose a movie; it stays chosen while others arrive"),
    ("Home, f", "back to the newest, and follow it"),
    ("End", "last line"),
    ("s, click on a title", "sort by a column; again: turn round"),
    ("/", "show only movies whose path, square, flags or reason hold a text"),
    ("t", "show only one state; again: the next one"),
    ("g", "jump to a movie by part of its path"),
    ("c", "causes: what costs session and movie their signal, and what to change; again: back"),
    ("m", "map: resolution, evenness, what more movies would bring; again: back"),
    ("a", "accept the movie shown: it counts whatever the thresholds say"),
    ("r", "reject it, with a reason"),
    ("n", "write a note about it"),
    ("Q", "re-queue it (also out of quarantine)"),
    ("p", "pause: no new movie is started; again: go on"),
    ("k", "acknowledge the newest open alert"),
    ("Enter, Escape", "the movie on the whole screen, and back"),
    ("v", "small terminals: micrograph, spectrum or motion path beside the numbers"),
    ("d", "micrograph: as it was summed, as it was restored (denoised)"),
    ("z", "spectrum: whole, its middle twice, four times as large"),
    ("1 2 3 4", "small terminals: movies, movie, trends, workers"),
    ("q", "leave the screen; the daemon goes on"),
)


MEANING = """\
lag: from the first sight of a file to its result. fit: resolution to which CTF and rings agree. early: motion over \
the first 4 e/Å². ice: power between 3.6 and 4 Å over its surroundings. In the trends x is a rejected movie; the \
number is the median of the last 25, the arrow compares it with all that is drawn. cause: what costs a movie most \
beyond what is usual in its session; its bars █ ▓ ░ end at the lower end of the 95 % interval, at the loss and at the \
upper end. Everything here is also in \
`frazil status --json` and `frazil query`."""


class HelpScreen(ModalScreen[None]):
    """Keys and signs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        keys = Table.grid(padding=(0, 2))
        keys.add_column(style=BLUE, no_wrap=True)
        keys.add_column()
        for names, meaning in HELP:
            keys.add_row(Text(names), Text(meaning))
        with VerticalScroll(classes="dialog help"):
            yield Static(Text("Keys", "bold"))
            yield Static(keys)
            yield Static(Text("\nWhat is shown", "bold"))
            yield Static(Text(MEANING, GRAY))
