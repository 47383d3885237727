"""Collects what the gain gate looks at: mean counts of the first movies, and of two halves of one movie."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from frazil.models.formats.movie import MovieReader
from frazil.models.gain_gate import relative_residual


def mean_counts_by_half(reader: MovieReader) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(h, w) mean of the uncorrected even and odd frames; one pass, two images in memory."""
    header = reader.header
    sums = np.zeros((2, header.height_px, header.width_px), dtype=np.float32)
    for index, frame in enumerate(reader.frames()):
        sums[index % 2] += frame
    count = header.frame_count
    return sums[0] / max((count + 1) // 2, 1), sums[1] / max(count // 2, 1)


def residuals(
    halves: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]], exclude: NDArray[np.bool_] | None
) -> tuple[list[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]] | None]:
    """Residuals of each movie and, if there is only one movie, of its two halves in the highest frequencies.

    A specimen moves and is blurred by optics and detector; what two halves of one movie still share above about 0.8 of
    Nyquist is the camera's own pattern.
    """
    collected = list(halves)
    movie_residuals = [
        relative_residual(np.asarray((even + odd) / 2, dtype=np.float32), exclude) for even, odd in collected
    ]
    if len(collected) != 1 or not collected[0][1].any():
        return movie_residuals, None
    even, odd = (_highest_frequencies(relative_residual(half, exclude)) for half in collected[0])
    return movie_residuals, (even, odd)


def _highest_frequencies(image: NDArray[np.float32]) -> NDArray[np.float32]:
    # The second difference along both axes, scaled so that white noise keeps its variance (1 + 4 + 1 = 6 per axis).
    kernel = np.array([1.0, -2.0, 1.0], dtype=np.float32) / np.float32(np.sqrt(6.0))
    filtered = ndimage.convolve1d(ndimage.convolve1d(image, kernel, axis=0), kernel, axis=1)
    return np.asarray(filtered, dtype=np.float32)
