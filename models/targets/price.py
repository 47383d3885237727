"""What the hours left can bring, and the price of a minute that follows from it.

Holes lie in stops, stops in squares, squares in areas, and each costs its own entry. Whoever pays lambda a minute takes
from a stop every hole that brings more than its minutes cost, goes to a stop, square or area if what is taken there is
worth the way in, and to no other. W(T) = min over lambda of (sum of what all areas are worth at lambda) + lambda T is
what T minutes bring (the Lagrangian dual of the knapsack; Everett 1963, Oper. Res. 11, 399), exact but for the last
stop that is left half done; the lambda of the minimum is the price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frazil.models.compiled import compiled
from frazil.models.targets.layout import Flags, Holes
from frazil.models.targets.levels import Index
from frazil.models.targets.outcomes import Array
from frazil.models.targets.records import MoveMinutes

PRICES = 40


@dataclass(frozen=True, slots=True)
class Here:
    """Where the microscope is; -1: nowhere yet, so that everything costs its whole entry."""

    stop: int = -1
    square: int = -1
    area: int = -1

    def after(self, holes: Holes, hole: int) -> Here:
        """Where an exposure of that hole leaves it."""
        stop = int(holes.stop[hole])
        square = int(holes.square_of_stop[stop])
        return Here(stop, square, int(holes.area_of_square[square]))


def price_grid(value: Array, open_hole: Flags, moves: MoveMinutes) -> Array:
    """Prices to try, from 0 to more than any hole is worth."""
    most = float(value[open_hole].max(initial=0.0)) / moves.hole
    return np.linspace(0.0, max(most, 1e-9) * 1.02, PRICES)


@dataclass(frozen=True, slots=True)
class Worth:
    """At every price: (units, prices), what is taken less what its minutes cost."""

    prices: Array
    free_stop: Array
    """Of a stop that the stage is at already; may be below zero for a group that is bought as a whole."""
    stop: Array
    free_square: Array
    """Of a square that the stage is in already, its stops all with their entry."""
    square: Array
    area: Array
    total: Array
    """(prices,) of all areas, from nowhere."""


@compiled
def _sum_over_price(value: Array, open_hole: Flags, stop: Index, whole: Flags, charge: Array, out: Array) -> None:
    """`charge` ascends."""
    for hole in range(len(value)):
        if not open_hole[hole]:
            continue
        at = stop[hole]
        for number in range(len(charge)):
            left = value[hole] - charge[number]
            if left <= 0.0 and not whole[at]:
                break
            out[at, number] += left


def worth_of(holes: Holes, value: Array, open_hole: Flags, moves: MoveMinutes, prices: Array) -> Worth:
    """Of everything that is left; `value` of each hole, `open_hole` those that may be shot."""
    free_stop = np.zeros((len(holes.whole), len(prices)))
    _sum_over_price(value, open_hole, holes.stop, holes.whole, moves.hole * prices, free_stop)
    stop = np.maximum(free_stop - (moves.patch - moves.hole) * prices, 0.0)
    free_square = _summed(stop, holes.square_of_stop, len(holes.area_of_square))
    square = np.maximum(free_square - (moves.square - moves.patch) * prices, 0.0)
    area = _summed(square, holes.area_of_square, holes.areas)
    area = np.maximum(area - (moves.area - moves.square) * prices, 0.0)
    return Worth(prices, free_stop, stop, free_square, square, area, area.sum(axis=0))


def _summed(worth: Array, parent: Index, parents: int) -> Array:
    total = np.zeros((parents, worth.shape[1]))
    np.add.at(total, parent, worth)
    return total


def total_from(holes: Holes, worth: Worth, here: Here, moves: MoveMinutes) -> Array:
    """(prices,) as `Worth.total`, with the ways in that are paid already."""
    if here.stop < 0:
        return worth.total
    stop = np.maximum(worth.free_stop[here.stop], 0.0)
    square = worth.free_square[here.square] - worth.stop[here.stop] + stop
    others = holes.area_of_square == here.area
    others[here.square] = False
    area = worth.square[others].sum(axis=0) + square
    return np.asarray(worth.total - worth.area[here.area] + area)


def best_total(total: Array, prices: Array, minutes: float) -> tuple[float, float]:
    """(what so many minutes bring, price of a minute)."""
    whole = total + prices * max(minutes, 0.0)
    at = int(np.argmin(whole))
    return float(whole[at]), float(prices[at])
