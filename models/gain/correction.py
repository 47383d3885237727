"""Raw frames to corrected frames: gain, defects, and pixels that no electron lit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from frazil.models.box_mean import box_mean
from frazil.models.compiled import compiled
from frazil.models.cpu_threads import run_blocks
from frazil.models.formats.movie import MovieReader
from frazil.models.motion.frame_source import CountBlock
from frazil.models.motion.held_frames import HeldFrames

_HOT_SIGMA = 6.0
"""RELION's threshold: a pixel this far above the mean of the movie's sum is hot (6 sd)."""
_SURROUNDINGS_PX = 33
_PIXELS_FOR_MEDIAN = 1_000_000
_HOT = 1
_SURELY_LIT = 25.0
"""A live pixel that expects so many counts stays empty with probability exp(-25)."""


@dataclass(frozen=True, slots=True)
class BadPixels:
    """Pixels that carry no signal, each with a good pixel nearby to borrow from."""

    bad_y_px: NDArray[np.int64]
    bad_x_px: NDArray[np.int64]
    donor_y_px: NDArray[np.int64]
    donor_x_px: NDArray[np.int64]

    @property
    def count(self) -> int:
        return int(self.bad_y_px.size)

    @staticmethod
    def from_mask(mask: NDArray[np.bool_]) -> BadPixels:
        """Choose for each bad pixel a random good one in its neighbourhood.

        A *random* neighbour keeps the Poisson statistics of the counts; a mean of neighbours would leave quiet spots
        that stay in place while the specimen drifts, and the alignment would lock on them.
        """
        bad_y, bad_x = np.nonzero(mask)
        if bad_y.size == 0 or mask.all():
            empty = np.zeros(0, dtype=np.int64)
            return BadPixels(empty, empty, empty, empty)
        random = np.random.default_rng(20200101)  # fixed: the same movie must give the same result
        height, width = mask.shape
        donor_y, donor_x = bad_y.copy(), bad_x.copy()
        todo = np.arange(bad_y.size)
        for radius in (2, 3, 5, 8, 13):
            for _ in range(4):
                y = np.clip(bad_y[todo] + random.integers(-radius, radius + 1, todo.size), 0, height - 1)
                x = np.clip(bad_x[todo] + random.integers(-radius, radius + 1, todo.size), 0, width - 1)
                good = ~mask[y, x]
                donor_y[todo[good]], donor_x[todo[good]] = y[good], x[good]
                todo = todo[~good]
                if todo.size == 0:
                    return BadPixels(bad_y, bad_x, donor_y, donor_x)
        # The middle of a large dead region: the nearest good pixel.
        _, nearest = ndimage.distance_transform_edt(mask, return_indices=True)
        donor_y[todo] = nearest[0][bad_y[todo], bad_x[todo]]
        donor_x[todo] = nearest[1][bad_y[todo], bad_x[todo]]
        return BadPixels(bad_y, bad_x, donor_y, donor_x)


def hot_pixels(sum_counts: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(h, w) True where the sum over frames lies more than 6 sd above (or is zero where its surroundings are not).

    Mean and sd are those of the local surroundings, so that ice gradients do not count; and what stands out must stand
    out of its nearest neighbours too, so that the rim of a beam or of a hole in gold does not. A pixel that is no
    finite number (some programs write NaN for a defect) is hot as well.
    """
    broken = ~np.isfinite(sum_counts)
    if broken.any():
        if broken.all():
            return broken
        # One of them would spoil all running sums behind it.
        sum_counts = np.where(broken, np.float32(np.median(sum_counts[~broken])), sum_counts)
    local = box_mean(sum_counts, _SURROUNDINGS_PX)
    # The median needs no 16 million pixels: those of every n-th row and column, about a million, are enough.
    every = max(1, math.isqrt(sum_counts.size // _PIXELS_FOR_MEDIAN))
    difference = sum_counts[::every, ::every] - local[::every, ::every]
    spread = 1.4826 * float(np.median(np.abs(difference - np.median(difference))))
    spread = max(spread, float(np.sqrt(max(float(local.mean()), 0.0))) * 0.1, 1e-12)
    suspect = np.zeros(sum_counts.shape, dtype=np.uint8)
    rows = len(suspect)
    run_blocks(
        partial(_mark_suspects, sum_counts, local, _HOT_SIGMA, spread, _SURELY_LIT, suspect), rows, -(-rows // 128)
    )
    y, x = np.divmod(np.flatnonzero(suspect), sum_counts.shape[1])
    near = _median_of_neighbours(sum_counts, y, x)
    value = sum_counts[y, x]
    is_hot = suspect[y, x] == _HOT
    stands_out = np.where(is_hot, value - near > _HOT_SIGMA * np.sqrt(np.maximum(near, 1.0)), near > _SURELY_LIT)
    found = broken
    found[y[stands_out], x[stands_out]] = True
    return found


@compiled
def _mark_suspects(
    sum_counts: NDArray[np.float32],
    local: NDArray[np.float32],
    sigmas: float,
    spread: float,
    surely_lit: float,
    out: NDArray[np.uint8],
    first_row: int,
    last_row: int,
) -> None:
    for y in range(first_row, last_row):
        for x in range(out.shape[1]):
            value, mean = sum_counts[y, x], local[y, x]
            hot = value - mean > sigmas * max(spread, np.sqrt(max(mean, np.float32(0.0))))
            out[y, x] = _HOT if hot else (2 if value <= 0.0 and mean > surely_lit else 0)


def _median_of_neighbours(
    image: NDArray[np.float32], y: NDArray[np.int64], x: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Median over 5 x 5 pixels around some: also pairs and columns of bad pixels do not reach half of them."""
    height, width = image.shape
    step_y, step_x = np.mgrid[-2:3, -2:3].reshape(2, 25)
    around = image[np.clip(y[:, None] + step_y, 0, height - 1), np.clip(x[:, None] + step_x, 0, width - 1)]
    return np.asarray(np.median(around, axis=1), dtype=np.float32)


class CorrectedFrames:
    """Frames of a movie, multiplied by the gain and with bad pixels replaced: a `FrameSource` and a `BlockSource`.

    Parameters
    ----------
    movie:
        The open movie, or its frames as `HeldFrames` keeps them: then it is decoded once, and the bad pixels are
        replaced there.
    multiplier:
        (h, w) float32 gain, mean 1; None where nothing is to be applied.
    bad:
        Pixels to replace in each frame.
    counts_per_electron:
        The corrected frames are in electrons if this is right.

    Raises
    ------
    ValueError
        The gain has another shape than the frames.
    """

    def __init__(
        self,
        movie: MovieReader | HeldFrames,
        *,
        multiplier: NDArray[np.float32] | None,
        bad: BadPixels,
        counts_per_electron: float = 1.0,
    ) -> None:
        shape = (movie.header.height_px, movie.header.width_px)
        if multiplier is not None and multiplier.shape != shape:
            raise ValueError(f"the gain is {multiplier.shape}, the frames are {shape}")
        self._movie = movie if isinstance(movie, HeldFrames) else HeldFrames(movie, limit_bytes=0)
        self._movie.replace(bad.bad_y_px, bad.bad_x_px, bad.donor_y_px, bad.donor_x_px)
        self._multiplier = multiplier
        if multiplier is not None and bad.count:
            # A borrowed count comes with its lender's gain.
            self._multiplier = multiplier.copy()
            self._multiplier[bad.bad_y_px, bad.bad_x_px] = multiplier[bad.donor_y_px, bad.donor_x_px]
        self._scale = 1.0 / counts_per_electron
        self.frame_count = movie.header.frame_count
        self.height_px = movie.header.height_px
        self.width_px = movie.header.width_px

    def blocks(self) -> Iterator[CountBlock]:
        """All frames as counts; may be called again for another pass."""
        for first_frame, counts in self._movie.blocks():
            yield CountBlock(first_frame, counts, self._multiplier, self._scale)

    def frames(self) -> Iterator[torch.Tensor]:
        """Yield (h, w) float32 frames on the CPU; may be called again for another pass."""
        for block in self.blocks():
            for counts in block.counts:
                # Not from the counts' own memory, which a float32 movie shares.
                frame = torch.from_numpy(counts.astype(np.float32))
                if block.multiplier is not None:
                    frame *= torch.from_numpy(block.multiplier)
                if block.scale != 1.0:
                    frame *= block.scale
                yield frame
