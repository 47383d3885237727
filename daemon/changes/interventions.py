"""What a person did at the microscope, kept with the session: by its daemon, or without one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from frazil.config.errors import RetryLaterError, UsageError
from frazil.daemon.store import result_files
from frazil.daemon.store.engine import DATABASE_NAME
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.rows import ADVISER, InterventionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.daemon.transport.when import told
from frazil.models.causal.factors import ALL_FACTORS

_NO_CAUSE = "unexplained"
_CLOCKS_DIFFER_US = 60_000_000


@contextlib.contextmanager
def store_without_daemon(session_dir: Path, *, now_utc_us: int) -> Iterator[Store]:
    """The store of a session that no daemon has, to write to; none can start meanwhile.

    Raises `UsageError` where there is no session, and `SessionLockedError` if a daemon has just begun.
    """
    if not (session_dir / DATABASE_NAME).is_file():
        raise UsageError(
            "there is no frazil session here",
            path=session_dir,
            remedy="give the folder that `frazil watch --session` was given",
        )
    with SessionLock(session_dir), Store.open(session_dir, now_utc_us=now_utc_us) as store:
        yield store


def note_change(
    store: Store,
    session_dir: Path,
    *,
    sentence: str | None,
    factor: str | None,
    who: str,
    now_utc_us: int,
    at_utc_us: int | None = None,
    intervention_id: str = "",
) -> str:
    """Keep what a person has changed, in its file and in the store; the same id again is the same change.

    `at_utc_us`: when it was done, None: now. What is told afterwards counts from that time on wherever movies before
    and after are compared, and from the next epoch on in the causal prior, which does not learn twice. Returns what
    was noted, in words.

    Raises
    ------
    UsageError
        There is no sentence, no such cause, or the time is still to come or before the session.
    RetryLaterError
        The disk refused it: it is not kept.
    """
    factor = factor or _NO_CAUSE
    if not sentence:
        raise UsageError("an intervention needs a sentence", remedy="say what was changed")
    if factor not in ALL_FACTORS:
        raise UsageError(f"no cause is called {factor!r}", remedy=f"use one of: {', '.join(ALL_FACTORS)}")
    at_utc_us = _when(store, at_utc_us, now_utc_us=now_utc_us)
    # Under the adviser's name it would be taken for advice, and go with the next one.
    who = who if who != ADVISER else ""
    row = InterventionRow(
        intervention_id=intervention_id or f"{now_utc_us}-intervention",
        created_utc_us=at_utc_us,
        factor=factor,
        scope="session",
        sentence=sentence,
        who=who or "unknown",
    )
    with kept_or_later():
        result_files.append_intervention(session_dir, row)
    store.submit(session_writes.record_intervention, row).result()
    return "noted" if at_utc_us == now_utc_us else f"noted as of {told(at_utc_us, now_utc_us=now_utc_us)}"


def _when(store: Store, at_utc_us: int | None, *, now_utc_us: int) -> int:
    """The time that a person says, where it can be. Clocks of two machines may differ a little."""
    if at_utc_us is None:
        return now_utc_us
    if at_utc_us > now_utc_us + _CLOCKS_DIFFER_US:
        raise UsageError(
            f"{told(at_utc_us, now_utc_us=at_utc_us).split(',')[0]} is still to come",
            remedy="give a time that has been",
        )
    begin = store.rows("SELECT min(created_utc_us) FROM session")[0][0]
    if begin is not None and at_utc_us < int(begin):
        raise UsageError(
            f"that was before the session, which began at {told(int(begin), now_utc_us=now_utc_us)}",
            remedy="of what was changed before it began there are no movies to compare: leave it out",
        )
    return min(at_utc_us, now_utc_us)


@contextlib.contextmanager
def kept_or_later() -> Iterator[None]:
    """A disk that refuses what a person said is told with what to do."""
    try:
        yield
    except OSError as error:
        raise RetryLaterError(
            f"what was said cannot be kept: {error}", remedy="free disk space, then say it again"
        ) from error
