"""A picture of a movie, drawn with half blocks, that asks for exactly as many pixels as it has."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from frazil.daemon.transport.messages import PictureKind, PictureReply
from frazil.tui.widgets.halfblocks import middle, picture_strips
from frazil.tui.words.formatting import clean


class Picture(Widget):
    """Shows one kind of picture of one movie, centred; or a sentence instead."""

    class Wanted(Message):
        """The screen should fetch this picture."""

        def __init__(self, picture: Picture, movie_id: str, max_width_px: int, max_height_px: int) -> None:
            super().__init__()
            self.picture = picture
            self.kind = picture.kind
            self.movie_id = movie_id
            self.max_width_px = max_width_px
            self.max_height_px = max_height_px

    def __init__(self, kind: PictureKind, title: str, *, zoom: int = 1, id: str | None = None) -> None:
        super().__init__(id=id)
        self.kind: PictureKind = kind
        self.zoom = zoom
        self._title = title
        self._set_title()
        self.movie_id: str | None = None
        self._asked: tuple[str, int, int] | None = None
        self._strips: list[Strip] = []
        self._text = ""
        self._base = Style.null()

    def show_movie(self, movie_id: str | None, *, again: bool = False) -> None:
        """Another movie; or the same one, whose picture may be new (`again`)."""
        if movie_id != self.movie_id:
            self._strips, self._text, self._asked = [], "", None
            self.refresh()
        elif again:
            self._asked = None
        self.movie_id = movie_id
        self._ask()

    def take(self, movie_id: str, answer: PictureReply | str) -> None:
        """The picture, or why there is none."""
        if movie_id != self.movie_id:
            return
        if isinstance(answer, str):
            self._strips, self._text = [], clean(answer)
        else:
            many = self.app.console.color_system not in (None, "standard")
            gray, width, height = middle(
                answer.gray, answer.width_px, answer.height_px, self.size.width, self.size.height * 2
            )
            self._strips = picture_strips(gray, width, height, many_colors=many)
            self._text = ""
        self.refresh()

    @property
    def drawn(self) -> bool:
        """There is a picture, or words in its place."""
        return bool(self._strips or self._text)

    def show_kind(self, kind: PictureKind, title: str) -> None:
        """Another kind of picture of the same movie."""
        self.kind, self._title = kind, title
        self._set_title()
        self._strips, self._text, self._asked = [], "", None
        self.refresh()
        self._ask()

    def say(self, text: str) -> None:
        """Words where there is no picture to ask for."""
        self._strips, self._text = [], clean(text)
        self.refresh()

    def zoom_to(self, zoom: int) -> None:
        """Show the middle, `zoom` times as large. Rings of a spectrum are finer than a terminal's pixels."""
        self.zoom = zoom
        self._set_title()
        self._asked = None
        self._ask()

    def _set_title(self) -> None:
        self.border_title = self._title if self.zoom == 1 else f"{self._title}  middle ×{self.zoom}"

    def _ask(self) -> None:
        width, height = self.size.width * self.zoom, self.size.height * 2 * self.zoom
        if self.movie_id is None or min(width, height) < 2 or self._asked == (self.movie_id, width, height):
            return
        self._asked = (self.movie_id, width, height)
        self.post_message(self.Wanted(self, self.movie_id, width, height))

    def render_lines(self, crop: Region) -> list[Strip]:
        self._base = self.rich_style  # costly: once a drawing, not once a line
        self.call_later(self._ask)  # the size may be another one
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width, height, base = self.size.width, self.size.height, self._base
        if self._text and y == height // 2:
            return Strip([Segment(self._text[:width].center(width), base)])
        top = max(0, (height - len(self._strips)) // 2)
        if not top <= y < top + len(self._strips):
            return Strip.blank(width, base)
        strip = self._strips[y - top]
        left = max(0, (width - strip.cell_length) // 2)
        return Strip.join([Strip.blank(left, base), strip]).adjust_cell_length(width, base)
