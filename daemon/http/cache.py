"""Keeps a crowd of readers from the daemon: what many ask for is asked once, and all of them together get only a
share of its time. Pure but for locks; the clock is passed in."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    answer: Future[T] = field(default_factory=Future)
    made_s: float = 0.0
    size_bytes: int = 0


class AnswerCache(Generic[T]):
    """Answers by question, thread-safe. While one is being made, whoever asks the same waits for it; failures are
    told to those who wait, and forgotten.

    Parameters
    ----------
    max_bytes:
        Of all answers together; those that were asked for longest ago go first.
    size_bytes:
        Of one answer.
    """

    def __init__(self, max_bytes: int, *, clock: Callable[[], float], size_bytes: Callable[[T], int]) -> None:
        self._max_bytes, self._clock, self._size = max_bytes, clock, size_bytes
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._total_bytes = 0
        self._lock = threading.Lock()

    def get(self, question: Hashable, age_s: float, make: Callable[[], T]) -> T:
        """The answer, made now or at most `age_s` ago. Raises what `make` raises."""
        with self._lock:
            entry = self._entries.get(question)
            if entry is not None and entry.answer.done() and self._clock() - entry.made_s > age_s:
                self._drop(question, entry)
                entry = None
            mine = entry is None
            if entry is None:
                entry = self._entries[question] = _Entry()
            self._entries.move_to_end(question)
        if not mine:
            return entry.answer.result()
        try:
            answer = make()
        except BaseException as error:
            with self._lock:
                self._drop(question, entry)
            entry.answer.set_exception(error)
            raise
        with self._lock:
            if self._entries.get(question) is entry:  # else: cleared meanwhile, and what we have is of before
                entry.made_s, entry.size_bytes = self._clock(), self._size(answer)
                self._total_bytes += entry.size_bytes
            entry.answer.set_result(answer)
            self._make_room()
        return answer

    def clear(self) -> None:
        """Forget everything: something was written."""
        with self._lock:
            self._entries.clear()
            self._total_bytes = 0

    def _make_room(self) -> None:
        for question, entry in list(self._entries.items()):
            if self._total_bytes <= self._max_bytes:
                return
            if entry.answer.done():
                self._drop(question, entry)

    def _drop(self, question: Hashable, entry: _Entry[T]) -> None:
        if self._entries.get(question) is entry:
            del self._entries[question]
            self._total_bytes -= entry.size_bytes


class TimeBudget:
    """A share of somebody's time: `share` seconds a second, of which up to `burst_s` can be saved up.

    What was begun within the budget may overdraw it; the next then has to wait until the debt is paid.
    """

    def __init__(self, share: float, burst_s: float, *, clock: Callable[[], float]) -> None:
        self._share, self._burst_s, self._clock = share, burst_s, clock
        self._left_s, self._looked_s = burst_s, clock()
        self._lock = threading.Lock()

    def wait_s(self) -> float:
        """How long until something may be begun; 0: now."""
        with self._lock:
            now = self._clock()
            self._left_s = min(self._burst_s, self._left_s + (now - self._looked_s) * self._share)
            self._looked_s = now
            return max(0.0, -self._left_s / self._share)

    def spend(self, seconds: float) -> None:
        """So much was used."""
        with self._lock:
            self._left_s -= seconds
