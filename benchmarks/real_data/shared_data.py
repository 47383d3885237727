"""What the benchmarks on real data share: where the data lie, how a daemon is started and asked, pictures.

The data are not part of the repository (docs/real-data.md says what they are and where they come from). Their folder is
given by `--data` or by the environment variable FRAZIL_SHARED_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from frazil.daemon.store.reading import open_session

VARIABLE = "FRAZIL_SHARED_DATA"
Image = NDArray[Any]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The flags that all of them have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, default=os.environ.get(VARIABLE), help=f"data folder [default: ${VARIABLE}]")
    made.add_argument("--json", type=Path, help="write the figures here")
    made.add_argument("--pictures", type=Path, help="write pictures into this folder")
    made.add_argument("--keep", type=Path, help="work in this new folder and leave it [default: a temporary one]")
    return made


def data_file(args: argparse.Namespace, relative: str) -> Path | None:
    """A file or folder of the data, or None (and a word about it) where there are no data."""
    path = None if args.data is None else Path(args.data) / relative
    if path is None or not path.exists():
        print(f"skipped: no {relative} (set {VARIABLE} or give --data; see docs/real-data.md)")
        return None
    return path


def frazil(*words: object) -> list[str]:
    """The command line of a frazil verb in this Python."""
    return [sys.executable, "-c", "from frazil.daemon.cli.main import main; main()", *map(str, words)]


def environment() -> dict[str, str]:
    """One thread a process: the figures are those of a small, shared machine."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def watch_once(raw: Path, session_dir: Path, *flags: object) -> None:
    """`frazil watch --once`; raises CalledProcessError with its output if it does not end well."""
    command = frazil("watch", raw, "--session", session_dir, "--once", *flags)
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, done.stderr, file=sys.stderr)
        done.check_returncode()


class Watch:
    """`frazil watch` in a process of its own, with `--json` so that its state can be read from its output."""

    def __init__(self, raw: Path, session_dir: Path, *flags: object) -> None:
        session_dir.parent.mkdir(parents=True, exist_ok=True)
        self.session_dir = session_dir
        self._log = (session_dir.parent / f"{session_dir.name}.log").open("w+b")
        command = frazil("watch", raw, "--session", session_dir, "--json", *flags)
        self.process = subprocess.Popen(
            command, env=environment(), stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )

    def state(self) -> dict[str, Any]:
        """The newest state that the daemon printed; {} before the first."""
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), 1 << 16, max(0, size - (1 << 16)))
        for line in reversed(tail.split(b"\n")[:-1]):
            if line.startswith(b"{"):
                try:
                    state: dict[str, Any] = json.loads(line)
                except ValueError:  # cut at the beginning of the tail
                    return {}
                return state
        return {}

    def wait(self, until: Any, limit_s: float) -> bool:
        """Wait until `until(state)`; False when the time is up. Raises if the daemon ends."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"frazil watch ended with {self.process.returncode}: see {self._log.name}")
            if until(self.state()):
                return True
            time.sleep(0.5)
        return False

    def memory_bytes(self) -> int:
        """Resident memory of the daemon's own process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def stop(self) -> tuple[int, int]:
        """Ctrl-C; returns the exit code and how often it had to be asked (once, unless something is wrong)."""
        for asked in range(1, 6):
            self.process.send_signal(signal.SIGINT)
            try:
                code = self.process.wait(60)
            except subprocess.TimeoutExpired:
                continue
            self._log.close()
            return code, asked
        self.process.kill()
        raise RuntimeError(f"frazil watch does not stop: see {self._log.name}")


def rows(session_dir: Path, sql: str) -> list[dict[str, Any]]:
    """A query of a running or finished session, rows as dicts; lists, which travel as text, are lists again."""
    with open_session(session_dir) as reader:
        table = reader.sql(sql)
    return [dict(zip(table.columns, map(_value, row), strict=True)) for row in table.rows]


def _value(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith("[") else value


def write_json(args: argparse.Namespace, figures: object) -> None:
    """The figures to `--json`, if it was given."""
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


# --- pictures ------------------------------------------------------------------------------------------------------


def read_png(path: Path) -> Image:
    """A grey PNG."""
    return np.asarray(imagecodecs.png_decode(path.read_bytes()), dtype=np.uint8)


def resized(image: Image, height_px: int, width_px: int) -> Image:
    """Nearest pixel; for larger reductions the mean over whole blocks first."""
    factor = max(1, min(image.shape[0] // height_px, image.shape[1] // width_px))
    cut = image[: image.shape[0] // factor * factor, : image.shape[1] // factor * factor]
    shape = (cut.shape[0] // factor, factor, cut.shape[1] // factor, factor)
    small = cut.reshape(shape).mean(axis=(1, 3)).astype(np.uint8)
    y = np.arange(height_px) * small.shape[0] // height_px
    x = np.arange(width_px) * small.shape[1] // width_px
    return np.ascontiguousarray(small[np.ix_(y, x)])


def write_png(path: Path, image: Image) -> None:
    """Grey (h, w) or colour (h, w, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(image), level=9))
