"""What frazil is compared with: the order of acquisition, chance, the best prediction first; and the best route of all.

`greedy` shoots what is predicted to be good in the patch at hand, the best first; then goes to the patch that has most
predicted good holes for its minutes, the way included. `oracle` knows every answer: no policy can do better.
"""

from __future__ import annotations

import numpy as np

from benchmarks.where_next.grid import Array, Grid, Index
from benchmarks.where_next.microscope import Microscope
from frazil.models.targets.records import USABLE_ANGSTROM, MoveMinutes


class Scan:
    """In order of acquisition, from the start on, and from the first on after the last."""

    def __init__(self, grid: Grid, seed: int) -> None:
        self._holes = len(grid.hole_ids)

    def choose(self, microscope: Microscope) -> int:
        return (microscope.at + 1) % self._holes


class Chance:
    """Any hole."""

    def __init__(self, grid: Grid, seed: int) -> None:
        self._chance = np.random.default_rng(seed)

    def choose(self, microscope: Microscope) -> int:
        return int(self._chance.choice(microscope.open_holes))


class Greedy:
    """The best prediction first, by patches."""

    def __init__(self, grid: Grid, seed: int) -> None:
        self._grid = grid

    def choose(self, microscope: Microscope) -> int:
        grid, open_holes = self._grid, microscope.open_holes
        predicted = grid.predicted_angstrom[open_holes]
        hopeful = open_holes[predicted < USABLE_ANGSTROM]
        if not hopeful.size:
            return int(open_holes[np.argmin(predicted)])
        here = hopeful[grid.patch[hopeful] == grid.patch[microscope.at]]
        if here.size:
            return int(here[np.argmin(grid.predicted_angstrom[here])])
        count = np.bincount(grid.patch[hopeful], minlength=int(grid.patch.max()) + 1)[grid.patch[hopeful]]
        minutes = microscope.minutes_to()[hopeful] + 2.0 * (count - 1)
        rank = np.lexsort((grid.predicted_angstrom[hopeful], -count / minutes))
        return int(hopeful[rank[0]])


def oracle(grid: Grid, start: int, moves: MoveMinutes, budget_minutes: int) -> Index:
    """Most good exposures that any route from `start` reaches, for every number of minutes up to the budget: (budget +
    1,).

    Patches are gone to once each (a way back costs more than it can bring), squares and areas in one piece; so a route
    is a choice of patches and of good holes in them, and the choice is a knapsack inside a knapsack (patches in a
    square, squares in an area, areas on the grid), solved exactly minute by minute.
    """
    good = grid.resolution_angstrom < USABLE_ANGSTROM
    minutes = int(budget_minutes)
    grid_best = np.zeros(minutes + 1, dtype=np.int64)
    here = {"area": grid.area[start], "square": grid.square[start], "patch": grid.patch[start]}
    for area in np.unique(grid.area):
        area_best = np.zeros(minutes + 1, dtype=np.int64)
        for square in np.unique(grid.square[grid.area == area]):
            square_best = np.zeros(minutes + 1, dtype=np.int64)
            for patch in np.unique(grid.patch[grid.square == square]):
                own = patch == here["patch"]
                count = int(good[grid.patch == patch].sum()) - int(own and good[start])
                square_best = _with_patch(square_best, count, 0.0 if own else moves.patch - moves.hole, moves.hole)
            entry = 0.0 if square == here["square"] else moves.square - moves.patch
            area_best = _together(area_best, _later(square_best, entry))
        entry = 0.0 if area == here["area"] else moves.area - moves.square
        grid_best = _together(grid_best, _later(area_best, entry))
    return _later(grid_best, moves.hole) + np.where(np.arange(minutes + 1) >= moves.hole, int(good[start]), 0)


def _with_patch(best: Index, count: int, entry: float, hole_minutes: float) -> Index:
    """With up to `count` good holes of one more patch."""
    found = best.copy()
    for taken in range(1, count + 1):
        minutes = int(entry + taken * hole_minutes)
        if minutes >= len(best):
            break
        found[minutes:] = np.maximum(found[minutes:], best[: len(best) - minutes] + taken)
    return found


def _later(best: Index, minutes: float) -> Index:
    """The same after a way of so many minutes; 0 before."""
    found = np.zeros_like(best)
    found[int(minutes) :] = best[: len(best) - int(minutes)]
    return found


def _together(one: Index, other: Index) -> Index:
    """The most of both in the same minutes."""
    found = np.maximum(one, other)
    for minutes in np.flatnonzero(np.diff(other, prepend=0)):
        if other[minutes] > 0:
            found[minutes:] = np.maximum(found[minutes:], one[: len(one) - minutes] + other[minutes])
    return found


def good_by_minute(microscope: Microscope, minutes: tuple[float, ...]) -> Array:
    """Good exposures that had ended by each of these."""
    return np.array([sum(shot.good for shot in microscope.shots if shot.minute <= end) for end in minutes], dtype=float)
