"""Tells a person: one call that reaches the log and the session's alerts."""

from __future__ import annotations

import logging
from collections.abc import Callable

from frazil.daemon.store import session_writes
from frazil.daemon.store.rows import AlertRow
from frazil.daemon.store.store import Store

_log = logging.getLogger(__name__)
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Notices:
    """Where the daemon's rooms put what a person should know."""

    def __init__(self, store: Store, *, utc_us: Callable[[], int]) -> None:
        self._store = store
        self._utc_us = utc_us

    def alert(self, severity: str, subject: str, text: str, remedy: str | None = None) -> None:
        """`severity`: info, warning or error; `subject`: gain, disk, worker, movie, ..."""
        _log.log(_LEVELS[severity], "%s: %s", subject, text)
        self._store.submit(
            session_writes.record_alert, AlertRow(severity, subject, text, self._utc_us(), remedy=remedy)
        )
