"""Where a session's time goes: to holes, to moving the stage and waiting for it, and to moving on to other squares."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frazil.models.causal import settle
from frazil.models.causal.bands import Array
from frazil.models.records import ExposureFacts, MovieEvidence

LEAST_OF_A_HOLE = 0.1
"""What a hole costs that is given up, in movies, where nobody has seen how long it takes to move to another square."""
_MOVE_S, _READOUT_S = 5.0, 10.0
"""What the move itself takes, and reading out and writing a movie, at most: no wait could be shorter by them."""
_LEAST_GAPS = 3
_PAUSE = 10.0
"""A gap of so many times the median is a pause, not the pace, where the stage stands."""
_USUAL_SQUARE_S = 60.0
"""To centre and focus another square, before anyone has seen it."""
_LONGEST_MOVE_S = 300.0
"""Of the stage, with all that is done then; longer is a pause."""
_US_PER_S = 1e6


@dataclass(frozen=True, slots=True)
class Timeline:
    """From one movie to the next."""

    hole_s: float
    """Of a hole alone: as the stage stays, or what most of the gaps are."""
    stop_s: float
    """What a move of the stage inside a square adds; 0 where that cannot be told from the holes' time."""
    square_s: float | None
    """What moving to another square adds; None: nobody has seen it."""
    wait_s: float | None
    """By what a move of the stage delays a movie, less the move itself; where every movie moves it, what lies between
    two exposures, less move and readout. None: not known."""
    stops: NDArray[np.int64]
    """(n,) number of each movie's stop of the stage, in the order in which the movies were given."""
    squares: NDArray[np.int64]
    """(n,) number of each movie's grid square."""

    def seconds_of_first(self, order: NDArray[np.int64]) -> Array:
        """(n,) seconds of the first 1, 2, ... movies of an order if only these had been taken: the stage goes nowhere
        for holes that are all given up. A stop or a square that was left or entered half way counts for its part.

        >>> both = np.array([0, 0])
        >>> Timeline(5.0, 10.0, 60.0, None, np.array([0, 1]), both).seconds_of_first(np.array([1, 0])).tolist()
        [75.0, 90.0]
        """
        number = np.arange(1, order.size + 1)
        taken = self.hole_s * number + self.stop_s * _visited(self.stops[order])
        if self.square_s is None:
            return np.asarray(taken + LEAST_OF_A_HOLE * taken[-1] / order.size * (order.size - number))
        return np.asarray(taken + self.square_s * _visited(self.squares[order]))


def _visited(codes: NDArray[np.int64]) -> Array:
    """(n,) how many places there are among the first 1, 2, ... movies, each by its movies over those of the fullest.

    >>> _visited(np.array([0, 0, 1, 0, 0])).tolist()
    [1.0, 1.0, 1.25, 1.25, 1.25]
    """
    first = np.zeros(codes.size)
    _, places, movies = np.unique(codes, return_index=True, return_counts=True)
    first[places] = movies / movies.max()
    return np.asarray(first.cumsum())


def timeline_of(movies: Sequence[MovieEvidence]) -> Timeline | None:
    """None: too few movies say when they were taken."""
    timed = [place for place, movie in enumerate(movies) if movie.exposure.acquired_utc_us is not None]
    timed.sort(key=lambda place: movies[place].exposure.acquired_utc_us or 0)
    stops, squares = np.zeros(len(movies), dtype=np.int64), np.zeros(len(movies), dtype=np.int64)
    gaps = _Gaps([], [], [])
    for before, here in itertools.pairwise(timed):
        one, other = movies[before].exposure, movies[here].exposure
        kept = gaps.of(one, other)
        stops[here] = stops[before] + (kept is not gaps.stayed)
        squares[here] = squares[before] + (kept is gaps.to_squares)
        if (gap_s := _gap_s(one, other)) > 0.0:
            kept.append(gap_s)
    if len(timed) < len(movies) or len(gaps.stayed) + len(gaps.moved) < _LEAST_GAPS:
        return None
    told = len(gaps.stayed) >= _LEAST_GAPS
    hole_s = float(np.median(gaps.stayed if told else [*gaps.stayed, *gaps.moved]))
    stop_s = max(float(np.median(gaps.moved)) - hole_s, 0.0) if told and gaps.moved else 0.0
    wait_s = None
    if len(gaps.moved) >= _LEAST_GAPS:
        exposures_s = [movie.exposure.exposure_time_s or 0.0 for movie in movies]
        rest_s = hole_s if told else float(np.median(exposures_s)) + _READOUT_S
        wait_s = float(np.median(gaps.moved)) - rest_s - _MOVE_S
    to_squares = [gap_s for gap_s in gaps.to_squares if gap_s <= _LONGEST_MOVE_S]
    square_s = max(float(np.median(to_squares)) - hole_s - stop_s, 0.0) if to_squares else None
    return Timeline(hole_s, stop_s, square_s, wait_s, stops, squares)


def seconds_per_movie(movies: Iterable[MovieEvidence]) -> float | None:
    """The pace of acquisition with all moves of the stage, pauses left out; None: nobody said when movies were taken.

    A move to another square is no pause: its time is spent, whatever else is done faster or slower. The square of the
    first movie had to be reached as well.
    """
    exposures = [movie.exposure for movie in movies if movie.exposure.acquired_utc_us is not None]
    exposures.sort(key=lambda one: one.acquired_utc_us or 0)
    gaps = _Gaps([], [], [])
    for one, other in itertools.pairwise(exposures):
        if (gap_s := _gap_s(one, other)) > 0.0:
            gaps.of(one, other).append(gap_s)
    longest_s = _PAUSE * float(np.median([*gaps.stayed, *gaps.moved] or [0.0]))
    kept = [gap_s for gap_s in gaps.stayed if gap_s <= longest_s]
    kept += [gap_s for gap_s in gaps.moved if gap_s <= max(longest_s, _LONGEST_MOVE_S)]
    squares = [gap_s for gap_s in gaps.to_squares if gap_s <= max(longest_s, _LONGEST_MOVE_S)]
    if not kept and not squares:
        return None
    if exposures[0].stage_x_um is None and exposures[0].grid_square is None:
        return float(np.mean(kept))
    return float(np.mean([*kept, *squares, float(np.median(squares)) if squares else _USUAL_SQUARE_S]))


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Seconds from one movie to the next."""

    stayed: list[float]
    moved: list[float]
    """Inside a square."""
    to_squares: list[float]

    def of(self, one: ExposureFacts, other: ExposureFacts) -> list[float]:
        """Those of the kind of this gap."""
        if settle.other_square(one, other):
            return self.to_squares
        return self.moved if settle.moved_um(one, other) > settle.MOVED_UM else self.stayed


def _gap_s(one: ExposureFacts, other: ExposureFacts) -> float:
    return ((other.acquired_utc_us or 0) - (one.acquired_utc_us or 0)) / _US_PER_S
