"""One grid held against another: intervals that hold the truth, and silence where nothing is sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.where_next.simulated import Simulated, simulated
from frazil.models.targets.costs import exchange_minutes, learnt_moves, moves_of_all
from frazil.models.targets.layout import holes_of
from frazil.models.targets.other_grids import better_words, compared
from frazil.models.targets.policy import arranged, next_targets
from frazil.models.targets.records import MoveMinutes, NextTargets, Outcome, Prospect, TargetSettings

SETTINGS = TargetSettings(moves=MoveMinutes(), ranked=400)
MINUTES = 240.0


def shot(world: Simulated, count: int, seed: int = 1) -> list[Outcome]:
    """Holes anywhere, as far as the first half of the grid's squares."""
    ids = world.grid.hole_ids
    at = np.random.default_rng(seed).choice(len(ids) // 2, count, replace=False).tolist()
    return [
        Outcome(ids[one], resolution_angstrom=float(world.grid.resolution_angstrom[one]), exposed_utc_us=n * 60_000_000)
        for n, one in enumerate(at, 1)
    ]


def told(world: Simulated, outcomes: list[Outcome], minutes: float = MINUTES, **changes: object) -> NextTargets:
    settings = replace(SETTINGS, **changes)
    return next_targets(arranged(world.grid.targets, settings), outcomes, minutes, settings)


def brought(world: Simulated, answer: NextTargets, minutes: float = MINUTES) -> float:
    """Usable exposures of the list, as far as the minutes reach."""
    usable = dict(zip(world.grid.hole_ids, world.grid.resolution_angstrom <= 6.0, strict=True))
    reached = np.cumsum([one.minutes for one in answer.ranked]) <= minutes
    return float(sum(usable[one.target_id] for one, is_in in zip(answer.ranked, reached, strict=True) if is_in))


def test_intervals_of_what_a_list_brings_hold_the_truth() -> None:
    inside, errors = 0, []
    worlds = 24
    for seed in range(worlds):
        world = simulated("normal", seed, areas=3, squares=3, patches=4)
        answer = told(world, shot(world, 10 if seed % 2 else 60))
        low, high = np.quantile(answer.prospect.usable, (0.1, 0.9))
        truth = brought(world, answer)
        inside += low <= truth <= high
        errors.append(answer.prospect.usable.mean() / truth - 1.0)
    assert 0.6 * worlds <= inside <= worlds, "80 % intervals"
    assert abs(np.mean(errors)) < 0.15


def test_what_is_known_better_is_told_with_less_doubt() -> None:
    world = simulated("normal", 3, areas=3, squares=3, patches=4)
    few, many = (told(world, shot(world, count)).prospect.usable for count in (3, 150))
    assert np.std(many) / many.mean() < np.std(few) / few.mean()


def test_the_ratio_of_two_grids_is_that_of_what_they_bring() -> None:
    draws = np.random.default_rng(1).normal(size=(2, 2000))
    here, other = (
        Prospect(60.0, mean * np.exp(0.1 * one), None) for mean, one in zip((40.0, 60.0), draws, strict=True)
    )
    found = compared(here, other, "effective_signal")
    assert found.counted == "usable", "no grid has told its signal"
    spread = 1.2816 * np.hypot(0.1, 0.1)
    assert np.log((found.low, found.times, found.high)) == pytest.approx(
        np.log(1.5) + np.array([-spread, 0.0, spread]), abs=0.02
    )
    assert "about 1.5 (1.2-1.8) times the usable movies an hour" in better_words("b", found, 45.0)
    assert better_words("b", compared(other, here, "usable"), 45.0) == ""
    nothing_left = compared(Prospect(60.0, np.zeros(2000), None), other, "usable")
    assert nothing_left.better
    assert nothing_left.times == pytest.approx(20.0, rel=0.1)


def test_a_grid_alike_is_no_better_and_one_that_is_better_has_to_be_so_by_the_exchange() -> None:
    here, alike = simulated("normal", 5), simulated("normal", 6)
    own = told(here, shot(here, 100)).prospect
    its = told(alike, shot(alike, 100), MINUTES - 45.0).prospect
    assert not compared(own, its, "usable").better
    bad = [replace(one, resolution_angstrom=12.0) for one in shot(here, 100)]
    worse = told(here, bad).prospect
    assert compared(worse, its, "usable").better
    late = told(alike, shot(alike, 100), 8.0).prospect
    assert not compared(own, late, "usable").better, "no time is left behind the exchange"


def test_slopes_of_one_grid_foretell_another_until_its_own_outcomes_say_otherwise() -> None:
    before, here = simulated("normal", 8), simulated("normal", 9)
    changes = {"trusted_features": ()}
    slopes = told(before, shot(before, 250), **changes).feature_slopes
    name, slope, _, _ = slopes[0]
    assert slope > 0.15, "a larger prediction is a worse movie"
    alone = told(here, [], **changes).feature_slopes
    carried = told(here, [], carried_slopes=slopes, **changes).feature_slopes
    assert alone[0][0] == carried[0][0] == name
    assert abs(alone[0][1]) < 0.02
    assert 0.3 * slope < carried[0][1] < slope
    against = [(one[0], -one[1], -one[3], -one[2]) for one in slopes]
    own = told(here, shot(here, 250), carried_slopes=tuple(against), **changes).feature_slopes
    assert own[0][1] == pytest.approx(told(here, shot(here, 250), **changes).feature_slopes[0][1], abs=0.05)


def test_clocks_of_all_grids_tell_what_moves_and_exchanges_cost() -> None:
    world = simulated("normal", 4)
    holes, outcomes = holes_of(world.grid.targets), shot(world, 40)
    assert moves_of_all([(holes, outcomes)]) == learnt_moves(holes, outcomes)
    assert moves_of_all([(holes, outcomes), (holes, [])]) == learnt_moves(holes, outcomes)
    changes = [(3_600_000_000 * n, "ab"[n % 2]) for n in range(40)]
    assert exchange_minutes(changes, 30.0) == pytest.approx(60.0, rel=0.1)
    assert exchange_minutes(changes[:1], 30.0) == pytest.approx(30.0)
