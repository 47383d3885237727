"""The pages of a session: each asks for what it shows and becomes HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from frazil.config.errors import RetryLaterError
from frazil.daemon.page.exposure import Exposure, exposure
from frazil.daemon.page.frame import AT_REST, SERVED_MARKUP, Head, document
from frazil.daemon.page.grid_page import grid_page
from frazil.daemon.page.links import Served
from frazil.daemon.page.live_words import live_words
from frazil.daemon.page.movie_list import list_question, movie_list
from frazil.daemon.page.movie_words import movie_name
from frazil.daemon.page.overview import overview
from frazil.daemon.page.source import PageSource, movie_row
from frazil.daemon.transport.messages import Row, Rows, Scalar

NEWEST_SHOWN = 10
_LOSSES_AT_ANGSTROM = 5.0
_MOST_SQUARES, _MOST_HOLES = 1000, 2000


class Pages:
    """Of a session that is served. Raises what its source raises."""

    def __init__(self, source: PageSource) -> None:
        self._source, self._links = source, Served()

    def make(self, name: str, asked: Mapping[str, Scalar]) -> str:
        """One page: `overview`, `movies`, `movie` or `grid`, for the parameters of its address."""
        match name:
            case "movies":
                return self._movies(asked)
            case "movie":
                return self._movie(asked)
            case "grid":
                return self._grid(asked)
            case _:
                return self._overview()

    def _overview(self) -> str:
        told = self._source.told()
        try:
            rows = newest(self._source)
        except RetryLaterError:
            rows = ()  # they come with the next news
        pictures = self._source.map_pictures()
        body = overview(self._source.live(), told, rows, pictures, self._links)
        head = Head(SERVED_MARKUP, live=told.live)
        return document(told.name, told.name, "", body, head, self._links)

    def _movies(self, asked: Mapping[str, Scalar]) -> str:
        rows = self._source.table("movies", list_question(asked))
        return self._document("Movies", "movies", movie_list(rows, asked, self._links))

    def _movie(self, asked: Mapping[str, Scalar]) -> str:
        found = exposure_of(self._source, str(asked["movie_id"]))
        body = exposure(found, str(asked["kind"]), str(asked["size"]), self._links)
        return self._document(movie_name(found.movie["relative_path"]), "movies", body)

    def _grid(self, asked: Mapping[str, Scalar]) -> str:
        told = self._source.told().grid
        squares = self._rows("grid_squares", limit=_MOST_SQUARES)
        first = told.next[0].square_id if told is not None and told.next else None
        chosen = asked["square_id"] or first or (squares[0]["target_id"] if squares else None)
        holes = self._rows("square_targets", square_id=chosen, limit=_MOST_HOLES) if chosen else []
        asked_for = asked["square_id"] is not None
        body = grid_page(told, squares, None if chosen is None else str(chosen), holes, asked_for, self._links)
        return self._document("Grid", "grid", body)

    def _rows(self, name: str, **params: Scalar) -> Sequence[Row]:
        return self._source.table(name, params).as_dicts()

    def _document(self, title: str, here: str, body: str) -> str:
        """A page that does not follow the session by itself."""
        state = self._source.live()
        words = AT_REST if state.ended_utc_us is not None else f"as of {live_words(state)['clock']}"
        head = Head(SERVED_MARKUP, live=False, words=words)
        return document(f"{title}: {state.session_name}", state.session_name, here, body, head, self._links)


def newest(source: PageSource, count: int = NEWEST_SHOWN) -> Sequence[Row]:
    """The newest movies with a result."""
    rows: Rows = source.table("movies", {"sort": "ready_utc_us", "order": "desc", "limit": count})
    return [row for row in rows.as_dicts() if row["ready_utc_us"] is not None]


def exposure_of(source: PageSource, movie_id: str) -> Exposure:
    """What the page of one exposure shows. Raises `NotThereError`."""
    movie = movie_row(source, movie_id)

    def rows(name: str, **params: Scalar) -> Sequence[Row]:
        return source.table(name, {"movie_id": movie_id, **params}).as_dicts()

    diameter = source.table("particle_columns", {}).as_dicts()[0]["diameter_angstrom"]
    return Exposure(
        movie,
        rows("particles"),
        rows("frame_shifts"),
        rows("losses_at", resolution_angstrom=_LOSSES_AT_ANGSTROM),
        float(diameter) if isinstance(diameter, int | float) else None,
    )
