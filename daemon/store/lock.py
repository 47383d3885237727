"""One daemon per session folder: a lock on a file of its own, held for life.

The lock is *not* on the database file: closing any descriptor of a DuckDB file in the owning process silently drops
DuckDB's own POSIX lock, and a second daemon could then lose committed rows (reference: DuckDB's fcntl locks;
tests/system/test_store_survives.py). `flock` belongs to the open file description, so that looking at it does no harm.
The file is never deleted: two processes could otherwise hold locks on two files of the same name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from frazil.config.errors import SessionLockedError, UsageError

LOCK_NAME = "session.lock"
_PATIENCE_S = 2.0
"""A reader (`frazil query` on a finished session) holds a shared lock for a moment; a daemon waits this long for it."""
_LOOK_EVERY_S = 0.05


class SessionLock:
    """Exclusive ownership of a session folder, released by `release`, by leaving the `with` block, or by death.

    Raises `SessionLockedError`, naming the holder, when another process has it; `UsageError` where the folder is closed
    to writing.
    """

    def __init__(self, session_dir: Path, *, patience_s: float = _PATIENCE_S) -> None:
        self.path = session_dir / LOCK_NAME
        with open_to_writing(session_dir):
            session_dir.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _flock(self._descriptor, fcntl.LOCK_EX, patience_s):
            holder = os.read(self._descriptor, 200).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise SessionLockedError(
                f"this session already belongs to a running process ({holder or 'one that reads it'})",
                path=session_dir,
                remedy="stop that process, or one that reads the session (`frazil page --serve`, query, export), or "
                "choose another session folder with --session",
            )
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Give the session up; harmless when called twice."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)  # so that nobody is sent to a process that is gone
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@contextlib.contextmanager
def open_to_writing(session_dir: Path) -> Iterator[None]:
    """Around the first write into a session's folder. Raises `UsageError` where it is closed to writing."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise UsageError(
            "this session is closed to writing: it can be read, and nothing in it can be changed",
            path=session_dir,
            remedy="copy its folder to a place of your own and use the copy: nothing is computed again for that",
        ) from error


class ReadersLock:
    """Shared hold on a finished session while its file is read: a daemon cannot start in the middle.

    Raises `SessionLockedError` when a daemon has the session, `UsageError` where this account may not look. Where there
    is no lock file (a part of a session was archived) nothing is held.
    """

    def __init__(self, session_dir: Path) -> None:
        try:
            self._descriptor = os.open(session_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._descriptor = -1
            return
        except PermissionError as error:
            raise UsageError(
                "this session may not be read",
                path=session_dir / LOCK_NAME,
                remedy=f"ask whom it belongs to for `chmod -R a+rX {session_dir}`",
            ) from error
        if not _flock(self._descriptor, fcntl.LOCK_SH, 0.0):
            holder = os.read(self._descriptor, 200).decode(errors="replace").strip()
            os.close(self._descriptor)
            self._descriptor = -1
            raise SessionLockedError(
                f"a running process owns this session ({holder or 'unknown holder'}) and does not answer",
                path=session_dir,
                remedy="ask again in a moment, or stop it; another account's daemon answers that account alone",
            )

    def release(self) -> None:
        """Harmless when called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_locked(session_dir: Path) -> bool:
    """Whether a daemon holds the session now. Does not disturb it, and creates nothing."""
    try:
        ReadersLock(session_dir).release()
    except SessionLockedError:
        return True
    except UsageError:
        return False  # who may not read it has no daemon on it
    return False


def _flock(descriptor: int, kind: int, patience_s: float) -> bool:
    give_up = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                return False
            time.sleep(_LOOK_EVERY_S)
        else:
            return True
