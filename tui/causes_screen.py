"""Mode *Causes*: what costs the session and the selected movie their signal, what changed, and what to change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Static

from frazil.config.errors import DaemonGoneError, FrazilError
from frazil.daemon.client import Gone
from frazil.daemon.transport.messages import LiveState, Scalar
from frazil.tui.cause_bars import Loss, advice_text, bars_text, causes_tree, losses_of, movie_heading, scale_of
from frazil.tui.formatting import clean
from frazil.tui.loss_plot import LossPlot
from frazil.tui.notices import ENDED, AlertsLine, GoneBanner
from frazil.tui.pages import Row
from frazil.tui.palette import BLUE
from frazil.tui.pane_bar import PaneBar
from frazil.tui.session_header import SessionHeader

if TYPE_CHECKING:
    from frazil.tui.app import FrazilApp

PANES = ("causes", "advice", "spectrum")
MEAN_MOVIES = 25
"""The newest ones: what the session is like now, as for the advice."""
RESOLUTION_ANGSTROM = 5.0
"""Where losses are compared: detail that a map needs."""
_ANEW_US = 10_000_000
_FULL_SIZE = (110, 32)


class LossBars(Widget):
    """Losses by cause, as many as fit."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.losses: Sequence[Loss] = ()
        self._full_scale = 1.0

    def show_losses(self, title: str, losses: Sequence[Loss]) -> None:
        self.losses = losses
        self.border_title = title.replace("[", "\\[")
        self.refresh()

    def scale_to(self, full_scale: float) -> None:
        """What a bar of full length means."""
        self._full_scale = full_scale
        self.refresh()

    def render(self) -> Text:
        return bars_text(self.losses, self._full_scale, max(20, self.size.width), max(1, self.size.height))


class CausesScreen(Screen[object]):
    """Asks anew when a movie has ended, when the prior has a new version, and when another movie is selected."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "movies", "movies"),
        Binding("m", "map", "map"),
        Binding("escape", "movies", "movies", show=False),
        Binding("down", "scroll_advice(3)", "scroll", show=False),
        Binding("up", "scroll_advice(-3)", "scroll", show=False),
        *(Binding(str(i + 1), f"pane('{pane}')", pane, show=False) for i, pane in enumerate(PANES)),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._asked: tuple[object, ...] | None = None
        """What the answers on the screen are about."""
        self._gone = self._shown = False
        """The daemon did not answer the last time; it has answered before."""

    def compose(self) -> ComposeResult:
        yield SessionHeader(id="header")
        yield GoneBanner(id="gone")
        yield PaneBar(PANES, id="panes")
        with Vertical(id="causes"):
            with Horizontal(id="cause-bars"):
                yield LossBars(id="session-bars")
                yield LossBars(id="movie-bars")
            with Horizontal(id="cause-rest"):
                with VerticalScroll(id="advice"):
                    yield Static(id="advice-text")
                    yield Static(id="graph-text")
                yield LossPlot(id="loss-plot")
        yield AlertsLine(id="alerts")
        yield Footer(compact=True, show_command_palette=False)

    @property
    def _app(self) -> FrazilApp:
        return cast("FrazilApp", self.app)

    def on_mount(self) -> None:
        self.query_one("#gone").display = False
        self.query_one("#advice").border_title = "advice"
        self._app.states.subscribe(self, self._on_state)
        self._app.gone.subscribe(self, self._on_gone)

    def on_screen_resume(self) -> None:
        self._asked = None
        if self._app.state is not None:
            self._on_state(self._app.state)

    def on_resize(self, event: events.Resize) -> None:
        full = event.size.width >= _FULL_SIZE[0] and event.size.height >= _FULL_SIZE[1]
        self.set_class(not full, "-compact")

    def _on_state(self, state: LiveState) -> None:
        self.query_one(GoneBanner).display = False
        self.query_one(SessionHeader).show_state(state)
        self.query_one(AlertsLine).show_state(state, can_acknowledge=False)
        # Advice and losses come some seconds after their version: looked at anew every ten.
        about = (
            state.daemon_started_utc_us,
            state.last_movie_id,
            state.prior_version,
            self._app.movie_id,
            state.utc_us // _ANEW_US,
        )
        if self.is_current and about != self._asked:
            self._asked = about
            self._fetch(self._app.movie_id)

    def _on_gone(self, gone: Gone) -> None:
        self._asked = None
        state = self._app.state
        self.query_one(GoneBanner).show_gone(gone.silent_s, None if state is None else state.status)

    @work(exclusive=True, group="causes")
    async def _fetch(self, movie_id: str | None) -> None:
        self._gone = False
        session, advice, changes, shares, priors, nodes, edges = await asyncio.gather(
            self._rows("mean_losses_at", resolution_angstrom=RESOLUTION_ANGSTROM, last=MEAN_MOVIES),
            self._rows("interventions", limit=20),
            self._rows("change_points"),
            self._rows("causal_shares"),
            self._rows("priors", limit=1),
            self._rows("causal_nodes"),
            self._rows("causal_edges"),
        )
        if self._gone:
            if not self._shown:
                self.query_one("#advice-text", Static).update(ENDED)
            return
        self._shown = True
        movies = max((row["movies"] for row in session if isinstance(row["movies"], int)), default=0)
        title = f"last {movies} movies, loss of ln SSNR at {RESOLUTION_ANGSTROM:g} Å"
        self.query_one("#session-bars", LossBars).show_losses(title, losses_of(session))
        self._scale_bars()
        prior = priors[0] if priors else None
        self.query_one("#advice-text", Static).update(advice_text(advice, changes, shares, prior))
        tree = Text.assemble(
            ("\nwhat acts on what, loss at 5 Å\n", f"bold {BLUE}"), causes_tree(nodes, edges, losses_of(session))
        )
        self.query_one("#graph-text", Static).update(tree if nodes else "")
        if movie_id is None:
            return
        movie, at, curves = await asyncio.gather(
            self._rows("movie", movie_id=movie_id),
            self._rows("losses_at", movie_id=movie_id, resolution_angstrom=RESOLUTION_ANGSTROM),
            self._rows("losses", movie_id=movie_id),
        )
        heading = movie_heading(movie[0] if movie else None, attributed=bool(at))
        self.query_one("#movie-bars", LossBars).show_losses(heading, losses_of(at))
        self._scale_bars()
        self.query_one(LossPlot).show_rows(curves)

    def _scale_bars(self) -> None:
        """Session and movie can be compared bar by bar."""
        bars = list(self.query(LossBars))
        for one in bars:
            one.scale_to(scale_of(*(other.losses for other in bars)))

    async def _rows(self, name: str, **params: Scalar) -> Sequence[Row]:
        """The answer; nothing, with a word to the person, when there is none."""
        try:
            return (await self._app.client.named(name, **params)).as_dicts()
        except DaemonGoneError:
            self._gone = True  # the banner says it; what is shown stays
            return ()
        except FrazilError as error:
            self.notify(clean(error), severity="error", markup=False, timeout=8)
            return ()

    # ---- keys

    def action_movies(self) -> None:
        self.app.switch_mode("live")

    def action_map(self) -> None:
        self.app.switch_mode("map")

    def action_pane(self, pane: str) -> None:
        for name in PANES:
            self.set_class(name == pane, f"pane-{name}")
        self.query_one(PaneBar).show_pane(pane)

    def action_scroll_advice(self, lines: int) -> None:
        self.query_one("#advice").scroll_relative(y=lines, animate=False)
