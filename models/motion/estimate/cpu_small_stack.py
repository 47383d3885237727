"""The small stack on the CPU: gain, low-pass and decimation in one pass over the counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.cpu_threads import run_blocks
from frazil.models.motion.frame_source import CountBlock, FrameSource, count_blocks
from frazil.models.motion.kernels.count_kernels import correct_rows, halve_rows, row_moments, standardise_rows

Float = NDArray[np.float32]
_ROWS_AT_ONCE = 64
"""A band of rows that one thread works on: some hundred kilobytes, which stay in a core's cache."""
_BYTES_AT_ONCE = 64 << 20
"""Of small frames in float32 between the passes: memory, not speed."""


def standardised_frames(
    source: FrameSource, halvings: int, window_px: tuple[int, int, int, int], clip_sd: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Halved frames cut to a window (top, left, height, width), mean 0 and variance 1 each, clipped.

    Returns (F, height, width) float16, and mean and standard deviation (F,) float64 before standardising; a frame
    without variance is 0, and so is its deviation.
    """
    top, left, height, width = window_px
    stack = torch.empty((source.frame_count, height, width), dtype=torch.float16)
    means = torch.zeros(source.frame_count, dtype=torch.float64)
    sds = torch.zeros(source.frame_count, dtype=torch.float64)
    small_bytes = 4 * (source.height_px >> halvings) * (source.width_px >> halvings)
    at_once = max(1, _BYTES_AT_ONCE // max(small_bytes, 1))
    for block in count_blocks(source):
        for first in range(0, len(block.counts), at_once):
            small = _halved(block, first, min(first + at_once, len(block.counts)), halvings)
            frames = slice(block.first_frame + first, block.first_frame + first + len(small))
            mean, sd = _moments(small, window_px)
            lit = np.isfinite(sd) & (sd > 0)
            factor = np.where(lit, 1.0 / np.where(lit, sd, 1.0), 0.0).astype(np.float32)
            middle = np.where(lit, mean, 0.0).astype(np.float32)
            _in_bands(small.shape[1], partial(standardise_rows, small, middle, factor, clip_sd))
            stack[frames] = torch.from_numpy(small[:, top : top + height, left : left + width])
            for empty in np.flatnonzero(~lit):
                stack[frames.start + int(empty)] = 0
            means[frames] = torch.from_numpy(mean * block.scale)
            sds[frames] = torch.from_numpy(np.where(lit, sd * block.scale, 0.0))
    return stack, means, sds


def _halved(block: CountBlock, first: int, last: int, halvings: int) -> Float:
    """(n, h >> halvings, w >> halvings) float32, the scale not applied."""
    counts, use = block.counts[first:last], block.multiplier is not None
    multiplier = block.multiplier if block.multiplier is not None else np.ones((1, 1), dtype=np.float32)
    _, height, width = counts.shape
    if halvings == 0:
        out = np.empty(counts.shape, dtype=np.float32)
        _in_bands(height, partial(correct_rows, counts, multiplier, use, out))
        return out
    for step in range(halvings):
        height, width = height // 2, width // 2
        out = np.empty((len(counts), height, width), dtype=np.float32)
        _in_bands(height, partial(halve_rows, counts, multiplier, use and step == 0, out))
        counts = out
    return out


def _moments(small: Float, window_px: tuple[int, int, int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    top, left, height, width = window_px
    sums = np.empty((height, len(small), 2), dtype=np.float64)
    _in_bands(height, partial(row_moments, small, top, left, width, sums))
    mean, square = np.moveaxis(sums.sum(axis=0) / (height * width), -1, 0)
    return mean, np.sqrt(np.maximum(square - mean * mean, 0.0))


def _in_bands(rows: int, work: Callable[[int, int], None]) -> None:
    run_blocks(work, rows, -(-rows // _ROWS_AT_ONCE))
