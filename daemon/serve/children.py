"""Sessions' processes: started, found again after serve itself was killed, asked to end.

Each is `frazil watch` in a process and a process group of its own: it outlives serve, and a Ctrl-C at serve's terminal
does not reach it before serve has noted that it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from frazil.daemon.serve.folders import Access

_TAIL_BYTES = 8192
_MOST_LOG_BYTES = 10 << 20
_NOT_FOR_CHILDREN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID")
"""What the service manager told serve alone."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a session's process is started with."""

    acquisition: Path
    session_dir: Path
    log: Path
    access: Access
    settings: Path | None
    """None: the session goes on with those that it has."""
    quiet_s: float
    http_port: int | None = None
    gpus: tuple[int, ...] | None = None
    """None: whatever there is."""


class Command(Protocol):
    """The words of a session's command line. Tests have a lighter one."""

    def __call__(self, order: Order) -> Sequence[str | Path]: ...


def frazil_words() -> list[str]:
    """How this installation's `frazil` is called: its script, or where that is not beside Python, by Python."""
    script = Path(sys.executable).with_name("frazil")
    if script.is_file():
        return [str(script)]
    return [sys.executable, "-c", "from frazil.daemon.cli.main import main; main()"]


def watch_command(order: Order) -> list[str | Path]:
    """`frazil watch`, which ends in good order when nothing has come for long."""
    words: list[str | Path] = [*frazil_words(), "watch", order.acquisition, "--session", order.session_dir]
    words += ["--exit-when-idle", f"{order.quiet_s:g}"]
    if order.settings is not None:
        words += ["--config", order.settings]
    if order.http_port is not None:
        words += ["--http", str(order.http_port)]
    return words


class Children:
    """Those that this process has started are waited for; others are known by their number and start."""

    def __init__(self, command: Command = watch_command, *, environment: Mapping[str, str] | None = None) -> None:
        self._command = command
        given = os.environ if environment is None else environment
        self._environment = {name: value for name, value in given.items() if name not in _NOT_FOR_CHILDREN}
        self._own: dict[int, subprocess.Popen[bytes]] = {}
        self._aside: list[subprocess.Popen[bytes]] = []

    def start(self, order: Order) -> tuple[int, int | None]:
        """Number and start of a new process. Raises OSError."""
        environment = dict(self._environment)
        if order.gpus is not None:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, order.gpus))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        if order.log.exists() and order.log.stat().st_size > _MOST_LOG_BYTES:
            flags |= os.O_TRUNC
        descriptor = os.open(order.log, flags, 0o600)
        try:
            if order.access.group is not None:
                os.fchown(descriptor, -1, order.access.group)
            os.fchmod(descriptor, order.access.file_mode)
            child = subprocess.Popen(
                [os.fspath(word) for word in self._command(order)],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=environment,
                cwd="/",
                umask=order.access.umask,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        self._own[child.pid] = child
        return child.pid, process_began(child.pid)

    def start_aside(self, words: Sequence[str], log: Path) -> None:
        """Something that nobody waits for. Raises OSError."""
        with log.open("ab") as sink:
            child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )
        self._aside = [one for one in self._aside if one.poll() is None] + [child]

    def alive(self, pid: int, began: int | None) -> bool:
        """Whether this very process runs still."""
        if (child := self._own.get(pid)) is not None:
            return child.poll() is None
        return began is not None and process_began(pid) == began

    def exit_code(self, pid: int) -> int | None:
        """Of one that has ended, once; negative: by that signal. None: no child of this process, so nobody knows."""
        child = self._own.pop(pid, None)
        return None if child is None else child.returncode

    def ask_to_end(self, pid: int, began: int | None) -> None:
        """As Ctrl-C does; harmless when it has ended."""
        if self.alive(pid, began):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)


def process_began(pid: int) -> int | None:
    """Start of a process in ticks since the machine's (proc(5), field 22); None: there is none, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def last_words(log: Path) -> str:
    """The last line that a session's process has written, for a person; empty: none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
    except OSError:
        return ""
    spoken = (line.replace("\x1b[K", "").strip() for line in reversed(lines))
    return next((line.removeprefix("frazil: ") for line in spoken if line), "")
