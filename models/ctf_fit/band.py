"""The samples that are fitted: flat lists within a band of frequencies, divided by a smooth first background."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.ctf_fit.periodogram import PowerMap

FloatArray = NDArray[np.floating[Any]]

ICE_BAND_PER_ANGSTROM = (0.25, 0.28)
"""First ring of crystalline ice (0.256 and 0.27 1/A) with its neighbourhood, as RELION and CTFFIND count it."""
_ICE_MASK_PER_ANGSTROM = (0.247, 0.283)


@dataclass(frozen=True, slots=True)
class Band:
    """Samples with low <= k <= high. All tensors are flat and of one length, float32, but `ring` (int64).

    ratio: power / background; count: periodogram samples in each; k2, kx2_minus_ky2, two_kx_ky in 1/A^2;
    ring: index of the radial bin of width `ring_width` that starts at `low`.
    """

    ratio: Tensor
    count: Tensor
    kx: Tensor
    ky: Tensor
    k2: Tensor
    kx2_minus_ky2: Tensor
    two_kx_ky: Tensor
    ring: Tensor
    ring_count: int
    low_per_angstrom: float
    high_per_angstrom: float
    ring_width_per_angstrom: float

    def ring_centres(self) -> FloatArray:
        return self.low_per_angstrom + (np.arange(self.ring_count) + 0.5) * self.ring_width_per_angstrom


@dataclass(frozen=True, slots=True)
class Background:
    """Smooth radial curve: exp of a spline through knots. Frequencies in 1/A, power in image units."""

    knots_per_angstrom: FloatArray
    coefficients: FloatArray

    def at(self, frequency_per_angstrom: FloatArray) -> FloatArray:
        design = cubic_basis(frequency_per_angstrom, self.knots_per_angstrom)
        return np.asarray(np.exp(design @ self.coefficients))


def cubic_basis(x: FloatArray, knots: FloatArray) -> FloatArray:
    """Uniform cubic B-splines (len(x), len(knots) + 2); `knots` are the borders of the intervals, x is clipped to them.

    de Boor 1978, "A Practical Guide to Splines", ch. 10, on uniform knots.
    """
    spacing = (knots[-1] - knots[0]) / (len(knots) - 1)
    position = np.clip((x - knots[0]) / spacing, 0.0, len(knots) - 1 - 1e-9)
    interval = position.astype(np.int64)
    u = position - interval
    pieces = ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3)
    basis = np.zeros((len(x), len(knots) + 2))
    for offset, piece in enumerate(pieces):
        basis[np.arange(len(x)), interval + offset] = piece / 6.0
    return basis


def uniform_knots(low: float, high: float, spacing: float, *, fewest: int = 3) -> FloatArray:
    """Borders of equal intervals of about `spacing` between `low` and `high`."""
    return np.linspace(low, high, max(fewest, math.ceil((high - low) / spacing)) + 1)


def radial_mean(
    values: Tensor, count: Tensor, k: Tensor, *, low: float, width: float, bins: int
) -> tuple[FloatArray, FloatArray]:
    """Mean of `values` weighted by `count` in `bins` rings of `width` from `low` (1/A), and the count per ring."""
    index = torch.floor((k - low) / width).to(torch.int64)
    inside = (index >= 0) & (index < bins) & (count > 0)
    index = index[inside]
    weight = count[inside].to(torch.float64)
    total = torch.bincount(index, weights=weight, minlength=bins)
    sums = torch.bincount(index, weights=weight * values[inside].to(torch.float64), minlength=bins)
    mean = (sums / total.clamp_min(1e-300)).cpu().numpy()
    return mean, total.cpu().numpy()


def fit_background(spectrum: PowerMap, *, low: float, high: float, knot_spacing: float) -> Background:
    """exp(spline) through the ring means, by penalised Gamma regression (Fisher scoring), ice band left out.

    The ring mean of n exponential samples is Gamma with variance mean^2 / n; the rings of the CTF remain as ripples
    around the curve.
    """
    k = torch.sqrt(spectrum.ky[:, None] ** 2 + spectrum.kx[None, :] ** 2)
    width = spectrum.spacing_per_angstrom
    bins = max(8, int((high - low) / width))
    width = (high - low) / bins
    mean, count = radial_mean(
        spectrum.power.flatten(), spectrum.count.flatten(), k.flatten(), low=low, width=width, bins=bins
    )
    centre = low + (np.arange(bins) + 0.5) * width
    usable = (count > 0) & (mean > 0) & ~in_ice_band(centre)
    knots = uniform_knots(low, high, knot_spacing)
    design = cubic_basis(centre, knots)[usable]
    weight, value = np.minimum(count[usable], 2000.0), mean[usable]
    second_difference = np.diff(np.eye(design.shape[1]), n=2, axis=0)
    penalty = 0.1 * second_difference.T @ second_difference
    coefficients = np.linalg.lstsq(design, np.log(value), rcond=None)[0]
    normal = design.T @ (weight[:, None] * design) + penalty
    for _ in range(8):
        fitted = design @ coefficients
        gradient = design.T @ (weight * np.clip(value * np.exp(-fitted) - 1.0, -1.0, 3.0)) - penalty @ coefficients
        coefficients = coefficients + np.linalg.solve(normal, gradient)
    return Background(knots_per_angstrom=knots, coefficients=coefficients)


def in_ice_band(k: FloatArray) -> NDArray[np.bool_]:
    return np.asarray((k > _ICE_MASK_PER_ANGSTROM[0]) & (k < _ICE_MASK_PER_ANGSTROM[1]))


def select_band(spectrum: PowerMap, background: Background, *, low: float, high: float, mask_ice: bool) -> Band:
    """Samples between `low` and `high` (1/A) divided by the background; masked ones are left out."""
    kx = spectrum.kx[None, :].expand(spectrum.power.shape)
    ky = spectrum.ky[:, None].expand(spectrum.power.shape)
    k2 = kx * kx + ky * ky
    inside = (k2 >= low * low) & (k2 < high * high) & (spectrum.count > 0)
    if mask_ice:
        inside &= ~((k2 > _ICE_MASK_PER_ANGSTROM[0] ** 2) & (k2 < _ICE_MASK_PER_ANGSTROM[1] ** 2))
    kx, ky, k2 = kx[inside], ky[inside], k2[inside]
    width = spectrum.spacing_per_angstrom
    ring_count = max(1, math.ceil((high - low) / width))
    ring = ((torch.sqrt(k2) - low) / width).to(torch.int64).clamp(0, ring_count - 1)
    centres = low + (np.arange(ring_count) + 0.5) * width
    curve = torch.from_numpy(background.at(centres)).to(device=k2.device, dtype=torch.float32)
    return Band(
        ratio=spectrum.power[inside] / curve[ring],
        count=spectrum.count[inside],
        kx=kx,
        ky=ky,
        k2=k2,
        kx2_minus_ky2=kx * kx - ky * ky,
        two_kx_ky=2.0 * kx * ky,
        ring=ring,
        ring_count=ring_count,
        low_per_angstrom=low,
        high_per_angstrom=high,
        ring_width_per_angstrom=width,
    )
