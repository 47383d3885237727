"""Movies that were not seen are asked whether the belief about them was right: known truth, wrong truth, order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from frazil.models.causal import counts, settle
from frazil.models.causal.bands import BAND_COUNT, Array, band_frequencies_per_angstrom
from frazil.models.causal.convergence import shares
from frazil.models.causal.forecast_score import of_distribution, of_normal
from frazil.models.causal.forecasts import Forecaster, compared
from frazil.models.causal.posterior import update
from frazil.models.causal.prediction_record import (
    ASKED_OF,
    FALSE_ALARMS,
    QUANTITY_WORDS,
    Foretold,
    Held,
    PredictionRecord,
    Seen,
    with_epoch,
)
from frazil.models.causal.prior import packed, physics_prior
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]
START_UTC_US = 1_767_225_600_000_000
EPOCH = 5


# --- scores --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("came", [-4.0, -0.3, 0.0, 1.7, 9.0])
def test_the_score_is_the_integral_that_defines_it(came: float) -> None:
    mean, sd = 0.4, 0.7
    below, _ = integrate.quad(lambda x: stats.norm.cdf(x, mean, sd) ** 2, -20, came, points=[mean])
    above, _ = integrate.quad(lambda x: stats.norm.sf(x, mean, sd) ** 2, came, 20, points=[mean])
    one = of_normal(mean, sd, came)
    assert one.crps == pytest.approx(below + above, abs=1e-6)
    assert one.pit == pytest.approx(stats.norm.cdf(came, mean, sd))
    at = np.linspace(-6, 6, 401)
    written = of_distribution(at, stats.norm.cdf(at, mean, sd), came)
    assert written.crps == pytest.approx(one.crps, abs=2e-3)
    assert written.pit == pytest.approx(one.pit, abs=1e-3)


def test_who_says_what_is_true_has_the_best_score() -> None:
    came = np.random.default_rng(1).normal(0.0, 1.0, 4000)
    score = {sd: np.mean([of_normal(0.0, sd, y).crps for y in came]) for sd in (0.5, 1.0, 2.0)}
    assert score[1.0] < min(score[0.5], score[2.0])


# --- the test of the intervals ----------------------------------------------------------------------------------------


def normal_session(random: np.random.Generator, epochs: int, *, said_sd: float = 1.0, off: float = 0.0) -> Foretold:
    """Truth N(0, 1) with half of its variance common to an epoch; version 0 says N(1, 3)."""
    record = PredictionRecord()
    for epoch in range(epochs):
        common = random.normal(0.0, math.sqrt(0.5))
        came = common + random.normal(0.0, math.sqrt(0.5), EPOCH)
        rows = [{"steady_drift": Seen(y, of_normal(off, said_sd, y), of_normal(1.0, 3.0, y))} for y in came.tolist()]
        record = with_epoch(record, rows, EPOCH * epoch)
    return record.of("steady_drift")


def epochs_until_told(random: np.random.Generator, most: int, **how: float) -> int | None:
    """Epochs after which the intervals are said not to hold."""
    record = PredictionRecord()
    said_sd, off = how.get("said_sd", 1.0), how.get("off", 0.0)
    for epoch in range(most):
        rows = [
            {"steady_drift": Seen(y, of_normal(off, said_sd, y), of_normal(1.0, 3.0, y))}
            for y in random.normal(0.0, 1.0, EPOCH).tolist()
        ]
        record = with_epoch(record, rows, EPOCH * epoch)
        if record.of("steady_drift").held is Held.FAILS:
            return epoch + 1
    return None


def test_a_calibrated_forecast_is_called_wrong_in_5_percent_at_most_however_often_one_looks() -> None:
    told = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        record = PredictionRecord()
        for epoch in range(60):
            common = random.normal(0.0, math.sqrt(0.5))
            came = common + random.normal(0.0, math.sqrt(0.5), EPOCH)
            rows = [{"steady_drift": Seen(y, of_normal(0, 1, y), of_normal(1, 3, y))} for y in came.tolist()]
            record = with_epoch(record, rows, EPOCH * epoch)
            if record.of("steady_drift").held is Held.FAILS:
                told += 1
                break
    assert told <= FALSE_ALARMS * 200


@pytest.mark.parametrize(("how", "movies"), [({"said_sd": 0.5}, 60), ({"off": 1.0}, 60)])
def test_an_overconfident_or_wrong_forecast_is_told_soon(how: dict[str, float], movies: int) -> None:
    """The first ten movies are only learnt from."""
    told = [epochs_until_told(np.random.default_rng(1000 + seed), 60, **how) for seed in range(100)]
    assert None not in told
    median = float(np.median([one for one in told if one is not None]))
    assert EPOCH * median <= movies


def test_a_forecast_that_is_too_wide_is_no_false_claim() -> None:
    told = [epochs_until_told(np.random.default_rng(seed), 60, said_sd=2.0) for seed in range(50)]
    assert told == [None] * 50


def test_a_forecast_no_better_than_version_0_is_not_held() -> None:
    random = np.random.default_rng(3)
    record = PredictionRecord()
    for epoch in range(10):
        rows = [
            {"steady_drift": Seen(y, of_normal(0, 1, y), of_normal(0, 1, y))}
            for y in random.normal(size=EPOCH).tolist()
        ]
        record = with_epoch(record, rows, EPOCH * epoch)
    one = record.of("steady_drift")
    assert one.held is Held.NO_BETTER
    assert "no clear gain" in one.words
    assert record.held("motion") == (Held.NO_BETTER, one.words)
    assert normal_session(random, 20).held is Held.HOLDS
    assert "better than by version 0" in normal_session(random, 20).words


def test_before_enough_movies_nothing_is_said() -> None:
    random = np.random.default_rng(4)
    assert normal_session(random, 2).movies == 0, "versions that have seen fewer than ten movies claim nothing"
    assert normal_session(random, 4).held is Held.NOT_ASKED
    record = PredictionRecord()
    assert record.held("ice")[0] is Held.NOT_ASKED
    assert "no movie has shown counted electrons" in record.held("ice")[1]
    assert "nothing that a movie shows" in record.held("defocus_spread")[1]
    assert {name for names in ASKED_OF.values() for name in names} == set(QUANTITY_WORDS)


def test_the_order_of_an_epochs_movies_changes_no_bit() -> None:
    random = np.random.default_rng(5)
    rows = [{"ring_level": Seen(y, of_normal(0, 1, y), of_normal(1, 3, y))} for y in random.normal(size=EPOCH).tolist()]
    start = normal_session(random, 4)
    before = PredictionRecord((replace(start, quantity="ring_level"),))
    assert len({with_epoch(before, list(order), 30) for order in itertools.permutations(rows)}) == 1


# --- what versions of the prior foretell ----------------------------------------------------------------------------


def drifting(make: Make, index: int, speed_angstrom_per_s: float, nm: float, wait_s: float = 30.0) -> MovieEvidence:
    """A movie of 4 s in 20 frames at a steady drift along x."""
    x = np.arange(20) * speed_angstrom_per_s * 4.0 / 20
    return replace(
        make(nm, acquired_utc_us=START_UTC_US + index * 20_000_000),
        shift_x_angstrom=tuple((x - x.mean()).tolist()),
        settle_time_s=wait_s,
    )


def pits_of(random: np.random.Generator, make: Make) -> tuple[list[float], list[float]]:
    """PIT of the drift and of the counts of one session whose stage, zero, camera and ice are drawn from version 0."""
    prior = physics_prior()
    tau, rho = random.choice(settle.TAU_S), random.choice(settle.RHO)
    variance = 1.0 / random.gamma(3.0, 1.0)
    ln_rest = random.normal(math.log(0.5), math.sqrt(variance / (0.5 / 1.5**2)))
    zero, nm = random.normal(counts.ZERO_MEAN, counts.ZERO_SD), float(np.exp(random.normal(math.log(40.0), 0.6)))
    spread = random.choice([0.2, 0.6])
    path_nm = inelastic_mean_free_path_nm(300.0)
    drift, counted = [], []
    sums, ln_weight = settle.no_sums(), counts.prior_ln_weight()
    for index in range(20):
        wait_s = float(random.uniform(1.0, 40.0))
        here = wait_s + 4.0 * 2 / 3
        ln_speed = ln_rest + math.log1p(rho * math.exp(-here / tau)) + random.normal(0.0, math.sqrt(variance))
        thickness = nm * math.exp(spread * random.normal())
        y = zero - thickness / path_nm + counts.COUNT_SD * random.normal()
        movie = replace(
            drifting(make, index, math.exp(ln_speed), nm, wait_s), dose_per_frame_e_per_px=2.0 * math.exp(y)
        )
        forecaster = Forecaster(
            replace(
                prior,
                settle_sums=tuple(tuple(row) for row in sums.tolist()),
                count_weights=packed(ln_weight),
            )
        )
        drift.append(forecaster.steady_drift(movie, max(ln_speed, math.log(0.01))).pit)
        counted.append(forecaster.counted_electrons(movie, y).pit)
        of_drift, of_counts = settle.sums_of(movie), counts.ln_likelihood(movie)
        assert of_drift is not None
        assert of_counts is not None
        sums, ln_weight = sums + of_drift, ln_weight + of_counts
    return drift, counted


def test_what_a_version_foretells_comes_as_often_as_it_says(known_movie: Make) -> None:
    """Each PIT is uniform given those before it, so their mean and their share inside are those of independent ones."""
    sessions = [pits_of(np.random.default_rng(seed), known_movie) for seed in range(30)]
    for place in (0, 1):
        pit = np.concatenate([one[place] for one in sessions])
        inside = float(np.mean(np.abs(pit - 0.5) <= 0.34))
        assert float(pit.mean()) == pytest.approx(0.5, abs=3.5 * 0.289 / math.sqrt(pit.size))
        assert 0.68 - 3.5 * 0.466 / math.sqrt(pit.size) <= inside <= 0.80


def test_rings_are_foretold_from_the_sessions_own_curve(known_movie: Make) -> None:
    """Drawn from the ring model: a session's curve, level and fall of each movie, noise of each band."""
    k = band_frequencies_per_angstrom()
    held = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        curve = 2.0 - 30.0 * k**2 + random.normal(0, 0.5)

        def movie(index: int, curve: Array = curve, random: np.random.Generator = random) -> MovieEvidence:
            y = (
                curve
                + 0.6 * random.normal()
                + 0.35 * random.normal() * (k / 0.2) ** 2
                + 0.25 * random.normal(size=k.size)
            )
            return replace(drifting(known_movie, index, 0.5, 40.0), log_ssnr=tuple(y.tolist()))

        prior = physics_prior()
        for first in range(0, 40, EPOCH):
            prior = update(prior, [movie(index) for index in range(first, first + EPOCH)])
        for name in ("ring_level", "ring_fall"):
            one = prior.predictions.of(name)
            assert one.movies == 30
            assert one.crps < one.first_crps
            assert one.crps < 1.3 * one.plain_crps
            assert one.held is Held.HOLDS
            held.append(one.inside_68)
    assert 0.6 <= sum(held) / (30 * len(held)) <= 0.85


