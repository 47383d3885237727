"""Many sessions asked at once, and whole sessions as Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from frazil.config.errors import UsageError
from frazil.daemon.cli.main import build
from frazil.daemon.store import engine
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.queries.many_sessions import find_sessions, session_names, sessions_below
from frazil.daemon.store.rows import MovieRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.records import MovieResult

APP = build("query", "summary", "export", "sessions")


@pytest.fixture
def nights(tmp_path: Path, make_movie: Callable[[int], MovieRow], make_result: Callable[[int], MovieResult]) -> Path:
    """Two nights of two and of three movies, and a folder that is no session."""
    for name, count in (("mon", 2), ("tue", 3)):
        folder = tmp_path / "nights" / name
        folder.mkdir(parents=True)
        with Store.open(folder, now_utc_us=1) as store:
            for index in range(count):
                store.submit(movie_writes.register_movie, make_movie(index))
                store.submit(movie_writes.record_result, make_result(index), ready_utc_us=index, lag_s=1.0).result()
    (tmp_path / "nights" / "notes").mkdir()
    return tmp_path / "nights"


def test_each_row_says_of_which_session_it_is(nights: Path) -> None:
    asked = [
        "query",
        "--sessions",
        f"{nights}/*",
        "SELECT state, count(*) AS movies FROM movies GROUP BY state",
        "--json",
    ]
    done = CliRunner().invoke(APP, asked)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == [
        {"session": "mon", "state": "ready", "movies": 2},
        {"session": "tue", "state": "ready", "movies": 3},
    ]
    named = CliRunner().invoke(APP, ["query", "--sessions", str(nights), "--named", "acceptance_by_square", "--csv"])
    assert named.stdout.splitlines()[0].startswith("session,grid_square,finished,kept")
    assert len(named.stdout.splitlines()) == 1 + 2 + 2


def test_sessions_that_cannot_be_asked_are_named_and_left_out(nights: Path) -> None:
    connection = duckdb.connect(str(nights / "mon" / engine.DATABASE_NAME))
    connection.execute("UPDATE schema_version SET version = 99")
    connection.close()
    with SessionLock(nights / "tue"):
        done = CliRunner().invoke(APP, ["query", "--sessions", f"{nights}/*", "SELECT 1 AS one"])
    assert done.exit_code == 0, done.output
    assert "a newer frazil (schema 99" in done.stderr
    assert "Update frazil" in done.stderr, "with its remedy"
    assert "does not answer" in done.stderr
    assert "mon" in done.stderr
    assert "tue" in done.stderr
    after = CliRunner().invoke(APP, ["summary", "--sessions", f"{nights}/*", "--json"])
    assert [row["session"] for row in json.loads(after.stdout)] == ["tue"]


def test_one_line_a_session(nights: Path) -> None:
    rows = json.loads(CliRunner().invoke(APP, ["summary", "--sessions", f"{nights}/*", "--json"]).stdout)
    assert [(row["session"], row["movies"], row["kept_percent"]) for row in rows] == [
        ("mon", 2, 100.0),
        ("tue", 3, 100.0),
    ]
    assert rows[1]["ctf_fit_angstrom"] == pytest.approx(4.1)
    assert rows[1]["main_cause"] == "motion inside frames"
    assert rows[1]["map_resolution_angstrom"] is None
    assert "kept_percent" in CliRunner().invoke(APP, ["summary", "--sessions", f"{nights}/*"]).stdout


def test_no_sessions_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in quotes"):
        find_sessions(f"{tmp_path}/*")


def test_names_have_as_many_parts_as_tell_them_apart() -> None:
    assert session_names([Path("/a/x/session"), Path("/a/y/session")]) == ["x/session", "y/session"]
    assert session_names([Path("/a/x"), Path("/a/y")]) == ["x", "y"]
    assert session_names([]) == []


def test_an_empty_answer_says_why(nights: Path) -> None:
    done = CliRunner().invoke(APP, ["query", str(nights / "mon"), "--named", "classes"])
    assert "no 2-D classes" in done.stderr
    listed = CliRunner().invoke(APP, ["query", "--list"]).stdout
    assert listed.index("What people ask") < listed.index("acceptance_by_square") < listed.index("What screen")


def test_all_tables_as_parquet_and_back(nights: Path, tmp_path: Path) -> None:
    out = tmp_path / "tables"
    done = CliRunner().invoke(APP, ["export", str(nights / "tue"), "--parquet", str(out)])
    assert done.exit_code == 0, done.output
    about = json.loads((out / "tables.json").read_text())["tables"]
    assert about["ctf"]["columns"]["defocus_u_angstrom"] == "DOUBLE"
    session = duckdb.connect(str(nights / "tue" / engine.DATABASE_NAME), read_only=True)
    files = duckdb.connect()
    assert {path.stem for path in out.glob("*.parquet")} == set(about)
    for name in ("movies", "ctf", "quality", "frame_shifts", "spectra", "causal_losses", "particles"):
        same = session.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
        assert same, name
        assert files.execute(f"SELECT * FROM '{out / name}.parquet' ORDER BY ALL").fetchall() == same, name
        assert about[name]["rows"] == len(same)


def test_the_list_of_sessions_says_of_each_how_it_ended(nights: Path) -> None:
    with Store.open(nights / "mon", now_utc_us=1) as store:
        row = SessionRow("mon", "mon", "/raw", 3_600_000_000, "", "0.1.0")
        store.submit(session_writes.create_session, row).result()
        store.submit(session_writes.finish_session, 7_200_000_000).result()
    newer = nights / "further" / "wed"
    newer.mkdir(parents=True)
    with Store.open(newer, now_utc_us=1) as store:
        store.submit(lambda c: c.execute("INSERT INTO schema_version VALUES (99, 1)") and None).result()
    with SessionLock(nights / "tue"):
        found = json.loads(CliRunner().invoke(APP, ["sessions", str(nights), "--json"]).stdout)
        text = CliRunner().invoke(APP, ["sessions", str(nights)])
    assert [(Path(one["folder"]).name, one["state"]) for one in found] == [
        ("wed", "unreadable"),
        ("mon", "finished"),
        ("tue", "running"),
    ]
    mon = found[1]
    assert (mon["movies"], mon["kept"], mon["kept_share"]) == (2, 2, 1.0)
    assert (mon["began_utc_us"], mon["ended_utc_us"]) == (3_600_000_000, 7_200_000_000)
    assert mon["size_bytes"] == sum(file.stat().st_size for file in (nights / "mon").iterdir())
    assert "newer frazil" in found[0]["why"]
    assert "further/wed" in text.stdout
    assert "finished 1970-01-01 02:00" in text.stdout
    assert "newer frazil" in text.stderr
    assert (
        json.loads(CliRunner().invoke(APP, ["sessions", str(newer.parent), "--json", "--no-size"]).stdout)[0][
            "size_bytes"
        ]
        is None
    )
    with pytest.raises(UsageError, match="nor in the folders in it"):
        sessions_below(nights / "notes")
