"""Tells a person: one call that reaches the log and the session's alerts."""

from __future__ import annotations

import logging
from collections.abc import Callable

from frazil.daemon.store.rows import AlertRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes

_log = logging.getLogger(__name__)
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Notices:
    """Where the daemon's rooms put what a person should know; there is one for a session. From any thread."""

    def __init__(self, store: Store, *, utc_us: Callable[[], int], quiet_s: float = 0.0) -> None:
        self._store = store
        self._utc_us = utc_us
        self._quiet_us = int(quiet_s * 1e6)

    def use(self, *, quiet_s: float) -> None:
        """From now on."""
        self._quiet_us = int(quiet_s * 1e6)

    def alert(self, severity: str, subject: str, text: str, remedy: str | None = None, alert_id: str = "") -> None:
        """`severity`: info, warning or error; `subject`: gain, disk, worker, movie, ...; without an `alert_id` the same
        text is the same alert."""
        _log.log(_LEVELS[severity], "%s: %s", subject, text)
        row = AlertRow(severity, subject, text, self._utc_us(), remedy=remedy, alert_id=alert_id)
        self._store.write(WritePolicy.RETRIED, session_writes.record_alert, row, quiet_us=self._quiet_us)

    def over(self, alert_id: str) -> None:
        """What an alert told of has passed by itself."""
        self._store.write(WritePolicy.RETRIED, session_writes.clear_alert, alert_id, utc_us=self._utc_us())
