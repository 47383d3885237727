"""The removal itself: noted first, so that a file which is missing was removed by somebody and is no fault.

Under the session's own lock: no daemon starts on it meanwhile, and one that runs keeps everything.
"""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass

from frazil.config.errors import RetryLaterError
from frazil.daemon.retention.plan import Removable, SessionPlan, stamp_of
from frazil.daemon.store.lock import SessionLock, open_to_writing
from frazil.daemon.store.removed import Removal, note_removal


@dataclass(frozen=True, slots=True)
class Removed:
    """What has gone."""

    files: int
    size_bytes: int
    failed: tuple[str, ...] = ()
    """Files that are still there, and why."""


def this_account() -> str:
    """`name@machine`, for the record."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a number without a name
        name = "somebody"
    return f"{name}@{socket.gethostname()}"


def remove(plan: SessionPlan, *, by: str, now_utc_us: int) -> Removed:
    """Remove what was planned.

    Raises
    ------
    SessionLockedError
        The session runs, or is being read.
    RetryLaterError
        Somebody has gone on with it since it was planned.
    UsageError
        Its folder is closed to writing.
    """
    files, size_bytes, failed = 0, 0, []
    with SessionLock(plan.folder):
        if stamp_of(plan.folder) != plan.stamp:
            raise RetryLaterError("somebody has gone on with this session", path=plan.folder, remedy="plan it again")
        for one in plan.removable:
            with open_to_writing(plan.folder):
                note_removal(plan.folder, _note(one, by, now_utc_us))
            for path in one.files:
                try:
                    size = path.stat().st_size
                    path.unlink()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    failed.append(f"{path}: {error.strerror}")
                else:
                    files, size_bytes = files + 1, size_bytes + size
    return Removed(files, size_bytes, tuple(failed))


def _note(one: Removable, by: str, now_utc_us: int) -> Removal:
    return Removal(
        utc_us=now_utc_us,
        by=by,
        kind=one.kind,
        files=len(one.files),
        size_bytes=one.size_bytes,
        rule=f"{one.after_days:g} days after its end",
    )
