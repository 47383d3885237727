"""Mode *Causes*: what costs the session and the selected movie their signal, what changed, and what to change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from frazil.daemon.transport.messages import LiveState, Row
from frazil.tui.causes.bars import Loss, advice_text, bars_text, causes_tree, losses_of, movie_heading, scale_of
from frazil.tui.causes.experiment import experiment_text
from frazil.tui.causes.loss_plot import LossPlot
from frazil.tui.widgets.mode_screen import Keys, ModeScreen, mode_bindings
from frazil.tui.words.palette import BLUE

MEAN_MOVIES = 25
"""The newest ones, over which losses are averaged: what the session is like now, as for the advice."""
RESOLUTION_ANGSTROM = 5.0
"""Where losses are compared: detail that a map needs."""


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


class CausesScreen(ModeScreen):
    """Asks when a movie has ended, when the prior has a new version, and when another movie is selected."""

    MODE = "causes"
    WORDS = "#advice-text"
    PANES = ("causes", "advice", "spectrum")
    KEY_HELP: ClassVar[Keys] = (
        ("h", "how each advice is known, and what was tried to refute it"),
        ("↑ ↓ PgUp PgDn", "scroll the advice, and what acts on what below it"),
    )
    MEANING = (
        "A bar is █ to the lower end of the 95 % credible interval, ▓ to the loss itself, ░ to the upper end; ▸: it "
        "goes on. Left the last 25 movies, right the selected one, to one scale: the signal (over noise) lost at 5 "
        "Å, as the natural logarithm of what is left: 0.1 is a tenth of it, 0.7 half, 2.3 nine tenths. What can be "
        "undone stands below the total; spread of heights: particles lie at several depths of the ice, and one "
        "defocus fits only some. The title says which cause takes more than is usual in the session, and how much "
        "more; it may act through two bars. Behind an advice stands how it is known: measured by an experiment, "
        "adjusted (from this session's movies, what confounds them held fixed), or physics alone; `h` says more. In "
        "text: `frazil why`."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *mode_bindings("causes"),
        *ModeScreen.SHARED_BINDINGS,
        Binding("escape", "movies", "movies", show=False),
        Binding("h", "how", "how known"),
        Binding("down", "scroll_advice(3)", "scroll", show=False),
        Binding("up", "scroll_advice(-3)", "scroll", show=False),
        Binding("pagedown", "scroll_advice(12)", "scroll", show=False),
        Binding("pageup", "scroll_advice(-12)", "scroll", show=False),
    ]

    def body(self) -> ComposeResult:
        with Vertical(id="causes"):
            with Horizontal(id="cause-bars"):
                yield LossBars(id="session-bars")
                yield LossBars(id="movie-bars")
            with Horizontal(id="cause-rest"):
                with VerticalScroll(id="advice"):
                    yield Static(id="experiment-text")
                    yield Static(id="advice-text")
                    yield Static(id="graph-text")
                yield LossPlot(id="loss-plot")

    def __init__(self) -> None:
        super().__init__()
        self._how = False
        """Whether what stands behind each advice is shown."""
        self._advice: tuple[Sequence[Row], Sequence[Row], Sequence[Row], Row | None] = ((), (), (), None)

    def on_mount(self) -> None:
        self.query_one("#advice").border_title = "advice"

    def about(self, state: LiveState) -> tuple[object, ...]:
        return (state.last_movie_id, state.prior_version, self.frazil.movie_id)

    def refresh_body(self, state: LiveState) -> None:
        self._fetch(self.frazil.movie_id)

    @work(exclusive=True, group="causes")
    async def _fetch(self, movie_id: str | None) -> None:
        session, advice, changes, shares, priors, nodes, edges, experiments = await asyncio.gather(
            self.rows("mean_losses_at", resolution_angstrom=RESOLUTION_ANGSTROM, last=MEAN_MOVIES),
            self.rows("interventions", limit=20),
            self.rows("change_points"),
            self.rows("causal_shares"),
            self.rows("priors", limit=1),
            self.rows("causal_nodes"),
            self.rows("causal_edges"),
            self.rows("experiments", limit=1),
        )
        if self.unanswered:
            self.say_unanswered()
            return
        self.answered = True
        movies = max((row["movies"] for row in session if isinstance(row["movies"], int)), default=0)
        title = f"last {movies} movies, signal lost at {RESOLUTION_ANGSTROM:g} Å (0.7: half)"
        self.query_one("#session-bars", LossBars).show_losses(title, losses_of(session))
        self._scale_bars()
        prior = priors[0] if priors else None
        self._advice = (advice, changes, shares, prior)
        self._show_advice()
        self.query_one("#experiment-text", Static).update(experiment_text(experiments[0]) if experiments else "")
        tree = Text.assemble(
            ("\nwhat acts on what, loss at 5 Å\n", f"bold {BLUE}"), causes_tree(nodes, edges, losses_of(session))
        )
        self.query_one("#graph-text", Static).update(tree if nodes else "")
        if movie_id is None:
            self.query_one("#movie-bars", LossBars).show_losses(movie_heading(None, attributed=False), ())
            self.query_one(LossPlot).show_rows(())
            return
        movie, at, curves = await asyncio.gather(
            self.rows("movie", movie_id=movie_id),
            self.rows("losses_at", movie_id=movie_id, resolution_angstrom=RESOLUTION_ANGSTROM),
            self.rows("losses", movie_id=movie_id),
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

    def _show_advice(self) -> None:
        self.query_one("#advice-text", Static).update(advice_text(*self._advice, how=self._how))

    def action_how(self) -> None:
        """How each advice is known, or no longer."""
        self._how = not self._how
        self._show_advice()

    def action_scroll_advice(self, lines: int) -> None:
        self.query_one("#advice").scroll_relative(y=lines, animate=False)
