"""When to look at which movie again: a heap of appointments, so that a tick costs what is due and not what exists."""

from __future__ import annotations

import heapq
import itertools


class Agenda:
    """At most one appointment a path; a new one takes the place of the old one."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._valid: dict[str, tuple[float, int]] = {}
        self._counter = itertools.count()

    def set(self, path: str, due_s: float) -> None:
        ticket = next(self._counter)
        self._valid[path] = (due_s, ticket)
        heapq.heappush(self._heap, (due_s, ticket, path))

    def drop(self, path: str) -> None:
        self._valid.pop(path, None)

    def pop_due(self, now_s: float) -> list[str]:
        """The paths whose time has come, earliest first; their appointments are gone."""
        due: list[str] = []
        while self._heap and self._heap[0][0] <= now_s:
            due_s, ticket, path = heapq.heappop(self._heap)
            if self._valid.get(path) == (due_s, ticket):
                del self._valid[path]
                due.append(path)
        return due

    def next_s(self) -> float | None:
        """Time of the next appointment."""
        while self._heap:
            due_s, ticket, path = self._heap[0]
            if self._valid.get(path) == (due_s, ticket):
                return due_s
            heapq.heappop(self._heap)
        return None

    def __contains__(self, path: str) -> bool:
        return path in self._valid
