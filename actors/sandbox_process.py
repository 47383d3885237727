"""A piece of Python code in a process that can do no harm: limits on CPU, memory, disk and wall time, no network, no
new processes, no writing outside of a folder of its own. Nothing is left of it, neither processes nor files.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import uuid4

import frazil.config
from frazil.actors.sandbox_child import CODE_NAME, LIMITS_NAME

_LOOK_S = 0.05
_DISK_LOOK_S = 0.25
_PREFIX = "frazil-sandbox-"
_MARK = "FRAZIL_SANDBOX"
"""A variable of the environment that every process of one run inherits: by it those are found that left the group."""
_PRINTED_BYTES = 8000
_START = "import sys\nsys.path[:0] = {root!r}\nfrom frazil.actors.sandbox_child import main\nmain()"
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "PATH")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Stopped(StrEnum):
    """Why code was stopped."""

    CPU_TIME = "cpu time"
    WALL_TIME = "wall time"
    MEMORY = "memory"
    DISK = "disk"
    FILE_WRITE = "file write outside"
    PROCESSES = "new process"
    NETWORK = "network"
    SIGNAL = "signal to another process"


_TRIED = {
    "write": Stopped.FILE_WRITE,
    "process": Stopped.PROCESSES,
    "network": Stopped.NETWORK,
    "signal": Stopped.SIGNAL,
}


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one run may use."""

    cpu_s: int = 30
    wall_s: float = 60.0
    memory_mib: int = 6144
    """Of address space: libraries take two to three thousand of it before anything is computed."""
    disk_mib: int = 256
    """Of its folder, and of each file."""


@dataclass(frozen=True, slots=True)
class SandboxRun:
    """How a run ended."""

    finished: bool
    """The code came to its end by itself, without an error."""
    stopped: Stopped | None
    """None: it was not stopped."""
    text: str
    """What it was stopped for, or the error that it ended with; empty: it finished."""
    results: Mapping[str, bytes]
    """Files that were asked for and are there."""
    printed: str
    """Standard output and error, the last 8,000 bytes."""
    walls: Mapping[str, str]
    """Walls by name, with how each was made; an empty text: this machine has none."""
    wall_seconds: float
    cpu_seconds: float
    peak_memory_mib: float
    """Resident."""
    left_over: int = 0
    """Processes that had to be ended after it; 0 where the filter of system calls stands."""


@dataclass(slots=True)
class _Told:
    """What came through the pipe."""

    walls: dict[str, str] = field(default_factory=dict)
    stopped: Stopped | None = None
    text: str = ""
    ended: str = ""


