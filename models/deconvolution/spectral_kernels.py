"""Loops over the half plane of a spectrum: power by rings, and the Wiener filter with astigmatism and reflections.

Each sample is read once; the CTF is formed in registers instead of as an image.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from frazil.models.compiled import compiled

TABLE = 4096
"""Points of radial tables from zero to the corner of Fourier space."""
_TURNS_PER_RAD = 0.15915494309189535
_RAD_PER_TURN = 6.283185307179586


@compiled
def ring_power_rows(
    spectrum: NDArray[np.complex64],
    ky: NDArray[np.float64],
    kx: NDArray[np.float64],
    rings_per_cycle: float,
    limit: NDArray[np.float64],
    total: NDArray[np.float64],
    count: NDArray[np.float64],
    first_row: int,
    last_row: int,
) -> None:
    """Adds |X|^2, no sample with more than its ring's `limit`, and numbers of samples to (rings,) sums."""
    rings = len(total)
    for y in range(first_row, last_row):
        ky2 = ky[y] * ky[y]
        for x in range(spectrum.shape[1]):
            ring = int(math.sqrt(ky2 + kx[x] * kx[x]) * rings_per_cycle)
            if ring < rings:
                value = spectrum[y, x]
                power = value.real * value.real + value.imag * value.imag
                total[ring] += min(power, limit[ring])
                count[ring] += 1.0


@compiled
def wiener_rows(
    spectrum: NDArray[np.complex64],
    out: NDArray[np.complex64],
    frequencies: tuple[NDArray[np.float64], NDArray[np.float64]],
    chi_terms: NDArray[np.float64],
    points_per_cycle: float,
    tables: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    blur: NDArray[np.float64],
    attenuated: NDArray[np.int64],
    first_row: int,
    last_row: int,
) -> None:
    """out = soft C / (C^2 + 1/SSNR) X; samples whose power is above `ceiling` are first brought to `level`.

    frequencies: ky of the rows and kx of the columns (1/A). chi_terms: of k^2, kx^2 - ky^2, 2 kx ky, k^4 and the
    constant. tables: by |k|, 1/SSNR, soft, ceiling and level. blur: what ln SSNR loses per (kx^2 - ky^2) and (2 kx ky)
    beyond its mean over the ring. attenuated: (blocks,) counts, one for this block.
    """
    ky, kx = frequencies
    inverse_ssnr, soft, ceiling, level = tables
    top = len(soft) - 1
    block = first_row
    attenuated_here = 0
    directed = blur[0] != 0.0 or blur[1] != 0.0
    for y in range(first_row, last_row):
        vertical = ky[y]
        for x in range(spectrum.shape[1]):
            horizontal = kx[x]
            difference = horizontal * horizontal - vertical * vertical
            product = 2.0 * horizontal * vertical
            k2 = horizontal * horizontal + vertical * vertical
            point = min(int(math.sqrt(k2) * points_per_cycle + 0.5), top)
            phase = (
                chi_terms[4]
                + k2 * (chi_terms[0] + k2 * chi_terms[3])
                + chi_terms[1] * difference
                + chi_terms[2] * product
            )
            # float32 is enough for a sine once the turns are gone.
            turns = phase * _TURNS_PER_RAD
            c = -np.sin(np.float32((turns - np.floor(turns + 0.5)) * _RAD_PER_TURN))
            inverse = inverse_ssnr[point]
            if directed:
                inverse *= np.float32(math.exp(blur[0] * difference + blur[1] * product))
            gain = soft[point] * c / (c * c + inverse)
            value = spectrum[y, x]
            power = value.real * value.real + value.imag * value.imag
            if power > ceiling[point]:
                gain *= np.sqrt(level[point] / power)
                attenuated_here += 1
            out[y, x] = value * gain
    attenuated[block] = attenuated_here
