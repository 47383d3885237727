"""One strategy on one grid: it is told what frazil would know and names holes; the microscope shoots them in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from frazil.models.grid_target import GridTarget
from frazil.models.simulation.grid.clock import MoveTimes
from frazil.models.simulation.grid.microscope import Exposure, SimulatedMicroscope
from frazil.models.simulation.grid.truth import GridTruth, hole_target_id

PARTICLES_ERROR_LN, LOSS_ERROR_LN = 0.08, 0.1
"""Of what picking and the causal prior would measure of an exposure."""
ASKED_AGAIN_AFTER = 10
"""Exposures: a list is fetched while a group of holes is shot."""
_MEASURED = 9  # purpose of random streams


@dataclass(frozen=True, slots=True)
class Measured:
    """What frazil has measured of one exposure."""

    target_id: str
    ended_s: float
    resolution_angstrom: float
    particles: float
    loss_ln: float


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a strategy says before the next exposures; intervals of 80 %."""

    holes: tuple[tuple[int, float, float | None, float | None], ...] = ()
    """(hole, probability that it is usable, effective signal if usable: low, high)."""
    squares: tuple[tuple[int, float, float], ...] = ()
    """(square, share of what is left of it that is usable: low, high)."""
    more: float | None = None
    """What the minutes left will bring."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a strategy may know."""

    targets: tuple[GridTarget, ...]
    hole_of: dict[str, int]
    """Index of each chosen hole by its target."""
    measured: tuple[Measured, ...]
    open_holes: npt.NDArray[np.intp]
    at: int | None
    """The hole that was shot last."""
    minutes_left: float


class Strategy(Protocol):
    def next(self, seen: Seen) -> Sequence[int]:
        """Holes to take, in this order; fewer than all is enough."""

    def foretold(self) -> Foretold:
        """With the holes that were named last."""


@dataclass(slots=True)
class Run:
    """What became of it."""

    exposures: list[Exposure] = field(default_factory=list)
    foretold: list[tuple[int, float, Foretold]] = field(default_factory=list)
    """(exposures made, minute, what was said then)."""

    @property
    def effective_signal(self) -> float:
        return math.fsum(one.effective_signal for one in self.exposures)

    @property
    def usable(self) -> int:
        return sum(one.usable for one in self.exposures)


def measure(truth: GridTruth, one: Exposure) -> Measured:
    """With errors that depend on the hole only."""
    errors = truth.rng(_MEASURED, one.hole).normal(size=2)
    return Measured(
        hole_target_id(int(truth.holes.number[one.hole])), one.ended_s, one.resolution_angstrom,
        one.particles * math.exp(PARTICLES_ERROR_LN * errors[0]), one.loss_ln + LOSS_ERROR_LN * errors[1],
    )  # fmt: skip


def run(
    truth: GridTruth,
    targets: tuple[GridTarget, ...],
    chosen: npt.NDArray[np.bool_],
    strategy: Strategy,
    minutes: float,
    times: MoveTimes | None = None,
) -> Run:
    """Until the exposure that would end after the time, or until nothing is left; `targets` is what is known before."""
    microscope, found = SimulatedMicroscope(truth, times), Run()
    hole_of = {hole_target_id(int(truth.holes.number[at])): at for at in np.flatnonzero(chosen).tolist()}
    measured: list[Measured] = []
    at: int | None = None
    while True:
        left = chosen & ~microscope.exposed
        if not left.any():
            return found
        minute = microscope.clock.elapsed_s / 60.0
        seen = Seen(targets, hole_of, tuple(measured), np.flatnonzero(left), at, minutes - minute)
        named = [hole for hole in strategy.next(seen) if left[hole]][:ASKED_AGAIN_AFTER]
        found.foretold.append((len(found.exposures), minute, strategy.foretold()))
        for hole in named or np.flatnonzero(left)[:1].tolist():
            if microscope.clock.elapsed_s + microscope.clock.peek(hole).total_s > 60.0 * minutes:
                return found
            one = microscope.shoot(hole)
            found.exposures.append(one)
            measured.append(measure(truth, one))
            at = hole
