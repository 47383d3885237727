"""What more movies would bring: B-factor, resolution at the end of the session, movies still needed for d angstrom.

Two halves that agree by FSC hold, together, SSNR = 2 FSC / (1 - FSC), and SSNR grows in proportion to the particles
(Rosenthal & Henderson 2003, J. Mol. Biol. 333, 721, and its appendix). So one round's curve says at which frequency FSC
will be 0.143 (SSNR 1/3) after any number of movies of the same kind, but for three things that are not known exactly:

1. The curve is measured by chance: atanh(FSC) of a shell with n independent pairs of coefficients has a variance of
   1 / n (`HalfMapFsc.chance_covariance`).
2. Beyond the present resolution hardly anything is measured. There ln SSNR is taken to be `a - (B/2) k^2 + ln P(k)/k`,
   P the mean power of proteins (past 20 A they are much alike: Singer 2021, Acta Cryst. A77, 472) and 1/k what
   projections sample, plus two Gaussian processes: a structure's own waves about P, and the slow bend of envelopes that
   are not Gaussian.
3. The FSC at the end will be measured with the same chance.

All three are in the interval; nothing was fitted to simulated sessions. Whatever grows otherwise than with the
particles (better orientations as the map gets better, later movies that are worse) is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frazil.models.reconstruction.resolution.fsc import FscCurve

_PROTEIN_PER_ANGSTROM = (
    *(0.0039, 0.0156, 0.0273, 0.0391, 0.0508, 0.0625, 0.0742, 0.0859, 0.0977, 0.1094, 0.1211, 0.1328, 0.1445, 0.1562),
    *(0.1680, 0.1797, 0.1914, 0.2031, 0.2148, 0.2266, 0.2383, 0.2500, 0.2617, 0.2734, 0.2852, 0.2969),
)
_PROTEIN_LN_POWER = (
    *(8.00, 4.51, 2.94, 1.54, 0.85, 0.50, 0.26, 0.20, 0.17, -0.07, -0.29, -0.42, -0.48, -0.45),
    *(-0.33, -0.14, 0.10, 0.28, 0.40, 0.39, 0.30, 0.19, 0.04, -0.07, -0.15, -0.24),
)
"""Mean over eight structures, B-factor 0 (`./run bench protein_spectrum`, which prints the scatter, too)."""
_WAVE_LENGTH_PER_ANGSTROM = 0.012
_WAVE_SD = 0.2
"""0.08 among the eight past 20 A; fibres, nucleic acids and the CTFs of few movies wave more."""
_SHAPE_SD = 0.5
"""Below 1/30 A, where a particle's size and shape count, with 0.4 among the eight."""
_BEND_SD, _BEND_LENGTH_PER_ANGSTROM = 0.4, 0.1
"""Damage falls with k rather than k^2, and worse-oriented particles fall out first: some tenths in ln SSNR."""
_LEVEL_SD = 20.0
_FALL_A2, _FALL_SD_A2 = 200.0, 800.0
"""Prior of B: hardly one."""
_THRESHOLD = 0.143
_SSNR_AT_THRESHOLD = 2 * _THRESHOLD / (1 - _THRESHOLD)
_DRAWS = 1000
_SEED = 20030333
_INTERVAL = (0.1, 0.5, 0.9)
_BEYOND = 4.0
"""The B-factor is that of frequencies which four times as many particles would resolve."""
_COARSEST_PER_ANGSTROM = 1 / 15


