"""Exit codes and words of the command line: 0 done, 1 failed, 2 asked wrongly; never a traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frazil.daemon.cli.main import IN_SHORT, VERBS, load_verb, main

_VERB = "import sys; from frazil.daemon.cli.main import main; sys.argv[0] = 'frazil'; main()"


def _frazil(*words: str, cwd: Path) -> tuple[int, str]:
    """In a process of its own, as a person's shell does it."""
    done = subprocess.run(
        [sys.executable, "-c", _VERB, *words], capture_output=True, text=True, check=False, cwd=cwd, timeout=100
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The same in this process, which has imported everything already; not for verbs that log or catch signals."""

    def frazil(*words: str) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["frazil", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return frazil


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-h",), 0, "Usage"),
        (("--version",), 0, "frazil 0."),
        (("nonsense",), 2, "nonsense"),
        (("watch", "--bogus"), 2, "--bogus"),
        (("watch",), 2, "no folder was given"),
        (("demo", "--movies", "0"), 2, "--movies"),
        (("watch", "nowhere", "--preset", "krios-k2"), 2, "krios-k3"),
        (("summary", "nowhere"), 2, "nowhere"),
        (("query", "--help"), 0, "Example"),
        (("changed", "nowhere", "C2 aperture 50"), 2, "no frazil session"),
    ],
)
def test_words_and_exit_codes(words: tuple[str, ...], code: int, said: str, here: Callable[..., Any]) -> None:
    returned, text = here(*words)
    assert said in text
    assert returned == code


def test_the_script_by_itself_says_what_there_is(tmp_path: Path) -> None:
    code, text = _frazil(cwd=tmp_path)
    assert (code, "frazil demo" in text, "Traceback" in text) == (0, True, False)


def test_a_first_start_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    code, text = _frazil("watch", "nowhere", cwd=tmp_path)
    assert (code, "does not exist" in text, "Traceback" in text) == (2, True, False)
    assert not list(tmp_path.iterdir())
    (tmp_path / "raw").mkdir()
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "notes.txt").touch()
    code, text = _frazil("watch", "raw", "--session", "s", "--gain", "none.mrc", cwd=tmp_path)
    assert (code, "none.mrc: cannot be read" in text, "Traceback" in text) == (2, True, False)
    assert (tmp_path / "s" / "notes.txt").exists(), "what was there stays"
    assert not (tmp_path / "s" / "settings.yaml").exists(), "a refused flag is not remembered"


def test_the_list_of_verbs_imports_none_of_them(tmp_path: Path) -> None:
    code = (
        "import sys; from frazil.daemon.cli.main import main; sys.argv = ['frazil', '--help']\n"
        "try: main()\n"
        "except SystemExit: print([name for name in sys.modules if name.startswith('frazil.') and '.cli' not in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    *listed, imported = done.stdout.splitlines()
    assert imported == "['frazil.daemon', 'frazil.config', 'frazil.config.errors']"
    for name in VERBS:
        (line,) = [line for line in listed if line.startswith(f"  {name} ")]
        said = IN_SHORT.get(name) or load_verb(name).__doc__ or ""
        assert said.startswith(line.split(None, 1)[1].removesuffix("...")[:30])


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_that_computes_nothing_brings_no_torch(name: str, tmp_path: Path) -> None:
    code = (
        "import sys; from frazil.daemon.cli.main import load_verb\n"
        f"load_verb({name!r}); print(sorted({{'torch', 'ray', 'scipy.stats', 'numba'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"


def test_a_finished_session_opens_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; import frazil.daemon.status.finished, frazil.tui.app\n"
        "print(sorted({'torch', 'ray', 'scipy', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"
