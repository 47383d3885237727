"""Squares of the grid, or holes of a square: a picture where positions are known, else a list; with its signs."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from frazil.tui.grid.place_map import PlaceMap
from frazil.tui.grid.shown import Shown
from frazil.tui.widgets.choice_list import ChoiceList
from frazil.tui.words.palette import ORANGE


class PlacePane(Vertical):
    """`chosen` is the place under the cursor, in the picture and in the list alike."""

    @dataclass
    class Chosen(Message):
        """A person has chosen this place."""

        pane: PlacePane
        key: str

        @property
        def control(self) -> PlacePane:
            return self.pane

    def __init__(self, empty_text: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._empty_text = empty_text
        self._as_list = False
        self._shown: Shown | None = None
        self.chosen: str | None = None

    def compose(self) -> ComposeResult:
        yield PlaceMap()
        yield ChoiceList(self._empty_text, heading=True)
        yield Static(classes="legend")

    def on_mount(self) -> None:
        self._change_form()

    def show(self, shown: Shown, chosen: str | None) -> None:
        """These places, the cursor on one of them."""
        self._shown, self.chosen = shown, chosen
        self.query_one(PlaceMap).show_places(shown.places, shown.marks, shown.names, chosen)
        choices = self.query_one(ChoiceList)
        choices.chosen = chosen  # the list says nothing of it: nobody has moved its cursor
        choices.show_lines(shown.lines, shown.heading)
        self._change_form()
        self.call_after_refresh(self._tell_signs)

    def on_resize(self) -> None:
        self.call_after_refresh(self._tell_signs)

    def _tell_signs(self) -> None:
        if self._shown is not None:
            legend = self._shown.legend.copy()
            if not self.as_list and not self.query_one(PlaceMap).whole:
                legend.append("a part is shown, arrows lead on", ORANGE)
            self.query_one(".legend", Static).update(legend)

    @property
    def as_list(self) -> bool:
        """By a person's wish, or because no two positions are known."""
        return self._as_list or self._shown is None or len(self._shown.places) < min(2, len(self._shown.lines))

    def change_form(self) -> None:
        """From picture to list, and back."""
        self._as_list = not self._as_list
        self._change_form()
        self.take_keys()

    def _change_form(self) -> None:
        focused = self.has_focus_within
        self.query_one(PlaceMap).display = not self.as_list
        choices = self.query_one(ChoiceList)
        choices.display = self.as_list
        if self.as_list:
            self.call_after_refresh(choices.reveal)
        if focused:
            self.take_keys()

    def take_keys(self) -> None:
        """Arrows move in what is seen."""
        self.query_one(ChoiceList if self.as_list else PlaceMap).focus()

    @on(PlaceMap.Chosen)
    def _from_map(self, event: PlaceMap.Chosen) -> None:
        event.stop()
        self._choose(event.key)

    @on(ChoiceList.Chosen)
    def _from_list(self, event: ChoiceList.Chosen) -> None:
        event.stop()
        if event.key is not None and event.key != self.chosen and self.as_list:
            self._choose(event.key)

    def _choose(self, key: str) -> None:
        self.chosen = key
        self.post_message(self.Chosen(self, key))
