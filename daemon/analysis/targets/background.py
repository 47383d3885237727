"""One piece of work at a time in a thread of its own: the daemon's loop waits neither for files nor for sums."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

R = TypeVar("R")
_LEAVE_S = 5.0


class Background(Generic[R]):
    """See the module. The thread ends with its work; a mount that hangs keeps no daemon from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._under_way: tuple[threading.Thread, Future[R]] | None = None

    @property
    def busy(self) -> bool:
        """Work was given and its result has not been taken."""
        return self._under_way is not None

    def start(self, work: Callable[[], R]) -> None:
        """Begin; a later `take` has the result."""
        assert self._under_way is None
        result: Future[R] = Future()
        thread = threading.Thread(target=_carry_out, args=(work, result), name=self._name, daemon=True)
        self._under_way = thread, result
        thread.start()

    def take(self) -> R | None:
        """The result, once; None: there is none yet. Raises what the work raised."""
        if self._under_way is None or not self._under_way[1].done():
            return None
        thread, result = self._under_way
        self._under_way = None
        thread.join()
        return result.result()

    def close(self) -> None:
        """Wait a while for its end; what it found is not taken any more."""
        if self._under_way is not None:
            self._under_way[0].join(_LEAVE_S)
            self._under_way = None


def _carry_out(work: Callable[[], R], result: Future[R]) -> None:
    try:
        value = work()
    except BaseException as error:  # handed to whoever takes the result
        result.set_exception(error)
    else:
        result.set_result(value)
