"""Which columns the movie table shows, and which one sorts it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from frazil.tui.live.movie_columns import ALWAYS, COLUMNS, Column
from frazil.tui.live.table_choice import TableChoice
from frazil.tui.words.palette import GRAY

_ASCENDING_FIRST = ("relative_path", "state", "ctf_fit_angstrom")


def sorted_by(choice: TableChoice, key: str) -> TableChoice:
    """By this column; the present one: reversed."""
    descending = not choice.descending if key == choice.sort else key not in _ASCENDING_FIRST
    return replace(choice, sort=key, descending=descending)


def toggled(choice: TableChoice, key: str) -> TableChoice:
    """The column is shown, or is not; state and name always are."""
    if key in ALWAYS:
        return choice
    shown = {column.key for column in COLUMNS} if choice.columns is None else set(choice.columns)
    shown ^= {key}
    return replace(choice, columns=tuple(column.key for column in COLUMNS if column.key in shown))


class TableDialog(ModalScreen[TableChoice]):
    """Ends with the choice: by Enter with another order, by Escape as it was ticked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,s,q", "done", "Done"),
        Binding("space", "tick", "Show", priority=True),
        Binding("0", "all", "All"),
    ]

    def __init__(self, choice: TableChoice) -> None:
        super().__init__()
        self._choice = choice

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog narrow"):
            yield Static(Text("Columns of the table", "bold"))
            yield Static(Text("Enter: sort by it; again: reversed\nSpace: shown or not; 0: what fits", GRAY))
            yield OptionList(*(Option(self._line(column), id=column.key) for column in COLUMNS))
            yield Static(Text("Escape or Enter: closed", GRAY))

    def on_mount(self) -> None:
        keys = [column.key for column in COLUMNS]
        self._list.highlighted = keys.index(self._choice.sort) if self._choice.sort in keys else 0
        self._list.focus()

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def _line(self, column: Column) -> Text:
        choice = self._choice
        shown = choice.columns is None or column.key in choice.columns
        arrow = ("▼" if choice.descending else "▲") if column.key == choice.sort else " "
        return Text(f"{'■' if shown else '□'} {column.title} {arrow}")

    def action_tick(self) -> None:
        index = self._list.highlighted
        if index is not None:
            self._show(toggled(self._choice, COLUMNS[index].key))

    def action_all(self) -> None:
        self._show(replace(self._choice, columns=None))

    def _show(self, choice: TableChoice) -> None:
        self._choice = choice
        for column in COLUMNS:
            self._list.replace_option_prompt(column.key, self._line(column))

    def action_done(self) -> None:
        self.dismiss(self._choice)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(sorted_by(self._choice, str(event.option.id)))
