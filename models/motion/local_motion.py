"""Local motion: one smooth field fitted to all patches at once, kept only if unseen data are explained better by it.

Patches are not aligned one by one. Each gives the gradient and the information of its own likelihood for its own
displacements; the chain rule turns them into equations for the field's coefficients (six spatial modes, free in
time, with the same kind of smoothness prior as whole-frame motion, its strength learnt from the movie). An empty patch
has no information and says nothing; a noisy one cannot run away to a false peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from frazil.models.motion import smooth_prior
from frazil.models.motion.band import Band, BandGrid, edge_window
from frazil.models.motion.binning import SmallStack, smooth_length
from frazil.models.motion.field import MODES, MotionField
from frazil.models.motion.likelihood import evaluate, fisher_information
from frazil.models.motion.spectra import (
    MotionSpectra,
    ShellMoments,
    estimate_spectra,
    measure_moments,
    noise_per_shell,
)
from frazil.models.motion.whole_frame import (
    MAX_PATCH_COEFFICIENTS,
    WholeFrameMotion,
    frame_amplitudes,
    frequency_limit,
    padded_amplitude,
)

Array = npt.NDArray[np.float64]

_PATCH_OVERLAP = 1.0
_SMALLEST_PATCH_PX = 48
_ROUNDS = 4
_CONVERGED_ANGSTROM = 0.03
_MIN_GAIN = 8.0
"""Rigid movies gain up to 5 by chance (tests/science); one with 0.6 A of local motion gains 60."""
_LOCAL_START = smooth_prior.StepPrior(0.01, 0.05, 10.0, 2.0, 3.0)
"""Local motion as it usually is: ten times smaller than whole-frame motion, and smoother."""
_TEMPER = 0.8
"""A patch's likelihood is trusted a little less than it claims: measured chi-square at the truth is 1.1-1.25, since
windows correlate neighbouring coefficients and particles are not a Gaussian field."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch: its band and what was undone when its pixels were read."""

    band: Band
    x: float
    y: float
    """Centre in -0.5..0.5 of the full frame."""
    read_offset_angstrom: Array
    """(F, 2): the patch was read this far along with the specimen; the band holds only the rest."""


@dataclass(frozen=True, slots=True)
class LocalFit:
    """The fitted field and the evidence for it."""

    field: MotionField
    whole_frame_sd_angstrom: Array
    held_out_gain: float
    """ln likelihood of unseen coefficients with the local field minus that without, summed over both halves."""
    rms_residual_angstrom: float
    accepted: bool


def orthonormal_modes(x: float, y: float) -> Array:
    """Constant and five modes, orthonormal over the frame (Legendre)."""
    return np.array(
        [
            1.0,
            np.sqrt(12.0) * x,
            np.sqrt(180.0) * (x * x - 1 / 12),
            np.sqrt(12.0) * y,
            np.sqrt(180.0) * (y * y - 1 / 12),
            12.0 * x * y,
        ]
    )


def to_field(coefficients: Array) -> MotionField:
    """(F, 6, 2) coefficients of the orthonormal modes as a `MotionField`."""
    out = np.empty((len(coefficients), MODES, 2))
    scale = np.array([np.sqrt(12.0), np.sqrt(180.0), np.sqrt(12.0), np.sqrt(180.0), 12.0])
    out[:] = coefficients[:, 1:] * scale[None, :, None]
    return MotionField(coefficients[:, 0].copy(), out)


