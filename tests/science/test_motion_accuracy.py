"""Accuracy of motion correction over many movies of two independent simulators (minutes: run with -m slow)."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from frazil.config.settings import MotionSettings
from frazil.models.motion.align import AlignedMovie, align_movie
from frazil.models.motion.frame_source import FrameSource, StackFrames
from frazil.models.simulation.session import SimulatedSession
from frazil.models.simulation.settings import preset

sys.path.insert(0, str(Path(__file__).parent))
from motion_truth import make_movie

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
KINDS = ("drifting", "settling", "still", "burst")


def _align(source: FrameSource, dose: float = 1.0) -> AlignedMovie:
    return align_movie(
        source,
        pixel_size_angstrom=1.0,
        voltage_kv=300.0,
        dose_per_frame_e_per_a2=dose,
        pre_exposure_e_per_a2=0.0,
        settings=MotionSettings(),
        device=torch.device("cpu"),
    )


def _error(result: AlignedMovie, truth: np.ndarray) -> np.ndarray:
    found = np.stack([result.shifts.shift_x_angstrom, result.shifts.shift_y_angstrom], axis=1)
    return found - truth


def test_whole_frame_error_and_its_statement_on_the_private_generator() -> None:
    errors, z = [], []
    for seed in range(20):
        movie = make_movie(kind=KINDS[seed % 4], seed=100 + seed, defocus_angstrom=8000.0 + 850.0 * seed)
        result = _align(StackFrames(torch.as_tensor(movie.counts)))
        error = _error(result, movie.shift_angstrom)
        errors.append(float(np.sqrt((error**2).sum(axis=1).mean())))
        z.append(float((error**2).mean() / np.mean(np.square(result.shifts.sd_angstrom))))
        assert result.shifts.converged
    assert np.quantile(errors, 0.95) <= 0.6
    assert np.median(errors) <= 0.3
    assert 0.4 < np.median(z) < 2.0


@pytest.mark.parametrize("kind", ["drifting", "still"])
def test_a_strong_gain_residual_does_not_hold_the_specimen(kind: str) -> None:
    for seed in range(3):
        movie = make_movie(kind=kind, seed=200 + seed, gain_residual=0.1)
        error = _error(_align(StackFrames(torch.as_tensor(movie.counts))), movie.shift_angstrom)
        assert np.sqrt((error**2).sum(axis=1).mean()) < 0.6


def test_weak_movies_are_flagged_rather_than_wrong() -> None:
    for seed in range(8):
        movie = make_movie(kind=KINDS[seed % 4], seed=300 + seed, contrast=0.3, gain_residual=0.05 * (seed % 2))
        result = _align(StackFrames(torch.as_tensor(movie.counts)))
        error = _error(result, movie.shift_angstrom)
        assert not result.shifts.converged or np.sqrt((error**2).sum(axis=1).mean()) < 0.9


def test_project_simulator_whole_frame_and_local() -> None:
    session = SimulatedSession(preset("standard").with_changes(movies=12, seed=11))
    errors, before, after = [], [], []
    for index in range(12):
        movie = session.movie(index)
        truth = np.stack([movie.truth.shift_x_angstrom, movie.truth.shift_y_angstrom], axis=1)
        result = _align(movie.frame_source())
        errors.append(float(np.sqrt((_error(result, truth) ** 2).sum(axis=1).mean())))
        local = movie.truth.local_motion
        assert local is not None
        course = np.array(local.course)
        field = np.stack(
            [np.einsum("mf,mab->fab", course, np.array(f)) for f in (local.field_x_angstrom, local.field_y_angstrom)],
            axis=-1,
        )
        grid_y, grid_x = ((np.array(g) + 0.5) / 1024 - 0.5 for g in (local.grid_y_px, local.grid_x_px))
        y, x = np.meshgrid(grid_y, grid_x, indexing="ij")
        field -= field.mean(axis=0)
        found = result.field.at(x, y) - result.field.whole_frame_angstrom[:, None, None]
        before.append(float((field**2).sum(axis=-1).mean()))
        after.append(float(((found - found.mean(axis=0) - field) ** 2).sum(axis=-1).mean()))
    assert np.quantile(errors, 0.95) <= 0.6
    assert np.median(errors) <= 0.25
    assert np.mean(after) < 0.6 * np.mean(before)
