"""`relion_reconstruct` of an export makes the live map again: a tilted specimen, a tilted beam, and fibres' columns."""

from __future__ import annotations

import math
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from movie_results import movie_result

from benchmarks.optics.particles import BOX_PX, DIAMETER_ANGSTROM, PIXEL_ANGSTROM, Boxes, Scene, Specimen
from frazil.actors.reconstruction_records import MapMovie, ParticlePoses
from frazil.actors.reconstructor import Reconstructor
from frazil.config.settings import Settings
from frazil.daemon.export.relion import export_star
from frazil.daemon.store.rows import MovieRow, ParticleRows, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, particle_writes, session_writes
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.star import read_star
from frazil.models.particles.defocus_plane import defocus_offsets_angstrom
from frazil.models.reconstruction.resolution.fsc import FscCurve, fourier_shell_correlation, spherical_mask
from frazil.models.records import (
    AcquisitionMetadata,
    CtfEstimate,
    ExposureFacts,
    MovieFiles,
    MovieResult,
    ParticlePicks,
)

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_reconstruct") is None, reason="RELION is not on PATH"),
]
SCENE = Scene(5, movies=12, particles=12, noise_sd=0.6, stage_deg=30.0, beam_tilt_mrad=(3.0, -4.0))
WITHOUT_PARTICLES = 10
"""Movies that come after: with each of them two of the others are searched once more."""
WIDTH_PX, HEIGHT_PX = 2478, 1739


@dataclass(frozen=True)
class Exported:
    out: Path
    live: torch.Tensor
    """As `maps/map.mrc` has it."""
    resolution_angstrom: float
    truth: torch.Tensor
    defocus_angstrom: np.ndarray
    """(n,) true one of each particle, in the order of the table."""
    poses: list[ParticlePoses]


def ctf_of(boxes: Boxes) -> CtfEstimate:
    """With the plane of the specimen, exactly: where it lies higher it is less defocused."""
    z = boxes.defocus_angstrom
    plain = CtfEstimate(z, z, 0.0, 0.0, 20.0, 20.0, 4.0, 0.9, 0.0, reliable=True)
    axis_deg = SCENE.about_deg - 180.0
    return replace(plain, tilt_angle_deg=SCENE.stage_deg, tilt_sd_deg=0.3, tilt_axis_deg=axis_deg)


