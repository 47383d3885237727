"""Exit codes and words of the command line: 0 done, 1 failed, 2 asked wrongly; never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_VERB = "import sys; from frazil.daemon.cli.main import main; sys.argv[0] = 'frazil'; main()"


def _frazil(*words: str, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", _VERB, *words], capture_output=True, text=True, check=False, cwd=cwd, timeout=100
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 0, "frazil demo"),
        (("-h",), 0, "Usage"),
        (("--version",), 0, "frazil 0."),
        (("nonsense",), 2, "nonsense"),
        (("watch", "--bogus"), 2, "--bogus"),
        (("watch",), 2, "Missing argument"),
        (("demo", "--movies", "0"), 2, "--movies"),
        (("watch", "nowhere", "--preset", "krios-k2"), 2, "krios-k3"),
        (("watch", "nowhere"), 2, "does not exist"),
        (("summary", "nowhere"), 2, "nowhere"),
        (("query", "--help"), 0, "Example"),
    ],
)
def test_words_and_exit_codes(words: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    returned, text = _frazil(*words, cwd=tmp_path)
    assert "Traceback" not in text
    assert said in text
    assert returned == code
