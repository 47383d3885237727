"""Whether what a strategy says before the next exposures comes true as often as it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.where_closed_loop.loop import Run
from benchmarks.where_closed_loop.strategies import Grid

LEAST_LEFT = 10
"""Holes of a square of which a share is scored."""
SQUARES_EVERY_MINUTES = 60.0


@dataclass(slots=True)
class Intervals:
    """How many 80 % intervals were told, how many held the truth, how many lay too low."""

    told: int = 0
    held: int = 0
    too_low: int = 0

    def add(self, low: float, high: float, truth: float) -> None:
        self.told += 1
        self.held += low <= truth <= high
        self.too_low += truth > high

    def with_others(self, other: Intervals) -> Intervals:
        return Intervals(self.told + other.told, self.held + other.held, self.too_low + other.too_low)

    def as_json(self) -> dict[str, Any]:
        return {
            "told": self.told,
            "held_share": None if not self.told else self.held / self.told,
            "truth_above_share": None if not self.told else self.too_low / self.told,
        }


@dataclass(slots=True)
class Calibration:
    signal: Intervals = field(default_factory=Intervals)
    """Effective signal of an exposure that is named next, if it is usable."""
    square_share: Intervals = field(default_factory=Intervals)
    """Share of a square's holes that is usable, of those left in it, once an hour."""
    square_share_at_hand: Intervals = field(default_factory=Intervals)
    """The same, of squares of which something was exposed."""
    usable: list[tuple[float, bool]] = field(default_factory=list)
    """(probability told, whether it was)."""

    def with_others(self, other: Calibration) -> Calibration:
        return Calibration(
            self.signal.with_others(other.signal), self.square_share.with_others(other.square_share),
            self.square_share_at_hand.with_others(other.square_share_at_hand), self.usable + other.usable,
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        told = np.array([chance for chance, _ in self.usable])
        was = np.array([value for _, value in self.usable], dtype=float)
        bins = np.clip((told * 5).astype(int), 0, 4) if told.size else np.zeros(0, dtype=int)
        return {
            "signal": self.signal.as_json(),
            "square_share": self.square_share.as_json(),
            "square_share_at_hand": self.square_share_at_hand.as_json(),
            "usable_by_fifth": [
                {
                    "told": float(told[bins == at].mean()),
                    "was": float(was[bins == at].mean()),
                    "n": int((bins == at).sum()),
                }
                for at in range(5)
                if (bins == at).any()
            ],
        }


def calibration_of(grid: Grid, found: Run) -> Calibration:
    """Of one run."""
    told = Calibration()
    exposed = np.zeros(len(grid.truth.holes), dtype=bool)
    signal, usable = grid.as_shot.effective_signal, grid.as_shot.usable
    due_minute, done = 0.0, 0
    for count, minute, said in found.foretold:
        for one in found.exposures[done:count]:
            exposed[one.hole] = True
        done = count
        for hole, chance, low, high in said.holes:
            told.usable.append((chance, bool(usable[hole])))
            if usable[hole] and low is not None and high is not None:
                told.signal.add(low, high, float(signal[hole]))
        if minute >= due_minute and said.squares:
            due_minute += SQUARES_EVERY_MINUTES
            left = grid.chosen & ~exposed
            for square, low, high in said.squares:
                inside = grid.truth.holes.square == square
                members = left & inside
                if members.sum() >= LEAST_LEFT:
                    share = float(usable[members].mean())
                    told.square_share.add(low, high, share)
                    if (exposed & inside).any():
                        told.square_share_at_hand.add(low, high, share)
    return told
