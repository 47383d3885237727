"""A finished session read by a process of its own answers as this process would, and its end is no accident."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from frazil.config.errors import FrazilError
from frazil.config.loading import settings_to_yaml
from frazil.config.settings import Settings
from frazil.daemon.status.finished import open_finished
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.daemon.transport.file_process import FileProcess
from frazil.daemon.transport.messages import Failure, LiveState, NamedQuery, Rows, Snapshot, Sql

_MODULE = "frazil.daemon.status.finished_process"


@pytest.fixture
def session(tmp_path: Path) -> Path:
    row = SessionRow("s", "a night", "/raw", 1, settings_to_yaml(Settings()), "0.1.0")
    with Store.open(tmp_path, now_utc_us=1) as store:
        store.submit(session_writes.create_session, row).result()
        store.submit(session_writes.finish_session, 2).result()
    return tmp_path


def test_it_answers_as_the_file_does(session: Path) -> None:
    here, there = open_finished(session), FileProcess(_MODULE, session)
    try:
        there.opened()
        for request in (
            NamedQuery("session"),
            NamedQuery("no-such-query"),
            Sql("SELECT 6 * 7"),
            Sql("DROP TABLE movies"),
        ):
            assert there.answer(request) == here.answer(request)
        state = there.answer(Snapshot())
        assert isinstance(state, LiveState)
        assert state.session_name == "a night"
        assert not there.changed()
        there.rest()
        here.close()
        with Store.open(session, now_utc_us=3) as store:  # a daemon could start: the file is let go of
            store.submit(session_writes.finish_session, 4).result()
        assert there.changed()
        assert isinstance(there.answer(Sql("SELECT 1")), Rows)
    finally:
        here.close()
        there.close()
    assert there._process.returncode == 0


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    there = FileProcess(_MODULE, tmp_path / "nothing")
    with pytest.raises(FrazilError, match="no frazil session") as error:
        there.opened()
    assert error.value.remedy
    there.close()


def test_when_it_is_killed_its_questions_fail_and_the_file_counts_as_changed(session: Path) -> None:
    there = FileProcess(_MODULE, session)
    there.opened()
    os.kill(there._process.pid, signal.SIGKILL)
    there._process.wait()
    answer = there.answer(Snapshot())
    assert isinstance(answer, Failure)
    assert "has ended" in answer.what
    assert there.changed(), "so that the screen opens the file anew"
    there.rest()
    there.close()
    there.close()
