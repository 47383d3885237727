"""The next exposure: stay at the stop, go to another of the square, or leave for another square.

With the price of a minute known, a hole that brings more than its minutes cost is shot before anything that costs a
move, because every way back would have to be paid again; so are stops of the square before other squares. The price is
that of the best plan, with a look elsewhere where looking brings more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frazil.models.targets.belief import Outlook
from frazil.models.targets.layout import Flags, Holes
from frazil.models.targets.levels import Index
from frazil.models.targets.outcomes import Array
from frazil.models.targets.price import Here, best_total, price_grid, total_from, worth_of
from frazil.models.targets.probing import Forecast, Probe, Situation, best_probe, way_minutes
from frazil.models.targets.records import MoveMinutes

_LOOKING_PAYS = 0.03
"""By so large a share a look has to bring more than the plan."""

_LEAST_SHARE = 0.15
"""Of the best hole's worth: what is worth less comes last, even where there is time for everything."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The next exposure and why."""

    hole: int
    kind: str
    """`stay`, `patch`, `square`, `look` (a stop is gone to, or more of it is shot, because of what it will tell)."""
    price: float
    """Of a minute."""
    expected: float
    """Of all minutes left."""
    probe: Probe | None


def forecast_of(outlooks: tuple[Outlook, ...], weight: Array) -> Forecast:
    """One normal for each hole from the mixture of all fits; `weight` is what a usable exposure of it is worth."""
    shares = np.array([one.weight for one in outlooks])
    means = np.stack([one.mean for one in outlooks])
    mean = shares @ means
    between = shares @ (means - mean) ** 2
    within = sum(one.weight * (one.level_variance + one.scatter_sd**2) for one in outlooks)
    scatter = sum(one.weight * (one.scatter_sd**2 + one.field_sd**2) for one in outlooks)
    return Forecast(
        mean, np.asarray(within + between), weight,
        np.asarray(sum(one.weight * one.square_variance for one in outlooks)),
        np.asarray(sum(one.weight * one.patch_variance for one in outlooks)), float(scatter),
    )  # fmt: skip


def situation(
    holes: Holes, forecast: Forecast, value: Array, open_hole: Flags, at: int | None, moves: MoveMinutes, minutes: float
) -> Situation:
    """Everything that is left, at all prices; `at` is the hole that was shot last."""
    worth = worth_of(holes, value, open_hole, moves, price_grid(value, open_hole, moves))
    return Situation(
        holes, forecast, value, open_hole, worth, Here() if at is None else Here().after(holes, at), moves, minutes
    )


def choose(now: Situation) -> Choice | None:
    """None: nothing that may be shot."""
    if not now.open_hole.any():
        return None
    prices = now.worth.prices
    expected, price = best_total(total_from(now.holes, now.worth, now.here, now.moves), prices, now.minutes)
    probe = best_probe(now)
    if probe is not None and probe.worth > expected * (1.0 + _LOOKING_PAYS):
        expected, price = probe.worth, probe.price
    else:
        probe = None
    price = max(price, _LEAST_SHARE * float(now.value[now.open_hole].max()) / now.moves.hole)
    at = min(int(np.searchsorted(prices, price)), len(prices) - 1)
    best = _best_of(now, now.holes.stop == now.here.stop)
    if best is not None and (now.value[best] > now.moves.hole * price or (probe and probe.stop == now.here.stop)):
        kind = "stay" if now.value[best] > now.moves.hole * price else "look"
        return Choice(best, kind, price, expected, probe)
    stop, kind = _stop(now, at, probe)
    hole = _best_of(now, now.holes.stop == stop)
    assert hole is not None
    return Choice(hole, kind, price, expected, probe)


def _best_of(now: Situation, among: Flags) -> int | None:
    hole = np.flatnonzero(among & now.open_hole)
    return int(hole[np.argmax(now.value[hole])]) if hole.size else None


def _stop(now: Situation, at: int, probe: Probe | None) -> tuple[int, str]:
    """Which stop to go to, the one at hand being used up at this price."""
    holes, worth = now.holes, now.worth
    own = np.flatnonzero((holes.square_of_stop == now.here.square) & (worth.stop[:, at] > 0.0))
    own = own[own != now.here.stop]
    if probe is not None and holes.square_of_stop[probe.stop] == now.here.square:
        return probe.stop, "look"
    if own.size:
        return _best_rate(now, own, at), "patch"
    if probe is not None:
        return probe.stop, "look"
    squares = np.flatnonzero(worth.square[:, at] > 0.0)
    near = squares[holes.area_of_square[squares] == now.here.area]
    for group in (near, squares):
        if group.size:
            square = group[np.argmax(worth.square[group, at])]
            return _best_rate(now, np.flatnonzero(holes.square_of_stop == square), at), "square"
    return _any_stop(now), "square"


def _best_rate(now: Situation, stops: Index, at: int) -> int:
    """The stop where most is left over."""
    return int(stops[np.argmax(now.worth.stop[stops, at])])


def _any_stop(now: Situation) -> int:
    """No way in pays any more: the best single exposure by its minutes."""
    best = np.full(len(now.holes.whole), -1.0)
    np.maximum.at(best, now.holes.stop[now.open_hole], now.value[now.open_hole])
    found = np.flatnonzero(best >= 0.0)
    rate = [best[stop] / way_minutes(now.here, now.holes, int(stop), now.moves) for stop in found]
    return int(found[int(np.argmax(rate))])
