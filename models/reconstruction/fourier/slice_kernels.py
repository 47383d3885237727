"""Slices put into a Fourier grid, sample by sample: what a running map spends its insertions in.

On other devices than the CPU `accumulator.py` adds the same shares in torch, which tests hold this against.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frazil.models.compiled import compiled

Float = NDArray[np.float32]


@compiled
def insert_slices(
    numerator_sums: Float,
    denominator_sums: Float,
    box_px: int,
    kx: Float,
    ky: Float,
    poses: Float,
    image_of_pose: NDArray[np.int64],
    numerator: NDArray[np.complex64],
    denominator: Float,
    sign: float,
) -> None:
    """Shares every sample of image `image_of_pose[p]`, at pose p, among the eight grid points around it.

    `numerator_sums` (n^3, 2) and `denominator_sums` (n^3,), n = box_px, are added to; kx, ky (M,) lie inside the grid
    by a voxel; poses (P, 3, 3); numerator, denominator (N, M); `sign` 1 puts in and -1 takes out.
    """
    half = np.float32(box_px // 2)
    one = np.float32(1.0)
    factor = np.float32(sign)
    for p in range(poses.shape[0]):
        image = image_of_pose[p]
        xx, xy, xz = poses[p, 0, 0], poses[p, 0, 1], poses[p, 0, 2]
        yx, yy, yz = poses[p, 1, 0], poses[p, 1, 1], poses[p, 1, 2]
        for m in range(kx.shape[0]):
            x = kx[m] * xx + ky[m] * yx + half
            y = kx[m] * xy + ky[m] * yy + half
            z = kx[m] * xz + ky[m] * yz + half
            x0, y0, z0 = int(x), int(y), int(z)  # all are positive
            fx, fy, fz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
            value = numerator[image, m]
            re, im, weight = factor * value.real, factor * value.imag, factor * denominator[image, m]
            for corner in range(8):
                dx, dy, dz = corner & 1, (corner >> 1) & 1, corner >> 2
                share = (fx if dx else one - fx) * (fy if dy else one - fy) * (fz if dz else one - fz)
                where = ((z0 + dz) * box_px + y0 + dy) * box_px + x0 + dx
                numerator_sums[where, 0] += share * re
                numerator_sums[where, 1] += share * im
                denominator_sums[where] += share * weight
