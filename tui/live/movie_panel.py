"""Everything about the selected movie: pictures, path, numbers, and why it was set aside if it was."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from frazil.daemon.transport.messages import PictureKind, Row, Rows
from frazil.daemon.transport.reasons import motion_seen
from frazil.tui.live.motion_plot import MotionPlot
from frazil.tui.live.movie_facts import facts_text, movie_title, reason_text
from frazil.tui.widgets.picture import Picture
from frazil.tui.words.palette import GRAY

VIEWS = ("micrograph", "spectrum", "motion")
MICROGRAPHS: tuple[tuple[PictureKind, str], ...] = (
    ("thumbnail", "micrograph"),
    ("restored", "restored micrograph (specimen bright)"),
)


class MovieTitle(Widget):
    """State and whole name, over as many lines as there are."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = Text("no movie selected", GRAY)

    def show(self, title: Text) -> None:
        self._title = title
        self.refresh()

    def render(self) -> Text:
        width = max(1, self.size.width)
        lines = self._title.divide(range(width, self._title.cell_len, width))
        return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


class Facts(Widget):
    """Numbers of one movie, in as many columns as fit."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._row: Row | None = None

    def show_row(self, row: Row | None) -> None:
        self._row = row
        self.refresh()

    def render(self) -> Text:
        if self._row is None or self.size.width < 5:
            return Text()
        return facts_text(self._row, self.size.width, max(1, self.size.height))


class MoviePanel(Vertical):
    """The screen gives it a movie's id, then its row and shifts as they come."""

    ALLOW_MAXIMIZE = True

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.movie_id: str | None = None
        self.row: Row | None = None
        """What is known of it: first the table's line, then everything."""
        self._shifts: Sequence[Row] = ()

    def compose(self) -> ComposeResult:
        yield MovieTitle(id="movie-title")
        yield Static(id="movie-reason")
        with Container(id="movie-body"):
            with Horizontal(id="movie-pictures"):
                yield Picture(*MICROGRAPHS[0], marked=True, id="thumbnail")
                yield Picture("power_spectrum", "spectrum | fit", zoom=2, id="spectrum")
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

    def show_next_micrograph(self) -> None:
        """Summed and restored take turns, for this movie and those that follow."""
        picture = self.query_one("#thumbnail", Picture)
        present = next(i for i, (kind, _) in enumerate(MICROGRAPHS) if kind == picture.kind)
        picture.show_kind(*MICROGRAPHS[(present + 1) % len(MICROGRAPHS)])

    def marks_changed(self) -> None:
        """Picks, or what picking left out, are shown or not."""
        self.query_one("#thumbnail", Picture).ask_again()

    def show_movie(self, movie_id: str | None, brief: Row | None, *, again: bool = False) -> None:
        """Pictures are asked for at once; numbers follow by `take_row`. `brief` is the table's line, if it is there;
        `again`: the movie has changed."""
        if movie_id != self.movie_id:
            self.row, self._shifts = brief, ()
            self.query_one(Facts).show_row(None)
            self.query_one(MotionPlot).show_shifts("")
            self._show_reason(None)
            self._show_title(brief, following=False)
            if movie_id is None:
                self.query_one(MovieTitle).show(Text("no movie selected", GRAY))
        self.movie_id = movie_id
        for picture in self.query(Picture):
            picture.show_movie(movie_id, again=again)

    def take_row(self, movie_id: str, row: Row, *, following: bool) -> None:
        """Answer of the query `movie`."""
        if movie_id != self.movie_id:
            return
        self.row = row
        self._show_title(row, following=following)
        self._show_reason(reason_text(row))
        self._show_facts()

    def _show_title(self, row: Row | None, *, following: bool) -> None:
        title = Text("…", GRAY) if row is None else movie_title(row)
        if following:
            title = Text.assemble(("newest: ", GRAY), title)
        self.query_one(MovieTitle).show(title)

    def _show_reason(self, reason: Text | None) -> None:
        place = self.query_one("#movie-reason", Static)
        if reason is not None:
            place.update(reason)
        if place.display != (reason is not None):
            place.display = reason is not None

    def take_shifts(self, movie_id: str, answer: Rows | str) -> None:
        """Answer of the query `frame_shifts`."""
        if movie_id == self.movie_id:
            self._shifts = () if isinstance(answer, str) else answer.as_dicts()
            self.query_one(MotionPlot).show_shifts(answer)
            self._show_facts()

    def _show_facts(self) -> None:
        """The numbers, with what is seen of its motion."""
        if self.row is not None:
            seen = motion_seen(self.row.get("flags"), self._shifts) if self._shifts else ""
            self.query_one(Facts).show_row({**self.row, "motion_seen": seen})
