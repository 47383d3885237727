"""A session that starts with what earlier ones of the instrument taught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from frazil.models.causal import counts
from frazil.models.causal.inheritance import inherit
from frazil.models.causal.mechanisms import coincidence_loss
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]


def _session(known_movie: Make, random: np.random.Generator, ln_g: float, count: int = 30) -> PriorSnapshot:
    prior, movies = physics_prior(), []
    for _ in range(count):
        time_s = float(random.choice([2.0, 4.0, 8.0]))
        movie = known_movie(float(np.exp(random.normal(np.log(40), 0.3))), exposure_time_s=time_s)
        arriving = 40 / time_s * movie.dose_per_frame_e_per_px / 2.0
        lost = float(coincidence_loss(np.array(np.exp(ln_g) * arriving)))
        movies.append(replace(movie, dose_per_frame_e_per_px=movie.dose_per_frame_e_per_px * float(np.exp(-lost))))
    for first in range(0, count, 5):
        prior = update(prior, movies[first : first + 5])
    return prior


def test_the_camera_is_known_before_the_first_movie(known_movie: Make) -> None:
    random = np.random.default_rng(1)
    truth = float(np.log(0.02))
    earlier = [_session(known_movie, random, truth + float(random.normal(0, 0.1))) for _ in range(4)]
    start = inherit(earlier)
    assert start.version == 0
    assert start.movie_count == 0
    _, _, ln_g, sd = counts.zero_and_loss(start.count_belief())
    _, _, _, physics_sd = counts.zero_and_loss(physics_prior().count_belief())
    assert sd < 0.5 * physics_sd
    assert abs(ln_g - truth) < 2.5 * sd


def test_sessions_that_disagree_teach_less_than_sessions_that_agree(known_movie: Make) -> None:
    random = np.random.default_rng(2)
    agree = inherit([_session(known_movie, random, np.log(0.01)) for _ in range(3)])
    differ = inherit([_session(known_movie, random, np.log(g)) for g in (0.003, 0.01, 0.04)])
    assert counts.zero_and_loss(agree.count_belief())[3] < 0.7 * counts.zero_and_loss(differ.count_belief())[3]


def test_nothing_is_inherited_from_nothing_or_from_a_handful_of_movies(known_movie: Make) -> None:
    assert inherit([]) == physics_prior()
    assert inherit([update(physics_prior(), [known_movie()])]) == physics_prior()


def test_the_specimen_is_not_handed_on(known_movie: Make) -> None:
    session = _session(known_movie, np.random.default_rng(3), np.log(0.01))
    start, physics = inherit([session]), physics_prior()
    assert start.moments()[0][:20] == pytest.approx(physics.moments()[0][:20])
    assert start.window == ()
    assert start.change_points == ()
