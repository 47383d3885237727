"""Which movies have come to an end, or to another one, since it was asked last: what a map has to follow.

States change anywhere in a session, days after a movie came: a person rejects, a limit is moved, a result is made
again. To list fifty thousand movies at every round would cost more than the rest of it. So the store tells a digest of
every thousand in a row, in one pass over two of its columns, and only of those that have another one are movies listed.
"""

from __future__ import annotations

from dataclasses import dataclass

from frazil.daemon.store.movie_states import WAITING, not_in_state
from frazil.daemon.store.store import Store

_ROW_OF_MOVIES = 1000
# A result that is to be made again waits outside: a map has particles of one kind of settings, and what a movie left in
# its sums cannot be taken out when the new result comes.
_ENDED = f"""
sequence IS NOT NULL AND {not_in_state(WAITING)}
AND NOT (contains(coalesce(flags, ''), 'outdated-') AND failure_stage IS NULL)
"""
_DIGESTS_SQL = f"""
SELECT sequence // {_ROW_OF_MOVIES}, bit_xor(hash(movie_id, state)) FROM movies WHERE {_ENDED} GROUP BY 1
"""
_LIST_SQL = (
    f"SELECT movie_id, sequence, state FROM movies WHERE {_ENDED} AND sequence BETWEEN ? AND ? ORDER BY sequence"
)


@dataclass(frozen=True, slots=True)
class EndedMovie:
    """Its result counts, or it will have none."""

    movie_id: str
    sequence: int
    state: str


class ChangedMovies:
    """Of one session. All methods raise what `Store.rows` raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[int, int] = {}
        """Digest of each thousand."""
        self._again: set[int] = set()
        """To be listed in any case."""

    def look_again(self, sequence: int) -> None:
        """At this movie and its neighbours, whatever the digest says: something was done with it meanwhile."""
        self._again.add(sequence // _ROW_OF_MOVIES)

    def list(self) -> tuple[list[EndedMovie], dict[int, int]]:
        """Those that have ended among the thousands in which something changed, in order; and what to give to `seen`
        once they have been dealt with."""
        now = {int(number): int(digest) for number, digest in self._store.rows(_DIGESTS_SQL)}
        changed = {number for number in now.keys() | self._seen.keys() if now.get(number) != self._seen.get(number)}
        found = []
        for number in sorted(changed | self._again):
            first = number * _ROW_OF_MOVIES
            for movie_id, sequence, state in self._store.rows(_LIST_SQL, first, first + _ROW_OF_MOVIES - 1):
                found.append(EndedMovie(str(movie_id), int(sequence), str(state)))
        return found, now

    def seen(self, digests: dict[int, int]) -> None:
        """What `list` told has been dealt with."""
        self._seen = digests
        self._again = set()
