"""A worker on a simulated movie with known truth: file in, numbers and pictures out."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import mrcfile
import numpy as np
import pytest

from frazil.actors.frame_worker import FrameWorker, WorkerConfig
from frazil.actors.messages import MovieTask
from frazil.config.loading import load_settings
from frazil.config.settings import GainOrientation
from frazil.models.causal.factors import ALL_FACTORS as FACTORS
from frazil.models.causal.prior import physics_prior
from frazil.models.formats.acquisition import merge_metadata, resolve
from frazil.models.formats.movie import open_movie
from frazil.models.formats.sidecar import read_sidecar
from frazil.models.gain.decision import GainDecision, GainVerdict
from frazil.models.records import MovieResult
from frazil.models.simulation.delivery import DeliverySettings, write_session
from frazil.models.simulation.settings import preset
from frazil.models.simulation.truth import MovieTruth


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MovieTruth, MovieResult, MovieResult]:
    """Session folder, truth, and the results of processing the same movie twice."""
    folder = tmp_path_factory.mktemp("worker")
    truth = write_session(folder / "m", preset("demo").with_changes(movies=1, seed=5), DeliverySettings())
    movie = truth.movies[0]
    path = folder / "m" / "raw" / str(movie.file)
    settings = load_settings(
        preset="simulated",
        flags={"camera.gain": str(folder / "m" / "gain.mrc"), "particles.diameter_angstrom": 180.0},
    )
    with open_movie(path) as reader:
        sidecar = read_sidecar(folder / "m" / "raw" / str(movie.sidecar))
        metadata = merge_metadata(settings=settings, header=reader.header, sidecar=sidecar)
    acquisition = resolve(metadata, settings=settings)
    reference, orientation = settings.camera.gain, GainOrientation.IDENTITY
    gain = GainDecision(GainVerdict.CORRECT, "", None, reference, None, orientation, "multiply", 1, None, None)
    worker = FrameWorker(WorkerConfig("cpu-0", str(folder), settings, "cpu", 1))
    task = MovieTask("m0", str(path), "m0", 1, acquisition, gain, "hash", physics_prior())
    first, second = worker.process(task), worker.process(task)
    assert isinstance(first, MovieResult), first
    assert isinstance(second, MovieResult), second
    return folder, movie, first, second


def test_motion_and_ctf_are_those_of_the_truth(
    processed: tuple[Path, MovieTruth, MovieResult, MovieResult],
) -> None:
    _, truth, result, _ = processed
    shift = np.stack([result.shifts.shift_x_angstrom, result.shifts.shift_y_angstrom])
    true = np.stack([truth.shift_x_angstrom, truth.shift_y_angstrom])
    error = shift - shift.mean(axis=1, keepdims=True) - (true - true.mean(axis=1, keepdims=True))
    assert np.sqrt((error**2).sum(axis=0).mean()) < 0.6
    assert result.ctf.reliable
    defocus = (result.ctf.defocus_u_angstrom + result.ctf.defocus_v_angstrom) / 2
    assert abs(defocus - (truth.defocus_u_angstrom + truth.defocus_v_angstrom) / 2) < 150
    assert abs(result.quality.fixed_pattern) < 0.1  # the gain was applied, the right way round


def test_particles_lie_where_they_are(processed: tuple[Path, MovieTruth, MovieResult, MovieResult]) -> None:
    folder, truth, result, _ = processed
    places = np.array([(particle.x_px, particle.y_px) for particle in truth.particles])
    picks = np.array([result.picks.x_px, result.picks.y_px]).T
    assert len(picks) >= 3
    distance = np.linalg.norm(picks[:, None] - places[None], axis=2).min(axis=1)
    assert np.mean(distance < 0.3 * 180 / result.pixel_size_angstrom) > 0.8
    with mrcfile.open(folder / str(result.files.particles)) as file:
        stack = np.asarray(file.data)
    assert len(stack) == len(picks)
    assert stack[:, stack.shape[1] // 2, :].mean() > 0  # bright particles


def test_pictures_are_written_and_agree_with_the_record(
    processed: tuple[Path, MovieTruth, MovieResult, MovieResult],
) -> None:
    folder, _, result, _ = processed
    header = result.header
    for name in (result.files.micrograph, result.files.micrograph_no_dose_weighting, result.files.restored):
        with mrcfile.open(folder / str(name)) as file:
            assert file.data.shape == (header.height_px, header.width_px)
            assert file.voxel_size.x == pytest.approx(result.pixel_size_angstrom, rel=1e-5)
            assert float(file.data.std()) > 0
    for name in (result.files.thumbnail, result.files.power_spectrum):
        assert imagecodecs.png_decode((folder / str(name)).read_bytes()).std() > 10
    assert not list(folder.rglob("*.tmp"))


def test_losses_of_all_factors_are_losses(processed: tuple[Path, MovieTruth, MovieResult, MovieResult]) -> None:
    losses = processed[2].losses
    assert losses is not None
    assert losses.factor_names == FACTORS
    assert np.all(np.array(losses.loss_ln_ssnr) >= 0)
    assert np.all(np.array(losses.loss_sd) > 0)
    damage = losses.loss_ln_ssnr[FACTORS.index("radiation_damage")]
    assert damage[-1] > damage[0] > 0


def test_same_input_same_settings_same_prior_same_result(
    processed: tuple[Path, MovieTruth, MovieResult, MovieResult],
) -> None:
    _, _, first, second = processed
    for name in ("shifts", "local_motion", "ctf", "spectra", "quality", "picks", "losses", "evidence", "files"):
        assert getattr(first, name) == getattr(second, name), name
