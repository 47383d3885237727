"""Levels of a grid, one inside the other, integrated out from the bottom to the top and told again from the top down.

Outcomes y of a patch, given its level t, are y = t + Z b + field + scatter: normal, so that all they say of t and of
the slopes b lies in G = W' K^-1 W with W = [1, Z, y] and K their covariance about it. A level above, t = T + d with d ~
N(0, tau^2), takes one rank out of G and G's then add up (Rue & Held 2005, section 2; Lindley & Smith 1972): patch ->
square -> area -> grid, the same three lines each time. On the way back every level is a weighted mean of the level
above and of its own outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.models.targets.outcomes import Array

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Level:
    """What outcomes below it say of each unit of a level (patches, squares, areas)."""

    said: Array
    """(units, q + 2, q + 2): G, with the level of each unit still free."""
    kept: Array
    """(units,) weight of the level above: 1 where nothing has been seen."""


@dataclass(frozen=True, slots=True)
class Told:
    """Posterior of a level's units, as it follows from the grid's: t = start + row . (mean, slopes) + N(0, own)."""

    start: Array
    """(units,)"""
    row: Array
    """(units, q + 1)"""
    own: Array
    """(units,) variance beside that of the grid's mean and slopes."""


def collapse(said: Array, scatters: Array) -> tuple[Array, Array]:
    """Integrate each unit's deviation out, for each of n standard deviations `scatters`.

    `said` (units, ..., q + 2, q + 2); what is said to the level above (units, ..., n, q + 2, q + 2), and what it adds
    to ln |covariance| (..., n).
    """
    column = said[..., :, 0]
    more = scatters**2 / (1.0 + scatters**2 * column[..., :1])
    product = column[..., :, None] * column[..., None, :]
    above = said[..., None, :, :] - more[..., None, None] * product[..., None, :, :]
    return above, np.log1p(scatters**2 * column[..., :1]).sum(axis=0)


def level_of(said: Array, scatter: float) -> Level:
    """Of one standard deviation, with `said` (units, q + 2, q + 2)."""
    return Level(said, 1.0 / (1.0 + scatter**2 * said[:, 0, 0]))


def gather(said: Array, parent: Index, parents: int) -> Array:
    """Sum over the children of each unit above: (parents, ...)."""
    order = np.argsort(parent, kind="stable")
    units, start = np.unique(parent[order], return_index=True)
    total = np.zeros((parents, *said.shape[1:]))
    if len(units):
        total[units] = np.add.reduceat(said[order], start, axis=0)
    return total


def top(columns: int) -> Told:
    """The grid itself: its mean is the first of (mean, slopes)."""
    row = np.zeros((1, columns))
    row[0, 0] = 1.0
    return Told(np.zeros(1), row, np.zeros(1))


def restore(above: Told, level: Level, parent: Index, scatter: float) -> Told:
    """Tell the units of a level from those above and their own outcomes."""
    first = np.maximum(level.said[:, 0, 0], 1e-300)
    own_share = 1.0 - level.kept
    mean = level.said[:, 0, -1] / first
    row = level.kept[:, None] * above.row[parent]
    row[:, 1:] -= own_share[:, None] * level.said[:, 0, 1:-1] / first[:, None]
    return Told(
        level.kept * above.start[parent] + own_share * mean,
        row,
        level.kept**2 * above.own[parent] + scatter**2 * level.kept,
    )


def common(
    said: Array, outcomes: int, ln_determinant: Array, prior_mean: Array, prior_sd: Array
) -> tuple[Array, Array, Array]:
    """The grid's (mean, slopes) after all outcomes, their covariance, and ln likelihood of the outcomes.

    `said` (..., q + 2, q + 2) is the grid's G, `ln_determinant` (...) of the covariance of the outcomes about mean and
    slopes.
    """
    precision = said[..., :-1, :-1] + np.diag(prior_sd**-2.0)
    covariance = np.linalg.inv(precision)
    linear = said[..., :-1, -1] + prior_mean / prior_sd**2
    mean = (covariance @ linear[..., None])[..., 0]
    square = said[..., -1, -1] + float((prior_mean**2 / prior_sd**2).sum()) - (linear * mean).sum(axis=-1)
    ln_all = ln_determinant + np.linalg.slogdet(precision)[1] + 2.0 * float(np.log(prior_sd).sum())
    return mean, np.asarray(covariance, dtype=np.float64), -0.5 * (square + ln_all + outcomes * np.log(2.0 * np.pi))
