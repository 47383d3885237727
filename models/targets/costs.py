"""What a move costs: learnt from the session's own clock, with what others have measured as a start.

Times between exposures of one kind of move are taken as lognormal: waits for drift and focusing make a long tail and
are part of what a move costs, meal times are not. So times are held to within a factor of their median before they are
averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np

from frazil.models.targets.layout import Holes
from frazil.models.targets.records import MoveMinutes, Outcome

MOVES = ("hole", "patch", "square", "area")
"""By the highest level that changes."""
USUAL = MoveMinutes(hole=53 / 60, patch=84 / 60, square=5.0, area=7.0)
"""Stage move to the next hole of EPU 3.7 (217 holes); exposure with focusing of a Leginon session (1,197 exposures);
the rest guessed."""
_PRIOR_MOVES = 3.0
"""So many moves of the session weigh as much as the usual time."""
_TAIL = 4.0
"""A move that took more than so many times the median was waited for by a person, or not at all."""


def kind_of_move(holes: Holes, before: int, after: int) -> str:
    """Name in `MOVES`."""
    if holes.stop[before] == holes.stop[after]:
        return "hole"
    squares = holes.square_of_stop[holes.stop[[before, after]]]
    if squares[0] == squares[1]:
        return "patch"
    areas = holes.area_of_square[squares]
    return "square" if areas[0] == areas[1] else "area"


def shot_order(holes: Holes, outcomes: Sequence[Outcome]) -> list[tuple[int, int]]:
    """(time in us, hole) of all that say when they were taken, in that order."""
    known = [(one.exposed_utc_us, holes.index[one.target_id]) for one in outcomes
             if one.exposed_utc_us is not None and one.target_id in holes.index]  # fmt: skip
    return sorted(known)


def learnt_moves(holes: Holes, outcomes: Sequence[Outcome]) -> MoveMinutes:
    """Mean minutes of each kind of move, with all exposures in a hole; a farther one costs no less than a nearer."""
    return moves_of_all([(holes, outcomes)])


def moves_of_all(grids: Iterable[tuple[Holes, Sequence[Outcome]]]) -> MoveMinutes:
    """The same from all grids that were in one microscope: its clock is the same for each."""
    times: dict[str, list[float]] = {kind: [] for kind in MOVES}
    for holes, outcomes in grids:
        shots = shot_order(holes, outcomes)
        # A hole costs all exposures in it: from its first to the first of the next.
        firsts = [next(part) for _, part in groupby(shots, key=itemgetter(1))]
        for (start, before), (end, after) in pairwise(firsts):
            if end > start:
                times[kind_of_move(holes, before, after)].append((end - start) / 60e6)
    return _ascending({kind: _mean_minutes(times[kind], getattr(USUAL, kind)) for kind in MOVES})


def exchange_minutes(exposed: Iterable[tuple[int, str]], usual: float) -> float:
    """Mean minutes from the last exposure of one grid to the first of the next, from (time in us, grid) of all, with
    the usual time as a start.

    >>> exchange_minutes([(0, "a"), (60_000_000, "a")], 45.0)
    45.0
    """
    changes = [(end - start) / 60e6 for (start, before), (end, after) in pairwise(sorted(exposed)) if before != after]
    return _mean_minutes(changes, usual)


def _mean_minutes(minutes: Sequence[float], usual: float) -> float:
    if not minutes:
        return usual
    ln = np.log(np.array(minutes))
    middle = float(np.median(ln))
    held = np.clip(ln[ln <= middle + math.log(10.0 * _TAIL)], middle - math.log(_TAIL), middle + math.log(_TAIL))
    own = math.log(float(np.exp(held).mean()))
    return math.exp((len(held) * own + _PRIOR_MOVES * math.log(usual)) / (len(held) + _PRIOR_MOVES))


def _ascending(minutes: Mapping[str, float]) -> MoveMinutes:
    most, found = 0.0, {}
    for kind in MOVES:
        most = max(most, minutes[kind])
        found[kind] = most
    return MoveMinutes(**found)
