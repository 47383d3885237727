"""A smooth field within a patch: neighbouring holes share more than their patch.

Patches are small (some 25 holes) and independent given their levels, so all of them are solved at once as a stack of
small matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frazil.models.targets.levels import Index
from frazil.models.targets.outcomes import Array

LENGTH = 1.5
"""Over which the field changes, in spacings of holes."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Between the holes of a patch."""

    sd: float
    """Standard deviation of ln resolution (or ln signal) of one exposure about field and levels."""
    field_sd: float
    """Of the smooth field."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Outcomes of the patches that have some, padded to the same number."""

    patch: Index
    """(m,) which patches."""
    slot: Index
    """(patches,) place of each patch in this stack, -1: nothing seen there."""
    present: Array
    """(m, n) 1 where there is an outcome."""
    place: Array
    """(m, n, 2) positions in spacings of holes."""
    near: Array
    """(m, n, n) correlation of the field between them; 0 where there is none."""
    work: Array
    """(m, n, q + 2) columns 1, features, outcome; 0 where there is none."""


def stacked(hole: Index, value: Array, patch_of: Index, place: Array, columns: Array, patches: int) -> Stack:
    """Outcomes `value` of holes `hole`; `patch_of`, `place`, `columns` of all holes, NaN-free."""
    of = patch_of[hole]
    order = np.argsort(of, kind="stable")
    hole, value, of = hole[order], value[order], of[order]
    seen, start, count = np.unique(of, return_index=True, return_counts=True)
    slot = np.full(patches, -1, dtype=np.intp)
    slot[seen] = np.arange(len(seen))
    at, rank = slot[of], np.arange(len(of)) - start[slot[of]]
    shape = (len(seen), int(count.max(initial=0)))
    present, places = np.zeros(shape), np.zeros((*shape, 2))
    work = np.zeros((*shape, columns.shape[1] + 2))
    present[at, rank], places[at, rank] = 1.0, place[hole]
    work[at, rank, 0], work[at, rank, 1:-1], work[at, rank, -1] = 1.0, columns[hole], value
    both = present[:, :, None] * present[:, None, :]
    return Stack(seen, slot, present, places, both * _correlation(places, places), work)


def _correlation(a: Array, b: Array) -> Array:
    """Of the field between places (..., n, 2) and (..., m, 2): squared exponential."""
    square = (a[..., :, None, 0] - b[..., None, :, 0]) ** 2 + (a[..., :, None, 1] - b[..., None, :, 1]) ** 2
    return np.asarray(np.exp(-0.5 / LENGTH**2 * square))


@dataclass(frozen=True, slots=True)
class Solved:
    """A stack under one scatter."""

    stack: Stack
    scatter: Scatter
    said: Array
    """(patches, q + 2, q + 2): G of `levels`."""
    ln_determinant: float
    factor: Array
    """(m, n, n) inverse covariance of the outcomes, 0 where there is none."""


def solved(stack: Stack, scatter: Scatter) -> Solved:
    """What the patches' outcomes say of their levels."""
    m, n = stack.present.shape
    size = stack.work.shape[2]
    said = np.zeros((len(stack.slot), size, size))
    if m == 0:
        return Solved(stack, scatter, said, 0.0, np.zeros((0, n, n)))
    both = stack.present[:, :, None] * stack.present[:, None, :]
    kernel = scatter.field_sd**2 * stack.near
    kernel += np.eye(n) * np.where(stack.present > 0.0, scatter.sd**2, 1.0)[:, :, None]
    inverse = np.linalg.inv(kernel) * both
    said[stack.patch] = stack.work.transpose(0, 2, 1) @ (inverse @ stack.work)
    return Solved(stack, scatter, said, float(np.linalg.slogdet(kernel)[1].sum()), inverse)


def krige(found: Solved, patch: Index, place: Array) -> tuple[Array, Array]:
    """Field at holes of patches where something has been seen (`place` in spacings): weights (k, q + 2) on the columns
    of the patch's outcomes, so that field = weights @ (-level, -slopes, 1), and the variance that is left."""
    at = found.stack.slot[patch]
    cross = _correlation(place[:, None, :], found.stack.place[at])[:, 0, :]
    cross *= found.scatter.field_sd**2 * found.stack.present[at]
    weights = (cross[:, None, :] @ found.factor[at])[:, 0, :]
    left = found.scatter.field_sd**2 - (weights * cross).sum(axis=1)
    return (weights[:, None, :] @ found.stack.work[at])[:, 0, :], np.maximum(left, 0.0)
