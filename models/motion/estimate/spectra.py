"""How much of each shell is specimen, fixed pattern and noise: the weights of the alignment, measured from the movie.

Model of frame f at frequency k, after whitening (noise variance 1):
    y_f = a_f S exp(-i omega d_f) + G + n_f,   var S = rho_S(shell), var G = rho_G(shell).
The powers of three sums are linear in the three variances: of each frame, of the sum of unmoved frames and of the sum
of aligned frames. What stands still on the camera and what moves with the specimen are told apart by the motion itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frazil.models.motion.estimate.band import Band
from frazil.models.motion.estimate.band_sums import AlignedSums

_PATTERN_BANDS = 4
"""Parts of the band in which the pattern may differ: gain residuals are white but for the camera's transfer."""


@dataclass(frozen=True, slots=True)
class MotionSpectra:
    """Variances per shell in units of the shot noise, (n_shells + 1,) float32 on the device; the last entry is 0."""

    specimen: Tensor
    pattern: Tensor

    @property
    def has_pattern(self) -> bool:
        return bool((self.pattern > 0).any())


@dataclass(frozen=True, slots=True)
class ShellMoments:
    """Means over the coefficients of each shell, (n_shells,) float64 NumPy."""

    count: npt.NDArray[np.float64]
    frame_power: npt.NDArray[np.float64]
    still_power: npt.NDArray[np.float64]
    """|sum_f y_f|^2"""
    aligned_power: npt.NDArray[np.float64]
    """|sum_f a_f y_f exp(i omega d_f)|^2"""
    coherence: npt.NDArray[np.float64]
    """|sum_f a_f exp(i omega d_f)|^2"""
    half_cross: npt.NDArray[np.float64]
    """Re{A conj(B)}: A, B the sums of the unmoved frames of the first and of the second half."""
    half_coherence: npt.NDArray[np.float64]
    """The same of a_f exp(-i omega d_f): what a specimen of unit variance adds to `half_cross`."""
    amplitude_sum_sq: npt.NDArray[np.float64]
    """sum_f a_f^2"""


def shell_mean(values: Tensor, band: Band) -> npt.NDArray[np.float64]:
    """Mean of a map (Ny, Nx) over each shell."""
    total = torch.bincount(band.flat_shell, weights=values.reshape(-1).double(), minlength=band.shell_count + 1)
    return np.asarray((total / band.shell_sizes.clamp_min(1))[:-1].cpu().numpy(), dtype=np.float64)


def measure_moments(band: Band, sums: AlignedSums) -> ShellMoments:
    """The powers at the displacements of `sums`."""
    if band.coefficients.device.type != "cpu":
        return moments_on_device(band, sums, band.frame_moments)
    first, second = band.still_halves
    still = first + second
    count = band.shell_sizes[:-1]
    return ShellMoments(
        np.asarray(count.cpu().numpy(), dtype=np.float64),
        shell_mean(band.frame_power, band),
        shell_mean(_power(still), band),
        shell_mean(_power(sums.aligned), band),
        shell_mean(_power(sums.phase), band),
        shell_mean((first * second.conj()).real, band),
        shell_mean((sums.early_phase * sums.late_phase.conj()).real, band),
        np.asarray(band.amplitude[:, :-1].double().square().sum(dim=0).cpu().numpy(), dtype=np.float64),
    )


def moments_on_device(band: Band, sums: AlignedSums, of_frames: Tensor) -> ShellMoments:
    """`measure_moments` with one copy from the device; of many regions or amplitudes at once, each moment then
    (P, n_shells) (`each_of`).

    `of_frames` is (..., 3, n_shells) as `Band.frame_moments`.
    """
    cross = (sums.early_phase * sums.late_phase.conj()).real
    powers = torch.view_as_real(torch.stack((sums.aligned, sums.phase), dim=-3)).square().sum(dim=-1)
    means = band.shell_means(torch.cat((powers, cross.unsqueeze(-3)), dim=-3))
    found = np.moveaxis(torch.cat((of_frames.expand_as(means), means), dim=-2).cpu().numpy(), -2, 0)
    host = band.known
    frame, still, half_cross, aligned, coherence, half_coherence = found
    return ShellMoments(
        host.shell_sizes[:-1].double().numpy(),
        frame,
        still,
        aligned,
        coherence,
        half_cross,
        half_coherence,
        host.amplitude[..., :-1].double().square().sum(dim=-2).numpy(),
    )


def each_of(moments: ShellMoments, count: int) -> list[ShellMoments]:
    """One by one what `moments_on_device` measured of `count` together."""
    values = [getattr(moments, one.name) for one in fields(moments)]
    return [ShellMoments(*(v if v.ndim == 1 else v[place] for v in values)) for place in range(count)]


def _power(values: Tensor) -> Tensor:
    return values.real.square() + values.imag.square()


def noise_per_shell(moments: ShellMoments, frame_count: int) -> npt.NDArray[np.float64]:
    """Noise variance per frame and shell: the frames' power less what their aligned sum explains of it."""
    frames = float(frame_count)
    apart = np.maximum((moments.frame_power - moments.still_power / frames) / max(frames - 1.0, 1.0), 1e-12)
    q = np.maximum(moments.amplitude_sum_sq, 1e-6)
    signal = np.maximum(moments.aligned_power / q - apart, 0.0)
    # Never less than a tenth of the frame's own power.
    noise = np.maximum((moments.frame_power - signal) / max(frames - 1.0, 1.0), 0.1 * moments.frame_power / frames)
    return np.maximum(_smooth(noise, moments.count), 1e-12)


