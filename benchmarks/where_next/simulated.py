"""Grids by laws that are not frazil's: thick and thin squares, gradients, patches of bad film, failures at random.

`normal` is frazil's own family; `two_kinds` has good and bad squares and nothing between; `gradient` gets worse across
the grid and across each square; `failures` is mostly good, with one exposure in six failing at random; `heavy` has
tails of Student's t with three degrees. Particles and losses follow the ice: thinner is sharper and has fewer
particles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.where_next.grid import Array, Grid, Index
from frazil.models.grid_target import GridTarget

LAWS = ("normal", "two_kinds", "gradient", "failures", "heavy")
_SIDE = 5
"""Holes along the side of a patch."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A grid and what particles would tell."""

    grid: Grid
    particles: Array
    loss_ln: Array


def simulated(law: str, seed: int, areas: int = 4, squares: int = 3, patches: int = 6) -> Simulated:
    """Areas of squares of patches of 25 holes, with a prediction from each hole's image."""
    chance = np.random.default_rng([seed, LAWS.index(law)])
    targets: list[GridTarget] = []
    rows: list[tuple[int, int, int, float, float, float, float]] = []
    for number_of_area in range(areas):
        targets.append(GridTarget(f"a{number_of_area}", "area", "leginon", f"a{number_of_area}"))
        for number in range(squares):
            name_of_square, here = f"s{number_of_area * squares + number}", number_of_area * squares + number
            targets.append(
                GridTarget(name_of_square, "square", "leginon", name_of_square, parent_id=f"a{number_of_area}")
            )
            for _ in range(patches):
                number_of_patch = len(rows) // _SIDE**2
                name = f"p{number_of_patch}"
                targets.append(GridTarget(name, "patch", "leginon", name, parent_id=name_of_square))
                places = [(x, y) for x in range(_SIDE) for y in range(_SIDE)]
                u, v = chance.random(2)
                rows += [
                    (number_of_area, here, number_of_patch, float(x), float(y), float(u), float(v)) for x, y in places
                ]
    table = np.array(rows)
    area, square, patch = (table[:, column].astype(np.intp) for column in range(3))
    expected, value = _resolutions(law, chance, area, square, patch, table[:, 3:])
    ids = tuple(f"h{number}" for number in range(len(rows)))
    targets += [
        GridTarget(one, "hole", "leginon", one, f"p{row[2]}", x_in_parent_px=180 * row[3], y_in_parent_px=180 * row[4])
        for one, row in zip(ids, rows, strict=True)
    ]
    truth = 6.0 * np.exp(value)
    bare = Grid(tuple(targets), ids, area, square, patch, np.full(len(ids), np.nan), truth)
    predicted = 6.0 * np.exp(0.8 * expected + chance.normal(0.0, 0.25, len(ids)))
    loss = 1.0 + 0.8 * expected + chance.normal(0.0, 0.2, len(ids))
    crowd = (
        chance.normal(0.0, 0.25, int(square.max()) + 1)[square] + chance.normal(0.0, 0.15, int(patch.max()) + 1)[patch]
    )
    particles = 120.0 * np.exp(0.3 * expected + crowd + chance.normal(0.0, 0.2, len(ids)))
    return Simulated(bare.with_predictions(predicted), particles, loss)


def _resolutions(
    law: str, chance: np.random.Generator, area: Index, square: Index, patch: Index, place: Array
) -> tuple[Array, Array]:
    """ln(resolution / 6 A): of the hole's ice and film, and of its exposure."""
    squares, patches = int(square.max()) + 1, int(patch.max()) + 1
    of_square = chance.normal(0.0, 0.3, squares)
    if law == "two_kinds":
        of_square = np.where(chance.random(squares) < 0.4, -0.4, 0.35) + chance.normal(0.0, 0.05, squares)
    elif law == "failures":
        of_square = chance.normal(-0.4, 0.1, squares)
    expected = 0.1 + of_square[square] + chance.normal(0.0, 0.15, patches)[patch]
    expected = expected + chance.normal(0.0, 0.2, int(area.max()) + 1)[area]
    if law == "gradient":
        expected = 0.15 * (area - area.mean()) + 0.6 * (place[:, 2] - 0.5) + 0.08 * (place[:, 0] - 2.0)
    expected = expected + chance.normal(0.0, 0.2, len(square))
    scatter = chance.standard_t(3, len(square)) * 0.17 if law == "heavy" else chance.normal(0.0, 0.22, len(square))
    value = expected + scatter
    if law == "failures":
        value = np.where(chance.random(len(square)) < 1 / 6, 0.8, value)
    return np.asarray(expected), np.asarray(value)
