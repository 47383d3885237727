"""The causal prior against sessions whose true strengths are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from frazil.models.causal.attribution import attribute
from frazil.models.causal.mechanisms import predicted_losses
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import (
    BAND_COUNT,
    FACTORS,
    MODELLED_FACTORS,
    band_frequencies_per_angstrom,
    physics_prior,
)
from frazil.models.records import MovieEvidence

BANDS = band_frequencies_per_angstrom()
SPECIMEN = 2.0 - 12.0 * BANDS  # ln SSNR without losses


def _movie(
    random: np.random.Generator, strengths: np.ndarray, *, noise: float = 0.5, drift: float = 1.0
) -> MovieEvidence:
    """A movie with drawn drift, ice and defocus, and rings that follow from the true strengths."""
    steps = random.normal(0, 0.3 * drift, (2, 20)).cumsum(axis=1)
    movie = MovieEvidence(
        shift_x_angstrom=tuple(steps[0]),
        shift_y_angstrom=tuple(steps[1]),
        shift_sd_angstrom=(0.1,) * 20,
        local_residual_angstrom=0.0,
        frame_count=20,
        dose_per_frame_e_per_a2=2.0,
        pre_exposure_e_per_a2=0.0,
        dose_per_frame_e_per_px=2.0,
        pixel_size_angstrom=1.0,
        voltage_kv=300.0,
        cs_mm=2.7,
        defocus_angstrom=float(random.uniform(8000, 25000)),
        relative_ice_thickness=float(random.uniform(0.0, 0.6)),
        log_ssnr=(None,) * BAND_COUNT,
        log_ssnr_sd=noise,
    )
    truth = SPECIMEN - strengths @ predicted_losses(movie, BANDS) + random.normal(0, noise, BAND_COUNT)
    return dataclasses.replace(movie, log_ssnr=tuple(truth.tolist()))


def _session(seed: int, count: int, **changes: float) -> tuple[list[MovieEvidence], np.ndarray]:
    random = np.random.default_rng(seed)
    strengths = np.ones(len(MODELLED_FACTORS))
    for name, value in changes.items():
        strengths[MODELLED_FACTORS.index(name)] = value
    return [_movie(random, strengths, drift=float(random.uniform(0.5, 4))) for _ in range(count)], strengths


def test_physics_prior_says_that_every_mechanism_acts_as_predicted() -> None:
    mean, sd = physics_prior().strengths()
    assert mean == pytest.approx(np.ones(len(MODELLED_FACTORS)))
    assert sd == pytest.approx(0.3 * np.ones(len(MODELLED_FACTORS)))


def test_the_order_of_movies_within_an_epoch_does_not_matter() -> None:
    movies, _ = _session(1, 10)
    forward, backward = update(physics_prior(), movies), update(physics_prior(), movies[::-1])
    for one, other in zip(forward.moments(), backward.moments(), strict=True):
        assert one == pytest.approx(other, rel=1e-8, abs=1e-8)


def test_a_strength_that_differs_from_physics_is_learnt() -> None:
    movies, strengths = _session(2, 200, motion=1.5, ice=0.6)
    prior = physics_prior()
    for start in range(0, len(movies), 10):
        prior = update(prior, movies[start : start + 10])
    mean, sd = prior.strengths()
    for name in ("motion", "ice"):
        index = MODELLED_FACTORS.index(name)
        assert sd[index] < 0.3
        assert abs(mean[index] - strengths[index]) < 3 * sd[index]
        assert abs(mean[index] - strengths[index]) < abs(1 - strengths[index]) / 2
    assert prior.version == 20
    assert prior.movie_count == 200


def test_stated_errors_of_the_strengths_are_honest() -> None:
    """Strengths drawn from the prior: their posterior z must look like a unit normal."""
    z = []
    for seed in range(60):
        random = np.random.default_rng(1000 + seed)
        strengths = np.maximum(random.normal(1, 0.3, len(MODELLED_FACTORS)), 0)
        prior = update(physics_prior(), [_movie(random, strengths) for _ in range(10)])
        mean, sd = prior.strengths()
        z.append((strengths - mean) / sd)
    assert 0.8 < float(np.sqrt(np.mean(np.square(z)))) < 1.2


def test_a_broken_movie_moves_the_prior_less_than_a_good_one() -> None:
    movies, _ = _session(3, 11)
    prior = update(physics_prior(), movies[:10])
    broken = dataclasses.replace(movies[10], log_ssnr=tuple(value - 25.0 for value in movies[10].log_ssnr if value))
    moved = update(prior, [broken]).precision
    moved_by_good = update(prior, [movies[10]]).precision
    change = np.linalg.norm(np.array(moved) - np.array(prior.precision))
    assert change < 0.5 * np.linalg.norm(np.array(moved_by_good) - np.array(prior.precision))


def test_tempering_weakens_evidence_in_proportion() -> None:
    movies, _ = _session(4, 5)
    full = np.array(update(physics_prior(), movies).precision) - np.array(physics_prior().precision)
    half = np.array(update(physics_prior(), movies, temper=0.5).precision) - np.array(physics_prior().precision)
    assert half == pytest.approx(full / 2, rel=1e-9, abs=1e-9)


def test_movies_without_rings_teach_nothing_but_the_zero_of_ice() -> None:
    movie, _ = _session(5, 1)
    blind = dataclasses.replace(movie[0], log_ssnr=(None,) * BAND_COUNT, dose_per_frame_e_per_px=7.0)
    after = update(physics_prior(), [blind])
    assert after.precision == physics_prior().precision
    assert after.empty_counts_per_px == 7.0


def test_drift_is_named_for_a_drifting_movie_and_not_for_a_still_one() -> None:
    movies, strengths = _session(6, 40)
    prior = physics_prior()
    for start in range(0, 40, 10):
        prior = update(prior, movies[start : start + 10])
    random = np.random.default_rng(7)
    moving = attribute(_movie(random, strengths, drift=30), prior).losses
    still = attribute(_movie(random, strengths, drift=0.1), prior).losses
    band = int(np.argmin(np.abs(BANDS - 1 / 5)))
    motion = FACTORS.index("motion")
    at_5_angstrom = [row[band] for row in moving.loss_ln_ssnr]
    assert at_5_angstrom[motion] == max(at_5_angstrom)
    assert still.loss_ln_ssnr[motion][band] < 0.1 * at_5_angstrom[motion]


def test_what_no_mechanism_predicts_is_unexplained_and_not_spread() -> None:
    movies, strengths = _session(8, 60)
    prior = physics_prior()
    for start in range(0, 60, 10):
        prior = update(prior, movies[start : start + 10])
    random = np.random.default_rng(9)
    good = _movie(random, strengths)
    band = int(np.argmin(np.abs(BANDS - 1 / 8)))
    worse = dataclasses.replace(good, log_ssnr=tuple(value - 3.0 for value in good.log_ssnr if value is not None))
    unexplained = FACTORS.index("unexplained")
    before, after = attribute(good, prior).losses, attribute(worse, prior).losses
    assert after.loss_ln_ssnr[unexplained][band] - before.loss_ln_ssnr[unexplained][band] > 1.5
    for factor in range(len(MODELLED_FACTORS)):
        assert after.loss_ln_ssnr[factor][band] - before.loss_ln_ssnr[factor][band] < 0.5
