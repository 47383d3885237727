"""What it brings to look: a few exposures at a stop tell how good its square is, and what the hours left bring is
planned anew with that.

For each place to look and each number of exposures there, the levels of its patch and square will move by amounts that
are known in distribution before (the preposterior; Raiffa & Schlaifer 1961, ch. 5). The plan of `price` is made for
five quantiles of that; the mean of what they bring, with what the exposures themselves bring, is what looking is worth
(knowledge gradient of several steps; Frazier, Powell & Dayanik 2008, SIAM J. Control Optim. 47, 2410).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from frazil.models.compiled import compiled
from frazil.models.targets.layout import Flags, Holes
from frazil.models.targets.levels import Index
from frazil.models.targets.outcomes import SURPRISE, Array
from frazil.models.targets.price import Here, Worth
from frazil.models.targets.records import MoveMinutes

LOOKS = (1, 3, 8)
"""Numbers of exposures that are thought of."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_MOST_SQUARES = 16
_MOST_STOPS = 24


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of every hole: usable where a normal of this mean and variance is below 0, and then worth `weight`."""

    mean: Array
    variance: Array
    """With the scatter of one exposure."""
    weight: Array
    square_variance: Array
    """(squares,)"""
    patch_variance: Array
    """(patches,)"""
    scatter_variance: float
    """Of one exposure about its patch's level."""
    predicted: bool = False
    """By a trusted feature of each hole."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Going to a stop to look."""

    stop: int
    looks: int
    worth: float
    """Of all the minutes left."""
    price: float
    """Of a minute, expected for after it."""


