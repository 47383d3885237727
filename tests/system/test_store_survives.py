"""The store and its lock across processes: kill -9 at random moments, a second daemon, a foreign reader."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from frazil.config.errors import SessionLockedError
from frazil.daemon.store import engine
from frazil.daemon.store.lock import SessionLock, is_locked
from frazil.daemon.store.store import Store

# Writes movies as the daemon does and acknowledges each on its output once the store says that it is durable.
COMMON = Path(__file__).parents[1] / "common"
WRITER = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(COMMON)!r})
from frazil.daemon.store import engine, store, writer
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.rows import MovieRow
from frazil.daemon.store.writes import movie_writes
from frazil.models.records import ParticlePicks, Spectra
from movie_results import movie_result

writer._CHECKPOINT_WAL_BYTES = 100_000  # so that a kill also meets checkpoints
session, start = Path(sys.argv[1]), int(sys.argv[2])
curve = tuple(0.001 * i for i in range(1, 200))
with SessionLock(session), store.Store.open(session, now_utc_us=1, min_free_bytes=0) as db:
    print("open", flush=True)
    for index in range(start, start + 100_000):
        movie_id = f"m{{index:06d}}"
        spectra, picks = Spectra(curve, curve, curve, curve, curve), ParticlePicks((1.0,), (2.0,), (0.5,))
        result = movie_result(movie_id, spectra=spectra, picks=picks)
        db.submit(movie_writes.register_movie, MovieRow(movie_id, movie_id, 0, index))
        attempt = db.submit(movie_writes.start_attempt, movie_id)
        print(attempt.result() and f"attempt {{movie_id}}", flush=True)
        done = db.submit(movie_writes.record_result, result, ready_utc_us=index, lag_s=1.0)
        print(done.result() and f"ready {{movie_id}}", flush=True)
"""


def start_writer(session: Path, start: int) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(session), str(start)], stdout=subprocess.PIPE, text=True, cwd="/"
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    return writer


def test_kill_9_at_random_moments_loses_no_acknowledged_row_and_leaves_no_half(tmp_path: Path) -> None:
    rng = random.Random(7)
    acknowledged: set[str] = set()
    for round_number in range(6):
        writer = start_writer(tmp_path, 1000 * round_number)
        assert writer.stdout is not None
        for _ in range(rng.randrange(1, 60)):
            acknowledged.add(writer.stdout.readline().strip())
        writer.send_signal(signal.SIGKILL)
        acknowledged |= {
            line.strip() for line in writer.stdout.read().splitlines() if line.endswith(tuple("0123456789"))
        }
        writer.wait()
        writer.stdout.close()
        with SessionLock(tmp_path), Store.open(tmp_path, now_utc_us=1) as store:
            assert not store.needs_rebuild
            rows = store.sql(
                "SELECT movie_id, state, attempts, s.movie_id IS NOT NULL AND q.movie_id IS NOT NULL AND "
                "f.movie_id IS NOT NULL AND c.movie_id IS NOT NULL AND p.movie_id IS NOT NULL AS whole, "
                "coalesce(s.movie_id, q.movie_id, f.movie_id, c.movie_id, p.movie_id) IS NOT NULL AS any "
                "FROM movies m LEFT JOIN spectra_arrays s USING (movie_id) LEFT JOIN quality q USING (movie_id) "
                "LEFT JOIN frame_shift_arrays f USING (movie_id) LEFT JOIN ctf c USING (movie_id) "
                "LEFT JOIN particle_arrays p USING (movie_id)"
            ).as_dicts()
        found = {str(row["movie_id"]): row for row in rows}
        for line in acknowledged:
            what, _, movie_id = line.partition(" ")
            assert found[movie_id]["attempts"] == 1
            if what == "ready":
                assert found[movie_id]["state"] == "ready"
        for row in rows:
            assert row["whole"] == row["any"] == (row["state"] == "ready"), row
    assert len(acknowledged) > 20


def test_a_second_daemon_is_refused_while_the_first_lives_and_let_in_when_it_died(tmp_path: Path) -> None:
    first = start_writer(tmp_path, 0)
    assert first.stdout is not None
    with pytest.raises(SessionLockedError, match=f"pid {first.pid} "):
        SessionLock(tmp_path, patience_s=0.0)
    assert is_locked(tmp_path)
    second = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path), "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )
    assert second.returncode != 0
    assert "already belongs to a running process" in second.stderr
    assert first.poll() is None
    assert first.stdout.readline().startswith("attempt"), "the first goes on undisturbed"
    first.kill()
    first.wait()
    first.stdout.close()
    SessionLock(tmp_path, patience_s=0.0).release()


def test_a_database_that_another_program_has_open_is_left_alone(tmp_path: Path) -> None:
    with Store.open(tmp_path, now_utc_us=1):
        pass
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    path = tmp_path / engine.DATABASE_NAME
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    with pytest.raises(SessionLockedError, match="another program has the session's database open"):
        Store.open(tmp_path, now_utc_us=2)
    assert sorted(p.name for p in tmp_path.iterdir() if "damaged" in p.name) == []
    other.communicate("")
    with Store.open(tmp_path, now_utc_us=3) as store:
        assert not store.needs_rebuild


def test_nothing_in_the_owner_drops_duckdbs_own_lock(tmp_path: Path) -> None:
    """Closing any descriptor of the file in the owner would (POSIX): then a stranger could write beside us."""
    with SessionLock(tmp_path), Store.open(tmp_path, now_utc_us=1, min_free_bytes=0) as store:
        store.submit(lambda c: c.execute("CREATE TABLE extra AS SELECT * FROM range(100000)") and None).result()
        is_locked(tmp_path)
        engine.wal_size_bytes(tmp_path)
        with pytest.raises(SessionLockedError):
            SessionLock(tmp_path, patience_s=0.0)
        code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
        stranger = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / engine.DATABASE_NAME)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert stranger.returncode != 0
        assert duckdb.IOException.__name__ in stranger.stderr
