"""Sessions that serve did not begin itself: which acquisition each is of, and how it ended.

Asked when serve starts, and of a process that ended while nobody watched. DuckDB comes in here alone.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FrazilError
from frazil.daemon.store.session_files import is_session

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session's folder, by the acquisition that it is of."""

    name: str
    closed: bool
    """It ended in good order."""


def known_sessions(sessions_dir: Path, *, without: Container[str]) -> dict[str, KnownSession]:
    """By the folder of the movies. `without`: names that need not be asked; what cannot be read is passed over."""
    found = {}
    for folder in sorted(sessions_dir.iterdir()):
        if folder.name in without or not is_session(folder):
            continue
        row = _session_row(folder)
        if row and row.get("raw_root"):
            found[str(row["raw_root"])] = KnownSession(folder.name, row.get("finished_utc_us") is not None)
    return found


def was_closed(session_dir: Path) -> bool:
    """Whether the session ended in good order; False also where that cannot be read."""
    row = _session_row(session_dir) if is_session(session_dir) else None
    return row is not None and row.get("finished_utc_us") is not None


def _session_row(session_dir: Path) -> dict[str, object] | None:
    from frazil.daemon.store.reading import open_session  # takes a while, and is seldom needed

    try:
        with open_session(session_dir) as reader:
            rows = reader.named("session").as_dicts()
    except FrazilError as error:
        _log.warning("%s", error)
        return None
    return dict(rows[0]) if rows else None
