"""Maximum likelihood of the rings: the periodogram's own distribution, nuisance curves profiled, errors from Fisher.

Model of a sample's mean, in units of the first background:

    mu = nu(|k|) + delta(|k|) (1 - rho(k) e(k) cos(2 chi(k; dz, a_x, a_y, phase)))

that is N + A CTF^2 with A = 2 delta; rho is the known loss of contrast by the finite window and by block means.
e = exp(b_x g (kx^2 - ky^2) + b_y g 2 kx ky) lets the rings fall off faster along one direction than across it, as what
drift leaves in a sum does (the first background has taken the same out of the mean); g makes b of order one. nu is
a cubic spline, delta the exponential of one. A sample that is the mean of n exponentials has log-likelihood
-n (ln mu + y / mu) (Whittle 1953). Smoothness priors on both curves keep faint rings from being fitted to noise:
where nothing is seen, delta goes on as its surroundings do. At low frequency delta may also fluctuate from knot to
knot as the transform of a molecule does, so that its lumps are not taken for rings. Fisher scoring in all parameters
at once. Defocus enters linearly: 2 chi = 2 pi lambda (dz k^2 + a_x (kx^2 - ky^2) + a_y 2 kx ky) - ..., with
a_x, a_y = (U - V)/2 (cos, sin)(2 angle).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.models.ctf_fit import whittle_kernels
from frazil.models.ctf_fit.band import Band, FloatArray, cubic_basis, uniform_knots
from frazil.models.ctf_fit.periodogram import PowerMap
from frazil.models.ctf_fit.phase import RingOptics, astigmatism_log_prior
from frazil.models.ctf_fit.ring_model import (
    LOG_DELTA_MEAN,
    NOISE_KNOT_SPACING_PER_ANGSTROM,
    PARAMETER_SCALE_ANGSTROM,
    RING_KNOT_SPACING_PER_ANGSTROM,
    RingParameters,
    ring_contrast,
    ring_parameters,
    ring_prior,
)

SMALLEST_MEAN = 0.05
"""Of the background: a mean below would make single samples decide."""
LEAST: Any = np.float32(SMALLEST_MEAN)
Samples = NDArray[np.float32]
_STEPS = 30
_CONVERGED_GAIN = 5e-3
_CURVES_GAIN = 0.1
"""Log-likelihood: curves that could gain less are right to a third of their error."""
_SECTORS = 12
_RING_GROUPS = 24
_LARGEST_LOG_DELTA = 1.5
Indices = NDArray[np.int64]
_HELD: Indices = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class RingFit:
    """parameters at the maximum; covariance (4, 4) of (dz, a_x, a_y in A, phase in rad), zero for what was held;
    nu, log_delta: spline coefficients; directional: (b_x, b_y); log_likelihood_gain: over the best fit without
    rings."""

    parameters: RingParameters
    covariance: FloatArray
    nu: FloatArray
    log_delta: FloatArray
    log_likelihood_gain: float
    converged: bool
    directional: tuple[float, float] = (0.0, 0.0)
    fit_per_angstrom: float | None = None
    """Up to where the rings were seen by other means than the whole image's profile (1/A)."""

    @property
    def log_posterior_gain(self) -> float:
        """With the prior of the astigmatism: what candidates are compared by."""
        astigmatism = torch.tensor(self.parameters.astigmatism_angstrom, dtype=torch.float64)
        return self.log_likelihood_gain + float(astigmatism_log_prior(astigmatism))


