"""RELION 3.1 opens what frazil exports, without edits: `pytest -m relion`."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from movie_results import movie_result

from frazil.daemon.export.relion import export_star
from frazil.daemon.store.rows import MovieRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.star import read_star
from frazil.models.records import (
    CtfEstimate,
    FrameShifts,
    LocalMotion,
    MovieFiles,
    MovieHeader,
    MovieResult,
    ParticlePicks,
    Quality,
    Spectra,
)

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_preprocess") is None, reason="RELION is not on PATH"),
]
SIDE_PX = 256
PICKS = ((60.0, 100.0), (200.0, 40.0), (128.0, 200.0))


def run(*words: str, cwd: Path) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERROR" not in done.stdout + done.stderr
    return done.stdout


def result(index: int, folder: str) -> MovieResult:
    shifts = tuple(np.linspace(-3.0, 3.0, 8).tolist())
    return movie_result(
        f"m{index}",
        header=MovieHeader("x", "tiff", 8, SIDE_PX, SIDE_PX, "uint8"),
        pixel_size_angstrom=1.5,
        shifts=FrameShifts(shifts, shifts, (0.1,) * 8, 8.5, 4.0, 4.5, True),
        local_motion=LocalMotion((0.01,) * 18, (-0.02,) * 18, 5, 5, 0.1, accepted=True),
        ctf=CtfEstimate(15_000.0 + index, 14_500.0, 30.0, 0.0, 20.0, 20.0, 4.2, 0.4, 0.1, reliable=True),
        spectra=Spectra((0.1, 0.2), (1.0, 1.0), (1.0, 1.0), (0.5, 0.2), (0.9, 0.5)),
        quality=Quality(40.0, 1.0, 0, None, 0.0, already_summed=False),
        picks=ParticlePicks(tuple(x for x, _ in PICKS), tuple(y for _, y in PICKS), (0.9, 0.8, 0.7), 60.0),
        files=MovieFiles(micrograph=f"motion/{folder}__a movie.mrc"),
    )


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Two kept micrographs of one name from two squares, with a bright spot at each pick; one rejected."""
    session, raw = tmp_path / "session", tmp_path / "raw"
    session.mkdir()
    raw.mkdir()
    (session / "motion").mkdir()
    rng = np.random.default_rng(3)
    with Store.open(session, now_utc_us=1) as store:
        row = SessionRow(
            "s", "s", str(raw), 1, "{}", "v", voltage_kv=300.0, cs_mm=2.7, amplitude_contrast=0.1,
            pixel_size_angstrom=1.5, dose_per_frame_e_per_a2=1.2,
        )  # fmt: skip
        store.submit(session_writes.create_session, row).result()
        for index, folder in enumerate(("square_1", "square_2", "square_3")):
            image = rng.normal(size=(SIDE_PX, SIDE_PX)).astype(np.float32)
            for x, y in PICKS:
                image[int(y), int(x)] += 1000.0
            write_mrc(session / "motion" / f"{folder}__a movie.mrc", image, 1.5)
            movie = MovieRow(
                f"m{index}", f"{folder}/a movie.tif", 0, 1, sequence=index, stem=f"{folder}__a movie",
                pixel_size_angstrom=1.5, voltage_kv=300.0, dose_per_frame_e_per_a2=1.2,
            )  # fmt: skip
            reason = 'astigmatism 6000 A, the limit is "5000" A' if index == 2 else None
            store.submit(movie_writes.register_movie, movie).result()
            store.submit(
                movie_writes.record_result,
                replace(result(index, folder), movie_id=f"m{index}"),
                ready_utc_us=2,
                lag_s=1.0,
                rejection_reason=reason,
            ).result()
        report = export_star(store, session, tmp_path / "out")
    assert (report.kept, report.rejected, report.particles) == (2, 1, 6)
    return tmp_path / "out"


def test_relion_prints_the_tables(exported: Path) -> None:
    columns = ("rlnMicrographName", "rlnDefocusU", "rlnAccumMotionTotal", "rlnCtfIceRingDensity")
    text = run("relion_star_printtable", "micrographs_ctf.star", "data_micrographs", *columns, cwd=exported)
    lines = [line.split() for line in text.strip().splitlines()]
    assert [line[0] for line in lines] == [f"Frazil/job001/square_{i}__a_movie.mrc" for i in (1, 2)]
    assert [[float(word) for word in line[1:]] for line in lines] == [[15_000, 8.5, 0.1], [15_001, 8.5, 0.1]]
    text = run("relion_star_printtable", "rejected.star", "data_micrographs", "frazilState", cwd=exported)
    assert text.split() == ["rejected"]


