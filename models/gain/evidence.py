"""Collects what the gain gate looks at: mean counts of the first movies, and of two halves of one movie."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from frazil.models.formats.movie import MovieReader
from frazil.models.gain.pattern import outlying_pixels, relative_residual
from frazil.models.motion.held_frames import HeldFrames

_OUTLIER_SD = 6.0
_LEAST_COUNTED = 0.05
"""Share of the pixels that must be left: with fewer nothing is known."""


def mean_counts_by_half(reader: MovieReader) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(h, w) mean of the uncorrected even and odd frames; one pass, some frames and two images in memory."""
    even, odd = HeldFrames(reader, limit_bytes=0).half_sums()
    count = reader.header.frame_count
    return even / max((count + 1) // 2, 1), odd / max(count // 2, 1)


def residuals(
    halves: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]], exclude: NDArray[np.bool_] | None
) -> tuple[list[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]] | None]:
    """Residuals of each movie and, if there is only one movie, of its two halves in the highest frequencies.

    A specimen moves and is blurred by optics and detector; what two halves of one movie still share above about 0.8 of
    Nyquist is the camera's own pattern. Pixels that are dead or hot in all movies are left out: they too are shared,
    they are no gain pattern, and every worker replaces them.
    """
    means: list[NDArray[np.float32]] = []
    first: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    for even, odd in halves:
        # A single frame has no odd half.
        means.append(np.asarray((even + odd) / 2 if odd.any() else even, dtype=np.float32))
        first = (even, odd) if first is None else None
    if not means:
        return [], None
    bad = defective_pixels(means if first is None else list(first), exclude)
    movie_residuals = [relative_residual(mean, bad) for mean in means]
    if first is None or not first[1].any():
        return movie_residuals, None
    even, odd = (_highest_frequencies(relative_residual(half, bad)) for half in first)
    return movie_residuals, (even, odd)


def pattern_left_rms(
    corrected_halves: NDArray[np.float32], bad: NDArray[np.bool_], *, looked_at_px: int = 2048
) -> float | None:
    """What the camera still prints on corrected frames, relative to the counts; no reference is needed to see it.

    The root of the covariance of even and odd frames' sums in the highest frequencies, where a specimen has no signal
    left; negative where chance makes the covariance so. None for a single frame, and where hardly a pixel is good.

    Parameters
    ----------
    corrected_halves:
        (2, h, w) sums of the even and of the odd frames, gain-corrected, not aligned.
    bad:
        (h, w) True for pixels that are replaced: they do not count, nor do their neighbours.
    looked_at_px:
        Side of the middle that is looked at.
    """
    height, width = bad.shape
    top, left = max(0, (height - looked_at_px) // 2), max(0, (width - looked_at_px) // 2)
    window = (slice(top, top + looked_at_px), slice(left, left + looked_at_px))
    seen = []
    for half in corrected_halves:
        middle = half[window]
        mean = float(middle.mean())
        if mean <= 0:
            return None
        seen.append(_highest_frequencies(np.asarray(middle / mean, dtype=np.float32)))
    counts = ~ndimage.binary_dilation(bad[window], np.ones((3, 3), dtype=bool))
    if counts.mean() < _LEAST_COUNTED:
        return None
    for image in seen:
        counts &= np.abs(image) < _OUTLIER_SD * float(np.sqrt(np.mean(image[counts] ** 2)))
    covariance = float(np.mean(seen[0][counts] * seen[1][counts], dtype=np.float64))
    return float(np.sign(covariance) * np.sqrt(abs(covariance)))


def defective_pixels(images: list[NDArray[np.float32]], exclude: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """(h, w) True where all images (mean counts) are empty although they should not be, or their mean is an outlier.

    Parameters
    ----------
    images:
        Mean counts with independent noise.
    exclude:
        Known to be bad; part of the answer.
    """
    empty = [image <= 0 for image in images]
    never_lit = np.logical_and.reduce(empty)
    # Where counts are few, live pixels stay empty too; by chance this many of them in all images.
    by_chance = never_lit.size * float(np.prod([mask.mean() for mask in empty]))
    bad = np.zeros(never_lit.shape, dtype=bool) if exclude is None else exclude.copy()
    if np.count_nonzero(never_lit) > 10.0 * by_chance + 10.0:
        bad |= never_lit
    scaled = [image / max(float(image.mean()), 1e-12) for image in images]
    return bad | outlying_pixels(np.mean(scaled, axis=0, dtype=np.float32), bad)


def _highest_frequencies(image: NDArray[np.float32]) -> NDArray[np.float32]:
    # The second difference along both axes, scaled so that white noise keeps its variance (1 + 4 + 1 = 6 per axis).
    kernel = np.array([1.0, -2.0, 1.0], dtype=np.float32) / np.float32(np.sqrt(6.0))
    filtered = ndimage.convolve1d(ndimage.convolve1d(image, kernel, axis=0), kernel, axis=1)
    return np.asarray(filtered, dtype=np.float32)
