"""Code that runs away is stopped, by the kernel and by name, and nothing is left of it."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from frazil.actors import sandbox_process
from frazil.actors.sandbox_filter import CALLS, filter_program
from frazil.actors.sandbox_process import SandboxLimits, SandboxRun, Stopped, run_sandboxed

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="the walls are Linux's")

LIMITS = SandboxLimits(cpu_s=1, wall_s=60.0, memory_mib=2048, disk_mib=4)
TRIED = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"


def run(code: str, **changes: object) -> SandboxRun:
    # Of this process alone: another test process may have a sandbox open in the same folder.
    mine = f"frazil-sandbox-{os.getpid()}-*"
    before = set(Path(tempfile.gettempdir()).glob(mine))
    ended = run_sandboxed(code, limits=LIMITS if not changes else SandboxLimits(**changes))  # type: ignore[arg-type]
    assert set(Path(tempfile.gettempdir()).glob(mine)) <= before, "its folder is gone"
    return ended


def test_code_that_behaves_brings_its_results_home() -> None:
    ended = run_sandboxed(
        "open('out.txt', 'w').write(open('in.txt').read().upper())\nprint('done')",
        limits=LIMITS,
        files={"in.txt": b"ice"},
        results=("out.txt", "never-written"),
    )
    assert ended.finished
    assert ended.stopped is None
    assert ended.results == {"out.txt": b"ICE"}
    assert ended.printed == "done\n"
    assert ended.left_over == 0
    assert set(ended.walls) == {"cpu time", "memory", "file size", "files", "processes", "network"}


def test_an_error_is_told_as_an_error() -> None:
    ended = run("raise ValueError('no rings')")
    assert not ended.finished
    assert ended.stopped is None
    assert ended.text == "ValueError: no rings"


@pytest.mark.parametrize(
    ("code", "stopped"),
    [
        ("while True: pass", Stopped.CPU_TIME),
        ("bytearray(100 << 30)", Stopped.MEMORY),
        ("import numpy; numpy.ones(100 << 27)", Stopped.MEMORY),
        ("import os\nwhile True: os.fork()", Stopped.PROCESSES),
        ("import os\ntry:\n while True: os.fork()\nexcept OSError:\n while True: pass", Stopped.PROCESSES),
        ("import subprocess; subprocess.run(['true'])", Stopped.PROCESSES),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", Stopped.NETWORK),
        ("import os; os.kill(os.getppid(), 9)", Stopped.SIGNAL),
        ("with open('a', 'wb') as f:\n while True: f.write(bytes(100_000))", Stopped.DISK),
        ("import itertools\nfor i in itertools.count(): open(f'a{i}', 'wb').write(bytes(400_000))", Stopped.DISK),
    ],
)
def test_a_runaway_is_stopped_and_reported(code: str, stopped: Stopped) -> None:
    ended = run(code)
    assert not ended.finished
    assert ended.stopped is stopped
    assert ended.text
    assert ended.left_over == 0


def test_waiting_for_ever_is_stopped_too() -> None:
    ended = run("import time; time.sleep(1e6)", wall_s=1.5)
    assert ended.stopped is Stopped.WALL_TIME


@pytest.mark.parametrize("how", ["open({!r}, 'w')", "import os; os.mkdir({!r})", "import os; os.symlink('/', {!r})"])
def test_nothing_is_written_outside(how: str, tmp_path: Path) -> None:
    wanted = tmp_path / "outside"
    ended = run(how.format(str(wanted)))
    assert ended.stopped is Stopped.FILE_WRITE
    assert str(wanted) in ended.text
    assert not wanted.exists()


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    ended = run(f"import os; os.symlink({str(tmp_path)!r}, 'way'); open('way/outside', 'w')")
    assert ended.stopped is Stopped.FILE_WRITE
    assert not (tmp_path / "outside").exists()


def test_the_kernel_refuses_what_goes_past_the_interpreter(tmp_path: Path) -> None:
    """The interpreter's audit events name things; the walls are not made of them."""
    mine = tmp_path / "mine"
    mine.write_text("x")
    ended = run(
        TRIED
        + f"print([libc.open({str(tmp_path / 'new').encode()!r}, 0o102, 0o644), libc.unlink({str(mine).encode()!r}),"
        f" libc.chmod({str(mine).encode()!r}, 0), libc.fork(), libc.socket(2, 1, 0), libc.kill({os.getpid()}, 0)])"
    )
    missing = [name for name in ("files", "processes", "network") if not ended.walls[name]]
    if missing:
        pytest.skip(f"this kernel has no wall for {missing}")
    assert ended.printed.strip() == str([-1] * 6)
    assert mine.stat().st_mode & 0o400
    assert not (tmp_path / "new").exists()