class WhittleFit:
    """Likelihood of one band of samples; reused for every candidate."""

    def __init__(
        self,
        band: Band,
        optics: RingOptics,
        spectrum: PowerMap,
    ) -> None:
        self._band = band
        self._optics = optics
        self._spectrum = spectrum
        low, high = band.low_per_angstrom, band.high_per_angstrom
        noise_knots = uniform_knots(low, high, NOISE_KNOT_SPACING_PER_ANGSTROM)
        ring_knots = uniform_knots(low, high, RING_KNOT_SPACING_PER_ANGSTROM)
        self._noise_basis = cubic_basis(band.ring_centres(), noise_knots)
        self._ring_basis = cubic_basis(band.ring_centres(), ring_knots)
        size = self._noise_basis.shape[1]
        second = np.diff(np.eye(size), n=2, axis=0)
        # nu is about 1: its second differences have a standard deviation of 1.
        self._penalty_nu = second.T @ second
        self._penalty_delta = ring_prior(ring_knots)
        gradient = optics.defocus_gradient * PARAMETER_SCALE_ANGSTROM
        fixed = optics.phase_without_defocus(band.k2)
        by_defocus = [gradient * band.k2, gradient * band.kx2_minus_ky2, gradient * band.two_kx_ky]
        # The samples are few after block means: the compiled loops run where the rest of the fit does, on the CPU.
        self._geometry = torch.stack([fixed, *by_defocus]).cpu().numpy()
        self._ratio, self._count = band.ratio.cpu().numpy(), band.count.cpu().numpy()
        self._kx, self._ky = band.kx.cpu().numpy(), band.ky.cpu().numpy()
        self._ring = band.ring.cpu().numpy()
        self._null_nu, self._null_log_likelihood = self._fit_null()

    def contrast(self, parameters: RingParameters) -> Samples:
        """rho: what window and block means leave of each sample's ring contrast."""
        return ring_contrast(self._kx, self._ky, self._optics, self._spectrum, parameters)

    def maximise(
        self,
        start: RingParameters,
        *,
        fit_phase_shift: bool,
        fall_off: float = 100.0,
        curves: RingFit | None = None,
        steps: int = _STEPS,
    ) -> RingFit:
        """Nearest maximum from `start`; `fall_off` (A^2) is the first guess of delta ~ exp(-fall_off k^2), unless
        `curves` of an earlier fit are given."""
        free = np.array([0, 1, 2, 3, 4, 5] if fit_phase_shift else [0, 1, 2, 4, 5])
        size = self._noise_basis.shape[1]
        total = size + self._ring_basis.shape[1]
        rho = self.contrast(start)
        vector = np.concatenate([start.vector(), (0.0, 0.0) if curves is None else curves.directional])
        # Amplitudes first, with the rings held where they are; then everything.
        first = self._first_curves(fall_off) if curves is None else (curves.nu, curves.log_delta)
        nu, log_delta, value = self._amplitudes(vector, rho, *first, steps=5)
        # A step of more than about a radian of phase at the band's edge would leave the basin.
        longest = 1.5 / (self._optics.defocus_gradient * PARAMETER_SCALE_ANGSTROM * self._band.high_per_angstrom**2)
        converged = False
        for _ in range(steps):
            normal, gradient = self._system(vector, rho, nu, log_delta, free)
            step = np.linalg.solve(normal + _jitter(normal), gradient)
            scale = min(
                1.0,
                longest / max(float(np.abs(step[total : total + 3]).max()), 1e-12),
                1.5 / max(float(np.abs(step[size:total]).max()), 1e-12),
                1.0 / max(float(np.abs(step[-2:]).max()), 1e-12),
            )
            accepted = False
            for _ in range(6):
                trial_vector = vector.copy()
                trial_vector[free] += scale * step[total:]
                trial_nu, trial_delta = nu + scale * step[:size], log_delta + scale * step[size:total]
                trial = self._log_likelihood(trial_vector, rho, trial_nu, trial_delta)
                if trial >= value:
                    accepted = True
                    vector, nu, log_delta, value = trial_vector, trial_nu, trial_delta, trial
                    break
                scale *= 0.4
            # What a full step could gain at most is a hundredth of a sigma's worth, or no uphill step is left.
            if not accepted or 0.5 * float(gradient @ step) < _CONVERGED_GAIN:
                converged = True
                break
        normal, _ = self._system(vector, rho, nu, log_delta, free)
        return RingFit(
            parameters=ring_parameters(vector),
            covariance=_covariance(normal, free),
            nu=nu,
            log_delta=log_delta,
            log_likelihood_gain=value - self._null_log_likelihood,
            converged=converged,
            directional=(float(vector[4]), float(vector[5])),
        )

    def amplitudes(self, parameters: RingParameters) -> tuple[FloatArray, FloatArray]:
        """The curves nu and delta on the band's rings, with the rings held at `parameters`."""
        nu, log_delta, _ = self._amplitudes(
            _isotropic(parameters), self.contrast(parameters), *self._first_curves(100.0), steps=25
        )
        return self._noise_basis @ nu, np.exp(np.minimum(self._ring_basis @ log_delta, _LARGEST_LOG_DELTA))

    def _first_curves(self, fall_off: float) -> tuple[FloatArray, FloatArray]:
        k = np.linspace(self._band.low_per_angstrom, self._band.high_per_angstrom, self._ring_basis.shape[1])
        log_delta = math.log(0.1) - np.minimum(fall_off * (k**2 - k[0] ** 2), 4.0)
        return 0.9 * self._null_nu, log_delta

    def residual_dispersion(self, fit: RingFit) -> float:
        """Mean square of the standardised residual in cells of ring group and sector; 1 if the model holds, never less.

        The 2 % largest are left out, so that a few reflections do not condemn a micrograph.
        """
        squares, count = self._residuals(fit)
        squares = np.sort(squares[count > 20])
        if len(squares) < 10:
            return 1.0
        return max(1.0, float(squares[: int(0.98 * len(squares))].mean()))

    def dispersion_in(self, fit: RingFit, low: float, high: float) -> float:
        """Mean squared residual of the cells between two frequencies (1/A); 1 where there are none."""
        band = self._band
        edge = np.arange(_RING_GROUPS) * (band.ring_count / _RING_GROUPS) * band.ring_width_per_angstrom
        edge = edge + band.low_per_angstrom
        inside = (edge > low - 0.5 * (edge[1] - edge[0])) & (edge < high - 0.5 * (edge[1] - edge[0]))
        return float(self._by_ring(fit)[inside].mean()) if inside.any() else 1.0

    def trusted(self, fit: RingFit) -> WhittleFit:
        """The same likelihood with each ring's samples counted as so many fewer as their residuals scatter too far."""
        spread = np.pad(self._by_ring(fit), 1, mode="edge")
        spread = np.maximum(np.convolve(spread, (0.25, 0.5, 0.25), mode="valid"), 1.0)
        group = (np.arange(self._band.ring_count) + 0.5) * _RING_GROUPS / self._band.ring_count - 0.5
        of_ring = torch.from_numpy(np.interp(group, np.arange(_RING_GROUPS), spread)).to(self._band.count)
        return WhittleFit(
            replace(self._band, count=self._band.count / of_ring[self._band.ring]), self._optics, self._spectrum
        )

    def _by_ring(self, fit: RingFit) -> FloatArray:
        """Mean over sectors of the squared standardised residuals, per ring group; 1 where there is nothing."""
        squares, count = (values.reshape(_RING_GROUPS, _SECTORS) for values in self._residuals(fit))
        used = count > 5
        return np.asarray(np.where(used.any(1), (squares * used).sum(1) / np.maximum(used.sum(1), 1), 1.0))

    def _residuals(self, fit: RingFit) -> tuple[FloatArray, FloatArray]:
        """Squared standardised residuals of cells of ring group and sector, and the samples in each."""
        curves = self._curves(fit.nu, fit.log_delta)
        mean = whittle_kernels.mean_curve(
            self._ring, self._geometry, self.contrast(fit.parameters), *curves, _single(_vector(fit)), LEAST
        )
        sector = (np.mod(np.arctan2(self._ky, self._kx), math.pi) * (_SECTORS / math.pi)).astype(np.int64)
        group = self._ring * _RING_GROUPS // self._band.ring_count
        cell = group * _SECTORS + sector.clip(0, _SECTORS - 1)
        residual = self._count * (self._ratio / mean - 1.0)
        cells = _RING_GROUPS * _SECTORS
        pull = np.asarray(np.bincount(cell, residual, minlength=cells), dtype=np.float64)
        count = np.asarray(np.bincount(cell, self._count, minlength=cells), dtype=np.float64)
        return pull**2 / np.maximum(count, 1e-9), count

    # Pieces of the likelihood

    def _curves(self, nu: FloatArray, log_delta: FloatArray) -> tuple[Samples, Samples]:
        """nu and delta of every ring."""
        curve_delta = np.exp(np.minimum(self._ring_basis @ log_delta, _LARGEST_LOG_DELTA))
        return _single(np.maximum(self._noise_basis @ nu, SMALLEST_MEAN)), _single(curve_delta)

    def _log_likelihood(self, vector: FloatArray, rho: Samples, nu: FloatArray, log_delta: FloatArray) -> float:
        """With the priors of the curves, up to a constant."""
        samples = (self._ring, self._ratio, self._count, self._geometry, rho)
        value = whittle_kernels.log_likelihood(*samples, *self._curves(nu, log_delta), _single(vector), LEAST)
        offset, directional = log_delta - LOG_DELTA_MEAN, vector[4:]
        penalty = nu @ self._penalty_nu @ nu + offset @ self._penalty_delta @ offset + directional @ directional
        return float(value) - 0.5 * float(penalty)

    def _system(
        self, vector: FloatArray, rho: Samples, nu: FloatArray, log_delta: FloatArray, free: Indices
    ) -> tuple[FloatArray, FloatArray]:
        """Fisher information and gradient of the log-posterior in (nu, log_delta, parameters)."""
        samples = (self._ring, self._ratio, self._count, self._geometry, rho)
        by_ring, information, score = whittle_kernels.system(
            *samples, *self._curves(nu, log_delta), _single(vector), free, LEAST
        )
        sums = by_ring.T
        noise, ring = self._noise_basis, self._ring_basis
        size, total = noise.shape[1], noise.shape[1] + ring.shape[1]
        fitted = len(free)
        normal = np.zeros((total + fitted, total + fitted))
        normal[:size, :size] = noise.T @ (sums[0][:, None] * noise) + self._penalty_nu
        normal[:size, size:total] = noise.T @ (sums[1][:, None] * ring)
        normal[size:total, :size] = normal[:size, size:total].T
        normal[size:total, size:total] = ring.T @ (sums[2][:, None] * ring) + self._penalty_delta
        gradient = np.zeros(total + fitted)
        gradient[:size] = noise.T @ sums[3] - self._penalty_nu @ nu
        gradient[size:total] = ring.T @ sums[4] - self._penalty_delta @ (log_delta - LOG_DELTA_MEAN)
        if fitted:
            normal[:size, total:] = noise.T @ sums[5 : 5 + fitted].T
            normal[size:total, total:] = ring.T @ sums[5 + fitted : 5 + 2 * fitted].T
            normal[total:, :total] = normal[:total, total:].T
            normal[total:, total:] = information
            gradient[total:] = score
            # The prior of b is a standard normal.
            normal[-2:, -2:] += np.eye(2)
            gradient[-2:] -= vector[4:]
        return normal, gradient

    def _amplitudes(
        self, vector: FloatArray, rho: Samples, nu: FloatArray, log_delta: FloatArray, *, steps: int
    ) -> tuple[FloatArray, FloatArray, float]:
        """Best curves with the rings held, and their log-posterior."""
        size = self._noise_basis.shape[1]
        value = self._log_likelihood(vector, rho, nu, log_delta)
        for _ in range(steps):
            normal, gradient = self._system(vector, rho, nu, log_delta, _HELD)
            step = np.linalg.solve(normal + _jitter(normal), gradient)
            scale = min(1.0, 2.0 / max(float(np.abs(step[size:]).max()), 1e-12))
            gain = 0.0
            for _ in range(5):
                trial_nu, trial_delta = nu + scale * step[:size], log_delta + scale * step[size:]
                trial = self._log_likelihood(vector, rho, trial_nu, trial_delta)
                if trial >= value:
                    gain = trial - value
                    nu, log_delta, value = trial_nu, trial_delta, trial
                    break
                scale *= 0.4
            if gain < _CURVES_GAIN:
                break
        return nu, log_delta, value

    def _fit_null(self) -> tuple[FloatArray, float]:
        """Best nu without rings."""
        size = self._noise_basis.shape[1]
        nu: FloatArray = np.ones(size)
        sums = whittle_kernels.ring_sums(
            self._ring, np.stack([self._count, self._count * self._ratio]), self._band.ring_count
        )
        for _ in range(6):
            curve = np.maximum(self._noise_basis @ nu, SMALLEST_MEAN)
            weight = sums[0] / curve**2
            normal = self._noise_basis.T @ (weight[:, None] * self._noise_basis) + self._penalty_nu
            gradient = self._noise_basis.T @ ((sums[1] - sums[0] * curve) / curve**2) - self._penalty_nu @ nu
            nu = nu + np.linalg.solve(normal + _jitter(normal), gradient)
        fitted = np.maximum(self._noise_basis @ nu, SMALLEST_MEAN)
        value = -float((sums[0] * np.log(fitted) + sums[1] / fitted).sum())
        return nu, value - 0.5 * float(nu @ self._penalty_nu @ nu)


def _single(values: FloatArray) -> Samples:
    return values.astype(np.float32)


def _jitter(matrix: FloatArray) -> FloatArray:
    """A last 1e-9 on the diagonal: a direction without any information must not stop the solver."""
    diagonal: FloatArray = np.eye(len(matrix)) * (1e-9 * np.trace(matrix) / len(matrix))
    return diagonal


def _isotropic(parameters: RingParameters) -> FloatArray:
    return np.concatenate([parameters.vector(), np.zeros(2)])


def _vector(fit: RingFit) -> FloatArray:
    return np.concatenate([fit.parameters.vector(), fit.directional])


def _covariance(normal: FloatArray, free: Indices) -> FloatArray:
    """Marginal covariance of the ring parameters (inverse information with all else free), (4, 4)."""
    rings = int((free < 4).sum())
    inverse = np.linalg.inv(normal + _jitter(normal))
    first = len(normal) - len(free)
    scale = np.array([PARAMETER_SCALE_ANGSTROM] * 3 + [1.0])[:rings]
    covariance = np.zeros((4, 4))
    part = slice(first, first + rings)
    covariance[:rings, :rings] = inverse[part, part] * np.outer(scale, scale)
    return covariance
