"""Equiphase averages: the two-dimensional rings laid on one radial axis, where astigmatism no longer blurs them.

A sample at k in a direction of defocus dz(theta) is booked at the k' at which the mean defocus gives the same chi
(Zhang 2016, J. Struct. Biol. 193, 1; Rohou & Grigorieff 2015, section 2.7), solved exactly with the Cs term.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.ctf_fit.band import FloatArray, radial_mean
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.ring_model import RingParameters


@dataclass(frozen=True, slots=True)
class RingProfile:
    """On fine bins of `width` from `low` (1/A): excess (mean of power / background - 1), pattern (-rho cos 2 chi),
    count (periodogram samples)."""

    low_per_angstrom: float
    width_per_angstrom: float
    excess: FloatArray
    pattern: FloatArray
    count: FloatArray

    @property
    def centres(self) -> FloatArray:
        return self.low_per_angstrom + (np.arange(len(self.count)) + 0.5) * self.width_per_angstrom


def equiphase_frequency(kx: Tensor, ky: Tensor, optics: RingOptics, parameters: RingParameters) -> Tensor:
    """k' in 1/A of samples at (kx, ky); where no k' exists (beyond the turning point of chi), |k| itself."""
    k2 = kx * kx + ky * ky
    gradient, cs_term = optics.defocus_gradient, optics.cs_term_angstrom4
    astigmatic = parameters.astigmatism_x_angstrom * (kx * kx - ky * ky)
    astigmatic = astigmatic + parameters.astigmatism_y_angstrom * (2.0 * kx * ky)
    phase = gradient * (parameters.defocus_angstrom * k2 + astigmatic) - cs_term * k2 * k2
    slope = gradient * parameters.defocus_angstrom
    discriminant = slope * slope - 4.0 * cs_term * phase
    solved = 2.0 * phase / (slope + torch.sqrt(discriminant.clamp_min(0.0)))
    before_turn = (2.0 * cs_term * k2 < slope) & (discriminant >= 0.0) & (solved > 0.0)
    return torch.sqrt(torch.where(before_turn, solved, k2))


def ring_profile(
    ratio: Tensor,
    count: Tensor,
    contrast: Tensor,
    frequency: Tensor,
    optics: RingOptics,
    parameters: RingParameters,
    *,
    low: float,
    high: float,
    width: float,
) -> RingProfile:
    """Equiphase means of `ratio` - 1 with the pattern that the mean defocus predicts, from `low` to `high` (1/A)."""
    bins = max(4, int((high - low) / width))
    excess, total = radial_mean(ratio - 1.0, count, frequency, low=low, width=width, bins=bins)
    rho, _ = radial_mean(contrast, count, frequency, low=low, width=width, bins=bins)
    k2 = torch.from_numpy((low + (np.arange(bins) + 0.5) * width) ** 2)
    angle = optics.phase_without_defocus(k2) + optics.defocus_gradient * parameters.defocus_angstrom * k2
    angle = angle + 2.0 * parameters.phase_shift_rad
    pattern = -rho * torch.cos(angle).numpy()
    return RingProfile(low, width, excess, pattern, total)


def correlation(profile: RingProfile, low: float, high: float) -> tuple[float, float]:
    """Weighted correlation of excess and pattern between `low` and `high`, and its significance in standard deviations
    (each bin's mean of n exponentials has variance 1/n under no rings)."""
    inside = (profile.centres >= low) & (profile.centres < high) & (profile.count > 0)
    if int(inside.sum()) < 4:
        return 0.0, 0.0
    weight = profile.count[inside]
    total = weight.sum()
    observed = profile.excess[inside] - (weight * profile.excess[inside]).sum() / total
    expected = profile.pattern[inside] - (weight * profile.pattern[inside]).sum() / total
    cross = float((weight * observed * expected).sum())
    power_observed = float((weight * observed * observed).sum())
    power_expected = float((weight * expected * expected).sum())
    if power_observed <= 0.0 or power_expected <= 0.0:
        return 0.0, 0.0
    return cross / (power_observed * power_expected) ** 0.5, cross / power_expected**0.5


def ice_ring_density(unclipped: FloatArray, count: FloatArray, k: FloatArray) -> float:
    """Mean power in 0.25-0.28 1/A over a straight line (in logarithm) through both neighbourhoods, minus one.

    NaN where the spectrum does not reach beyond the ring.
    """
    below = (k >= 0.205) & (k < 0.24) & (count > 0)
    above = (k > 0.29) & (k <= 0.33) & (count > 0)
    ring = (k >= 0.25) & (k <= 0.28) & (count > 0)
    if int(below.sum()) < 2 or int(above.sum()) < 2 or int(ring.sum()) < 2:
        return float("nan")

    def level(where: NDArray[np.bool_]) -> tuple[float, float]:
        return float(np.average(k[where], weights=count[where])), float(np.median(unclipped[where]))

    (k_below, p_below), (k_above, p_above) = level(below), level(above)
    if p_below <= 0.0 or p_above <= 0.0:
        return float("nan")
    slope = np.log(p_above / p_below) / (k_above - k_below)
    surroundings = p_below * np.exp(slope * (k[ring] - k_below))
    return float(np.average(unclipped[ring] / surroundings, weights=count[ring]) - 1.0)
