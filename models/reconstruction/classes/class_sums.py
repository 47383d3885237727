"""The sums behind class averages, sum C X / (sum C^2 + 1) on a Fourier grid, for two halves of each class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane

_PADDING = 2
_LEAST_OF_HALF = 8.0
"""Particles (faded ones count less) that each half needs for a ring correlation to mean something."""
_THRESHOLD = 0.5
"""Of the correlation of halves. A class average is to be recognised, not measured."""


class ClassSums:
    """Sums of `slots` classes, with samples of the first `sample_count` frequencies of a plane."""

    def __init__(self, plane: FourierPlane, sample_count: int, slots: int, *, turns: int, device: torch.device) -> None:
        self._plane, self._count, self._device = plane, sample_count, device
        n = plane.box_px
        self._numerator = torch.zeros(slots, 2, n * n, 2, device=device)
        self._denominator = torch.zeros(slots, 2, n * n, device=device)
        self.weight = np.zeros((slots, 2))
        """Particles in each half; older ones have faded."""
        angle = np.arange(turns) * (2 * np.pi / turns)
        kx, ky = plane.kx[:sample_count], plane.ky[:sample_count]
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        # Sample k of an image whose content is the average turned by -psi is the average's sample at R(psi) k.
        turned = np.stack([cos * kx - sin * ky, sin * kx + cos * ky], axis=-1)
        self._turned = torch.from_numpy(turned).to(device, torch.float32)  # (T, M, 2) as x, y

    def fade(self, kept: float) -> None:
        """Everything that was added counts this much of what it did."""
        self._numerator *= kept
        self._denominator *= kept
        self.weight *= kept

    def clear(self, slot: int | slice) -> None:
        self._numerator[slot] = 0.0
        self._denominator[slot] = 0.0
        self.weight[slot] = 0.0

    def split(self, parent: int, child: int) -> None:
        """The second half of a class's particles begins a class of its own."""
        for sums in (self._numerator, self._denominator, self.weight):
            sums[child, 0] = sums[parent, 1]
            sums[child, 1] = 0.0
            sums[parent, 1] = 0.0

    def deposit(
        self,
        samples: Tensor,
        ctf: Tensor,
        slot: NDArray[np.int64],
        half: NDArray[np.int64],
        psi_deg: NDArray[np.float64],
        shift_px: NDArray[np.float64],
    ) -> None:
        """Turn particles (n, M) back and share their samples among the four grid points around them."""
        n, middle = self._plane.box_px, self._plane.box_px // 2
        phases = self._plane.phases(shift_px, self._count, self._device)
        values = torch.view_as_real((samples * phases * ctf).contiguous())
        power = (ctf**2).expand(len(values), -1)
        kx = torch.from_numpy(self._plane.kx[: self._count]).to(self._device, torch.float32)
        ky = torch.from_numpy(self._plane.ky[: self._count]).to(self._device, torch.float32)
        for value, weight, k, h, angle_deg in zip(values, power, slot, half, psi_deg, strict=True):
            cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
            x, y = cos * kx - sin * ky + middle, sin * kx + cos * ky + middle
            x0, y0 = torch.floor(x), torch.floor(y)
            fx, fy, first = x - x0, y - y0, (y0 * n + x0).to(torch.int64)
            for dy in (0, 1):
                for dx in (0, 1):
                    share = (fy if dy else 1 - fy) * (fx if dx else 1 - fx)
                    self._numerator[k, h].index_add_(0, first + (dy * n + dx), value * share[:, None])
                    self._denominator[k, h].index_add_(0, first + (dy * n + dx), weight * share)
            self.weight[k, h] += 1.0

    def images(self) -> Tensor:
        """(K, n, n) averages, bright particles, centre at pixel n // 2."""
        return centred_ifft_real(self._spectra(self._numerator.sum(dim=1), self._denominator.sum(dim=1)), 2)

    def references(self) -> Tensor:
        """(K, T, M) complex: samples of every average in every turn."""
        n = self._plane.box_px
        images = self.images()
        weaken = torch.sinc((torch.arange(n, device=self._device) - n // 2) / (_PADDING * n)) ** 2
        padded = torch.zeros(len(images), _PADDING * n, _PADDING * n, device=self._device)
        low = _PADDING * n // 2 - n // 2
        padded[:, low : low + n, low : low + n] = images / (weaken[:, None] * weaken[None, :])
        fine = centred_fft(padded, 2)
        grid = (self._turned * _PADDING + _PADDING * n // 2) * (2.0 / (_PADDING * n - 1)) - 1.0
        found = torch.nn.functional.grid_sample(
            torch.view_as_real(fine).permute(0, 3, 1, 2),
            grid[None].expand(len(images), -1, -1, -1),
            mode="bilinear",
            padding_mode="zeros",
            align_corners=True,
        )
        return torch.complex(found[:, 0], found[:, 1])

    def half_correlations(self) -> NDArray[np.float64]:
        """(K, R) Fourier ring correlation of the two halves' averages, ring by ring of one Fourier pixel from 1 on; NaN
        where a half has too few particles."""
        n = self._plane.box_px
        first, second = (self._spectra(self._numerator[:, h], self._denominator[:, h]).flatten(1) for h in (0, 1))
        axis = torch.arange(n) - n // 2
        ring = torch.sqrt((axis[:, None] ** 2 + axis[None, :] ** 2).float()).round().long().flatten().to(self._device)
        rings = round(float(self._plane.radius_px[self._count - 1])) + 1

        def summed(values: Tensor) -> Tensor:
            total = torch.zeros(len(values), n, device=self._device).index_add_(1, ring, values)
            return total[:, 1:rings]

        cross = summed((first * second.conj()).real)
        power = summed(first.abs().square()) * summed(second.abs().square())
        found = (cross / power.sqrt().clamp_min(1e-20)).cpu().double().numpy()
        found[self.weight.min(axis=1) < _LEAST_OF_HALF] = np.nan
        return np.asarray(found)

    def resolutions_angstrom(self) -> list[float | None]:
        """Where each class's halves agree to 0.5; None: too few particles, or nowhere."""
        box_angstrom = self._plane.box_px * self._plane.pixel_size_angstrom
        found: list[float | None] = []
        for curve in self.half_correlations():
            below = np.nonzero(~(curve >= _THRESHOLD))[0]
            rings = int(below[0]) if below.size else curve.size
            found.append(None if rings == 0 else box_angstrom / rings)
        return found

    def _spectra(self, numerator: Tensor, denominator: Tensor) -> Tensor:
        """(K, n, n) complex, origin at n // 2."""
        n = self._plane.box_px
        values = torch.view_as_complex(numerator.contiguous()).view(-1, n, n)
        weights = denominator.view(-1, n, n)
        # Images gave one half of their plane; the other is its conjugate.
        mirror = torch.roll(torch.flip(values, (1, 2)), (1, 1), (1, 2)).conj()
        both = weights + torch.roll(torch.flip(weights, (1, 2)), (1, 1), (1, 2))
        return (values + mirror) / (both + 1.0)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs."""
        return {
            "numerator": self._numerator.cpu().numpy(),
            "denominator": self._denominator.cpu().numpy(),
            "weight": self.weight.copy(),
        }

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Raises KeyError or ValueError when the arrays are not those of such sums."""
        if arrays["numerator"].shape != tuple(self._numerator.shape):
            raise ValueError("class averages of another size")
        self._numerator = torch.from_numpy(arrays["numerator"]).to(self._device)
        self._denominator = torch.from_numpy(arrays["denominator"]).to(self._device)
        self.weight = arrays["weight"].copy()
