"""Where the particle is: a soft mask made from the map itself, and a sphere where the map does not show it yet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from frazil.models.reconstruction.resolution.fsc import filtered, spherical_mask
from frazil.models.reconstruction.resolution.otsu import otsu_level

_LOW_PASS_ANGSTROM = 15.0
"""What is looked at for the outline (RELION's habit); coarser where the halves agree to less than this."""
_SOLVENT_SD = 4.0
"""The outline lies at least so far above the solvent: in a map of noise alone nothing does."""
_ISLAND_SHARE = 0.1
"""What is apart from the largest piece and smaller than this share of it is taken for solvent."""
_EDGE_LEAST_PX = 4.0
_FINER = 4
_SMALLEST_SHARE, _LARGEST_SHARE = 0.03, 0.9
"""Of the particle's sphere that an outline may fill; else it is none."""


@dataclass(frozen=True, slots=True)
class MapMask:
    """A mask and what it was made from."""

    values: Tensor
    """(n, n, n) 0 to 1."""
    name: str
    """`map`: the map's own outline; `sphere`: of the particle's diameter."""

    def chance_correlation(self) -> NDArray[np.float64]:
        """(d,) c: two sums over shells of noise under the mask have the covariance c[distance of the shells] x voxels.

        Multiplying with m correlates Fourier voxels at distance q by rho(q) = FT(m^2)(q) / sum m^2. Of a pair in shells
        d apart, all q that lie d across and anywhere along the shell count with |rho|^2; a shell is one voxel thick, so
        d itself is spread over -1 to 1. 1 / c[0] of a shell's voxels are independent.
        """
        squared = self.values.double() ** 2
        n, total = squared.shape[0], squared.sum()
        # Parseval across the direction; padded, so that the profile is known between whole distances.
        profiles = [
            (torch.fft.fft(squared.movedim(axis, -1), n=_FINER * n).abs() ** 2).sum(dim=(0, 1)) * n**2 / total**2
            for axis in range(3)
        ]
        profile = torch.stack(profiles).mean(dim=0).numpy()
        reach = np.arange(-_FINER, _FINER + 1)
        weight = 1 - np.abs(reach) / _FINER
        at = np.arange(n // 2)[:, None] * _FINER + reach
        return np.asarray(profile[at % len(profile)] @ weight / weight.sum())


def field_mask(box_px: int) -> Tensor:
    """(n, n, n) The sphere that the box holds: all of it that a reconstruction from images of this box knows."""
    return spherical_mask(box_px, 0.44 * box_px, 0.06 * box_px)


def sphere(box_px: int, *, pixel_size_angstrom: float, diameter_angstrom: float) -> MapMask:
    """A tenth wider than the particle is long, within the box."""
    radius_px = min(0.55 * diameter_angstrom / pixel_size_angstrom, 0.44 * box_px)
    return MapMask(spherical_mask(box_px, radius_px, 0.06 * box_px), "sphere")


def map_mask(
    volume: Tensor, *, pixel_size_angstrom: float, diameter_angstrom: float, agreed_angstrom: float | None = None
) -> MapMask:
    """The map's outline, widened and softened; the sphere where there is none.

    The map is low-passed to 15 A (or to where its halves agree, if that is coarser), cut between protein and solvent
    (Otsu 1979, IEEE Trans. Syst. Man Cybern. 9, 62, and four standard deviations of the solvent), widened by 7.5 A
    and given a raised-cosine edge of 15 A: the same at every round, so that curves of rounds can be compared.

    Parameters
    ----------
    volume:
        (n, n, n) [z, y, x], the particle bright, without any mask narrower than `field_mask`.
    diameter_angstrom:
        Longest extent of the particle. What lies outside of a sphere a fifth wider is solvent.
    agreed_angstrom:
        Resolution of the unmasked halves; None: not known.
    """
    n = volume.shape[0]
    whole = sphere(n, pixel_size_angstrom=pixel_size_angstrom, diameter_angstrom=diameter_angstrom)
    resolution = max(_LOW_PASS_ANGSTROM, agreed_angstrom or 0.0, 3 * pixel_size_angstrom)
    small = _low_passed(volume.cpu(), resolution, pixel_size_angstrom)
    distance = _distance_px(n)
    inside = distance < min(0.6 * diameter_angstrom / pixel_size_angstrom, 0.44 * n)
    solvent = (distance < 0.46 * n) & ~inside
    level = otsu_level(small[inside])
    if solvent.sum() > 1000:
        level = max(level, float(small[solvent].mean() + _SOLVENT_SD * small[solvent].std()))
    outline = _large_pieces((small > level) & inside)
    if not _SMALLEST_SHARE < outline.sum() / inside.sum() < _LARGEST_SHARE:
        return whole
    outside_px = ndimage.distance_transform_edt(~outline) - 0.5 * _LOW_PASS_ANGSTROM / pixel_size_angstrom
    edge_px = max(_LOW_PASS_ANGSTROM / pixel_size_angstrom, _EDGE_LEAST_PX)
    soft = 0.5 + 0.5 * np.cos(np.pi * np.clip(outside_px / edge_px, 0.0, 1.0))
    return MapMask(torch.from_numpy(soft.astype(np.float32)) * field_mask(n), "map")


def _low_passed(volume: Tensor, resolution_angstrom: float, pixel_size_angstrom: float) -> NDArray[np.float32]:
    n = volume.shape[0]
    shell = np.arange(1, n // 2)
    cut = n * pixel_size_angstrom / resolution_angstrom
    gain = 0.5 + 0.5 * np.cos(math.pi * np.clip((shell - cut + 1.5) / 3.0, 0.0, 1.0))
    small: NDArray[np.float32] = filtered(volume, gain).to(torch.float32).numpy()
    return small


def _distance_px(box_px: int) -> NDArray[np.float64]:
    axis = np.arange(box_px) - box_px // 2
    return np.asarray(np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2))


def _large_pieces(outline: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(outline)
    if count < 2:
        return outline
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= _ISLAND_SHARE * sizes.max())[labels] & outline)
