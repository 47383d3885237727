"""Aligned sums, exact in Fourier space: what the quicker ways are measured against.

The frame is covered by overlapping tiles. In each tile and frame the displacement is one number per axis, undone
exactly in Fourier space (whole pixels by reading elsewhere, the rest and the local motion as a phase); weighted sums
are kept as tile spectra over all frames and transformed back once, then blended with raised-cosine overlaps. So whole
frame motion, local motion and exposure weights share one path, every transform fits in a core's cache, and memory is
the sums themselves, whatever the number of frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.motion.estimate.field import MotionField
from frazil.models.motion.frame_source import FrameSource
from frazil.models.motion.kernels.sum_kernels import mirrored_range
from frazil.models.motion.sum.movie_sums import MovieSums
from frazil.models.optics.dose import mid_frame_exposures_e_per_a2, whitened_weights

TILE_PX = 192
"""Local motion is one number for each tile, so that smaller is better; margins and blends then cost more. 2^6 x 3."""
MARGIN_PX = 8
"""Outermost pixels of a tile are thrown away: the cyclic shift spoils them."""
BLEND_PX = 16
"""Over which a tile gives way to its neighbour: wide enough that displacements that differ leave no step."""
_STEP_PX = TILE_PX - 2 * MARGIN_PX - BLEND_PX
_TILES_AT_ONCE = 24
"""Spectra of 3.5 MB on the CPU, calls long enough on a GPU."""


def _blend_profile(device: torch.device) -> Tensor:
    """Weight of each pixel of a tile along one axis; profiles of neighbours add up to 1."""
    ramp = 0.5 - 0.5 * torch.cos(
        math.pi * (torch.arange(BLEND_PX, device=device, dtype=torch.float32) + 0.5) / BLEND_PX
    )
    zero = torch.zeros(MARGIN_PX, device=device)
    flat = torch.ones(TILE_PX - 2 * MARGIN_PX - 2 * BLEND_PX, device=device)
    return torch.cat((zero, ramp, flat, ramp.flip(0), zero))


def _edge_taper(device: torch.device) -> Tensor:
    """Ends of a tile brought to zero inside the margin: a step there would ring through the whole tile."""
    ramp = 0.5 - 0.5 * torch.cos(
        math.pi * (torch.arange(MARGIN_PX, device=device, dtype=torch.float32) + 0.5) / MARGIN_PX
    )
    profile = torch.cat((ramp, torch.ones(TILE_PX - 2 * MARGIN_PX, device=device), ramp.flip(0)))
    return profile[:, None] * profile[None, :]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Tiles along one axis: how many, and where the first one starts (negative: in the padding)."""

    count: int
    start_px: int
    length_px: int

    @classmethod
    def along(cls, length_px: int) -> _Layout:
        # The blended, useful part of the row of tiles must cover the frame.
        count = max(1, math.ceil((length_px + BLEND_PX) / _STEP_PX))
        start_px = -(MARGIN_PX + BLEND_PX) - (count * _STEP_PX - BLEND_PX - length_px) // 2
        return cls(count, start_px, length_px)

    @property
    def span_px(self) -> int:
        return (self.count - 1) * _STEP_PX + TILE_PX

    def centres(self) -> NDArray[np.float64]:
        """Middles of the tiles in -0.5..0.5 of the frame; those in the padding have moved with its edge."""
        middle = self.start_px + np.arange(self.count) * _STEP_PX + (TILE_PX - 1) / 2
        return np.clip(middle / self.length_px, 0.0, 1.0) - 0.5


