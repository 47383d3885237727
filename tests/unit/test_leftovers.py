"""The fixture that fails a test which leaves something behind, run on tests that do."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

INNER = """
import socket, subprocess, sys, threading
import leftovers
import pytest

leftovers.GRACE_S = 0.3
kept = []


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with socket.create_server(("127.0.0.1", 0)) as server, (tmp_path_factory.mktemp("m") / "of_module").open("w"):
        yield server


def test_process():
    kept.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"]))


def test_process_not_waited_for():
    kept.append(subprocess.Popen([sys.executable, "-c", ""]))


def test_socket():
    kept.append(socket.create_server(("127.0.0.1", 0)))


def test_socket_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the whole path is too long for a socket
    kept.append(socket.socket(socket.AF_UNIX))
    kept[-1].bind("here")
    kept[-1].listen()


def test_file(tmp_path):
    kept.append((tmp_path / "left.txt").open("w"))


def test_thread():
    threading.Thread(target=threading.Event().wait, args=(4.0,), name="left-alone").start()


def test_clean(tmp_path, shared):
    with (tmp_path / "closed.txt").open("w") as file, socket.create_server(("127.0.0.1", 0)):
        file.write("x")
    subprocess.run([sys.executable, "-c", ""], check=True)
    thread = threading.Thread(target=threading.Event().wait, args=(0.1,))
    thread.start()  # ends within the grace time
    kept.append(socket.socket())  # listens to nobody


def test_closed_by_a_fixture(tmp_path, request):
    file = (tmp_path / "closed.txt").open("w")
    request.addfinalizer(file.close)
"""

FORGOTTEN = """
import pytest


def test_forgets(tmp_path):
    (tmp_path / "x").open("w").write("x")


class Cycle:
    pass


def test_forgets_what_only_the_collector_finds(tmp_path):
    cycle = Cycle()
    cycle.cycle, cycle.file = cycle, (tmp_path / "x").open("w")
"""


def run_inside(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, text: str) -> pytest.RunResult:
    """In a process of its own, with this suite's conftest and filters: what is left ends with it."""
    monkeypatch.setenv("COLUMNS", "1000")  # messages as a whole
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(f"[pytest]\npythonpath = {TESTS / 'common'}\nfilterwarnings = error\n")
    pytester.makeconftest((TESTS / "conftest.py").read_text())
    pytester.makepyfile(text)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rEf")


def test_what_is_left_behind_fails_its_test_and_is_named(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_inside(pytester, monkeypatch, INNER)
    found.assert_outcomes(passed=8, errors=6)
    found.stdout.fnmatch_lines(
        [
            "ERROR *::test_process - *left behind: child process * -c import time; time.sleep(5)",
            "ERROR *::test_process_not_waited_for - *left behind: child process *: ended, and nobody waited for it",
            "ERROR *::test_socket - *left behind: listening socket tcp 0100007F:*",
            "ERROR *::test_socket_of_a_file - *left behind: listening socket unix here",
            "ERROR *::test_file - *left behind: open file */left.txt",
            "ERROR *::test_thread - *left behind: thread left-alone",
        ]
    )


def test_what_python_has_to_close_fails_the_test_that_forgot_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_inside(pytester, monkeypatch, FORGOTTEN)
    found.assert_outcomes(passed=1, failed=1, errors=1)
    found.stdout.fnmatch_lines_random(
        ["ERROR *::test_forgets_what_only*", "FAILED *::test_forgets -*", "E *ResourceWarning: unclosed file*"]
    )