def test_threads_are_welcome() -> None:
    code = "import threading\nt = threading.Thread(target=print, args=('other',))\nt.start()\nt.join()"
    assert run(code).printed == "other\n"


def test_processes_that_left_the_group_are_found_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel without filters: the interpreter is the wall, and the mark finds who went past it."""
    unfiltered = sandbox_process._START.replace(
        "main()",
        "import frazil.actors.sandbox_child as child\n"
        "def refused(): raise OSError(1, 'as without it')\nchild.put_filter_on = refused\nmain()",
    )
    monkeypatch.setattr(sandbox_process, "_START", unfiltered)
    assert run("import os; os.fork()").stopped is Stopped.PROCESSES
    ended = run(
        TRIED
        + "import os, time\nfor _ in range(5):\n if libc.fork() == 0:\n  os.setsid(); time.sleep(999)\ntime.sleep(999)"
    )
    assert ended.walls["processes"] == ""
    assert ended.stopped is Stopped.PROCESSES
    assert ended.left_over == 5


@pytest.mark.parametrize("machine", sorted(CALLS))
def test_the_filter_lets_through_and_refuses_what_it_should(machine: str) -> None:
    """The program, run by an interpreter of its own kind."""
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    calls = CALLS[machine]

    def decided(number: int, argument: int = 0, of: int = architecture) -> int:
        data = struct.pack("=IIQ6Q", number, of, 0, argument, 0, 0, 0, 0, 0)
        steps = list(struct.iter_unpack("=HBBI", filter_program(machine, 77)))
        at = held = 0
        while True:
            code, yes, no, value = steps[at]
            at += 1
            if code == 0x20:
                (held,) = struct.unpack_from("=I", data, value)
            elif code == 0x06:
                return int(value)
            else:
                true = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
                at += yes if true else no

    allow, refuse, unknown = 0x7FFF0000, 0x00050001, 0x00050026
    read = {"x86_64": 0, "aarch64": 63}[machine]
    assert decided(read) == allow
    assert decided(read, of=0x40000003) == refuse
    assert decided(calls["clone3"]) == unknown
    for name, number in calls.items():
        if name not in ("clone", "clone3", "kill", "tgkill"):
            assert decided(number) == refuse, name
    assert decided(calls["clone"], 0x11) == refuse
    assert decided(calls["clone"], 0x10F00) == allow
    assert decided(calls["kill"], 77) == decided(calls["tgkill"], 77) == allow
    assert decided(calls["kill"], 78) == refuse
    if machine == "x86_64":
        assert decided(0x40000000 + read) == refuse


def test_when_its_owner_is_killed_the_code_ends_and_the_next_run_clears_up(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        f"sys.path[:0] = {sandbox_process._roots()!r}\n"
        "from frazil.actors.sandbox_process import SandboxLimits, run_sandboxed\n"
        'run_sandboxed(\'import os, time; open("pid", "w").write(str(os.getpid())); time.sleep(999)\', '
        "limits=SandboxLimits())"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)})
    found: list[Path] = []
    while owner.poll() is None and not any(file.read_text() for file in found):
        time.sleep(0.02)
        found = list(tmp_path.glob("frazil-sandbox-*/pid"))
    inner = int(found[0].read_text())
    owner.kill()
    owner.wait()
    while Path(f"/proc/{inner}/fd/1").exists():  # a zombie has none
        time.sleep(0.02)
    assert found[0].exists()
    again = subprocess.run(
        [sys.executable, "-c", code.replace("time.sleep(999)", "pass")], env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert again.returncode == 0
    assert list(tmp_path.glob("frazil-sandbox-*")) == []
