"""Likelihood of all frames' displacements at once, its gradient and its Fisher information.

For every coefficient the frames are y = S s + G 1 + n with s_f = a_f exp(-i omega d_f), S and G Gaussian with the
variances of `MotionSpectra` and n white. Integrating S and G out leaves

    ln p(y | d) = sum_k [ b^H A^-1 b - ln det A ] + const,
    b = (s^H y, 1^H y),   A = [[sum a^2 + 1/rho_S, conj(c)], [c, F + 1/rho_G]],   c = sum_f s_f

(Gaussian linear model, matrix inversion lemma). Without a fixed pattern it is the weighted power of the aligned sum.
A frame's own noise cancels in the gradient, so no frame has to be left out. Information: Slepian-Bangs,
I_fg = tr(C^-1 dC/df C^-1 dC/dg); for two frames it is the classical bound of time-delay estimation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frazil.models.motion.estimate.band import Band
from frazil.models.motion.estimate.band_sums import AlignedSums, project, project_torch
from frazil.models.motion.estimate.spectra import MotionSpectra

_TINY = 1e-12
"""Stands for a variance or determinant of 0 in quotients whose result is then masked."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Log-likelihood relative to pure noise, and its gradient, float64 on the CPU."""

    log_likelihood: float
    gradient_parts_per_angstrom: npt.NDArray[np.float64]
    """(2, F, 2): from one half of the coefficients (`Band.chequered`) and from the other."""

    @property
    def gradient_per_angstrom(self) -> npt.NDArray[np.float64]:
        """(F, 2)"""
        return np.asarray(self.gradient_parts_per_angstrom.sum(axis=0))


@dataclass(frozen=True, slots=True)
class _Conditional:
    """Posterior means of specimen and pattern given the frames, with what the gradient needs."""

    log_likelihood: Tensor
    pattern_log_likelihood: Tensor
    weight: Tensor
    offset: Tensor


def log_likelihood(band: Band, sums: AlignedSums, spectra: MotionSpectra) -> tuple[float, float]:
    """ln p of the frames relative to pure noise, and that of noise and fixed pattern alone: what is above it is
    evidence of the specimen."""
    found = _condition(band, sums, spectra)
    both = torch.stack((found.log_likelihood, found.pattern_log_likelihood)).cpu()
    return float(both[0]), float(both[1])


def log_likelihoods(band: Band, sums: AlignedSums, spectra: list[MotionSpectra]) -> list[float]:
    """The first of `log_likelihood` for many amplitudes of a band at once, each with its own spectra."""
    together = MotionSpectra(torch.stack([s.specimen for s in spectra]), torch.stack([s.pattern for s in spectra]))
    return [float(one) for one in _condition(band, sums, together).log_likelihood.cpu()]


def evaluate(band: Band, shift_angstrom: Tensor, sums: AlignedSums, spectra: MotionSpectra) -> Evaluation:
    """Log-likelihood and gradient at displacements (F, 2; x, y; A), of which `sums` are the sums."""
    if sums.turned is not None:
        return evaluate_on_device(band, sums, spectra)[0]
    found = _condition(band, sums, spectra)
    slopes = project(band, shift_angstrom, found.weight, found.offset, band.chequered)
    return Evaluation(float(found.log_likelihood), slopes)


def evaluate_on_device(
    band: Band, sums: AlignedSums, spectra: MotionSpectra, coefficients: Tensor | None = None
) -> list[Evaluation]:
    """`evaluate` with one copy from the device; of many regions at once where their coefficients (P, F, Ny, Nx) are
    given, with their spectra (P, n_shells + 1) and without a fixed pattern."""
    assert sums.turned is not None
    found = _condition(band, sums, spectra)
    slopes = project_torch(band, sums.turned, found.weight, found.offset, coefficients)
    value = found.log_likelihood.reshape(-1, 1)
    out = torch.cat((value, slopes.reshape(len(value), -1)), dim=1).cpu().numpy()
    return [Evaluation(float(one[0]), one[1:].reshape(band.frame_count, 2, 2).transpose(1, 0, 2)) for one in out]


