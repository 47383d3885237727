"""In which order movies enter the running map: pure.

The map must not depend on which worker was faster or on where the daemon was killed. So movies are given in the order
of their place in the session (`sequence`); one that has ended waits until all queued ones before it have ended too.
"""

from __future__ import annotations

import heapq


class MapQueue:
    """Reorders ended movies by sequence."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._ended: dict[int, str] = {}
        # The same as heaps, so that fifty thousand restored movies are taken at once. An entry that is no longer in the
        # set or the dictionary is passed over when it comes to the top.
        self._open_heap: list[int] = []
        self._ended_heap: list[int] = []

    def begins(self, sequence: int) -> None:
        """A movie was queued for processing."""
        if sequence not in self._open:
            self._open.add(sequence)
            heapq.heappush(self._open_heap, sequence)

    def ends(self, sequence: int, movie_id: str | None) -> None:
        """It has a result, or (None) will never have one."""
        self._open.discard(sequence)
        if movie_id is None:
            self._ended.pop(sequence, None)
        else:
            if sequence not in self._ended:
                heapq.heappush(self._ended_heap, sequence)
            self._ended[sequence] = movie_id

    def is_open(self, sequence: int) -> bool:
        """Whether it is under way."""
        return sequence in self._open

    def take(self) -> str | None:
        """The next movie for the map, or None: there is none, or an earlier one is still under way."""
        return self._ended.pop(heapq.heappop(self._ended_heap)) if self.next_is_there else None

    @property
    def next_is_there(self) -> bool:
        """Whether `take` would give a movie."""
        while self._ended_heap and self._ended_heap[0] not in self._ended:
            heapq.heappop(self._ended_heap)
        while self._open_heap and self._open_heap[0] not in self._open:
            heapq.heappop(self._open_heap)
        if not self._ended_heap:
            return False
        return not self._open_heap or self._ended_heap[0] <= self._open_heap[0]

    @property
    def expects_any(self) -> bool:
        """A movie is under way, or has ended and was not taken."""
        return bool(self._open or self._ended)

    @property
    def waiting(self) -> int:
        """Movies that have ended and were not taken."""
        return len(self._ended)
