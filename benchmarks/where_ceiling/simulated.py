"""The plan of `models/targets` on simulated grids, told more than anybody can know: what each kind of knowledge is
worth.

`answers`: what each hole gives, but for the luck of the shot. `ice and squares`: the ice and the crystals of each hole,
and how dense particles lie in each square. `ice`: the first alone. `ice, squares learnt`: the same, and the density
learnt from the exposures on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.where_closed_loop.loop import ASKED_AGAIN_AFTER, Foretold, Seen
from benchmarks.where_closed_loop.strategies import Grid, rival, run_one
from frazil.models.simulation.grid.exposure import expected_signal
from frazil.models.simulation.grid.truth import Array, hole_target_id
from frazil.models.targets import outcomes as measured
from frazil.models.targets.belief import learn
from frazil.models.targets.choice import choose, forecast_of, situation
from frazil.models.targets.costs import learnt_moves
from frazil.models.targets.features import Columns, Hypothesis
from frazil.models.targets.itinerary import following
from frazil.models.targets.policy import arranged, open_holes
from frazil.models.targets.probing import Forecast
from frazil.models.targets.records import USABLE_ANGSTROM, Outcome, TargetSettings

KNOWN = ("answers", "ice and squares", "ice", "ice, squares learnt")
_LEAST_SIGNAL = 1e-3
_NO_SIGNAL = 0.5
"""Holes that are expected to bring less tell nothing of density."""


class Told:
    """frazil's plan with the worth of each hole told; `learning`: but for a factor of its square and patch."""

    def __init__(self, grid: Grid, value: Array, *, learning: bool) -> None:
        truth, self._learning = grid.truth, learning
        self._hole_of = {hole_target_id(int(truth.holes.number[at])): at for at in np.flatnonzero(grid.chosen).tolist()}
        self._holes = arranged(
            [one for one in grid.targets(None) if one.level != "hole" or one.target_id in self._hole_of],
            TargetSettings(),
        ).holes
        self._value = np.maximum(value[[self._hole_of[name] for name in self._holes.ids]], _LEAST_SIGNAL)

    def foretold(self) -> Foretold:
        return Foretold()

    def next(self, seen: Seen) -> Sequence[int]:
        outcomes = [
            Outcome(one.target_id, one.resolution_angstrom, one.particles, one.loss_ln, round(1e6 * one.ended_s))
            for one in seen.measured
        ]
        holes = self._holes
        at = holes.index[outcomes[-1].target_id] if outcomes else None
        value = self._learnt(outcomes) if self._learning else self._value
        surely = np.full(len(value), -3.0), np.full(len(value), 0.01)
        levels = np.zeros(len(holes.area_of_square)), np.zeros(len(holes.square_of_patch)) + 1e-9
        forecast = Forecast(*surely, value, *levels, 0.01)
        now = situation(
            holes, forecast, value, open_holes(holes, outcomes), at, learnt_moves(holes, outcomes), seen.minutes_left
        )
        choice = choose(now)
        if choice is None:
            return []
        return [self._hole_of[holes.ids[one]] for one in following(now, choice, ASKED_AGAIN_AFTER)]

    def _learnt(self, outcomes: Sequence[Outcome]) -> Array:
        ln_value = np.log(self._value)
        middle = float(np.median(ln_value[self._value > _NO_SIGNAL]))
        column = ln_value - middle
        columns = Columns(("ice",), (True,), column[:, None], np.ones(1))
        right = Hypothesis("right", 1.0, np.array([0.0, 1.0]), np.array([0.1, 0.02]))
        seen = measured.seen_signal(outcomes, self._holes.index, USABLE_ANGSTROM)
        telling = self._value[seen.hole] > _NO_SIGNAL
        kept = measured.Seen(seen.hole[telling], seen.value[telling] - middle)
        outlooks = learn(self._holes, columns, kept, (right,)).outlooks()
        return np.asarray(np.exp(forecast_of(outlooks, np.ones(len(column))).mean + middle))


def signals(grid: Grid, hours: float) -> dict[str, float]:
    """Effective signal of the oracle and of each of `KNOWN`."""
    truth = grid.truth
    holes = truth.holes
    count = np.maximum(np.bincount(holes.square), 1)
    of_square = (np.bincount(holes.square, holes.density_ln) / count)[holes.square]
    ice = expected_signal(replace(truth, holes=replace(holes, density_ln=np.zeros(len(holes)))))
    values: dict[str, Callable[[], Array]] = {
        "answers": lambda: grid.expected,
        "ice and squares": lambda: expected_signal(replace(truth, holes=replace(holes, density_ln=of_square))),
        "ice": lambda: ice,
        "ice, squares learnt": lambda: ice,
    }
    found = {"oracle": run_one(grid, rival(grid, "oracle"), grid.seen, hours).effective_signal}
    for name in KNOWN:
        strategy = Told(grid, values[name](), learning=name == "ice, squares learnt")
        found[name] = run_one(grid, strategy, grid.seen, hours).effective_signal
    return found
