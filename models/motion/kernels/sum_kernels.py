"""Frames moved and added, tile by tile: the loops behind `cpu_sum`.

A tile's sums stay in the core's cache while all frames pass; each frame is read once, at the whole-pixel displacement,
interpolated along x, then along y, four rows at a time so that every value read serves up to twelve times.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from frazil.models.compiled import compiled
from frazil.models.motion.kernels.interpolation import FIRST_TAP, TAPS

Float = NDArray[np.float32]
Integer = NDArray[np.int32]
# The loops below spell their twelve taps out: unrolled by hand they run four times as fast.
assert TAPS == 12


class CountFrames(NamedTuple):
    """A block of frames as they were counted."""

    counts: NDArray[Any]
    """(n, h, w)"""
    multiplier: Float
    """(h, w) what each pixel is multiplied with; any array with a row if it is not used."""
    use_multiplier: bool
    first_frame: int
    """Number of the first in the movie."""


class TileMotion(NamedTuple):
    """How far each tile of each frame of a block is moved."""

    whole_px: Integer
    """(n, tile rows, tile columns, 2) floor of the displacement (x, y)."""
    step: Integer
    """Of the same shape: the rest, in 1/STEPS px."""
    taps: Float
    """(STEPS + 1, TAPS) by step."""
    tile_height_px: int
    tile_width_px: int


@compiled
def mirrored(index: int, length: int) -> int:
    """`index` reflected at the edges (each edge pixel twice) into 0 .. length - 1, as often as needed."""
    if 0 <= index < length:
        return index
    index = index % (2 * length)
    return index if index < length else 2 * length - 1 - index


@compiled
def mirrored_range(first: int, count: int, length: int) -> NDArray[np.int64]:
    """(count,) `mirrored` of first, first + 1, ..."""
    out = np.empty(count, np.int64)
    for i in range(count):
        out[i] = mirrored(first + i, length)
    return out


@compiled
def _read_row(counts: NDArray[Any], multiplier: Float, use_multiplier: bool, out: Float) -> None:
    if use_multiplier:
        for x in range(len(out)):
            out[x] = np.float32(counts[x]) * multiplier[x]
    else:
        for x in range(len(out)):
            out[x] = np.float32(counts[x])


@compiled
def _along_x(line: Float, k: Float, out: Float, columns: int) -> None:
    k0, k1, k2, k3, k4, k5 = k[0], k[1], k[2], k[3], k[4], k[5]
    k6, k7, k8, k9, k10, k11 = k[6], k[7], k[8], k[9], k[10], k[11]
    for x in range(columns):
        out[x] = (
            k0 * line[x] + k1 * line[x + 1] + k2 * line[x + 2] + k3 * line[x + 3]
            + k4 * line[x + 4] + k5 * line[x + 5] + k6 * line[x + 6] + k7 * line[x + 7]
            + k8 * line[x + 8] + k9 * line[x + 9] + k10 * line[x + 10] + k11 * line[x + 11]
        )  # fmt: skip


@compiled
def _along_y(m: Float, k: Float, out: Float, columns: int) -> None:
    """Four rows of `out` from fifteen of `m`."""
    k0, k1, k2, k3, k4, k5 = k[0], k[1], k[2], k[3], k[4], k[5]
    k6, k7, k8, k9, k10, k11 = k[6], k[7], k[8], k[9], k[10], k[11]
    m0, m1, m2, m3, m4, m5, m6, m7 = m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7]
    m8, m9, m10, m11, m12, m13, m14 = m[8], m[9], m[10], m[11], m[12], m[13], m[14]
    out0, out1, out2, out3 = out[0], out[1], out[2], out[3]
    for x in range(columns):
        v0, v1, v2, v3, v4, v5, v6, v7 = m0[x], m1[x], m2[x], m3[x], m4[x], m5[x], m6[x], m7[x]
        v8, v9, v10, v11, v12, v13, v14 = m8[x], m9[x], m10[x], m11[x], m12[x], m13[x], m14[x]
        out0[x] = (
            k0 * v0 + k1 * v1 + k2 * v2 + k3 * v3 + k4 * v4 + k5 * v5
            + k6 * v6 + k7 * v7 + k8 * v8 + k9 * v9 + k10 * v10 + k11 * v11
        )  # fmt: skip
        out1[x] = (
            k0 * v1 + k1 * v2 + k2 * v3 + k3 * v4 + k4 * v5 + k5 * v6
            + k6 * v7 + k7 * v8 + k8 * v9 + k9 * v10 + k10 * v11 + k11 * v12
        )  # fmt: skip
        out2[x] = (
            k0 * v2 + k1 * v3 + k2 * v4 + k3 * v5 + k4 * v6 + k5 * v7
            + k6 * v8 + k7 * v9 + k8 * v10 + k9 * v11 + k10 * v12 + k11 * v13
        )  # fmt: skip
        out3[x] = (
            k0 * v3 + k1 * v4 + k2 * v5 + k3 * v6 + k4 * v7 + k5 * v8
            + k6 * v9 + k7 * v10 + k8 * v11 + k9 * v12 + k10 * v13 + k11 * v14
        )  # fmt: skip


@compiled
def _add_rows(rows: Float, half: Float, weighted: Float, factor: Float, y: int, columns: int) -> None:
    for i in range(4):
        row, plain = rows[i], half[y + i]
        for x in range(columns):
            plain[x] += row[x]
        for r in range(len(factor)):
            a, total = factor[r], weighted[r, y + i]
            for x in range(columns):
                total[x] += a * row[x]


@compiled
def _read_mirrored(frames: CountFrames, frame: int, row: int, start: int, line: Float) -> None:
    """`line` = a frame's row from column `start` on, reflected at the edges, times the multiplier."""
    counts, multiplier, use_multiplier, _ = frames
    _, height, width = counts.shape
    from_row = mirrored(row, height)
    values = counts[frame, from_row]
    gain = multiplier[from_row] if use_multiplier else multiplier[0]
    needed = len(line)
    if start >= 0 and start + needed <= width:
        _read_row(values[start : start + needed], gain[start : start + needed], use_multiplier, line)
    else:
        for x in range(needed):
            at = mirrored(start + x, width)
            line[x] = np.float32(values[at]) * gain[at] if use_multiplier else np.float32(values[at])


