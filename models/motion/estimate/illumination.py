"""What is lit, and how brightly: a beam edge or a dark corner stands on the camera and would hold the specimen back.

The mean of all frames, smoothed beyond what the alignment looks at, is the illumination. It is taken off and its shot
noise made even; where less than `DARK_FRACTION` of the usual counts arrive, and a margin around it, nothing is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

DARK_FRACTION = 0.45
"""Carbon and thick ice pass more than that of what vacuum does; the shadow of a condenser or an aperture does not."""
_BLOCK_PX = 8
"""Of small pixels, about 16 A: the map is far smoother."""
_SMOOTH_ANGSTROM = 120.0
"""Gaussian sigma: passes 1 % at 250 A, the coarsest that the alignment looks at (`band`)."""
_MARGIN_ANGSTROM = 120.0
"""Over which the weight rises from the edge of the dark: a particle's size, and several times any drift."""
_EVEN = 0.03
"""Relative spread of the level below which nothing is done: its noise is even to 1.5 % then."""
_LEAST_LIT = 0.1
"""Of the frame: with less there is nothing to align, and what is dark is no longer known."""


@dataclass(frozen=True, slots=True)
class Illumination:
    """(h, w) float32 maps over the small frames, on their device."""

    level: Tensor
    """Counts relative to their mean over the frame, above 0."""
    weight: Tensor
    """0 where it is dark, 1 where it is lit, a smooth ramp between."""
    lit_fraction: float


def illumination(mean_counts: Tensor, pixel_size_angstrom: float) -> Illumination | None:
    """Illumination of the (h, w) mean of all frames; None where it is even, or where counts have no zero."""
    blocks = _block_means(mean_counts.double().cpu().numpy())
    middle = float(blocks.mean())
    if not np.isfinite(middle) or middle <= 0 or min(blocks.shape) < 8:
        return None
    block_angstrom = _BLOCK_PX * pixel_size_angstrom
    dark = blocks < DARK_FRACTION * float(np.percentile(blocks, 75.0))
    # Single dark blocks are contamination, which moves with the specimen.
    lit = ~ndimage.binary_opening(np.pad(dark, 2, mode="edge"))[2:-2, 2:-2]
    if lit.mean() < _LEAST_LIT:
        return None
    level = _smooth_inside(blocks, lit, _SMOOTH_ANGSTROM / block_angstrom)
    spread = float(np.std(level[lit]) / np.mean(level[lit]))
    if lit.all() and spread < _EVEN:
        return None
    weight = np.ones_like(level)
    if not lit.all():
        distance = ndimage.distance_transform_edt(lit) - 1.5
        ramp = np.clip(distance * block_angstrom / _MARGIN_ANGSTROM, 0.0, 1.0)
        weight = 0.5 - 0.5 * np.cos(np.pi * ramp)
    height, width = mean_counts.shape
    device = mean_counts.device
    return Illumination(
        _enlarged(level / middle, height, width).clamp_min(0.02).to(device),
        _enlarged(weight, height, width).clamp(0.0, 1.0).to(device),
        float(np.mean(weight**2)),
    )


def _block_means(image: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = (side // _BLOCK_PX for side in image.shape)
    cut = image[: height * _BLOCK_PX, : width * _BLOCK_PX]
    return np.asarray(cut.reshape(height, _BLOCK_PX, width, _BLOCK_PX).mean(axis=(1, 3)))


def _smooth_inside(values: NDArray[np.float64], inside: NDArray[np.bool_], sigma: float) -> NDArray[np.float64]:
    """Gaussian mean over what is inside; outside, the values themselves."""
    share = ndimage.gaussian_filter(inside.astype(np.float64), sigma, mode="nearest")
    smooth = ndimage.gaussian_filter(np.where(inside, values, 0.0), sigma, mode="nearest")
    return np.where(inside, smooth / np.maximum(share, 1e-6), values)


def _enlarged(blocks: NDArray[np.float64], height: int, width: int) -> Tensor:
    image = torch.as_tensor(blocks, dtype=torch.float32)[None, None]
    size = (blocks.shape[0] * _BLOCK_PX, blocks.shape[1] * _BLOCK_PX)
    full = torch.nn.functional.interpolate(image, size=size, mode="bilinear", align_corners=False)
    padded = torch.nn.functional.pad(full, (0, width - size[1], 0, height - size[0]), mode="replicate")
    return padded[0, 0]
