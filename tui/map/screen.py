"""Mode *Map*: the running reconstruction, how far to believe it, and what more movies would bring."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from frazil.daemon.transport.messages import CommandName, LiveState, Row, Scalar
from frazil.tui.map.plots import FscPlot, GrowthPlot
from frazil.tui.map.words import map_text
from frazil.tui.widgets.dialogs import TextPrompt
from frazil.tui.widgets.mode_screen import Keys, ModeScreen, mode_bindings
from frazil.tui.widgets.picture import Picture

_ALERTS_LOOKED_AT = 1000
"""The alert which says that the map was started again may be an old one."""


class MapScreen(ModeScreen):
    """Asks every ten seconds while it is seen: a round of the map takes longer."""

    MODE = "map"
    WORDS = "#map-text"
    PANES = ("words", "fsc", "picture", "growth")
    KEY_HELP: ClassVar[Keys] = (
        ("↑ ↓ PgUp PgDn", "scroll the words"),
        ("v", "projections, or where views lie"),
        ("+ −", "keep 2-D classes by their numbers, or leave them out of the map"),
        ("u", "take the newest word on classes back"),
    )
    MEANING = (
        "FSC: the corrected curve counts; beside it the unmasked one, and what the mask alone makes two halves "
        "agree by. Growth: 1/d² against ln(particles), in which a B-factor is a straight line. → says what more "
        "movies would bring, with 80 % intervals; ✗ what will not be reached, and what limits it; ! warns of "
        "uneven views. The map is made anew every ten movies. In text: `frazil summary`."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *mode_bindings("map"),
        *ModeScreen.SHARED_BINDINGS,
        Binding("escape", "movies", "movies", show=False),
        Binding("v", "views", "views"),
        Binding("plus", "say_of_classes('keep')", "keep", show=False, key_display="+"),
        Binding("minus", "say_of_classes('reject')", "leave out", show=False, key_display="−"),
        Binding("u", "undo_classes", "undo", show=False),
        Binding("down", "scroll_words(3)", "scroll", show=False),
        Binding("up", "scroll_words(-3)", "scroll", show=False),
        Binding("pagedown", "scroll_words(12)", "scroll", show=False),
        Binding("pageup", "scroll_words(-12)", "scroll", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._views = False
        """How the views are distributed is shown instead of projections."""

    def body(self) -> ComposeResult:
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

    @property
    def _over(self) -> bool:
        """Nothing more comes."""
        return self.seen is not None and self.seen.ended_utc_us is not None

    def on_mount(self) -> None:
        self.query_one("#map-words").border_title = "the map"
        self._show_pictures(None, with_classes=False)

    def about(self, state: LiveState) -> tuple[object, ...]:
        return (state.map_round, state.map_resolution_angstrom)

    def refresh_body(self, state: LiveState) -> None:
        self._fetch()

    @work(exclusive=True, group="map")
    async def _fetch(self) -> None:
        rounds, fsc, forecast, classes, alerts = await asyncio.gather(
            self.rows("reconstructions"),
            self.rows("fsc"),
            self.rows("forecast"),
            self.rows("classes"),
            self.rows("alerts", limit=_ALERTS_LOOKED_AT),
        )
        if self.unanswered:
            self.say_unanswered()
            return
        self.answered = True
        self.query_one("#map-text", Static).update(map_text(rounds, forecast, classes, alerts, over=self._over))
        self.query_one(FscPlot).show_rows(fsc)
        self.query_one(GrowthPlot).show_rows(rounds)
        self._show_pictures(rounds[-1] if rounds else None, with_classes=bool(classes))

    def _show_pictures(self, last: Row | None, *, with_classes: bool) -> None:
        """Of a map, of classes, or of both, whatever the newest round has."""
        with_map = not with_classes or (last is not None and last.get("map_path") is not None)
        of_map = "sections; views by rot →, cos tilt ↓" if self._views else "sections, projections across z, y, x"
        titles = ([of_map] if with_map else []) + ["class averages"] * with_classes
        self.query_one("#map-pictures").border_title = "; ".join(titles)
        # A last, shorter round has the number of the one that takes its place: its time tells them apart.
        round_id = None if last is None else f"{last.get('round')}-{last.get('created_utc_us')}"
        for picture in self.query(Picture):
            picture.display = with_classes if picture.kind == "class_averages" else with_map
            if picture.display:
                picture.show_movie(round_id)
                if round_id is None:
                    picture.say(
                        ("no map was made" if self._over else "no map yet") if picture.kind == "map_sections" else ""
                    )

    def picture_of(self, event: Picture.Wanted) -> str:
        """The session's pictures belong to no movie."""
        return ""

    def action_views(self) -> None:
        """Projections of the map, or how many particles are seen from where."""
        self._views = not self._views
        picture = self.query_one("#map-projections", Picture)
        picture.show_kind(*(("map_orientations", "views") if self._views else ("map_projections", "projections")))
        self._fetch()

    def action_say_of_classes(self, verdict: str) -> None:
        """A person's word on 2-D classes; the map has heard it within two rounds."""

        def then(numbers: str | None) -> None:
            if numbers:
                self.order("class-verdict", {verdict: numbers}, numbers)

        words = {"keep": "Which classes are kept?", "reject": "Which classes are left out of the map?"}
        self.app.push_screen(TextPrompt(words[verdict], placeholder="numbers, e.g. 3,7", required=True), then)

    def action_undo_classes(self) -> None:
        self.order("class-verdict", {"undo": True}, "")

    def carried_out(self, name: CommandName, args: dict[str, Scalar]) -> None:
        self._fetch()

    def action_scroll_words(self, lines: int) -> None:
        self.query_one("#map-words").scroll_relative(y=lines, animate=False)
