"""Numerator and denominator of a reconstruction in Fourier space: adding a movie costs what its particles cost.

F(k) = sum_i w_i(k) C_i(k) X_i(k) / sum_i w_i(k) C_i(k)^2, each image's samples shared among the eight grid points
around them (trilinear), so that the map comes out multiplied with sinc^2, which is divided out (Grigorieff 2007, J.
Struct. Biol. 157, 117, without his B-factor weights).
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.centred_fft import centred_ifft_real
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.slice_kernels import insert_slices

_HOLE_WEIGHT = 0.05
"""Share of a shell's mean weight that every voxel gets: one that no image crosses must not become the loudest."""

_EMPTY_SHARE = 1e-6
"""Of the heaviest shell's mean weight: a voxel with less holds nothing. The faintest shells of a live map hold 1e-4."""


class FourierAccumulator:
    """Sums of one half-set on an (n, n, n) grid of Fourier voxels, the origin at n // 2."""

    def __init__(self, box_px: int, *, device: torch.device) -> None:
        self.box_px = box_px
        self._device = device
        self._numerator = torch.zeros(box_px**3, 2, device=device)
        self._denominator = torch.zeros(box_px**3, device=device)

    def insert(
        self, plane: FourierPlane, poses: Tensor, numerator: Tensor, denominator: Tensor, *, sign: float = 1.0
    ) -> None:
        """Add images at all samples of the plane, or take out (sign -1) what was added so.

        `numerator` (n, M) complex and `denominator` (n, M) real; `poses` (n, 3, 3), or (s n, 3, 3): s poses of every
        image, the first n poses those of all images, and so on.
        """
        if self._device.type == "cpu":
            insert_slices(
                self._numerator.numpy(),
                self._denominator.numpy(),
                self.box_px,
                plane.kx.astype(np.float32),
                plane.ky.astype(np.float32),
                np.ascontiguousarray(poses.numpy(), dtype=np.float32),
                np.arange(len(poses)) % len(numerator),
                np.ascontiguousarray(numerator.numpy()),
                np.ascontiguousarray(denominator.numpy()),
                sign,
            )
        else:
            self.insert_by_torch(plane, poses, numerator, denominator, sign=sign)

    def insert_by_torch(
        self, plane: FourierPlane, poses: Tensor, numerator: Tensor, denominator: Tensor, *, sign: float = 1.0
    ) -> None:
        """`insert` on any device."""
        n, half = self.box_px, self.box_px // 2
        kx = torch.from_numpy(plane.kx).to(self._device, torch.float32)
        ky = torch.from_numpy(plane.ky).to(self._device, torch.float32)
        parts = torch.view_as_real(numerator) * sign
        for number, pose in enumerate(poses.to(self._device, torch.float32)):
            part, weight = parts[number % len(parts)], denominator[number % len(parts)] * sign
            x, y, z = (kx * pose[0, axis] + ky * pose[1, axis] + half for axis in range(3))
            x0, y0, z0 = torch.floor(x), torch.floor(y), torch.floor(z)
            fx, fy, fz = x - x0, y - y0, z - z0
            first = ((z0 * n + y0) * n + x0).to(torch.int64)
            for dz, dy, dx in itertools.product((0, 1), repeat=3):
                share = (fz if dz else 1 - fz) * (fy if dy else 1 - fy) * (fx if dx else 1 - fx)
                where = first + ((dz * n + dy) * n + dx)
                self._numerator.index_add_(0, where, part * share[:, None])
                self._denominator.index_add_(0, where, weight * share)

    def __add__(self, other: FourierAccumulator) -> FourierAccumulator:
        total = FourierAccumulator(self.box_px, device=self._device)
        total._numerator = self._numerator + other._numerator
        total._denominator = self._denominator + other._denominator
        return total

    def faded(self, share: float) -> FourierAccumulator:
        """These sums times a factor."""
        less = FourierAccumulator(self.box_px, device=self._device)
        less._numerator, less._denominator = self._numerator * share, self._denominator * share
        return less

    def by_shell(self, numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> FourierAccumulator:
        """These sums with every shell times a factor, (S,) each; shell i has the radius i, the last stands for those
        beyond."""
        shell = shell_index(self.box_px).flatten().clamp_max(len(numerator) - 1)
        other = FourierAccumulator(self.box_px, device=self._device)
        above, below = (
            torch.from_numpy(factor).to(torch.float32)[shell].to(self._device) for factor in (numerator, denominator)
        )
        other._numerator, other._denominator = self._numerator * above[:, None], self._denominator * below
        return other

    def volume(self) -> Tensor:
        """(n, n, n) real map [z, y, x], centred on voxel n // 2; zero where nothing was added."""
        n = self.box_px
        numerator = torch.view_as_complex(self._numerator).view(n, n, n)
        denominator = self._denominator.view(n, n, n)
        # Images gave one half of their plane; the other is its conjugate.
        numerator = numerator + _mirrored(numerator).conj()
        denominator = denominator + _mirrored(denominator)
        shell = shell_index(n).to(self._device).flatten()
        count = torch.bincount(shell)
        mean = torch.bincount(shell, weights=denominator.flatten().double()) / count
        floor = (mean * _HOLE_WEIGHT).to(torch.float32)[shell].view(n, n, n)
        # What was put in and taken out again leaves rounding errors, of either sign, where nothing else is.
        total, least = denominator + floor, _EMPTY_SHARE * float(mean.max())
        spectrum = torch.where(total > least, numerator / total.clamp_min(max(least, 1e-30)), 0)
        volume = centred_ifft_real(spectrum, 3)
        weaken = torch.sinc((torch.arange(n, device=self._device) - n // 2) / n) ** 2
        corrected: Tensor = volume / (weaken[:, None, None] * weaken[None, :, None] * weaken[None, None, :])
        return corrected

    def state(self) -> dict[str, NDArray[np.float32]]:
        """The sums, exactly; `restore` takes them back."""
        return {"numerator": self._numerator.cpu().numpy(), "denominator": self._denominator.cpu().numpy()}

    def restore(self, state: dict[str, NDArray[np.float32]]) -> None:
        """Raises ValueError when the sums belong to another box."""
        numerator, denominator = torch.from_numpy(state["numerator"]), torch.from_numpy(state["denominator"])
        if numerator.shape != self._numerator.shape or denominator.shape != self._denominator.shape:
            raise ValueError(f"sums of another size than box {self.box_px}")
        self._numerator, self._denominator = numerator.to(self._device), denominator.to(self._device)


def _mirrored(grid: Tensor) -> Tensor:
    """Value at -k; of the lone Nyquist planes nothing is kept there."""
    return torch.roll(torch.flip(grid, (0, 1, 2)), (1, 1, 1), (0, 1, 2))


def shell_index(box_px: int) -> Tensor:
    """(n, n, n) integer distance from voxel n // 2, the corners counted with the last whole shell."""
    axis = torch.arange(box_px) - box_px // 2
    squared = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2
    return torch.sqrt(squared.to(torch.float32)).round().to(torch.int64).clamp_max(box_px // 2)
