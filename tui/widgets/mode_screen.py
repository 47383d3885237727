"""What all modes of the screen have: the session at the top, banners, panes of small terminals, alerts, keys, help."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar, cast

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer, Static

from frazil.config.errors import DaemonGoneError, FrazilError
from frazil.daemon.client import Gone
from frazil.daemon.transport.messages import CommandName, LiveState, Row, Scalar
from frazil.tui.widgets.changed_dialog import Changed, ChangedDialog
from frazil.tui.widgets.notices import ASKED_AGAIN, NO_ANSWER, AlertsLine, GateBanner, GoneBanner
from frazil.tui.widgets.pane_bar import PaneBar
from frazil.tui.widgets.picture import Picture
from frazil.tui.widgets.picture_fetch import fetched
from frazil.tui.widgets.session_app import SessionApp
from frazil.tui.widgets.session_header import SessionHeader
from frazil.tui.widgets.verdict_line import VerdictLine
from frazil.tui.words.formatting import clean

T = TypeVar("T")
Keys = tuple[tuple[str, str], ...]
"""Keys and what they do, for the help."""

_FULL_SIZE = (110, 32)
"""From this size on everything stands side by side."""
_WIDE = 160
_ALL_KEYS_WIDTH = 100
_REFRESH_US = 10_000_000
"""After this long a mode asks again, for what changes without a sign in the state."""

MODES = {
    "causes": ("c", "causes: what costs session and movie their signal, and what to change"),
    "grid": ("g", "grid: squares and holes, what came of them, which to take next"),
    "map": ("m", "map: resolution, evenness, what more movies would bring"),
    "scores": ("e", "scores: what the evaluators say, with their evidence"),
    "system": ("y", "system: workers, queue, times, what was set aside, sockets"),
}
"""Key and meaning of every mode beside *live*; the same key leads back."""


def mode_bindings(present: str) -> list[Binding]:
    """The keys that lead from one mode to the others; the present one's leads back to the movies."""
    return [Binding(key, f"mode('{name}')", "movies" if name == present else name) for name, (key, _) in MODES.items()]


def mode_keys(present: str) -> Keys:
    """The same keys and where they lead, for the help."""
    there = tuple((key, f"{words}; again: back") for name, (key, words) in MODES.items() if name != present)
    back = () if present == "live" else ((f"{MODES[present][0]}, Escape", "back to the movies"),)
    return (*back, *there)


SHARED_KEYS: Keys = (
    ("k", "acknowledge the alert that is shown first"),
    ("i", "note what you have changed at the microscope: the summary tells what came of it"),
    ("p", "pause: no new movie is started; again: go on"),
    ("?", "this help"),
    ("q", "leave the screen; the daemon goes on"),
)


_ORDERS = frozenset({"accept", "reject", "note", "pause", "pick", "avoid", "forget", "re-queue"})
"""Names of the keys that only a running daemon can carry out."""


class KeysLine(Footer):
    """The footer; on a narrow terminal only the keys that nobody can do without, and without a daemon no orders."""

    _drawn: tuple[tuple[str, str, bool], ...] | None = None

    def bindings_changed(self, screen: Screen[Any]) -> None:
        """Drawn again only when the keys differ: Textual keeps some of the widgets that it replaces."""
        keys = tuple((key, one.binding.description, one.enabled) for key, one in screen.active_bindings.items())
        if keys == self._drawn:
            return
        if self.is_attached and screen is self.screen and screen.app.app_focus:
            self._drawn = keys
        super().bindings_changed(screen)

    def __init__(self, less: frozenset[str]) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._less = less
        self._hidden: frozenset[str] = frozenset()

    def show_orders(self, shown: bool) -> None:
        """False: no daemon runs. The keys themselves stay, and say what is missing."""
        hidden = frozenset() if shown else _ORDERS
        if hidden != self._hidden:
            self._hidden = hidden
            self._fit()

    def compose(self) -> ComposeResult:
        yield from super().compose()
        self.call_after_refresh(self._fit)

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        left_out = self._hidden | (frozenset() if self.size.width >= _ALL_KEYS_WIDTH else self._less)
        for key in self.query("FooterKey"):
            key.display = getattr(key, "description", "") not in left_out


