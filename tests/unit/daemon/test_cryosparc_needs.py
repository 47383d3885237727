"""What cryoSPARC's guide says that its import jobs need, looked for in an export (docs/cryosparc.md). Not run in it."""

from __future__ import annotations

import re
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
from frazil.models.formats.star import StarBlock, read_star
from frazil.models.particles.extraction import extract_particles
from frazil.models.records import CtfEstimate, MovieFiles, MovieHeader, ParticlePicks

MOVIE_PIXEL_ANGSTROM, SUM_PIXEL_ANGSTROM = 0.5, 1.0
BOX_PX = 16
PICKS = ((20.0, 30.0), (40.0, 25.0))


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three super-resolution movies in two optics groups, two of one name in two squares; dark particles."""
    import torch

    folder = tmp_path_factory.mktemp("cryosparc")
    session = folder / "session"
    for name in ("motion", "particles"):
        (session / name).mkdir(parents=True)
    (folder / "raw").mkdir()
    with Store.open(session, now_utc_us=1) as store:
        row = SessionRow(
            "s", "s", str(folder / "raw"), 1, "{}", "v", voltage_kv=300.0, cs_mm=2.7, amplitude_contrast=0.1,
            pixel_size_angstrom=MOVIE_PIXEL_ANGSTROM,
        )  # fmt: skip
        store.submit(session_writes.create_session, row).result()
        for number, (path, stem) in enumerate(
            (("a/hole 1.tif", "hole 1"), ("b/hole 1.tif", "b__hole 1"), ("b/hole 2.tif", "hole 2"))
        ):
            image = np.random.default_rng(number).normal(10.0, 1.0, (64, 64)).astype(np.float32)
            for x, y in PICKS:
                image[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] -= 8.0
            write_mrc(session / "motion" / f"{number}.mrc", image, SUM_PIXEL_ANGSTROM)
            picks = ParticlePicks(tuple(x for x, _ in PICKS), tuple(y for _, y in PICKS), (0.9, 0.8), 10.0)
            stack = extract_particles(torch.from_numpy(image), picks, box_px=BOX_PX, diameter_px=8.0)
            write_mrc(session / "particles" / f"{number}.mrcs", stack.numpy(), SUM_PIXEL_ANGSTROM)
            movie = MovieRow(f"m{number}", path, 0, 1, sequence=number, stem=stem)
            result = movie_result(
                movie.movie_id,
                header=MovieHeader(path, "tiff", 4, 128, 128, "uint8"),
                pixel_size_angstrom=MOVIE_PIXEL_ANGSTROM,
                ctf=CtfEstimate(15_200.0, 14_800.0, 30.0, 0.0, 20.0, 20.0, 4.25, 0.4, 0.1, reliable=True),
                picks=picks,
                files=MovieFiles(micrograph=f"motion/{number}.mrc", particles=f"particles/{number}.mrcs"),
            )
            store.submit(movie_writes.register_movie, movie).result()
            store.submit(movie_writes.record_result, result, ready_utc_us=2, lag_s=1.0).result()
        store.submit(
            lambda db: db.execute("UPDATE movies SET optics_group = CASE movie_id WHEN 'm2' THEN 7 ELSE 3 END")
        ).result()
        store.submit(
            lambda db: db.execute(f"UPDATE quality SET micrograph_pixel_size_angstrom = {SUM_PIXEL_ANGSTROM}")
        ).result()
        export_star(store, session, folder / "star")
    return folder / "star"


@pytest.fixture(scope="module")
def particles(star: Path) -> StarBlock:
    return read_star(star / "particles.star")["particles"]


@pytest.fixture(scope="module")
def optics(star: Path) -> StarBlock:
    return read_star(star / "particles.star")["optics"]


def test_images_are_named_by_index_and_a_path_that_resolves_from_the_data_path(
    star: Path, particles: StarBlock
) -> None:
    names = particles.texts("rlnImageName")
    assert len(names) == 6
    for name in names:
        index, path = re.fullmatch(r"(\d{6})@([^@\s]+\.mrcs)", name).groups()  # type: ignore[union-attr]
        with mrcfile.open(star / path, header_only=True) as stack:
            assert 1 <= int(index) <= stack.header.nz


def test_stacks_are_of_a_kind_that_it_reads(star: Path, optics: StarBlock) -> None:
    for path in (star / "Frazil" / "job002").iterdir():
        with mrcfile.open(path, permissive=False) as stack:
            assert stack.data.dtype in (np.float32, np.float16)
            _, height, width = stack.data.shape
            assert height == width == BOX_PX
            assert width % 2 == 0
            assert stack.is_image_stack()
            assert float(stack.voxel_size.x) == pytest.approx(SUM_PIXEL_ANGSTROM)
    assert set(optics.floats("rlnImageSize")) == {BOX_PX}
    assert set(optics.floats("rlnImagePixelSize")) == {SUM_PIXEL_ANGSTROM}


def test_particles_are_bright(star: Path) -> None:
    """`Data sign`: light on dark."""
    for path in (star / "Frazil" / "job002").iterdir():
        with mrcfile.open(path) as stack:
            middle = stack.data[:, BOX_PX // 2 - 1 : BOX_PX // 2 + 2, BOX_PX // 2 - 1 : BOX_PX // 2 + 2]
            assert middle.mean() > 2.0  # background: mean 0, sd 1


def test_the_optics_table_has_what_would_otherwise_be_asked_for(optics: StarBlock) -> None:
    assert set(optics.floats("rlnVoltage")) == {300.0}
    assert set(optics.floats("rlnSphericalAberration")) == {2.7}
    assert set(optics.floats("rlnAmplitudeContrast")) == {0.1}
    assert set(optics.floats("rlnMicrographPixelSize")) == {SUM_PIXEL_ANGSTROM}
    assert set(optics.floats("rlnMicrographOriginalPixelSize")) == {MOVIE_PIXEL_ANGSTROM}


def test_defocus_is_positive_for_underfocus_and_u_is_the_larger(particles: StarBlock) -> None:
    assert set(particles.floats("rlnDefocusU")) == {15_200.0}
    assert set(particles.floats("rlnDefocusV")) == {14_800.0}
    assert set(particles.floats("rlnDefocusAngle")) == {30.0}


def test_optics_groups_become_exposure_groups_without_a_gap(particles: StarBlock, optics: StarBlock) -> None:
    assert optics.floats("rlnOpticsGroup") == [1, 2]
    assert optics.texts("rlnOpticsGroupName") == ["beamShift3", "beamShift7"]
    by_micrograph = dict(zip(particles.texts("rlnMicrographName"), particles.floats("rlnOpticsGroup"), strict=True))
    assert sorted(by_micrograph.values()) == [1, 1, 2]


def test_particles_find_their_source_exposures_by_file_name(star: Path, particles: StarBlock) -> None:
    imported = {path.name for path in star.glob("Frazil/job001/*.mrc")}
    wanted = {Path(name).name for name in particles.texts("rlnMicrographName")}
    assert wanted == imported == {"hole_1.mrc", "b__hole_1.mrc", "hole_2.mrc"}
    assert {*particles.floats("rlnCoordinateX")} == {20.0, 40.0}
