"""frazil on a recorded grid: it is given the table of places and, as they come, the outcomes of what it has shot; no
more."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from benchmarks.where_next.grid import Grid
from benchmarks.where_next.microscope import Microscope
from frazil.models.targets.choice import choose, situation
from frazil.models.targets.itinerary import following
from frazil.models.targets.policy import Outlooks, arranged, open_holes, outlooks_of
from frazil.models.targets.records import MoveMinutes, Outcome, TargetSettings

ASKED_EACH = 24
"""Until so many exposures are made frazil is asked after each,"""
ASKED_EVERY = 4
"""and later after so many, as results come late in a session, too."""
KEPT_AT = 60
"""Exposures after which what frazil expects is kept, to be held against the truth."""


class Frazil:
    """Asked for the next hole."""

    def __init__(self, grid: Grid, seed: int, moves: MoveMinutes) -> None:
        self._settings = TargetSettings(moves=moves)
        self._moves = moves
        self._places = arranged(grid.targets, self._settings)
        self._next: list[int] = []
        self.kept: Outlooks | None = None

    def choose(self, microscope: Microscope) -> int:
        if not self._next:
            self._next = self._asked(microscope)
        return self._next.pop(0)

    def _asked(self, microscope: Microscope) -> list[int]:
        holes, shots = self._places.holes, microscope.shots
        outcomes = [Outcome(holes.ids[one.hole], resolution_angstrom=one.resolution_angstrom) for one in shots]
        known = outlooks_of(self._places, outcomes, self._settings)
        if len(shots) >= KEPT_AT and self.kept is None:
            self.kept = known
        left = microscope.budget_minutes - microscope.minute
        value = known.usable * known.forecast.weight
        now = situation(holes, known.forecast, value, open_holes(holes, outcomes), shots[-1].hole, self._moves, left)
        choice = choose(now)
        assert choice is not None
        if len(shots) < ASKED_EACH or choice.kind != "stay":
            return [choice.hole]
        same = holes.stop[choice.hole]
        return [one for one in following(now, choice, ASKED_EVERY) if holes.stop[one] == same]


def rank_correlation(known: Outlooks, grid: Grid) -> float:
    """Spearman's, of expected and true resolution on the unshot holes of squares where something was shot."""
    shot = np.zeros(len(grid.hole_ids), dtype=bool)
    shot[known.seen.hole] = True
    asked = ~shot & np.isin(grid.square, grid.square[shot])
    return float(spearmanr(known.forecast.mean[asked], grid.resolution_angstrom[asked]).statistic)
