"""Delivering the machine's decisions to the daemon: in order, and again if the daemon could not take one.

The daemon's store may be busy or its disk full for a moment. A decision that is lost would be a movie that is never
processed before the next restart, so a failed call is made again, after a pause that grows; the others wait behind
it, because `replaced` must not overtake `complete`. One that fails for ever is put aside, loudly, after
`MAX_ATTEMPTS`: a single movie must not stop all others.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from typing import Protocol, assert_never

from frazil.daemon.intake import instructions as do
from frazil.daemon.intake.identity import CompleteMovie

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 8
FIRST_PAUSE_S = 0.25

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
        self._attempts = 0
        self._not_before_s = float("-inf")
        self.failures = 0
        self.last_failure = ""
        self.put_aside: list[Delivery] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)

    def deliver(self, now_s: float) -> None:
        """Make the calls that can be made now."""
        while self._waiting and now_s >= self._not_before_s:
            delivery = self._waiting[0]
            try:
                self._call(delivery)
            except Exception:  # a named boundary: what the daemon does with a movie must not end the intake
                self._failed(delivery, now_s)
                continue
            self._waiting.popleft()
            self._attempts = 0

    def _failed(self, delivery: Delivery, now_s: float) -> None:
        self.failures += 1
        self.last_failure = traceback.format_exc()
        self._attempts += 1
        if self._attempts < MAX_ATTEMPTS:
            log.exception("the daemon could not take %s; it is offered again", type(delivery).__name__)
            self._not_before_s = now_s + FIRST_PAUSE_S * 2.0 ** (self._attempts - 1)
            return
        log.exception("the daemon could not take %r; it is put aside until the next start", delivery)
        self._waiting.popleft()
        self._attempts = 0
        self.put_aside.append(delivery)
        if not isinstance(delivery, do.Alert):
            path = delivery.movie.relative_path if isinstance(delivery, do.Announce) else delivery.path
            self._waiting.append(
                do.Alert(
                    do.Severity.ERROR,
                    "intake",
                    f"{path} could not be taken in: the daemon failed {MAX_ATTEMPTS} times over it",
                    "Look into the log; the movie is tried again at the next start",
                    (path,),
                )
            )

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
