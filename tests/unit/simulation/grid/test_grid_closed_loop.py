"""The closed loop of `./run bench where_closed_loop`: nobody is told more than was shot; who knows more brings more."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.where_closed_loop.calibration import Intervals
from benchmarks.where_closed_loop.loop import Foretold, run
from benchmarks.where_closed_loop.map_end import B_A2, foretold_map, true_resolution_angstrom
from benchmarks.where_closed_loop.strategies import RIVALS, frazil, make_grid, rival, run_one, shuffled
from frazil.models.simulation.grid.microscope import SimulatedMicroscope
from frazil.models.simulation.grid.settings import grid_of_kind


@pytest.fixture(scope="module")
def grid():
    return make_grid(grid_of_kind("patchy", 21).with_changes(film={"squares_a_side": 4, "surveyed_squares": 5}))


def test_who_knows_more_brings_more(grid):
    found = {name: run_one(grid, rival(grid, name), grid.seen, 3.0) for name in RIVALS}
    signal = {name: one.effective_signal for name, one in found.items()}
    assert signal["prophet"] > signal["oracle"] > signal["scan"] > signal["chance"]
    for one in found.values():
        holes = [each.hole for each in one.exposures]
        assert len(set(holes)) == len(holes)
        assert grid.chosen[holes].all()
        assert one.exposures[-1].ended_s <= 3.0 * 3600.0
    # What the prophet was promised is what it got.
    promised = grid.as_shot.effective_signal[[each.hole for each in found["prophet"].exposures]].sum()
    assert found["prophet"].effective_signal == pytest.approx(promised, rel=1e-9)


class _Spy:
    """Takes the last hole that is open, and keeps what it was told."""

    def __init__(self):
        self.told = []

    def next(self, seen):
        self.told.append(seen)
        return [int(seen.open_holes[-1])]

    def foretold(self):
        return Foretold()


def test_a_strategy_is_told_of_its_own_shots_only_and_the_time_runs_down(grid):
    spy = _Spy()
    found = run(grid.truth, grid.targets(grid.seen), grid.chosen, spy, 30.0, grid.times)
    assert len(found.exposures) > 5
    for number, seen in enumerate(spy.told):
        assert len(seen.measured) == number
        assert len(seen.open_holes) == grid.chosen.sum() - number
    for one, measured in zip(found.exposures, spy.told[-1].measured, strict=False):
        assert measured.target_id == f"epu:hole:{grid.truth.holes.number[one.hole]}"
        assert measured.resolution_angstrom == one.resolution_angstrom
        if one.particles:
            assert abs(math.log(measured.particles / one.particles)) < 0.5
    left = [seen.minutes_left for seen in spy.told]
    assert left == sorted(left, reverse=True)


def test_frazil_obeys_the_grid_and_foretells_what_can_be_scored(grid):
    strategy, seen = frazil(grid, "frazil")
    found = run_one(grid, strategy, seen, 1.0)
    assert len(found.exposures) > 20
    said = found.foretold[-1][2]
    assert said.more is not None
    assert said.more > 0.0
    assert all(0.0 <= low <= high <= 1.0 for _, low, high in said.squares)
    assert {square for square, _, _ in said.squares} <= set(np.flatnonzero([s.surveyed for s in grid.truth.squares]))
    assert seen is grid.seen


def test_shuffled_intensities_say_nothing(grid):
    ice = grid.truth.holes.ice_nm[grid.chosen]
    right, wrong = (np.corrcoef(seen.mean[grid.chosen], ice)[0, 1] for seen in (grid.seen, shuffled(grid)))
    assert right < -0.6
    assert abs(wrong) < 0.15


def test_twice_the_particles_move_the_map_by_the_line_of_its_b_factor(grid):
    """Every exposure twice: 1 / d^2 grows by 2 ln 2 / B', B' with the losses' slope; B' = B where they are flat."""
    microscope = SimulatedMicroscope(grid.truth, grid.times)
    thin = [hole for hole in np.flatnonzero(grid.chosen) if 18.0 < grid.truth.holes.ice_nm[hole] < 26.0][:60]
    exposures = [microscope.shoot(int(hole)) for hole in thin]
    once = true_resolution_angstrom(microscope, exposures)
    twice = true_resolution_angstrom(microscope, [replace(one, particles=2 * one.particles) for one in exposures])
    gain = twice**-2.0 - once**-2.0
    assert 0.7 * 2.0 * math.log(2.0) / B_A2 < gain < 1.02 * 2.0 * math.log(2.0) / B_A2
    told = [foretold_map(once, math.log(2.0), 0.0, np.random.default_rng(seed)) for seed in range(200)]
    held = np.mean([one.low <= twice <= one.high for one in told])
    assert 0.7 < held < 0.95
    assert foretold_map(math.inf, 1.0, 0.1, np.random.default_rng(1)) is None


def test_intervals_count_what_they_hold():
    kept = Intervals()
    for truth in (0.5, 1.5, 2.5, -1.0):
        kept.add(0.0, 2.0, truth)
    assert kept.with_others(Intervals(1, 1, 0)).as_json() == {
        "told": 5, "held_share": 0.6, "truth_above_share": 0.2,
    }  # fmt: skip
