"""What a person has changed at the microscope: a sentence, the cause it is aimed at, and when it was."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Select, Static

from frazil.config.errors import UsageError
from frazil.daemon.transport.messages import Scalar
from frazil.daemon.transport.when import time_of
from frazil.tui.words.causes import WORDS
from frazil.tui.words.formatting import clean
from frazil.tui.words.palette import GRAY, VERMILION


@dataclass(frozen=True, slots=True)
class Changed:
    """What was said. `None`: not said; of the time: now."""

    sentence: str
    factor: str | None = None
    at_utc_us: int | None = None

    def args(self) -> dict[str, Scalar]:
        """Of the order `intervention`."""
        said: dict[str, Scalar] = {"sentence": self.sentence}
        if self.factor is not None:
            said["factor"] = self.factor
        if self.at_utc_us is not None:
            said["at_utc_us"] = self.at_utc_us
        return said


class ChangedDialog(ModalScreen[Changed | None]):
    """Ends with what was said, or with None when it was cancelled. Enter applies from either line."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def compose(self) -> ComposeResult:
        causes = [(words, name) for name, words in WORDS.items() if name != "unexplained"]
        with Vertical(classes="dialog"):
            yield Static(Text("What have you changed?", "bold"))
            yield Input(placeholder="e.g. waiting 20 s after stage moves", max_length=1000, id="sentence")
            yield Static(Text("When? Empty is now; 02:40 local time, or 20min ago", GRAY))
            yield Input(placeholder="now", max_length=40, id="when")
            yield Static(Text("What is it about? (Enter opens the list)", GRAY))
            yield Select(causes, prompt="not said", id="factor")
            yield Static(Text("Enter: apply   Tab: next   Escape: change nothing", GRAY), id="hint")

    @on(Input.Submitted)
    def apply(self) -> None:
        sentence, when = self.query_one("#sentence", Input), self.query_one("#when", Input)
        factor = self.query_one("#factor", Select).selection
        if not sentence.value.strip():
            # Closing here would let the next words act as single-key commands.
            sentence.placeholder = "a reason is needed; Escape leaves everything as it is"
            sentence.focus()
            return
        at_utc_us = None
        if when.value.strip():
            try:
                at_utc_us = time_of(when.value, now_utc_us=time.time_ns() // 1000)
            except UsageError as error:
                self.query_one("#hint", Static).update(Text(clean(error), VERMILION))
                when.focus()
                return
        self.dismiss(Changed(sentence.value.strip(), None if factor is None else str(factor), at_utc_us))
