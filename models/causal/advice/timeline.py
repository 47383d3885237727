"""Where a session's time goes: what of it belongs to a hole, and what to moving the stage and waiting for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal import settle
from frazil.models.records import MovieEvidence

LEAST_OF_A_HOLE = 0.1
"""What a hole costs that is given up, in movies, at least: squares are used up sooner."""
_MOVE_S = 5.0
"""What the move itself takes, at most: no wait could be shorter by it."""
_LEAST_GAPS = 3
_MOST_OF_WAIT = 0.75
"""Of a wait that may be taken away at once: how the stage drifts earlier than anyone has seen is extrapolated."""
_US_PER_S = 1e6


@dataclass(frozen=True, slots=True)
class Pace:
    """From one movie to the next."""

    of_a_hole: float
    """What a hole costs that is given up, in movies: its part of the stage's moves and of new squares."""
    wait_s: float | None
    """By what a move of the stage delays a movie, less the move itself; None: not known, all or none moved it."""

    def can_wait_less(self, seconds: float) -> bool:
        """Whether there is so much to take away."""
        return self.wait_s is not None and seconds <= _MOST_OF_WAIT * self.wait_s


def pace_of(movies: Sequence[MovieEvidence], seconds_per_movie: float | None) -> Pace | None:
    """None: nobody said when movies were taken, or the stage's moves cannot be told from the holes'."""
    exposures = sorted(
        (one.exposure for one in movies if one.exposure.acquired_utc_us is not None),
        key=lambda one: one.acquired_utc_us or 0,
    )
    if not seconds_per_movie or len(exposures) <= _LEAST_GAPS:
        return None
    stayed: list[float] = []
    moved: list[float] = []
    for before, here in itertools.pairwise(exposures):
        gap_s = ((here.acquired_utc_us or 0) - (before.acquired_utc_us or 0)) / _US_PER_S
        if gap_s <= 0.0:
            continue
        (moved if settle.moved_um(before, here) > settle.MOVED_UM else stayed).append(gap_s)
    if len(stayed) + len(moved) < _LEAST_GAPS:
        return None
    # Of a hole alone: as the stage stays, or what most of the gaps are.
    hole_s = float(np.median(stayed if len(stayed) >= _LEAST_GAPS else [*stayed, *moved]))
    wait_s = None
    if len(stayed) >= _LEAST_GAPS and len(moved) >= _LEAST_GAPS:
        wait_s = float(np.median(moved) - np.median(stayed)) - _MOVE_S
    return Pace(max(1.0 - hole_s / seconds_per_movie, LEAST_OF_A_HOLE), wait_s)
