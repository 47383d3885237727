"""The frequencies at which all curves of the causal model are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BAND_COUNT = 24
_LOWEST_PER_ANGSTROM = 1 / 40
_HIGHEST_PER_ANGSTROM = 1 / 2.8


def band_frequencies_per_angstrom() -> Array:
    """(24,) centres of the bands on which the prior lives, 40 to 2.8 A."""
    return np.linspace(_LOWEST_PER_ANGSTROM, _HIGHEST_PER_ANGSTROM, BAND_COUNT)


def curves_at(frequency_per_angstrom: float, curves: Array) -> Array:
    """(...) values of curves (..., 24) on the bands at one frequency: linear between them, constant beyond."""
    position = float(np.interp(frequency_per_angstrom, band_frequencies_per_angstrom(), np.arange(BAND_COUNT)))
    low = min(int(position), BAND_COUNT - 2)
    return np.asarray(curves[..., low] * (low + 1 - position) + curves[..., low + 1] * (position - low))
