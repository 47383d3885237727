"""Predicted against actual computing cost: what a movie takes, foretold from the movies before it.

ln seconds = a + b ln(pixels x frames), by a running regression with one line a device. Before much is seen the cost is
taken to grow in proportion to the work (b = 1 +- 0.2), so that a session of equal movies, which says nothing about b,
is foretold too. A movie is foretold from the ones before it alone: a device that slows down, a disk that chokes or a
movie that is another one show as cost that nobody predicted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frazil.models.evaluation.verdict import Json
from frazil.models.records import MovieResult

_SLOPE, _SLOPE_SD = 1.0, 0.2
_SCATTER = 0.2
"""Of ln seconds about the line, for weighing the prior of the slope alone: nothing else depends on it."""


@dataclass(slots=True)
class CostLine:
    """Sums of one device's regression."""

    count: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def predicted_s(self, work: float) -> float | None:
        """Of a movie of this many pixels; None before the first on this device."""
        if not self.count:
            return None
        mean_x, mean_y = self.x / self.count, self.y / self.count
        stiff = (_SCATTER / _SLOPE_SD) ** 2
        slope = (self.xy - self.count * mean_x * mean_y + stiff * _SLOPE) / (self.xx - self.count * mean_x**2 + stiff)
        return math.exp(mean_y + slope * (math.log(work) - mean_x))

    def take(self, work: float, seconds: float) -> None:
        """One movie more."""
        x, y = math.log(work), math.log(seconds)
        self.count += 1
        self.x, self.y, self.xx, self.xy = self.x + x, self.y + y, self.xx + x * x, self.xy + x * y

    def as_json(self) -> dict[str, Json]:
        return {"count": self.count, "x": self.x, "y": self.y, "xx": self.xx, "xy": self.xy}


def lines_of(evidence: Mapping[str, Any]) -> dict[str, CostLine]:
    """Regressions by device, from the evidence of an earlier round."""
    return {str(device): CostLine(**sums) for device, sums in evidence.items()}


def cost_of(result: MovieResult) -> tuple[float, float] | None:
    """(pixels of all frames, seconds); None: its timings were not kept."""
    seconds = sum(timing.seconds for timing in result.timings)
    header = result.header
    work = float(header.height_px) * header.width_px * max(header.frame_count, 1)
    return (work, seconds) if seconds > 0 and work > 0 else None


def agreement(predicted_s: float, actual_s: float) -> float:
    """The smaller over the larger, (0, 1]: 0.8 is a fifth off."""
    return min(predicted_s / actual_s, actual_s / predicted_s)
