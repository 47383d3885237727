"""What a test leaves behind: child processes, listening sockets, open files below its `tmp_path`, threads.

Each would otherwise be noticed tests later, when Python collects it, or never. Only what can be told for certain is
looked at: pipes, event descriptors, connected sockets and daemon threads come and go with libraries. Linux only.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path

GRACE_S = 2.0
"""What ends by itself (a thread that was told to, a socket that ZeroMQ's own thread closes) has this long."""
_THREADS_OF_THE_PROCESS = "frazil-kernel"
"""Of the pool in models/cpu_threads.py, which is made at its first use and is there until the process ends."""
_PROC = Path("/proc")
_LISTENING_TCP, _LISTENING_UNIX = "0A", "00010000"  # TCP_LISTEN; __SO_ACCEPTON


@dataclass(frozen=True)
class Held:
    """What this process holds at one moment."""

    children: frozenset[tuple[int, str]]
    """Number and start time: numbers are used again."""
    descriptors: frozenset[tuple[int, str]]
    """Number and what it refers to."""
    threads: frozenset[threading.Thread]

    @classmethod
    def now(cls) -> Held:
        return cls(frozenset(_children()), frozenset(_descriptors()), frozenset(threading.enumerate()))


def left_behind(before: Held, folder: Path | None) -> list[str]:
    """What was not there before and does not go within the grace time, in words; files below `folder` only."""
    found = _new(before, folder)
    if not found:
        return []
    gc.collect()  # what only waits for the collector is not held by anybody
    deadline_s = time.monotonic() + GRACE_S
    while (found := _new(before, folder)) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return found


def _new(before: Held, folder: Path | None) -> list[str]:
    now = Held.now()
    new = {target for _, target in now.descriptors - before.descriptors}
    listening = _listening() if any(target.startswith("socket:") for target in new) else {}
    below = None if folder is None else f"{folder}{os.sep}"
    return [
        *(f"child process {pid}: {_command(pid)}" for pid, _ in sorted(now.children - before.children)),
        *(f"listening socket {listening[target]}" for target in sorted(new & listening.keys())),
        *(f"open file {target}" for target in sorted(new) if below is not None and target.startswith(below)),
        *(f"thread {thread.name}" for thread in now.threads - before.threads if _is_left(thread)),
    ]


def _children() -> set[tuple[int, str]]:
    """Also those that have ended and that nobody has waited for."""
    found = set()
    # The tracker belongs to the interpreter: whoever first shares memory starts it, and it ends with the interpreter.
    tracker = getattr(resource_tracker._resource_tracker, "_pid", None)
    for name in os.listdir(_PROC):
        if not name.isdigit() or int(name) == tracker:
            continue
        try:
            fields = (_PROC / name / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.add((int(name), fields[19]))
    return found


def _command(pid: int) -> str:
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    return b" ".join(words).decode(errors="replace").strip()[:200] or "ended, and nobody waited for it"


def _descriptors() -> set[tuple[int, str]]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except OSError:  # the one that listed the folder
            continue
    return found


def _listening() -> dict[str, str]:
    """Of the whole machine: what /proc/self/fd calls a socket, to its address."""
    found = {}
    for family in ("tcp", "tcp6"):
        for line in _table(family):
            if line[3] == _LISTENING_TCP:
                address, _, port = line[1].rpartition(":")
                found[f"socket:[{line[9]}]"] = f"{family} {address}:{int(port, 16)}"
    for line in _table("unix"):
        if line[3] == _LISTENING_UNIX:
            found[f"socket:[{line[6]}]"] = f"unix {line[7] if len(line) > 7 else '(no name)'}"
    return found


def _table(name: str) -> list[list[str]]:
    try:
        return [line.split() for line in Path("/proc/self/net", name).read_text().splitlines()[1:]]
    except OSError:
        return []


def _is_left(thread: threading.Thread) -> bool:
    return thread.is_alive() and not thread.daemon and not thread.name.startswith(_THREADS_OF_THE_PROCESS)
