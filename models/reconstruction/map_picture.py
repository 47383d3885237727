"""A map as flat pictures: sections through its middle and projections along its axes; class averages in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
_VIEW_BLUR_BINS = 3.0
"""Some 6 deg."""
_SHADES = (1.0, 99.5)
"""Percentiles that become black and white, of each picture on its own."""


def sections(volume: NDArray[np.float32], radius_px: float) -> Gray:
    """(s, 3 s) central sections across z, y and x of an (n, n, n) map [z, y, x], cut to `radius_px` about the middle.

    Up in each is +y, +z, +z; right is +x, +x, +y.
    """
    middle = volume.shape[0] // 2
    return _row([volume[middle], volume[:, middle], volume[:, :, middle]], radius_px)


def projections(volume: NDArray[np.float32], radius_px: float) -> Gray:
    """(s, 3 s) sums along z, y and x; as `sections`."""
    return _row([volume.sum(axis=axis, dtype=np.float64) for axis in range(3)], radius_px)


def strip(averages: NDArray[np.float32], particle_counts: Sequence[int], radius_px: float, most: int) -> Gray:
    """(s, m s) class averages (c, n, n), the largest classes first; empty ones are left out."""
    order = np.argsort(-np.asarray(particle_counts), kind="stable")
    return _row([averages[i] for i in order[:most] if particle_counts[i] > 0] or [averages[0]], radius_px)


def orientations(counts: NDArray[np.int64]) -> Gray:
    """(90, 180) how many particles are seen from where: rot from -180 to 180 deg along x, the cosine of tilt from 1
    (top) to -1 along y, so that equal areas are equal solid angles; white is twice the even density or more.

    `counts`: of views, their symmetric copies and their opposites (`view_counts.shown_counts`).
    """
    smooth = scipy.ndimage.gaussian_filter(counts.astype(np.float64), _VIEW_BLUR_BINS, mode=("nearest", "wrap"))
    even = max(float(counts.sum()) / counts.size, 1e-9)
    return np.asarray(np.clip(smooth / even * 127.5, 0, 255), dtype=np.uint8)


def _row(images: Sequence[NDArray[np.float64] | NDArray[np.float32]], radius_px: float) -> Gray:
    half = max(1, min(int(np.ceil(radius_px)), images[0].shape[0] // 2))
    middle = images[0].shape[0] // 2
    inside = slice(middle - half, middle + half)
    return np.ascontiguousarray(np.concatenate([_gray(image[inside, inside][::-1]) for image in images], axis=1))


def _gray(image: NDArray[np.float64] | NDArray[np.float32]) -> Gray:
    low, high = np.percentile(image, _SHADES)
    gray = np.clip((image - low) * (255.0 / max(float(high - low), 1e-12)), 0, 255)
    return np.asarray(gray, dtype=np.uint8)
