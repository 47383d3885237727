"""A prover as a process: with limits on time and memory, the lowest priority, and nothing but its text to work on."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a prover ended."""

    printed: str
    """Standard output, as far as it came."""
    code: int | None
    """Exit status; None: it was stopped, or never started."""
    reason: str | None = None
    """Why it was stopped or never started."""


def run_limited(
    command: Sequence[str], *, text: str = "", seconds: float, memory_mib: int, folder: Path | None = None
) -> Ended:
    """Run to the end or to a limit; what it printed until then is kept.

    Address space and CPU time are limited by the shell's `ulimit` (a hook between fork and exec is not safe beside
    threads), so that it ends also when this process is killed; several threads use CPU time faster than it goes by.
    The process leads a group of its own, so that its children are stopped with it.
    """
    limited = [
        "/bin/sh",
        "-c",
        f'ulimit -v {1024 * memory_mib} && ulimit -t {math.ceil(4 * seconds)} && exec nice -n 19 "$@"',
        "prover",
        *command,
    ]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as printed:
        given.write(text.encode("utf-8"))
        given.seek(0)
        try:
            process = subprocess.Popen(
                limited, stdin=given, stdout=printed, stderr=subprocess.DEVNULL, cwd=folder, start_new_session=True
            )
        except OSError as error:
            return Ended("", None, f"it does not start ({error})")
        reason = None
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            reason = f"it took longer than {seconds:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        printed.seek(0)
        said = printed.read().decode("utf-8", "replace")
    return Ended(said, None if reason is not None else process.returncode, reason)
