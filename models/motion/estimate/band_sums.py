"""Sums over the frames of a band at given displacements: fused kernels on the CPU, torch elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frazil.models.cpu_threads import run_blocks
from frazil.models.motion.estimate.band import Band
from frazil.models.motion.kernels.band_kernels import MovedBand, ProjectionTerms, align_rows, project_rows

_MOST_BLOCKS = 8
"""More would not be used: a movie is one of several that a machine works on."""
_TERMS_A_BLOCK = 600_000
"""Fewer are not worth another thread. It depends on the data alone: so does the order of the sums."""


@dataclass(frozen=True, slots=True)
class AlignedSums:
    """(Ny, Nx) complex64 each; frame f enters with its amplitude a_f, turned back by its displacement d_f."""

    aligned: Tensor
    """sum_f a_f y_f exp(i omega d_f)"""
    early_phase: Tensor
    """sum_f a_f exp(i omega d_f) over the first half of the frames"""
    late_phase: Tensor

    @property
    def phase(self) -> Tensor:
        return self.early_phase + self.late_phase


def align_sums(band: Band, shift_angstrom: Tensor) -> AlignedSums:
    """The sums at displacements (F, 2; x, y; A)."""
    if band.coefficients.device.type != "cpu":
        return align_sums_torch(band, shift_angstrom)
    moved = _moved(band, shift_angstrom)
    out = [torch.empty(band.shell.shape, dtype=torch.complex64) for _ in range(3)]
    arrays = [one.numpy() for one in out]

    def rows(first: int, last: int) -> None:
        align_rows(moved, first, last, *arrays)

    run_blocks(rows, band.shell.shape[0], _blocks(band))
    return AlignedSums(*out)


def _moved(band: Band, shift_angstrom: Tensor) -> MovedBand:
    """For the kernels: a band in the CPU's memory, and its phases at displacements (F, 2; x, y; A)."""
    along_x, along_y = (phase.numpy() for phase in band.phases(shift_angstrom))
    return MovedBand(band.coefficients.numpy(), along_x, along_y, band.amplitude.numpy(), band.shell.numpy())


def _blocks(band: Band) -> int:
    return max(1, min(_MOST_BLOCKS, band.coefficients.numel() // _TERMS_A_BLOCK))


def align_sums_torch(band: Band, shift_angstrom: Tensor) -> AlignedSums:
    """The same on any device."""
    along_x, along_y = band.phases(shift_angstrom)
    amplitude = band.amplitude_map()
    aligned = torch.zeros_like(band.coefficients[0])
    halves = [torch.zeros_like(aligned), torch.zeros_like(aligned)]
    for f in range(band.frame_count):
        phase = along_y[f, :, None] * along_x[f, None, :] * amplitude[f]
        aligned += phase * band.coefficients[f]
        halves[int(f >= band.frame_count // 2)] += phase
    return AlignedSums(aligned, *halves)


def project(
    band: Band, shift_angstrom: Tensor, weight: Tensor, offset: Tensor, part: Tensor
) -> npt.NDArray[np.float64]:
    """Slopes along x and y: sum_k -2 omega Im{ a_f exp(i omega d_f) (weight y_f - offset) }, (2, F, 2).

    Parameters
    ----------
    weight, offset:
        (Ny, Nx) complex.
    part:
        (Ny, Nx) bool: the first result is over these coefficients, the second over the others.
    """
    if band.coefficients.device.type != "cpu":
        return project_torch(band, shift_angstrom, weight, offset, part)
    moved = _moved(band, shift_angstrom)
    w, o = (np.ascontiguousarray(one.to(torch.complex64).resolve_conj().numpy()) for one in (weight, offset))
    mask = np.ascontiguousarray(part.to(torch.float32).numpy())
    terms = ProjectionTerms(w, o, mask, band.omega_x_rad_per_angstrom.numpy(), band.omega_y_rad_per_angstrom.numpy())
    # One result for each block: their order of addition must not depend on which thread was first.
    results: dict[int, npt.NDArray[np.float64]] = {}

    def rows(first: int, last: int) -> None:
        out = np.zeros((2, band.frame_count, 2))
        project_rows(moved, terms, first, last, out)
        results[first] = out

    run_blocks(rows, band.shell.shape[0], _blocks(band))
    return np.asarray(np.sum([results[first] for first in sorted(results)], axis=0))


def project_torch(
    band: Band, shift_angstrom: Tensor, weight: Tensor, offset: Tensor, part: Tensor
) -> npt.NDArray[np.float64]:
    """The same on any device."""
    along_x, along_y = band.phases(shift_angstrom)
    phase = (along_y[:, :, None] * along_x[:, None, :]).mul_(band.amplitude_map())
    slope = (phase * (weight * band.coefficients - offset)).imag
    out = np.empty((2, band.frame_count, 2))
    for half, mask in enumerate((part, ~part)):
        for axis, omega in enumerate((band.omega_x_rad_per_angstrom[None, :], band.omega_y_rad_per_angstrom[:, None])):
            out[half, :, axis] = (-2.0 * (slope * (omega * mask)).double().sum(dim=(1, 2))).cpu().numpy()
    return out
