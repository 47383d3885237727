"""Forecasts of one number against the number that came: PIT and CRPS.

The probability integral transform F(y) of a forecast that is right is uniform (Dawid 1984, J. R. Stat. Soc. A 147,
278); the continuous ranked probability score, the integral of (F(x) - 1{x >= y})^2, is least in the mean for the
distribution that the numbers come from, so that nobody gains by saying more or less than is known (Gneiting & Raftery
2007, J. Am. Stat. Assoc. 102, 359, eq. 20 and 21). Its unit is that of the number; smaller is better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from frazil.models.causal.bands import Array


@dataclass(frozen=True, slots=True)
class Scored:
    """One forecast after its number has come."""

    pit: float
    """0 to 1."""
    crps: float
    """In the number's unit."""


def of_normal(mean: float, sd: float, came: float) -> Scored:
    """Of a normal forecast.

    >>> one = of_normal(0.0, 1.0, 0.0)
    >>> round(one.pit, 3), round(one.crps, 4)
    (0.5, 0.2337)
    """
    z = (came - mean) / sd
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    crps = sd * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return Scored(float(ndtr(z)), float(crps))


def of_distribution(at: Array, cdf: Array, came: float) -> Scored:
    """Of a forecast whose distribution function is known at (G,) ascending places, straight in between, and 0 and 1
    outside of them.

    >>> one = of_distribution(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0.5)
    >>> one.pit, round(one.crps, 4)
    (0.5, 0.0833)
    """
    here = float(np.interp(came, at, cdf, left=0.0, right=1.0))
    place = int(np.searchsorted(at, came))
    below = _square_integral(np.append(at[:place], came), np.append(cdf[:place], here))
    above = _square_integral(np.insert(at[place:], 0, came), 1.0 - np.insert(cdf[place:], 0, here))
    return Scored(here, below + above)


def _square_integral(x: Array, f: Array) -> float:
    """Integral of f^2 over x, f straight between the places."""
    a, b = f[:-1], f[1:]
    return float(np.sum(np.diff(x) * (a * a + a * b + b * b)) / 3.0)
