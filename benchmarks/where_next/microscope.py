"""A microscope on a recorded grid: it moves at a cost, and tells what a hole gives only when it shoots it.

The clock is that of Li et al. 2022 (CryoRL-pytorch, cryoEM_env.py): an exposure costs the minutes of the highest level
that changed against the one before. The first exposure counts and costs as much as a next hole. The run ends with the
exposure that would exceed the budget: it is not made. An exposure is good below 6 A; holes are shot once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.where_next.grid import Array, Grid, Index
from frazil.models.targets.records import USABLE_ANGSTROM, MoveMinutes

MOVES = MoveMinutes(2.0, 5.0, 10.0, 15.0)
LATER_MOVES = MoveMinutes(1.0, 2.0, 6.0, 8.0)


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure."""

    hole: int
    resolution_angstrom: float
    minute: float
    """Of its end."""

    @property
    def good(self) -> bool:
        return self.resolution_angstrom < USABLE_ANGSTROM


class Microscope:
    """`shots` is all that a policy may learn of outcomes."""

    def __init__(self, grid: Grid, start: int, moves: MoveMinutes, budget_minutes: float) -> None:
        self._grid, self._moves, self.budget_minutes = grid, moves, budget_minutes
        self._taken = np.zeros(len(grid.hole_ids), dtype=bool)
        self.minute = 0.0
        self.shots: list[Shot] = []
        self._shoot(start, moves.hole)

    @property
    def at(self) -> int:
        """The hole that was shot last."""
        return self.shots[-1].hole

    @property
    def open_holes(self) -> Index:
        return np.flatnonzero(~self._taken)

    def minutes_to(self) -> Array:
        """To an exposure of each hole, from here."""
        return minutes_from(self._grid, self.at, self._moves)

    def shoot(self, hole: int) -> bool:
        """False: the time is up, and nothing was shot."""
        if self._taken[hole]:
            raise ValueError(f"hole {hole} was shot already")
        minutes = float(self.minutes_to()[hole])
        if self.minute + minutes > self.budget_minutes:
            return False
        self._shoot(hole, minutes)
        return True

    def _shoot(self, hole: int, minutes: float) -> None:
        self.minute += minutes
        self._taken[hole] = True
        self.shots.append(Shot(hole, float(self._grid.resolution_angstrom[hole]), self.minute))


def minutes_from(grid: Grid, hole: int, moves: MoveMinutes) -> Array:
    """To an exposure of each hole."""
    levels = (grid.area != grid.area[hole], grid.square != grid.square[hole], grid.patch != grid.patch[hole])
    return np.select(levels, (moves.area, moves.square, moves.patch), moves.hole)
