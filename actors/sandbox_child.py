"""What runs inside of the sandbox: puts its own walls up, then runs the code that lies in its folder.

Started by `frazil.actors.sandbox_process` as `python -I`; standard library only until the walls stand. It tells what
happens as lines of JSON on a pipe: the walls, what was tried and is forbidden, how it ended.

Walls are the kernel's. The interpreter's own audit events only give a refusal its name (which file, which address);
where the kernel lacks a wall they are the wall, and code that goes past the interpreter goes past them: the report says
which of both it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from frazil.actors.sandbox_filter import give_up_privileges, put_filter_on
from frazil.actors.sandbox_landlock import write_only_below

CODE_NAME, LIMITS_NAME = "code.py", "limits.json"
_PR_SET_PDEATHSIG = 1
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DEVICES = ("/dev/null",)
_PATH_EVENTS = {
    "os.chmod": (0,), "os.chown": (0,), "os.link": (0, 1), "os.mkdir": (0,), "os.remove": (0,), "os.rename": (0, 1),
    "os.rmdir": (0,), "os.setxattr": (0,), "os.symlink": (1,), "os.truncate": (0,), "os.utime": (0,),
}  # fmt: skip
"""Audit events that change files, with those of their arguments that are the paths of what changes."""
_PROCESS_EVENTS = frozenset(
    {"os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.spawn", "os.system", "subprocess.Popen", "pty.spawn"}
)
_NETWORK_EVENTS = frozenset(
    {"socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
)
_SIGNAL_EVENTS = frozenset({"os.kill", "os.killpg"})


def main() -> None:
    """`argv`: the folder and the number of the pipe."""
    folder, pipe = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    limits = json.loads((folder / LIMITS_NAME).read_text())

    def tell(**said: Any) -> None:
        with contextlib.suppress(OSError):
            os.write(pipe, (json.dumps(said)[:4000] + "\n").encode())

    walls = put_walls_up(folder, limits)
    tell(walls=walls)
    sys.addaudithook(_Watch(folder, walls, tell))
    sys.argv = [CODE_NAME]
    try:
        runpy.run_path(str(folder / CODE_NAME), run_name="__main__")
    except MemoryError as error:
        tell(ended="memory", text=str(error) or "MemoryError")
    except BaseException as error:
        tell(ended="error", text=f"{type(error).__name__}: {error}")
        raise
    else:
        tell(ended="finished")
    sys.stdout.flush()


def put_walls_up(folder: Path, limits: dict[str, int]) -> dict[str, str]:
    """Names of the walls with how each stands; an empty text: it does not."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it: the end is wanted, and its name
    cpu_s, mib = limits["cpu_s"], 1 << 20
    walls = {
        "cpu time": _limited(resource.RLIMIT_CPU, cpu_s, cpu_s + 5, f"{cpu_s} s"),
        "memory": _limited(
            resource.RLIMIT_AS, limits["memory_mib"] * mib, limits["memory_mib"] * mib, f"{limits['memory_mib']} MiB"
        ),
        "file size": _limited(
            resource.RLIMIT_FSIZE, limits["disk_mib"] * mib, limits["disk_mib"] * mib, f"{limits['disk_mib']} MiB"
        ),
    }
    _limited(resource.RLIMIT_CORE, 0, 0, "")
    own_network = _own_network(libc)
    walls["files"] = walls["processes"] = walls["network"] = ""
    try:
        give_up_privileges()
    except OSError:
        return walls
    with contextlib.suppress(OSError):
        walls["files"] = f"Landlock {write_only_below(folder)}"
    with contextlib.suppress(OSError):
        put_filter_on()
        walls["processes"] = walls["network"] = "filter of system calls"
    if own_network:
        walls["network"] = " and ".join(part for part in (walls["network"], "a network of its own") if part)
    return walls


def _limited(kind: int, soft: int, hard: int, words: str) -> str:
    try:
        resource.setrlimit(kind, (soft, hard))
    except (OSError, ValueError):
        return ""
    return words


def _own_network(libc: ctypes.CDLL) -> bool:
    """A network with nothing in it, not even a loopback that is up. A user without rights gets it with a name space of
    users, in which it keeps its own number."""
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_NETWORK) == 0:
        return True
    if libc.unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


class _Watch:
    """An audit hook: names what is forbidden and, where the kernel has no wall against it, refuses it."""

    def __init__(self, folder: Path, walls: dict[str, str], tell: Callable[..., None]) -> None:
        self._folder, self._walls, self._tell = str(folder), dict(walls), tell

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and self._outside(path):
                self._forbid("files", "write", f"{path}")
        elif event in _PATH_EVENTS:
            for place in _PATH_EVENTS[event]:
                if self._outside(arguments[place]):
                    self._forbid("files", "write", f"{event} {arguments[place]}")
        elif event in _PROCESS_EVENTS:
            self._forbid("processes", "process", event)
        elif event in _NETWORK_EVENTS:
            self._forbid("network", "network", f"{event} {arguments[1:]}")
        elif event in _SIGNAL_EVENTS and arguments[0] != os.getpid():
            self._forbid("processes", "signal", f"{event} {arguments}")

    def _outside(self, path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a descriptor that is open already, or none
        named = os.path.realpath(os.fsdecode(path))
        return named not in _DEVICES and os.path.commonpath([named, self._folder]) != self._folder

    def _forbid(self, wall: str, kind: str, what: str) -> None:
        self._tell(tried=kind, what=what)
        if not self._walls[wall]:
            raise PermissionError(f"{what}: forbidden in the sandbox")
