"""The two passes over all frames' coefficients that alignment spends its time in, each in one sweep of memory.

torch needs about ten sweeps for each (every product is an array of its own); numba fuses them. On other devices than
the CPU `band_sums.py` writes the same sums in torch, which is also what the tests hold these against. A row's result
does not depend on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from frazil.models.compiled import compiled

Complex = NDArray[np.complex64]
Float = NDArray[np.float32]


class MovedBand(NamedTuple):
    """All frames' coefficients y_f, with the phases exp(i omega d_f) of displacements and the amplitudes a_f."""

    coefficients: Complex
    """(F, Ny, Nx)"""
    along_x: Complex
    """(F, Nx) phases; with `along_y` a product of one each."""
    along_y: Complex
    """(F, Ny)"""
    amplitude: Float
    """(F, shells + 1) by shell."""
    shell: NDArray[np.int32]
    """(Ny, Nx) each coefficient's."""


class ProjectionTerms(NamedTuple):
    """What the slopes of a likelihood are made of, beside the band."""

    weight: Complex
    """(Ny, Nx)"""
    offset: Complex
    """(Ny, Nx)"""
    part: Float
    """(Ny, Nx), 0 or 1."""
    omega_x_rad_per_angstrom: Float
    """(Nx,)"""
    omega_y_rad_per_angstrom: Float
    """(Ny,)"""


@compiled
def align_rows(
    band: MovedBand, first_row: int, last_row: int, aligned: Complex, early_phase: Complex, late_phase: Complex
) -> None:
    """Rows of sum_f a_f y_f exp(i omega d_f), and of sum_f a_f exp(i omega d_f) over each half of the frames; (Ny, Nx)
    each.
    """
    coefficients, along_x, along_y, amplitude, shell = band
    frames, _, columns = coefficients.shape
    middle = frames // 2
    sum_re, sum_im = np.empty(columns, np.float32), np.empty(columns, np.float32)
    one_re, one_im = np.empty(columns, np.float32), np.empty(columns, np.float32)
    for row in range(first_row, last_row):
        sum_re[:] = 0.0
        sum_im[:] = 0.0
        one_re[:] = 0.0
        one_im[:] = 0.0
        for f in range(frames):
            if f == middle:
                for x in range(columns):
                    early_phase[row, x] = complex(one_re[x], one_im[x])
                one_re[:] = 0.0
                one_im[:] = 0.0
            turn = along_y[f, row]
            turn_re, turn_im = turn.real, turn.imag
            for x in range(columns):
                a = amplitude[f, shell[row, x]]
                p = along_x[f, x]
                p_re = a * (p.real * turn_re - p.imag * turn_im)
                p_im = a * (p.real * turn_im + p.imag * turn_re)
                y = coefficients[f, row, x]
                sum_re[x] += p_re * y.real - p_im * y.imag
                sum_im[x] += p_re * y.imag + p_im * y.real
                one_re[x] += p_re
                one_im[x] += p_im
        for x in range(columns):
            aligned[row, x] = complex(sum_re[x], sum_im[x])
            late_phase[row, x] = complex(one_re[x], one_im[x])


@compiled
def project_rows(
    band: MovedBand, terms: ProjectionTerms, first_row: int, last_row: int, out: NDArray[np.float64]
) -> None:
    """Add sum_k -2 omega Im{ a_f exp(i omega d_f) (weight y_f - offset) } of these rows to `out` (2, F, 2).

    `out[0]` takes each coefficient times `part`, `out[1]` takes the rest.
    """
    coefficients, along_x, along_y, amplitude, shell = band
    weight, offset, part, omega_x, omega_y = terms
    frames, _, columns = coefficients.shape
    for f in range(frames):
        gx0, gy0, gx1, gy1 = np.float64(0.0), np.float64(0.0), np.float64(0.0), np.float64(0.0)
        for row in range(first_row, last_row):
            turn = along_y[f, row]
            turn_re, turn_im = turn.real, turn.imag
            s0, s1 = np.float32(0.0), np.float32(0.0)
            t0, t1 = np.float32(0.0), np.float32(0.0)
            for x in range(columns):
                a = amplitude[f, shell[row, x]]
                p = along_x[f, x]
                p_re = a * (p.real * turn_re - p.imag * turn_im)
                p_im = a * (p.real * turn_im + p.imag * turn_re)
                y = coefficients[f, row, x]
                w = weight[row, x]
                o = offset[row, x]
                u_re = w.real * y.real - w.imag * y.imag - o.real
                u_im = w.real * y.imag + w.imag * y.real - o.imag
                v = p_re * u_im + p_im * u_re
                m = part[row, x]
                s0 += v * m
                s1 += v
                t0 += v * m * omega_x[x]
                t1 += v * omega_x[x]
            gx0 += t0
            gy0 += s0 * omega_y[row]
            gx1 += t1 - t0
            gy1 += (s1 - s0) * omega_y[row]
        out[0, f, 0] -= 2.0 * gx0
        out[0, f, 1] -= 2.0 * gy0
        out[1, f, 0] -= 2.0 * gx1
        out[1, f, 1] -= 2.0 * gy1


@compiled
def path_powers(coefficients: Complex, turns_x: Complex, turns_y: Complex, out: NDArray[np.float64]) -> None:
    """sum_k |sum_f y_fk exp(i omega_k . v g_f)|^2 for every v of a square grid, to `out` (n, n) [y, x].

    coefficients (K, F); turns_x, turns_y (K, F, n): exp(i omega g_f v) along each axis.
    """
    count, frames, n = turns_x.shape
    real, imag = np.empty(n, np.float32), np.empty(n, np.float32)
    for k in range(count):
        for j in range(n):
            real[:] = 0.0
            imag[:] = 0.0
            for f in range(frames):
                turned = coefficients[k, f] * turns_y[k, f, j]
                re, im = turned.real, turned.imag
                for i in range(n):
                    t = turns_x[k, f, i]
                    real[i] += re * t.real - im * t.imag
                    imag[i] += re * t.imag + im * t.real
            for i in range(n):
                out[j, i] += real[i] * real[i] + imag[i] * imag[i]
