"""Fourier shell correlation of two half maps, and the filter that it recommends."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.accumulator import shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real


@dataclass(frozen=True, slots=True)
class FscCurve:
    """FSC(k) per shell of one Fourier voxel, from the first shell to the last inside of Nyquist."""

    frequency_per_angstrom: tuple[float, ...]
    fsc: tuple[float, ...]

    def resolution_angstrom(self, threshold: float) -> float | None:
        """Where it first falls below the threshold (linear between shells); None: it starts below it.

        A curve that stays above gives its last frequency: the pixel, not the data, sets the limit.
        """
        points = list(zip(self.frequency_per_angstrom, self.fsc, strict=True))
        if not points or not points[0][1] >= threshold:
            return None
        for (k0, c0), (k1, c1) in itertools.pairwise(points):
            if not c1 >= threshold:
                return 1 / (k0 + (k1 - k0) * (c0 - threshold) / (c0 - c1))
        return 1 / points[-1][0]

    def map_filter(self) -> NDArray[np.float64]:
        """sqrt(2 FSC / (1 + FSC)) up to where FSC falls below 0.143, 0 beyond: the correlation of the whole map with
        the truth (Rosenthal & Henderson 2003, J. Mol. Biol. 333, 721). One value a shell, as `fsc`."""
        curve = np.clip(np.array(self.fsc), 0.0, 1.0)
        below = np.nonzero(curve < 0.143)[0]
        known = np.arange(curve.size) < (below[0] if below.size else curve.size)
        return np.where(known, np.sqrt(2 * curve / (1 + curve)), 0.0)


def spherical_mask(box_px: int, radius_px: float, edge_px: float) -> Tensor:
    """(n, n, n): 1 inside, 0 outside, a raised cosine of width `edge_px` from the radius outwards."""
    axis = torch.arange(box_px, dtype=torch.float32) - box_px // 2
    distance = torch.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    return 0.5 + 0.5 * torch.cos(math.pi * ((distance - radius_px) / max(edge_px, 1e-6)).clamp(0, 1))


def fourier_shell_correlation(
    first: Tensor, second: Tensor, *, pixel_size_angstrom: float, mask: Tensor | None = None
) -> FscCurve:
    """FSC of two cubic maps of equal size (Harauz & van Heel 1986, Optik 73, 146), under a mask if one is given."""
    n = first.shape[0]
    if mask is not None:
        first, second = first * mask, second * mask
    a, b = centred_fft(first.double(), 3), centred_fft(second.double(), 3)
    shell = shell_index(n).flatten().to(a.device)

    def total(values: Tensor) -> Tensor:
        return torch.bincount(shell, weights=values.flatten())[1 : n // 2]

    cross = total((a * b.conj()).real)
    power = torch.sqrt(total(a.abs() ** 2) * total(b.abs() ** 2))
    curve = torch.where(power > 0, cross / power.clamp_min(1e-300), 0.0)
    frequency = np.arange(1, n // 2) / (n * pixel_size_angstrom)
    return FscCurve(tuple(frequency.tolist()), tuple(curve.tolist()))


def filtered(volume: Tensor, shell_gain: NDArray[np.float64]) -> Tensor:
    """The map with each shell multiplied; `shell_gain[i]` belongs to shell i + 1, beyond the last it is 0."""
    n = volume.shape[0]
    gain = torch.zeros(n // 2 + 1, dtype=torch.float32)
    gain[0] = 1.0
    gain[1 : 1 + len(shell_gain)] = torch.from_numpy(np.asarray(shell_gain, dtype=np.float32))
    grid = gain.to(volume.device)[shell_index(n).to(volume.device)]
    return centred_ifft_real(centred_fft(volume, 3) * grid, 3)
