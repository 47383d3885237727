"""The belief against the same model written down as one large normal distribution."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.where_next.simulated import simulated
from frazil.models.targets import belief as belief_module
from frazil.models.targets.belief import learn
from frazil.models.targets.fields import LENGTH, Scatter
from frazil.models.targets.outcomes import Seen
from frazil.models.targets.policy import Arranged, arranged, outlooks_of
from frazil.models.targets.records import Outcome, TargetSettings

PATCH, SQUARE, AREA, SCATTER = 0.2, 0.3, 0.25, Scatter(0.3, 0.2)


@pytest.fixture
def one_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """One set of widths, so that nothing is mixed."""
    monkeypatch.setattr(belief_module, "PATCH_SDS", (PATCH,))
    monkeypatch.setattr(belief_module, "SQUARE_SDS", (SQUARE,))
    monkeypatch.setattr(belief_module, "AREA_SDS", (AREA,))
    monkeypatch.setattr(belief_module, "SCATTERS", (SCATTER,))
    monkeypatch.setattr(belief_module, "_WIDTHS", (belief_module.Widths(PATCH, SQUARE, AREA),))


def _places(seed: int) -> tuple[Arranged, np.ndarray]:
    world = simulated("normal", seed, areas=2, squares=2, patches=2)
    return arranged(world.grid.targets, TargetSettings()), world.grid.resolution_angstrom


def test_levels_field_and_slopes_are_those_of_the_whole_covariance(one_set: None) -> None:
    places, _ = _places(3)
    holes, columns = places.holes, places.columns
    chance = np.random.default_rng(4)
    shot = np.sort(chance.choice(len(holes.ids) - 60, 40, replace=False))
    value = chance.normal(0.0, 0.4, 40)
    hypothesis = columns.hypotheses()[0]
    outlook = learn(holes, columns, Seen(shot, value), (hypothesis,)).outlooks()[0]

    design = np.column_stack([np.ones(len(holes.ids)), columns.value])
    distance = ((holes.place[:, None, :] - holes.place[None, :, :]) ** 2).sum(axis=-1)
    same_patch = holes.patch[:, None] == holes.patch[None, :]
    level = (
        design @ np.diag(hypothesis.sd**2) @ design.T
        + AREA**2 * (holes.area[:, None] == holes.area[None, :])
        + SQUARE**2 * (holes.square[:, None] == holes.square[None, :])
        + PATCH**2 * same_patch
        + SCATTER.field_sd**2 * np.exp(-0.5 * distance / LENGTH**2) * same_patch
    )
    seen = level[np.ix_(shot, shot)] + SCATTER.sd**2 * np.eye(40)
    gain = level[:, shot] @ np.linalg.inv(seen)
    prior = design @ hypothesis.mean
    np.testing.assert_allclose(outlook.mean, prior + gain @ (value - prior[shot]), atol=1e-8)
    np.testing.assert_allclose(outlook.level_variance, np.diag(level - gain @ level[:, shot].T), atol=1e-8)


def test_likelihood_is_that_of_the_whole_covariance(one_set: None) -> None:
    places, _ = _places(5)
    holes, columns = places.holes, places.columns
    chance = np.random.default_rng(6)
    shot = np.sort(chance.choice(len(holes.ids), 30, replace=False))
    value = chance.normal(0.0, 0.4, 30)
    hypothesis = columns.hypotheses()[1]
    stack = belief_module.stacked(shot, value, holes.patch, holes.place, columns.value, len(holes.square_of_patch))
    (found,) = belief_module._sets(holes, belief_module.solved(stack, SCATTER), 30, (hypothesis,))

    design = np.column_stack([np.ones(30), columns.value[shot]])
    distance = ((holes.place[shot][:, None, :] - holes.place[shot][None, :, :]) ** 2).sum(axis=-1)
    same = [part[shot][:, None] == part[shot][None, :] for part in (holes.area, holes.square, holes.patch)]
    covariance = design @ np.diag(hypothesis.sd**2) @ design.T + SCATTER.sd**2 * np.eye(30)
    covariance += AREA**2 * same[0] + SQUARE**2 * same[1] + PATCH**2 * same[2]
    covariance += SCATTER.field_sd**2 * np.exp(-0.5 * distance / LENGTH**2) * same[2]
    left = value - design @ hypothesis.mean
    expected = -0.5 * (
        left @ np.linalg.solve(covariance, left) + np.linalg.slogdet(covariance)[1] + 30 * np.log(2 * np.pi)
    )
    assert found.ln_weight[0] == pytest.approx(expected + np.log(hypothesis.probability), abs=1e-6)


def _outcomes(places: Arranged, resolution: np.ndarray, shot: np.ndarray) -> list[Outcome]:
    return [Outcome(places.holes.ids[at], resolution_angstrom=float(resolution[at])) for at in shot]


def test_the_order_of_outcomes_makes_no_difference() -> None:
    places, resolution = _places(7)
    shot = np.random.default_rng(1).permutation(len(resolution))[:50]
    there, back = (
        outlooks_of(places, _outcomes(places, resolution, order), TargetSettings()) for order in (shot, shot[::-1])
    )
    np.testing.assert_array_equal(there.usable, back.usable)


def test_one_exposure_gone_astray_moves_its_square_no_more_than_a_poor_one() -> None:
    places, resolution = _places(8)
    shot = np.arange(12)
    poor, astray = resolution.copy(), resolution.copy()
    poor[5], astray[5] = 12.0, 100_000.0
    told = [outlooks_of(places, _outcomes(places, one, shot), TargetSettings()).usable for one in (poor, astray)]
    np.testing.assert_array_equal(told[0], told[1])


@pytest.mark.parametrize(("sign", "slope"), [(1.0, 1.0), (-1.0, -1.0), (0.0, 0.0)])
def test_a_prediction_gets_the_slope_that_the_session_gives_it(sign: float, slope: float) -> None:
    world = simulated("normal", 9)
    chance = np.random.default_rng(2)
    ln_truth = np.log(world.grid.resolution_angstrom / 6.0)
    other = chance.permutation(ln_truth) if sign == 0.0 else sign * ln_truth
    shown = world.grid.with_predictions(6.0 * np.exp(other))
    places = arranged(shown.targets, TargetSettings())
    shot = chance.choice(len(ln_truth), 150, replace=False)
    known = outlooks_of(places, _outcomes(places, shown.resolution_angstrom, shot), TargetSettings())
    ((_, at, low, high),) = known.belief.slopes()
    spread = float(places.columns.spread[0])
    assert at / spread == pytest.approx(slope, abs=0.12)
    assert low <= at <= high


def test_80_percent_intervals_hold_the_shares_of_squares_of_frazils_own_family() -> None:
    from benchmarks.where_next.intervals import shares_held

    found = np.sum([shares_held(simulated("normal", seed).grid, [seed]) for seed in range(5)], axis=0)
    assert 0.68 <= found[0] / found[1] <= 0.92
