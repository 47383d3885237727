"""How many of the newest movies had their sidecar after they had been taken: pure."""

from __future__ import annotations


class LateSidecars:
    """Of one run of the daemon."""

    def __init__(self, newest_before: int) -> None:
        """`newest_before`: number of the last movie of an earlier run; -1: there was none."""
        self._newest_before = newest_before
        self._late: set[int] = set()

    def add(self, sequence: int) -> None:
        """The sidecar of this movie came late."""
        self._late.add(sequence)

    def among(self, newest: int, last: int) -> int | None:
        """How many of the `last` movies up to the `newest` were late. None: so few have come in this run that none
        being late says nothing."""
        self._late = {sequence for sequence in self._late if sequence > newest - last}
        few = newest - self._newest_before < last
        return None if few and not self._late else len(self._late)
