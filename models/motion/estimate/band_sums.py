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
    turned: Tensor | None = None
    """(F, Ny, Nx) a_f exp(i omega d_f), kept where the kernels do not make it on the way."""

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


def align_sums_torch(band: Band, shift_angstrom: Tensor, coefficients: Tensor | None = None) -> AlignedSums:
    """The same on any device; of many regions at once where their coefficients (P, F, Ny, Nx) are given instead of the
    band's own, at displacements (P, F, 2)."""
    turned = band.turned(shift_angstrom)
    aligned = (turned * (band.coefficients if coefficients is None else coefficients)).sum(dim=-3)
    middle = band.frame_count // 2
    early, late = turned[..., :middle, :, :], turned[..., middle:, :, :]
    return AlignedSums(aligned, early.sum(dim=-3), late.sum(dim=-3), turned)


def project(
    band: Band, shift_angstrom: Tensor, weight: Tensor, offset: Tensor, part: Tensor
) -> npt.NDArray[np.float64]:
    """Slopes along x and y: sum_k -2 omega Im{ a_f exp(i omega d_f) (weight y_f - offset) }, (2, F, 2); on the CPU.

    Parameters
    ----------
    weight, offset:
        (Ny, Nx) complex.
    part:
        (Ny, Nx) bool: the first result is over these coefficients, the second over the others.
    """
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
    band: Band, turned: Tensor, weight: Tensor, offset: Tensor, coefficients: Tensor | None = None
) -> Tensor:
    """The same with the parts of `Band.chequered` on any device: (..., F, 2, 2) float64 there, by frame, part and axis.

    `turned` is `AlignedSums.turned`.
    """
    frames = band.coefficients if coefficients is None else coefficients
    slope = (turned * (weight[..., None, :, :] * frames - offset[..., None, :, :])).imag
    made = slope.flatten(-2).double() @ band.slope_maps
    return made.reshape(*made.shape[:-1], 2, 2)
