"""Mode *Live*: the movies as they come, the selected one in pictures and numbers, trends, workers."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from frazil.daemon.transport.messages import CommandName, LiveState, Scalar
from frazil.tui.live.micrograph_screen import MicrographScreen
from frazil.tui.live.movie_facts import movie_title
from frazil.tui.live.movie_list import MovieList
from frazil.tui.live.movie_panel import MoviePanel
from frazil.tui.live.trend_plots import METRICS, TREND_LENGTH, TrendPanel
from frazil.tui.live.what_if_screen import Changes, WhatIfScreen
from frazil.tui.widgets.dialogs import TextPrompt
from frazil.tui.widgets.mode_screen import Keys, ModeScreen, mode_bindings
from frazil.tui.widgets.picture import Picture
from frazil.tui.widgets.workers_panel import WorkersPanel
from frazil.tui.words.formatting import clean, movie_name
from frazil.tui.words.palette import GRAY

_LEAVES_S = 4.0
"""So long a second Escape leads to the list of sessions."""
_SETTLE_S = 0.08
"""A cursor that runs through the table asks for no pictures before it stops."""


class LiveScreen(ModeScreen):
    """Reads from the daemon only what is seen, and only when it has changed."""

    MODE = "live"
    PANES = ("movies", "movie", "trends", "workers")
    LESS_KEYS = frozenset({"note", "pause", "find"})
    KEY_HELP: ClassVar[Keys] = (
        ("↑ ↓ PgUp PgDn", "choose a movie; it stays chosen while others arrive"),
        ("Home, f", "back to the newest, and follow it"),
        ("End", "last line"),
        ("s", "columns: which are shown (Space), which one sorts (Enter); kept for the next time"),
        ("click on a title", "sort by it; again: reversed"),
        ("/", "show only movies whose path, square, flags or reason hold a text; Escape: all again"),
        ("t", "show only one state; again: the next one"),
        ("j", "jump to a movie by part of its path"),
        ("a", "accept the movie shown: it counts whatever the thresholds say"),
        ("r", "reject it, with a reason"),
        ("n", "write a note about it"),
        ("x", "thresholds: see what other ones would do, then apply them or not"),
        ("Q", "re-queue it (also one that was set aside)"),
        (
            "Enter, Escape",
            "the movie on the whole screen, and back; Escape twice, of a session chosen from a list: back to the list",
        ),
        ("v", "small terminals: micrograph, spectrum or motion path beside the numbers"),
        ("d", "micrograph: as it was summed, as it was restored (denoised)"),
        ("w", "the micrograph on the whole screen: + - closer and further, arrows move, ? its keys"),
        ("o", "rings around the picks"),
        ("l", "what picking left out: contamination and foil, carbon, crystalline ice"),
        ("z", "spectrum: whole, its middle twice, four times as large"),
    )
    MEANING = (
        "kept: within the thresholds, so it goes into exports; good: kept, and its CTF fit, early motion and ice "
        "are fine, too (first lines of the screen). lag: from the first sight of a file to its result. fit: "
        "resolution to which CTF and rings agree. early: motion over the first 4 e/Å². ice: power between 3.6 and 4 "
        "Å over its surroundings. In the trends x is a rejected movie; the number is the median of the last 25, the "
        "arrow compares it with all that is drawn. cause: what costs a movie most beyond what is usual in its "
        "session. Everything here is also in `frazil status --json` and `frazil query`."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "accept", "accept"),
        Binding("r", "reject", "reject"),
        Binding("n", "note", "note"),
        Binding("slash", "filter", "find", key_display="/"),
        *mode_bindings("live"),
        *ModeScreen.SHARED_BINDINGS,
        Binding("s", "sort", "sort", show=False),
        Binding("j", "jump", "jump", show=False),
        Binding("t", "state_filter", "state", show=False),
        Binding("f", "follow", "follow", show=False),
        Binding("Q", "requeue", "re-queue", show=False),
        Binding("x", "what_if", "what if", show=False),
        Binding("z", "zoom", "zoom", show=False),
        Binding("v", "view", "view", show=False),
        Binding("d", "restored", "restored", show=False),
        Binding("w", "micrograph", "micrograph", show=False),
        Binding("o", "picks", "picks", show=False),
        Binding("l", "regions", "left out", show=False),
        Binding("enter", "enlarge", "movie", show=False),
        Binding("escape", "back", "back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._next_line = ""
        self._close_up: MicrographScreen | None = None
        """The newest one; it may have been left."""
        self._listed: tuple[object, ...] | None = None
        """What the table and the trends show: counts, newest movie."""
        self._may_leave = False
        """Escape was pressed a moment ago."""

    def body(self) -> ComposeResult:
        yield Static(id="next-line")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield MovieList(id="list")
                yield TrendPanel(id="trends")
            with Vertical(id="right"):
                yield MoviePanel(id="movie")
                yield WorkersPanel(id="workers")

    @property
    def movies(self) -> MovieList:
        return self.query_one(MovieList)

    @property
    def movie(self) -> MoviePanel:
        return self.query_one(MoviePanel)

    def on_mount(self) -> None:
        self.query_one("#workers").border_title = "workers"
        self.query_one("#next-line").display = False

    def show_pane(self, pane: str) -> None:
        super().show_pane(pane)
        if pane == "movies":  # hidden it has lost the keys
            self.call_after_refresh(self.movies.take_keys)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.movies.take_keys()

    # ---- what the daemon says

    def shown_state(self, state: LiveState, *, came_back: bool) -> None:
        self.query_one(WorkersPanel).show_workers(state.workers, at_rest=state.ended_utc_us is not None)
        at_end = "when it ended: " if state.next_line and state.ended_utc_us is not None else ""
        self._show_next_line(at_end + state.next_line)
        if not self.in_front:
            return
        before, self._listed = self._listed, (state.counts, state.last_movie_id)
        if came_back or before != self._listed:
            if came_back or before is None or before[1] != state.last_movie_id:
                self._fetch_trend()
            self.movies.changed(state.last_movie_id)

    def _show_next_line(self, line: str) -> None:
        """Where to shoot next, where a grid is known."""
        if line == self._next_line:
            return
        self._next_line = line
        place = self.query_one("#next-line", Static)
        place.display = bool(line)
        place.update(Text.assemble((clean(line), "bold"), ("  g: grid", GRAY)))

    @work(exclusive=True, group="trend")
    async def _fetch_trend(self) -> None:
        answer = await self.ask(self.frazil.client.named("trend", metrics=METRICS, last=TREND_LENGTH))
        if answer is not None:
            self.query_one(TrendPanel).show_trend(answer)

    # ---- the selected movie

    @on(MovieList.Selected)
    def _selected(self, event: MovieList.Selected) -> None:
        self._show_movie(event.movie_id, again=event.again)

    def _show_movie(self, movie_id: str | None, *, again: bool = False) -> None:
        self.frazil.movie_id = movie_id
        self.movie.show_movie(movie_id, None if movie_id is None else self.movies.row_of(movie_id), again=again)
        if movie_id is not None:
            self._fetch_movie(movie_id)
            self._tell_micrograph(movie_id)

    def _tell_micrograph(self, movie_id: str) -> None:
        if self._close_up is not None and self._close_up.is_attached:
            self._close_up.show(movie_id, self._title())

    def _title(self) -> Text:
        row = self.movie.row
        return Text("…", GRAY) if row is None else movie_title(row)

    @work(exclusive=True, group="movie")
    async def _fetch_movie(self, movie_id: str) -> None:
        await asyncio.sleep(_SETTLE_S)
        client = self.frazil.client
        answer = await self.ask(client.named("movie", movie_id=movie_id))
        if answer is None or not answer.rows:
            return
        self.movie.take_row(movie_id, answer.as_dicts()[0], following=self.movies.table.follows_newest)
        self._tell_micrograph(movie_id)
        shifts = await self.ask(client.named("frame_shifts", movie_id=movie_id))
        self.movie.take_shifts(movie_id, shifts if shifts is not None and shifts.rows else "no motion measured yet")

    async def fetch_picture(self, event: Picture.Wanted) -> None:
        await asyncio.sleep(_SETTLE_S)
        await super().fetch_picture(event)

    # ---- orders

    def _shown(self) -> tuple[str, str] | None:
        """Id and name of the movie that an order is about: the one whose pictures are seen."""
        if self.movie.movie_id is None or self.movie.row is None:
            self.notify("no movie is selected", severity="warning")
            return None
        return self.movie.movie_id, movie_name(self.movie.row.get("relative_path", ""))

    def carried_out(self, name: CommandName, args: dict[str, Scalar]) -> None:
        self.movies.refetch()
        movie_id = args.get("movie_id")
        if isinstance(movie_id, str) and movie_id == self.movie.movie_id:
            self._show_movie(movie_id, again=True)

    def action_accept(self) -> None:
        shown = self._shown()
        if shown is not None:
            self.order("accept", {"movie_id": shown[0]}, shown[1])

    def action_requeue(self) -> None:
        shown = self._shown()
        if shown is not None:
            self.order("requeue", {"movie_id": shown[0]}, shown[1])

    def action_reject(self) -> None:
        shown = self._shown()
        if shown is None:
            return
        movie_id, name = shown

        def then(reason: str | None) -> None:
            if reason:
                self.order("reject", {"movie_id": movie_id, "reason": reason}, name)

        prompt = TextPrompt("Reject", name, placeholder="reason, e.g. crystalline ice", required=True)
        self.app.push_screen(prompt, then)

    def action_note(self) -> None:
        shown = self._shown()
        if shown is None:
            return
        movie_id, name = shown

        def then(text: str | None) -> None:
            if text:
                self.order("note", {"movie_id": movie_id, "text": text}, name)

        self.app.push_screen(TextPrompt("Note about", name, placeholder="what you see, or what you changed"), then)

    def action_what_if(self) -> None:
        """Other thresholds: what they would do, before they are applied."""

        def then(changes: Changes | None) -> None:
            if changes:
                self.order("thresholds", changes, ", ".join(sorted(changes)))

        self.app.push_screen(WhatIfScreen(self.frazil.client), then)

    # ---- keys

    def action_sort(self) -> None:
        self.movies.ask_table()

    def action_state_filter(self) -> None:
        self.movies.next_state()

    def action_follow(self) -> None:
        self.movies.follow()

    def action_filter(self) -> None:
        self.show_pane("movies")
        self.movies.ask_filter()

    def action_jump(self) -> None:
        self.movies.ask_jump()

    def action_enlarge(self) -> None:
        """The movie on the whole screen; Escape leads back."""
        if self.has_class("-compact"):
            self.show_pane("movie")
        else:
            self.maximize(self.movie)

    def action_view(self) -> None:
        """Small terminals have room for one picture: the next one."""
        self.movie.show_next_view()

    def action_restored(self) -> None:
        """The micrograph as it was summed, and as it was restored."""
        self.movie.show_next_micrograph()

    def action_micrograph(self) -> None:
        """On the whole screen, to look closely."""
        if self.movie.movie_id is None:
            self.notify("no movie is selected", severity="warning")
            return
        at_rest = self.seen is not None and self.seen.ended_utc_us is not None
        other = self.movies.table.action_move
        self._close_up = MicrographScreen(self.movie.movie_id, self._title(), other, at_rest=at_rest)
        self.app.push_screen(self._close_up)

    def action_picks(self) -> None:
        self.frazil.marks.picks = not self.frazil.marks.picks
        self.movie.marks_changed()

    def action_regions(self) -> None:
        self.frazil.marks.regions = not self.frazil.marks.regions
        self.movie.marks_changed()

    def action_zoom(self) -> None:
        picture = self.query_one("#spectrum", Picture)
        picture.zoom_to({1: 2, 2: 4}.get(picture.zoom, 1))

    def _leave(self) -> None:
        """To the list of sessions, when Escape is pressed twice: one may have been meant for a dialog."""
        if self._may_leave:
            self.frazil.back_to_list()
            return
        self._may_leave = True
        self.notify("Escape once more: back to the list of sessions", timeout=_LEAVES_S)
        self.set_timer(_LEAVES_S, self._stay)

    def _stay(self) -> None:
        self._may_leave = False

    def action_back(self) -> None:
        if self.maximized is not None:
            self.minimize()
            self.movies.table.focus()
            return
        other_pane = self.has_class("-compact") and not self.has_class("pane-movies")
        if not self.movies.clear_filter() and not other_pane and self.frazil.from_list:
            self._leave()
        self.show_pane("movies")
