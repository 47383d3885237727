"""The next several exposures, as they will be if nothing that is seen on the way changes the plan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from frazil.models.targets.choice import Choice
from frazil.models.targets.levels import Index
from frazil.models.targets.outcomes import Array
from frazil.models.targets.probing import Situation


def worth_taking(now: Situation, price: float) -> Array:
    """(holes,) True where an exposure brings more than its minutes cost, in stops that are worth the way in."""
    at = min(int(np.searchsorted(now.worth.prices, price)), len(now.worth.prices) - 1)
    holes = now.holes
    paid = now.worth.stop[:, at] > 0.0
    paid &= (now.worth.square[holes.square_of_stop, at] > 0.0) | (holes.square_of_stop == now.here.square)
    if now.here.stop >= 0:
        paid[now.here.stop] = True
    single = (now.value > now.moves.hole * price) | holes.whole[holes.stop]
    return np.asarray(now.open_hole & single & paid[holes.stop])


def following(now: Situation, choice: Choice, count: int) -> list[int]:
    """The hole of the choice, then the others that are worth taking: of its stop, of its square, of other squares."""
    worth = worth_taking(now, choice.price)
    found = [choice.hole]
    for stop in _stops(now, choice, worth):
        members = np.flatnonzero((now.holes.stop == stop) & now.open_hole)
        members = members[np.argsort(-now.value[members], kind="stable")]
        looks = choice.probe.looks if choice.probe is not None and choice.probe.stop == stop else 0
        if now.holes.whole[stop] and stop == now.holes.stop[choice.hole]:
            looks = len(members)
        found += [
            int(hole) for rank, hole in enumerate(members) if (worth[hole] or rank < looks) and hole != choice.hole
        ]
        if len(found) >= count:
            return found[:count]
    return found


def _stops(now: Situation, choice: Choice, worth: Array) -> Iterator[int]:
    """The choice's own, the others of its square, those of other squares; each group the richest first."""
    holes = now.holes
    own = int(holes.stop[choice.hole])
    yield own
    rich = np.bincount(holes.stop[worth], now.value[worth], len(holes.whole))
    stops: Index = np.flatnonzero(rich > 0.0)
    same = holes.square_of_stop[stops] == holes.square_of_stop[own]
    of_square = np.bincount(holes.square_of_stop, rich, len(holes.area_of_square))[holes.square_of_stop[stops]]
    for stop in stops[np.lexsort((-rich[stops], holes.square_of_stop[stops], -of_square, ~same))]:
        if stop != own:
            yield int(stop)
