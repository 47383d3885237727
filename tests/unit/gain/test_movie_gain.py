"""One gain for worker and rerun: what fits is applied by both, what does not fit is named by both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from frazil.actors.frame_worker import FrameWorker, WorkerConfig
from frazil.actors.messages import MovieFailure, MovieTask
from frazil.config.errors import FormatError, QuarantineError
from frazil.config.settings import CtfSettings, GainOrientation, MotionSettings, Settings
from frazil.models.causal.prior import physics_prior
from frazil.models.evaluation.robustness import evaluator
from frazil.models.evaluation.robustness.rerun import Findings, RerunJob, rerun
from frazil.models.evaluation.robustness.rerun_parts import MOTION
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.tiff_write import write_movie_tiff
from frazil.models.gain.decision import GainDecision, GainVerdict
from frazil.models.gain.movie_gain import MovieGain, read_movie_gain
from frazil.models.records import MovieHeader, MovieResult

HEIGHT_PX, WIDTH_PX, FRAMES = 96, 128, 4
PIXEL_ANGSTROM, COUNTS_PER_PX = 1.5, 40.0
ACQUISITION = AcquisitionParameters(PIXEL_ANGSTROM, 300.0, 2.7, 0.1, 10.0, 0.0, False, ())
HEADER = MovieHeader("m.tif", "tiff", FRAMES, HEIGHT_PX, WIDTH_PX, "uint8")
SETTINGS = Settings(
    motion=MotionSettings(patch_grid_x=1, patch_grid_y=1),
    ctf=CtfSettings(box_px=128, min_defocus_angstrom=9000.0, max_defocus_angstrom=15_000.0),
)


def sensitivity(height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> np.ndarray:
    pattern = np.clip(np.random.default_rng(5).normal(1.0, 0.1, (height_px, width_px)), 0.5, 1.5).astype(np.float32)
    return pattern / pattern.mean()


def decision(gain: Path | None, orientation: GainOrientation, defects: Path | None = None) -> GainDecision:
    convention = "none" if gain is None else "multiply"
    gain_path, defects_path = (None if path is None else str(path) for path in (gain, defects))
    return GainDecision(
        GainVerdict.OVERRIDDEN, "", None, gain_path, defects_path, orientation, convention, 1, None, None
    )


def write_gain(path: Path, values: np.ndarray) -> Path:
    write_mrc(path, np.ascontiguousarray(values, dtype=np.float32), pixel_size_angstrom=PIXEL_ANGSTROM)
    return path


@pytest.fixture
def movie_path(tmp_path: Path) -> Path:
    """Uncorrected counts of a camera with `sensitivity`, nothing in the beam."""
    rng = np.random.default_rng(7)
    frames = rng.poisson(COUNTS_PER_PX * sensitivity(), (FRAMES, HEIGHT_PX, WIDTH_PX)).astype(np.uint8)
    write_movie_tiff(tmp_path / "m.tif", frames)
    return tmp_path / "m.tif"


@pytest.fixture
def misfit(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[GainDecision, str]:
    """A decision that does not fit the movie, and what has to be said of it."""
    multiplier = 1.0 / sensitivity()
    if request.param == "other mode":
        gain = write_gain(tmp_path / "gain.mrc", 1.0 / sensitivity(2 * HEIGHT_PX, 2 * WIDTH_PX))
        return decision(gain, GainOrientation.IDENTITY), "this movie is 128 x 96 px, the gain reference 256 x 192 px"
    if request.param == "turned":
        gain = write_gain(tmp_path / "gain.mrc", multiplier)
        return decision(gain, GainOrientation.ROT90), "this movie is 128 x 96 px, the gain reference 96 x 128 px"
    defects = write_gain(tmp_path / "defects.mrc", np.zeros((8, 8)))
    gain = write_gain(tmp_path / "gain.mrc", multiplier)
    return decision(gain, GainOrientation.IDENTITY, defects), "the defect map is 8 x 8 px, the movies are 128 x 96 px"


MISFITS = pytest.mark.parametrize("misfit", ["other mode", "turned", "defects of another mode"], indirect=True)


def processed(movie_path: Path, gain: GainDecision) -> MovieResult | MovieFailure:
    worker = FrameWorker(WorkerConfig("cpu-0", str(movie_path.parent / "session"), SETTINGS, "cpu", 1))
    return worker.process(MovieTask("m", str(movie_path), "m", 1, ACQUISITION, gain, "hash", physics_prior()))


def run_again(movie_path: Path, gain: GainDecision, earlier: MovieResult) -> Findings:
    job = RerunJob(str(movie_path), None, earlier, ACQUISITION, gain, SETTINGS)
    return rerun(job, lambda findings: None)


@pytest.fixture
def fitting(tmp_path: Path) -> GainDecision:
    return decision(write_gain(tmp_path / "fits.mrc", 1.0 / sensitivity()), GainOrientation.IDENTITY)


def test_worker_and_rerun_correct_with_what_fits(movie_path: Path, fitting: GainDecision) -> None:
    result = processed(movie_path, fitting)
    assert isinstance(result, MovieResult), result
    assert abs(result.quality.fixed_pattern) < 0.1  # 1 would be: not corrected at all
    findings = run_again(movie_path, fitting, result)
    assert MOTION not in findings.not_run
    assert any(row.part == MOTION for row in findings.rows)


@MISFITS
def test_worker_and_rerun_name_what_does_not_fit(
    movie_path: Path, fitting: GainDecision, misfit: tuple[GainDecision, str]
) -> None:
    gain, reason = misfit
    failure = processed(movie_path, gain)
    assert isinstance(failure, MovieFailure)
    assert failure.kind == "quarantine"
    assert reason in failure.reason
    earlier = processed(movie_path, fitting)
    assert isinstance(earlier, MovieResult), earlier
    findings = run_again(movie_path, gain, earlier)
    assert reason in findings.not_run[MOTION]
    assert not findings.rows  # nothing was run on frames without their gain
    verdict = evaluator.evaluate(findings, {}, None)
    assert verdict.verdict is None
    assert any(reason in sentence for sentence in verdict.does_not_know)


@MISFITS
def test_a_misfit_is_a_typed_error(misfit: tuple[GainDecision, str]) -> None:
    gain, reason = misfit
    expected = FormatError if gain.defects_path is not None else QuarantineError
    with pytest.raises(expected, match=reason):
        read_movie_gain(gain, HEADER)


def test_gain_of_a_part_corrects_as_that_of_the_whole(tmp_path: Path) -> None:
    values = 1.0 / sensitivity()
    values[20, 30] = 0.0
    gain = read_movie_gain(decision(write_gain(tmp_path / "gain.mrc", values), GainOrientation.IDENTITY), HEADER)
    counts = np.random.default_rng(3).poisson(COUNTS_PER_PX, (FRAMES, HEIGHT_PX, WIDTH_PX)).astype(np.float32)
    window = (slice(10, 70), slice(16, 100))
    part = counts[:, *window].copy()
    gain.correct(counts)
    gain.within(window).correct(part)
    assert np.array_equal(counts[:, *window], part)
    assert gain.within(window).bad_pixels(part.sum(axis=0), FRAMES)[10, 14]


def test_defects_dead_and_hot_pixels_are_bad_and_a_single_frames_bright_ones_are_not() -> None:
    multiplier = np.ones((HEIGHT_PX, WIDTH_PX), np.float32)
    multiplier[3, 4] = 0.0
    defects = np.zeros((HEIGHT_PX, WIDTH_PX), bool)
    defects[5, 6] = True
    gain = MovieGain(multiplier, defects)
    corrected = np.random.default_rng(3).poisson(COUNTS_PER_PX, (HEIGHT_PX, WIDTH_PX)).astype(np.float32)
    corrected[50, 60] = 4000.0
    corrected[70, 80] = np.nan
    assert np.argwhere(gain.bad_pixels(corrected, FRAMES)).tolist() == [[3, 4], [5, 6], [50, 60], [70, 80]]
    assert np.argwhere(gain.bad_pixels(corrected, 1)).tolist() == [[3, 4], [5, 6], [70, 80]]


def test_without_a_decision_the_counts_stay(movie_path: Path) -> None:
    gain = read_movie_gain(None, HEADER)
    counts = np.ones((HEIGHT_PX, WIDTH_PX), np.float32)
    gain.correct(counts)
    assert (counts == 1.0).all()
    assert gain.pattern() is None
    applied_nowhere = replace(decision(Path("no.mrc"), GainOrientation.IDENTITY), convention="none")
    assert read_movie_gain(applied_nowhere, HEADER) == MovieGain(None, None)
