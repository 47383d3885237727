"""The samples that are fitted: flat lists within a band of frequencies, divided by a smooth first background."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.ctf_fit import map_kernels
from frazil.models.ctf_fit.periodogram import PowerMap

FloatArray = NDArray[np.floating[Any]]

ICE_BAND_PER_ANGSTROM = (0.25, 0.28)
"""First ring of crystalline ice (0.256 and 0.27 1/A) with its neighbourhood, as RELION and CTFFIND count it."""
_SECTORS = 12
_LEVEL_KNOT_SPACING_PER_ANGSTROM = 0.035
_ANISOTROPY_KNOT_SPACING_PER_ANGSTROM = 0.08
_ANISOTROPY_SD = 0.5
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
    """Smooth spectrum exp(f0(k) + f1(k) cos 2 theta + f2(k) sin 2 theta), each f a spline; k in 1/A.

    The two anisotropic terms take up what drift and structures with edges do to a spectrum, which would otherwise
    pass for few, strongly astigmatic rings.
    """

    knots_per_angstrom: FloatArray
    coarse_knots_per_angstrom: FloatArray
    level_coefficients: FloatArray
    cosine_coefficients: FloatArray
    sine_coefficients: FloatArray

    def at(self, frequency_per_angstrom: FloatArray) -> FloatArray:
        """The level averaged over directions (exp f0), in image units."""
        design = cubic_basis(frequency_per_angstrom, self.knots_per_angstrom)
        return np.asarray(np.exp(design @ self.level_coefficients))

    def anisotropy(self, frequency_per_angstrom: FloatArray) -> tuple[FloatArray, FloatArray]:
        """f1 and f2."""
        design = cubic_basis(frequency_per_angstrom, self.coarse_knots_per_angstrom)
        return design @ self.cosine_coefficients, design @ self.sine_coefficients


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


def fit_background(spectrum: PowerMap, *, low: float, high: float) -> Background:
    """Background through the means of cells of ring and sector, by penalised Gamma regression (Fisher scoring).

    A cell's mean of n exponential samples is Gamma with variance mean^2 / n. The ice band is left out; the rings of
    the CTF remain as ripples around the curves.
    """
    bins = max(8, int((high - low) / spectrum.spacing_per_angstrom))
    width = (high - low) / bins
    power, count, ky, kx = spectrum.arrays()
    sums, counts = map_kernels.polar_sums(power, count, ky, kx, low, width, bins, _SECTORS)
    cell_count = counts.ravel()
    cell_mean = sums.ravel() / np.maximum(cell_count, 1e-300)
    centre = np.repeat(low + (np.arange(bins) + 0.5) * width, _SECTORS)
    angle = np.tile((np.arange(_SECTORS) + 0.5) * (math.pi / _SECTORS), bins)
    usable = (cell_count > 0) & (cell_mean > 0) & ~in_ice_band(centre)
    knots = uniform_knots(low, high, _LEVEL_KNOT_SPACING_PER_ANGSTROM)
    coarse = uniform_knots(low, high, _ANISOTROPY_KNOT_SPACING_PER_ANGSTROM, fewest=2)
    level, around = cubic_basis(centre, knots), cubic_basis(centre, coarse)
    design = np.hstack([level, around * np.cos(2.0 * angle)[:, None], around * np.sin(2.0 * angle)[:, None]])[usable]
    size, extra = level.shape[1], around.shape[1]
    second_difference = np.diff(np.eye(size), n=2, axis=0)
    penalty = np.zeros((size + 2 * extra, size + 2 * extra))
    penalty[:size, :size] = 0.1 * second_difference.T @ second_difference
    penalty[size:, size:] = np.eye(2 * extra) / _ANISOTROPY_SD**2
    weight, value = np.minimum(cell_count[usable], 2000.0 / _SECTORS), cell_mean[usable]
    coefficients = np.zeros(size + 2 * extra)
    coefficients[:size] = np.linalg.lstsq(design[:, :size], np.log(value), rcond=None)[0]
    normal = design.T @ (weight[:, None] * design) + penalty
    for _ in range(8):
        misfit = np.clip(value * np.exp(-design @ coefficients) - 1.0, -1.0, 3.0)
        coefficients = coefficients + np.linalg.solve(normal, design.T @ (weight * misfit) - penalty @ coefficients)
    return Background(
        knots, coarse, coefficients[:size], coefficients[size : size + extra], coefficients[size + extra :]
    )


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
    curves = np.stack([background.at(centres), *background.anisotropy(centres)])
    level, cosine, sine = torch.from_numpy(curves).to(device=k2.device, dtype=torch.float32)
    kx2_minus_ky2, two_kx_ky = kx * kx - ky * ky, 2.0 * kx * ky
    anisotropy = (cosine[ring] * kx2_minus_ky2 + sine[ring] * two_kx_ky) / k2
    return Band(
        ratio=spectrum.power[inside] / (level[ring] * torch.exp(anisotropy)),
        count=spectrum.count[inside],
        kx=kx,
        ky=ky,
        k2=k2,
        kx2_minus_ky2=kx2_minus_ky2,
        two_kx_ky=two_kx_ky,
        ring=ring,
        ring_count=ring_count,
        low_per_angstrom=low,
        high_per_angstrom=high,
        ring_width_per_angstrom=width,
    )
