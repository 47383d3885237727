"""Patches of a movie as bands of Fourier coefficients, read along the whole-frame motion and whitened together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from frazil.models.motion.estimate.band import MAX_PATCH_COEFFICIENTS, Band, BandGrid, edge_window, frequency_limit
from frazil.models.motion.estimate.band_sums import align_sums
from frazil.models.motion.estimate.binning import SmallStack, smooth_length
from frazil.models.motion.estimate.patch_stack import PatchStack, stacked_bands
from frazil.models.motion.estimate.spectra import (
    MotionSpectra,
    ShellMoments,
    estimate_spectra,
    measure_moments,
    noise_per_shell,
    scaled,
)
from frazil.models.motion.estimate.whole_frame import WholeFrameMotion
from frazil.models.motion.estimate.whole_frame_band import frame_amplitudes, padded_amplitude

Array = npt.NDArray[np.float64]

_SMALLEST_PATCH_PX = 48
"""Of the small stack, about 100 A: a particle and its surroundings."""
_LEAST_LIT = 0.25
"""Of a patch, in power: what is left would be all edge."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch: its band and what was undone when its pixels were read."""

    band: Band
    centre_x_fraction: float
    centre_y_fraction: float
    """Of the full frame's width and height, -0.5..0.5 from its middle."""
    read_offset_angstrom: Array
    """(F, 2): the patch was read this far along with the specimen; the band holds only the rest."""
    stack: PatchStack | None = None
    """Of all patches of the movie together, where they are on a device."""


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
    _, height, width = (int(n) for n in small.frames.shape)
    device = small.frames.device
    size_y = min(height, max(_SMALLEST_PATCH_PX, smooth_length(height // grid_y)))
    size_x = min(width, max(_SMALLEST_PATCH_PX, smooth_length(width // grid_x)))
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
    )
    edges = edge_window(size_y, size_x, device, 0.1)
    tops = np.round(np.linspace(first_y, max(first_y, last_y - size_y), grid_y)).astype(int)
    lefts = np.round(np.linspace(first_x, max(first_x, last_x - size_x), grid_x)).astype(int)
    factor = 2**small.halvings
    corners = [(int(top), int(left)) for top in tops for left in lefts]
    rows = [(top + whole_px[:, 1]).clip(0, height - size_y) for top, _ in corners]
    cols = [(left + whole_px[:, 0]).clip(0, width - size_x) for _, left in corners]
    stack = None
    if device.type == "cpu":
        bands = [
            _band(small, grid, amplitude, edges, corner, read_y, read_x)
            for corner, read_y, read_x in zip(corners, rows, cols, strict=True)
        ]
    else:
        stack, bands = stacked_bands(small, grid, amplitude, edges, corners, np.stack(rows), np.stack(cols), _LEAST_LIT)
    patches = []
    for (top, left), band, read_y, read_x in zip(corners, bands, rows, cols, strict=True):
        offset = np.stack((read_x - left, read_y - top), axis=1) * small.pixel_size_angstrom
        centre_y = ((top + size_y / 2) * factor + small.offset_px[0]) / frame_size_px[0] - 0.5
        centre_x = ((left + size_x / 2) * factor + small.offset_px[1]) / frame_size_px[1] - 0.5
        patches.append(Patch(band, float(centre_x), float(centre_y), offset.astype(np.float64), stack))
    return _whiten_together(patches, motion)


def _band(
    small: SmallStack,
    grid: BandGrid,
    amplitude: torch.Tensor,
    edges: torch.Tensor,
    corner: tuple[int, int],
    rows: npt.NDArray[np.int_],
    cols: npt.NDArray[np.int_],
) -> Band:
    """A patch at `corner` (top, left), whose first pixels in each frame are `rows` and `cols` (F,)."""
    size_y, size_x = edges.shape
    frames = range(len(small.frames))
    pixels = torch.stack([small.flat(f, rows[f], cols[f], size_y, size_x) for f in frames])
    window, lit_fraction = _window(small, edges, *corner)
    coefficients = grid.take((pixels - pixels.mean(dim=(1, 2), keepdim=True)) * window)
    return grid.band(coefficients, amplitude, lit_fraction)


def _window(small: SmallStack, edges: torch.Tensor, top: int, left: int) -> tuple[torch.Tensor, float]:
    """Window of a patch, mean square 1, and its lit share; all 0 where too little is lit to align anything."""
    height, width = edges.shape
    lit = small.weight(top, left, height, width)
    if lit is None:
        return edges / edges.square().mean().sqrt(), 1.0
    fraction = float(lit.square().mean())
    window = edges * lit
    if fraction < _LEAST_LIT:
        return torch.zeros_like(window), fraction
    return window / window.square().mean().sqrt(), fraction


def _seen_by_all(shift_px: npt.NDArray[np.int_], length: int) -> tuple[int, int]:
    """First and last + 1 pixel, in the specimen's gauge, that are inside the frame at all times (at least half)."""
    first, last = int(max(0, -shift_px.min())), int(min(length, length - shift_px.max()))
    return (first, last) if last - first >= length // 2 else (0, length)


def _whiten_together(patches: list[Patch], motion: WholeFrameMotion) -> list[Patch]:
    """One noise curve for all patches (a patch has few coefficients), scaled to each patch's own level."""
    moments = moments_of(patches, [residual_angstrom(motion.shift_angstrom, patch) for patch in patches])
    noise = noise_per_shell(_mean_moments(moments), patches[0].band.frame_count)
    own_noise = []
    for patch, own in zip(patches, moments, strict=True):
        outer = slice(noise.size // 2, None)
        level = float(
            (noise_per_shell(own, patch.band.frame_count)[outer] / noise[outer] * own.count[outer]).sum()
            / max(own.count[outer].sum(), 1.0)
        )
        own_noise.append(noise * max(level, 1e-6))
    stack = patches[0].stack
    if stack is not None:
        stack.scale(np.stack(own_noise))
        return patches
    return [replace(p, band=scaled(p.band, own)) for p, own in zip(patches, own_noise, strict=True)]


def moments_of(patches: list[Patch], at: list[torch.Tensor]) -> list[ShellMoments]:
    """Of each patch at displacements (F, 2; A) of its own."""
    stack = patches[0].stack
    if stack is not None:
        return stack.moments(stack.sums(torch.stack(at)))
    return [measure_moments(one.band, align_sums(one.band, here)) for one, here in zip(patches, at, strict=True)]


def residual_angstrom(shift_angstrom: Array, patch: Patch) -> torch.Tensor:
    """(F, 2): what of a displacement the patch's band still shows."""
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


def patch_spectra(moments: list[ShellMoments], frames: int) -> list[MotionSpectra]:
    """Shape of the specimen's spectrum from all patches, its strength from each (0 for an empty one).

    Patches are read along with the specimen, so that a fixed pattern moves in them and is noise, except where the
    whole-frame motion is small; there it cannot pretend to be a *local* displacement of any size.
    """
    pooled = estimate_spectra(_mean_moments(moments), frames, floor=None).specimen
    shape = pooled.double().numpy()[:-1]
    out = []
    for m in moments:
        own = estimate_spectra(m, frames, floor=None).specimen.double().numpy()[:-1]
        weight = m.count * shape
        strength = float((weight * own).sum() / max((weight * shape).sum(), 1e-12))
        out.append(MotionSpectra(pooled * float(np.clip(strength, 0.0, 4.0)), torch.zeros_like(pooled)))
    return out
