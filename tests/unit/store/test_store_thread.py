"""The writer thread: durable when the Future says so, one bad write hurts nobody else, fatal errors end it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import duckdb
import pytest

from frazil.config.errors import QueryError, RetryLaterError, SessionLockedError, StopDaemonError, WriteError
from frazil.daemon.store import engine, result_files
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.lock import SessionLock, is_locked
from frazil.daemon.store.reading import FileReader
from frazil.daemon.store.rebuild import adopt_missing
from frazil.daemon.store.result_files import DamagedFile, StoredResult
from frazil.daemon.store.rows import FeedbackRow, MovieRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import movie_writes
from frazil.models.records import MovieResult, MovieState

DURABLE, RETRIED = WritePolicy.DURABLE, WritePolicy.RETRIED

MakeMovie = Callable[[int], MovieRow]
MakeResult = Callable[..., MovieResult]


def count(store: Store) -> int:
    return int(str(store.sql("SELECT count(*) FROM movies").rows[0][0]))


def held_back(store: Store) -> threading.Event:
    """Keep the writer busy until the event is set, so that what follows is committed together."""
    gate = threading.Event()
    store.submit(lambda _: gate.wait(30) and None)
    return gate


def test_one_bad_write_among_many_fails_alone(store: Store, make_movie: MakeMovie) -> None:
    gate = held_back(store)
    futures: list[Future[None]] = [store.submit(movie_writes.register_movie, make_movie(i)) for i in range(5)]
    bad = store.submit(movie_writes.start_attempt, "nobody")
    broken = store.submit(lambda c: c.execute("SELECT * FROM nowhere") and None)
    futures += [store.submit(movie_writes.register_movie, make_movie(i)) for i in range(5, 10)]
    gate.set()
    for future in futures:
        future.result()
    with pytest.raises(LookupError):
        bad.result()
    with pytest.raises(WriteError, match="nowhere"):
        broken.result()
    assert count(store) == 10


def test_a_failed_write_that_nobody_waits_for_is_told(tmp_path: Path) -> None:
    told: list[Exception] = []
    with Store.open(tmp_path, now_utc_us=1, on_failed_write=told.append) as store:
        store.submit(movie_writes.start_attempt, "nobody")
    assert [type(error) for error in told] == [LookupError]


def test_a_cancelled_write_is_not_done(store: Store, make_movie: MakeMovie) -> None:
    gate = held_back(store)
    future = store.submit(movie_writes.register_movie, make_movie(0))
    assert future.cancel()
    gate.set()
    store.flush()
    assert count(store) == 0


def test_closing_finishes_what_was_submitted_and_takes_no_more(tmp_path: Path, make_movie: MakeMovie) -> None:
    store = Store.open(tmp_path, now_utc_us=1)
    gate = held_back(store)
    futures = [store.submit(movie_writes.register_movie, make_movie(i)) for i in range(100)]
    closer = threading.Thread(target=store.close)
    closer.start()
    gate.set()
    closer.join()
    assert all(future.done() for future in futures)
    with pytest.raises(StopDaemonError, match="closed"):
        store.submit(movie_writes.register_movie, make_movie(101))
    assert engine.wal_size_bytes(tmp_path) == 0
    with FileReader(tmp_path) as reader:
        assert reader.sql("SELECT count(*) FROM movies").rows == ((100,),)


def test_two_threads_read_while_one_writes(store: Store, make_movie: MakeMovie, make_result: MakeResult) -> None:
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            rows = store.sql(
                "SELECT m.state, s.power IS NULL FROM movies m LEFT JOIN spectra_arrays s USING (movie_id)"
            )
            # A movie is ready if and only if its curves are there: no half of a result is ever seen.
            wrong.extend(str(row) for row in rows.rows if (row[0] == "ready") == row[1])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for i in range(25):
        store.submit(movie_writes.register_movie, make_movie(i))
        store.submit(movie_writes.record_result, make_result(i), ready_utc_us=1, lag_s=1.0).result()
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert store.named("counts_by_state").rows == (("ready", 25),)


def test_a_full_disk_is_told_as_retry_and_nothing_is_kept(store: Store, make_movie: MakeMovie) -> None:
    def half_way(connection: Connection) -> None:
        movie_writes.register_movie(connection, make_movie(0))
        raise duckdb.IOException("No space left on device")

    with pytest.raises(RetryLaterError, match="Free disk space"):
        store.submit(half_way).result()
    assert count(store) == 0
    store.submit(movie_writes.register_movie, make_movie(0)).result()
    assert count(store) == 1


class Disk:
    """Refuses the writes of `movie` while `full`, and counts how often it was asked."""

    def __init__(self) -> None:
        self.full, self.asked = True, 0

    def write(self, connection: Connection, movie: MovieRow) -> None:
        self.asked += 1
        movie_writes.register_movie(connection, movie)
        if self.full:
            raise duckdb.IOException("No space left on device")


def known(store: Store) -> list[str]:
    return [str(row[0]) for row in store.rows("SELECT movie_id FROM movies ORDER BY rowid")]


def test_a_write_refused_by_the_disk_is_durable_later_and_in_order(
    tmp_path: Path, make_movie: MakeMovie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frazil.daemon.store.writer._RETRY_PAUSE_S", 0.01)
    told: list[Exception] = []
    disk = Disk()
    with Store.open(tmp_path, now_utc_us=1, on_failed_write=told.append) as store:
        gate = held_back(store)
        store.write(RETRIED, movie_writes.register_movie, make_movie(0))
        store.write(RETRIED, disk.write, make_movie(1))
        store.write(RETRIED, movie_writes.set_state, "m00001", MovieState.QUEUED)
        store.write(RETRIED, disk.write, make_movie(2))
        gate.set()
        with pytest.raises(RetryLaterError, match="refuses earlier writes"):
            store.flush()
        store.write(RETRIED, movie_writes.register_movie, make_movie(3))
        with pytest.raises(RetryLaterError):
            store.write(DURABLE, movie_writes.start_attempt, "m00001")
        assert known(store) == ["m00000"], "what came before the refused one is there, and nothing that came after it"
        asked = disk.asked
        while disk.asked < asked + 3:  # it is tried again without anybody writing
            threading.Event().wait(0.01)
        disk.full = False
        while count(store) < 4:
            threading.Event().wait(0.01)
        store.flush()
        assert known(store) == ["m00000", "m00001", "m00002", "m00003"]
        assert store.rows("SELECT state FROM movies WHERE movie_id = 'm00001'") == [("queued",)]
        assert store.write(DURABLE, movie_writes.start_attempt, "m00001") == 1
    assert [type(error) for error in told] == [RetryLaterError], "reported once"


def test_what_the_disk_refused_is_written_when_the_store_is_closed(tmp_path: Path, make_movie: MakeMovie) -> None:
    disk = Disk()
    with Store.open(tmp_path, now_utc_us=1) as store:
        store.write(RETRIED, disk.write, make_movie(0))
        with pytest.raises(RetryLaterError):
            store.flush()
        disk.full = False
    with FileReader(tmp_path) as reader:
        assert reader.sql("SELECT count(*) FROM movies").rows == ((1,),)


def test_a_write_that_can_never_succeed_stands_in_nobodys_way(tmp_path: Path, make_movie: MakeMovie) -> None:
    told: list[Exception] = []
    with Store.open(tmp_path, now_utc_us=1, on_failed_write=told.append) as store:
        store.write(RETRIED, lambda connection: connection.execute("SELECT * FROM nowhere"))
        store.write(RETRIED, movie_writes.register_movie, make_movie(0))
        store.flush()
        with pytest.raises(WriteError):
            store.write(DURABLE, lambda connection: connection.execute("SELECT * FROM nowhere"))
        assert count(store) == 1
    assert [type(error) for error in told] == [WriteError], "a caller that waits is told by its exception alone"


def test_a_disk_that_refuses_without_end_ends_the_daemon_before_the_memory_is_full(
    tmp_path: Path, make_movie: MakeMovie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frazil.daemon.store.writer._MAX_HELD", 5)
    fatal: list[StopDaemonError] = []
    disk = Disk()
    with Store.open(tmp_path, now_utc_us=1, on_fatal=fatal.append) as store:
        gate = held_back(store)
        for index in range(6):
            store.write(RETRIED, disk.write, make_movie(index))
        gate.set()
        with pytest.raises(RetryLaterError):
            store.flush()
        with pytest.raises(StopDaemonError, match="more than 5 writes"):
            store.flush()
    assert len(fatal) == 1


def test_reads_fail_with_types_of_ours(tmp_path: Path) -> None:
    store = Store.open(tmp_path, now_utc_us=1)
    with pytest.raises(QueryError, match="nowhere"):
        store.rows("SELECT * FROM nowhere")

    def refused(_: Connection) -> None:
        raise duckdb.IOException("Input/output error")

    with pytest.raises(RetryLaterError, match="Input/output error"):
        store.read(refused)
    store.close()
    for read in (lambda: store.rows("SELECT 1"), lambda: store.sql("SELECT 1"), lambda: store.named("session")):
        with pytest.raises(QueryError):
            read()


def test_a_fatal_error_stops_the_daemon_and_every_later_write(tmp_path: Path, make_movie: MakeMovie) -> None:
    told: list[StopDaemonError] = []

    def die(_: Connection) -> None:
        raise duckdb.FatalException("database has been invalidated")

    with Store.open(tmp_path, now_utc_us=1, on_fatal=told.append) as store:
        store.submit(movie_writes.register_movie, make_movie(0)).result()
        with pytest.raises(StopDaemonError, match="no longer be written"):
            store.submit(die).result()
        with pytest.raises(StopDaemonError):
            store.submit(movie_writes.register_movie, make_movie(1)).result()
    assert len(told) == 1
    with Store.open(tmp_path, now_utc_us=2) as again:
        assert count(again) == 1


def test_no_checkpoint_on_a_nearly_full_disk(tmp_path: Path, make_movie: MakeMovie) -> None:
    with Store.open(tmp_path, now_utc_us=1, min_free_bytes=1 << 62) as store:
        store.submit(movie_writes.register_movie, make_movie(0)).result()
    assert engine.wal_size_bytes(tmp_path) > 0
    with FileReader(tmp_path) as reader:  # the log is read, also without being merged
        assert reader.sql("SELECT count(*) FROM movies").rows == ((1,),)
    with Store.open(tmp_path, now_utc_us=2, min_free_bytes=0) as store:
        assert count(store) == 1
    assert engine.wal_size_bytes(tmp_path) == 0


def keep(session: Path, movie: MovieRow, result: MovieResult) -> None:
    result_files.write_result(session, StoredResult(movie, result, 5_000_000, 2.5, None))


@pytest.mark.parametrize("damage", ["log", "database", "both lost"])
def test_whatever_is_lost_comes_back_from_the_result_files(
    tmp_path: Path, make_movie: MakeMovie, make_result: MakeResult, damage: str
) -> None:
    with Store.open(tmp_path, now_utc_us=1, min_free_bytes=1 << 62) as store:
        for i in range(4):
            keep(tmp_path, make_movie(i), make_result(i))
            store.submit(movie_writes.register_movie, make_movie(i))
            store.submit(movie_writes.record_result, make_result(i), ready_utc_us=5_000_000, lag_s=2.5).result()
        whole = store.sql("SELECT * EXCLUDE (attempts) FROM movies ORDER BY movie_id").rows
        spectra = store.sql("SELECT * FROM spectra ORDER BY ALL").rows
    path, wal = tmp_path / "session.duckdb", tmp_path / "session.duckdb.wal"
    if damage == "log":
        data = bytearray(wal.read_bytes())
        data[len(data) // 2] ^= 0xFF
        wal.write_bytes(data)
    elif damage == "database":
        path.write_bytes(b"not a database" * 1000)
    else:
        path.unlink()
        wal.unlink()
    with Store.open(tmp_path, now_utc_us=77) as store:
        assert store.needs_rebuild == (damage != "both lost")
        assert all(aside.exists() and "damaged-77" in aside.name for aside in store.set_aside)
        assert count(store) == 0
        report = adopt_missing(store, tmp_path, now_utc_us=78)
        assert report.adopted == ("m00000", "m00001", "m00002", "m00003")
        assert store.sql("SELECT * EXCLUDE (attempts) FROM movies ORDER BY movie_id").rows == whole
        assert store.sql("SELECT * FROM spectra ORDER BY ALL").rows == spectra
        assert adopt_missing(store, tmp_path, now_utc_us=79).adopted == ()


def test_damaged_result_files_are_told_and_skipped(
    store: Store, tmp_path: Path, make_movie: MakeMovie, make_result: MakeResult
) -> None:
    for i in range(3):
        keep(tmp_path, make_movie(i), make_result(i))
    damaged = result_files.result_path(tmp_path, "m00001")
    damaged.write_bytes(damaged.read_bytes()[:-50])
    result_files.result_path(tmp_path, "m00009").write_bytes(result_files.result_path(tmp_path, "m00002").read_bytes())
    report = adopt_missing(store, tmp_path, now_utc_us=5, parameter_hashes={"parameters-1"})
    assert report.adopted == ("m00000", "m00002")
    assert [file.path.name for file in report.damaged] == ["m00001.msgpack", "m00009.msgpack"]
    assert len(store.named("alerts").rows) == 2
    assert adopt_missing(store, tmp_path, now_utc_us=5, parameter_hashes={"others"}).adopted == ()


def test_peoples_verdicts_survive_the_database(
    store: Store, tmp_path: Path, make_movie: MakeMovie, make_result: MakeResult
) -> None:
    for i in range(2):
        keep(tmp_path, make_movie(i), make_result(i))
    reject = FeedbackRow("f1", 10, "reject", "ada", "m00000", "ice")
    result_files.append_feedback(tmp_path, reject)
    path = tmp_path / "results" / "feedback.jsonl"
    path.write_bytes(path.read_bytes() + b'{"feedback_id": "torn')
    for row in (FeedbackRow("f2", 11, "note", "ada", "m00001", "nice"), FeedbackRow("f3", 12, "accept", "bob", "gone")):
        result_files.append_feedback(tmp_path, row)
    assert result_files.read_feedback(tmp_path)[0] == reject
    for _ in range(2):
        adopt_missing(store, tmp_path, now_utc_us=5)
        assert [row["feedback_id"] for row in store.named("feedback").as_dicts()] == ["f2", "f1"]
        states = {row["movie_id"]: (row["state"], row["reason"]) for row in store.named("movies").as_dicts()}
        assert states == {"m00000": ("rejected", "ice"), "m00001": ("ready", None)}


def test_a_result_file_gives_back_every_field(tmp_path: Path, make_movie: MakeMovie, make_result: MakeResult) -> None:
    keep(tmp_path, make_movie(1), make_result(1))
    (stored,) = result_files.read_results(tmp_path)
    assert not isinstance(stored, DamagedFile)
    assert repr(stored.result) == repr(make_result(1))  # repr: NaN is equal to itself there
    assert stored.movie == make_movie(1)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["m00001.msgpack"]
    with pytest.raises(ValueError, match="not a movie id"):
        result_files.result_path(tmp_path, "../outside")


def test_one_session_one_owner(tmp_path: Path) -> None:
    with SessionLock(tmp_path) as lock:
        assert is_locked(tmp_path)
        assert lock.path.read_text().startswith("pid ")
        with pytest.raises(SessionLockedError, match=r"pid \d+ on "):
            SessionLock(tmp_path, patience_s=0.0)
        assert is_locked(tmp_path), "a refused owner and a look must not release the lock"
    assert not is_locked(tmp_path)
    assert lock.path.exists(), "deleting it would let two processes lock two files of one name"
    SessionLock(tmp_path, patience_s=0.0).release()


def test_a_finished_session_of_another_schema_says_how_it_is_read(tmp_path: Path) -> None:
    with Store.open(tmp_path, now_utc_us=1) as store:
        store.submit(lambda c: c.execute("UPDATE schema_version SET version = 7") and None).result()
    with FileReader(tmp_path) as reader:
        assert "of an older frazil (schema 7" in reader.note
    with Store.open(tmp_path, now_utc_us=1):
        pass  # brought up to date
    with FileReader(tmp_path) as reader:
        assert reader.named("reconstructions").as_dicts() == []
        assert reader.note == ""


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with Store.open(tmp_path, now_utc_us=1) as store:
        store.submit(lambda c: c.execute("INSERT INTO schema_version VALUES (99, 1)") and None).result()
    with pytest.raises(StopDaemonError, match="newer frazil"):
        Store.open(tmp_path, now_utc_us=1)
