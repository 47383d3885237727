"""Mode *Map*: the running reconstruction, how far to believe it, and what more movies would bring."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from frazil.config.errors import DaemonGoneError, FrazilError, NotThereError
from frazil.daemon.client import Gone
from frazil.daemon.transport.messages import LiveState
from frazil.tui.formatting import clean
from frazil.tui.map_plots import FscPlot, GrowthPlot
from frazil.tui.map_words import map_text
from frazil.tui.notices import ENDED, AlertsLine, GoneBanner
from frazil.tui.pages import Row
from frazil.tui.pane_bar import PaneBar
from frazil.tui.picture import Picture
from frazil.tui.session_header import SessionHeader

if TYPE_CHECKING:
    from frazil.tui.app import FrazilApp

PANES = ("words", "fsc", "picture", "growth")
_ANEW_US = 10_000_000
_FULL_SIZE = (110, 32)


class MapScreen(Screen[object]):
    """Asks anew every ten seconds while it is seen: a round takes longer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "movies", "movies"),
        Binding("escape", "movies", "movies", show=False),
        Binding("c", "causes", "causes"),
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
        with Vertical(id="map"):
            with Horizontal(id="map-top"):
                with Vertical(id="map-pictures"):
                    yield Picture("map_sections", "sections", id="map-sections")
                    yield Picture("map_projections", "projections", id="map-projections")
                    yield Picture("class_averages", "class averages", id="class-strip")
                yield FscPlot(id="fsc-plot")
            with Horizontal(id="map-bottom"):
                with VerticalScroll(id="map-words"):
                    yield Static(id="map-text")
                yield GrowthPlot(id="growth-plot")
        yield AlertsLine(id="alerts")
        yield Footer(compact=True, show_command_palette=False)

    @property
    def _app(self) -> FrazilApp:
        return cast("FrazilApp", self.app)

    def on_mount(self) -> None:
        self.query_one("#gone").display = False
        self.query_one("#map-words").border_title = "the map"
        self._show_pictures(None, with_classes=False)
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
        about = (state.daemon_started_utc_us, state.map_resolution_angstrom, state.utc_us // _ANEW_US)
        if self.is_current and about != self._asked:
            self._asked = about
            self._fetch()

    def _on_gone(self, gone: Gone) -> None:
        self._asked = None
        state = self._app.state
        self.query_one(GoneBanner).show_gone(gone.silent_s, None if state is None else state.status)

    @work(exclusive=True, group="map")
    async def _fetch(self) -> None:
        self._gone = False
        rounds, fsc, forecast, classes = await asyncio.gather(
            self._rows("reconstructions"), self._rows("fsc"), self._rows("forecast"), self._rows("classes")
        )
        if self._gone:
            if not self._shown:
                self.query_one("#map-text", Static).update(ENDED)
            return
        self._shown = True
        self.query_one("#map-text", Static).update(map_text(rounds, forecast, classes))
        self.query_one(FscPlot).show_rows(fsc)
        self.query_one(GrowthPlot).show_rows(rounds)
        self._show_pictures(rounds[-1] if rounds else None, with_classes=bool(classes))

    def _show_pictures(self, last: Row | None, *, with_classes: bool) -> None:
        """Of a map, of classes, or of both, whatever the newest round has."""
        with_map = not with_classes or (last is not None and last.get("map_path") is not None)
        titles = (["sections, projections across z, y, x"] if with_map else []) + ["class averages"] * with_classes
        self.query_one("#map-pictures").border_title = "; ".join(titles)
        # A last, shorter round has the number of the one that takes its place: its time tells them apart.
        round_id = None if last is None else f"{last.get('round')}-{last.get('created_utc_us')}"
        for picture in self.query(Picture):
            picture.display = with_classes if picture.kind == "class_averages" else with_map
            if picture.display:
                picture.show_movie(round_id)
                if round_id is None:
                    picture.say("no map yet" if picture.kind == "map_sections" else "")

    @on(Picture.Wanted)
    def _picture_wanted(self, event: Picture.Wanted) -> None:
        # Textual types `run_worker` with a variable that nothing binds here.
        job: Any = partial(self._fetch_picture, event)
        self.run_worker(job, group=f"picture-{event.picture.kind}", exclusive=True)

    async def _fetch_picture(self, event: Picture.Wanted) -> None:
        picture = event.picture
        try:
            answer = await self._app.client.picture("", picture.kind, event.max_width_px, event.max_height_px)
        except NotThereError:
            picture.take(event.movie_id, "not yet")
        except FrazilError as error:
            picture.take(event.movie_id, error.what)
        else:
            picture.take(event.movie_id, answer)

    async def _rows(self, name: str) -> Sequence[Row]:
        """The answer; nothing, with a word to the person, when there is none."""
        try:
            return (await self._app.client.named(name)).as_dicts()
        except DaemonGoneError:
            self._gone = True  # the banner says it; what is shown stays
            return ()
        except FrazilError as error:
            self.notify(clean(error), severity="error", markup=False, timeout=8)
            return ()

    # ---- keys

    def action_movies(self) -> None:
        self.app.switch_mode("live")

    def action_causes(self) -> None:
        self.app.switch_mode("causes")

    def action_pane(self, pane: str) -> None:
        for name in PANES:
            self.set_class(name == pane, f"pane-{name}")
        self.query_one(PaneBar).show_pane(pane)
