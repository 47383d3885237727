"""From a gain in ln SSNR to angstrom: where a curve that has risen meets the threshold that it met before."""

from __future__ import annotations

import numpy as np

from frazil.models.causal.bands import BAND_COUNT, Array, band_frequencies_per_angstrom, curves_at
from frazil.models.causal.prior import PriorSnapshot

CREDIBLE = (0.025, 0.975)


def fall_of_signal_angstrom2(prior: PriorSnapshot) -> float:
    """-d ln SSNR / d(k^2) in A^2 of the session's specimen as it is seen, a straight line through its known bands."""
    mean, covariance = prior.moments()
    bands = band_frequencies_per_angstrom()
    sd = np.sqrt(np.diag(covariance)[:BAND_COUNT])
    known = (sd < 1.0) & (bands > 1 / 15)
    if known.sum() < 4:
        return _USUAL_FALL_ANGSTROM2
    x, weight = bands[known] ** 2, 1 / sd[known] ** 2
    centred = x - np.average(x, weights=weight)
    fall = -float((weight * centred * mean[:BAND_COUNT][known]).sum() / (weight * centred**2).sum())
    return max(fall, 0.5 * _USUAL_FALL_ANGSTROM2)


_USUAL_FALL_ANGSTROM2 = 50.0
"""B / 2 of a B-factor of 100 A^2 (Rosenthal & Henderson 2003): amplitudes fall as exp(-B k^2 / 4), power as B/2 k^2."""


def moved_angstrom(
    start_angstrom: float, gain: Array, fall_angstrom2: float, nyquist_angstrom: float
) -> tuple[float, float, float]:
    """(expected, best, worst) resolution after a gain (S, K): where the risen curve meets the old threshold, Nyquist at
    the finest."""
    k2 = 1 / start_angstrom**2
    at_start = curves_at(1 / start_angstrom, gain)
    # The gain itself changes with k: its slope against k^2 flattens the fall.
    step = 0.1 * k2
    beyond = curves_at(float(np.sqrt(k2 + step)), gain)
    slope = np.clip((beyond - at_start) / step, 0.0, 0.7 * fall_angstrom2)
    moved = k2 + at_start / (fall_angstrom2 - slope)
    low, high = (float(np.quantile(moved, q)) for q in CREDIBLE)
    expected, best, worst = (
        max(float(1 / np.sqrt(max(v, 0.25 * k2))), nyquist_angstrom) for v in (float(moved.mean()), high, low)
    )
    return expected, best, worst
