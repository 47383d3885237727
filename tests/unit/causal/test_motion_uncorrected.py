"""What a plain sum of the frames would have lost, against a sum that is carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from frazil.models.causal.draws import central_causes, draw_causes
from frazil.models.causal.mechanisms import exposure_weights, motion_uncorrected
from frazil.models.causal.prior import physics_prior
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]
K = np.array([1 / 20, 1 / 8, 1 / 5])


def _moving(known_movie: Make, sd_angstrom: float) -> MovieEvidence:
    """A straight drift of 0.4 A a frame, 20 frames."""
    path = tuple((0.4 * (np.arange(20) - 9.5)).tolist())
    return known_movie(shift_x_angstrom=path, shift_sd_angstrom=(sd_angstrom,) * 20, local_residual_angstrom=0.0)


def test_it_is_the_sum_of_moments_along_the_path(known_movie: Make) -> None:
    movie = _moving(known_movie, 0.0)
    causes = replace(central_causes(movie), shift_error_scale=np.zeros(1))
    weight = exposure_weights(movie, K)
    power = np.zeros(K.size)
    for theta in np.linspace(0, np.pi, 360, endpoint=False):
        # Forty moments in each frame, where the specimen is then.
        at = (0.4 * (np.arange(20)[:, None] - 9.5 + (np.arange(40) + 0.5) / 40 - 0.5)) * np.cos(theta)
        seen = np.exp(2j * np.pi * at[:, :, None] * K).mean(axis=1)
        power += np.abs((seen * weight).sum(axis=0)) ** 2 / 360
    # Eight directions stand for all of them: 10 % of the loss.
    assert motion_uncorrected(movie, causes, K)[0] == pytest.approx(-np.log(power), rel=0.1, abs=0.02)


def test_what_errors_of_the_path_do_grows_with_them_and_with_the_frequency(known_movie: Make) -> None:
    spreads = []
    for sd_angstrom in (0.02, 0.1, 0.4):
        movie = _moving(known_movie, sd_angstrom)
        spreads.append(motion_uncorrected(movie, draw_causes(movie, physics_prior()), K).std(axis=0))
    assert np.all(np.diff(np.array(spreads), axis=0)[:, 1:] > 0)
    assert spreads[1][2] > spreads[1][0]


def test_one_frame_has_no_path(known_movie: Make) -> None:
    movie = known_movie(shift_x_angstrom=(0.0,), shift_y_angstrom=(0.0,), shift_sd_angstrom=(0.0,), frame_count=1)
    assert not motion_uncorrected(movie, draw_causes(movie, physics_prior()), K).any()
