"""The small grid on which a restoration judges and learns: the same field at about 4 A per pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.deconvolution.ssnr import SsnrCurve
from frazil.models.optics.ctf import CtfParameters, chi_2d, ctf_2d, frequency_grid

WORKING_PIXEL_ANGSTROM = 4.0
"""Nyquist at 8 A: beyond it single micrographs show nothing by themselves."""
_MULTIPLE_PX = 16
"""Of the sides: what the network halves, and the transform, like."""
SOFT_START_ANGSTROM = 400.0
"""Slower gradients than this are illumination and ice, not specimen."""


@dataclass(frozen=True, slots=True)
class WorkingGrid:
    """Sides of the full and of the small image; the pixel size of the small one is the same along both to 2 %."""

    full_height_px: int
    full_width_px: int
    height_px: int
    width_px: int
    pixel_size_angstrom: float
    pixel_size_y_angstrom: float

    @property
    def size(self) -> tuple[int, int]:
        return self.height_px, self.width_px

    def frequencies(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """kx (1, w//2+1) and ky (h, 1) in 1/A."""
        kx, _ = frequency_grid(2, self.width_px, self.pixel_size_angstrom, device=device)
        _, ky = frequency_grid(self.height_px, 2, self.pixel_size_y_angstrom, device=device)
        return kx, ky

    def cropped(self, spectrum: Tensor) -> Tensor:
        """Half plane of the small image (same intensities) from that of the full one."""
        h, w = self.size
        top, bottom = spectrum[: h // 2, : w // 2 + 1], spectrum[-(h // 2) :, : w // 2 + 1]
        small = torch.cat([top, bottom]) * (h * w / (self.full_height_px * self.full_width_px))
        # A lone Nyquist row or column has no partner.
        small[h // 2] = 0
        small[:, w // 2] = 0
        return small

    def add_to_full(self, full: Tensor, small: Tensor) -> None:
        """Adds the small half plane, in place, to that of the full image."""
        h, w = self.size
        scaled = small * (self.full_height_px * self.full_width_px / (h * w))
        full[: h // 2, : w // 2] += scaled[: h // 2, : w // 2]
        full[-(h // 2) + 1 :, : w // 2] += scaled[h // 2 + 1 :, : w // 2]


def working_grid(height_px: int, width_px: int, pixel_size_angstrom: float) -> WorkingGrid:
    """For a micrograph; never finer than the micrograph itself."""

    def side(length: int) -> int:
        wanted = length * pixel_size_angstrom / WORKING_PIXEL_ANGSTROM
        multiple = _MULTIPLE_PX * max(2, round(wanted / _MULTIPLE_PX))
        return min(multiple, length // _MULTIPLE_PX * _MULTIPLE_PX)

    h, w = side(height_px), side(width_px)
    return WorkingGrid(
        height_px, width_px, h, w, pixel_size_angstrom * width_px / w, pixel_size_angstrom * height_px / h
    )


@dataclass(frozen=True, slots=True)
class Transfers:
    """What an image of noise power 1 per sample is filtered with, on a small half plane (h, w//2+1)."""

    ctf: Tensor
    log_ssnr: Tensor
    soft: Tensor
    """High-pass: slower gradients are no specimen."""
    k: Tensor

    def wiener(self) -> Tensor:
        """soft C / (C^2 + 1 / SSNR)."""
        return self.soft * self.ctf / (self.ctf**2 + torch.exp(-self.log_ssnr))


def transfers(grid: WorkingGrid, ctf: CtfParameters, ssnr: SsnrCurve, device: torch.device) -> Transfers:
    """On a working grid; both pixel sizes are taken for one (they differ by less than the CTF notices at 8 A)."""
    height, width = grid.size
    kx, ky = grid.frequencies(device)
    k = torch.sqrt(kx * kx + ky * ky)
    contrast = ctf_2d(ctf, height, width, grid.pixel_size_angstrom, device=device)
    if grid.pixel_size_y_angstrom != grid.pixel_size_angstrom:
        contrast = -torch.sin(chi_2d(ctf, kx.double(), ky.double())).float()
    log_ssnr = torch.from_numpy(table_of(ssnr)).to(device)[(k * _TABLE_STEPS_ANGSTROM).round().long()]
    return Transfers(contrast, log_ssnr, 1 - torch.exp(-0.5 * (k * SOFT_START_ANGSTROM) ** 2), k)


_TABLE_STEPS_ANGSTROM = 8192.0


def table_of(ssnr: SsnrCurve) -> NDArray[np.float32]:
    """ln SSNR at multiples of 1/8192 1/A up to the corner of any working grid."""
    k = np.arange(math.ceil(_TABLE_STEPS_ANGSTROM * 0.75)) / _TABLE_STEPS_ANGSTROM
    return np.clip(ssnr.at(k), -25.0, 25.0).astype(np.float32)
