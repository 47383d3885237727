"""How well the holes of squares that were seen can be ranked after 60 exposures, from live results alone.

Three answers on the recorded grid: what frazil expects after its own 60; after 60 that are spread evenly over the same
squares; and a field that is told what all other holes gave (leave one out), which no session can know.
"""

from __future__ import annotations

import random

import numpy as np
from scipy.stats import spearmanr

from benchmarks.where_next.frazil_policy import KEPT_AT, Frazil, rank_correlation
from benchmarks.where_next.grid import Array, Grid, Index
from benchmarks.where_next.microscope import MOVES, Microscope
from frazil.models.targets.outcomes import LIMIT_LN
from frazil.models.targets.policy import arranged, outlooks_of
from frazil.models.targets.records import USABLE_ANGSTROM, Outcome, TargetSettings

MEAN_SD, SQUARE_SD, PATCH_SD, FIELD_SD, SCATTER_SD = 0.5, 0.3, 0.15, 0.2, 0.3
"""Of ln resolution, near the most likely for all holes of the grid together."""
FIELD_LENGTH = 2.0
"""In spacings of holes."""


def without_itself(grid: Grid) -> Array:
    """(holes,) ln(resolution / usable) of each hole, expected from those of all others (Rasmussen & Williams 2006, eq.
    5.12)."""
    value = np.clip(np.log(grid.resolution_angstrom / USABLE_ANGSTROM), -LIMIT_LN, LIMIT_LN)
    place = arranged(grid.targets, TargetSettings()).holes.place
    same_patch = grid.patch[:, None] == grid.patch
    square_distance = ((place[:, None] - place) ** 2).sum(axis=-1)
    covariance = (
        MEAN_SD**2
        + SQUARE_SD**2 * (grid.square[:, None] == grid.square)
        + PATCH_SD**2 * same_patch
        + FIELD_SD**2 * same_patch * np.exp(-0.5 * square_distance / FIELD_LENGTH**2)
        + SCATTER_SD**2 * np.eye(len(value))
    )
    inverse = np.linalg.inv(covariance)
    return np.asarray(value - inverse @ value / np.diag(inverse))


def shot_by_frazil(grid: Grid, seed: int) -> Index:
    """The first 60 holes of a run."""
    microscope = Microscope(grid, random.Random(seed).randrange(len(grid.hole_ids)), MOVES, 480.0)
    policy = Frazil(grid, seed, MOVES)
    while len(microscope.shots) < KEPT_AT and microscope.shoot(policy.choose(microscope)):
        pass
    return np.array([shot.hole for shot in microscope.shots])


def rank_correlations(grid: Grid, starts: int) -> dict[str, float]:
    """Means over starts; `grid` without predictions."""
    settings = TargetSettings()
    places, others = arranged(grid.targets, settings), without_itself(grid)
    found = []
    for seed in range(starts):
        shot = shot_by_frazil(grid, seed)
        inside = np.flatnonzero(np.isin(grid.square, grid.square[shot]))
        spread = np.random.default_rng(seed).choice(inside, len(shot), replace=False)
        told = [
            rank_correlation(
                outlooks_of(
                    places,
                    [Outcome(grid.hole_ids[at], float(grid.resolution_angstrom[at])) for at in holes],
                    settings,
                ),
                grid,
            )
            for holes in (shot, spread)
        ]
        left = np.setdiff1d(inside, shot)
        found.append((*told, float(spearmanr(others[left], grid.resolution_angstrom[left]).statistic)))
    return dict(zip(("as_shot", "spread_evenly", "all_others_known"), np.mean(found, axis=0).tolist(), strict=True))
