"""A simulated microscope on a grid: goes to a hole, exposes it, tells what that took and gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from frazil.models.simulation.grid.clock import Clock, MoveTimes, Taken
from frazil.models.simulation.grid.exposure import (
    Conditions,
    Luck,
    draw_luck,
    passing_loss_ln,
    shoot,
    standing_loss_ln,
)
from frazil.models.simulation.grid.truth import Array, GridTruth, HoleTruth, Index


@dataclass(frozen=True, slots=True)
class Exposure:
    """One shot, and all that is true of it."""

    shot: int
    """From 0."""
    hole: int
    """Index of the hole."""
    begun_s: float
    ended_s: float
    """On the microscope's clock."""
    taken: Taken
    particles: float
    loss_ln: float
    resolution_angstrom: float
    fit_quality: float
    drift_angstrom_per_s: float
    usable: bool
    effective_signal: float


class SimulatedMicroscope:
    """Every hole can be shot once."""

    def __init__(self, truth: GridTruth, times: MoveTimes | None = None) -> None:
        self.truth = truth
        self.clock = Clock(truth, times)
        self.exposed = np.zeros(len(truth.holes), dtype=bool)
        self._luck = draw_luck(truth)
        self._shots = 0

    def shoot(self, hole: int) -> Exposure:
        """Move, wait, expose. Raises `ValueError` for a hole that was shot already."""
        if self.exposed[hole]:
            raise ValueError(f"hole {hole} was exposed before")
        begun_s = self.clock.elapsed_s
        taken = self.clock.take(hole)
        self.exposed[hole] = True
        only = _only(self.truth, self._luck, np.array([hole], dtype=np.intp))
        given = shoot(*only, Conditions(taken.waited_s, taken.image_shift_um))
        self._shots += 1
        return Exposure(
            self._shots - 1, hole, begun_s, self.clock.elapsed_s, taken, float(given.particles[0]),
            float(given.loss_ln[0]), float(given.resolution_angstrom[0]), float(given.fit_quality[0]),
            float(given.drift_angstrom_per_s[0]), bool(given.usable[0]), float(given.effective_signal[0]),
        )  # fmt: skip

    def losses_ln(self, exposures: Sequence[Exposure], resolution_angstrom: float) -> Array:
        """Of ln SSNR at another resolution than the target's, (exposures,)."""
        at = np.array([one.hole for one in exposures], dtype=np.intp)
        some, luck = _only(self.truth, self._luck, at)
        conditions = Conditions(
            np.array([one.taken.waited_s for one in exposures]),
            np.array([one.taken.image_shift_um for one in exposures]),
        )
        passing = passing_loss_ln(some, luck, conditions, resolution_angstrom)
        return np.asarray(standing_loss_ln(some, resolution_angstrom) + passing)


def _only(truth: GridTruth, luck: Luck, at: Index) -> tuple[GridTruth, Luck]:
    """The grid and its luck with these holes only."""
    holes = HoleTruth(*(getattr(truth.holes, field.name)[at] for field in fields(HoleTruth)))
    return replace(truth, holes=holes), Luck(*(getattr(luck, field.name)[at] for field in fields(Luck)))