@dataclass(frozen=True, slots=True)
class Interval:
    """Median and 80 % interval."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Ssnr:
    """What one round tells about ln SSNR of the whole map: draws of its posterior."""

    frequency_per_angstrom: NDArray[np.float64]
    """(k,)"""
    draws: NDArray[np.float64]
    """(n, k) ln SSNR."""
    chance: NDArray[np.float64]
    """(k, k) lower triangle: covariance of a measured atanh(FSC) is chance @ chance.T."""

    def resolution(self, gain: float) -> Interval:
        """As it will be measured (FSC 0.143) with `gain` times the particles, in angstrom; low is the finer end."""
        fsc = _fsc(self.draws + math.log(gain))
        chance = np.random.default_rng(_SEED).standard_normal(fsc.shape) @ self.chance.T
        measured = np.tanh(np.arctanh(np.minimum(fsc, 0.9999)) + chance)
        return _interval(_crossings_angstrom(self.frequency_per_angstrom, measured))

    def gain_for(self, resolution_angstrom: float) -> Interval | None:
        """How many times the present particles give SSNR 1/3 up to there; None: beyond the last shell."""
        within = self.frequency_per_angstrom <= 1 / resolution_angstrom * (1 + 1e-9)
        if 1 / resolution_angstrom > self.frequency_per_angstrom[-1] * (1 + 1e-9) or not within.any():
            return None
        least = self.draws[:, within].min(axis=1)
        return _interval(np.exp(math.log(_SSNR_AT_THRESHOLD) - least))

    def b_factor_a2(self) -> Interval | None:
        """-2 times the slope of ln(SSNR k / P) against k^2; None: too few shells.

        That of the Rosenthal-Henderson plot where proteins have a flat spectrum, and not misled by their shape where
        the map ends before (it falls like a B-factor of some thousand between 30 and 15 A).
        """
        k = self.frequency_per_angstrom
        end = 1 / self.resolution(_BEYOND).median
        chosen = (k >= min(_COARSEST_PER_ANGSTROM, 0.5 * end)) & (k <= end)
        if chosen.sum() < 4:
            return None
        x = k[chosen] ** 2 - np.mean(k[chosen] ** 2)
        freed = self.draws - _spectrum(k)
        return _interval(-2 * (freed[:, chosen] @ x) / (x @ x))

    @property
    def limit_angstrom(self) -> float:
        """The finest that the working box holds."""
        return float(1 / self.frequency_per_angstrom[-1])


def ssnr_of(fsc: FscCurve, covariance: NDArray[np.float64]) -> Ssnr:
    """Posterior of ln SSNR, by Laplace's approximation.

    Parameters
    ----------
    fsc:
        Of the half maps, freed of what the mask adds.
    covariance:
        (k, k) of atanh(FSC) (`HalfMapFsc.chance_covariance`).

    Raises
    ------
    ValueError
        If the two have different sizes or no shell.
    """
    k = np.array(fsc.frequency_per_angstrom)
    if covariance.shape != (len(k), len(k)) or not len(k):
        raise ValueError(f"a covariance of {covariance.shape} for {len(k)} shells")
    weight = np.linalg.inv(covariance)
    measured = np.arctanh(np.clip(np.array(fsc.fsc), -0.9999, 0.9999))
    prior_mean = -_FALL_A2 / 2 * k**2 + _spectrum(k)
    square = k**2
    apart = (k[:, None] - k) ** 2
    size = np.interp(k, (1 / 30, 1 / 20), (_SHAPE_SD, _WAVE_SD))
    waves = np.outer(size, size) * np.exp(-apart / (2 * _WAVE_LENGTH_PER_ANGSTROM**2))
    bend = _BEND_SD**2 * np.exp(-apart / (2 * _BEND_LENGTH_PER_ANGSTROM**2))
    prior = _LEVEL_SD**2 + (_FALL_SD_A2 / 2) ** 2 * np.outer(square, square) + waves + bend
    precision = np.linalg.inv(prior + 1e-3 * np.eye(len(k)))

    def cost(at: NDArray[np.float64]) -> float:
        off, away = measured - np.arctanh(np.minimum(_fsc(at), 0.9999)), at - prior_mean
        return float(off @ weight @ off + away @ precision @ away)

    x = np.log(2 * np.clip(fsc.fsc, 0.05, 0.999) / (1 - np.clip(fsc.fsc, 0.05, 0.999)))
    hessian = precision
    for _ in range(200):
        f = np.minimum(_fsc(x), 0.9999)
        slope = f / (1 + f)  # d atanh(F) / d ln SSNR
        gradient = slope * (weight @ (measured - np.arctanh(f))) - precision @ (x - prior_mean)
        hessian = precision + slope[:, None] * weight * slope
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-4 and cost(x + size * step) > cost(x):
            size /= 2
        x = x + size * step
        if np.abs(size * step).max() < 1e-6:
            break
    white = np.random.default_rng(_SEED + 1).standard_normal((_DRAWS, len(k)))
    factor = np.linalg.cholesky(np.linalg.inv(hessian))
    return Ssnr(k, x + white @ factor.T, np.asarray(np.linalg.cholesky(covariance), dtype=np.float64))


def _spectrum(k: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of a protein's mean power over the noise of projections, whose sampling falls as 1 / k."""
    return np.asarray(np.interp(k, _PROTEIN_PER_ANGSTROM, _PROTEIN_LN_POWER) - np.log(k))


def _fsc(ln_ssnr: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + 2 * np.exp(-ln_ssnr)))


def _crossings_angstrom(k: NDArray[np.float64], fsc: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) as `FscCurve.resolution_angstrom`; a curve that begins below the threshold has its first frequency."""
    below = fsc < _THRESHOLD
    first = np.where(below.any(axis=1), below.argmax(axis=1), len(k))
    inner = np.clip(first, 1, len(k) - 1)
    rows = np.arange(len(fsc))
    c0, c1 = fsc[rows, inner - 1], fsc[rows, inner]
    share = np.clip((c0 - _THRESHOLD) / np.maximum(c0 - c1, 1e-12), 0.0, 1.0)
    at = k[inner - 1] + (k[inner] - k[inner - 1]) * share
    return np.asarray(1 / np.where(first == 0, k[0], np.where(first == len(k), k[-1], at)))


def _interval(values: NDArray[np.float64]) -> Interval:
    return Interval(*(float(value) for value in np.quantile(values, _INTERVAL)))
