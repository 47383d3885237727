"""All strategies on one grid, and what is made of the hole intensities for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.where_closed_loop.loop import ASKED_AGAIN_AFTER, Foretold, Run, Seen, Strategy, run
from benchmarks.where_closed_loop.rivals import Chance, ChanceOfSquares, Oracle, Scan, WindowedScan
from frazil.models.grid_target import GridTarget
from frazil.models.simulation.grid.clock import Clock, MoveTimes
from frazil.models.simulation.grid.draw import draw_grid
from frazil.models.simulation.grid.exposure import Conditions, Shots, draw_luck, expected_signal, shoot
from frazil.models.simulation.grid.settings import GridSettings
from frazil.models.simulation.grid.survey import Brightness, brightness, chosen_holes, known_targets
from frazil.models.simulation.grid.truth import Array, GridTruth, hole_target_id, square_target_id
from frazil.models.targets.policy import arranged, next_targets
from frazil.models.targets.records import NextTargets, Outcome, TargetSettings

RIVALS = ("scan", "windowed scan", "chance", "chance of squares", "oracle", "prophet")
FRAZIL = ("frazil", "frazil live only", "frazil shuffled", "frazil inverted")


@dataclass(frozen=True, slots=True)
class Grid:
    """A drawn grid, and what is known of it before a shot."""

    truth: GridTruth
    seen: Brightness
    chosen: npt.NDArray[np.bool_]
    expected: Array
    """Effective signal of each hole, over luck."""
    as_shot: Shots
    """What each hole gives when the stage goes to it."""
    times: MoveTimes

    def targets(self, seen: Brightness | None) -> tuple[GridTarget, ...]:
        return known_targets(self.truth, seen, self.chosen)


def make_grid(settings: GridSettings) -> Grid:
    truth, times = draw_grid(settings), MoveTimes()
    seen = brightness(truth)
    clock = Clock(truth, times)
    wait_s = np.array([clock.peek(hole).waited_s for hole in range(len(truth.holes))])
    as_shot = shoot(truth, draw_luck(truth), Conditions(wait_s))
    return Grid(truth, seen, chosen_holes(truth, seen), expected_signal(truth), as_shot, times)


def rival(grid: Grid, name: str) -> Strategy:
    truth, chosen, seed = grid.truth, grid.chosen, grid.truth.settings.seed
    made: dict[str, Callable[[], Strategy]] = {
        "scan": lambda: Scan(chosen),
        "windowed scan": lambda: WindowedScan(chosen, grid.seen),
        "chance": lambda: Chance(chosen, seed),
        "chance of squares": lambda: ChanceOfSquares(truth, chosen, seed),
        "oracle": lambda: Oracle(truth, grid.expected, grid.times),
        "prophet": lambda: Oracle(truth, grid.as_shot.effective_signal, grid.times),
    }
    return made[name]()


def shuffled(grid: Grid) -> Brightness:
    """Intensities that belong to other holes: they say nothing."""
    order = np.flatnonzero(grid.chosen)
    other = np.random.default_rng(grid.truth.settings.seed).permutation(order)
    mean, sd = grid.seen.mean.copy(), grid.seen.sd.copy()
    mean[order], sd[order] = grid.seen.mean[other], grid.seen.sd[other]
    return Brightness(mean, sd)


def inverted(grid: Grid) -> Brightness:
    """Bright for dark."""
    middle = float(np.median(grid.seen.mean[grid.chosen]))
    return replace(grid.seen, mean=2.0 * middle - grid.seen.mean)


def run_one(grid: Grid, strategy: Strategy, seen: Brightness | None, hours: float) -> Run:
    return run(grid.truth, grid.targets(seen), grid.chosen, strategy, 60.0 * hours, grid.times)


class Frazil:
    """`models/targets`, asked as `frazil next` asks it: outcomes so far, hours left, costs learnt from the clock."""

    def __init__(self, targets: tuple[GridTarget, ...], chosen: dict[str, int], squares: dict[str, int]) -> None:
        self._settings = TargetSettings(value="effective_signal", ranked=ASKED_AGAIN_AFTER)
        self._hole_of, self._square_of = chosen, squares
        # What the program has not chosen it would not shoot.
        self._places = arranged(
            [one for one in targets if one.level != "hole" or one.target_id in chosen], self._settings
        )
        self._said: NextTargets | None = None

    def next(self, seen: Seen) -> Sequence[int]:
        outcomes = [
            Outcome(one.target_id, one.resolution_angstrom, one.particles, one.loss_ln, round(1e6 * one.ended_s))
            for one in seen.measured
        ]
        self._said = next_targets(self._places, outcomes, seen.minutes_left, self._settings)
        return [self._hole_of[one.target_id] for one in self._said.ranked]

    def foretold(self) -> Foretold:
        if self._said is None:
            return Foretold()
        return Foretold(
            tuple(
                (self._hole_of[one.target_id], one.usable, one.signal_low, one.signal_high) for one in self._said.ranked
            ),
            tuple(
                (self._square_of[one.square_id], one.usable_low, one.usable_high)
                for one in self._said.squares
                if one.left
            ),
            self._said.expected_more,
        )


def frazil(grid: Grid, name: str) -> tuple[Strategy, Brightness | None]:
    """One of `FRAZIL`, and the intensities that it is told."""
    told = {
        "frazil": lambda: grid.seen,
        "frazil shuffled": lambda: shuffled(grid),
        "frazil inverted": lambda: inverted(grid),
    }
    seen = told[name]() if name in told else None
    truth = grid.truth
    chosen = {hole_target_id(int(truth.holes.number[at])): at for at in np.flatnonzero(grid.chosen).tolist()}
    squares = {square_target_id(square): at for at, square in enumerate(truth.squares)}
    return Frazil(grid.targets(seen), chosen, squares), seen
