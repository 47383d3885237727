"""Passes over whole transforms and maps, compiled: each reads every sample once and stores only sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from frazil.models.compiled import compiled


@compiled
def block_power(
    half: Any, scale: float, level: Any, per_bin_y: float, per_bin_x: float, cross: int, ceiling: float, block: int
) -> Any:
    """|X|^2 times `scale` of an rfft2 (rows in fft order), summed in blocks of ky (ascending) and kx.

    level: (bins,) local mean power, interpolated at |k| = hypot(row * per_bin_y, column * per_bin_x) in bins; samples
    are clipped at `ceiling` times it; those within `cross` of an axis are left out. Returns clipped sums, sums, counts,
    each (rows, columns) of whole blocks, symmetric about ky = 0.
    """
    height, columns = half.shape
    half_rows = (height - 1) // 2 // block * block
    blocks_y, blocks_x = 2 * half_rows // block, (columns - 1) // block
    clipped = np.zeros((blocks_y, blocks_x), dtype=np.float32)
    whole = np.zeros((blocks_y, blocks_x), dtype=np.float32)
    count = np.zeros((blocks_y, blocks_x), dtype=np.float32)
    last = len(level) - 1.001
    for row in range(-half_rows, half_rows):
        if abs(row) <= cross:
            continue
        source = row if row >= 0 else row + height
        block_y = (row + half_rows) // block
        y2 = (row * per_bin_y) ** 2
        for column in range(cross + 1, blocks_x * block):
            value = half[source, column]
            power = (value.real * value.real + value.imag * value.imag) * scale
            position = min(max(math.sqrt(y2 + (column * per_bin_x) ** 2) - 0.5, 0.0), last)
            lower = int(position)
            top = ceiling * (level[lower] + (position - lower) * (level[lower + 1] - level[lower]))
            block_x = column // block
            whole[block_y, block_x] += power
            clipped[block_y, block_x] += min(power, top)
            count[block_y, block_x] += 1.0
    return clipped, whole, count


@compiled
def polar_sums(power: Any, count: Any, ky: Any, kx: Any, low: float, width: float, bins: int, sectors: int) -> Any:
    """Sums of count * power and of count, (bins, sectors), of rings from `low` and sectors of half a turn."""
    sums = np.zeros((bins, sectors))
    counts = np.zeros((bins, sectors))
    for row in range(power.shape[0]):
        for column in range(power.shape[1]):
            weight = count[row, column]
            if weight <= 0.0:
                continue
            ring = math.floor((math.sqrt(ky[row] ** 2 + kx[column] ** 2) - low) / width)
            if ring < 0 or ring >= bins:
                continue
            sector = 0
            if sectors > 1:
                turn = math.atan2(ky[row], kx[column])
                if turn < 0.0:
                    turn += math.pi
                sector = min(int(turn * (sectors / math.pi)), sectors - 1)
            sums[ring, sector] += weight * power[row, column]
            counts[ring, sector] += weight
    return sums, counts


@compiled
def ring_products(first: Any, second: Any, step_y: float, step_x: float, cross: int, edges: Any, spacing: float) -> Any:
    """Sums over rings between equally spaced `edges` of Re(X Y*), |X|^2 and |Y|^2 of two rfft2, (3, rings)."""
    height, columns = first.shape
    rings = len(edges) - 1
    sums = np.zeros((3, rings))
    for source in range(height):
        row = source if source <= height // 2 else source - height
        if abs(row) <= cross:
            continue
        y2 = (row * step_y) ** 2
        for column in range(cross + 1, columns):
            ring = math.floor((math.sqrt(y2 + (column * step_x) ** 2) - edges[0]) / spacing)
            if ring < 0 or ring >= rings:
                continue
            a, b = first[source, column], second[source, column]
            sums[0, ring] += a.real * b.real + a.imag * b.imag
            sums[1, ring] += a.real * a.real + a.imag * a.imag
            sums[2, ring] += b.real * b.real + b.imag * b.imag
    return sums