def test_heavy_tails_of_the_counts_are_told(known_movie: Make) -> None:
    """The beam flickers by 15 % (Student's t of two degrees) where the model's counting knows 1 %."""
    random = np.random.default_rng(6)
    prior = physics_prior()
    told = None
    for first in range(0, 100, EPOCH):
        movies = [
            replace(
                drifting(known_movie, first + i, 0.5, 30.0),
                dose_per_frame_e_per_px=2.0 * math.exp(-0.15 + 0.15 * float(random.standard_t(2))),
            )
            for i in range(EPOCH)
        ]
        prior = update(prior, movies)
        if prior.predictions.of("counted_electrons").held is Held.FAILS:
            told = first + EPOCH
            break
    assert told is not None
    assert shares(movies, prior)
    ice = next(share for share in shares(movies, prior) if share.factor == "ice")
    assert not ice.converged
    assert ice.held is Held.FAILS
    assert "too narrow or off" in ice.unseen


def test_a_change_begins_anew(known_movie: Make) -> None:
    random = np.random.default_rng(7)
    prior = physics_prior()
    for first in range(0, 60, EPOCH):
        rate = 2.0 if first < 40 else 4.0
        movies = [
            replace(
                drifting(known_movie, first + i, float(np.exp(0.3 * random.normal())), 40.0),
                dose_per_frame_e_per_px=rate * math.exp(-0.2 + 0.02 * random.normal()),
                exposure=replace(
                    drifting(known_movie, first + i, 0.5, 40.0).exposure, stated_dose_per_frame_e_per_a2=rate
                ),
            )
            for i in range(EPOCH)
        ]
        before, prior = prior, update(prior, movies)
        if len(prior.change_points) > len(before.change_points):
            break
    assert prior.change_points
    assert before.predictions.of("steady_drift").movies >= 20
    assert prior.predictions == PredictionRecord()


def test_a_movie_that_shows_nothing_is_not_asked(known_movie: Make) -> None:
    bare = known_movie(stated_dose_per_frame_e_per_a2=None, exposure_time_s=None)
    assert bare.log_ssnr == (None,) * BAND_COUNT
    one = Forecaster(physics_prior())
    assert compared(bare, one, one) == {}