def sum_movie_by_fourier_tiles(
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
    """`sum_movie.sum_movie` on any device: the displacement is one number for each tile, undone exactly."""
    rows, cols = _Layout.along(source.height_px), _Layout.along(source.width_px)
    tiles = rows.count * cols.count
    half = TILE_PX // 2 + 1
    ky = torch.fft.fftfreq(TILE_PX, device=device)
    kx = torch.fft.rfftfreq(TILE_PX, device=device)
    # At Nyquist a fractional shift has no sign: leave that coefficient's phase alone.
    wy = torch.where(ky == -0.5, 0.0, 2 * math.pi * ky)
    wx = torch.where(kx == 0.5, 0.0, 2 * math.pi * kx)
    weights = None
    if dose_weighting:
        frequency = (ky[:, None] ** 2 + kx[None, :] ** 2).sqrt() / pixel_size_angstrom
        exposures = mid_frame_exposures_e_per_a2(source.frame_count, dose_per_frame_e_per_a2, pre_exposure_e_per_a2)
        weights = whitened_weights(frequency, exposures, voltage_kv)
    gy, gx = np.meshgrid(rows.centres(), cols.centres(), indexing="ij")
    shift_px = torch.as_tensor(field.at(gx, gy) / pixel_size_angstrom).reshape(source.frame_count, tiles, 2)
    sums = [
        torch.zeros((tiles, TILE_PX, half), dtype=torch.complex64, device=device)
        for _ in range(3 if dose_weighting else 2)
    ]
    levels = [0.0, 0.0, 0.0]
    edge = _edge_taper(device)
    for f, frame in enumerate(source.frames()):
        whole = torch.round(shift_px[f].median(dim=0).values)
        part = (shift_px[f] - whole).to(device, torch.float32)
        take_rows = torch.from_numpy(mirrored_range(rows.start_px + int(whole[1]), rows.span_px, rows.length_px))
        take_cols = torch.from_numpy(mirrored_range(cols.start_px + int(whole[0]), cols.span_px, cols.length_px))
        counts = frame.to(device=device, dtype=torch.float32)
        level = float(counts.mean())
        levels[f % 2] += level
        if weights is not None:
            levels[2] += level * float(weights[f, 0, 0])
        padded = _gather(counts, take_rows.to(device), take_cols.to(device)).sub_(level)
        view = padded.unfold(0, TILE_PX, _STEP_PX).unfold(1, TILE_PX, _STEP_PX)
        angle_y, angle_x = part[:, 1:] * wy, part[:, :1] * wx
        along_y = torch.polar(torch.ones_like(angle_y), angle_y)
        along_x = torch.polar(torch.ones_like(angle_x), angle_x)
        for first in range(0, tiles, _TILES_AT_ONCE):
            last = min(first + _TILES_AT_ONCE, tiles)
            index = torch.arange(first, last, device=device)
            spectrum = torch.fft.rfft2(view[index // cols.count, index % cols.count].mul_(edge))
            spectrum.mul_(along_y[first:last, :, None]).mul_(along_x[first:last, None, :])
            sums[f % 2][first:last].add_(spectrum)
            if weights is not None:
                sums[2][first:last].addcmul_(spectrum, weights[f].to(spectrum.dtype))
    images = [_assemble(total, rows, cols, device).add_(level) for total, level in zip(sums, levels, strict=False)]
    return MovieSums(images[2] if dose_weighting else images[0] + images[1], images[0], images[1])


def _gather(frame: Tensor, take_rows: Tensor, take_cols: Tensor) -> Tensor:
    """frame[take_rows][:, take_cols], where almost all numbers are consecutive: slices are far quicker than indices."""
    return _gather_axis(_gather_axis(frame, take_rows, 0), take_cols, 1)


def _gather_axis(image: Tensor, take: Tensor, axis: int) -> Tensor:
    numbers = take.tolist()
    inside = [i for i in range(1, len(numbers)) if numbers[i] == numbers[i - 1] + 1]
    if not inside:
        return image.index_select(axis, take)
    # The longest run of consecutive numbers is copied as one block.
    best_start, best_length, start = 0, 1, 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            if i - start > best_length:
                best_start, best_length = start, i - start
            start = i
    pieces = []
    if best_start:
        pieces.append(image.index_select(axis, take[:best_start]))
    pieces.append(image.narrow(axis, numbers[best_start], best_length))
    if best_start + best_length < len(numbers):
        pieces.append(image.index_select(axis, take[best_start + best_length :]))
    return torch.cat(pieces, dim=axis)


def _assemble(total: Tensor, rows: _Layout, cols: _Layout, device: torch.device) -> Tensor:
    """Tiles back to one image."""
    profile = _blend_profile(device)
    window = profile[:, None] * profile[None, :]
    out = torch.zeros((rows.span_px, cols.span_px), device=device)
    for row in range(rows.count):
        band = torch.fft.irfft2(total[row * cols.count : (row + 1) * cols.count], s=(TILE_PX, TILE_PX)).mul_(window)
        top = row * _STEP_PX
        for column in range(cols.count):
            left = column * _STEP_PX
            out[top : top + TILE_PX, left : left + TILE_PX].add_(band[column])
    return out[
        -rows.start_px : -rows.start_px + rows.length_px, -cols.start_px : -cols.start_px + cols.length_px
    ].contiguous()
