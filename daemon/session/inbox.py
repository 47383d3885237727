"""Where intake and sockets put what they have for the daemon's own thread."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from frazil.config.errors import FrazilError, RetryLaterError
from frazil.daemon.intake import instructions as intake
from frazil.daemon.intake.identity import CompleteMovie
from frazil.daemon.transport.messages import Command

_ORDER_TIMEOUT_S = 12.0


@dataclass(frozen=True, slots=True)
class Order:
    """A command that concerns the daemon itself, and where its answer goes."""

    command: Command
    done: Future[str] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class FailedWrite:
    """The store could not write something, and perhaps nobody looked at its Future."""

    error: Exception


Item: TypeAlias = intake.Instruction | Order | FrazilError | FailedWrite


class Inbox:
    """A queue with a face for each of its writers; implements `IntakeListener`."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._arrived = threading.Event()

    @property
    def empty(self) -> bool:
        return self._queue.empty()

    def take_all(self) -> list[Item]:
        """Everything that has come in, in order; never waits."""
        self._arrived.clear()
        items: list[Item] = []
        while True:
            try:
                items.append(self._queue.get_nowait())
            except queue.Empty:
                return items

    def wait(self, timeout_s: float) -> None:
        """Wait until something comes in, at most so long."""
        self._arrived.wait(timeout_s)

    def forget_intake(self) -> None:
        """Drop what an intake that has ended said of movies: the next one begins from the store, and says it again."""
        for item in self.take_all():
            if isinstance(item, Order | FrazilError | FailedWrite):
                self._put(item)

    def refuse_orders(self, why: str) -> None:
        """Answer the orders that nobody will carry out any more."""
        for item in self.take_all():
            if isinstance(item, Order) and item.done.set_running_or_notify_cancel():
                item.done.set_exception(RetryLaterError(why, remedy="start it again first"))

    def _put(self, item: Item) -> None:
        self._queue.put(item)
        self._arrived.set()

    def fatal(self, error: FrazilError) -> None:
        """Something that ends the daemon; raised in its own thread."""
        self._put(error)

    def failed_write(self, error: Exception) -> None:
        """Called from the store's writer thread."""
        self._put(FailedWrite(error))

    def order(self, command: Command) -> str:
        """Hand over a command and wait for the answer. Called from the sockets' threads."""
        order = Order(command)
        self._put(order)
        try:
            return order.done.result(timeout=_ORDER_TIMEOUT_S)
        except TimeoutError:
            if not order.done.cancel():  # it is being carried out
                return order.done.result()
            raise RetryLaterError("the daemon is busy; nothing was done", remedy="try again in a moment") from None

    def found(self, movie: intake.Found) -> None:
        self._put(movie)

    def settling(self, movie: intake.Settling) -> None:
        self._put(movie)

    def complete(self, movie: CompleteMovie) -> None:
        self._put(intake.Announce(movie))

    def replaced(self, movie: intake.Replaced) -> None:
        self._put(movie)

    def revived(self, movie: intake.Revived) -> None:
        self._put(movie)

    def vanished(self, movie: intake.Vanished) -> None:
        self._put(movie)

    def quarantined(self, movie: intake.Quarantine) -> None:
        self._put(movie)

    def late_sidecar(self, movie: intake.LateSidecar) -> None:
        self._put(movie)

    def alert(self, alert: intake.Alert) -> None:
        self._put(alert)
