"""How far a map's shape lies from those of the references, and how much of that distance its noise makes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.evaluation.facts import ShapeComparison
from frazil.models.evaluation.novelty.reference_index import ReferenceIndex
from frazil.models.evaluation.novelty.shape_descriptor import descriptor
from frazil.models.evaluation.novelty.shape_map import describe_map

NEIGHBOURS = 10
_DRAWS = 24
_SEED = 82_15


def compare(
    volume: Tensor,
    halves: tuple[Tensor, Tensor] | None,
    index: ReferenceIndex,
    *,
    pixel_size_angstrom: float,
    resolution_angstrom: float,
    level_angstrom: float,
) -> ShapeComparison:
    """The cubic map [z, y, x], particle bright, with its unfiltered half maps, against the references.

    Raises
    ------
    ValueError
        If the map shows nothing that can be described.
    """
    described = describe_map(volume, pixel_size_angstrom, level_angstrom, halves=halves)
    if described.halves is None:
        own, draws = descriptor(described.whole), []
    else:
        own = descriptor(*described.halves)
        draws = _redrawn(*described.halves)
    neighbours = index.nearest(own, level_angstrom, NEIGHBOURS)
    around = [index.distance_to_next(one.number, level_angstrom) for one in neighbours]
    again = [index.nearest(draw, level_angstrom, 1) for draw in draws]
    # A drawn half has the noise twice: what it measures, and what was drawn.
    noise = math.sqrt(float(np.mean([np.sum((draw - own) ** 2) for draw in draws]))) if draws else None
    return ShapeComparison(
        descriptor=own,
        level_angstrom=level_angstrom,
        resolution_angstrom=resolution_angstrom,
        neighbours=neighbours,
        neighbours_to_next=tuple(distance for distance in around if distance is not None),
        distance_draws=tuple(found[0].distance for found in again if found),
        noise_distance=noise,
        leave_one_out=index.leave_one_out(level_angstrom),
        radius_of_gyration_angstrom=described.radius_of_gyration_angstrom,
        reference_count=index.count,
        pending_count=len(index.pending),
        refused=index.refused,
    )


def _redrawn(first: NDArray[np.float64], second: NDArray[np.float64]) -> list[NDArray[np.float32]]:
    """Descriptors of half maps with the same mean and other noise: half the difference of the two, which holds noise
    alone and as much of it as the mean does, put back with random signs."""
    rng = np.random.default_rng(_SEED)
    mean, noise = (first + second) / 2, (first - second) / math.sqrt(2)
    found = []
    for _ in range(_DRAWS):
        signs = rng.choice((-1.0, 1.0), size=(2, first.shape[1]))
        found.append(descriptor(mean + noise * signs[0], mean + noise * signs[1]))
    return found
