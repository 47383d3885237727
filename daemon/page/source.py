"""What the page is made of: the newest state, the session's summary, rows of named queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from frazil.config.errors import NotThereError
from frazil.daemon.report.summary.records import SessionSummary
from frazil.daemon.transport.messages import LiveState, Row, Rows, Scalar


class PageSource(Protocol):
    """Raises `frazil.config.errors` types."""

    def live(self) -> LiveState:
        """The newest state; of a finished session its last."""
        ...

    def told(self) -> SessionSummary:
        """The session's summary, some seconds old."""
        ...

    def map_pictures(self) -> Sequence[str]:
        """Which pictures of the running map there are."""
        ...

    def table(self, name: str, params: Mapping[str, Scalar]) -> Rows:
        """Rows of a named query."""
        ...


def movie_row(source: PageSource, movie_id: str) -> Row:
    """All single values of a movie. Raises `NotThereError`."""
    rows = source.table("movie", {"movie_id": movie_id}).as_dicts()
    if not rows:
        raise NotThereError(
            f"no movie {movie_id[:80]} in this session", remedy="`frazil query SESSION --named movies` lists their ids"
        )
    return rows[0]
