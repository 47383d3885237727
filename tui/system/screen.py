"""Mode *System*: workers, queue, times of the stages, what was set aside and why, the journal, the daemon itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from frazil.daemon.transport.messages import CommandName, LiveState, Pong, Row, Scalar
from frazil.tui.system.words import aside_line, aside_text, daemon_text, journal_text, queue_text, stages_text
from frazil.tui.widgets.choice_list import ChoiceList
from frazil.tui.widgets.mode_screen import Keys, ModeScreen, mode_bindings
from frazil.tui.widgets.workers_panel import WorkersPanel
from frazil.tui.words.formatting import movie_name

_TIMED_MOVIES = 200
_SET_ASIDE = 200
_JOURNAL = 100


class SystemScreen(ModeScreen):
    """Workers and queue with every state; the rest anew every ten seconds, and when movies change their state."""

    MODE = "system"
    PANES = ("workers", "times", "quarantine", "journal")
    KEY_HELP: ClassVar[Keys] = (
        ("↑ ↓ Home End", "choose a movie that was set aside; its whole reason stands below"),
        ("Q", "re-queue it: once more from the start"),
        ("PgUp PgDn, u d", "scroll times and journal"),
    )
    MEANING = (
        "queue: movies by state, and whether the workers keep up. times: seconds a movie spends in a stage, █ the "
        "median, ░ on to the 95th percentile, of the last 200 movies; share: of all computing. set aside: files "
        "that cannot be used (set aside) and movies whose computing failed, with the reason. journal: all "
        "alerts, · information, ! warning, ■ error, → what to do, ✓ acknowledged by. The whole log is the file "
        "that is named. In text: `frazil status`, `frazil query SESSION --named failures`."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("Q", "requeue", "re-queue"),
        *mode_bindings("system"),
        *ModeScreen.SHARED_BINDINGS,
        Binding("escape", "movies", "movies", show=False),
        Binding("pagedown,d", "scroll_rest(6)", "scroll", show=False, priority=True),
        Binding("pageup,u", "scroll_rest(-6)", "scroll", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._aside: dict[str, Row] = {}
        self._times: tuple[Sequence[Row], Sequence[Row]] = ((), ())
        self._pong: Pong | None = None

    def body(self) -> ComposeResult:
        with Horizontal(id="system"):
            with Vertical(id="system-left"):
                yield WorkersPanel(id="system-workers")
                yield Static(id="queue")
                with VerticalScroll(id="times", can_focus=False):
                    yield Static(id="times-text")
                yield Static(id="daemon")
            with Vertical(id="system-right"):
                with Vertical(id="quarantine"):
                    yield ChoiceList("✓ nothing was set aside", id="aside")
                    yield Static(id="aside-text")
                with VerticalScroll(id="journal", can_focus=False):
                    yield Static(id="journal-text")

    def on_mount(self) -> None:
        for place, title in (
            ("#system-workers", "workers"),
            ("#queue", "queue"),
            ("#times", "times of the stages"),
            ("#daemon", "daemon"),
            ("#quarantine", "set aside"),
            ("#journal", "journal"),
        ):
            self.query_one(place).border_title = title
        self._list.focus()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._show_times)

    @property
    def _list(self) -> ChoiceList:
        return self.query_one("#aside", ChoiceList)

    def about(self, state: LiveState) -> tuple[object, ...]:
        return (state.counts.get("quarantined"), state.counts.get("failed"), state.alerts_open)

    def shown_state(self, state: LiveState, *, came_back: bool) -> None:
        if came_back:
            self._pong = None
        self.query_one(WorkersPanel).show_workers(state.workers, at_rest=state.ended_utc_us is not None)
        self.query_one("#queue", Static).update(queue_text(state))
        self._show_daemon(state)

    def refresh_body(self, state: LiveState) -> None:
        self._fetch()

    @work(exclusive=True, group="system")
    async def _fetch(self) -> None:
        times, devices, aside, alerts = await asyncio.gather(
            self.rows("stage_timings", last=_TIMED_MOVIES),
            self.rows("devices"),
            self.rows("failures", include_rejected=False, limit=_SET_ASIDE),
            self.rows("alerts", limit=_JOURNAL),
        )
        at_rest = self.seen is not None and self.seen.ended_utc_us is not None
        if self._pong is None and not at_rest:
            self._pong = await self.ask(self.frazil.client.ping())
        if self.unanswered:
            return
        self._times = (times, devices)
        self._show_times()
        self._aside = {str(row["movie_id"]): row for row in aside}
        self._list.show_lines([(movie_id, aside_line(row)) for movie_id, row in self._aside.items()])
        more = " or more" if len(aside) == _SET_ASIDE else ""
        self.query_one("#quarantine").border_title = f"set aside: {len(aside)}{more}" if aside else "set aside"
        self._show_chosen()
        self.query_one("#journal-text", Static).update(journal_text(alerts))

    # ---- what is shown

    def _show_times(self) -> None:
        if self.seen is not None:
            self._show_daemon(self.seen)
        width = self.query_one("#times").scrollable_content_region.width
        self.query_one("#times-text", Static).update(stages_text(*self._times, max(30, width)))

    def _show_daemon(self, state: LiveState) -> None:
        place = self.query_one("#daemon", Static)
        text: Text = daemon_text(state, self._pong, self.frazil.client.sockets, max(30, place.size.width))
        place.update(text)

    @on(ChoiceList.Chosen, "#aside")
    def _show_chosen(self) -> None:
        place = self.query_one("#aside-text", Static)
        row = self._aside.get(str(self._list.chosen))
        place.display = row is not None
        place.update(aside_text(row))

    # ---- keys

    def action_requeue(self) -> None:
        row = self._aside.get(str(self._list.chosen))
        if row is None:
            self.notify("no movie was set aside", severity="warning")
            return
        self.order("requeue", {"movie_id": row["movie_id"]}, movie_name(row["relative_path"]))

    def carried_out(self, name: CommandName, args: dict[str, Scalar]) -> None:
        self._fetch()

    def action_scroll_rest(self, lines: int) -> None:
        for place in ("#system-left", "#times", "#journal"):
            self.query_one(place).scroll_relative(y=lines, animate=False)
