"""The signal-to-noise ratio that a restoration goes by: the causal prior's word, and what the two half-sums say.

SSNR here is signal power over noise power per Fourier sample where CTF^2 = 1, envelopes included, of the full sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.optics.ctf import CtfParameters, ctf_2d, frequency_grid

FloatArray = NDArray[np.float64]

_BINS = 48
_LOWEST_PER_ANGSTROM = 1 / 200
"""Slower than this is illumination and ice thickness."""
_ROUGHNESS = 0.08
"""Prior sd of the second difference of ln SSNR from bin to bin: rings of a protein's spectrum rise and fall over about
1/30 1/A."""
_SLOPE_ANGSTROM = 40.0
"""Prior fall of ln SSNR with frequency (a B factor of some 100 A2 and the Guinier fall together), with an sd as large:
it rules only where the halves say nothing."""
_FLOOR = -12.0
_ITERATIONS = 40


@dataclass(frozen=True, slots=True)
class SsnrCurve:
    """ln SSNR and its standard deviation on rising frequencies (1/A)."""

    frequency_per_angstrom: FloatArray
    log_ssnr: FloatArray
    log_ssnr_sd: FloatArray

    def at(self, frequency_per_angstrom: FloatArray) -> FloatArray:
        """ln SSNR: linear between the points, constant below the first, beyond the last falling as over the last fifth
        (never rising)."""
        return _extended(self.frequency_per_angstrom, self.log_ssnr, np.asarray(frequency_per_angstrom))

    def sd_at(self, frequency_per_angstrom: FloatArray) -> FloatArray:
        return np.asarray(np.interp(frequency_per_angstrom, self.frequency_per_angstrom, self.log_ssnr_sd))

    def combined(self, other: SsnrCurve) -> SsnrCurve:
        """Weighted by precision, on both curves' frequencies; outside of its own a curve says nothing."""
        k = np.union1d(self.frequency_per_angstrom, other.frequency_per_angstrom)
        means, weights = [], []
        for curve in (self, other):
            own = curve.frequency_per_angstrom
            weight = 1 / np.maximum(curve.sd_at(k), 1e-3) ** 2
            weights.append(np.where((k < own[0]) | (k > own[-1]), 0.0, weight))
            means.append(curve.at(k))
        total = weights[0] + weights[1]
        mean = (weights[0] * means[0] + weights[1] * means[1]) / total
        return SsnrCurve(k, mean, 1 / np.sqrt(total))


def _extended(k: FloatArray, values: FloatArray, at: FloatArray) -> FloatArray:
    tail = max(len(k) // 5, 1)
    slope = min((values[-1] - values[-1 - tail]) / (k[-1] - k[-1 - tail]), 0.0) if len(k) > 1 else 0.0
    inside = np.interp(at, k, values)
    return np.asarray(np.where(at > k[-1], values[-1] + slope * (at - k[-1]), inside))


def half_spectra_ssnr(even: Tensor, odd: Tensor, *, pixel_size_angstrom: float, ctf: CtfParameters) -> SsnrCurve:
    """SSNR of even + odd from the halves alone.

    In a ring the mean product of both halves is S C^2, so that S = sum(C^2 E O*) / sum(C^4); the noise is what the
    halves' own power has beyond it. ln S is a smooth curve (second differences have a Gaussian prior), fitted to the S
    of all rings with their errors by Gauss-Newton; where the rings say nothing it falls on with its prior slope.

    Parameters
    ----------
    even, odd:
        (h, w) images of independent halves, specimen dark; small ones will do (a pixel of 3 to 4 A).
    """
    height, width = even.shape
    first, second = (torch.fft.rfft2(half - half.mean()) for half in (even, odd))
    kx, ky = frequency_grid(height, width, pixel_size_angstrom, device=even.device)
    k = torch.sqrt(kx * kx + ky * ky)
    power = ctf_2d(ctf, height, width, pixel_size_angstrom, device=even.device) ** 2
    top = 0.5 / pixel_size_angstrom
    edges = np.linspace(_LOWEST_PER_ANGSTROM, top, _BINS + 1)
    position = (k - edges[0]) / (edges[1] - edges[0])
    inside = (position >= 0) & (position < _BINS)
    index = position[inside].long()
    cross = (first * second.conj()).real[inside]
    auto = (0.5 * (first.abs() ** 2 + second.abs() ** 2))[inside]
    weight = power[inside]

    def ring(values: Tensor) -> FloatArray:
        return torch.bincount(index, values.double(), minlength=_BINS).cpu().numpy()

    count = np.maximum(ring(torch.ones_like(cross)), 1.0)
    fourth = np.maximum(ring(weight * weight), 1e-9)
    signal = ring(weight * cross) / fourth
    noise = np.maximum((ring(auto) - ring(cross)) / count, 1e-30)
    # Real part of a product of two independent complex samples: half of the product of their powers.
    sd = np.sqrt(0.5 * ring((weight * auto) ** 2)) / fourth
    return _smooth(0.5 * (edges[:-1] + edges[1:]), 2 * signal / noise, 2 * sd / noise)


def _smooth(k: FloatArray, ssnr: FloatArray, sd: FloatArray) -> SsnrCurve:
    """Curve ln SSNR of highest posterior density for measured SSNR (which may be negative) and errors."""
    count, step = len(k), k[1] - k[0]
    second = np.diff(np.eye(count), n=2, axis=0)
    slope = np.diff(np.eye(count), axis=0)
    prior = second.T @ second / _ROUGHNESS**2
    # The slope's prior is one statement about the whole curve: each step bears a share of its weight.
    share = 1 / (_SLOPE_ANGSTROM * step) ** 2 / count
    prior += share * slope.T @ slope
    pull = share * slope.T @ np.full(count - 1, -_SLOPE_ANGSTROM * step)
    usable = np.maximum(ssnr, 0.3 * sd)
    curve = np.log(np.maximum(usable, np.exp(_FLOOR)))
    curve = np.interp(k, [k[0], k[-1]], [np.max(curve[: count // 4]), np.log(max(float(np.median(usable)), 1e-4))])
    normal = prior
    for _ in range(_ITERATIONS):
        model = np.exp(np.clip(curve, _FLOOR, 12.0))
        # The errors of strong rings are of their own making: never better than 10 %.
        error = np.hypot(sd, 0.1 * model)
        gradient = model * (ssnr - model) / error**2
        information = (model / error) ** 2
        normal = prior + np.diag(information)
        step_taken = np.linalg.solve(normal, gradient + pull - prior @ curve)
        curve = curve + np.clip(step_taken, -1.0, 1.0)
        if np.abs(step_taken).max() < 1e-3:
            break
    spread = np.sqrt(np.diag(np.linalg.inv(normal)))
    return SsnrCurve(k, np.maximum(curve, _FLOOR), spread)
