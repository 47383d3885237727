"""`frazil page`: a finished session served, and in one file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from page_session import fill_session, free_port

from frazil.daemon.http.example_session import add_movie
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.store import Store

VERB = [sys.executable, "-c", "from frazil.daemon.cli.main import main; main()", "page"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("s")
    with Store.open(folder, now_utc_us=1) as store:
        fill_session(folder, store, movies=5)
    return folder


def test_it_is_served_until_ctrl_c(session: Path) -> None:
    port = free_port()
    command = [*VERB, str(session), "--serve", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            assert server.stderr.readline() == f"http://127.0.0.1:{port} shows {session} until Ctrl-C\n"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/movies", timeout=60) as reply:
                assert b"Movies 1 to 5 of 5." in reply.read()
            server.send_signal(signal.SIGINT)
            assert server.communicate(timeout=60)[1] == ""
            assert server.returncode == 0
        finally:
            server.kill()


def _page(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/movies", timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_daemon_may_start_while_the_page_is_shown_and_what_it_writes_is_seen(tmp_path: Path) -> None:
    """It held the session for as long as it was served."""
    with SessionLock(tmp_path), Store.open(tmp_path, now_utc_us=1) as store:
        fill_session(tmp_path, store, movies=5)
    port = free_port()
    with subprocess.Popen([*VERB, str(tmp_path), "--serve", str(port)], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            server.stderr.readline()
            assert "of 5." in _page(port)[1]
            with SessionLock(tmp_path), Store.open(tmp_path, now_utc_us=2) as store:  # as a daemon does
                add_movie(tmp_path, store, 5)
                deadline_s = time.monotonic() + 60
                while (told := _page(port))[0] == 200 and time.monotonic() < deadline_s:
                    time.sleep(0.1)
                assert told[0] == 503
                assert "session is running again" in told[1]
            while "of 6." not in (told := _page(port))[1] and time.monotonic() < deadline_s:
                time.sleep(0.1)
            assert "Movies 1 to 6 of 6." in told[1]
        finally:
            server.kill()


def test_a_taken_port_is_a_sentence(session: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [*VERB, str(session), "--serve", str(taken.getsockname()[1])], capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be used for HTTP" in done.stderr


def test_one_file_lies_where_it_was_asked_for_and_never_in_the_session(session: Path, tmp_path: Path) -> None:
    done = subprocess.run([*VERB, os.fspath(session)], capture_output=True, text=True, check=True, cwd=tmp_path)
    target = tmp_path / f"{session.name}.html"
    assert done.stdout.startswith(f"wrote {target.name}")
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    inside = subprocess.run(
        [*VERB, str(session), "--out", str(session / "page.html")], capture_output=True, text=True, check=False
    )
    assert (inside.returncode, (session / "page.html").exists()) == (2, False)
