"""Smooth random fields on a square, and marks on it: what ice, sheets, crystals and cracks are drawn with.

None of them is a Gaussian process: a field is a squashed sum of a few waves, terraces have edges, cracks are lines.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_WAVES = 4
_SQUASH = 1.6


def smooth_field(u: Array, v: Array, rng: np.random.Generator) -> Array:
    """Between -1 and 1 at places u, v (-1 to 1 over a square): tanh of four waves of half to two cycles a square."""
    total = np.zeros(np.broadcast(u, v).shape)
    for _ in range(_WAVES):
        direction, phase = rng.uniform(0.0, 2.0 * math.pi, 2)
        pace = math.pi * rng.uniform(0.5, 2.0)
        total = total + rng.exponential(0.6) * np.cos(
            pace * (u * math.cos(direction) + v * math.sin(direction)) + phase
        )
    return np.asarray(np.tanh(_SQUASH * total / math.sqrt(_WAVES)))


def terraces(u: Array, v: Array, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Where sheets lie: a smooth field above a level of its own."""
    field = smooth_field(u, v, rng)
    return np.asarray(field > rng.uniform(-0.2, 0.8))


def side_of_line(u: Array, v: Array, rng: np.random.Generator) -> Array:
    """Signed distance from a random line that crosses the square, in its half widths."""
    direction = rng.uniform(0.0, 2.0 * math.pi)
    return np.asarray(u * math.cos(direction) + v * math.sin(direction) - rng.uniform(-0.6, 0.6))


def crystal_cover(x_um: Array, y_um: Array, half_um: float, count: int, rng: np.random.Generator) -> Array:
    """Share of each place that crystals cover: `count` of them, 0.4 to some 5 um wide, anywhere in the square."""
    cover = np.zeros(x_um.shape)
    for _ in range(count):
        x, y = rng.uniform(-half_um, half_um, 2)
        radius = min(0.8 * math.exp(rng.normal(0.0, 0.8)), 6.0)
        distance = np.hypot(x_um - x, y_um - y) / radius
        cover = np.maximum(cover, np.clip(1.6 - distance, 0.0, 1.0))
    return cover
