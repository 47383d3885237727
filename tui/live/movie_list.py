"""The movies as a list: table, filter, order, jump. It asks for what is seen and says which movie is selected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from frazil.daemon.transport.messages import Row, Rows
from frazil.tui.live.jump import find_index
from frazil.tui.live.movie_columns import BY_KEY
from frazil.tui.live.movie_table import MovieTable
from frazil.tui.live.pages import PAGE_ROWS, View
from frazil.tui.live.table_choice import TableChoice, choice_path, load_choice, save_choice
from frazil.tui.live.table_dialog import TableDialog, sorted_by
from frazil.tui.widgets.dialogs import TextPrompt
from frazil.tui.widgets.mode_screen import ModeScreen
from frazil.tui.words.formatting import clean
from frazil.tui.words.palette import movie_look

_STATE_FILTERS = (None, "ready", "rejected", "failed", "quarantined", "processing", "queued")


def order_words(view: View) -> str:
    """By which column the table is sorted, and what comes first.

    >>> order_words(View()), order_words(View("ice_nm", descending=False))
    ('newest found first', 'by ice nm, small first (f: newest found)')
    """
    if view.sort == View().sort:
        return "newest found first" if view.descending else "oldest found first (f: newest found)"
    column = BY_KEY.get(view.sort)
    first = "large" if view.descending else "small"
    return f"by {column.title}, {first} first (f: newest found)" if column else ""


class MovieList(Vertical):
    """Reads only the rows that are seen. The selected movie is always the one under the cursor."""

    @dataclass
    class Selected(Message):
        """This movie is selected now (None: the list is empty); `again`: its line has changed."""

        movie_id: str | None
        again: bool = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._newest: str | None = None
        self._path = choice_path()
        self._choice = load_choice(self._path)
        self._selected: tuple[str, object] | None = None
        """Movie and its state, as the screen knows them."""

    def compose(self) -> ComposeResult:
        yield Input(placeholder="text in path, square, flags or reason", id="filter")
        yield MovieTable(id="table")

    def on_mount(self) -> None:
        self._show_field(shown=False)
        self.table.border_title = "movies"
        self.table.show_columns(self._choice.columns)
        view = View(sort=self._choice.sort, descending=self._choice.descending)
        if view != self.table.pages.view:
            self._set_view(view)
        self.table.focus()

    @property
    def table(self) -> MovieTable:
        return self.query_one(MovieTable)

    @property
    def _field(self) -> Input:
        return self.query_one("#filter", Input)

    def take_keys(self) -> None:
        """Keys move the cursor, unless somebody is typing."""
        if not self._field.has_focus:
            self.table.focus()

    def _show_field(self, *, shown: bool) -> None:
        """Hidden it takes no keys, whatever else is hidden."""
        self._field.display = self._field.can_focus = shown

    @property
    def _mode(self) -> ModeScreen:
        return cast(ModeScreen, self.screen)

    def row_of(self, movie_id: str) -> Row | None:
        """Its line, if that is in memory."""
        index = self.table.pages.index_of(movie_id)
        return None if index is None else self.table.pages.row(index)

    # ---- what the screen calls

    def changed(self, newest: str | None) -> None:
        """Movies came or changed; `newest` is the one that is followed until the cursor is moved."""
        self._newest = newest
        self.table.changed()
        self.table.follow_movie(newest)
        if self.table.follows_newest:
            self._select(newest)

    def refetch(self) -> None:
        """A line has changed."""
        self.table.changed()

    def _select(self, movie_id: str | None) -> None:
        """Tells the screen when another movie is selected, or when this one has changed its state."""
        before = self._selected
        if movie_id is None:
            self._selected = None
            if before is not None:
                self.post_message(self.Selected(None))
            return
        row = self.row_of(movie_id)
        known = before[1] if before is not None and before[0] == movie_id else None
        state = known if row is None else row.get("state")
        self._selected = (movie_id, state)
        if before is None or before[0] != movie_id:
            self.post_message(self.Selected(movie_id))
        elif known not in (None, state):
            self.post_message(self.Selected(movie_id, again=True))

    # ---- pages

    @on(MovieTable.Wanted)
    def _pages_wanted(self, event: MovieTable.Wanted) -> None:
        for number in event.numbers:
            self._fetch_page(number, event.version, event.view)

    @work(group="pages")
    async def _fetch_page(self, number: int, version: int, view: View) -> None:
        client = self._mode.frazil.client
        question = client.named("movies", limit=PAGE_ROWS, offset=number * PAGE_ROWS, **view.params())
        answer = await self._mode.ask(question)
        if answer is None:
            self.table.pages.forget_request(number, version)
            return
        self.table.take(number, version, view, answer)
        if view == self.table.pages.view and not self.table.pages.total and not self.table.follows_newest:
            self._select(None)
        elif self._selected is not None:
            self._select(self._selected[0])
        self._title()

    def _title(self) -> None:
        table, view = self.table, self.table.pages.view
        parts = [f"{table.pages.total} movies"]
        if view.search:
            parts.append(f"with “{clean(view.search)}”")
        if view.state:
            parts.append(f"only {movie_look(view.state).text}")
        parts.append("the newest is followed" if table.follows_newest else "not followed (f)")
        table.border_title = ", ".join(parts).replace("[", "\\[")
        table.border_subtitle = order_words(view)

    @on(MovieTable.Highlighted)
    def _highlighted(self, event: MovieTable.Highlighted) -> None:
        # Also when rows moved under the cursor: an order is about the movie on which the cursor stands.
        self._select(self._newest if self.table.follows_newest else str(event.row["movie_id"]))
        self._title()

    # ---- order and filter

    def _set_view(self, view: View) -> None:
        self.table.set_view(view)
        self.table.empty_text = "no movie fits" if view.search or view.state else "no movies yet"
        if self.table.follows_newest:
            self._select(self._newest)
        self._title()

    @on(MovieTable.SortAsked)
    def _sort_clicked(self, event: MovieTable.SortAsked) -> None:
        self._sort_by(event.key)

    def _sort_by(self, key: str) -> None:
        self._choose(sorted_by(self._choice, key))

    def _choose(self, choice: TableChoice | None) -> None:
        """Shown now, and the next time the screen is opened."""
        if choice is None or choice == self._choice:
            return
        before, self._choice = self._choice, choice
        self.table.show_columns(choice.columns)
        if (choice.sort, choice.descending) != (before.sort, before.descending):
            self._set_view(replace(self.table.pages.view, sort=choice.sort, descending=choice.descending))
        if not save_choice(self._path, choice):
            self.notify(f"the choice lasts until the screen is left: {self._path} cannot be written", markup=False)

    def ask_table(self) -> None:
        """A dialog: which columns are shown, and which one sorts."""
        self.app.push_screen(TableDialog(self._choice), self._choose)

    def next_state(self) -> None:
        """Only movies of one state; each call takes the next state."""
        view = self.table.pages.view
        following = _STATE_FILTERS[(_STATE_FILTERS.index(view.state) + 1) % len(_STATE_FILTERS)]
        self._set_view(replace(view, state=following))

    def follow(self) -> None:
        """Back to the newest, whatever was sorted or filtered."""
        self._choose(replace(self._choice, sort=View().sort, descending=View().descending))
        if self.table.pages.view != View():
            self._set_view(View())
        self.table.action_first()
        self._select(self._newest)
        self._title()

    def ask_filter(self) -> None:
        """Opens the line for the text."""
        self._show_field(shown=True)
        self._field.focus()

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        self._set_view(replace(self.table.pages.view, search=event.value.strip()))
        self._show_field(shown=bool(event.value.strip()))
        # Once more after the next layout: an input that is hidden now would keep the keys otherwise.
        self.table.focus()
        self.call_after_refresh(self.table.focus)

    def clear_filter(self) -> bool:
        """Removes the text of the filter; False: there is none."""
        view = self.table.pages.view
        there = self._field.display and (self._field.has_focus or bool(view.search))
        if there:
            self._field.value = ""
            self._show_field(shown=False)
            if view.search:
                self._set_view(replace(view, search=""))
        self.table.focus()
        return there

    # ---- jump

    def ask_jump(self) -> None:
        """A dialog: part of the path of the movie."""

        def then(text: str | None) -> None:
            if text:
                self._jump_to(text)

        self.app.push_screen(TextPrompt("Jump to", "", placeholder="part of the path, e.g. Data_4711"), then)

    @work(exclusive=True, group="jump")
    async def _jump_to(self, text: str) -> None:
        view = self.table.pages.view
        client = self._mode.frazil.client
        answer = await self._mode.ask(client.named("movies", limit=1, **replace(view, search=text).params()))
        if answer is None:
            return
        if not answer.rows:
            self.notify(f"no movie with “{clean(text)}”", severity="warning", markup=False)
            return
        target = answer.as_dicts()[0]
        for _ in range(3):  # movies that arrive meanwhile can make a search miss
            index = await find_index(
                target, total=self.table.pages.total, sort=view.sort, descending=view.descending, fetch=self._fetch_one
            )
            if index is not None:
                self.table.go_to(index)
                self._select(str(target["movie_id"]))
                return
        self.notify(f"“{clean(text)}” is not in this list; is a filter on?", severity="warning", markup=False)

    async def _fetch_one(self, index: int) -> Row | None:
        client = self._mode.frazil.client
        answer: Rows | None = await self._mode.ask(
            client.named("movies", limit=1, offset=index, **self.table.pages.view.params())
        )
        return answer.as_dicts()[0] if answer is not None and answer.rows else None