@compiled
def _after(table: Array, slot: Index, nodes: Array, charge: Array, out: Array) -> None:
    """Worth of the stops of a square, their holes moved: out (nodes, stops of the square, prices); `charge` ascends.

    `table` (holes, 4): mean, variance, weight, and by how much one deviation of what is heard moves the mean.
    """
    for hole in range(len(table)):
        mean, variance, weight, move = table[hole]
        scale = 1.0 / math.sqrt(2.0 * max(variance - move * move, 1e-6))
        for number in range(len(nodes)):
            foreseen = 0.5 * math.erfc((mean + move * nodes[number]) * scale)
            value = weight * (0.5 * SURPRISE + (1.0 - SURPRISE) * foreseen)
            for price in range(len(charge)):
                gain = value - charge[price]
                if gain <= 0.0:
                    break
                out[number, slot[hole], price] += gain


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a choice is made from."""

    holes: Holes
    forecast: Forecast
    value: Array
    """Of each hole, expected."""
    open_hole: Flags
    worth: Worth
    here: Here
    moves: MoveMinutes
    minutes: float
    """Left."""


def best_probe(now: Situation) -> Probe | None:
    """The best place to look, by what all minutes left bring with it; None: no time for any."""
    found: Probe | None = None
    stops = _stops(now)
    ranked = _by_stop(now, stops)
    of_area = np.zeros((now.holes.areas, len(now.worth.prices)))
    np.add.at(of_area, now.holes.area_of_square, now.worth.square)
    squares: dict[int, _Square] = {}
    for stop in stops.tolist():
        square = int(now.holes.square_of_stop[stop])
        if square not in squares:
            squares[square] = _square(now, square, ranked, of_area)
        for probe in _probes(now, squares[square], stop, ranked[stop]):
            if found is None or probe.worth > found.worth:
                found = probe
    return found


@dataclass(frozen=True, slots=True)
class _Square:
    """A square that is thought of."""

    number: int
    foreseen: Array
    """(open holes, 3): mean, variance and weight of each."""
    slot: Index
    """(open holes,) which of its stops."""
    stops: Index
    others: Array
    """(prices,) worth of everything else, once the stage is in this square."""


def _square(now: Situation, square: int, ranked: dict[int, Index], of_area: Array) -> _Square:
    stops = np.array([stop for stop in ranked if now.holes.square_of_stop[stop] == square], dtype=np.intp)
    members = np.concatenate([ranked[int(stop)] for stop in stops])
    slot = np.repeat(np.arange(len(stops)), [len(ranked[int(stop)]) for stop in stops])
    area = int(now.holes.area_of_square[square])
    others = now.worth.total - now.worth.area[area] + of_area[area] - now.worth.square[square]
    parts = (now.forecast.mean, now.forecast.variance, now.forecast.weight)
    return _Square(square, np.column_stack([part[members] for part in parts]), slot, stops, others)


def _probes(now: Situation, square: _Square, stop: int, ranked: Index) -> Iterator[Probe]:
    """Looking there with each number of exposures for which there is time."""
    forecast, prices, moves = now.forecast, now.worth.prices, now.moves
    patch = int(now.holes.patch[ranked[0]])
    of_patch = float(forecast.patch_variance[patch])
    of_square = min(float(forecast.square_variance[square.number]), of_patch)
    at = int(np.flatnonzero(square.stops == stop)[0])
    first = int(np.flatnonzero(square.slot == at)[0])
    way = way_minutes(now.here, now.holes, stop, moves)
    counts = (len(ranked),) if now.holes.whole[stop] else tuple(count for count in LOOKS if count <= len(ranked))
    for count in counts:
        minutes = now.minutes - way - (count - 1) * moves.hole
        if minutes < 0.0:
            return
        heard = math.sqrt(of_patch + forecast.scatter_variance / count)
        move = np.where(square.slot == at, of_patch, of_square) / heard
        left = np.delete(np.column_stack([square.foreseen, move]), slice(first, first + count), axis=0)
        slot = np.delete(square.slot, slice(first, first + count))
        free = np.zeros((len(_NODES), len(square.stops), len(prices)))
        _after(left, slot, _NODES, moves.hole * prices, free)
        stops = np.maximum(free - (moves.patch - moves.hole) * prices, 0.0)
        stops[:, at] = free[:, at]
        whole = stops.sum(axis=1) + square.others + prices * minutes
        best = whole.argmin(axis=1)
        worth = float(now.value[ranked[:count]].sum()) + float(_WEIGHTS @ whole[np.arange(len(_NODES)), best])
        yield Probe(stop, count, worth, float(_WEIGHTS @ prices[best]))


def _by_stop(now: Situation, stops: Index) -> dict[int, Index]:
    """Open holes of each stop of the squares of these, the best first."""
    squares = np.zeros(len(now.holes.area_of_square), dtype=bool)
    squares[now.holes.square_of_stop[stops]] = True
    hole = np.flatnonzero(now.open_hole & squares[now.holes.square_of_stop][now.holes.stop])
    order = hole[np.lexsort((-now.value[hole], now.holes.stop[hole]))]
    found, start = np.unique(now.holes.stop[order], return_index=True)
    return {int(stop): part for stop, part in zip(found, np.split(order, start[1:]), strict=True)}


def _stops(now: Situation) -> Index:
    """All of the square that the stage is in, and the best of each other square that could be worth it."""
    holes, forecast, worth = now.holes, now.forecast, now.worth
    hole = np.flatnonzero(now.open_hole)
    stop = holes.stop[hole]
    above = 1.3 * np.sqrt(forecast.square_variance)[holes.square_of_stop[stop]]
    chance = forecast.weight[hole] / (
        1.0 + np.exp(1.7 * (forecast.mean[hole] - above) / np.sqrt(forecast.variance[hole]))
    )
    middle = worth.prices[len(worth.prices) // 3]
    could = np.bincount(stop, np.maximum(chance - middle, 0.0), len(holes.whole))
    stops = np.unique(stop)
    square = holes.square_of_stop[stops]
    own = stops[square == now.here.square]
    others = stops[square != now.here.square]
    others = others[np.lexsort((others, -could[others]))]
    first = np.sort(np.unique(holes.square_of_stop[others], return_index=True)[1])
    return np.concatenate([own[:_MOST_STOPS], others[first[:_MOST_SQUARES]]])


def way_minutes(here: Here, holes: Holes, stop: int, moves: MoveMinutes) -> float:
    """To the first exposure at a stop."""
    square = int(holes.square_of_stop[stop])
    if stop == here.stop:
        return moves.hole
    if square == here.square:
        return moves.patch
    return moves.square if int(holes.area_of_square[square]) == here.area else moves.area
