"""Maximum likelihood of the rings: the periodogram's own distribution, nuisance curves profiled, errors from Fisher.

Model of a sample's mean, in units of the first background:

    mu = beta(|k|) - delta(|k|) rho(k) cos(2 chi(k; dz, a_x, a_y, phase))

beta and delta >= 0 are cubic splines; rho is the known loss of contrast by the finite window and by block means. A
sample that is the mean of n exponentials has log-likelihood -n (ln mu + y / mu) (Whittle 1953). Fisher scoring in all
parameters at once; spline coefficients of delta that want to be negative are pinned at zero (projected Newton,
Bertsekas 1982). Defocus enters linearly: 2 chi = 2 pi lambda (dz k^2 + a_x (kx^2 - ky^2) + a_y 2 kx ky) - ..., with
a_x, a_y = (U - V)/2 (cos, sin)(2 angle).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frazil.models.ctf_fit.band import Band, FloatArray, cubic_basis, uniform_knots
from frazil.models.ctf_fit.periodogram import PowerMap, window_overlap
from frazil.models.ctf_fit.phase import RingOptics

KNOT_SPACING_PER_ANGSTROM = 0.035
SMALLEST_MEAN = 0.05
"""Of the background: a mean below would make single samples decide."""
_PARAMETER_SCALE_ANGSTROM = 1000.0
_STEPS = 30


@dataclass(frozen=True, slots=True)
class RingParameters:
    """Mean defocus, the two components of half the astigmatism (A), phase shift (rad)."""

    defocus_angstrom: float
    astigmatism_x_angstrom: float
    astigmatism_y_angstrom: float
    phase_shift_rad: float

    @property
    def astigmatism_angstrom(self) -> float:
        """U - V."""
        return 2.0 * math.hypot(self.astigmatism_x_angstrom, self.astigmatism_y_angstrom)

    @property
    def angle_rad(self) -> float:
        return 0.5 * math.atan2(self.astigmatism_y_angstrom, self.astigmatism_x_angstrom)

    def vector(self) -> FloatArray:
        return np.array(
            [
                self.defocus_angstrom / _PARAMETER_SCALE_ANGSTROM,
                self.astigmatism_x_angstrom / _PARAMETER_SCALE_ANGSTROM,
                self.astigmatism_y_angstrom / _PARAMETER_SCALE_ANGSTROM,
                self.phase_shift_rad,
            ]
        )


def ring_parameters(vector: FloatArray) -> RingParameters:
    scaled = vector[:3] * _PARAMETER_SCALE_ANGSTROM
    return RingParameters(float(scaled[0]), float(scaled[1]), float(scaled[2]), float(vector[3]))


@dataclass(frozen=True, slots=True)
class RingFit:
    """parameters at the maximum; covariance (4, 4) of (dz, a_x, a_y in A, phase in rad), zero for what was held;
    beta, delta: spline coefficients; log_likelihood relative to the best fit without rings."""

    parameters: RingParameters
    covariance: FloatArray
    beta: FloatArray
    delta: FloatArray
    log_likelihood_gain: float
    converged: bool


class WhittleFit:
    """Likelihood of one band of samples; reused for every candidate."""

    def __init__(
        self,
        band: Band,
        optics: RingOptics,
        spectrum: PowerMap,
        *,
        knot_spacing: float = KNOT_SPACING_PER_ANGSTROM,
        subset: Tensor | None = None,
    ) -> None:
        self._band = band
        self._optics = optics
        self._spectrum = spectrum
        self.knots = uniform_knots(band.low_per_angstrom, band.high_per_angstrom, knot_spacing)
        self.basis = cubic_basis(band.ring_centres(), self.knots)
        difference = np.diff(np.eye(self.basis.shape[1]), n=2, axis=0)
        # Weak: the second differences of the curves (about 1 and below 1) have standard deviations of 1 and 0.5.
        self._penalty_beta = difference.T @ difference
        self._penalty_delta = 4.0 * difference.T @ difference
        self._count = band.count if subset is None else band.count * subset
        self._fixed = optics.phase_without_defocus(band.k2)
        gradient = optics.defocus_gradient * _PARAMETER_SCALE_ANGSTROM
        self._gradients = torch.stack(
            [
                gradient * band.k2,
                gradient * band.kx2_minus_ky2,
                gradient * band.two_kx_ky,
                torch.full_like(band.k2, 2.0),
            ]
        )
        self._null_beta, self._null_log_likelihood = self._fit_null()

    def contrast(self, parameters: RingParameters) -> Tensor:
        """rho: what window and block means leave of each sample's ring contrast."""
        return ring_contrast(self._band.kx, self._band.ky, self._optics, self._spectrum, parameters)

    def angle_of(self, vector: FloatArray) -> Tensor:
        """2 chi of every sample."""
        weights = torch.tensor(vector, dtype=torch.float32, device=self._fixed.device)
        return self._fixed + weights @ self._gradients

    def maximise(self, start: RingParameters, *, fit_phase_shift: bool, steps: int = _STEPS) -> RingFit:
        """Nearest maximum from `start`."""
        free = 4 if fit_phase_shift else 3
        size = self.basis.shape[1]
        rho = self.contrast(start)
        vector: FloatArray = start.vector()
        beta: FloatArray = self._null_beta.copy()
        delta: FloatArray = np.zeros(size)
        # Amplitudes first, with the rings held where they are; then everything.
        beta, delta, value = self._amplitudes(vector, rho, beta, delta, steps=4)
        converged = False
        normal: FloatArray = np.eye(2 * size + free)
        for _ in range(steps):
            normal, gradient, _ = self._system(vector, rho, beta, delta, free)
            step = self._projected_step(normal, gradient, delta)
            # A step of more than about a radian of phase at the band's edge would leave the basin.
            reach = abs(step[2 * size :]) * np.array([1.0, 1.0, 1.0, 0.0])[:free]
            limit = 1.0 / (self._optics.defocus_gradient * _PARAMETER_SCALE_ANGSTROM * self._band.high_per_angstrom**2)
            scale = min(1.0, 1.5 * limit / max(float(reach.max()), 1e-12))
            accepted = False
            for _ in range(6):
                trial_beta = beta + scale * step[:size]
                trial_delta = np.maximum(delta + scale * step[size : 2 * size], 0.0)
                trial_vector = vector.copy()
                trial_vector[:free] += scale * step[2 * size :]
                trial = self._log_likelihood(trial_vector, rho, trial_beta, trial_delta)
                if trial >= value - 1e-9 * abs(value):
                    accepted = True
                    break
                scale *= 0.4
            if not accepted:
                converged = True
                break
            gain = trial - value
            vector, beta, delta, value = trial_vector, trial_beta, trial_delta, trial
            if gain < 1e-3 and scale == 1.0:
                converged = True
                break
        normal, _, _ = self._system(vector, rho, beta, delta, free)
        return RingFit(
            parameters=ring_parameters(vector),
            covariance=self._covariance(normal, delta, free),
            beta=beta,
            delta=delta,
            log_likelihood_gain=value - self._null_log_likelihood,
            converged=converged,
        )

    def amplitudes(self, parameters: RingParameters) -> tuple[FloatArray, FloatArray]:
        """Spline coefficients of beta and delta with the rings held at `parameters`."""
        beta, delta, _ = self._amplitudes(
            parameters.vector(),
            self.contrast(parameters),
            self._null_beta.copy(),
            np.zeros(self.basis.shape[1]),
            steps=12,
        )
        return beta, delta

    def residual_dispersion(self, fit: RingFit) -> float:
        """Mean square of the standardised residual in fine rings, 1 if the model holds; robust against a few rings."""
        mean = self._mean(fit.parameters.vector(), self.contrast(fit.parameters), fit.beta, fit.delta)
        weight = self._count / mean
        sums = self._rings(torch.stack([weight * (self._band.ratio - mean) / mean * mean, self._count]))
        occupied = sums[1] > 0
        z = sums[0][occupied] / np.sqrt(sums[1][occupied])
        # Median of chi-square with one degree of freedom is 0.4549; the mean sees tails. Take the larger, the
        # mean with its upper 2 % cut.
        squares = np.sort(z * z)
        kept = squares[: max(4, int(0.98 * len(squares)))]
        return float(max(np.median(squares) / 0.4549, kept.mean(), 1.0))

    def held_out_log_likelihood(self, fit: RingFit) -> float:
        """Log-likelihood gain of `fit` (found on other samples) on this object's samples, over no rings at all."""
        rho = self.contrast(fit.parameters)
        value = self._log_likelihood(fit.parameters.vector(), rho, fit.beta, fit.delta, penalised=False)
        null = self._log_likelihood(
            fit.parameters.vector(), rho, self._null_beta, np.zeros_like(fit.delta), penalised=False
        )
        return value - null

    # Pieces of the likelihood

    def _curves(self, beta: FloatArray, delta: FloatArray) -> tuple[Tensor, Tensor]:
        device = self._fixed.device
        curve_beta = torch.from_numpy(self.basis @ beta).to(device=device, dtype=torch.float32)
        curve_delta = torch.from_numpy(self.basis @ delta).to(device=device, dtype=torch.float32)
        return curve_beta.clamp_min(SMALLEST_MEAN)[self._band.ring], curve_delta[self._band.ring]

    def _mean(self, vector: FloatArray, rho: Tensor, beta: FloatArray, delta: FloatArray) -> Tensor:
        curve_beta, curve_delta = self._curves(beta, delta)
        return (curve_beta - curve_delta * rho * torch.cos(self.angle_of(vector))).clamp_min(SMALLEST_MEAN)

    def _log_likelihood(
        self,
        vector: FloatArray,
        rho: Tensor,
        beta: FloatArray,
        delta: FloatArray,
        *,
        penalised: bool = True,
    ) -> float:
        mean = self._mean(vector, rho, beta, delta)
        value = -float((self._count * (torch.log(mean) + self._band.ratio / mean)).sum(dtype=torch.float64))
        if penalised:
            value -= 0.5 * float(beta @ self._penalty_beta @ beta + delta @ self._penalty_delta @ delta)
        return value

    def _rings(self, rows: Tensor) -> FloatArray:
        """Sums over rings: (m, samples) -> (m, rings)."""
        out = [
            torch.bincount(self._band.ring, weights=row.to(torch.float64), minlength=self._band.ring_count)
            for row in rows
        ]
        return torch.stack(out).cpu().numpy()

    def _system(
        self,
        vector: FloatArray,
        rho: Tensor,
        beta: FloatArray,
        delta: FloatArray,
        free: int,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Fisher information and gradient of the penalised log-likelihood in (beta, delta, parameters)."""
        curve_beta, curve_delta = self._curves(beta, delta)
        angle = self.angle_of(vector)
        pattern = -rho * torch.cos(angle)
        slope = curve_delta * rho * torch.sin(angle)
        mean = (curve_beta + curve_delta * pattern).clamp_min(SMALLEST_MEAN)
        weight = self._count / (mean * mean)
        pull = weight * (self._band.ratio - mean)
        rows = [weight, weight * pattern, weight * pattern * pattern, pull, pull * pattern]
        if free:
            slopes = slope * self._gradients[:free]
            rows += [weight * row for row in slopes] + [weight * pattern * row for row in slopes]
        sums = self._rings(torch.stack(rows))
        basis = self.basis
        top = np.hstack([basis.T @ (sums[0][:, None] * basis), basis.T @ (sums[1][:, None] * basis)])
        middle = np.hstack([basis.T @ (sums[1][:, None] * basis), basis.T @ (sums[2][:, None] * basis)])
        size = basis.shape[1]
        normal = np.zeros((2 * size + free, 2 * size + free))
        normal[:size, : 2 * size], normal[size : 2 * size, : 2 * size] = top, middle
        normal[:size, :size] += self._penalty_beta
        normal[size : 2 * size, size : 2 * size] += self._penalty_delta
        gradient = np.zeros(2 * size + free)
        gradient[:size] = basis.T @ sums[3] - self._penalty_beta @ beta
        gradient[size : 2 * size] = basis.T @ sums[4] - self._penalty_delta @ delta
        if free:
            normal[:size, 2 * size :] = basis.T @ sums[5 : 5 + free].T
            normal[size : 2 * size, 2 * size :] = basis.T @ sums[5 + free : 5 + 2 * free].T
            normal[2 * size :, : 2 * size] = normal[: 2 * size, 2 * size :].T
            inner = (slopes * weight) @ slopes.T
            normal[2 * size :, 2 * size :] = inner.to(torch.float64).cpu().numpy()
            gradient[2 * size :] = (slopes @ pull).to(torch.float64).cpu().numpy()
        return normal, gradient, sums

    def _projected_step(self, normal: FloatArray, gradient: FloatArray, delta: FloatArray) -> FloatArray:
        """Newton step with the coefficients of delta kept from going below zero."""
        size = len(delta)
        active = np.zeros(len(gradient), dtype=bool)
        active[size : 2 * size] = (delta <= 0.0) & (gradient[size : 2 * size] < 0.0)
        step = np.zeros(len(gradient))
        for _ in range(4):
            use = ~active
            matrix = normal[np.ix_(use, use)]
            matrix = matrix + np.eye(len(matrix)) * (1e-9 * np.trace(matrix) / len(matrix))
            step[:] = 0.0
            step[use] = np.linalg.solve(matrix, gradient[use])
            beyond = delta + step[size : 2 * size] < 0.0
            newly = np.zeros_like(active)
            newly[size : 2 * size] = beyond & (delta <= 0.0)
            if not (newly & ~active).any():
                break
            active |= newly
        return step

    def _amplitudes(
        self,
        vector: FloatArray,
        rho: Tensor,
        beta: FloatArray,
        delta: FloatArray,
        *,
        steps: int,
    ) -> tuple[FloatArray, FloatArray, float]:
        size = self.basis.shape[1]
        value = self._log_likelihood(vector, rho, beta, delta)
        for _ in range(steps):
            normal, gradient, _ = self._system(vector, rho, beta, delta, 0)
            step = self._projected_step(normal, gradient, delta)
            scale = 1.0
            for _ in range(5):
                trial_beta = beta + scale * step[:size]
                trial_delta = np.maximum(delta + scale * step[size:], 0.0)
                trial = self._log_likelihood(vector, rho, trial_beta, trial_delta)
                if trial >= value:
                    break
                scale *= 0.4
            else:
                break
            gain = trial - value
            beta, delta, value = trial_beta, trial_delta, trial
            if gain < 1e-2:
                break
        return beta, delta, value

    def _fit_null(self) -> tuple[FloatArray, float]:
        """Best beta without rings."""
        size = self.basis.shape[1]
        beta, nothing = np.ones(size), np.zeros(size)
        for _ in range(6):
            curve = np.maximum(self.basis @ beta, SMALLEST_MEAN)
            sums = self._rings(torch.stack([self._count, self._count * self._band.ratio]))
            weight = sums[0] / curve**2
            normal = self.basis.T @ (weight[:, None] * self.basis) + self._penalty_beta
            gradient = self.basis.T @ ((sums[1] - sums[0] * curve) / curve**2) - self._penalty_beta @ beta
            beta = beta + np.linalg.solve(normal + 1e-9 * np.eye(size), gradient)
        rho = torch.zeros_like(self._fixed)
        return beta, self._log_likelihood(np.zeros(4), rho, beta, nothing)

    def _covariance(self, normal: FloatArray, delta: FloatArray, free: int) -> FloatArray:
        """Marginal covariance of the ring parameters (inverse Fisher information with the curves free)."""
        size = len(delta)
        use = np.ones(len(normal), dtype=bool)
        use[size : 2 * size] = delta > 0.0
        matrix = normal[np.ix_(use, use)]
        # No rings at all: the information about the parameters is zero and their variance without bound.
        matrix = matrix + np.eye(len(matrix)) * (1e-9 * np.trace(matrix) / len(matrix))
        inverse = np.linalg.inv(matrix)[-free:, -free:]
        scale = np.array([_PARAMETER_SCALE_ANGSTROM] * 3 + [1.0])[:free]
        covariance = np.zeros((4, 4))
        covariance[:free, :free] = inverse * np.outer(scale, scale)
        return covariance


def ring_contrast(kx: Tensor, ky: Tensor, optics: RingOptics, spectrum: PowerMap, parameters: RingParameters) -> Tensor:
    """Loss of contrast of cos(2 chi) by the window's finite size and by block means (1: none), shape of kx.

    The contrast is displaced by d = grad(2 chi) / 2 pi; the window keeps its autocorrelation at d, and a mean over a
    block of width b in frequency keeps sinc(b d) along each axis.
    """
    half = optics.defocus_gradient / math.pi  # 2 lambda
    k2 = kx * kx + ky * ky
    common = half * parameters.defocus_angstrom - optics.cs_term_angstrom4 * 4.0 * k2 / (2.0 * math.pi)
    shift_x = common * kx + half * (parameters.astigmatism_x_angstrom * kx + parameters.astigmatism_y_angstrom * ky)
    shift_y = common * ky + half * (parameters.astigmatism_y_angstrom * kx - parameters.astigmatism_x_angstrom * ky)
    contrast = window_overlap(shift_x, spectrum.width_angstrom) * window_overlap(shift_y, spectrum.height_angstrom)
    if spectrum.block > 1:
        contrast = contrast * torch.sinc(shift_x * (spectrum.block / spectrum.width_angstrom))
        contrast = contrast * torch.sinc(shift_y * (spectrum.block / spectrum.height_angstrom))
    return contrast
