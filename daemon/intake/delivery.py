"""Delivering the machine's decisions to the daemon, in the order in which they were made.

The daemon puts what it is told into its inbox, which takes everything: what can fail is the store, and there a row that
the disk refuses is tried again (`store/writer.py`). A call that fails all the same is recorded by the intake's loop and
made again at its next turn, and the others wait behind it, because `replaced` must not overtake `complete`.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol, assert_never

from frazil.daemon.intake import instructions as do
from frazil.daemon.intake.identity import CompleteMovie

Delivery = (
    do.Found
    | do.Settling
    | do.Announce
    | do.Replaced
    | do.Revived
    | do.Vanished
    | do.Quarantine
    | do.LateSidecar
    | do.Alert
)


class IntakeListener(Protocol):
    """What the daemon does with movies. Called from the intake's thread; must not wait for the intake.

    A call that raises is made again (see `Deliveries`), so each must bear being made twice.
    """

    def found(self, movie: do.Found) -> None: ...
    def settling(self, movie: do.Settling) -> None: ...
    def complete(self, movie: CompleteMovie) -> None: ...
    def replaced(self, movie: do.Replaced) -> None: ...
    def revived(self, movie: do.Revived) -> None: ...
    def vanished(self, movie: do.Vanished) -> None: ...
    def quarantined(self, movie: do.Quarantine) -> None: ...
    def late_sidecar(self, movie: do.LateSidecar) -> None: ...
    def alert(self, alert: do.Alert) -> None: ...


class Deliveries:
    """An ordered list of calls to make."""

    def __init__(self, listener: IntakeListener) -> None:
        self._listener = listener
        self._waiting: deque[Delivery] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)

    def deliver(self) -> None:
        """Make the calls. Raises what the listener raises; the next time it begins with the same call."""
        while self._waiting:
            self._call(self._waiting[0])
            self._waiting.popleft()

    def _call(self, delivery: Delivery) -> None:
        match delivery:
            case do.Found():
                self._listener.found(delivery)
            case do.Settling():
                self._listener.settling(delivery)
            case do.Announce():
                self._listener.complete(delivery.movie)
            case do.Replaced():
                self._listener.replaced(delivery)
            case do.Revived():
                self._listener.revived(delivery)
            case do.Vanished():
                self._listener.vanished(delivery)
            case do.Quarantine():
                self._listener.quarantined(delivery)
            case do.LateSidecar():
                self._listener.late_sidecar(delivery)
            case do.Alert():
                self._listener.alert(delivery)
            case _:
                assert_never(delivery)