class ModeScreen(Screen[object]):
    """One mode. It asks the daemon only while it is seen, and keeps what it shows while no daemon answers.

    Textual calls `on_mount` and `on_resize` of this class beside a subclass's own.
    A subclass says what it is (`MODE`, `PANES`, `KEY_HELP`, `MEANING`), composes its `body`, asks in `refresh_body`.
    """

    MODE: ClassVar[str]
    PANES: ClassVar[tuple[str, ...]]
    """One of these at a time is seen on a small terminal, chosen by 1, 2, ..."""
    KEY_HELP: ClassVar[Keys]
    MEANING: ClassVar[str]
    LESS_KEYS: ClassVar[frozenset[str]] = frozenset({"pause"})
    """Names of keys that a narrow footer leaves out; the help has them."""

    WORDS: ClassVar[str | None] = None
    """Selector of the widget that says so while no answer has come yet; None: there is none."""

    SHARED_BINDINGS: ClassVar[list[Binding]] = [
        Binding("p", "pause", "pause"),
        Binding("k", "acknowledge", "acknowledge", show=False),
        Binding("i", "changed", "I changed", show=False),
        *(Binding(str(number), f"pane_number({number})", "pane", show=False) for number in range(1, 5)),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.seen: LiveState | None = None
        """The newest state that was shown here."""
        self.gone = False
        """No daemon answers."""
        self.unanswered = False
        """A question was not answered since this was last set to False."""
        self.answered = False
        """The daemon has answered this mode's questions before: what is shown is worth keeping."""
        self._asked: tuple[object, ...] | None = None
        """What `about` said when questions were asked last."""

    def body(self) -> ComposeResult:
        """What stands between header and alerts."""
        raise NotImplementedError

    def about(self, state: LiveState) -> tuple[object, ...]:
        """When this changes, `refresh_body` is called (and every ten seconds, for what comes without a sign)."""
        return ()

    def refresh_body(self, state: LiveState) -> None:
        """Ask for what is seen."""

    def shown_state(self, state: LiveState, *, came_back: bool) -> None:
        """A new state is here, about once a second; `came_back`: the daemon was gone before, has been restarted, or has
        ended, and the session's file answers now."""

    def compose(self) -> ComposeResult:
        yield VerdictLine(id="verdict")
        yield SessionHeader(id="header")
        yield GoneBanner(id="gone")
        yield GateBanner(id="gate")
        yield PaneBar(self.PANES, id="panes")
        yield from self.body()
        yield AlertsLine(id="alerts")
        yield KeysLine(self.LESS_KEYS)

    @property
    def frazil(self) -> SessionApp:
        """The app, as far as a mode may know it."""
        return cast(SessionApp, self.app)

    def on_mount(self) -> None:
        for hidden in ("#gate", "#gone"):
            self.query_one(hidden).display = False
        self.frazil.states.subscribe(self, self._on_state)
        self.frazil.gone.subscribe(self, self._on_gone)

    def on_screen_suspend(self) -> None:
        self._draw_pictures_anew()

    def _draw_pictures_anew(self) -> None:
        """A dialog lies over them, or does no longer: its shade is nothing for the terminal's own pixels."""
        for picture in self.query(Picture):
            picture.refresh()

    def on_screen_resume(self) -> None:
        self._draw_pictures_anew()
        self._asked = None
        if self.frazil.state is not None:
            self._on_state(self.frazil.state)

    def on_resize(self, event: events.Resize) -> None:
        full = event.size.width >= _FULL_SIZE[0] and event.size.height >= _FULL_SIZE[1]
        self.set_class(not full, "-compact")
        self.set_class(event.size.width >= _WIDE, "-wide")

    # ---- what the daemon says

    def _on_state(self, state: LiveState) -> None:
        before, self.seen = self.seen, state
        restarted = before is not None and before.daemon_started_utc_us != state.daemon_started_utc_us
        came_back = before is not None and (self.gone or restarted)
        self.gone = False
        self.query_one(GoneBanner).show_back()
        if came_back and self.in_front and state.ended_utc_us is None:
            self._tell_of_daemon(before, restarted=restarted)
        self.query_one(VerdictLine).show_state(state)
        self.query_one(SessionHeader).show_state(state)
        self.query_one(GateBanner).show_gate(state.gate)
        self.query_one(AlertsLine).show_state(state)
        self.query_one(KeysLine).show_orders(state.ended_utc_us is None)
        self.shown_state(state, came_back=came_back)
        about = (state.daemon_started_utc_us, state.utc_us // _REFRESH_US, *self.about(state))
        # A question can be lost while the daemon lives on, if it was busy for longer than the client waits: then it is
        # asked again with the next state.
        if self.in_front and (self.unanswered or about != self._asked):
            self._asked = about
            self.unanswered = False
            self.refresh_body(state)

    def _tell_of_daemon(self, before: LiveState | None, *, restarted: bool) -> None:
        if before is not None and before.ended_utc_us is not None:
            self.notify("a daemon has taken this session up")
        else:
            self.notify("the daemon has been restarted" if restarted else "the daemon is back")

    @property
    def in_front(self) -> bool:
        """This mode is seen, dialogs over it or not."""
        return self.app.current_mode == self.MODE

    def _on_gone(self, gone: Gone) -> None:
        self.gone = True
        self._asked = None
        self.say_unanswered()
        self.query_one(GoneBanner).show_gone(gone.silent_s, None if self.seen is None else self.seen.status, gone.why)

    def say_unanswered(self) -> None:
        """Says that no answer has come, unless earlier answers are shown."""
        if self.WORDS is not None and self.unanswered and not self.answered:
            self.query_one(self.WORDS, Static).update(NO_ANSWER if self.gone else ASKED_AGAIN)

    async def ask(self, question: Awaitable[T]) -> T | None:
        """The answer; None when there is none: the banner or a notice says why."""
        try:
            return await question
        except DaemonGoneError:
            self.unanswered = True  # the banner says it; what is shown stays
        except FrazilError as error:
            self.notify(clean(error), severity="error", markup=False, timeout=8)
        return None

    async def rows(self, name: str, **params: Scalar) -> Sequence[Row]:
        """Rows of a named query; none when there is no answer."""
        answer = await self.ask(self.frazil.client.named(name, **params))
        return () if answer is None else answer.as_dicts()

    @on(Picture.Wanted)
    def _picture_wanted(self, event: Picture.Wanted) -> None:
        # Textual types `run_worker` with a variable that nothing binds here.
        job: Any = partial(self.fetch_picture, event)
        self.run_worker(job, group=f"picture-{event.picture.id}", exclusive=True)

    async def fetch_picture(self, event: Picture.Wanted) -> None:
        """Asks for a picture and hands it over, or the reason why there is none."""
        at_rest = self.seen is not None and self.seen.ended_utc_us is not None
        answer = await fetched(self.frazil, self.picture_of(event), event, at_rest=at_rest)
        event.picture.take(event, answer)

    def picture_of(self, event: Picture.Wanted) -> str:
        """The movie whose picture the daemon is asked for."""
        return event.movie_id

    # ---- orders

    @work(group="command")
    async def order(self, name: CommandName, args: dict[str, Scalar], about: str) -> None:
        """Sends an order and says what became of it; `carried_out` follows when it was confirmed."""
        try:
            done = await self.frazil.client.command(name, **args)
        except FrazilError as error:
            self.notify(
                f"{about}\n{clean(error)}", title=f"{name}: not done", severity="error", markup=False, timeout=10
            )
            return
        self.notify(about, title=f"{name}: {clean(done.message) or 'done'}", markup=False)
        self.carried_out(name, args)

    def carried_out(self, name: CommandName, args: dict[str, Scalar]) -> None:
        """The daemon has confirmed an order of this screen."""

    def action_pause(self) -> None:
        paused = self.seen is not None and self.seen.status == "paused"
        self.order("resume" if paused else "pause", {}, "")

    def action_changed(self) -> None:
        """What a person did belongs to the session: losses before and after it are compared."""

        def then(changed: Changed | None) -> None:
            if changed is not None:
                self.order("intervention", changed.args(), changed.sentence)

        self.app.push_screen(ChangedDialog(), then)

    @work(group="command")
    async def action_acknowledge(self) -> None:
        alerts = await self.ask(self.frazil.client.named("alerts", open_only=True, limit=100))
        urgent = [] if alerts is None else [row for row in alerts.as_dicts() if row.get("severity") != "info"]
        urgent.sort(key=lambda row: row.get("severity") != "error")  # as the line shows them
        if not urgent:
            self.notify("no alert is open")
            return
        self.order("acknowledge", {"alert_id": urgent[0]["alert_id"]}, clean(urgent[0]["text"]))

    # ---- keys

    @property
    def keys(self) -> Keys:
        """For the help: this mode's own keys, then those of all modes."""
        numbers = " ".join(str(i + 1) for i in range(len(self.PANES)))
        panes = (numbers, f"small terminals: {', '.join(self.PANES)}")
        own = {keys for keys, _ in self.KEY_HELP}
        shared = (line for line in SHARED_KEYS if line[0] not in own)
        return (*self.KEY_HELP, panes, *mode_keys(self.MODE), *shared)

    def action_mode(self, name: str) -> None:
        self.app.switch_mode("live" if name == self.MODE else name)

    def action_movies(self) -> None:
        self.app.switch_mode("live")

    def action_pane_number(self, number: int) -> None:
        if number <= len(self.PANES):
            self.show_pane(self.PANES[number - 1])

    def show_pane(self, pane: str) -> None:
        """On a small terminal this one is seen; on a larger one all are."""
        for name in self.PANES:
            self.set_class(name == pane, f"pane-{name}")
        self.query_one(PaneBar).show_pane(pane)