def cut_patches(
    small: SmallStack,
    motion: WholeFrameMotion,
    *,
    frame_size_px: tuple[int, int],
    grid_x: int,
    grid_y: int,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
    voltage_kv: float,
) -> list[Patch]:
    """Read patches along the whole-frame motion, transform and whiten them.

    `frame_size_px` is (height, width) of the full-size frames, the measure of x and y.
    """
    frames, height, width = (int(n) for n in small.frames.shape)
    device = small.frames.device
    size_y = min(height, max(_SMALLEST_PATCH_PX, smooth_length(int(height / grid_y * _PATCH_OVERLAP))))
    size_x = min(width, max(_SMALLEST_PATCH_PX, smooth_length(int(width / grid_x * _PATCH_OVERLAP))))
    # Patches stay inside what every frame saw: a window that cannot follow the specimen pulls the estimate.
    whole_px = np.round(motion.shift_angstrom / small.pixel_size_angstrom).astype(int)
    (first_y, last_y), (first_x, last_x) = _seen_by_all(whole_px[:, 1], height), _seen_by_all(whole_px[:, 0], width)
    size_y = min(size_y, max(_SMALLEST_PATCH_PX, smooth_length((last_y - first_y) // grid_y)))
    size_x = min(size_x, max(_SMALLEST_PATCH_PX, smooth_length((last_x - first_x) // grid_x)))
    limit = frequency_limit(height, width, small.pixel_size_angstrom, MAX_PATCH_COEFFICIENTS)
    grid = BandGrid.build(size_y, size_x, small.pixel_size_angstrom, limit, device)
    amplitude = padded_amplitude(
        frame_amplitudes(
            small,
            grid.shell_frequency_per_angstrom,
            dose_per_frame_e_per_a2,
            pre_exposure_e_per_a2,
            voltage_kv,
            motion.damage_strength,
        )
    ).to(device)
    window = edge_window(size_y, size_x, device, 0.1)
    window = window / window.square().mean().sqrt()
    tops = np.round(np.linspace(first_y, max(first_y, last_y - size_y), grid_y)).astype(int)
    lefts = np.round(np.linspace(first_x, max(first_x, last_x - size_x), grid_x)).astype(int)
    factor = 2**small.halvings
    patches = []
    for top in tops:
        for left in lefts:
            rows = (top + whole_px[:, 1]).clip(0, height - size_y)
            cols = (left + whole_px[:, 0]).clip(0, width - size_x)
            pixels = torch.stack(
                [small.frames[f, rows[f] : rows[f] + size_y, cols[f] : cols[f] + size_x] for f in range(frames)]
            ).to(torch.float32)
            coefficients = grid.take((pixels - pixels.mean(dim=(1, 2), keepdim=True)) * window)
            band = Band(
                coefficients, grid.omega_x, grid.omega_y, grid.shell, grid.shell_frequency_per_angstrom, amplitude
            )
            offset = np.stack((cols - left, rows - top), axis=1) * small.pixel_size_angstrom
            centre_y = ((top + size_y / 2) * factor + small.offset_px[0]) / frame_size_px[0] - 0.5
            centre_x = ((left + size_x / 2) * factor + small.offset_px[1]) / frame_size_px[1] - 0.5
            patches.append(Patch(band, float(centre_x), float(centre_y), offset.astype(np.float64)))
    _whiten_together(patches, motion)
    return patches


def _seen_by_all(shift_px: npt.NDArray[np.int_], length: int) -> tuple[int, int]:
    """First and last + 1 pixel, in the specimen's gauge, that are inside the frame at all times (at least half)."""
    first, last = int(max(0, -shift_px.min())), int(min(length, length - shift_px.max()))
    return (first, last) if last - first >= length // 2 else (0, length)


def _whiten_together(patches: list[Patch], motion: WholeFrameMotion) -> None:
    """One noise curve for all patches (a patch has few coefficients), scaled to each patch's own level."""
    moments = [measure_moments(p.band, _residual(motion.shift_angstrom, p)) for p in patches]
    noise = noise_per_shell(_mean_moments(moments), patches[0].band.frame_count)
    for patch, own in zip(patches, moments, strict=True):
        outer = slice(noise.size // 2, None)
        level = float(
            (noise_per_shell(own, patch.band.frame_count)[outer] / noise[outer] * own.count[outer]).sum()
            / max(own.count[outer].sum(), 1.0)
        )
        scale = np.concatenate([1.0 / np.sqrt(noise * max(level, 1e-6)), [0.0]])
        patch.band.coefficients.mul_(
            torch.as_tensor(scale, dtype=torch.float32, device=patch.band.coefficients.device)[patch.band.shell]
        )


def _residual(shift_angstrom: Array, patch: Patch) -> torch.Tensor:
    return torch.as_tensor(shift_angstrom - patch.read_offset_angstrom)


def _mean_moments(moments: list[ShellMoments]) -> ShellMoments:
    first = moments[0]
    return ShellMoments(
        first.count * len(moments),
        np.mean([m.frame_power for m in moments], axis=0),
        np.mean([m.still_power for m in moments], axis=0),
        np.mean([m.aligned_power for m in moments], axis=0),
        np.mean([m.coherence for m in moments], axis=0),
        np.mean([m.half_cross for m in moments], axis=0),
        np.mean([m.half_coherence for m in moments], axis=0),
        first.amplitude_sum_sq,
    )


def _patch_spectra(patches: list[Patch], shifts: list[Array], motion: WholeFrameMotion) -> list[MotionSpectra]:
    """Shape of the specimen's spectrum from all patches, its strength from each (0 for an empty one).

    Patches are read along with the specimen, so that a fixed pattern moves in them and is noise, except where the
    whole-frame motion is small; there it cannot pretend to be a *local* displacement of any size.
    """
    frames = patches[0].band.frame_count
    moments = [measure_moments(p.band, _residual(d, p)) for p, d in zip(patches, shifts, strict=True)]
    pooled = estimate_spectra(_mean_moments(moments), frames, allow_pattern=False).specimen
    shape = pooled.double().numpy()[:-1]
    out = []
    for m in moments:
        own = estimate_spectra(m, frames, allow_pattern=False).specimen.double().numpy()[:-1]
        weight = m.count * shape
        strength = float((weight * own).sum() / max((weight * shape).sum(), 1e-12))
        out.append(MotionSpectra(pooled * float(np.clip(strength, 0.0, 4.0)), torch.zeros_like(pooled)))
    return out


@dataclass(slots=True)
class _Equations:
    """Quadratic log-likelihood of the field's 12 series (mode-major, x then y), for each half of the coefficients."""

    information: list[Array]
    score: list[Array]


def _assemble(
    patches: list[Patch], coefficients: Array, spectra: list[MotionSpectra], halves: list[torch.Tensor]
) -> _Equations:
    frames = patches[0].band.frame_count
    n = 12 * frames
    equations = _Equations([np.zeros((n, n)) for _ in halves], [np.zeros(n) for _ in halves])
    flat = np.moveaxis(coefficients, 0, 2).reshape(-1)
    for patch, own in zip(patches, spectra, strict=True):
        modes = orthonormal_modes(patch.x, patch.y)
        at = _residual(np.einsum("m,fma->fa", modes, coefficients), patch)
        full = fisher_information(patch.band, at, own)
        outer = np.outer(modes, modes)
        for h, keep in enumerate(halves):
            part = patch.band.with_shells_where(keep)
            gradient = evaluate(part, at, own).gradient_per_angstrom.T.reshape(-1)
            information = full / len(halves)
            equations.information[h] += _TEMPER * np.kron(outer, information)
            equations.score[h] += _TEMPER * np.kron(modes, gradient)
    for h in range(len(halves)):
        equations.score[h] += equations.information[h] @ flat
    return equations


def fit_local_motion(patches: list[Patch], motion: WholeFrameMotion) -> LocalFit:
    """Fit the field, starting from whole-frame motion."""
    frames = patches[0].band.frame_count
    coefficients = np.zeros((frames, 6, 2))
    coefficients[:, 0] = motion.shift_angstrom
    first = patches[0].band.shell
    rows = torch.arange(first.shape[0], device=first.device) // 4
    columns = torch.arange(first.shape[1], device=first.device) // 4
    white = ((rows[:, None] + columns[None, :]) % 2).bool()
    halves = [white, ~white]
    local_prior = _LOCAL_START
    # Patches cannot tell a fixed pattern from a specimen that stands still: then the whole-frame part is left alone.
    held = motion.shift_angstrom.T.reshape(-1) if motion.spectra.has_pattern else None
    sd = motion.sd_angstrom
    equations = _Equations([], [])
    spectra: list[MotionSpectra] = []
    for index in range(_ROUNDS):
        shifts = [np.einsum("m,fma->fa", orthonormal_modes(p.x, p.y), coefficients) for p in patches]
        spectra = _patch_spectra(patches, shifts, motion)
        equations = _assemble(patches, coefficients, spectra, halves)
        information = np.sum(equations.information, axis=0)
        score = np.sum(equations.score, axis=0)
        if index in (0, 2):
            local_prior = _learn_local(information, score, frames, held, local_prior)
        estimate, sd = _solve(information, score, frames, motion, local_prior, held)
        new = np.moveaxis(estimate.reshape(6, 2, frames), 2, 0)
        move = float(np.abs(new - coefficients).max())
        coefficients = new
        if move < _CONVERGED_ANGSTROM or index == _ROUNDS - 1:
            break
    gain = _held_out_gain(equations, frames, motion, local_prior, held)
    field = to_field(coefficients)
    residuals = []
    for patch, own in zip(patches, spectra, strict=True):
        at = np.einsum("m,fma->fa", orthonormal_modes(patch.x, patch.y), coefficients)
        information = fisher_information(patch.band, _residual(at, patch), own)
        gradient = evaluate(patch.band, _residual(at, patch), own).gradient_per_angstrom.T.reshape(-1)
        residuals.append(smooth_prior.solve(information, gradient, frames, local_prior).shift_angstrom)
    rms = float(np.sqrt(np.mean(np.square(residuals).sum(axis=-1))))
    return LocalFit(field, sd, gain, rms, gain > _MIN_GAIN)


def _priors(motion: WholeFrameMotion, local: smooth_prior.StepPrior) -> list[smooth_prior.StepPrior]:
    return [motion.prior] * 2 + [local] * 10


def _learn_local(
    information: Array, score: Array, frames: int, held: Array | None, start: smooth_prior.StepPrior
) -> smooth_prior.StepPrior:
    """Hyper-parameters of the ten local series (they are nearly independent of the whole-frame part)."""
    part = slice(2 * frames, None)
    local_score = score[part] if held is None else score[part] - information[part, : 2 * frames] @ held
    return smooth_prior.learn(information[part, part], local_score, frames, start, ordinary=_LOCAL_START)


def _solve(
    information: Array,
    score: Array,
    frames: int,
    motion: WholeFrameMotion,
    local: smooth_prior.StepPrior,
    held: Array | None,
) -> tuple[Array, Array]:
    """All 12 series (flat), and the one-sigma error (F, 2) of the whole-frame part."""
    if held is None:
        posterior = smooth_prior.solve(information, score, frames, _priors(motion, local))
        return posterior.shift_angstrom.T.reshape(-1), posterior.sd_angstrom[:, :2]
    part = slice(2 * frames, None)
    rest = score[part] - information[part, : 2 * frames] @ held
    posterior = smooth_prior.solve(information[part, part], rest, frames, local)
    return np.concatenate((held, posterior.shift_angstrom.T.reshape(-1))), motion.sd_angstrom


def _held_out_gain(
    equations: _Equations, frames: int, motion: WholeFrameMotion, local: smooth_prior.StepPrior, held: Array | None
) -> float:
    """Fit on one half of the coefficients, with and without local modes, and compare on the other half; both ways."""
    total = 0.0
    rigid = slice(0, 2 * frames)
    for fit, test in ((0, 1), (1, 0)):
        information, score = equations.information[fit], equations.score[fit]
        with_local, _ = _solve(information, score, frames, motion, local, held)
        without = np.zeros_like(with_local)
        if held is None:
            rigid_fit = smooth_prior.solve(information[rigid, rigid], score[rigid], frames, motion.prior)
            without[rigid] = rigid_fit.shift_angstrom.T.reshape(-1)
        else:
            without[rigid] = held
        for estimate, sign in ((with_local, 1.0), (without, -1.0)):
            total += sign * float(
                equations.score[test] @ estimate - 0.5 * estimate @ equations.information[test] @ estimate
            )
    return total
