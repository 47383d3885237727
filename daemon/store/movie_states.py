"""What the states of a movie mean to a question: which are kept, finished, under way. Written here and nowhere else.

Functions make a condition of SQL on the column `state`; `alias` is that of the table `movies` in the query, if any.

>>> finished("m")
"m.state IN ('ready', 'rejected')"
>>> kept()
"state = 'ready'"
"""

from __future__ import annotations

from collections.abc import Iterable

from frazil.models.records import MovieState

KEPT = MovieState.READY
"""Processed, and counted wherever kept movies are."""
FINISHED = (MovieState.READY, MovieState.REJECTED)
"""Processed: there is a result, kept or not."""
GIVEN_UP = (MovieState.FAILED, MovieState.QUARANTINED)
"""An attempt failed, or no other will be made."""
ENDED = (*FINISHED, MovieState.QUARANTINED)
"""Nothing more will come of them as they are."""
UNDER_WAY = (MovieState.FOUND, MovieState.SETTLING, MovieState.QUEUED, MovieState.PROCESSING)
"""On the way to their first attempt, or in a worker's hands."""
WAITING = (*UNDER_WAY, MovieState.FAILED)
"""Without a result, and one may still come."""


def in_state(states: Iterable[MovieState], alias: str = "") -> str:
    """The movie is in one of some states."""
    return f"{_column(alias)} IN ({_listed(states)})"


def not_in_state(states: Iterable[MovieState], alias: str = "") -> str:
    """The movie is in none of some states."""
    return f"{_column(alias)} NOT IN ({_listed(states)})"


def kept(alias: str = "") -> str:
    """The movie counts: it is processed, and neither a threshold nor a person set it aside."""
    return f"{_column(alias)} = '{KEPT.value}'"


def rejected(alias: str = "") -> str:
    """The movie has a result that a threshold or a person set aside."""
    return f"{_column(alias)} = '{MovieState.REJECTED.value}'"


def finished(alias: str = "") -> str:
    """The movie has a result, kept or not."""
    return in_state(FINISHED, alias)


def current(alias: str = "") -> str:
    """No newer generation of the file has taken the movie's place."""
    return f"{_column(alias)} <> '{MovieState.OUTDATED.value}'"


def _column(alias: str) -> str:
    return f"{alias}.state" if alias else "state"


def _listed(states: Iterable[MovieState]) -> str:
    return ", ".join(f"'{state.value}'" for state in states)
