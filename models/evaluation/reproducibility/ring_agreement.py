"""Ring agreement: whether the even and the odd frames of a movie carry the same Thon rings.

The even- and odd-frame sums of a movie share what the specimen put there and nothing of the counting noise. With
sigma^2 the power that is not shared, P the power of the whole sum and F the Fourier ring correlation of the halves,

    P = sigma^2 (1 + F) / (1 - F),        2 atanh F = ln P - ln sigma^2.

sigma^2(k) is smooth, whatever the camera: so the Thon rings in 2 atanh F have the height of the rings in ln P (slope 1)
when both halves carry them, and none (slope 0) when they are in one half only, or an artefact of the sum. The slope is
fitted between 30 A and the fit limit, with ln sigma^2 a polynomial. (The crossing of F with 0.143 is told beside it,
but falls into the first zero of the CTF and says little.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from frazil.models.records import MovieResult

_LOWEST_PER_ANGSTROM = 1 / 30
_POLYNOMIAL_DEGREE = 5
_FEWEST_RINGS = 24
_LARGEST_FRC = 0.99


def half_agreement(result: MovieResult) -> tuple[float, float] | None:
    """Slope of the rings in the halves' correlation on the rings in the power, and its standard error.

    None: nothing to compare (one frame, no reliable rings, too few points). About 1 when the halves agree; noise in P
    pulls it down to 0.85-0.95 for weak rings.
    """
    spectra, ctf = result.spectra, result.ctf
    if not ctf.reliable or ctf.fit_resolution_angstrom is None or not spectra.half_frc:
        return None
    frequency, power = np.array(spectra.frequency_per_angstrom), np.array(spectra.power)
    frc = np.array(spectra.half_frc)
    inside = (frequency >= _LOWEST_PER_ANGSTROM) & (frequency <= 1 / ctf.fit_resolution_angstrom)
    inside &= np.isfinite(power) & np.isfinite(frc) & (power > 0)
    if np.count_nonzero(inside) < _FEWEST_RINGS:
        return None
    frequency, power, frc = frequency[inside], power[inside], frc[inside]
    shared = 2.0 * np.arctanh(np.clip(frc, -_LARGEST_FRC, _LARGEST_FRC))
    place = 2.0 * (frequency - frequency[0]) / (frequency[-1] - frequency[0]) - 1.0
    design = np.column_stack([np.log(power), np.polynomial.chebyshev.chebvander(place, _POLYNOMIAL_DEGREE)])
    weight = np.sqrt(frequency)  # a ring has as many pixels as it is long
    weighted = design * weight[:, None]
    solution, _, rank, _ = np.linalg.lstsq(weighted, shared * weight, rcond=None)
    if rank < design.shape[1]:
        return None
    residual = (shared - design @ solution) * weight
    variance = float(residual @ residual) / (len(frequency) - design.shape[1])
    return float(solution[0]), math.sqrt(variance * float(np.linalg.inv(weighted.T @ weighted)[0, 0]))


def first_below_0143_angstrom(frequency_per_angstrom: Sequence[float], frc: Sequence[float]) -> float | None:
    """Wavelength at which the halves' correlation first falls below 0.143; None: it stays above."""
    for frequency, value in zip(frequency_per_angstrom, frc, strict=True):
        if value < 0.143:
            return 1.0 / frequency if frequency > 0 else None
    return None