def _condition(band: Band, sums: AlignedSums, spectra: MotionSpectra) -> _Conditional:
    device = band.coefficients.device
    shell = band.flat_shell.reshape(band.shell.shape)
    rho_s = spectra.specimen.to(device)[..., shell]
    live = rho_s > 0
    inverse_s = torch.where(live, 1.0 / rho_s.clamp_min(_TINY), 1.0 / _TINY)
    q = band.amplitude.square().sum(dim=-2)[..., shell]
    b1 = sums.aligned
    a11 = q + inverse_s
    if not spectra.has_pattern:
        wiener = torch.where(live, b1 / a11, 0.0)
        value = (b1.conj() * wiener).real.double().sum(dim=(-2, -1))
        value = value - torch.where(live, torch.log(a11 * rho_s), 0.0).double().sum(dim=(-2, -1))
        return _Conditional(value, torch.zeros_like(value), wiener.conj(), torch.zeros_like(wiener))
    rho_g = spectra.pattern.to(device)[..., shell]
    alive_g = rho_g > 0
    a22 = band.frame_count + torch.where(alive_g, 1.0 / rho_g.clamp_min(_TINY), 1.0 / _TINY)
    c = sums.phase.conj()
    b2 = band.still_halves[0] + band.still_halves[1]
    det = (a11 * a22 - c.abs().square()).clamp_min(_TINY)
    m1 = (a22 * b1 - c.conj() * b2) / det
    m2 = (a11 * b2 - c * b1) / det
    inverse_21 = -c / det
    m1 = torch.where(live, m1, 0.0)
    inverse_21 = torch.where(live & alive_g, inverse_21, 0.0)
    m2 = torch.where(alive_g, m2, 0.0)
    a22_alone = torch.where(alive_g, a22, 1.0)
    log_a22 = torch.where(alive_g, torch.log(a22_alone * rho_g.clamp_min(_TINY)), 0.0)
    alone = torch.where(alive_g, b2.abs().square() / a22_alone, 0.0) - log_a22
    quadratic = (b1.conj() * m1 + b2.conj() * m2).real
    log_det = torch.where(live, torch.log(det / a22 * rho_s), 0.0) + log_a22
    inside = band.shell < band.shell_count
    value = torch.where(inside, quadratic - log_det, 0.0).double().sum(dim=(-2, -1))
    pattern_value = torch.where(inside, alone, 0.0).double().sum(dim=(-2, -1))
    return _Conditional(value, pattern_value, m1.conj(), m1.conj() * m2 + inverse_21)


def fisher_information(
    band: Band, shift_angstrom: Tensor, spectra: MotionSpectra, max_coefficients: int = 6000
) -> npt.NDArray[np.float64]:
    """Expected information (2F, 2F) per A^2, ordered x of all frames then y of all frames.

    With a fixed pattern it is computed on at most about `max_coefficients` coefficients, spread evenly over the band
    and scaled up: the terms vary slowly with k.
    """
    device = band.coefficients.device
    # What does not depend on the frames is small, and the host has it.
    known = band.known
    if not spectra.has_pattern:
        return _information_without_pattern(known, spectra)
    rho_all = spectra.specimen[known.flat_shell]
    live = (rho_all > 0).nonzero()[:, 0]
    frames = band.frame_count
    if live.numel() == 0:
        return np.zeros((2 * frames, 2 * frames))
    stride = max(1, -(-int(live.numel()) // max_coefficients))
    pick = live[torch.arange(0, live.numel(), stride)].to(device)
    scale = float(live.numel()) / float(pick.numel())
    rows, cols = pick // band.shell.shape[1], pick % band.shell.shape[1]
    shell = band.flat_shell[pick]
    wx, wy = band.omega_x_rad_per_angstrom[cols].double(), band.omega_y_rad_per_angstrom[rows].double()
    rho = spectra.specimen.to(device).double()[shell]
    rho_g = spectra.pattern.to(device).double()[shell]
    gamma = rho_g / (1.0 + frames * rho_g)
    a = band.amplitude[:, shell].double()
    shift = shift_angstrom.to(device).double()
    angle = -(shift[:, :1] * wx + shift[:, 1:] * wy)
    s = torch.polar(a, angle)
    c = s.sum(dim=0)
    q = a.square().sum(dim=0)
    h = (q - gamma * c.abs().square()).clamp_min(0.0)
    r = a.square() - gamma * c.conj() * s
    one = 1.0 + rho * h
    w_diag = h / one
    blocks = []
    for wi, wj in ((wx, wx), (wx, wy), (wy, wy)):
        base = 2.0 * rho.square() * wi * wj * scale
        block = -((r * (base / one.square())) @ r.T).real
        block = block - ((r.conj() * (base * w_diag * rho / one)) @ r.T).real
        block = block - ((s.conj() * (base * w_diag * gamma)) @ s.T).real
        blocks.append(block + torch.diag((a.square() * (base * w_diag)).sum(dim=1)))
    return _symmetric(torch.stack(blocks).cpu().numpy())


def _symmetric(blocks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(2F, 2F) of the blocks x x, x y and y y, each made symmetric."""
    xx, xy, yy = (0.5 * (block + block.T) for block in blocks)
    return np.block([[xx, xy], [xy, yy]])


def _information_without_pattern(band: Band, spectra: MotionSpectra) -> npt.NDArray[np.float64]:
    """sum_k 2 omega omega' rho^2 / (1 + rho q) (q a_f^2 delta_fg - a_f^2 a_g^2) with q = sum a^2, shell by shell."""
    frames = band.frame_count
    count = band.shell_count
    rho = spectra.specimen.to(band.shell.device).double()[:count]
    a_sq = band.amplitude[:, :count].double().square()
    q = a_sq.sum(dim=0)
    strength = 2.0 * rho.square() / (1.0 + rho * q)
    out = np.zeros((2 * frames, 2 * frames))
    for (i, j), moment in zip(((0, 0), (0, 1), (1, 1)), band.frequency_moments, strict=True):
        weight = strength * moment
        block = torch.diag((a_sq * (weight * q)).sum(dim=1)) - (a_sq * weight) @ a_sq.T
        matrix = block.cpu().numpy()
        out[i * frames : (i + 1) * frames, j * frames : (j + 1) * frames] = matrix
        out[j * frames : (j + 1) * frames, i * frames : (i + 1) * frames] = matrix
    return out