def run_sandboxed(
    code: str,
    *,
    limits: SandboxLimits,
    files: Mapping[str, bytes] | None = None,
    results: tuple[str, ...] = (),
) -> SandboxRun:
    """Run `code` with `files` beside it in its folder, and bring back the files named in `results`.

    Linux only. What is forbidden is refused by the kernel and ends the run at once; whichever walls this machine
    lacks, the report names. Reading is not restricted.

    Raises
    ------
    OSError
        No temporary folder, or no process, is to be had.
    """
    _clear_orphans()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")).resolve()
    try:
        for name, content in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        (folder / CODE_NAME).write_text(code, encoding="utf-8")
        (folder / LIMITS_NAME).write_text(
            json.dumps({name: getattr(limits, name) for name in ("cpu_s", "memory_mib", "disk_mib")})
        )
        return _run(folder, limits, results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear_orphans() -> None:
    """Remove the folders of runs whose owner was killed: the code inside ended with it (`PR_SET_PDEATHSIG`)."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).split("-")[0]
        with contextlib.suppress(OSError):
            if owner.isdigit() and not Path(f"/proc/{owner}").exists() and folder.stat().st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, limits: SandboxLimits, results: tuple[str, ...]) -> SandboxRun:
    mark = uuid4().hex
    told = _Told()
    begun_s = time.monotonic()
    read_end, write_end = os.pipe()
    with open(read_end, "rb", buffering=0) as pipe, tempfile.TemporaryFile() as printed:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _START.format(root=_roots()), str(folder), str(write_end)],
                stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, cwd=folder, pass_fds=(write_end,),
                env=_environment(folder, mark), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(write_end)
        try:
            status, used = _watch(process.pid, pipe, told, folder, limits, begun_s, mark)
        finally:
            left_over = _end_all(process, mark)
        process.returncode = os.waitstatus_to_exitcode(status)
        size = printed.seek(0, os.SEEK_END)
        printed.seek(max(0, size - _PRINTED_BYTES))
        said = printed.read().decode("utf-8", "replace")
    _judge(told, process.returncode)
    finished = told.stopped is None and told.ended == "finished" and process.returncode == 0
    return SandboxRun(
        finished=finished,
        stopped=told.stopped,
        text="" if finished else told.text or f"it ended with status {process.returncode}",
        results={name: (folder / name).read_bytes() for name in results if (folder / name).is_file()},
        printed=said,
        walls=told.walls,
        wall_seconds=time.monotonic() - begun_s,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_memory_mib=used.ru_maxrss / 1024,
        left_over=left_over,
    )


def _roots() -> list[str]:
    """Where this very frazil is imported from, if that is a folder named so; else the interpreter finds it itself."""
    package = Path(frazil.config.__file__).parents[1]
    return [str(package.parent)] if package.name == "frazil" else []


def _environment(folder: Path, mark: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # Nothing secret that a variable holds goes in; compiled code and whatever else is cached stays in the folder.
    return kept | _ONE_THREAD | {
        "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8", 
        "CUDA_VISIBLE_DEVICES": "", _MARK: mark,
    }  # fmt: skip


@dataclass(slots=True)
class _Pipe:
    """The reading end of what the code's process writes, a line of JSON at a time."""

    file: Any
    told: _Told
    selector: selectors.BaseSelector
    open_still: bool = True
    _part_of_line: bytes = b""

    def read(self, wait_s: float) -> bool:
        """Take what there is, after so long at most; whether there was anything."""
        if not self.open_still:
            time.sleep(wait_s)
            return False
        if not self.selector.select(wait_s):
            return False
        part = self.file.read(65536)
        *lines, self._part_of_line = (self._part_of_line + part).split(b"\n")
        for line in lines:
            _hear(self.told, line)
        if not part:
            self.selector.unregister(self.file)
            self.open_still = False
        return bool(part)

    def finish(self) -> None:
        """What was written last may still lie in the pipe."""
        while self.read(0.0):
            pass
        _hear(self.told, self._part_of_line)


def _watch(
    pid: int, pipe: Any, told: _Told, folder: Path, limits: SandboxLimits, begun_s: float, mark: str
) -> tuple[int, Any]:
    """Until it ends or is stopped; exit status and use of resources."""
    disk_s = begun_s
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        lines = _Pipe(pipe, told, selector)
        while True:
            lines.read(_LOOK_S)
            ended, status, used = os.wait4(pid, os.WNOHANG)
            if ended:
                lines.finish()
                return status, used
            now_s = time.monotonic()
            if now_s - begun_s > limits.wall_s:
                told.stopped, told.text = Stopped.WALL_TIME, f"it took longer than {limits.wall_s:g} s"
            elif now_s - disk_s > _DISK_LOOK_S:
                disk_s = now_s
                _look_at_use(told, folder, limits, mark)
            if told.stopped is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                _, status, used = os.wait4(pid, 0)
                return status, used


def _look_at_use(told: _Told, folder: Path, limits: SandboxLimits, mark: str) -> None:
    """Stop what has written too much, or has children."""
    if _size_bytes(folder) > limits.disk_mib << 20:
        told.stopped, told.text = Stopped.DISK, f"it wrote more than {limits.disk_mib} MiB"
    # Without the filter a process may have children: it may not.
    if told.walls and not told.walls.get("processes") and len(_marked(mark)) > 1:
        told.stopped, told.text = Stopped.PROCESSES, "it started another process"


def _hear(told: _Told, line: bytes) -> None:
    try:
        said = json.loads(line)
    except ValueError:
        return
    if isinstance(said.get("walls"), dict):
        told.walls = {str(name): str(how) for name, how in said["walls"].items()}
    elif said.get("tried") in _TRIED and told.stopped is None:
        told.stopped, told.text = _TRIED[said["tried"]], str(said.get("what"))
    elif "ended" in said:
        told.ended = str(said["ended"])
        told.text = told.text or str(said.get("text", ""))


def _judge(told: _Told, code: int) -> None:
    """What the way in which it ended says, where nothing stopped it before."""
    if told.stopped is not None:
        return
    if told.ended == "memory":
        told.stopped, told.text = Stopped.MEMORY, f"it asked for more memory than it has: {told.text}"
    elif code == -signal.SIGXCPU:
        told.stopped, told.text = Stopped.CPU_TIME, "its CPU time was used up"
    elif code == -signal.SIGXFSZ:
        told.stopped, told.text = Stopped.DISK, "a file grew too large"


def _size_bytes(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_blocks * 512
    return total


def _end_all(process: subprocess.Popen[bytes], mark: str) -> int:
    """End its group and whatever carries its mark, until nothing does; how many there were besides itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    ended: set[int] = set()
    for _ in range(1000):  # a bomb makes new ones while it is cleared away, more slowly than it is
        found = _marked(mark) - {process.pid}
        if not found:
            break
        ended |= found
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    return len(ended)


def _marked(mark: str) -> set[int]:
    wanted = f"{_MARK}={mark}".encode()
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                found.add(int(name))
    return found
