"""Planted image shifts become optics groups, live and over a restart, and RELION reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from movie_results import movie_result

from frazil.daemon.export.relion import export_star
from frazil.daemon.processing.optics_groups import OpticsGroupsOfMovies
from frazil.daemon.store.rows import MovieRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.star import read_star
from frazil.models.records import (
    AcquisitionMetadata,
    CtfEstimate,
    FrameShifts,
    MovieFiles,
    MovieHeader,
    MovieResult,
    ParticlePicks,
    Quality,
    Spectra,
)

MOVIES, SIDE_PX = 45, 32


def planted(index: int) -> int:
    """Place in the 3 x 3 pattern; every fifth round begins elsewhere."""
    return (index * 4 + index // 9) % 9


def astigmatism(place: int) -> tuple[float, float]:
    """(angstrom, degrees) of a place."""
    return 200.0 + 30.0 * place, -80.0 + 20.0 * place


def metadata(index: int) -> AcquisitionMetadata:
    place, rng = planted(index), np.random.default_rng(index)
    x, y = np.array([place % 3 - 1, place // 3 - 1]) * 1.8 + rng.normal(scale=0.02, size=2)
    return AcquisitionMetadata(image_shift_x_um=float(x), image_shift_y_um=float(y))


def result(index: int) -> MovieResult:
    size, angle = astigmatism(planted(index))
    still = (0.0,) * 4
    return movie_result(
        f"m{index:02d}",
        header=MovieHeader("x", "tiff", 4, SIDE_PX, SIDE_PX, "uint8"),
        pixel_size_angstrom=1.5,
        shifts=FrameShifts(still, still, (0.1,) * 4, 8.5, 4.0, 4.5, True),
        ctf=CtfEstimate(15_000.0 + size, 15_000.0, angle, 0.0, 20.0, 20.0, 4.2, 0.4, 0.1, reliable=True),
        spectra=Spectra((0.1, 0.2), (1.0, 1.0), (1.0, 1.0), (0.5, 0.2), (0.9, 0.5)),
        quality=Quality(40.0, 1.0, 0, None, 0.0, already_summed=False),
        picks=ParticlePicks((10.0, 20.0), (10.0, 20.0), (0.9, 0.8), 20.0),
        files=MovieFiles(micrograph=f"motion/{index}.mrc"),
    )


@pytest.fixture
def session(tmp_path: Path) -> Path:
    folder = tmp_path / "session"
    (folder / "motion").mkdir(parents=True)
    (tmp_path / "raw").mkdir()
    for start, end in ((0, 20), (20, MOVIES)):  # a restart in the middle
        with Store.open(folder, now_utc_us=1) as store:
            row = SessionRow(
                "s", "s", str(tmp_path / "raw"), 1, "{}", "v", voltage_kv=300.0, cs_mm=2.7, amplitude_contrast=0.1,
                pixel_size_angstrom=1.5, dose_per_frame_e_per_a2=1.2,
            )  # fmt: skip
            store.submit(session_writes.create_session, row).result()
            desk = OpticsGroupsOfMovies(store)
            for index in range(start, end):
                write_mrc(folder / "motion" / f"{index}.mrc", np.ones((SIDE_PX, SIDE_PX), np.float32), 1.5)
                movie = MovieRow(
                    f"m{index:02d}", f"{index}.tif", 0, 1, sequence=index, stem=f"{index}", metadata=metadata(index)
                )
                store.submit(movie_writes.register_movie, movie).result()
                desk.add(movie.movie_id, movie.relative_path, movie.metadata)
                store.submit(movie_writes.record_result, result(index), ready_utc_us=2, lag_s=1.0).result()
    return folder


def groups_in(path: Path, table: str, name: str) -> dict[int, int]:
    """Planted place to exported group; fails where that is no function."""
    rows = read_star(path)[table]
    pairs = set()
    for micrograph, group in zip(rows.texts(name), rows.floats("rlnOpticsGroup"), strict=True):
        pairs.add((planted(int(Path(micrograph).stem)), int(group)))
    assert len(pairs) == len({place for place, _ in pairs}) == len({group for _, group in pairs})
    return dict(pairs)


def test_exported_groups_are_the_planted_shifts(session: Path, tmp_path: Path) -> None:
    with Store.open(session, now_utc_us=2) as store:
        export_star(store, session, tmp_path / "out")
        live = {
            planted(int(row["movie_id"][1:])): row["optics_group"]
            for row in store.sql("SELECT movie_id, optics_group FROM movies").as_dicts()
        }
    of_micrographs = groups_in(tmp_path / "out" / "micrographs_ctf.star", "micrographs", "rlnMicrographName")
    assert of_micrographs == live
    assert sorted(live.values()) == list(range(1, 10))
    assert groups_in(tmp_path / "out" / "particles.star", "particles", "rlnMicrographName") == live
    for name in ("micrographs_ctf.star", "particles.star"):
        optics = read_star(tmp_path / "out" / name)["optics"]
        assert optics.texts("rlnOpticsGroupName") == [f"beamShift{number}" for number in range(1, 10)]
        assert optics.floats("rlnOpticsGroup") == list(range(1, 10))


def test_a_group_that_was_rejected_leaves_no_gap_and_the_names_stay(session: Path, tmp_path: Path) -> None:
    with Store.open(session, now_utc_us=2) as store:
        store.submit(
            lambda connection: connection.execute("UPDATE movies SET state = 'rejected' WHERE optics_group = 3")
        ).result()
        export_star(store, session, tmp_path / "out")
    optics = read_star(tmp_path / "out" / "micrographs_ctf.star")["optics"]
    assert optics.floats("rlnOpticsGroup") == list(range(1, 9))
    assert optics.texts("rlnOpticsGroupName") == [f"beamShift{number}" for number in (1, 2, 4, 5, 6, 7, 8, 9)]


def test_astigmatism_and_coma_are_told_by_group(session: Path) -> None:
    tilt = 0.1
    with Store.open(session, now_utc_us=2) as store:
        rng = np.random.default_rng(4)
        for index in range(MOVIES):
            sd = 0.01 if index % 2 else 0.05
            row = [f"m{index:02d}", 10.0, 1, tilt * planted(index) + rng.normal(scale=sd), 0.0, sd**2, 0.0, sd**2]
            store.submit(
                lambda connection, row=row: connection.execute(
                    "INSERT INTO particle_evidence_arrays VALUES (?, ?, ?, ?, ?, ?, ?, ?, [], [], [], [], [])", row
                )
            ).result()
        export_star(store, session, session.parent / "out")
        rows = store.named("optics_groups").as_dicts()
        place_of = {
            row["optics_group"]: planted(int(row["movie_id"][1:]))
            for row in store.sql("SELECT movie_id, optics_group FROM movies").as_dicts()
        }
    assert len(rows) == 9
    for row in rows:
        place = place_of[row["optics_group"]]
        size, angle = astigmatism(place)
        assert row["astigmatism_angstrom"] == pytest.approx(size)
        assert row["astigmatism_angle_deg"] == pytest.approx(angle)
        assert row["beam_tilt_x_sd_mrad"] < 0.01
        assert abs(row["beam_tilt_x_mrad"] - tilt * place) < 4 * row["beam_tilt_x_sd_mrad"]
        assert row["image_shift_x_um"] == pytest.approx(1.8 * (place % 3 - 1), abs=0.04)
    # All movies together, linear in the shift; RELION's sign is the other one.
    for name in ("micrographs_ctf.star", "particles.star"):
        optics = read_star(session.parent / "out" / name)["optics"]
        columns = (optics.floats(label) for label in ("rlnOpticsGroup", "rlnBeamTiltX", "rlnBeamTiltY"))
        for group, x, y in zip(*columns, strict=True):
            assert x == pytest.approx(-tilt * place_of[int(group)], abs=0.03)
            assert y == pytest.approx(0.0, abs=0.03)


def test_a_beam_tilt_that_chance_makes_is_not_exported(session: Path) -> None:
    with Store.open(session, now_utc_us=2) as store:
        rng = np.random.default_rng(5)
        for index in range(MOVIES):
            x, y = rng.normal(scale=0.5, size=2)
            row = [f"m{index:02d}", 10.0, 1, x, y, 0.25, 0.0, 0.25]
            store.submit(
                lambda connection, row=row: connection.execute(
                    "INSERT INTO particle_evidence_arrays VALUES (?, ?, ?, ?, ?, ?, ?, ?, [], [], [], [], [])", row
                )
            ).result()
        export_star(store, session, session.parent / "out")
    assert "rlnBeamTiltX" not in (session.parent / "out" / "particles.star").read_text()


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_star_handler") is None, reason="RELION is not on PATH")
def test_relion_reads_the_groups(session: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Store.open(session, now_utc_us=2) as store:
        export_star(store, session, out)

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=out, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ERROR" not in done.stdout + done.stderr
        return done.stdout

    names = run("relion_star_printtable", "micrographs_ctf.star", "data_optics", "rlnOpticsGroupName")
    assert names.split() == [f"beamShift{number}" for number in range(1, 10)]
    for name, table in (("micrographs_ctf.star", "micrographs"), ("particles.star", "particles")):
        # RELION's own ObservationModel reads the groups, checks that every row has one, and writes them again.
        run("relion_star_handler", "--i", name, "--o", "copy.star", "--combine")
        assert groups_in(out / "copy.star", table, "rlnMicrographName") == groups_in(
            out / name, table, "rlnMicrographName"
        )
        copy = read_star(out / "copy.star")["optics"]
        assert copy.texts("rlnOpticsGroupName") == [f"beamShift{number}" for number in range(1, 10)]