@compiled
def _take_tile(sums: Float, tile: Float, top: int, left: int, rows: int, columns: int) -> None:
    for s in range(len(sums)):
        for y in range(rows):
            tile[s, y, :columns] = sums[s, top + y, left : left + columns]


@compiled
def _put_tile(tile: Float, sums: Float, top: int, left: int, rows: int, columns: int) -> None:
    for s in range(len(sums)):
        for y in range(rows):
            sums[s, top + y, left : left + columns] = tile[s, y, :columns]


@compiled
def add_tiles(
    frames: CountFrames,
    motion: TileMotion,
    factor: Float,
    halves: Float,
    weighted: Float,
    first_tile_row: int,
    last_tile_row: int,
) -> None:
    """Add a block of frames to `halves` (2, h, w), even and odd ones, and with `factor` (n, R) to `weighted` (R, h, w).

    out(r) = frame(r + d).
    """
    whole_px, step, taps, tile_height_px, tile_width_px = motion
    _, height, width = frames.counts.shape
    terms = factor.shape[1]
    line = np.empty(tile_width_px + TAPS - 1, np.float32)
    middle = np.zeros((tile_height_px + TAPS - 1, tile_width_px), np.float32)
    moved = np.empty((4, tile_width_px), np.float32)
    tile = np.zeros((2 + terms, tile_height_px, tile_width_px), np.float32)
    for tile_row in range(first_tile_row, last_tile_row):
        top = tile_row * tile_height_px
        rows = min(tile_height_px, height - top)
        for tile_column in range(whole_px.shape[2]):
            left = tile_column * tile_width_px
            columns = min(tile_width_px, width - left)
            needed = columns + TAPS - 1
            _take_tile(halves, tile[:2], top, left, rows, columns)
            _take_tile(weighted, tile[2:], top, left, rows, columns)
            for f in range(len(frames.counts)):
                start = left + whole_px[f, tile_row, tile_column, 0] + FIRST_TAP
                above = top + whole_px[f, tile_row, tile_column, 1] + FIRST_TAP
                along_x = taps[step[f, tile_row, tile_column, 0]]
                along_y = taps[step[f, tile_row, tile_column, 1]]
                for y in range(rows + TAPS - 1):
                    _read_mirrored(frames, f, above + y, start, line[:needed])
                    _along_x(line, along_x, middle[y], columns)
                for y in range(0, rows, 4):
                    _along_y(middle[y : y + 15], along_y, moved, columns)
                    _add_rows(moved, tile[(frames.first_frame + f) % 2], tile[2:], factor[f], y, columns)
            _put_tile(tile[:2], halves, top, left, rows, columns)
            _put_tile(tile[2:], weighted, top, left, rows, columns)


@compiled
def add_filtered_rows(
    spectrum: NDArray[np.complex64],
    curve: Float,
    steps_per_cycle: float,
    ky: Float,
    kx: Float,
    total: NDArray[np.complex64],
    first_row: int,
    last_row: int,
) -> None:
    """total += spectrum * curve(|k|) in these rows; `curve` is sampled at |k| = i / steps_per_cycle cycles/px."""
    for y in range(first_row, last_row):
        for x in range(len(kx)):
            at = np.sqrt(ky[y] * ky[y] + kx[x] * kx[x]) * steps_per_cycle
            i = min(int(at), len(curve) - 2)
            t = np.float32(at - i)
            total[y, x] += spectrum[y, x] * (curve[i] + t * (curve[i + 1] - curve[i]))


@compiled
def multiply_rows(
    spectrum: NDArray[np.complex64], per_row: Float, per_column: Float, first_row: int, last_row: int
) -> None:
    """spectrum[y, x] *= per_row[y] * per_column[x], in place, in these rows."""
    for y in range(first_row, last_row):
        row = spectrum[y]
        for x in range(len(per_column)):
            row[x] *= per_row[y] * per_column[x]
