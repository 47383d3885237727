"""The loops over samples that the likelihood of the rings needs, compiled: one pass each, nothing stored per sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from frazil.models.compiled import compiled

_TABLE = 512


@compiled
def system(
    ring: Any,
    ratio: Any,
    count: Any,
    geometry: Any,
    rho: Any,
    nu: Any,
    delta: Any,
    vector: Any,
    free: Any,
    least: float,
) -> Any:
    """Sums over rings and samples of the score and the Fisher information.

    geometry: (4, samples) 2 chi without what is fitted, and its gradients by (dz, a_x, a_y). vector: (dz, a_x, a_y,
    phase, b_x, b_y); free: those of its indices that are fitted. Returns per ring (rings, 5 + 2 free): w, w p, w p^2,
    u, u p, then w s_j and w p s_j with weight w = n / mu^2, pattern p, pull u = w (y - mu) and slopes s_j; and (free,
    free), (free,) sums of w s_i s_j and u s_j.
    """
    size = len(free)
    sums = np.zeros((len(nu), 5 + 2 * size))
    normal = np.zeros((size, size))
    gradient = np.zeros(size)
    slopes = np.zeros(6)
    for i in range(len(ring)):
        r = ring[i]
        angle = geometry[0, i] + vector[0] * geometry[1, i] + vector[1] * geometry[2, i] + vector[2] * geometry[3, i]
        angle += np.float32(2.0) * vector[3]
        cosine, sine = math.cos(angle), math.sin(angle)
        seen = rho[i] * math.exp(vector[4] * geometry[2, i] + vector[5] * geometry[3, i])
        pattern = delta[r] * (np.float32(1.0) - seen * cosine)
        mean = max(nu[r] + pattern, least)
        weight = count[i] / (mean * mean)
        pull = weight * (ratio[i] - mean)
        sums[r, 0] += weight
        sums[r, 1] += weight * pattern
        sums[r, 2] += weight * pattern * pattern
        sums[r, 3] += pull
        sums[r, 4] += pull * pattern
        if size > 0:
            slope, fall = delta[r] * seen * sine, delta[r] * seen * cosine
            slopes[0] = slope * geometry[1, i]
            slopes[1] = slope * geometry[2, i]
            slopes[2] = slope * geometry[3, i]
            slopes[3] = slope * np.float32(2.0)
            slopes[4] = -fall * geometry[2, i]
            slopes[5] = -fall * geometry[3, i]
            for a in range(size):
                by_a = slopes[free[a]]
                sums[r, 5 + a] += weight * by_a
                sums[r, 5 + size + a] += weight * pattern * by_a
                gradient[a] += pull * by_a
                for b in range(a + 1):
                    normal[a, b] += weight * by_a * slopes[free[b]]
    for a in range(size):
        for b in range(a):
            normal[b, a] = normal[a, b]
    return sums, normal, gradient


@compiled
def log_likelihood(
    ring: Any, ratio: Any, count: Any, geometry: Any, rho: Any, nu: Any, delta: Any, vector: Any, least: float
) -> Any:
    """Sum of -n (ln mu + y / mu)."""
    total = 0.0
    for i in range(len(ring)):
        r = ring[i]
        angle = geometry[0, i] + vector[0] * geometry[1, i] + vector[1] * geometry[2, i] + vector[2] * geometry[3, i]
        angle += np.float32(2.0) * vector[3]
        seen = rho[i] * math.exp(vector[4] * geometry[2, i] + vector[5] * geometry[3, i])
        mean = max(nu[r] + delta[r] * (np.float32(1.0) - seen * math.cos(angle)), least)
        total -= count[i] * (math.log(mean) + ratio[i] / mean)
    return total


@compiled
def mean_curve(ring: Any, geometry: Any, rho: Any, nu: Any, delta: Any, vector: Any, least: float) -> Any:
    """mu of every sample, float32."""
    out = np.empty(len(ring), dtype=np.float32)
    for i in range(len(ring)):
        r = ring[i]
        angle = geometry[0, i] + vector[0] * geometry[1, i] + vector[1] * geometry[2, i] + vector[2] * geometry[3, i]
        angle += np.float32(2.0) * vector[3]
        seen = rho[i] * math.exp(vector[4] * geometry[2, i] + vector[5] * geometry[3, i])
        out[i] = max(nu[r] + delta[r] * (np.float32(1.0) - seen * math.cos(angle)), least)
    return out


@compiled
def ring_sums(ring: Any, rows: Any, rings: int) -> Any:
    """(m, samples) summed over the samples of each ring: (m, rings)."""
    out = np.zeros((len(rows), rings))
    for m in range(len(rows)):
        for i in range(len(ring)):
            out[m, ring[i]] += rows[m, i]
    return out


@compiled
def contrast(
    kx: Any,
    ky: Any,
    table: Any,
    overlap_x: float,
    overlap_y: float,
    block_x: float,
    block_y: float,
    common: float,
    quartic: float,
    bend: Any,
) -> Any:
    """Loss of ring contrast (see `ring_model.ring_contrast`), float32.

    table: the window's autocorrelation at 0 ... 1 of its length; overlap: table steps per A of displacement; block: pi
    times block over length; displacement = ((common - quartic k^2) + bend) k, bend the two astigmatic components.
    """
    out = np.empty(len(kx), dtype=np.float32)
    last = len(table) - 1
    for i in range(len(kx)):
        x, y = kx[i], ky[i]
        factor = common - quartic * (x * x + y * y)
        shift_x = abs(factor * x + bend[0] * x + bend[1] * y)
        shift_y = abs(factor * y + bend[1] * x - bend[0] * y)
        value = 1.0
        for shift, scale, block in ((shift_x, overlap_x, block_x), (shift_y, overlap_y, block_y)):
            position = min(shift * scale, last - 1.0)
            lower = int(position)
            value *= table[lower] + (position - lower) * (table[lower + 1] - table[lower])
            turn = block * shift
            if turn > 1e-4:
                value *= math.sin(turn) / turn
        out[i] = value
    return out
