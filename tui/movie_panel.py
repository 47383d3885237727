"""Everything about the selected movie: pictures, path, numbers, and why it was set aside if it was."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Static

from frazil.daemon.transport.messages import Rows
from frazil.tui.motion_plot import MotionPlot
from frazil.tui.movie_facts import facts_text, movie_title, reason_text
from frazil.tui.pages import Row
from frazil.tui.palette import GRAY
from frazil.tui.picture import Picture

VIEWS = ("micrograph", "spectrum", "motion")


class Facts(Static):
    """Numbers of one movie, in as many columns as fit."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._row: Row | None = None

    def show_row(self, row: Row | None) -> None:
        self._row = row
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._row is not None and self.size.width > 4:
            self.update(facts_text(self._row, self.size.width, max(1, self.size.height)))
        else:
            self.update("")


class MoviePanel(Vertical):
    """The screen gives it a movie's id, then its row and shifts as they come."""

    ALLOW_MAXIMIZE = True

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.movie_id: str | None = None
        self.row: Row | None = None

    def compose(self) -> ComposeResult:
        yield Static(Text("no movie selected", GRAY), id="movie-title")
        yield Static(id="movie-reason")
        with Container(id="movie-body"):
            with Horizontal(id="movie-pictures"):
                yield Picture("thumbnail", "micrograph", id="thumbnail")
                yield Picture("power_spectrum", "spectrum | fitted rings", zoom=2, id="spectrum")
            with Horizontal(id="movie-numbers"):
                yield MotionPlot(id="motion-plot")
                yield Facts(id="movie-facts")

    def on_mount(self) -> None:
        self.query_one("#movie-reason").display = False
        self.add_class(f"view-{VIEWS[0]}")

    def show_next_view(self) -> None:
        """The next of micrograph, spectrum, motion (small terminals only; else all are seen)."""
        present = next(i for i, view in enumerate(VIEWS) if self.has_class(f"view-{view}"))
        for i, view in enumerate(VIEWS):
            self.set_class(i == (present + 1) % len(VIEWS), f"view-{view}")

    def show_movie(self, movie_id: str | None, *, again: bool = False) -> None:
        """Pictures are asked for at once; numbers follow by `take_row`. `again`: it has changed."""
        if movie_id != self.movie_id:
            self.row = None
            self.query_one(Facts).show_row(None)
            self.query_one(MotionPlot).show_shifts("")
            self.query_one("#movie-reason").display = False
        self.movie_id = movie_id
        for picture in self.query(Picture):
            picture.show_movie(movie_id, again=again)

    def take_row(self, movie_id: str, row: Row, *, following: bool) -> None:
        """Answer of the query `movie`."""
        if movie_id != self.movie_id:
            return
        self.row = row
        title = movie_title(row)
        if following:
            title = Text.assemble(("newest: ", GRAY), title)
        self.query_one("#movie-title", Static).update(title)
        reason = self.query_one("#movie-reason", Static)
        text = reason_text(row)
        reason.display = text is not None
        if text is not None:
            reason.update(text)
        self.query_one(Facts).show_row(row)

    def take_shifts(self, movie_id: str, answer: Rows | str) -> None:
        """Answer of the query `frame_shifts`."""
        if movie_id == self.movie_id:
            self.query_one(MotionPlot).show_shifts(answer)
