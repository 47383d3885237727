"""Where a known structure lies in a map, roughly: all turns and shifts at low resolution, for both hands.

The structure is turned through a grid of rotations, one asymmetric unit of the map's point group, and correlated with
the map at all shifts at once by its transform (as in Roseman 2000, Acta Cryst. D 56, 1332, without a local mask: the
map is masked). At such resolutions a map and its mirror image differ little, and both are followed up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.orientation.rotations import angle_between_deg, pose_grid
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.orientation.symmetry_alignment import rotated

_STEP_DEG = 15.0


@dataclass(frozen=True, slots=True)
class Place:
    """What lies at r in the structure lies at `rotation` r + `shift_px` in the map; voxels from the centre, x, y, z."""

    rotation: NDArray[np.float64]
    """(3, 3)."""
    shift_px: NDArray[np.float64]
    """(3,)."""
    correlation: float


def mirrored(volume: Tensor) -> Tensor:
    """(n, n, n) of the other hand: x turned about, the centre (voxel n // 2) staying where it is (n even)."""
    return torch.roll(torch.flip(volume, (2,)), 1, 2)


def rough_places(volumes: Sequence[Tensor], structure: Tensor, *, symmetry: str, count: int) -> list[list[Place]]:
    """For each map the best places, not nearer to each other than a step of the search, best first.

    Parameters
    ----------
    volumes, structure:
        (n, n, n) [z, y, x] on the same grid, low-passed alike, n even and small (24 to 48).
    symmetry:
        The maps' point group, its axes where `symmetry_matrices` has them.
    """
    n = structure.shape[0]
    group = symmetry_matrices(symmetry)
    targets = [volume - volume.mean() for volume in volumes]
    spectra, norms = [torch.fft.rfftn(one) for one in targets], [float(one.norm()) + 1e-30 for one in targets]
    found: list[list[Place]] = [[] for _ in volumes]
    # A pose's matrix leads from the map to the particle, so its inverse from the structure to the map.
    for turn in pose_grid(_STEP_DEG, group).transpose(0, 2, 1):
        copy = rotated(structure, turn)
        copy = copy - copy.mean()
        spectrum, norm = torch.fft.rfftn(copy).conj(), float(copy.norm()) + 1e-30
        for places, target, own in zip(found, spectra, norms, strict=True):
            cross = torch.fft.irfftn(spectrum * target, s=(n, n, n)).flatten()
            best = int(cross.argmax())
            shift = np.array(np.unravel_index(best, (n, n, n))[::-1], dtype=np.float64)
            shift[shift >= n / 2] -= n
            places.append(Place(turn, shift, float(cross[best]) / (norm * own)))
    return [_apart(sorted(places, key=lambda place: -place.correlation), group, count) for places in found]


def _apart(places: list[Place], group: NDArray[np.float64], count: int) -> list[Place]:
    kept: list[Place] = []
    for place in places:
        own = place.rotation.T[None]
        near = [angle_between_deg(one.rotation.T[None], own, group)[0] < 1.5 * _STEP_DEG for one in kept]
        if not any(near):
            kept.append(place)
        if len(kept) == count:
            break
    return kept
