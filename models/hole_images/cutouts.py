"""Small pictures of all holes of an image, all of one size: what everything else is measured on.

The image is first averaged to some 24 pixels a diameter, so that all costs are those of a small image whatever the
camera has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.models.hole_images.looks import Array, HolePlaces, Image

DIAMETER_PX = 24.0
"""To which an image is averaged, or somewhat more."""
_HALF_DIAMETERS = 1.0
"""Half a cutout's side."""
Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Reduced:
    """An image averaged over blocks of `by` x `by` pixels, and the holes' places in it."""

    image: Image
    by: int
    x_px: Array
    y_px: Array
    diameter_px: float

    @property
    def half_px(self) -> int:
        """Half a cutout's side."""
        return math.ceil(_HALF_DIAMETERS * self.diameter_px)

    def inside(self, x_px: Array, y_px: Array) -> npt.NDArray[np.bool_]:
        """Whether cutouts about these places lie wholly in the image."""
        height, width = self.image.shape
        half = self.half_px + 1
        return np.asarray((x_px >= half) & (x_px < width - half) & (y_px >= half) & (y_px < height - half))


def reduced(image: npt.NDArray[np.generic], places: HolePlaces) -> Reduced:
    """Average; a rest of rows and columns that fill no block is left out."""
    by = max(1, int(places.diameter_px // DIAMETER_PX))
    height, width = (length // by * by for length in image.shape)
    small = image[:height, :width].astype(np.float32, copy=False)
    if by > 1:
        # Columns first: adding strided slices is several times faster than a reshaped mean.
        columns = sum((small[:, at::by] for at in range(1, by)), start=small[:, 0::by].copy())
        small = sum((columns[at::by] for at in range(1, by)), start=columns[0::by].copy()) / np.float32(by * by)
    x, y = ((at - 0.5 * (by - 1)) / by for at in (places.x_px, places.y_px))
    return Reduced(np.ascontiguousarray(small), by, x, y, places.diameter_px / by)


def cutouts(image: Image, x_px: Array, y_px: Array, half_px: int) -> Image:
    """(n, 2 half + 1, 2 half + 1) about the pixel nearest to each place; all of them have to lie inside."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (2 * half_px + 1, 2 * half_px + 1))
    rows, columns = (np.rint(at).astype(np.intp) - half_px for at in (y_px, x_px))
    return np.ascontiguousarray(windows[rows, columns])


def levelled(parts: Image) -> Image:
    """Cutouts (n, h, w) relative to their own medians, single pixels held to -1 .. 1."""
    middle = np.maximum(np.median(parts.reshape(len(parts), -1), axis=1), 1e-6)[:, None, None]
    return np.asarray(np.clip(parts / middle - 1.0, -1.0, 1.0), dtype=np.float32)


def radii_px(half_px: int, x_px: float = 0.0, y_px: float = 0.0) -> Array:
    """(2 half + 1, 2 half + 1) distance of each pixel of a cutout from a place beside its middle."""
    at = np.arange(-half_px, half_px + 1, dtype=np.float64)
    return np.asarray(np.hypot(at[None, :] - x_px, at[:, None] - y_px))
