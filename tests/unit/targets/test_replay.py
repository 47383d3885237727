"""The replay of a grid: its clock, its best route, and that no policy sees what it has not shot."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.where_ceiling.recorded import without_itself
from benchmarks.where_next.frazil_policy import Frazil
from benchmarks.where_next.grid import Grid
from benchmarks.where_next.microscope import MOVES, Microscope, minutes_from
from benchmarks.where_next.rivals import Scan, oracle
from benchmarks.where_next.simulated import simulated


def _small(seed: int) -> Grid:
    """Eight holes: two areas, three squares, five patches."""
    chance = np.random.default_rng(seed)
    area, square, patch = (
        np.array(part) for part in ([0] * 5 + [1] * 3, [0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 2, 2, 3, 4, 4])
    )
    resolution = np.where(chance.random(8) < 0.6, 4.0, 9.0)
    return Grid((), tuple("abcdefgh"), area, square, patch, np.full(8, np.nan), resolution)


def _best_of_all_routes(grid: Grid, start: int, budget: float) -> int:
    best = 0
    for length in range(len(grid.hole_ids)):
        for rest in itertools.permutations(set(range(8)) - {start}, length):
            minute, at = MOVES.hole, start
            for hole in rest:
                minute += minutes_from(grid, at, MOVES)[hole]
                at = hole
            if minute <= budget:
                best = max(best, int((grid.resolution_angstrom[[start, *rest]] < 6.0).sum()))
    return best


@pytest.mark.parametrize(("seed", "start", "budget"), [(1, 0, 20), (2, 3, 27), (3, 7, 33)])
def test_the_oracle_is_the_best_of_all_routes(seed: int, start: int, budget: int) -> None:
    grid = _small(seed)
    assert oracle(grid, start, MOVES, budget)[budget] == _best_of_all_routes(grid, start, budget)


def test_a_move_costs_its_highest_level_and_the_run_ends_before_the_budget_is_exceeded() -> None:
    microscope = Microscope(_small(1), 0, MOVES, 2 + 2 + 5 + 10 + 15)
    for hole in (1, 2, 3, 5):
        assert microscope.shoot(hole)
    assert [shot.minute for shot in microscope.shots] == [2, 4, 9, 19, 34]
    assert not microscope.shoot(6)
    assert len(microscope.shots) == 5
    with pytest.raises(ValueError, match="shot already"):
        microscope.shoot(3)


def test_scan_goes_on_with_the_first_after_the_last() -> None:
    grid = _small(1)
    microscope = Microscope(grid, 6, MOVES, 1000.0)
    scan = Scan(grid, 0)
    for _ in range(3):
        microscope.shoot(scan.choose(microscope))
    assert [shot.hole for shot in microscope.shots] == [6, 7, 0, 1]


def _route(grid: Grid, shots: int, poison_after: int | None) -> list[int]:
    """Holes that frazil shoots; after `poison_after` of them what all others give is turned into its opposite."""
    grid = Grid(*(getattr(grid, name) for name in grid.__dataclass_fields__))
    object.__setattr__(grid, "resolution_angstrom", grid.resolution_angstrom.copy())
    microscope = Microscope(grid, 40, MOVES, 1e6)
    policy = Frazil(grid, 0, MOVES)
    while len(microscope.shots) < shots:
        if len(microscope.shots) == poison_after:
            unshot = microscope.open_holes
            grid.resolution_angstrom[unshot] = 36.0 / grid.resolution_angstrom[unshot]
        microscope.shoot(policy.choose(microscope))
    return [shot.hole for shot in microscope.shots]


@pytest.mark.parametrize("predicted", [True, False])
@pytest.mark.parametrize("step", [1, 5, 12])
def test_what_is_not_shot_yet_never_changes_a_choice(predicted: bool, step: int) -> None:
    world = simulated("two_kinds", 3, areas=2, squares=2, patches=2).grid
    grid = world if predicted else world.with_predictions(None)
    honest, poisoned = _route(grid, step + 8, None), _route(grid, step + 8, step)
    assert honest[: step + 1] == poisoned[: step + 1]


def test_the_places_that_frazil_is_given_say_nothing_of_outcomes() -> None:
    world = simulated("normal", 4).grid
    other = Grid(*(getattr(world, name) for name in world.__dataclass_fields__))
    object.__setattr__(other, "resolution_angstrom", 36.0 / world.resolution_angstrom)
    assert other.targets == world.targets
    assert {one.state for one in world.targets} == {"seen"}


def test_a_hole_is_ranked_from_all_others_and_never_from_itself() -> None:
    world = simulated("normal", 5, areas=1, squares=2, patches=2).grid
    before = without_itself(world)
    for hole in (0, 37):
        world.resolution_angstrom[hole] *= 1.7
        after = without_itself(world)
        assert after[hole] == pytest.approx(before[hole], abs=1e-9)
        assert np.abs(np.delete(after - before, hole)).max() > 0.01
        before = after
