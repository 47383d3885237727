"""The picture of the fit: observed rings on the left, fitted rings on the right."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.whittle import RingParameters
from frazil.models.optics.ctf import chi_2d

DIAGNOSTIC_PX = 512
_SMOOTHING_RINGS = 24


def diagnostic_image(
    ratio: Tensor,
    count: Tensor,
    kx: Tensor,
    ky: Tensor,
    optics: RingOptics,
    parameters: RingParameters,
    *,
    highest_per_angstrom: float,
    fit_per_angstrom: float | None,
    size_px: int = DIAGNOSTIC_PX,
) -> NDArray[np.float32]:
    """(size, size) float32 in [0, 1]; column = kx, row = ky ascending, zero frequency in the middle.

    Left half: power over the smooth background, averaged to the picture's cells and divided by its own ring-wise
    spread, so that faint outer rings show. Right half: CTF^2 out to `fit_per_angstrom` (1/A), 0.5 beyond and where
    nothing was fitted.

    ratio, count, kx, ky: flat samples on the half plane kx >= 0; `highest_per_angstrom` is the edge of the picture.
    """
    half = size_px // 2
    cell = highest_per_angstrom / half
    # The left half shows kx <= 0: the point reflection of the samples.
    column = half - 1 - (kx / cell).to(torch.int64)
    row = torch.floor(-ky / cell).to(torch.int64) + half
    inside = (column >= 0) & (row >= 0) & (row < size_px) & (count > 0)
    index = (row * half + column)[inside]
    weight = count[inside].to(torch.float64)
    total = torch.bincount(index, weights=weight, minlength=size_px * half)
    sums = torch.bincount(index, weights=weight * (ratio[inside] - 1.0).to(torch.float64), minlength=size_px * half)
    mean = (sums / total.clamp_min(1e-12)).view(size_px, half)
    filled = total.view(size_px, half) > 0
    axis_y = (torch.arange(size_px, device=mean.device) - half + 0.5) * cell
    axis_x = (torch.arange(half, device=mean.device) - half + 0.5) * cell
    k = torch.sqrt(axis_y[:, None] ** 2 + axis_x[None, :] ** 2)
    ring = (k / highest_per_angstrom * _SMOOTHING_RINGS).to(torch.int64).clamp_max(2 * _SMOOTHING_RINGS).flatten()
    rings = 2 * _SMOOTHING_RINGS + 1
    flat = torch.where(filled, mean, torch.zeros_like(mean)).flatten()
    power = torch.bincount(ring, weights=flat * flat, minlength=rings)
    cells = torch.bincount(ring, weights=filled.flatten().to(torch.float64), minlength=rings)
    spread = torch.sqrt(power / cells.clamp_min(1.0)).clamp_min(1e-6)
    left = (0.5 + 0.25 * flat / spread[ring]).clamp(0.0, 1.0).view(size_px, half)
    right = torch.full((size_px, half), 0.5, device=mean.device, dtype=left.dtype)
    if fit_per_angstrom is not None:
        angle_deg = float(np.degrees(parameters.angle_rad))
        half_astigmatism = 0.5 * parameters.astigmatism_angstrom
        ctf = optics.parameters(
            parameters.defocus_angstrom + half_astigmatism,
            parameters.defocus_angstrom - half_astigmatism,
            angle_deg,
            float(np.degrees(parameters.phase_shift_rad)),
        )
        positive_x = -axis_x.flip(0)
        squared = torch.sin(chi_2d(ctf, positive_x[None, :], axis_y[:, None])) ** 2
        within = k.flip(1) <= fit_per_angstrom
        right = torch.where(within, squared.to(right), right)
    return torch.cat([left, right], dim=1).to(torch.float32).cpu().numpy()
