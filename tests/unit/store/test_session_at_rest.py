"""A session that no daemon runs on is read as it lies there: copied, closed to writing, killed, of an older frazil."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import imagecodecs
import numpy as np
import pytest
from typer.testing import CliRunner

from frazil.config.errors import NotThereError, QueryError, SessionLockedError, UsageError
from frazil.daemon.cli.main import build
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.status.finished import FinishedSession, _nobody_works, open_finished
from frazil.daemon.store import engine, result_files
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.queries.catalogue import NAMED
from frazil.daemon.store.reading import FileReader
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.daemon.transport.messages import Command, Failure, LiveState, NamedQuery, Picture, Rows, Sql

FINISHED_UTC_US = 1_763_000_000_000_000
WITHOUT_PARAMETERS = sorted(name for name, query in NAMED.items() if not any(p.required for p in query.params.values()))


def inventory(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Size, time and digest of everything below a folder."""
    return {
        str(path.relative_to(folder)): (
            (found := path.stat()).st_size,
            found.st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
    }


def archived(session_dir: Path, place: Path) -> Path:
    """A copy with other times, closed to writing."""
    shutil.copytree(session_dir, place)
    for path in (*place.rglob("*"), place):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o555 if path.is_dir() else 0o444)
    return place


@pytest.fixture
def service(filled: Store) -> DaemonService:
    """What a daemon would say of the session."""
    return DaemonService(filled, filled.session_dir, order=lambda _: "", snapshot=LiveState)


@pytest.fixture
def killed(filled: Store, tmp_path: Path) -> Path:
    """The session as a `kill -9` leaves it: nothing is closed, and half of it is in the log."""
    filled.flush()
    assert engine.wal_size_bytes(filled.session_dir) > 0
    return archived(filled.session_dir, tmp_path / "killed")


@pytest.fixture
def finished(filled: Store, tmp_path: Path) -> Path:
    """The session after its end, closed and archived, with a picture of one movie."""
    thumbnails = filled.session_dir / "thumbnails"
    thumbnails.mkdir()
    (thumbnails / "foil_0.png").write_bytes(imagecodecs.png_encode(np.arange(64, dtype=np.uint8).reshape(8, 8)))
    filled.submit(session_writes.finish_session, FINISHED_UTC_US).result()
    SessionLock(filled.session_dir).release()
    filled.close()
    return archived(filled.session_dir, tmp_path / "finished")


@pytest.fixture
def at_rest(finished: Path) -> Iterator[FinishedSession]:
    session = open_finished(finished)
    yield session
    session.close()


def test_it_answers_what_its_daemon_answered(service: DaemonService, killed: Path) -> None:
    """Every named question that needs no parameter, and SQL."""
    session = open_finished(killed)
    for name in WITHOUT_PARAMETERS:
        assert session.answer(NamedQuery(name)) == service.named(NamedQuery(name)), name
    question = Sql("SELECT movie_id, state FROM movies ORDER BY ALL")
    assert session.answer(question) == service.sql(question)
    session.close()


def test_nothing_is_written_into_its_folder(killed: Path, finished: Path) -> None:
    for folder in (finished, killed):
        before = inventory(folder)
        session = open_finished(folder)
        for name in WITHOUT_PARAMETERS:
            assert isinstance(session.answer(NamedQuery(name)), Rows)
        session.answer(Picture("m00000", "thumbnail", 64, 64))
        session.rest()
        session.answer(NamedQuery("session"))
        session.close()
        assert inventory(folder) == before


def test_its_state_says_how_it_ended_and_nothing_that_only_runs(at_rest: FinishedSession, finished: Path) -> None:
    state = at_rest.snapshot()
    assert (state.status, state.ended_utc_us) == ("finished", FINISHED_UTC_US)
    assert state.counts == {"quarantined": 1, "ready": 4, "rejected": 1}
    assert (state.recent_kept, state.recent_total) == (4, 5)
    assert state.last_movie_id == "m00004"
    assert state.session_dir == str(finished.resolve())
    assert (state.found_per_hour, state.ready_per_hour, state.free_disk_bytes, state.workers) == (None, None, None, ())


def test_a_session_that_nobody_closed_says_so(killed: Path) -> None:
    session = open_finished(killed)
    assert (session.snapshot().status, session.snapshot().ended_utc_us) == ("ended", 6_000_000), "the last result"
    session.close()


