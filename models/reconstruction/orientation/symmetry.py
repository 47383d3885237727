"""Point groups as rotation matrices, with the axes where RELION has them.

C: n-fold axis along z. D: also a 2-fold axis along x. T: 3-fold along z, 2-fold at (0, 0.816, 0.577). O: 4-fold along
z, 3-fold along (1, 1, 1). I: four settings, I is I2 (RELION 3.1, `symmetries.cpp`).
"""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

_GENERATORS: dict[str, tuple[tuple[int, tuple[float, float, float]], ...]] = {
    "T": ((3, (0.0, 0.0, 1.0)), (2, (0.0, 0.816496580927726, 0.577350269189626))),
    "O": ((3, (1.0, 1.0, 1.0)), (4, (0.0, 0.0, 1.0))),
    "I1": ((2, (1.0, 0.0, 0.0)), (5, (0.85065080702670, 0.0, -0.5257311142635))),
    "I2": ((2, (0.0, 0.0, 1.0)), (5, (0.525731112119134, 0.0, 0.85065080835204))),
    "I3": ((2, (-0.5257311143, 0.0, 0.8506508070)), (5, (0.0, 0.0, 1.0))),
    "I4": ((2, (0.5257311143, 0.0, 0.8506508070)), (5, (0.8944271932547096, 0.0, 0.4472135909903704))),
}
_SAME = 1e-4
"""RELION's axes have ten digits; products of them differ by less than this."""


def axis_rotation(axis: tuple[float, float, float] | NDArray[np.float64], angle_rad: float) -> NDArray[np.float64]:
    """(3, 3) right-handed rotation of vectors about an axis (Rodrigues)."""
    unit = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    x, y, z = unit
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: NDArray[np.float64] = np.eye(3) + math.sin(angle_rad) * cross + (1 - math.cos(angle_rad)) * cross @ cross
    return rotation


def generators(name: str) -> tuple[tuple[int, tuple[float, float, float]], ...]:
    """(order, axis) of the rotations that make up a group; () for C1.

    Raises
    ------
    ValueError
        If the name is no point group.
    """
    match = re.fullmatch(r"([CD])([1-9][0-9]{0,2})|T|O|I[1-4]?", name.strip().upper())
    if match is None:
        raise ValueError(f"{name!r} is not a point group")
    if match[1] is None:
        full = match[0] if match[0] != "I" else "I2"
        return _GENERATORS[full]
    found: list[tuple[int, tuple[float, float, float]]] = []
    if int(match[2]) > 1:
        found.append((int(match[2]), (0.0, 0.0, 1.0)))
    if match[1] == "D":
        found.append((2, (1.0, 0.0, 0.0)))
    return tuple(found)


def symmetry_matrices(name: str) -> NDArray[np.float64]:
    """(n, 3, 3) all rotations of the group, the identity first: a symmetric map has m(S r) = m(r).

    >>> [len(symmetry_matrices(name)) for name in ("C1", "C3", "D7", "T", "O", "I1")]
    [1, 3, 14, 12, 24, 60]
    >>> symmetry_matrices("C4")[1].round().astype(int).tolist()  # a quarter turn about z takes x to y
    [[0, -1, 0], [1, 0, 0], [0, 0, 1]]

    Raises
    ------
    ValueError
        If the name is no point group.
    """
    steps = [axis_rotation(axis, 2 * math.pi / order) for order, axis in generators(name)]
    group = [np.eye(3)]
    frontier = list(group)
    while frontier:
        fresh: list[NDArray[np.float64]] = []
        for element in frontier:
            for step in steps:
                product = element @ step
                if all(np.abs(product - known).max() > _SAME for known in (*group, *fresh)):
                    fresh.append(product)
        group += fresh
        frontier = fresh
    return np.stack(group)
