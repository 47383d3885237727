"""Advice is a decision: it speaks where a change gains more than it costs, and rests on what the session has told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from frazil.models.causal.advice.decision import LEAST_NET_LN_SSNR, PAYS, PAYS_UNTOLD, advise
from frazil.models.causal.convergence import SHARED, TOLERANCE_LN_SSNR, shares
from frazil.models.causal.information import LEAST_MOVIES, LEAST_NATS, has_told, no_advice, told_nats
from frazil.models.causal.particles import SessionParticles
from frazil.models.causal.posterior import update
from frazil.models.causal.prediction_record import Held
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.settle import moves_per_movie
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]


def learn(movies: Sequence[MovieEvidence]) -> PriorSnapshot:
    prior = physics_prior()
    for first in range(0, len(movies), 5):
        prior = update(prior, movies[first : first + 5])
    return prior


def test_thick_holes_are_given_up_where_they_hold_little_signal(known_movie: Make) -> None:
    """A quarter of the holes is of 250 nm, the others of 25 to 35 nm."""
    random = np.random.default_rng(5)
    nm = [250.0 if index % 4 == 0 else float(random.uniform(25, 35)) for index in range(24)]
    movies = [known_movie(thickness) for thickness in nm]
    (thin, *_) = [one for one in advise(movies, learn(movies), seconds_per_movie=10.0) if one.action == "thin-ice"]
    assert "gives up 6 of 24 holes, keeps 75 %" in thin.sentence
    assert thin.pays_probability >= PAYS
    assert LEAST_NET_LN_SSNR <= thin.net_ln_ssnr < thin.gain_ln_ssnr
    # All holes like the good ones: the others gave exp(-what 220 nm cost) of their signal.
    assert 0.1 < thin.gain_ln_ssnr < -np.log(0.75)


def test_even_ice_is_no_reason_to_give_up_holes(known_movie: Make) -> None:
    random = np.random.default_rng(6)
    movies = [known_movie(float(random.uniform(28, 34))) for _ in range(24)]
    assert [one for one in advise(movies, learn(movies), seconds_per_movie=10.0) if one.action == "thin-ice"] == []


def test_nothing_is_advised_of_what_only_physics_has_said(known_movie: Make) -> None:
    """Without rings nobody has seen the beam's convergence, and without particles nobody its tilt."""
    movies = [known_movie(image_shift_x_um=6.0) for _ in range(20)]
    prior = learn(movies)
    said = advise(movies, prior, seconds_per_movie=10.0)
    assert {one.node for one in said} <= {"dose_rate"}, "which the camera's usual losses speak about"
    assert all(one.pays_probability >= PAYS_UNTOLD for one in said)
    tilted = SessionParticles(
        tilt_mean=(0.0, 0.25, 0.0, 0.0, 0.0, 0.25),
        tilt_covariance=tuple(tuple(row) for row in (1e-4 * np.eye(6)).tolist()),
        movie_count=20,
    )
    (coma,) = [
        one for one in advise(movies, prior, together=tilted, seconds_per_movie=10.0) if one.factor == "aberrations"
    ]
    assert coma.action == "calibrate-beam-tilt"
    assert "takes some 15 min" in coma.sentence


def test_at_version_0_nothing_is_known(known_movie: Make) -> None:
    movies = [known_movie(40.0) for _ in range(12)]
    at_first = shares(movies, physics_prior())
    assert {share.factor for share in at_first} == {*SHARED, "unexplained"}
    assert not [share for share in at_first if share.converged or share.told_nats]
    later = shares(movies, learn(movies))
    for share in later:
        told = share.told_nats >= LEAST_NATS and share.sd < share.first_sd
        held = share.held is Held.HOLDS
        assert share.converged == (share.sd <= TOLERANCE_LN_SSNR and told and held)
    # No ring was measured: of what only rings tell nothing is known, however narrow physics is.
    unseen = {share.factor: share for share in later}
    assert not unseen["radiation_damage"].converged
    assert not unseen["detector"].converged


def test_the_order_of_movies_changes_nothing(known_movie: Make) -> None:
    random = np.random.default_rng(7)
    movies = [known_movie(float(random.uniform(20, 90))) for _ in range(20)]
    prior = learn(movies)
    turned = movies[::-1]
    one, other = (shares(order, prior) for order in (movies, turned))
    for first, second in zip(one, other, strict=True):
        assert first.factor == second.factor
        assert first.loss_ln_ssnr == pytest.approx(second.loss_ln_ssnr)
        assert first.told_nats == pytest.approx(second.told_nats, abs=1e-9)


def test_information_is_that_of_kullback_and_leibler() -> None:
    random = np.random.default_rng(8)
    mean, sd, first_mean, first_sd = 0.7, 0.2, 0.3, 0.5
    x = random.normal(mean, sd, 400_000)
    ln_ratio = (-0.5 * ((x - mean) / sd) ** 2 - np.log(sd)) - (
        -0.5 * ((x - first_mean) / first_sd) ** 2 - np.log(first_sd)
    )
    assert told_nats(mean, sd, first_mean, first_sd) == pytest.approx(ln_ratio.mean(), abs=0.01)


def test_a_belief_that_became_wider_has_told_nothing() -> None:
    """Another beam made it worthless: it differs from version 0 by far, and is no knowledge."""
    assert told_nats(2.0, 2.0, 0.8, 0.2) > 10 * LEAST_NATS
    assert not has_told(2.0, 2.0, 0.8, 0.2)
    assert not has_told(1.0, 0.2, 1.0, 0.1)
    assert has_told(1.0, 0.05, 1.0, 0.1)


def test_stage_moves_are_counted_by_time(known_movie: Make) -> None:
    movies = [
        known_movie(acquired_utc_us=1_000_000 * index, stage_x_um=10.0 * (index // 5), stage_y_um=0.0)
        for index in range(25)
    ]
    shuffled = [movies[index] for index in np.random.default_rng(1).permutation(25)]
    assert moves_per_movie(movies) == moves_per_movie(shuffled) == pytest.approx(4 / 24)
    assert moves_per_movie([known_movie(stage_x_um=None)] * 3) == 1.0


def test_silence_has_its_reason() -> None:
    assert no_advice(LEAST_MOVIES - 3, 0) == "not known yet: 3 movies more"
    assert no_advice(LEAST_MOVIES, 0).startswith("not known yet")
    assert no_advice(LEAST_MOVIES, 1).startswith("nothing would pay")
