"""In which order movies enter the running map: pure.

The map must not depend on which worker was faster or on where the daemon was killed. So movies are given in the order
of their place in the session (`sequence`); one that has ended waits until all queued ones before it have ended too.
"""

from __future__ import annotations


class MapQueue:
    """Reorders ended movies by sequence."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._ended: dict[int, str] = {}

    def begins(self, sequence: int) -> None:
        """A movie was queued for processing."""
        self._open.add(sequence)

    def ends(self, sequence: int, movie_id: str | None) -> None:
        """It has a result, or (None) will never have one."""
        self._open.discard(sequence)
        if movie_id is None:
            self._ended.pop(sequence, None)
        else:
            self._ended[sequence] = movie_id

    def take(self) -> str | None:
        """The next movie for the map, or None: there is none, or an earlier one is still under way."""
        if not self._ended:
            return None
        first = min(self._ended)
        if self._open and min(self._open) < first:
            return None
        return self._ended.pop(first)

    @property
    def waiting(self) -> int:
        """Movies that have ended and were not taken."""
        return len(self._ended)
