"""A benchmark, or a part of one, in a Python of its own, whatever folder it is started from."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def command_of(module: str, *words: object) -> list[str]:
    """The command line that runs `benchmarks.<module>` as a program with these arguments."""
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(_ROOT)!r}); "
        "module = sys.argv.pop(1); runpy.run_module(module, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-c", start, f"benchmarks.{module}", *map(str, words)]
