"""Passes over raw counts, fused: sums of halves, and halving with the gain applied on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.models.compiled import compiled

Float = NDArray[np.float32]
OUTER_TAP = np.float32(1.0 / 6.828427)
INNER_TAP = np.float32(2.414214 / 6.828427)
"""The low-pass of `binning.halve`: outer, inner, inner, outer, as 1 : 1 + sqrt(2), adding up to 1. Nothing passes
at 3/8 cycles/px, which is folded onto 1/4 of the small stack's, the middle of what the alignment looks at."""


@compiled
def add_halves(counts: NDArray[Any], first_frame: int, sums: Float, first_row: int, last_row: int) -> None:
    """Add counts (n, h, w) to sums (2, h, w) of even and odd frames, in these rows."""
    frames, _, width = counts.shape
    for y in range(first_row, last_row):
        for f in range(frames):
            row, total = counts[f, y], sums[(first_frame + f) % 2, y]
            for x in range(width):
                total[x] += np.float32(row[x])


@compiled
def _four_rows(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], d: NDArray[Any], out: Float) -> None:
    for x in range(len(out)):
        out[x] = INNER_TAP * (np.float32(b[x]) + np.float32(c[x])) + OUTER_TAP * (np.float32(a[x]) + np.float32(d[x]))


@compiled
def _four_rows_with_gain(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], d: NDArray[Any],
    gain_a: Float, gain_b: Float, gain_c: Float, gain_d: Float, out: Float,
) -> None:  # fmt: skip
    for x in range(len(out)):
        inner = np.float32(b[x]) * gain_b[x] + np.float32(c[x]) * gain_c[x]
        out[x] = INNER_TAP * inner + OUTER_TAP * (np.float32(a[x]) * gain_a[x] + np.float32(d[x]) * gain_d[x])


@compiled
def _four_columns(line: Float, out: Float) -> None:
    last = len(out) - 1
    for x in range(1, last):
        out[x] = INNER_TAP * (line[2 * x] + line[2 * x + 1]) + OUTER_TAP * (line[2 * x - 1] + line[2 * x + 2])
    for x in (0, last):
        before, after = line[max(2 * x - 1, 0)], line[min(2 * x + 2, len(line) - 1)]
        out[x] = INNER_TAP * (line[2 * x] + line[2 * x + 1]) + OUTER_TAP * (before + after)


@compiled
def halve_rows(
    counts: NDArray[Any], multiplier: Float, use_multiplier: bool, out: Float, first_row: int, last_row: int
) -> None:
    """Rows of `out` (n, h // 2, w // 2): `binning.halve` of counts (n, h, w) times multiplier (h, w)."""
    frames, rows, columns = out.shape
    line = np.empty(2 * columns, np.float32)
    for y in range(first_row, last_row):
        above, below = max(2 * y - 1, 0), min(2 * y + 2, 2 * rows - 1)
        for f in range(frames):
            a, b, c, d = counts[f, above], counts[f, 2 * y], counts[f, 2 * y + 1], counts[f, below]
            if use_multiplier:
                _four_rows_with_gain(
                    a, b, c, d,
                    multiplier[above], multiplier[2 * y], multiplier[2 * y + 1], multiplier[below], line,
                )  # fmt: skip
            else:
                _four_rows(a, b, c, d, line)
            _four_columns(line, out[f, y])


@compiled
def correct_rows(
    counts: NDArray[Any], multiplier: Float, use_multiplier: bool, out: Float, first_row: int, last_row: int
) -> None:
    """Rows of `out` (n, h, w) = counts times multiplier."""
    for y in range(first_row, last_row):
        for f in range(len(out)):
            row, result = counts[f, y], out[f, y]
            if use_multiplier:
                gain = multiplier[y]
                for x in range(len(result)):
                    result[x] = np.float32(row[x]) * gain[x]
            else:
                for x in range(len(result)):
                    result[x] = np.float32(row[x])


@compiled
def row_moments(
    images: Float, top: int, left: int, width: int, out: NDArray[np.float64], first_row: int, last_row: int
) -> None:
    """out (rows, n, 2): sum and sum of squares of each row of a window whose first pixel is (top, left)."""
    for y in range(first_row, last_row):
        for f in range(len(images)):
            row = images[f, top + y]
            total, squares = 0.0, 0.0
            for x in range(left, left + width):
                value = np.float64(row[x])
                total += value
                squares += value * value
            out[y, f, 0] = total
            out[y, f, 1] = squares


@compiled
def standardise_rows(images: Float, mean: Float, per_sd: Float, clip: float, first_row: int, last_row: int) -> None:
    """In place: (images (n, h, w) - mean (n)) * per_sd (n), clipped to +-clip, in these rows."""
    limit = np.float32(clip)
    for f in range(len(images)):
        middle, factor = mean[f], per_sd[f]
        for y in range(first_row, last_row):
            row = images[f, y]
            for x in range(len(row)):
                row[x] = min(max((row[x] - middle) * factor, -limit), limit)
