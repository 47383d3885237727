"""The sessions below a folder, one of which is chosen to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Static

from frazil.daemon.transport.messages import Row
from frazil.tui.app import THEME
from frazil.tui.widgets.choice_list import ChoiceList
from frazil.tui.words.formatting import clean, count, quantity, shorten_left
from frazil.tui.words.palette import BLUE, GRAY, SESSION_STATES, VERMILION, Look
from frazil.tui.words.sessions import when_words

_NAME_LEAST, _NAME_MOST = 18, 60
_REST_CELLS = 62
"""Of a line, what stands beside the name."""


class ChooserApp(App[str]):
    """Ends with the folder of the session that was chosen, or with None.

    Parameters
    ----------
    root:
        Names in the list are relative to it.
    sessions:
        Called in a thread: lines of `frazil sessions --json`, each as soon as it is known.
    utc_us:
        The time now; sessions of other years are shown with their year.
    chosen:
        Where the cursor stands at first.
    hidden:
        Further folders that this account may not look into.
    """

    CSS_PATH = "frazil.tcss"
    TITLE = "frazil"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", priority=True),
        Binding("r", "look_again", "look again"),
        Binding("q,escape", "quit", "quit", key_display="q"),
    ]

    def __init__(
        self,
        root: Path,
        sessions: Callable[[], Iterable[Row]],
        utc_us: Callable[[], int],
        *,
        chosen: str | None = None,
        hidden: int = 0,
    ) -> None:
        super().__init__()
        self.register_theme(THEME)
        self.theme = THEME.name
        self._root, self._sessions, self._utc_us, self._first = root, sessions, utc_us, chosen
        self._rows: dict[str, Row] = {}
        self._hidden = f", {count(hidden)} more not readable" if hidden else ""

    def compose(self) -> ComposeResult:
        yield Static(id="chooser-title")
        yield ChoiceList("… looking for sessions", heading=True, id="sessions")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._list.focus()
        self.action_look_again()

    @property
    def _list(self) -> ChoiceList:
        return self.query_one(ChoiceList)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def action_look_again(self) -> None:
        self._rows = {}
        self._look()

    @work(thread=True, exclusive=True)
    def _look(self) -> None:
        for row in self._sessions():
            self.call_from_thread(self._take, row)

    def _take(self, row: Row) -> None:
        self._rows[str(row["folder"])] = row
        self._show()

    def _show(self) -> None:
        width, now_utc_us = max(40, self.size.width - 2), self._utc_us()
        name_width = min(_NAME_MOST, max(_NAME_LEAST, width - _REST_CELLS))
        if self._rows and self._first in self._rows:
            self._list.chosen, self._first = self._first, None
        lines = [(folder, session_line(row, self._root, name_width, now_utc_us)) for folder, row in self._rows.items()]
        heading = f"{'session':{name_width}}  {'movies':>7} {'kept':>5} {'map':>7}  state"
        self._list.show_lines(lines, Text(heading))
        self._list.reveal()
        many = f"{count(len(lines))} session{'' if len(lines) == 1 else 's'}{self._hidden}"
        title = f" {many} in {shorten_left(str(self._root), max(1, width - len(many) - 5))}"
        self.query_one("#chooser-title", Static).update(Text(title, f"bold {BLUE}"))

    def action_open(self) -> None:
        if self._list.chosen is not None:
            self.exit(self._list.chosen)


def session_line(row: Row, root: Path, name_width: int, now_utc_us: int) -> Text:
    """One line of the list: the folder below `root`, what came of it, how it ended and when."""
    folder = Path(str(row["folder"]))
    name = clean(folder.relative_to(root)) if folder != root and folder.is_relative_to(root) else folder.name
    called = clean(row.get("name") or "")
    if called and called != folder.name:
        name = f"{name} ({called})"
    movies, share = row["movies"], row["kept_share"]
    text = Text(f"{shorten_left(name, name_width):{name_width}}", "bold")
    text.append(f"  {count(movies) if isinstance(movies, int) else '':>7}")
    text.append(f" {f'{share:.0%}' if isinstance(share, float) else '':>5}")
    text.append(f" {quantity(row['resolution_angstrom'], 'Å', 2) if row['resolution_angstrom'] else 'none':>7}  ")
    state = str(row["state"])
    look = SESSION_STATES.get(state, Look("✗", "cannot be read", VERMILION))
    text.append(look.text, look.color)
    text.append(f" {when_words(row, now_utc_us)}", GRAY)
    return text
