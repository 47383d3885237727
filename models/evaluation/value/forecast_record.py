"""Calibration against later truth: what was foretold of the map against what came."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from frazil.models.evaluation.facts import MapForecast

_LEVEL = 0.8
"""Of the intervals."""
_BEFOREHAND = 5.0
"""Forecasts that are taken to have held as they should, before any has come due."""
_NEAR = 0.1
"""A map of this share more or fewer movies is the one that was foretold."""
_NORMAL_HALF_WIDTH = 1.2816


@dataclass(frozen=True, slots=True)
class Due:
    """A forecast that came due."""

    forecast: MapForecast
    came_angstrom: float

    @property
    def held(self) -> bool:
        return self.forecast.low_angstrom - 1e-6 <= self.came_angstrom <= self.forecast.high_angstrom + 1e-6

    @property
    def off_sigma(self) -> float:
        """Of ln resolution, in the sigma that the interval says; positive: coarser than foretold."""
        width = math.log(self.forecast.high_angstrom / self.forecast.low_angstrom) / (2 * _NORMAL_HALF_WIDTH)
        return math.log(self.came_angstrom / self.forecast.resolution_angstrom) / max(width, 1e-3)


def due(forecasts: Sequence[MapForecast], rounds: Sequence[tuple[int, float]]) -> tuple[Due, ...]:
    """Those whose map has come: the later round whose movies are nearest to the foretold number."""
    ordered = sorted(rounds, key=lambda one: one[0])
    counts = [movies for movies, _ in ordered]
    found = []
    for forecast in forecasts:
        first_later = bisect_right(counts, forecast.made_at_movies)
        above = max(bisect_left(counts, forecast.movies), first_later)
        beside = ordered[max(above - 1, first_later) : above + 1]
        if not beside:
            continue
        movies, came = min(beside, key=lambda one: abs(one[0] - forecast.movies))
        if abs(movies - forecast.movies) <= _NEAR * forecast.movies:
            found.append(Due(forecast, came))
    return tuple(found)


def calibration(came: Sequence[Due]) -> float | None:
    """How near the share of intervals that held is to the 80 % that they promise, at most 1; None: none is due.

    Forecasts of one session are not independent: five that held as promised are assumed beforehand. Intervals that hold
    more often than they promise are no fault.
    """
    if not came:
        return None
    share = (sum(one.held for one in came) + _LEVEL * _BEFOREHAND) / (len(came) + _BEFOREHAND)
    return min(1.0, share / _LEVEL)