def picks_of(boxes: Boxes, ctf: CtfEstimate) -> ParticlePicks:
    """As if they were segments of three fibres."""
    place = boxes.place_angstrom / PIXEL_ANGSTROM + 0.5 * (np.array([WIDTH_PX, HEIGHT_PX]) - 1)
    n = len(place)
    picks = ParticlePicks(
        tuple(place[:, 0]),
        tuple(place[:, 1]),
        (1.0,) * n,
        DIAMETER_ANGSTROM,
        fibre=tuple(1 + number % 3 for number in range(n)),
        along_angstrom=tuple(50.0 * (number // 3) for number in range(n)),
        axis_deg=tuple(40.0 * (number % 3) for number in range(n)),
    )
    where = {"height_px": HEIGHT_PX, "width_px": WIDTH_PX, "pixel_size_angstrom": PIXEL_ANGSTROM}
    return replace(picks, defocus_offset_angstrom=defocus_offsets_angstrom(picks, ctf, **where))


def stored(store: Store, folder: Path, number: int, boxes: Boxes) -> MovieResult:
    name = f"m{number:02d}"
    write_mrc(folder / f"particles/{name}.mrcs", boxes.images.numpy(), PIXEL_ANGSTROM)
    write_mrc(folder / f"motion/{name}.mrc", np.ones((32, 32), np.float32), PIXEL_ANGSTROM)
    ctf = ctf_of(boxes)
    result = movie_result(
        name,
        pixel_size_angstrom=PIXEL_ANGSTROM,
        ctf=replace(ctf, fit_resolution_angstrom=4.0),
        picks=picks_of(boxes, ctf),
        files=MovieFiles(micrograph=f"motion/{name}.mrc", particles=f"particles/{name}.mrcs"),
    )
    shift = AcquisitionMetadata(image_shift_x_um=0.0, image_shift_y_um=0.0)
    movie = MovieRow(name, f"{name}.tif", 0, 1, sequence=number, stem=name, metadata=shift)
    store.submit(movie_writes.register_movie, movie).result()
    store.submit(movie_writes.record_result, result, ready_utc_us=2, lag_s=1.0).result()
    return result


def map_movie(result: MovieResult) -> MapMovie:
    return MapMovie(
        *(result.movie_id, "1", result.files.particles, PIXEL_ANGSTROM, DIAMETER_ANGSTROM, 300.0, 2.7, 0.1),
        ctf=result.ctf,
        losses=None,
        fibre=result.picks.fibre,
        defocus_offset_angstrom=result.picks.defocus_offset_angstrom,
        exposure=ExposureFacts(image_shift_x_um=0.0, image_shift_y_um=0.0),
    )


def rows_of(poses: ParticlePoses, picks: ParticlePicks) -> ParticleRows:
    """As the daemon stores them."""
    return ParticleRows(
        *(poses.movie_id, picks.x_px, picks.y_px, poses.half_set, picks.score, None),
        *(poses.rot_deg, poses.tilt_deg, poses.psi_deg, poses.origin_x_angstrom, poses.origin_y_angstrom),
        certainty=poses.certainty,
        diameter_angstrom=picks.diameter_angstrom,
        fibre=picks.fibre,
        along_angstrom=picks.along_angstrom,
        axis_deg=picks.axis_deg,
        defocus_offset_angstrom=picks.defocus_offset_angstrom,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("session")
    for name in ("particles", "motion", "raw"):
        (folder / name).mkdir()
    specimen = Specimen()
    write_mrc(folder / "start.mrc", specimen.truth.numpy(), PIXEL_ANGSTROM, is_volume=True)
    given = {"initial_map": str(folder / "start.mrc"), "symmetry": "O", "diameter_angstrom": DIAMETER_ANGSTROM}
    worker = Reconstructor(str(folder), Settings.model_validate({"particles": given}))
    newest: dict[str, ParticlePoses] = {}
    defocus = []
    with Store.open(folder, now_utc_us=1) as store:
        row = SessionRow(
            *("s", "s", str(folder / "raw"), 1, "{}", "v"),
            voltage_kv=300.0,
            cs_mm=2.7,
            amplitude_contrast=0.1,
            pixel_size_angstrom=PIXEL_ANGSTROM,
        )
        store.submit(session_writes.create_session, row).result()
        results = {}
        for number, boxes in enumerate(specimen.movies(SCENE)):
            results[f"m{number:02d}"] = result = stored(store, folder, number, boxes)
            defocus.append(boxes.defocus_angstrom - boxes.height_angstrom)
            newest |= {poses.movie_id: poses for poses in worker.add(map_movie(result)).poses}
        empty = replace(map_movie(result), particles_path=None)
        for number in range(WITHOUT_PARTICLES):
            newest |= {poses.movie_id: poses for poses in worker.add(replace(empty, movie_id=f"e{number}")).poses}
        done = worker.finish_round()
        for movie_id, poses in newest.items():
            rows = rows_of(poses, results[movie_id].picks)
            store.submit(particle_writes.record_poses, rows, poses.evidence).result()
        export_star(store, folder, folder / "out")
    assert done.resolution_0143_angstrom is not None
    live = torch.from_numpy(np.array(mrcfile.read(folder / "maps/map.mrc")))
    resolution = done.resolution_0143_angstrom
    return Exported(folder / "out", live, resolution, specimen.truth, np.concatenate(defocus), list(newest.values()))


def by_relion(exported: Exported, star: str = "particles.star") -> torch.Tensor:
    words = ("relion_reconstruct", "--i", star, "--o", "made.mrc", "--ctf", "--sym", "O")
    done = subprocess.run(words, cwd=exported.out, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return torch.from_numpy(np.array(mrcfile.read(exported.out / "made.mrc")))


def agreement(first: torch.Tensor, second: torch.Tensor) -> FscCurve:
    mask = spherical_mask(BOX_PX, 0.45 * DIAMETER_ANGSTROM / PIXEL_ANGSTROM, 4.0)
    return fourier_shell_correlation(first, second, pixel_size_angstrom=PIXEL_ANGSTROM, mask=mask)


def least_to(curve: FscCurve, resolution_angstrom: float) -> float:
    k = np.array(curve.frequency_per_angstrom)
    return float(np.array(curve.fsc)[(k > 1 / 40) & (k <= 1 / resolution_angstrom)].min())


@pytest.mark.timeout(900)
def test_relion_reconstructs_the_live_map(exported: Exported) -> None:
    made = by_relion(exported)
    assert exported.resolution_angstrom < 6.5
    assert least_to(agreement(made, exported.live), exported.resolution_angstrom / 0.9) > 0.95


@pytest.mark.timeout(900)
def test_relion_needs_the_tilts_as_they_are_and_not_the_other_way_round(exported: Exported) -> None:
    """The structure itself says which signs are right: RELION's own correction of defocus and beam tilt."""
    table = (exported.out / "particles.star").read_text()
    optics = read_star(exported.out / "particles.star")["optics"]
    (x,), (y,) = optics.floats("rlnBeamTiltX"), optics.floats("rlnBeamTiltY")
    assert math.hypot(x + 3.0, y - 4.0) < 0.5, "minus the planted tilt: RELION's sign"
    right = agreement(by_relion(exported), exported.truth).resolution_angstrom(0.5)
    turned = table
    for line in table.splitlines():
        cells = line.split()
        if cells and cells[0] == "opticsGroup1":
            assert [float(cell) for cell in cells[-2:]] == pytest.approx([x, y])
            turned = table.replace(line, " ".join([*cells[:-2], f"{-x:.6f}", f"{-y:.6f}"]))
    assert turned != table
    (exported.out / "turned.star").write_text(turned)
    wrong = agreement(by_relion(exported, "turned.star"), exported.truth).resolution_angstrom(0.5)
    assert right is not None
    assert wrong is not None
    assert right < 0.9 * wrong


def test_each_row_has_the_defocus_of_its_place_and_the_half_of_its_fibre(exported: Exported) -> None:
    particles = read_star(exported.out / "particles.star")["particles"]
    names = particles.texts("rlnMicrographName")
    assert sorted(names) == names
    assert np.array(particles.floats("rlnDefocusU")) == pytest.approx(exported.defocus_angstrom, abs=15.0)
    assert particles.floats("rlnDefocusU") == particles.floats("rlnDefocusV")
    tube = list(zip(names, particles.floats("rlnHelicalTubeID"), strict=True))
    halves = particles.floats("rlnRandomSubset")
    assert set(halves) == {1, 2}
    assert len(set(zip(tube, halves, strict=True))) == len(set(tube)) == 3 * SCENE.movies
    assert particles.floats("rlnAngleTiltPrior") == [90.0] * len(names)
    assert sorted(set(particles.floats("rlnAnglePsiPrior"))) == [-80.0, -40.0, 0.0]
    assert set(particles.floats("rlnHelicalTrackLengthAngst")) == {0.0, 50.0, 100.0, 150.0}