def test_relion_itself_reads_and_rewrites_them(exported: Path) -> None:
    select = ("--select", "rlnDefocusU", "--minval", "15000.5", "--maxval", "15002")
    run("relion_star_handler", "--i", "micrographs_ctf.star", "--o", "chosen.star", *select, cwd=exported)
    chosen = read_star(exported / "chosen.star")
    assert chosen["micrographs"].texts("rlnMicrographName") == ["Frazil/job001/square_2__a_movie.mrc"]
    assert chosen["optics"].floats("rlnMicrographPixelSize") == [1.5]
    run("relion_star_handler", "--i", "particles.star", "--o", "copy.star", "--combine", cwd=exported)
    assert len(read_star(exported / "copy.star")["particles"]) == 6


def test_relion_opens_the_micrographs(exported: Path) -> None:
    names = read_star(exported / "micrographs_ctf.star")["micrographs"].texts("rlnMicrographName")
    for name in names:
        text = run("relion_image_handler", "--i", name, "--stats", cwd=exported)
        assert f"{SIDE_PX} x {SIDE_PX}" in " ".join(text.split()).replace(" , ", " x ") or str(SIDE_PX) in text
        assert "1.5" in text


def extract(exported: Path, *how: str) -> np.ndarray:
    common = ("--part_star", "Extract/job003/particles.star", "--part_dir", "Extract/job003/", "--extract")
    (exported / "Extract" / "job003").mkdir(parents=True)
    run("relion_preprocess", "--i", "micrographs_ctf.star", *how, *common, "--extract_size", "32", cwd=exported)
    table = read_star(exported / "Extract" / "job003" / "particles.star")
    assert table["optics"].floats("rlnImagePixelSize") == [1.5]
    particles = table["particles"]
    assert len(particles) == 6
    assert set(particles.floats("rlnDefocusU")) == {15_000.0, 15_001.0}
    stacks = sorted((exported / "Extract" / "job003").rglob("*.mrcs"))
    assert [stack.name for stack in stacks] == ["square_1__a_movie.mrcs", "square_2__a_movie.mrcs"]
    return np.concatenate([mrcfile.read(stack) for stack in stacks])


@pytest.mark.parametrize(
    "how",
    [("--coord_dir", "coordinates/", "--coord_suffix", ".star"), ("--reextract_data_star", "particles.star")],
    ids=["coordinates", "particles"],
)
def test_relion_extracts_each_particle_where_it_is(exported: Path, how: tuple[str, ...]) -> None:
    images = extract(exported, *how)
    assert images.shape == (6, 32, 32)
    for image in images:
        assert np.unravel_index(np.argmax(image), image.shape) == (16, 16), "RELION's centre, y and x as we wrote them"


def test_the_export_can_be_moved_with_its_session_and_made_again(exported: Path, tmp_path: Path) -> None:
    link = exported / "Frazil" / "job001" / "square_1__a_movie.mrc"
    assert not os.path.isabs(os.readlink(link))
    shutil.move(tmp_path, moved := tmp_path.with_name(tmp_path.name + "-moved"))
    assert (moved / link.relative_to(tmp_path)).exists()
    shutil.move(moved, tmp_path)


def test_relions_reader_of_motion_accepts_ours(exported: Path) -> None:
    """relion_star_handler goes through the same parser as motion refinement; the numbers are RELION's units."""
    path = "motion/square_1__a_movie.star"
    text = run("relion_star_printtable", path, "data_global_shift", "rlnMicrographShiftX", cwd=exported)
    found = [float(word) for word in text.split()]
    assert found == pytest.approx([-(6.0 / 7) * i / 1.5 for i in range(8)], abs=1e-6)
    text = run("relion_star_printtable", path, "data_local_motion_model", "rlnMotionModelCoeff", cwd=exported)
    assert [float(word) for word in text.split()] == pytest.approx([-0.01 / 1.5] * 18 + [0.02 / 1.5] * 18)
