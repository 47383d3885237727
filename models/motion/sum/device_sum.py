"""Aligned sums on a device: the arithmetic of `cpu_sum`, all tiles and many frames at a time.

The same tiles, displacements, taps, dose terms and filters as on the CPU, so that both give the same micrograph but
for the order of additions. Nothing here is added by atomics: the same movie gives the same bits on the same device.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.motion.device_frames import device_portions
from frazil.models.motion.estimate.field import MotionField
from frazil.models.motion.frame_source import FrameSource
from frazil.models.motion.kernels.interpolation import FIRST_TAP, TAPS, interpolation_taps
from frazil.models.motion.sum.cpu_sum import displacements, tile_shape_px
from frazil.models.motion.sum.movie_sums import MovieSums
from frazil.models.motion.sum.sum_filters import (
    CURVE_SAMPLES,
    HALF_DIAGONAL_CYCLES_PER_PX,
    exposure_terms,
    flattening,
)

_FRAMES_BYTES = 256 << 20
"""Of float32 frames moved at once: with their tiles, numbers of pixels and products some ten times as much."""


def sum_movie_on_device(
    source: FrameSource,
    field: MotionField,
    *,
    pixel_size_angstrom: float,
    voltage_kv: float,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
    dose_weighting: bool,
    device: torch.device,
) -> MovieSums:
    """As `cpu_sum.sum_movie_on_cpu`."""
    height, width, frames = source.height_px, source.width_px, source.frame_count
    terms = None
    if dose_weighting:
        terms = exposure_terms(frames, pixel_size_angstrom, voltage_kv, dose_per_frame_e_per_a2, pre_exposure_e_per_a2)
    tile_px = tile_shape_px(field, height, width, pixel_size_angstrom)
    whole_px, step = displacements(field, height, width, pixel_size_angstrom, tile_px)
    # Each sum is a row of factors of the frames: even ones, odd ones, and the weighted sums.
    even = (np.arange(frames) % 2 == 0).astype(np.float32)
    factors = np.stack((even, 1 - even, *(terms.per_frame.T if terms is not None else ())))
    factor, whole = torch.from_numpy(factors).to(device), torch.from_numpy(whole_px).to(device)
    taps = torch.from_numpy(interpolation_taps()[step]).to(device)
    sums = torch.zeros((len(factors), height * width), device=device)
    at_once = max(1, _FRAMES_BYTES // (4 * height * width))
    for first, portion in device_portions(source, device):
        for start in range(0, len(portion), at_once):
            some = portion[start : start + at_once]
            of = slice(first + start, first + start + len(some))
            sums.addmm_(factor[:, of], moved(some, whole[of], taps[of], tile_px).reshape(len(some), -1))
    images = sums.reshape(-1, height, width)
    return _finished(images, None if terms is None else torch.from_numpy(terms.per_frequency).to(device), step)


def moved(frames: Tensor, whole_px: Tensor, taps: Tensor, tile_px: tuple[int, int]) -> Tensor:
    """(n, h, w) frames read at the displacements of their tiles, out(r) = frame(r + d), mirrored at the edges.

    Parameters
    ----------
    whole_px:
        (n, tile rows, tile columns, 2) whole pixels (x, y).
    taps:
        (n, tile rows, tile columns, 2, TAPS) of the rest.
    """
    count, height, width = frames.shape
    _, rows, columns, _ = whole_px.shape
    tile_height, tile_width = tile_px
    y = _mirrored(whole_px[..., 1], tile_height, 1, height)
    x = _mirrored(whole_px[..., 0], tile_width, 2, width)
    frame = torch.arange(count, device=frames.device).reshape(-1, 1, 1, 1, 1)
    tiles = frames[frame, y[..., :, None], x[..., None, :]]
    wide = tiles[..., :tile_width] * taps[..., 0, :1, None]
    for tap in range(1, TAPS):
        wide.addcmul_(tiles[..., tap : tap + tile_width], taps[..., 0, tap, None, None])
    out = wide[..., :tile_height, :] * taps[..., 1, :1, None]
    for tap in range(1, TAPS):
        out.addcmul_(wide[..., tap : tap + tile_height, :], taps[..., 1, tap, None, None])
    image = out.permute(0, 1, 3, 2, 4).reshape(count, rows * tile_height, columns * tile_width)
    return image[:, :height, :width]


def _mirrored(whole_px: Tensor, tile: int, axis: int, length: int) -> Tensor:
    """Pixels (n, tile rows, tile columns, tile + TAPS - 1) that each tile reads along an axis, inside the frame."""
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    tops = torch.arange(whole_px.shape[axis], device=whole_px.device).reshape(shape) * tile
    at = tops + torch.arange(FIRST_TAP, FIRST_TAP + tile + TAPS - 1, device=whole_px.device)
    folded = (at + whole_px[..., None]).remainder(2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)


def _finished(images: Tensor, curves: Tensor | None, step: NDArray[np.int32]) -> MovieSums:
    """`sum_filters.finished_sums` on a device; `images` (2 + R, h, w)."""
    height, width = images.shape[-2:]
    moves = bool(step.any())
    even, odd = images[0], images[1]
    if curves is None and not moves:
        return MovieSums(even + odd, even, odd)
    spectra = torch.fft.rfft2(images)
    if moves:
        flat = torch.stack([_flattening(step[half::2], height, width, images.device) for half in range(2)])
        halves = torch.fft.irfft2(spectra[:2] * flat, s=(height, width))
        even, odd = halves[0], halves[1]
    if curves is None:
        return MovieSums(even + odd, even, odd)
    total = (spectra[2:] * _spread(curves[1:], height, width)).sum(dim=0)
    total += (spectra[0] + spectra[1]) * _spread(curves[:1], height, width)[0]
    if moves:
        total *= _flattening(step, height, width, images.device)
    return MovieSums(torch.fft.irfft2(total, s=(height, width)), even, odd)


def _flattening(step: NDArray[np.int32], height: int, width: int, device: torch.device) -> Tensor:
    per_row, per_column = (torch.from_numpy(one).to(device) for one in flattening(step, height, width))
    return per_row[:, None] * per_column[None, :]


def _spread(curves: Tensor, height: int, width: int) -> Tensor:
    """(n, CURVE_SAMPLES) radial curves on the half plane (n, h, w // 2 + 1), linearly interpolated."""
    ky = torch.fft.fftfreq(height, device=curves.device)
    kx = torch.fft.rfftfreq(width, device=curves.device)
    at = torch.hypot(ky[:, None], kx[None, :]) * ((CURVE_SAMPLES - 1) / HALF_DIAGONAL_CYCLES_PER_PX)
    below = at.long().clamp_(max=CURVE_SAMPLES - 2)
    return torch.lerp(curves[:, below], curves[:, below + 1], at - below)
