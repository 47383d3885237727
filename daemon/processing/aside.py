"""What a person is told of movies that are set aside, and that it is over when a movie is taken up again."""

from __future__ import annotations

from frazil.daemon.session.context import SessionContext

_ID = "set-aside:"
_OPEN_SQL = "SELECT alert_id FROM alerts WHERE starts_with(alert_id, ?) AND cleared_utc_us IS NULL"


class MoviesAside:
    """One alert a movie; those that an earlier run left open are remembered."""

    def __init__(self, context: SessionContext) -> None:
        self._notices = context.notices
        self._open = {str(alert_id).removeprefix(_ID) for (alert_id,) in context.store.rows(_OPEN_SQL, _ID)}

    def told(self, severity: str, subject: str, text: str, remedy: str | None, *, movie_id: str) -> None:
        """A word to a person; `movie_id`: of the movie that it is about, empty where it is about none."""
        if movie_id:
            self._open.add(movie_id)
        self._notices.alert(severity, subject, text, remedy, f"{_ID}{movie_id}" if movie_id else "")

    def taken_up(self, movie_id: str) -> None:
        """It is on its way again, or its file is gone."""
        if movie_id in self._open:
            self._open.discard(movie_id)
            self._notices.over(f"{_ID}{movie_id}")
