"""One micrograph on the whole screen: closer, further, aside; picks, what picking left out, and a scale bar."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, cast

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Static

from frazil.daemon.transport.messages import REGION_BITS, WHOLE, PictureReply
from frazil.tui.graphics.canvas import tint_names
from frazil.tui.live.movie_panel import MICROGRAPHS
from frazil.tui.live.view_port import ViewPort
from frazil.tui.widgets.dialogs import HelpScreen
from frazil.tui.widgets.mode_screen import Keys
from frazil.tui.widgets.picture import Picture
from frazil.tui.widgets.picture_fetch import fetched
from frazil.tui.widgets.session_app import SessionApp
from frazil.tui.words.formatting import number
from frazil.tui.words.palette import GRAY

_MEANING = (
    "Rings have the particle's diameter. What picking left out is tinted: contamination, foil and hole edges orange, "
    "carbon purple, crystalline ice blue. The scale bar stands at the lower left, its length in the last line. Grays "
    "are stretched over what is seen. Only the part that is seen is fetched."
)
KEYS: Keys = (
    ("+ -, the wheel", "closer, further"),
    ("↑ ↓ ← →, the mouse", "move"),
    ("0", "the whole micrograph"),
    ("PgUp PgDn", "the movie before, the next one in the list"),
    ("o", "rings around the picks"),
    ("l", "what picking left out"),
    ("d", "as it was summed, as it was restored (denoised)"),
    ("Escape, q, w", "back"),
)


class MicrographScreen(Screen[None]):
    """Stays on its movie whatever arrives.

    Parameters
    ----------
    title:
        State and name of the movie.
    other:
        Called with 1 or -1: the list's cursor is to go to the next movie or the one before, and `show` is called then.
    at_rest:
        The session has ended: pictures that are not there will not come.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom(1)", "closer", key_display="+"),
        Binding("minus", "zoom(-1)", "further", key_display="-"),
        Binding("0", "whole", "whole"),
        Binding("o", "picks", "picks"),
        Binding("l", "regions", "left out"),
        Binding("d", "restored", "restored"),
        Binding("pagedown", "other(1)", "next", key_display="PgDn"),
        Binding("pageup", "other(-1)", "before", show=False),
        Binding("up", "move(0, -1)", "up", show=False),
        Binding("down", "move(0, 1)", "down", show=False),
        Binding("left", "move(-1, 0)", "left", show=False),
        Binding("right", "move(1, 0)", "right", show=False),
        Binding("question_mark", "keys", "help", key_display="?"),
        Binding("escape,q,w", "close", "back", key_display="Esc"),
    ]

    def __init__(self, movie_id: str, title: Text, other: Callable[[int], None], *, at_rest: bool) -> None:
        super().__init__()
        self._movie_id, self._title, self._other, self._at_rest = movie_id, title, other, at_rest
        self._waits = False
        """Another movie was asked for."""
        self._view: ViewPort | None = None
        """None: the micrograph's size is not known yet."""
        self._scale, self._with_regions = "", True

    def compose(self) -> ComposeResult:
        yield Static(self._title, id="micrograph-title")
        yield Picture(*MICROGRAPHS[0], marked=True, id="micrograph")
        yield Static(id="micrograph-words")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._picture.show_movie(self._movie_id)
        self._say()

    @property
    def _picture(self) -> Picture:
        return self.query_one("#micrograph", Picture)

    @property
    def _app(self) -> SessionApp:
        return cast(SessionApp, self.app)

    def show(self, movie_id: str, title: Text) -> None:
        """The movie that `other` led to, or what is known of the present one by now; the list's cursor may also have
        moved by itself."""
        if movie_id == self._movie_id:
            self.query_one("#micrograph-title", Static).update(title, layout=False)
        elif self._waits:
            self._waits, self._movie_id, self._title, self._view = False, movie_id, title, None
            self.query_one("#micrograph-title", Static).update(title, layout=False)
            self._picture.show_part(WHOLE)
            self._picture.show_movie(movie_id)

    def on_screen_suspend(self) -> None:
        self._picture.refresh()  # a dialog lies over it, or does no longer

    on_screen_resume = on_screen_suspend

    # ---- pictures

    @on(Picture.Wanted)
    def _wanted(self, event: Picture.Wanted) -> None:
        if self._view is not None and event.place.box_px != self._view.box_px:  # another size of the terminal
            self._see(self._view.in_box(event.place.box_px))
        job: Any = partial(self._fetch, event)
        self.run_worker(job, group="picture", exclusive=True)

    async def _fetch(self, event: Picture.Wanted) -> None:
        answer = await fetched(self._app, event.movie_id, event, at_rest=self._at_rest)
        event.picture.take(event, answer)

    @on(Picture.Shown)
    def _shown(self, event: Picture.Shown) -> None:
        self._scale, self._with_regions = event.drawn.scale, event.drawn.with_regions
        if self._view is None:
            self._view = ViewPort(_field_px(event.reply), self._picture.place().box_px)
        self._say()

    def _say(self) -> None:
        """The last line."""
        parts = [f"━ {self._scale}"] if self._scale else []
        if self._view is not None:
            per_px = self._view.own_per_screen_px
            parts.append(f"1 : {number(per_px, 0)}" if per_px >= 1 else f"{number(1 / per_px, 0)} : 1")
        text = Text("  ".join(parts))
        marks = self._app.marks
        text.append("  picks: rings" if marks.picks else "  picks: not shown", "bold" if marks.picks else GRAY)
        if marks.regions and not self._with_regions:
            text.append("  left out: not kept of this movie", GRAY)
        elif marks.regions:
            text.append("  left out:", "bold")
            for name, color in tint_names(REGION_BITS):
                text.append(f"  ■ {name}", color)
        else:
            text.append("  left out: not shown", GRAY)
        self.query_one("#micrograph-words", Static).update(text, layout=False)

    def _see(self, view: ViewPort) -> None:
        self._view = view
        self._picture.show_part(view.part())

    # ---- keys and mouse

    def action_zoom(self, by: int) -> None:
        if self._view is not None:
            self._see(self._view.zoomed(by))

    def action_move(self, right: int, down: int) -> None:
        if self._view is not None:
            self._see(self._view.stepped(right, down))

    def action_whole(self) -> None:
        if self._view is not None:
            self._see(ViewPort(self._view.field_px, self._view.box_px))

    def action_picks(self) -> None:
        self._app.marks.picks = not self._app.marks.picks
        self._picture.ask_again()
        self._say()

    def action_regions(self) -> None:
        self._app.marks.regions = not self._app.marks.regions
        self._picture.ask_again()
        self._say()

    def action_restored(self) -> None:
        present = next(i for i, (kind, _) in enumerate(MICROGRAPHS) if kind == self._picture.kind)
        self._picture.show_kind(*MICROGRAPHS[(present + 1) % len(MICROGRAPHS)])

    def action_other(self, by: int) -> None:
        self._waits = True
        self._other(by)

    def action_keys(self) -> None:
        self.app.push_screen(HelpScreen("micrograph", KEYS, _MEANING))

    def action_close(self) -> None:
        self.dismiss()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, by: int) -> None:
        region = self._picture.content_region
        if self._view is None or not region.width or not region.height:
            return
        at = (event.screen_x - region.x) / region.width, (event.screen_y - region.y) / region.height
        self._see(self._view.zoomed(by, (min(1.0, max(0.0, at[0])), min(1.0, max(0.0, at[1])))))
        event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """With a button held down: the micrograph goes with the mouse."""
        region = self._picture.content_region
        if self._view is not None and event.button and region.width and region.height:
            self._see(self._view.moved(-event.delta_x / region.width, -event.delta_y / region.height))


def _field_px(reply: PictureReply) -> tuple[int, int]:
    """Of the micrograph; where the daemon does not know it, of the file that it has read."""
    if reply.field_px[0] and reply.field_px[1]:
        return reply.field_px
    width = max(reply.source_width_px, reply.width_px, 1)
    return width, max(1, round(width * reply.height_px / max(1, reply.width_px)))
