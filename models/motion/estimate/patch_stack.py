"""All patches of a movie in one tensor on a device, so that each step is taken for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frazil.models.motion.estimate.band import Band, BandGrid
from frazil.models.motion.estimate.band_sums import AlignedSums, align_sums_torch
from frazil.models.motion.estimate.binning import SmallStack
from frazil.models.motion.estimate.likelihood import Evaluation, evaluate_on_device
from frazil.models.motion.estimate.spectra import MotionSpectra, ShellMoments, each_of, moments_on_device

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PatchStack:
    """Coefficients of P patches on the same grid, with the same amplitudes."""

    band: Band
    """The first patch's: its grid and amplitudes are those of all."""
    coefficients: Tensor
    """(P, F, Ny, Nx) complex64; each patch's band is a view of it."""

    @cached_property
    def _frame_moments(self) -> Tensor:
        return self.band.moments_of_frames(self.coefficients)

    def scale(self, noise: Array) -> None:
        """Divide by the square root of variances (P, n_shells), in place; what is of no shell becomes 0."""
        factor = torch.from_numpy(np.pad(1.0 / np.sqrt(noise), ((0, 0), (0, 1)))).to(
            self.band.shell.device, torch.float32
        )
        self.coefficients.mul_(factor[:, self.band.shell.long()][:, None])
        self.__dict__.pop("_frame_moments", None)
        for name in ("still_halves", "frame_power", "frame_moments"):
            self.band.__dict__.pop(name, None)

    def sums(self, shift_angstrom: Tensor) -> AlignedSums:
        """At displacements (P, F, 2; A)."""
        return align_sums_torch(self.band, shift_angstrom, self.coefficients)

    def moments(self, sums: AlignedSums) -> list[ShellMoments]:
        """Of each patch."""
        return each_of(moments_on_device(self.band, sums, self._frame_moments), len(self.coefficients))

    def evaluations(self, sums: AlignedSums, spectra: list[MotionSpectra]) -> list[Evaluation]:
        """Of each patch under its own spectrum; there is no fixed pattern."""
        specimen = torch.stack([one.specimen for one in spectra])
        together = MotionSpectra(specimen, torch.zeros_like(specimen))
        return evaluate_on_device(self.band, sums, together, self.coefficients)


def stacked_bands(
    small: SmallStack,
    grid: BandGrid,
    amplitude: Tensor,
    edges: Tensor,
    corners: list[tuple[int, int]],
    rows: npt.NDArray[np.int_],
    cols: npt.NDArray[np.int_],
    least_lit: float,
) -> tuple[PatchStack, list[Band]]:
    """The patches at `corners` (top, left), read from `rows` and `cols` (P, F) on; and the band of each.

    A patch that is lit less than `least_lit` is 0.
    """
    height, width = edges.shape
    pixels = small.flat_parts(rows.astype(np.int64), cols.astype(np.int64), height, width)
    window, lit_fractions = (edges / edges.square().mean().sqrt())[None, None], [1.0] * len(corners)
    lit = small.weights(np.array(corners), height, width)
    if lit is not None:
        fraction = lit.square().mean(dim=(1, 2))
        shaped = edges * lit
        size = shaped.square().mean(dim=(1, 2), keepdim=True).sqrt()
        used = (fraction >= least_lit)[:, None, None]
        window = torch.where(used, shaped / torch.where(used, size, 1.0), 0.0)[:, None]
        lit_fractions = [float(one) for one in fraction.cpu()]
    coefficients = grid.take((pixels - pixels.mean(dim=(-2, -1), keepdim=True)) * window)
    first = grid.band(coefficients[0], amplitude, lit_fractions[0])
    others = zip(coefficients[1:], lit_fractions[1:], strict=True)
    bands = [first, *(replace(first, coefficients=own, independent_fraction=lit) for own, lit in others)]
    return PatchStack(bands[0], coefficients), bands
