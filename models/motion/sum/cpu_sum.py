"""Aligned sums on the CPU: frames are read once, interpolated and added while they are in the core's cache.

The image is cut into tiles small enough that the motion within one is a single displacement, to a few hundredths of a
pixel. Sums of even and of odd frames, and the few weighted sums of which the exposure-weighted one is made, are
kept at full size; only those are ever Fourier-transformed. `device_sum` is the same for other devices; `tile_sum` does
it exactly, frame by frame in Fourier space, and is what both are tested against.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from frazil.models.cpu_threads import run_blocks
from frazil.models.motion.estimate.field import MotionField
from frazil.models.motion.frame_source import CountBlock, FrameSource, count_blocks
from frazil.models.motion.kernels.interpolation import STEPS, interpolation_taps
from frazil.models.motion.kernels.sum_kernels import CountFrames, TileMotion, add_tiles
from frazil.models.motion.sum.movie_sums import MovieSums
from frazil.models.motion.sum.sum_filters import exposure_terms, finished_sums

_TILES_PX = ((64, 128), (64, 64), (32, 64), (32, 32), (16, 16))
"""Height and width, multiples of 4 rows; smaller tiles cost more for their overlap."""
_VARIATION_PX = 0.15
"""Of the displacement across a tile, root mean square over frames, where it is worst; the one taken is the centre's,
so that the rest is 0.04 px rms and costs 0.2 % of the amplitude at 0.25 cycles/px."""


def sum_movie_on_cpu(
    source: FrameSource,
    field: MotionField,
    *,
    pixel_size_angstrom: float,
    voltage_kv: float,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
    dose_weighting: bool,
) -> MovieSums:
    """As `tile_sum.sum_movie_by_fourier_tiles`, with which it agrees up to about 0.42 cycles/px; from there on the sums
    lose power."""
    height, width, frames = source.height_px, source.width_px, source.frame_count
    factor, curves = np.zeros((frames, 0), dtype=np.float32), None
    if dose_weighting:
        terms = exposure_terms(frames, pixel_size_angstrom, voltage_kv, dose_per_frame_e_per_a2, pre_exposure_e_per_a2)
        factor, curves = terms.per_frame, terms.per_frequency
    tile_px = tile_shape_px(field, height, width, pixel_size_angstrom)
    whole_px, step = displacements(field, height, width, pixel_size_angstrom, tile_px)
    halves = np.zeros((2, height, width), dtype=np.float32)
    weighted = np.zeros((factor.shape[1], height, width), dtype=np.float32)
    scale = 1.0
    for block in count_blocks(source):
        _add(block, whole_px, step, factor, tile_px, halves, weighted)
        scale = block.scale
        del block  # the counts' memory may be wanted for the transforms
    if scale != 1.0:
        halves *= np.float32(scale)
        weighted *= np.float32(scale)
    return finished_sums(halves, weighted, curves, step)


def _add(
    block: CountBlock,
    whole_px: NDArray[np.int32],
    step: NDArray[np.int32],
    factor: NDArray[np.float32],
    tile_px: tuple[int, int],
    halves: NDArray[np.float32],
    weighted: NDArray[np.float32],
) -> None:
    of = slice(block.first_frame, block.first_frame + len(block.counts))
    multiplier = np.ones((1, 1), dtype=np.float32) if block.multiplier is None else block.multiplier
    frames = CountFrames(block.counts, multiplier, block.multiplier is not None, block.first_frame)
    motion = TileMotion(whole_px[of], step[of], interpolation_taps(), *tile_px)
    add = partial(add_tiles, frames, motion, factor[of], halves, weighted)
    tile_rows = whole_px.shape[1]
    run_blocks(add, tile_rows, tile_rows)


def tile_shape_px(field: MotionField, height_px: int, width_px: int, pixel_size_angstrom: float) -> tuple[int, int]:
    """Height and width of the largest tiles across which the displacement hardly varies."""
    places = np.linspace(-0.5, 0.5, 33)
    x, y = np.meshgrid(places, places)
    shift_px = field.at(x, y) / pixel_size_angstrom  # (F, y, x, 2)
    per_px_y = float(np.square(np.diff(shift_px, axis=1)).mean(axis=0).max()) ** 0.5 * 32 / height_px
    per_px_x = float(np.square(np.diff(shift_px, axis=2)).mean(axis=0).max()) ** 0.5 * 32 / width_px
    for tile_height, tile_width in _TILES_PX:
        if np.hypot(per_px_y * tile_height, per_px_x * tile_width) <= _VARIATION_PX:
            return tile_height, tile_width
    return _TILES_PX[-1]


def displacements(
    field: MotionField, height_px: int, width_px: int, pixel_size_angstrom: float, tile_px: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(F, tile rows, tile columns, 2) displacement (x, y) of each tile: whole pixels below, and the rest in 1/STEPS."""
    at_y = (np.arange(-(-height_px // tile_px[0])) + 0.5) * tile_px[0]
    at_x = (np.arange(-(-width_px // tile_px[1])) + 0.5) * tile_px[1]
    x, y = np.meshgrid(np.minimum(at_x / width_px, 1.0) - 0.5, np.minimum(at_y / height_px, 1.0) - 0.5)
    shift_px = field.at(x, y) / pixel_size_angstrom
    whole = np.floor(shift_px)
    return whole.astype(np.int32), np.rint((shift_px - whole) * STEPS).astype(np.int32)
