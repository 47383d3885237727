"""Means over squares around every pixel, by running sums: two sweeps of memory whatever the size of the square."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from frazil.models.compiled import compiled
from frazil.models.cpu_threads import run_blocks

_ROWS_AT_ONCE = 256


def box_mean(image: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """(h, w) mean over side x side pixels (odd) around each; beyond the edge its own pixels are repeated."""
    out = np.empty_like(image)
    rows = len(image)
    run_blocks(partial(_box_rows, image, side_px // 2, out), rows, -(-rows // _ROWS_AT_ONCE))
    return out


@compiled
def _box_rows(image: NDArray[np.float32], reach: int, out: NDArray[np.float32], first_row: int, last_row: int) -> None:
    height, width = image.shape
    column = np.zeros(width, np.float64)
    share = 1.0 / (2 * reach + 1) ** 2
    for y in range(first_row - reach, first_row + reach + 1):
        row = image[min(max(y, 0), height - 1)]
        for x in range(width):
            column[x] += row[x]
    for y in range(first_row, last_row):
        if y > first_row:
            enters, leaves = image[min(y + reach, height - 1)], image[max(y - reach - 1, 0)]
            for x in range(width):
                column[x] += np.float64(enters[x]) - np.float64(leaves[x])
        total = 0.0
        for x in range(-reach, reach + 1):
            total += column[min(max(x, 0), width - 1)]
        for x in range(width):
            out[y, x] = np.float32(total * share)
            total += column[min(x + reach + 1, width - 1)] - column[max(x - reach, 0)]
