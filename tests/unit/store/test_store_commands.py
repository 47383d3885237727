"""`frazil query`, `summary` and `export` on a finished session, as a person calls them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from frazil.config.errors import QueryError, SessionLockedError, UsageError
from frazil.daemon.cli.main import build
from frazil.daemon.export.relion import export_star
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.store import Store
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.relion_motion import read_motion
from frazil.models.formats.star import read_star
from frazil.models.records import MovieResult

MakeResult = Callable[..., MovieResult]
APP = build("query", "summary", "export")


@pytest.fixture
def session(filled: Store) -> Path:
    """The finished session of six movies; `foil_3` has lost its micrograph."""
    filled.close()
    folder = filled.session_dir
    (folder / "motion").mkdir()
    for index in (0, 1, 2, 4):
        write_mrc(folder / "motion" / f"foil_{index}.mrc", np.zeros((8, 12), np.float32), 1.1)
    return folder


def run(*words: str) -> str:
    done = CliRunner().invoke(APP, list(words), catch_exceptions=False, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_query_in_text_json_and_csv(session: Path) -> None:
    sql = "SELECT state, count(*) AS movies FROM movies GROUP BY state ORDER BY state"
    assert json.loads(run("query", str(session), sql, "--json"))[1] == {"state": "ready", "movies": 4}
    assert run("query", str(session), sql).splitlines() == [
        "state        movies",
        "-----------  ------",
        "quarantined       1",
        "ready             4",
        "rejected          1",
    ]
    assert run("query", str(session), sql, "--csv").splitlines()[0] == "state,movies"
    assert "defocus_u_angstrom DOUBLE" in run("query", "--tables", str(session))


def test_query_refuses_writing_and_says_what_is_missing(session: Path, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="open to reading only"):
        run("query", str(session), "DELETE FROM movies")
    with pytest.raises(UsageError, match="no SQL"):
        run("query")
    with pytest.raises(UsageError, match="no frazil session"):
        run("query", str(tmp_path), "SELECT 1")


def test_a_session_whose_daemon_does_not_answer_is_not_opened(session: Path) -> None:
    with SessionLock(session), pytest.raises(SessionLockedError, match="does not answer"):
        run("query", str(session), "SELECT 1")


def test_summary_in_its_three_forms(session: Path, tmp_path: Path) -> None:
    assert "Collected: 6 movies" in run("summary", str(session))
    assert json.loads(run("summary", str(session), "--json"))["kept"] == 4
    page = tmp_path / "report.html"
    assert str(page) in run("summary", str(session), "--html", str(page))
    assert page.read_text().startswith("<!doctype html>")


def test_tables_as_csv_parquet_and_json(session: Path, tmp_path: Path, make_result: MakeResult) -> None:
    files = {
        name: tmp_path / f"{name}.{end}"
        for name, end in (("ctf", "csv"), ("frame_shifts", "parquet"), ("session", "json"))
    }
    run("export", str(session), *(word for name, file in files.items() for word in ("--table", f"{name}={file}")))
    rows = list(csv.DictReader(files["ctf"].read_text().splitlines()))
    assert [float(row["defocus_u_angstrom"]) for row in rows] == [15_000.0 + i for i in range(5)]
    assert rows[0]["ice_ring_density"] == ""
    table = pq.read_table(files["frame_shifts"]).to_pydict()
    assert tuple(table["shift_x_angstrom"][8:16]) == make_result(1).shifts.shift_x_angstrom
    assert json.loads(files["session"].read_text())[0]["name"] == "night"
    with pytest.raises(UsageError, match="no table 'x'"):
        run("export", str(session), "--table", f"x={tmp_path / 'x.csv'}")
    with pytest.raises(UsageError, match="no known format"):
        run("export", str(session), "--table", f"ctf={tmp_path / 'x.xlsx'}")
    with pytest.raises(UsageError, match="nothing to export"):
        run("export", str(session))


def test_local_resolution_needs_a_map(session: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no map"):
        run("export", str(session), "--local-resolution", str(tmp_path / "local.mrc"))


def test_star_files_hold_what_the_session_holds(session: Path, tmp_path: Path, make_result: MakeResult) -> None:
    out = tmp_path / "project" / "frazil"
    said = json.loads(run("export", str(session), "--star", str(out), "--project", str(out.parent), "--json"))
    assert (said["star"]["kept"], said["star"]["rejected"], said["star"]["not_usable"]) == (3, 3, 1)
    assert said["star"]["not_good"] == {}
    blocks = read_star(out / "micrographs_ctf.star")
    assert blocks["optics"].floats("rlnSphericalAberration") == [2.7]
    assert blocks["optics"].floats("rlnMicrographPixelSize") == [1.1]
    names = blocks["micrographs"].texts("rlnMicrographName")
    assert names == [f"frazil/Frazil/job001/foil_{i}.mrc" for i in (0, 2, 1)]  # by path: GridSquare_0 first
    assert all((out.parent / name).resolve().is_file() for name in names)
    assert blocks["micrographs"].floats("rlnAccumMotionTotal") == [10.0, 12.0, 11.0]
    assert "rlnCtfIceRingDensity" not in blocks["micrographs"].columns, "never known"
    rejected = read_star(out / "rejected.star")["micrographs"]
    assert dict(zip(rejected.texts("frazilStem"), rejected.texts("frazilReason"), strict=True)) == {
        "foil_3": "kept, but its micrograph is not there",
        "foil_4": "astigmatism 6000 A, the limit is 5000 A",
        "foil_5": "the file ends in frame 3",
    }
    motion = read_motion(out / "motion" / "foil_1.star")
    truth = make_result(1)
    assert motion.shift_x_angstrom == pytest.approx(truth.shifts.shift_x_angstrom, abs=1e-6)
    assert truth.local_motion is not None
    assert motion.local_y_angstrom == pytest.approx(truth.local_motion.coefficients_y_angstrom, abs=1e-6)
    assert (motion.movie_name, motion.width_px, motion.height_px) == ("frazil/raw/GridSquare_1/foil_1.tif", 768, 512)
    assert read_star(out / "coordinates" / "foil_2.star")[""].floats("rlnCoordinateY") == [11.0, 21.0, 31.0]
    particles = read_star(out / "particles.star")["particles"]
    assert len(particles) == 9
    assert set(particles.texts("rlnMicrographName")) == set(names)
    assert set(particles.floats("rlnRandomSubset")) == {1.0, 2.0}
    before = {path: path.read_bytes() for path in out.rglob("*.star")}
    run("export", str(session), "--star", str(out), "--project", str(out.parent))
    assert {path: path.read_bytes() for path in out.rglob("*.star")} == before, "made again, it is the same"


def test_micrographs_can_be_copied_and_a_foreign_project_is_refused(session: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ["export", str(session), "--star", str(out), "--copy"]
    told = CliRunner().invoke(APP, asked, catch_exceptions=False, standalone_mode=False).output
    assert "the movies are not" in told, "copied, or not where they were"
    copied = out / "Frazil" / "job001" / "foil_0.mrc"
    assert copied.is_file()
    assert not copied.is_symlink()
    with pytest.raises(UsageError, match="does not lie in the project"):
        run("export", str(session), "--star", str(out), "--project", str(session))


def test_answers_that_are_cut_are_asked_for_in_halves(tmp_path: Path, session: Path) -> None:
    # A movie has 36 local coefficients.
    with (
        Store.open(session, now_utc_us=1, query_max_rows=7) as small,
        pytest.raises(QueryError, match="alone has more rows"),
    ):
        export_star(small, session, tmp_path / "a")
    with Store.open(session, now_utc_us=1, query_max_rows=40) as enough:
        assert export_star(enough, session, tmp_path / "b").motion_files == 4
    assert read_motion(tmp_path / "b" / "motion" / "foil_4.star").local_x_angstrom is not None