def test_one_that_was_stopped_before_its_end_says_so(filled: Store, make_movie, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    filled.submit(movie_writes.register_movie, make_movie(9)).result()
    filled.submit(session_writes.finish_session, FINISHED_UTC_US).result()
    filled.close()
    session = open_finished(filled.session_dir)
    assert session.snapshot().status == "stopped"
    session.close()


def test_pictures_come_from_its_folder(at_rest: FinishedSession, finished: Path) -> None:
    picture = at_rest.picture(Picture("m00000", "thumbnail", 64, 64))
    assert (picture.width_px, picture.height_px) == (8, 8)
    with pytest.raises(NotThereError):
        at_rest.picture(Picture("m00001", "thumbnail", 64, 64))


def test_orders_need_a_daemon_and_questions_about_thresholds_do_not(at_rest: FinishedSession) -> None:
    refused = at_rest.answer(Command("reject", {"movie_id": "m00000", "reason": "ice"}))
    assert isinstance(refused, Failure)
    assert "only a running daemon" in refused.what
    assert "frazil watch" in str(refused.remedy)
    with Store.open(at_rest._session_dir.parent / "session", now_utc_us=1) as store:
        store.submit(session_writes.set_settings, "").result()
    other = open_finished(at_rest._session_dir.parent / "session")
    answer = other.command(Command("what-if", {"max_ctf_fit_resolution_angstrom": 4.05}))
    assert "4 kept now, 1 then" in answer.message
    other.close()


def test_a_daemon_that_starts_is_not_kept_out(filled: Store) -> None:
    filled.close()
    folder = filled.session_dir
    SessionLock(folder).release()
    session = open_finished(folder)
    with pytest.raises(SessionLockedError):
        SessionLock(folder, patience_s=0.0)
    session.rest()
    with SessionLock(folder, patience_s=0.0), pytest.raises(SessionLockedError):
        session.named(NamedQuery("session"))
    assert session.named(NamedQuery("session")).rows, "it has gone again"
    session.close()


def test_a_question_has_no_more_time_than_was_asked_for(at_rest: FinishedSession) -> None:
    """Without a daemon, too: this one takes minutes."""
    forever = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range % 7 = b.range % 11"
    with pytest.raises(QueryError, match=r"stopped after 0\.2 s"):
        at_rest.sql(Sql(text=forever, timeout_s=0.2))


def test_what_somebody_writes_since_is_seen(filled: Store) -> None:
    filled.close()
    session = open_finished(filled.session_dir)
    session.rest()
    assert not session.changed()
    with Store.open(filled.session_dir, now_utc_us=1) as store:
        store.submit(session_writes.finish_session, FINISHED_UTC_US).result()
    assert session.changed()
    assert session.snapshot().status == "finished"
    session.close()


def test_an_older_schema_is_read_through_a_copy(finished: Path) -> None:
    finished.chmod(0o755)
    (finished / engine.DATABASE_NAME).chmod(0o644)
    connection = duckdb.connect(str(finished / engine.DATABASE_NAME))
    connection.execute("UPDATE schema_version SET version = 7")
    connection.execute("DROP TABLE square_outlooks")
    connection.close()
    (finished / engine.DATABASE_NAME).chmod(0o444)
    finished.chmod(0o555)
    before = inventory(finished)
    with FileReader(finished) as reader:
        assert reader.named("next_squares").rows == (), "a table that only the newer schema has"
        assert reader.named("counts_by_state").rows
        for said in ("schema 7", f"this one has {engine.SCHEMA_VERSION}", "frazil watch"):
            assert said in reader.note
        copy = reader._copy
        assert copy is not None
        with SessionLock(finished, patience_s=0.0):
            assert reader.named("counts_by_state").rows, "the session itself is not held"
    assert not copy.folder.exists()
    after = inventory(finished)
    assert {name: one for name, one in after.items() if name != "session.lock"} == {
        name: one for name, one in before.items() if name != "session.lock"
    }


def test_a_damaged_log_is_repaired_in_a_copy(filled: Store, make_movie, make_result, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """What the log had comes back from the result files."""
    filled._writer._checkpoint_when_due(0)
    row, result = make_movie(8), make_result(8)
    stored = StoredResult(row, result, 9_000_000, 1.0)
    result_files.write_result(filled.session_dir, stored)
    filled.submit(movie_writes.register_movie, row).result()
    wal = filled.session_dir / "session.duckdb.wal"
    folder = tmp_path / "damaged"
    shutil.copytree(filled.session_dir, folder)
    (folder / wal.name).write_bytes(wal.read_bytes()[:64] + b"\xff" * 400)
    before = inventory(folder)
    session = open_finished(folder)
    assert "log is damaged" in session.snapshot().message
    assert session.snapshot().counts["ready"] == 5
    session.close()
    assert inventory(folder) == before


def test_a_database_that_is_lost_is_an_error_with_its_remedy(finished: Path) -> None:
    finished.chmod(0o755)
    (finished / engine.DATABASE_NAME).chmod(0o644)
    (finished / engine.DATABASE_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(QueryError, match="repairs the database from the result files"):
        open_finished(finished)


def test_a_folder_without_a_session_and_one_that_may_not_be_read(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(UsageError, match="no frazil session here"):
        open_finished(tmp_path / "notes")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match=r"may not be read.*chmod -R a\+rX"):
        open_finished(finished)


def test_orders_to_one_that_is_closed_to_writing_say_so(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, flags: int, *_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("frazil.daemon.store.lock.os.open", refuse)  # who runs the tests may be root
    with pytest.raises(UsageError, match=r"closed to writing.*Copy its folder"):
        SessionLock(finished)


def test_status_of_a_session_at_rest(killed: Path, finished: Path) -> None:
    app = build("status")
    done = CliRunner().invoke(app, ["status", str(finished)])
    assert done.exit_code == 0, done.output
    assert "night: finished 2025-11-13 02:13 UTC" in done.stdout
    assert "4 kept" in done.stdout
    assert "per hour" not in done.stdout
    left = CliRunner().invoke(app, ["status", str(killed)])
    assert left.exit_code == 1, "somebody should look"
    assert "ended without being closed" in left.stdout


def test_what_was_in_hand_at_the_end_waits() -> None:
    assert _nobody_works({"queued": 3, "processing": 2, "ready": 4}) == {"queued": 5, "ready": 4}
    assert _nobody_works({"processing": 1}) == {"queued": 1}
    assert _nobody_works({"ready": 4}) == {"ready": 4}
