"""What a private Ray leaves behind when its owner is killed: processes that outlive it, and its folder.

Ray's processes follow their parent into death, except when they are killed at a bad moment: an agent that the raylet
had just started was seen to live on. So everything that a private Ray starts carries its owner's mark in its
environment, and the next owner ends what carries the mark of a dead one. Nothing else is ever touched.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_log = logging.getLogger(__name__)

TEMP_PREFIX = "fz-ray-"
_MARK = "FRAZIL_RAY_OWNER"
_PROC = Path("/proc")


@contextlib.contextmanager
def marked_children() -> Iterator[None]:
    """What is started within this block, and what that starts, is known as ours. Not longer: what a person's script
    starts from this process later has nothing to do with Ray."""
    os.environ[_MARK] = _identity(os.getpid())
    try:
        yield
    finally:
        del os.environ[_MARK]


def end_own_processes() -> None:
    """End what is left of this process's own Ray after it was shut down."""
    _end(lambda owner: owner == _identity(os.getpid()))


def remove_leftovers() -> None:
    """End processes and remove folders of private Rays whose owner is gone."""
    _end(lambda owner: _identity(int(owner.partition(":")[0])) != owner)
    for folder in Path(tempfile.gettempdir()).glob(f"{TEMP_PREFIX}*-*"):
        pid = folder.name[len(TEMP_PREFIX) :].split("-")[0]
        with contextlib.suppress(OSError):
            if pid.isdigit() and not (_PROC / pid).exists() and folder.lstat().st_uid == os.getuid():
                _log.info("removing the leftover of an earlier run: %s", folder)
                shutil.rmtree(folder, ignore_errors=True)


def _identity(pid: int) -> str:
    """Number and start time: numbers are used again. A process that is gone has no start time."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return f"{pid}:"
    return f"{pid}:" if fields[0] == "Z" else f"{pid}:{fields[19]}"


def _owner_of(pid: int) -> str | None:
    """The mark of a process of this user; None: it has none."""
    folder = _PROC / str(pid)
    try:
        if folder.stat().st_uid != os.getuid():
            return None
        variables = (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    prefix = f"{_MARK}=".encode()
    owner = next((line[len(prefix) :].decode(errors="replace") for line in variables if line.startswith(prefix)), "")
    number, _, start = owner.partition(":")
    return owner if number.isdigit() and start.isdigit() else None


def _end(is_meant: Callable[[str], bool]) -> None:
    if not hasattr(os, "pidfd_open") or not _PROC.is_dir():
        return
    for name in os.listdir(_PROC):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            # Held by its descriptor, so that the number cannot become another process between looking and acting.
            descriptor = os.pidfd_open(int(name))
            try:
                owner = _owner_of(int(name))
                if owner is not None and is_meant(owner):
                    _log.info("ending process %s, left behind by the Ray of process %s", name, owner.partition(":")[0])
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            finally:
                os.close(descriptor)
