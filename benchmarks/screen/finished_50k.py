"""The screen of a finished session of 50,000 movies in a folder that is closed to writing, without a daemon.

    ./run bench finished_50k [--movies 50000] [--session FOLDER] [--repeats 5] [--idle-s 60] [--json OUT.json]

`frazil tui FOLDER` as a person types it, in a terminal of 120 x 40: from the start of the command to the first rows of
movies in what the terminal is sent (`first_rows_s`, the quickest of the repetitions). The terminal says its attributes
when it is asked, as every terminal does that people use (xterm's are told here); `silent_first_rows_s` is of one that
never answers. Beside it a process that only starts the interpreter and imports all that the screen needs (`imports_s`);
both also as processor time, which other work on the machine hardly moves. Then nobody touches the screen for
`--idle-s`, with the processor time that the kernel counts. Everything in the folder is listed with size, time and
SHA-256 before and afterwards. `--session`: another session than synthetic rows in a store made for this.

The claim (exit 1 if not): first rows after 1.5 s at most, an idle screen that takes no more of a core than
a live one may (3 %), and nothing in the folder is another.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.screen.store_service import insert
from benchmarks.screen.synthetic_session import START_UTC_US, make_rows
from frazil.config.loading import settings_to_yaml
from frazil.config.settings import Settings
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes

_ROWS, _COLUMNS = 40, 120
_FIRST_ROWS = re.compile(rb"(kept|rejected)\s+\S{5,}\s+\d+\.\d")
"""A line of the table: state, (the end of) a movie's name, the first of its numbers."""
_IMPORTS = "import frazil.daemon.cli.main, frazil.daemon.cli.tui, frazil.tui.app, frazil.daemon.status.finished"
_VERB = "import sys; from frazil.daemon.cli.main import main; sys.argv[0] = 'frazil'; main()"
_FIRST_ROWS_S, _IDLE_SHARE = 1.5, 0.03
_ASKED, _ANSWER = b"\x1b[c", b"\x1b[?1;2c"
"""Primary device attributes: the question, and xterm's answer."""
_PATIENCE_S = 60.0


def make_finished(folder: Path, movies: int) -> None:
    """A session of synthetic rows that has ended."""
    rows = make_rows(movies, 1, waiting=0)
    row = SessionRow(folder.name, folder.name, "/raw", START_UTC_US, settings_to_yaml(Settings()), "0.1.0")
    with Store.open(folder, now_utc_us=1) as store:
        store.submit(session_writes.create_session, row).result()
        for start in range(0, movies, 5000):
            store.submit(insert, rows[start : start + 5000]).result()
        store.submit(session_writes.finish_session, START_UTC_US + 1).result()
    (folder / "session.lock").touch()
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def inventory(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """Size, time, mode and digest of everything below a folder, and of the folder."""
    found = {}
    for path in sorted((folder, *folder.rglob("*"))):
        status = path.stat()
        digest = ""
        if path.is_file():
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[str(path)] = (status.st_size, status.st_mtime_ns, status.st_mode, digest)
    return found


@contextmanager
def screen(session: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`frazil tui` in a terminal of its own: the process, and the terminal's other end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _VERB, "tui", str(session)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.terminate()
        process.wait()
        os.close(ours)


def first_rows_s(terminal: int, began_s: float, *, silent: bool = False) -> float:
    """Until the terminal has been sent a line of the table; `silent`: it says nothing of itself."""
    sent, answered = b"", silent
    while True:
        if time.monotonic() - began_s > _PATIENCE_S:
            raise TimeoutError("the screen shows no movies")
        if not select.select([terminal], [], [], 0.005)[0]:
            continue
        sent += os.read(terminal, 1 << 16)
        if not answered and _ASKED in sent:
            os.write(terminal, _ANSWER)
            answered = True
        # Only what is new: this process must not take the time that it measures.
        if _FIRST_ROWS.search(re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b" ", sent[-(1 << 15) :])):
            break
    return time.monotonic() - began_s


def idle_share(process: subprocess.Popen[bytes], terminal: int, idle_s: float) -> float:
    """Of one core, over that time."""
    ended = threading.Event()

    def drain() -> None:
        while not ended.is_set():
            if select.select([terminal], [], [], 0.2)[0]:
                os.read(terminal, 1 << 16)

    reader = threading.Thread(target=drain)
    reader.start()
    time.sleep(5.0)  # what opening has begun gets to its end
    before_s, began_s = cpu_s(process.pid), time.monotonic()
    time.sleep(idle_s)
    share = (cpu_s(process.pid) - before_s) / (time.monotonic() - began_s)
    ended.set()
    reader.join()
    return share


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def imports_s() -> tuple[float, float]:
    """Start of the interpreter and the screen's imports, alone: by the clock, and of processor time."""
    began_s, before = time.monotonic(), os.times()
    subprocess.run([sys.executable, "-c", _IMPORTS], check=True)
    after = os.times()
    computed_s = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began_s, computed_s


def measure(session: Path, repeats: int, idle_s: float) -> dict[str, float | bool]:
    """All figures of one session."""
    before = inventory(session)
    whole_s, silent_s, alone_s, whole_cpu_s, alone_cpu_s = [], [], [], [], []
    for _ in range(repeats):
        clock_s, computed_s = imports_s()
        alone_s.append(clock_s)
        alone_cpu_s.append(computed_s)
        began_s = time.monotonic()
        with screen(session) as (process, terminal):
            whole_s.append(first_rows_s(terminal, began_s))
            whole_cpu_s.append(cpu_s(process.pid))
        began_s = time.monotonic()
        with screen(session) as (process, terminal):
            silent_s.append(first_rows_s(terminal, began_s, silent=True))
    with screen(session) as (process, terminal):
        first_rows_s(terminal, time.monotonic())
        share = idle_share(process, terminal, idle_s)
    return {
        "first_rows_s": min(whole_s),
        "first_rows_median_s": sorted(whole_s)[len(whole_s) // 2],
        "first_rows_worst_s": max(whole_s),
        "silent_first_rows_s": min(silent_s),
        "imports_s": min(alone_s),
        "first_rows_cpu_s": min(whole_cpu_s),
        "imports_cpu_s": min(alone_cpu_s),
        "idle_cpu_share": share,
        "idle_s": idle_s,
        "files": float(len(before)),
        "nothing_written": inventory(session) == before,
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movies", type=int, default=50_000)
    parser.add_argument("--session", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--idle-s", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fz") as place:
        session = given.session
        if session is None:
            session = Path(place) / "finished"
            session.mkdir()
            make_finished(session, given.movies)
        result = measure(session.resolve(), given.repeats, given.idle_s)
        if given.session is None:
            session.chmod(0o755)
    for name, value in result.items():
        print(f"{name:32} {value:10.3f}")
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2))
    kept = (
        result["first_rows_s"] <= _FIRST_ROWS_S
        and result["idle_cpu_share"] <= _IDLE_SHARE
        and result["nothing_written"]
    )
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
