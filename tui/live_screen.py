"""Mode *Live*: is it well, which movies, what do they look like, how does it drift, who works on what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer, Input

from frazil.config.errors import DaemonGoneError, FrazilError, NotThereError
from frazil.daemon.client import Gone
from frazil.daemon.transport.messages import CommandName, LiveState, Rows, Scalar
from frazil.tui.dialogs import SortDialog, TextPrompt
from frazil.tui.formatting import clean, movie_name
from frazil.tui.jump import find_index
from frazil.tui.movie_columns import BY_KEY
from frazil.tui.movie_panel import MoviePanel
from frazil.tui.movie_table import MovieTable
from frazil.tui.notices import AlertsLine, GateBanner, GoneBanner
from frazil.tui.pages import PAGE_ROWS, Row, View
from frazil.tui.palette import movie_look
from frazil.tui.pane_bar import PANES, PaneBar
from frazil.tui.picture import Picture
from frazil.tui.session_header import SessionHeader
from frazil.tui.trend_plots import METRICS, TREND_LENGTH, TrendPanel
from frazil.tui.workers_panel import WorkersPanel

if TYPE_CHECKING:
    from frazil.tui.app import FrazilApp

T = TypeVar("T")

_FULL_SIZE = (110, 32)
"""From this size on everything stands side by side."""

_SETTLE_S = 0.08
"""A cursor that runs through the table asks for no pictures on its way."""

_STATE_FILTERS = (None, "ready", "rejected", "failed", "quarantined", "processing", "queued")


class LiveScreen(Screen[object]):
    """Reads from the daemon only what is seen, and only when it has changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "accept", "accept"),
        Binding("r", "reject", "reject"),
        Binding("n", "note", "note"),
        Binding("s", "sort", "sort", show=False),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("c", "causes", "causes"),
        Binding("m", "map", "map"),
        Binding("p", "pause", "pause"),
        Binding("g", "jump", "jump", show=False),
        Binding("t", "state_filter", "state", show=False),
        Binding("f", "follow", "follow", show=False),
        Binding("k", "acknowledge", "acknowledge", show=False),
        Binding("Q", "requeue", "re-queue", show=False),
        Binding("z", "zoom", "zoom", show=False),
        Binding("v", "view", "view", show=False),
        Binding("d", "restored", "restored", show=False),
        Binding("enter", "enlarge", "movie", show=False),
        Binding("escape", "back", "back", show=False),
        *(Binding(str(i + 1), f"pane('{pane}')", pane, show=False) for i, pane in enumerate(PANES)),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._seen: LiveState | None = None
        self._gone = False

    def compose(self) -> ComposeResult:
        yield SessionHeader(id="header")
        yield GoneBanner(id="gone")
        yield GateBanner(id="gate")
        yield PaneBar(id="panes")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Input(placeholder="text in path, square, flags or reason", id="filter")
                yield MovieTable(id="table")
                yield TrendPanel(id="trends")
            with Vertical(id="right"):
                yield MoviePanel(id="movie")
                yield WorkersPanel(id="workers")
        yield AlertsLine(id="alerts")
        yield Footer(compact=True, show_command_palette=False)

    @property
    def _app(self) -> FrazilApp:
        return cast("FrazilApp", self.app)

    @property
    def _table(self) -> MovieTable:
        return self.query_one(MovieTable)

    @property
    def _movie(self) -> MoviePanel:
        return self.query_one(MoviePanel)

    def on_mount(self) -> None:
        for hidden in ("#gate", "#gone", "#filter"):
            self.query_one(hidden).display = False
        self._table.border_title = "movies"
        self.query_one("#workers").border_title = "workers"
        self._table.focus()
        self._app.states.subscribe(self, self._on_state)
        self._app.gone.subscribe(self, self._on_gone)
        if self._app.state is not None:
            self._on_state(self._app.state)

    def on_resize(self, event: events.Resize) -> None:
        full = event.size.width >= _FULL_SIZE[0] and event.size.height >= _FULL_SIZE[1]
        self.set_class(not full, "-compact")
        self.set_class(event.size.width >= 160, "-wide")

    # ---- what the daemon says

    def _on_state(self, state: LiveState) -> None:
        before, self._seen = self._seen, state
        restarted = before is not None and before.daemon_started_utc_us != state.daemon_started_utc_us
        came_back = (self._gone and before is not None) or restarted
        self._gone = False
        self.query_one(GoneBanner).show_back()
        if came_back:
            self.notify("the daemon has been restarted" if restarted else "the daemon is back")
        self.query_one(SessionHeader).show_state(state)
        self.query_one(GateBanner).show_gate(state.gate)
        self.query_one(AlertsLine).show_state(state)
        self.query_one(WorkersPanel).show_workers(state.workers)
        if before is None or came_back or before.counts != state.counts or before.last_movie_id != state.last_movie_id:
            self._refresh_movies(new_results=before is None or came_back or before.last_movie_id != state.last_movie_id)

    def _on_gone(self, gone: Gone) -> None:
        self._gone = True
        self.query_one(GoneBanner).show_gone(gone.silent_s, None if self._seen is None else self._seen.status)

    def _refresh_movies(self, *, new_results: bool) -> None:
        self._table.changed()
        if new_results:
            self._fetch_trend()
        if self._seen is not None:
            self._table.follow_movie(self._seen.last_movie_id)
            if self._table.follows_newest:
                self._select(self._seen.last_movie_id)

    async def _ask(self, question: Awaitable[T]) -> T | None:
        """The answer, or None with a word to the person when there is none."""
        try:
            return await question
        except DaemonGoneError:
            return None  # the banner says it
        except FrazilError as error:
            self.notify(clean(error), severity="error", markup=False, timeout=8)
            return None

    # ---- table

    @on(MovieTable.Wanted)
    def _pages_wanted(self, event: MovieTable.Wanted) -> None:
        for number in event.numbers:
            self._fetch_page(number, event.version, event.view)

    @work(group="pages")
    async def _fetch_page(self, number: int, version: int, view: View) -> None:
        question = self._app.client.named("movies", limit=PAGE_ROWS, offset=number * PAGE_ROWS, **view.params())
        answer = await self._ask(question)
        if answer is None:
            self._table.pages.forget_request(number, version)
            return
        self._table.take(number, version, view, answer)
        shown = self._movie
        if shown.row is not None:
            index = self._table.pages.index_of(str(shown.movie_id))
            row = None if index is None else self._table.pages.row(index)
            if row is not None and row.get("state") != shown.row.get("state"):
                self._select(shown.movie_id, again=True)
        self._title_table()

    def _title_table(self) -> None:
        view, table = self._table.pages.view, self._table
        parts = [f"{table.pages.total} movies"]
        if view.search:
            parts.append(f"with “{clean(view.search)}”")
        if view.state:
            parts.append(f"only {movie_look(view.state).text}")
        if table.follows_newest:
            parts.append("following the newest")
        table.border_title = ", ".join(parts).replace("[", "\\[")
        column = BY_KEY.get(view.sort)
        table.border_subtitle = f"by {column.title} {'▼' if view.descending else '▲'}" if column else ""

    def _set_view(self, view: View) -> None:
        self._table.set_view(view)
        self._table.empty_text = "no movie fits" if view.search or view.state else "no movies yet"
        self._title_table()

    @on(MovieTable.SortAsked)
    def _sort_clicked(self, event: MovieTable.SortAsked) -> None:
        self._sort_by(event.key)

    def _sort_by(self, key: str | None) -> None:
        if key is None:
            return
        view = self._table.pages.view
        turn = key == view.sort
        first_descending = key not in ("relative_path", "state", "ctf_fit_angstrom")
        self._set_view(replace(view, sort=key, descending=not view.descending if turn else first_descending))

    @on(MovieTable.Highlighted)
    def _highlighted(self, event: MovieTable.Highlighted) -> None:
        if event.by_hand and not self._table.follows_newest:
            self._select(str(event.row["movie_id"]))
        self._title_table()

    # ---- selected movie

    def _select(self, movie_id: str | None, *, again: bool = False) -> None:
        if movie_id is None or (movie_id == self._movie.movie_id and not again):
            return
        self._app.movie_id = movie_id
        index = self._table.pages.index_of(movie_id)
        self._movie.show_movie(movie_id, None if index is None else self._table.pages.row(index), again=again)
        self._fetch_movie(movie_id)

    @work(exclusive=True, group="movie")
    async def _fetch_movie(self, movie_id: str) -> None:
        await asyncio.sleep(_SETTLE_S)
        client = self._app.client
        answer = await self._ask(client.named("movie", movie_id=movie_id))
        if answer is None or not answer.rows:
            return
        self._movie.take_row(movie_id, answer.as_dicts()[0], following=self._table.follows_newest)
        shifts = await self._ask(client.named("frame_shifts", movie_id=movie_id))
        self._movie.take_shifts(movie_id, shifts if shifts is not None and shifts.rows else "no motion measured yet")

    @on(Picture.Wanted)
    def _picture_wanted(self, event: Picture.Wanted) -> None:
        # Textual types `run_worker` with a variable that nothing binds here.
        job: Any = partial(self._fetch_picture, event)
        self.run_worker(job, group=f"picture-{event.picture.id}", exclusive=True)

    async def _fetch_picture(self, event: Picture.Wanted) -> None:
        await asyncio.sleep(_SETTLE_S)
        picture = event.picture
        try:
            answer = await self._app.client.picture(event.movie_id, event.kind, event.max_width_px, event.max_height_px)
        except NotThereError:
            picture.take(event.movie_id, "not yet")
        except FrazilError as error:
            picture.take(event.movie_id, error.what)
        else:
            picture.take(event.movie_id, answer)

    @work(exclusive=True, group="trend")
    async def _fetch_trend(self) -> None:
        answer = await self._ask(self._app.client.named("trend", metrics=METRICS, last=TREND_LENGTH))
        if answer is not None:
            self.query_one(TrendPanel).show_trend(answer)

    # ---- keys

    def _shown(self) -> tuple[str, str] | None:
        """Id and name of the movie that an order is about: the one whose pictures are seen."""
        if self._movie.movie_id is None or self._movie.row is None:
            self.notify("no movie is selected", severity="warning")
            return None
        return self._movie.movie_id, movie_name(self._movie.row.get("relative_path", ""))

    @work(group="command")
    async def _order(self, name: CommandName, args: dict[str, Scalar], about: str) -> None:
        try:
            done = await self._app.client.command(name, **args)
        except FrazilError as error:
            self.notify(
                f"{about}\n{clean(error)}", title=f"{name}: not done", severity="error", markup=False, timeout=10
            )
            return
        self.notify(about, title=f"{name}: {clean(done.message) or 'done'}", markup=False)
        movie_id = args.get("movie_id")
        self._table.changed()
        if isinstance(movie_id, str) and movie_id == self._movie.movie_id:
            self._select(movie_id, again=True)

    def action_accept(self) -> None:
        shown = self._shown()
        if shown is not None:
            self._order("accept", {"movie_id": shown[0]}, shown[1])

    def action_requeue(self) -> None:
        shown = self._shown()
        if shown is not None:
            self._order("requeue", {"movie_id": shown[0]}, shown[1])

    def action_reject(self) -> None:
        shown = self._shown()
        if shown is None:
            return
        movie_id, name = shown

        def then(reason: str | None) -> None:
            if reason:
                self._order("reject", {"movie_id": movie_id, "reason": reason}, name)

        prompt = TextPrompt("Reject", name, placeholder="reason, e.g. crystalline ice", required=True)
        self.app.push_screen(prompt, then)

    def action_note(self) -> None:
        shown = self._shown()
        if shown is None:
            return
        movie_id, name = shown

        def then(text: str | None) -> None:
            if text:
                self._order("note", {"movie_id": movie_id, "text": text}, name)

        self.app.push_screen(TextPrompt("Note about", name, placeholder="what you see, or what you changed"), then)

    def action_pause(self) -> None:
        paused = self._seen is not None and self._seen.status == "paused"
        self._order("resume" if paused else "pause", {}, "")

    @work(group="command")
    async def action_acknowledge(self) -> None:
        alerts = await self._ask(self._app.client.named("alerts", open_only=True, limit=1))
        if alerts is None or not alerts.rows:
            self.notify("no alert is open")
            return
        alert = alerts.as_dicts()[0]
        self._order("acknowledge", {"alert_id": alert["alert_id"]}, clean(alert["text"]))

    def action_sort(self) -> None:
        view = self._table.pages.view
        self.app.push_screen(SortDialog(view.sort, view.descending), self._sort_by)

    def action_state_filter(self) -> None:
        view = self._table.pages.view
        following = _STATE_FILTERS[(_STATE_FILTERS.index(view.state) + 1) % len(_STATE_FILTERS)]
        self._set_view(replace(view, state=following))

    def action_follow(self) -> None:
        if self._table.pages.view != View():
            self._set_view(View())
        self._table.action_first()
        if self._seen is not None:
            self._select(self._seen.last_movie_id)
        self._title_table()

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()
        self.action_pane("movies")

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        self._set_view(replace(self._table.pages.view, search=event.value.strip()))
        event.input.display = bool(event.value.strip())
        # After the screen has been laid out anew: an input that is hidden now would keep the keys otherwise.
        self._table.focus()
        self.call_after_refresh(self._table.focus)

    def action_jump(self) -> None:
        def then(text: str | None) -> None:
            if text:
                self._jump_to(text)

        self.app.push_screen(TextPrompt("Jump to", "", placeholder="part of the path, e.g. Data_4711"), then)

    @work(exclusive=True, group="jump")
    async def _jump_to(self, text: str) -> None:
        view = self._table.pages.view
        found = await self._ask(self._app.client.named("movies", limit=1, **replace(view, search=text).params()))
        if found is None:
            return
        if not found.rows:
            self.notify(f"no movie with “{clean(text)}”", severity="warning", markup=False)
            return
        target = found.as_dicts()[0]
        for _ in range(3):  # movies that arrive meanwhile can make a search miss
            index = await find_index(
                target, total=self._table.pages.total, sort=view.sort, descending=view.descending, fetch=self._fetch_one
            )
            if index is not None:
                self._table.go_to(index)
                self._select(str(target["movie_id"]))
                return
        self.notify(f"“{clean(text)}” does not stand in this list (filter?)", severity="warning", markup=False)

    async def _fetch_one(self, index: int) -> Row | None:
        answer: Rows | None = await self._ask(
            self._app.client.named("movies", limit=1, offset=index, **self._table.pages.view.params())
        )
        return answer.as_dicts()[0] if answer is not None and answer.rows else None

    def action_causes(self) -> None:
        """What costs the session and the selected movie their signal."""
        self.app.switch_mode("causes")

    def action_map(self) -> None:
        """The running reconstruction and what it foretells."""
        self.app.switch_mode("map")

    def action_pane(self, pane: str) -> None:
        for name in PANES:
            self.set_class(name == pane, f"pane-{name}")
        self.query_one(PaneBar).show_pane(pane)

    def action_enlarge(self) -> None:
        """The movie on the whole screen; Escape leads back."""
        if self.has_class("-compact"):
            self.action_pane("movie")
        else:
            self.maximize(self._movie)

    def action_view(self) -> None:
        """On a small terminal there is room for one picture at a time."""
        self._movie.show_next_view()

    def action_restored(self) -> None:
        """The micrograph as it was summed, and as it was restored."""
        self._movie.show_next_micrograph()

    def action_zoom(self) -> None:
        picture = self.query_one("#spectrum", Picture)
        picture.zoom_to({1: 2, 2: 4}.get(picture.zoom, 1))

    def action_back(self) -> None:
        if self.maximized is not None:
            self.minimize()
            self._table.focus()
            return
        field = self.query_one("#filter", Input)
        if field.display and (field.has_focus or self._table.pages.view.search):
            field.value = ""
            field.display = False
            if self._table.pages.view.search:
                self._set_view(replace(self._table.pages.view, search=""))
        self._table.focus()
        self.action_pane("movies")
