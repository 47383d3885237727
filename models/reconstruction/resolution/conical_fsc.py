"""Is the map as good in every direction? FSC within cones, and how round the surface of its resolution is.

The FSC of the Fourier voxels within `CONE_DEG` of a direction and its opposite (Diebolder et al. 2015, J. Struct.
Biol. 190, 215; Tan et al. 2017, Nat. Methods 14, 793), for directions spread evenly over the sphere. The surface
r(direction) = 1 / resolution at 0.143 is triangulated; its sphericity is Tan et al.'s, pi^(1/3) (6 V)^(2/3) / A of
volume V and area A (Wadell 1935), divided by that of a sphere triangulated alike. Chance makes a surface rough, so
sphericity lies below 1 for an even map, too: by a few hundredths where cones hold some hundred independent voxels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from torch import Tensor

from frazil.models.reconstruction.fourier.centred_fft import centred_fft
from frazil.models.reconstruction.orientation.rotations import directions
from frazil.models.reconstruction.resolution.fsc import FscCurve
from frazil.models.reconstruction.resolution.half_map_fsc import HalfMapFsc

CONE_DEG = 30.0
"""Half the opening angle of a cone: 13 % of the sphere with the opposite cone."""
_STEP_DEG = 15.0
_THRESHOLD = 0.143
_LEAST_VOXELS = 20
"""Next to the origin a cone holds no more than a few: there it has the FSC of the whole shell."""


@dataclass(frozen=True, slots=True)
class ConicalFsc:
    """Curves by direction; a direction and its opposite are one."""

    directions: NDArray[np.float64]
    """(d, 3) unit vectors (x, y, z), z >= 0."""
    frequency_per_angstrom: tuple[float, ...]
    fsc: NDArray[np.float64]
    """(d, k), freed of what the mask adds."""

    def resolutions_angstrom(self) -> NDArray[np.float64]:
        """(d,) at 0.143; one that begins below it has that of the first shell."""
        curves = (FscCurve(self.frequency_per_angstrom, tuple(row)) for row in self.fsc)
        lowest = 1 / self.frequency_per_angstrom[0]
        return np.array([curve.resolution_angstrom(_THRESHOLD) or lowest for curve in curves])

    @property
    def sphericity(self) -> float:
        return sphericity(self.directions, 1 / self.resolutions_angstrom())


def conical_fsc(
    first: Tensor, second: Tensor, agreement: HalfMapFsc, *, pixel_size_angstrom: float, cone_deg: float = CONE_DEG
) -> ConicalFsc:
    """Of two (n, n, n) half maps, under the mask and with the correction of their `agreement`.

    The correction is the whole shell's: a mask adds about as much in every direction.
    """
    n = first.shape[0]
    mask = agreement.mask.values.to(first.device)
    a, b = centred_fft((first * mask).double(), 3), centred_fft((second * mask).double(), 3)
    lowest = agreement.first_shell
    highest = lowest + len(agreement.corrected.fsc) - 1
    axis = np.arange(n) - n // 2
    z, y, x = np.meshgrid(axis[n // 2 :], axis, axis, indexing="ij")  # one half; the other is its conjugate
    radius = np.sqrt(x**2 + y**2 + z**2)
    shell = np.rint(radius).astype(np.int64)
    inside = (shell >= lowest) & (shell <= highest)
    unit = np.stack([x[inside], y[inside], z[inside]], axis=1) / radius[inside][:, None]
    ours = torch.from_numpy(inside)
    a, b = a[n // 2 :].cpu()[ours], b[n // 2 :].cpu()[ours]
    terms = [(a * b.conj()).real.numpy(), (a.abs() ** 2).numpy(), (b.abs() ** 2).numpy()]
    where = shell[inside]
    views = directions(_STEP_DEG, np.eye(3)[None])
    views = views[views[:, 2] >= 0]
    nearest = math.cos(math.radians(cone_deg))
    curves, voxels = np.zeros((len(views), highest - lowest + 1)), np.zeros((len(views), highest - lowest + 1))
    for number, view in enumerate(views):
        chosen = np.abs(unit @ view) >= nearest
        cross, one, other = (np.bincount(where[chosen], term[chosen], highest + 1)[lowest:] for term in terms)
        curves[number] = cross / np.sqrt(np.maximum(one * other, 1e-300))
        voxels[number] = np.bincount(where[chosen], minlength=highest + 1)[lowest:]
    noise = np.array(agreement.randomised.fsc)
    curves = np.clip((curves - noise) / np.maximum(1 - noise, 1e-3), -1.0, 1.0)
    curves = np.where(voxels < _LEAST_VOXELS, np.array(agreement.corrected.fsc), curves)
    return ConicalFsc(views, agreement.corrected.frequency_per_angstrom, curves)


def sphericity(views: NDArray[np.float64], radius: NDArray[np.float64]) -> float:
    """Of the surface through `radius` (d,) along the unit vectors (d, 3) and their opposites; 1: a sphere."""
    both, radii = np.concatenate([views, -views]), np.concatenate([radius, radius])
    triangles = ConvexHull(both).simplices

    def wadell(points: NDArray[np.float64]) -> float:
        a, b, c = (points[triangles[:, corner]] for corner in range(3))
        volume = np.abs(np.einsum("ij,ij->i", a, np.cross(b, c))).sum() / 6
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
        return float(math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area)

    return wadell(both * radii[:, None]) / wadell(both)