def whiten(band: Band, moments: ShellMoments) -> Band:
    """Divide by the noise's standard deviation per shell, so that noise has variance 1 (reuses the memory of `band`,
    which is no longer valid)."""
    return scaled(band, noise_per_shell(moments, band.frame_count))


def scaled(band: Band, noise: npt.NDArray[np.float64]) -> Band:
    """Divide by the square root of a variance per shell; reuses the memory of `band`, which is no longer valid."""
    scale = np.concatenate([1.0 / np.sqrt(noise), [0.0]])
    factor = torch.as_tensor(scale, dtype=torch.float32, device=band.coefficients.device)[band.flat_shell].reshape(
        band.shell.shape
    )
    return replace(band, coefficients=band.coefficients.mul_(factor))


def pattern_floor(moments: ShellMoments, frame_count: int) -> float:
    """Power common to the unmoved frames in the outer quarter of the band, or 0 if it does not stand out.

    A residual of the gain is as white as the shot noise, a specimen is not: where the motion is too small to tell the
    two apart, this much of every shell is taken for pattern. (A specimen that stands perfectly still loses as much.)
    """
    frames = float(frame_count)
    part = slice(3 * moments.count.size // 4, None)
    weight = moments.count[part]
    if frames < 2 or weight.sum() <= 0:
        return 0.0
    pairs = float((frame_count // 2) * (frame_count - frame_count // 2))
    level = float((weight * moments.half_cross[part]).sum() / weight.sum()) / pairs
    return level if level > 4.0 / np.sqrt(2.0 * pairs * weight.sum()) else 0.0


def estimate_spectra(moments: ShellMoments, frame_count: int, *, floor: float | None = 0.0) -> MotionSpectra:
    """Solve the three moment equations; rho_S per shell (smoothed), rho_G per quarter of the band, both >= 0.

    The fixed pattern is taken to be as white as `floor` says (see `pattern_floor`), unless a part of the band
    contradicts that by four standard errors. `floor=None`: there is no pattern.
    """
    frames = float(frame_count)
    q = np.maximum(moments.amplitude_sum_sq, 1e-6)
    c = np.minimum(moments.coherence, frames * q)
    shells = moments.count.size
    pairs = float((frame_count // 2) * (frame_count - frame_count // 2))
    white = floor or 0.0
    pattern = np.full(shells, white)
    # E half_cross = S cc + G n1 n2 ; E aligned = S q^2 + G c + q n ; E frames = S q + G F + F n  (n near 1).
    for part in np.array_split(np.arange(shells), min(_PATTERN_BANDS, shells)):
        weight = moments.count[part]
        if weight.sum() <= 0 or floor is None:
            continue
        # Eliminate S and n per shell, then pool: G * coefficient = excess.
        # Only pairs of frames from different halves: neighbours also share what the ice has not forgotten yet.
        excess_still = moments.half_cross[part]
        excess_aligned = moments.aligned_power[part] - q[part] / frames * moments.frame_power[part]
        s_still, g_still = moments.half_coherence[part], pairs
        s_aligned, g_aligned = q[part] ** 2 - q[part] ** 2 / frames, c[part] - q[part]
        ratio = s_still / np.maximum(s_aligned, 1e-9)
        excess = excess_still - ratio * excess_aligned
        coefficient = g_still - ratio * g_aligned
        determined = coefficient > 0.3 * g_still
        if not determined.any() or weight[determined].sum() <= 0:
            continue
        w = weight[determined] * coefficient[determined]
        g = float((w * excess[determined]).sum() / (w * coefficient[determined]).sum())
        spread = float(np.sqrt(0.5 * pairs / (weight[determined] * coefficient[determined] ** 2).sum()))
        if abs(g - white) > 4.0 * spread:
            pattern[part] = max(g, 0.0)
    excess = moments.aligned_power - q / frames * moments.frame_power - pattern * (c - q)
    specimen = excess / np.maximum(q**2 - q**2 / frames, 1e-9)
    specimen = np.maximum(_smooth(specimen, moments.count), 0.0)
    return specimen_and_pattern(specimen, pattern)


def specimen_and_pattern(specimen: npt.NDArray[np.float64], pattern: npt.NDArray[np.float64]) -> MotionSpectra:
    """Append the empty shell and make tensors (CPU; moved by the caller's `to`)."""
    return MotionSpectra(
        torch.as_tensor(np.concatenate([specimen, [0.0]]), dtype=torch.float32),
        torch.as_tensor(np.concatenate([pattern, [0.0]]), dtype=torch.float32),
    )


def _smooth(values: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Three-shell running mean weighted by the number of coefficients."""
    kernel = np.array([0.5, 1.0, 0.5])
    top = np.convolve(values * weight, kernel, mode="same")
    bottom = np.convolve(weight, kernel, mode="same")
    return np.asarray(top / np.maximum(bottom, 1e-12), dtype=np.float64)
