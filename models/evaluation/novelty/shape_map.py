"""A density made ready to be described: coarse, without the noise of the solvent, its centre known.

Everything is done alike to a map and to what it is compared with, so that what the treatment leaves out is left out of
both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from frazil.models.evaluation.novelty.shape_descriptor import coefficients
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.resolution.otsu import otsu_level

LEVELS_ANGSTROM = (15.0, 20.0, 30.0)
"""Low-passes at which shapes are compared: a map, with what it is compared with, at the first that it reaches."""
_PIXELS_PER_LEVEL = 4
"""The low-pass leaves 2 % of the amplitude at the Nyquist frequency of such a grid."""
_ISLAND_SHARE = 0.1
"""What is apart from the largest piece and smaller than this share of it is taken for solvent."""
_MARGIN, _EDGE = 0.3, 0.5
"""Of the level: how far the outline is widened, and its soft edge."""
_LARGEST_GRID_PX = 384
_BINNED_PER_LEVEL = 8


@dataclass(frozen=True, slots=True)
class DescribedMap:
    """The coefficients of a map's shape at one level."""

    whole: NDArray[np.float64]
    """Of the map (`shape_descriptor.coefficients`)."""
    halves: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    """Of its half maps under the same outline and about the same centre."""
    radius_of_gyration_angstrom: float


def level_of(resolution_angstrom: float) -> float | None:
    """The level at which a map of this resolution is compared; None: it is too coarse for any."""
    return next((level for level in LEVELS_ANGSTROM if resolution_angstrom <= 1.03 * level), None)


def describe_map(
    volume: Tensor, pixel_size_angstrom: float, level_angstrom: float, *, halves: tuple[Tensor, Tensor] | None = None
) -> DescribedMap:
    """The shape of a cubic map [z, y, x], the particle bright; `halves` lie on the same grid.

    Raises
    ------
    ValueError
        If the map shows nothing that stands out of its solvent, or its grid is too large.
    """
    whole, pixel = coarse(volume, pixel_size_angstrom, level_angstrom)
    mask = outline(whole, level_angstrom / pixel)
    density = np.maximum((whole - _solvent(whole, mask)) * mask, 0.0)
    total = float(density.sum())
    if not total > 0.0:
        raise ValueError("the map shows nothing that stands out of its solvent")
    axis = np.arange(whole.shape[0], dtype=np.float64)
    planes = [density.sum(axis=tuple(other for other in range(3) if other != own)) / total for own in range(3)]
    centre = np.array([float(plane @ axis) for plane in planes])
    spread = sum(float(plane @ (axis - middle) ** 2) for plane, middle in zip(planes, centre, strict=True))

    def described(one: NDArray[np.float32]) -> NDArray[np.float64]:
        return coefficients(((one - _solvent(one, mask)) * mask).astype(np.float32), pixel, centre)

    both = None
    if halves is not None:
        first, second = (described(coarse(half, pixel_size_angstrom, level_angstrom)[0]) for half in halves)
        both = first, second
    return DescribedMap(described(whole), both, math.sqrt(spread) * pixel)


def coarse(volume: Tensor, pixel_size_angstrom: float, level_angstrom: float) -> tuple[NDArray[np.float32], float]:
    """The map low-passed with exp(-(k level)^2) on a grid of a quarter of the level, and that grid's pixel in A."""
    # Voxels far smaller than the level are averaged first: it damps less than 3 % at the level.
    fold = max(1, math.floor(level_angstrom / _BINNED_PER_LEVEL / pixel_size_angstrom))
    if fold > 1:
        volume = torch.nn.functional.avg_pool3d(volume.to(torch.float32)[None, None], fold)[0, 0]
        pixel_size_angstrom = pixel_size_angstrom * fold
    n = volume.shape[0]
    box_angstrom = n * pixel_size_angstrom
    size = max(16, 2 * math.ceil(box_angstrom * _PIXELS_PER_LEVEL / level_angstrom / 2))
    if size > _LARGEST_GRID_PX:
        raise ValueError(f"a box of {box_angstrom:.0f} A is too large to be described at {level_angstrom:g} A")
    spectrum = centred_fft(volume.to(torch.float32), 3)
    kept = min(n, size)
    from_, to = n // 2 - kept // 2, size // 2 - kept // 2
    own = torch.zeros((size,) * 3, dtype=spectrum.dtype)
    own[to : to + kept, to : to + kept, to : to + kept] = spectrum[
        from_ : from_ + kept, from_ : from_ + kept, from_ : from_ + kept
    ]
    axis = (torch.arange(size, dtype=torch.float32) - size // 2) / box_angstrom
    line = torch.exp(-((axis * level_angstrom) ** 2))
    line[0] = 0.0  # the lone Nyquist plane of an even grid
    own *= line[:, None, None] * line[None, :, None] * line
    small: NDArray[np.float32] = (centred_ifft_real(own, 3).to(torch.float32) * (size / n) ** 3).numpy()
    return small, box_angstrom / size


def outline(density: NDArray[np.float32], level_px: float) -> NDArray[np.float32]:
    """(n, n, n) 1 where the molecule is, falling softly to 0: Otsu's threshold (1979, IEEE Trans. SMC 9, 62) within the
    sphere that the box holds, its large pieces, widened."""
    n = density.shape[0]
    axis = np.arange(n) - n // 2
    ball = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2 <= (0.49 * n) ** 2
    level = _level(density[ball])
    labels, count = ndimage.label((density > level) & ball)
    if not count:
        raise ValueError("the map shows nothing that stands out of its solvent")
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    inside = (sizes >= _ISLAND_SHARE * sizes.max())[labels]
    distance = ndimage.distance_transform_edt(~inside) - _MARGIN * level_px
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip(distance / (_EDGE * level_px), 0.0, 1.0)), dtype=np.float32)


def _solvent(density: NDArray[np.float32], mask: NDArray[np.float32]) -> float:
    outside = density[mask < 0.01]
    return float(outside.mean()) if outside.size else float(density.min())


def _level(values: NDArray[np.float32]) -> float:
    if not values.size or not float(values.max()) > float(values.min()):
        raise ValueError("the map is the same everywhere")
    return otsu_level(values)
