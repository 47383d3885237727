"""Movies that were found and are not complete yet, as far as the analysis waits for them: pure.

What is learnt from an epoch, and the order in which movies enter the map, must not depend on whose sidecar came a
moment earlier: so a movie is waited for from when it is found. A file that never becomes complete must not stop a night
either: from when a movie with a larger number is complete, it is waited for so long and no longer. (A movie that is
complete is waited for without a limit: it will end.)
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable

_LONGER_S = 50.0


def hold_s(sidecar_wait_s: float) -> float:
    """How long an incomplete movie is waited for when a later one is complete: somewhat longer than for its sidecar."""
    return sidecar_wait_s + _LONGER_S


class Arrivals:
    """See the module. Movies are known by their number in the session."""

    def __init__(
        self, hold_s: float, found: Iterable[int] = (), *, complete: Iterable[int] = (), now_s: float = 0.0
    ) -> None:
        """`found`: movies of an earlier run that are not complete; `complete`: those that were, or have ended."""
        self._hold_s = hold_s
        self._awaited = set(found)
        self._heap = sorted(self._awaited)
        """The same, smallest first; may hold movies that are not awaited any more."""
        self._highest: list[int] = []
        self._highest_at_s: list[float] = []
        """When a complete movie was the highest so far. The clock of an awaited movie began at the first one above."""
        highest = max(complete, default=None)
        if highest is not None:
            self.complete(highest, now_s)

    @property
    def awaited(self) -> list[int]:
        """Movies that are waited for, by number."""
        return sorted(self._awaited)

    def found(self, sequence: int) -> None:
        """A file that may become a movie."""
        if sequence not in self._awaited:
            self._awaited.add(sequence)
            heapq.heappush(self._heap, sequence)

    def complete(self, sequence: int, now_s: float) -> None:
        """A movie may be processed."""
        self._awaited.discard(sequence)
        if not self._highest or sequence > self._highest[-1]:
            self._highest.append(sequence)
            self._highest_at_s.append(now_s)

    def ended(self, sequence: int) -> None:
        """It will not become complete, as far as one knows."""
        self._awaited.discard(sequence)

    def overdue(self, now_s: float) -> list[int]:
        """Movies that have been waited for long enough: told once, and forgotten until they are complete."""
        let_go = []
        while self._heap:
            first = self._heap[0]
            if first in self._awaited:
                above = bisect_right(self._highest, first)
                if above == len(self._highest) or now_s - self._highest_at_s[above] < self._hold_s:
                    break  # the clocks of those behind it began no earlier
                self._awaited.discard(first)
                let_go.append(first)
            heapq.heappop(self._heap)
        return let_go
