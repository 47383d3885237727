"""Rotations: RELION's Euler angles as matrices and back, and grids over directions and rotations.

A pose is the matrix A of RELION's `Euler_angles2matrix(rot, tilt, psi)`: a point r of the map lies at A r in the
frame of the particle, whose image is the projection along z. So the image's Fourier plane (kx, ky) lies at kx A[0] +
ky A[1] in the map's transform, and the map is looked at along A[2].
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from frazil.models.reconstruction.orientation.symmetry import axis_rotation

_GENERIC_DIRECTION = np.array([0.1234, 0.0567, 0.9907])
"""Fixed by no rotation of any point group: the unit cell of directions is what lies nearest to it."""
_GOLDEN_RAD = math.pi * (3 - math.sqrt(5))


def matrices_from_euler_deg(angles_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3) rot, tilt, psi in degrees to (..., 3, 3).

    As RELION's they turn the axes, so that a vector seems to turn the other way:

    >>> (matrices_from_euler_deg(np.array([90.0, 0.0, 0.0])) @ [1.0, 0.0, 0.0]).round().tolist()
    [0.0, -1.0, 0.0]
    """
    angle = np.radians(np.asarray(angles_deg, dtype=np.float64))
    (ca, cb, cg), (sa, sb, sg) = np.moveaxis(np.cos(angle), -1, 0), np.moveaxis(np.sin(angle), -1, 0)
    rows = [
        [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
        [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
        [sb * ca, sb * sa, cb],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def euler_deg_from_matrices(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3, 3) to (..., 3): rot, psi in [-180, 180], tilt in [0, 180]. Along z (tilt 0 or 180) rot is 0."""
    a = np.asarray(matrices, dtype=np.float64)
    sine = np.hypot(a[..., 2, 0], a[..., 2, 1])
    tilt = np.arctan2(sine, a[..., 2, 2])
    upright = sine < 1e-9
    rot = np.where(upright, 0.0, np.arctan2(a[..., 2, 1], a[..., 2, 0]))
    psi = np.where(upright, np.arctan2(a[..., 0, 1], a[..., 1, 1]), np.arctan2(a[..., 1, 2], -a[..., 0, 2]))
    return np.asarray(np.degrees(np.stack([rot, tilt, psi], axis=-1)))


def angle_between_deg(
    first: NDArray[np.float64], second: NDArray[np.float64], symmetry: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Angle of the smallest rotation from poses `first` to poses `second` (n, 3, 3), up to the map's symmetry."""
    trace = np.einsum("nij,sjk,nik->ns", first, symmetry, second)
    return np.asarray(np.degrees(np.arccos(np.clip((trace.max(axis=1) - 1) / 2, -1.0, 1.0))))


def directions(step_deg: float, symmetry: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) unit vectors about `step_deg` apart over one asymmetric unit (Fibonacci spiral: Swinbank & Purser 2006,
    Q. J. R. Meteorol. Soc. 132, 1769), with half a step over its border so that nothing is missed."""
    count = max(math.ceil(4 * math.pi / math.radians(step_deg) ** 2), 2)
    index = np.arange(count)
    z = 1 - (2 * index + 1) / count
    radius, angle = np.sqrt(1 - z**2), _GOLDEN_RAD * index
    sphere = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    orbit = np.einsum("sij,nj,i->ns", symmetry, sphere, _GENERIC_DIRECTION / np.linalg.norm(_GENERIC_DIRECTION))
    own = np.arccos(np.clip(orbit[:, 0], -1, 1))
    nearest = np.arccos(np.clip(orbit.max(axis=1), -1, 1))
    return np.asarray(sphere[own <= nearest + math.radians(step_deg) / 2])


def pose_grid(step_deg: float, symmetry: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3, 3) poses about `step_deg` apart: all in-plane turns of all directions of one asymmetric unit."""
    views = directions(step_deg, symmetry)
    rot, tilt = np.degrees(np.arctan2(views[:, 1], views[:, 0])), np.degrees(np.arccos(np.clip(views[:, 2], -1, 1)))
    turns = math.ceil(360 / step_deg)
    psi = np.arange(turns) * (360 / turns)
    angles = np.stack(
        [np.repeat(rot, turns), np.repeat(tilt, turns), np.tile(psi, len(views))],
        axis=1,
    )
    return matrices_from_euler_deg(angles)


def neighbours(step_deg: float) -> NDArray[np.float64]:
    """(27, 3, 3) small rotations: -step, 0, +step about each of the three axes; the identity first."""
    steps = sorted(itertools.product((-1, 0, 1), repeat=3), key=lambda s: sum(abs(x) for x in s))
    found = []
    for vector in steps:
        length = math.sqrt(sum(x * x for x in vector))
        axis = np.array(vector, dtype=np.float64) if length else np.array([0.0, 0.0, 1.0])
        found.append(axis_rotation(axis, math.radians(step_deg) * length))
    return np.stack(found)
