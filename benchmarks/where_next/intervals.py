"""Do 80 % intervals hold 80 %: of the share of usable holes of a square, and of the effective signal of an exposure?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.where_next.grid import Array, Grid, Index
from benchmarks.where_next.simulated import Simulated
from frazil.models.targets.policy import arranged, open_holes, outlooks_of
from frazil.models.targets.records import USABLE_ANGSTROM, Outcome, TargetSettings
from frazil.models.targets.spread import TEN_PERCENT, square_shares

LOOKS = (20, 60, 120)
"""Exposures after which is asked."""
_LEAST_HOLES = 10
"""Left in a square that is asked about."""


def few_squares(grid: Grid, count: int, seed: int) -> Index:
    """Holes shot by somebody who has been in half of the squares, some in each patch that was gone to."""
    chance = np.random.default_rng(seed)
    squares = np.unique(grid.square)
    been = chance.choice(squares, max(2, len(squares) // 2), replace=False)
    patches = np.unique(grid.patch[np.isin(grid.square, been)])
    patches = chance.choice(patches, min(len(patches), max(3, count // 8)), replace=False)
    inside = np.flatnonzero(np.isin(grid.patch, patches))
    return np.sort(chance.choice(inside, min(count, len(inside)), replace=False))


def shares_held(grid: Grid, seeds: Sequence[int]) -> tuple[int, int]:
    """(squares whose true share lies inside, squares asked)."""
    settings = TargetSettings()
    places = arranged(grid.targets, settings)
    good = grid.resolution_angstrom < USABLE_ANGSTROM
    held = asked = 0
    for seed in seeds:
        for count in LOOKS:
            outcomes = _outcomes(grid, few_squares(grid, count, seed))
            left = np.flatnonzero(open_holes(places.holes, outcomes))
            found = square_shares(places.holes, outlooks_of(places, outcomes, settings).forecast, left)
            square = places.holes.square[left]
            true = np.bincount(square, good[left], len(found.mean)) / np.maximum(found.holes, 1)
            enough = found.holes >= _LEAST_HOLES
            asked += int(enough.sum())
            held += int((enough & (true >= found.low - 1e-9) & (true <= found.high + 1e-9)).sum())
    return held, asked


def _outcomes(grid: Grid, holes: Index, particles: Array | None = None, loss_ln: Array | None = None) -> list[Outcome]:
    return [
        Outcome(
            grid.hole_ids[hole], resolution_angstrom=float(grid.resolution_angstrom[hole]),
            particles=None if particles is None else float(particles[hole]),
            loss_ln=None if loss_ln is None else float(loss_ln[hole]),
        )
        for hole in holes
    ]  # fmt: skip


def signals_held(world: Simulated, seeds: Sequence[int]) -> tuple[int, int]:
    """(usable unshot holes whose ln effective signal lies inside, holes asked)."""
    grid, settings = world.grid, TargetSettings()
    places = arranged(grid.targets, settings)
    true = np.log(world.particles) - world.loss_ln
    held = asked = 0
    for seed in seeds:
        for count in LOOKS:
            shot = few_squares(grid, count, seed)
            known = outlooks_of(places, _outcomes(grid, shot, world.particles, world.loss_ln), settings)
            if known.signal is None:
                continue
            left = grid.resolution_angstrom < USABLE_ANGSTROM
            left[shot] = False
            inside = np.abs(true - known.signal.mean) <= TEN_PERCENT * known.signal.sd
            held, asked = held + int(inside[left].sum()), asked + int(left.sum())
    return held, asked
