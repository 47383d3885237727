"""What frazil is compared with: orders that people use, chance, and oracles with the same costs.

An oracle plans with the price of a minute: at price p it takes of each patch the holes that bring more than p times
their minutes, and goes to a patch, square, area if what is taken there is worth the way; of plans at many prices it
follows the one that brings most in time. What it knows of a hole is either all but the luck of the shot (`oracle`), or
the outcome itself (`prophet`: nobody can do better).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.where_closed_loop.loop import Foretold, Seen
from frazil.models.simulation.grid.clock import MoveTimes
from frazil.models.simulation.grid.survey import ATTENUATION_NM, VACUUM_COUNTS, Brightness
from frazil.models.simulation.grid.truth import Array, GridTruth

WINDOW_NM = (15.0, 70.0)
_PRICES = 120


class _Fixed:
    """One list for the whole run."""

    def __init__(self, holes: npt.NDArray[np.intp]) -> None:
        self._holes = holes

    def next(self, seen: Seen) -> Sequence[int]:
        left = self._holes[np.isin(self._holes, seen.open_holes)]
        return left.tolist()

    def foretold(self) -> Foretold:
        return Foretold()


class Scan(_Fixed):
    """In the order in which the program lists them: squares, patches, rows."""

    def __init__(self, chosen: npt.NDArray[np.bool_]) -> None:
        super().__init__(np.flatnonzero(chosen))


class WindowedScan(_Fixed):
    """The same with an ice filter that is set right, once, for the whole grid; what it leaves out comes last."""

    def __init__(self, chosen: npt.NDArray[np.bool_], seen: Brightness) -> None:
        ice_nm = -ATTENUATION_NM * np.log(np.maximum(seen.mean, 1.0) / VACUUM_COUNTS)
        kept = chosen & (ice_nm >= WINDOW_NM[0]) & (ice_nm <= WINDOW_NM[1])
        super().__init__(np.concatenate([np.flatnonzero(kept), np.flatnonzero(chosen & ~kept)]))


class Chance(_Fixed):
    """Any hole, wherever it lies."""

    def __init__(self, chosen: npt.NDArray[np.bool_], seed: int) -> None:
        super().__init__(np.random.default_rng(seed).permutation(np.flatnonzero(chosen)))


class ChanceOfSquares(_Fixed):
    """Squares in any order, each whole."""

    def __init__(self, truth: GridTruth, chosen: npt.NDArray[np.bool_], seed: int) -> None:
        rank = np.random.default_rng(seed).permutation(len(truth.squares))
        holes = np.flatnonzero(chosen)
        super().__init__(holes[np.argsort(rank[truth.holes.square[holes]], kind="stable")])


class Oracle:
    """Knows what each hole is worth."""

    def __init__(self, truth: GridTruth, value: Array, times: MoveTimes) -> None:
        self._truth, self._value = truth, value
        hole_s = times.stage_s + times.wait_s + times.exposure_s
        self._hole = hole_s / 60.0
        self._ways = times.focus_s / 60.0, times.square_s / 60.0, times.area_s / 60.0
        self._plan: list[int] = []

    def foretold(self) -> Foretold:
        return Foretold()

    def next(self, seen: Seen) -> Sequence[int]:
        """The plan is made once; what is left when it is done is planned again."""
        left = set(seen.open_holes.tolist())
        rest = [hole for hole in self._plan if hole in left]
        if not rest:
            rest = self._plan = self._planned(seen)
        return rest

    def _planned(self, seen: Seen) -> list[int]:
        """Of plans at many prices the one that brings most before the time is up, by the medians of the times."""
        most = float(self._value[seen.open_holes].max(initial=0.0)) / self._hole
        plans = [self._at(price, seen.open_holes) for price in np.linspace(0.0, most, _PRICES)]
        best = max(plans, key=lambda plan: self._within(plan, seen.minutes_left))
        return best or [int(seen.open_holes[np.argmax(self._value[seen.open_holes])])]

    def _within(self, plan: list[int], minutes_left: float) -> float:
        """What a plan brings in so many minutes."""
        if not plan:
            return 0.0
        at = np.array(plan)
        levels = np.stack([self._truth.holes.patch[at], self._truth.holes.square[at], self._truth.area[at]])
        changed = np.concatenate([np.ones((3, 1), dtype=bool), np.diff(levels, axis=1) != 0], axis=1)
        ends = np.cumsum(self._hole + np.array(self._ways) @ changed)
        return float(self._value[at[ends <= minutes_left]].sum())

    def _at(self, price: float, open_holes: npt.NDArray[np.intp]) -> list[int]:
        """Holes of the plan at a price, the best areas first, in them the best squares."""
        holes, value = self._truth.holes, self._value
        taken = open_holes[value[open_holes] > price * self._hole]
        area_of = self._truth.area
        patches: dict[int, list[int]] = {}
        for hole in taken.tolist():
            patches.setdefault(int(holes.patch[hole]), []).append(hole)
        squares: dict[int, tuple[float, float, list[int]]] = {}
        for members in patches.values():
            minutes = len(members) * self._hole + self._ways[0]
            gain = float(value[members].sum())
            if gain > price * minutes:
                before = squares.get(int(holes.square[members[0]]), (0.0, 0.0, []))
                squares[int(holes.square[members[0]])] = (before[0] + gain, before[1] + minutes, before[2] + members)
        areas: dict[int, tuple[float, float, list[tuple[float, list[int]]]]] = {}
        for gain, minutes, members in squares.values():
            minutes += self._ways[1]
            if gain > price * minutes:
                area = int(area_of[members[0]])
                known = areas.get(area, (0.0, 0.0, []))
                areas[area] = (known[0] + gain, known[1] + minutes, [*known[2], (gain / minutes, members)])
        kept = []
        for gain, minutes, inside in areas.values():
            if gain > price * (minutes + self._ways[2]):
                kept.append((gain / (minutes + self._ways[2]), sorted(inside, key=lambda one: -one[0])))
        kept.sort(key=lambda one: -one[0])
        return [hole for _, inside in kept for _, members in inside for hole in members]
