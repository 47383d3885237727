"""A picture that asks for exactly as many pixels as it has: half blocks, or the terminal's own where it has any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets._toast import Toast

from frazil.daemon.transport.messages import WHOLE, Part, PictureKind, PictureReply
from frazil.tui.graphics import kitty
from frazil.tui.widgets.drawn import Drawn, Place
from frazil.tui.widgets.session_app import SessionApp
from frazil.tui.words.formatting import clean

_OVERLAY_S = 0.06


class Picture(Widget):
    """Shows one kind of picture of one movie, or a part of it, centred; or a sentence instead.

    Parameters
    ----------
    zoom:
        The middle, so many times as large. Rings of a spectrum are finer than a terminal's pixels.
    marked:
        It is a micrograph: picks and what picking left out can be shown over it.
    """

    class Wanted(Message):
        """The screen should fetch this picture."""

        def __init__(self, picture: Picture, movie_id: str, part: Part, place: Place) -> None:
            super().__init__()
            self.picture = picture
            self.kind = picture.kind
            self.marked = picture.marked
            self.movie_id = movie_id
            self.part = part
            self.place = place
            self.max_width_px, self.max_height_px = place.box_px

    class Shown(Message):
        """A picture has come."""

        def __init__(self, picture: Picture, reply: PictureReply, drawn: Drawn) -> None:
            super().__init__()
            self.picture, self.reply, self.drawn = picture, reply, drawn

    def __init__(
        self, kind: PictureKind, title: str, *, zoom: int = 1, marked: bool = False, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.kind: PictureKind = kind
        self.zoom = zoom
        self.marked = marked
        self._part = WHOLE
        self._title = title
        self._set_title()
        self.movie_id: str | None = None
        self._asked: tuple[object, ...] | None = None
        self._drawn: Drawn | None = None
        self._image_id = 0
        """Under which the terminal holds the picture (kitty); 0: none."""
        self._lines: list[str] = []
        self._text = ""
        self._base = Style.null()
        self._overlay_timer: Timer | None = None

    # ---- what the screen calls

    def show_movie(self, movie_id: str | None, *, again: bool = False) -> None:
        """Another movie; or the same one, whose picture may be new (`again`)."""
        if movie_id != self.movie_id:
            self._clear()
        elif again:
            self._asked = None
        self.movie_id = movie_id
        self._ask()

    def take(self, wanted: Picture.Wanted, answer: tuple[PictureReply, Drawn] | str) -> None:
        """The picture, or why there is none."""
        if wanted.movie_id != self.movie_id or wanted.kind != self.kind:
            return
        if isinstance(answer, str):
            self.say(answer)
            return
        reply, self._drawn = answer
        self._text = ""
        self.border_subtitle = f"━ {self._drawn.scale}" if self._drawn.scale else ""
        if wanted.place.graphics.kind == "kitty":
            self._send(self._drawn)
        self.refresh()
        self.post_message(self.Shown(self, reply, self._drawn))

    @property
    def drawn(self) -> bool:
        """There is a picture, or words in its place."""
        return bool(self._drawn or self._text)

    @property
    def strips(self) -> list[Strip]:
        """Its half blocks; none while there is no picture."""
        return [] if self._drawn is None else self._drawn.strips

    def show_kind(self, kind: PictureKind, title: str) -> None:
        """Another kind of picture of the same movie."""
        self.kind, self._title = kind, title
        self._set_title()
        self._clear()
        self._ask()

    def say(self, text: str) -> None:
        """Words where there is no picture to ask for."""
        self._drop()
        self._text = clean(text)
        self.border_subtitle = ""
        self.refresh()

    def zoom_to(self, zoom: int) -> None:
        """Show the middle, `zoom` times as large."""
        self.zoom = zoom
        self._set_title()
        self.ask_again()

    def show_part(self, part: Part) -> None:
        """This part of the whole; the present one stays until it is here."""
        self._part = part
        self.ask_again()

    def ask_again(self) -> None:
        """What lies over the picture has changed, or it is another part."""
        self._asked = None
        self._ask()

    # ---- asking

    def _set_title(self) -> None:
        self.border_title = self._title if self.zoom == 1 else f"{self._title}  middle ×{self.zoom}"

    @property
    def _app(self) -> SessionApp:
        return cast(SessionApp, self.app)

    def place(self) -> Place:
        """As large as it is now."""
        many = self.app.console.color_system not in (None, "standard")
        return Place(self.size.width, self.size.height, self._app.graphics, many)

    def _ask(self) -> None:
        place = self.place()
        edge = (1 - 1 / self.zoom) / 2
        part = self._part if self.zoom == 1 else (edge, edge, 1 / self.zoom, 1 / self.zoom)
        wanted = (self.movie_id, self.kind, part, place)
        if self.movie_id is None or min(place.box_px) < 2 or self._asked == wanted:
            return
        self._asked = wanted
        self.post_message(self.Wanted(self, self.movie_id, part, place))

    def _clear(self) -> None:
        self._drop()
        self._text, self._asked, self.border_subtitle = "", None, ""
        self.refresh()

    def _drop(self) -> None:
        self._drawn, self._lines = None, []
        self._forget()

    def _send(self, picture: Drawn) -> None:
        """The terminal has the picture before the text that shows where it stands, and the one before it until then."""
        before, self._image_id = self._image_id, self._app.next_image_id()
        self._app.write_to_terminal(kitty.transmit(picture.canvas, self._image_id, picture.columns, picture.rows))
        self._lines = kitty.placeholders(picture.columns, picture.rows)
        if before:
            self.call_after_refresh(self._app.forget_image, before)

    def _forget(self) -> None:
        if self._image_id:
            self._app.forget_image(self._image_id)
        self._image_id = 0

    def on_unmount(self) -> None:
        self._forget()

    # ---- drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        self._base = self.rich_style  # costly: once a drawing, not once a line
        self.call_later(self._ask)  # the size may be another one
        if self._drawn is not None and self._drawn.escape:
            self._overlay_soon()  # the text that is drawn now takes its place
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width, height, base = self.size.width, self.size.height, self._base
        if self._text and y == height // 2:
            return Strip([Segment(self._text[:width].center(width), base)])
        rows = 0 if self._drawn is None else self._drawn.rows
        top = max(0, (height - rows) // 2)
        if self._drawn is None or not top <= y < top + rows:
            return Strip.blank(width, base)
        strip = self._strip(self._drawn, y - top)
        left = max(0, (width - self._drawn.columns) // 2)
        return Strip.join([Strip.blank(left, base), strip]).adjust_cell_length(width, base)

    def _strip(self, picture: Drawn, row: int) -> Strip:
        """Placeholders where the terminal puts its own pixels; under a dialog, which dims their colour, half blocks."""
        if not self._lines or not self._in_front:
            return picture.strips[row]
        style = Style(color="rgb({},{},{})".format(*kitty.color_of(self._image_id)))
        return Strip([Segment(self._lines[row], style)], picture.columns)

    @property
    def _in_front(self) -> bool:
        return self.is_attached and self.screen.is_active  # while the app ends there is no screen

    def _overlay_soon(self) -> None:
        """Once after several drawings in a row: a whole screen of sixels is a megabyte."""
        if self._overlay_timer is not None:
            self._overlay_timer.stop()
        self._overlay_timer = self.set_timer(_OVERLAY_S, self._overlay)

    def _overlay(self) -> None:
        """Sixels over the half blocks, unless something lies over them: the half blocks stay then."""
        picture = self._drawn
        if picture is None or not picture.escape or not self._visible_whole():
            return
        region = self.content_region
        x = region.x + max(0, (self.size.width - picture.columns) // 2)
        y = region.y + max(0, (self.size.height - picture.rows) // 2)
        self._app.write_to_terminal(f"\x1b7\x1b[{y + 1};{x + 1}H{picture.escape}\x1b8")

    def _visible_whole(self) -> bool:
        if not (self._in_front and self.is_on_screen):
            return False
        region, picture = self.content_region, self._drawn
        if picture is None or picture.columns > region.width or picture.rows > region.height:
            return False
        if not self.screen.region.contains_region(region):
            return False
        above: Sequence[Widget] = list(self.screen.query(Toast))
        return not any(one.region.overlaps(region) for one in above)
