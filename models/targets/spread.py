"""How sure a share is: 80 % intervals of the probability of a hole, and of the share of usable ones among what is left
of a square.

A square's share moves with its own level (all holes together), with its patches' levels and with each exposure's
scatter. The first is integrated by quadrature, the other two are close to normal because many holes add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from frazil.models.targets.layout import Holes
from frazil.models.targets.levels import Index
from frazil.models.targets.outcomes import SURPRISE, Array
from frazil.models.targets.probing import Forecast

TEN_PERCENT = 1.2815515655446004
"""Standard deviations below which a normal lies with 10 %."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_SHARES = np.linspace(0.0, 1.0, 201)
SQUARES_DIFFER, _AS_BELIEVED = 2.5, 1.0
"""In intervals the variance of a square's level is so many times that of the belief: squares are often good or bad with
little between, which no normal law of their levels says (docs/measurements.md says what the intervals hold). Where the
resolution is predicted for each hole, the prediction tells good from bad, and what is left is as believed."""
_SURPRISES = (0.0, 2.0 * SURPRISE)
"""The share of surprises is not known either: none, or twice as many as planned with. A square may be all bad."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Of the holes asked for, by square (NaN: none there)."""

    holes: Index
    mean: Array
    low: Array
    high: Array
    """80 % interval of the share that will be found."""


def usable_interval(forecast: Forecast, hole: Index) -> tuple[Array, Array]:
    """80 % interval of each hole's probability: what more exposures around it could make of it."""
    scatter = forecast.scatter_variance
    level = np.sqrt(np.maximum(forecast.variance[hole] - scatter, 1e-6))
    ends = [
        _with_surprise(ndtr(-(forecast.mean[hole] + sign * TEN_PERCENT * level) / np.sqrt(scatter)))
        for sign in (1.0, -1.0)
    ]
    return np.asarray(ends[0]), np.asarray(ends[1])


def square_shares(holes: Holes, forecast: Forecast, hole: Index) -> Shares:
    """Of the usable ones among these holes of each square."""
    squares, patches = len(holes.area_of_square), len(holes.square_of_patch)
    patch, square = holes.patch[hole], holes.square[hole]
    count = np.bincount(square, minlength=squares)
    divisor = np.maximum(count, 1)
    more = ((_AS_BELIEVED if forecast.predicted else SQUARES_DIFFER) - 1.0) * forecast.square_variance[square]
    variance = forecast.variance[hole] + more
    move = np.sqrt(np.minimum(forecast.square_variance[square] + more, 0.999 * variance))
    left = np.sqrt(variance - move**2)
    of_patch = np.maximum(forecast.patch_variance - forecast.square_variance[holes.square_of_patch], 0.0)
    chance_below = np.zeros((squares, len(_SHARES)))
    expected = _with_surprise(ndtr(-forecast.mean[hole] / np.sqrt(forecast.variance[hole])))
    mean = np.bincount(square, expected, squares) / divisor
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        at = -(forecast.mean[hole] + move * node) / left
        foreseen, density = ndtr(at), np.exp(-0.5 * at**2) / (np.sqrt(2 * np.pi) * left)
        for surprise in _SURPRISES:
            chance = 0.5 * surprise + (1.0 - surprise) * foreseen
            middle = np.bincount(square, chance, squares) / divisor
            single = np.bincount(square, chance * (1.0 - chance), squares) / divisor**2
            shared = np.bincount(patch, (1.0 - surprise) * density, patches) ** 2 * of_patch
            shared = np.bincount(holes.square_of_patch, shared, squares) / divisor**2
            sd = np.sqrt(single + shared + 1e-9)
            below = ndtr((_SHARES[None, :] + 0.5 / divisor[:, None] - middle[:, None]) / sd[:, None])
            chance_below += weight / len(_SURPRISES) * below
    ends = [_quantile(chance_below, level) for level in (0.1, 0.9)]
    none = np.where(count > 0, 0.0, np.nan)
    return Shares(count.astype(np.intp), mean + none, ends[0] + none, ends[1] + none)


def _with_surprise(chance: Array) -> Array:
    return np.asarray(0.5 * SURPRISE + (1.0 - SURPRISE) * chance)


def _quantile(chance_below: Array, level: float) -> Array:
    """(squares,) smallest share whose chance not to be exceeded is at least `level`."""
    reached = chance_below >= level
    return np.asarray(np.where(reached.any(axis=1), _SHARES[reached.argmax(axis=1)], 1.0))
