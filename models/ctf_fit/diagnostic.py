"""The picture of the fit: observed rings on the left, fitted rings on the right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.profiles import equiphase_frequency
from frazil.models.ctf_fit.ring_model import RingParameters
from frazil.models.optics.ctf import chi_2d

DIAGNOSTIC_PX = 512
_SECTORS = 16
"""Over half a turn; the observed half is averaged along arcs of about this width, and interpolated between them."""
_SPREAD_RINGS = 24


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

    Left half: power over the smooth background, averaged along arcs of some ten degrees (of the fitted ellipses; of
    circles where nothing was fitted) and divided by its own spread at that frequency, so that faint outer rings
    show. Right half: CTF^2 out to `fit_per_angstrom` (1/A), 0.5 beyond and where nothing was fitted.

    ratio, count, kx, ky: flat samples on the half plane kx >= 0; `highest_per_angstrom` is the edge of the picture.
    """
    half = size_px // 2
    cell = highest_per_angstrom / half
    device = ratio.device
    axis_y = ((torch.arange(size_px, device=device) - half + 0.5) * cell)[:, None]
    axis_x = ((torch.arange(half, device=device) - half + 0.5) * cell)[None, :]
    k = torch.sqrt(axis_y**2 + axis_x**2)
    if fit_per_angstrom is not None:
        sample_k = equiphase_frequency(kx, ky, optics, parameters)
        pixel_k = equiphase_frequency(-axis_x, -axis_y, optics, parameters)
    else:
        sample_k, pixel_k = torch.sqrt(kx * kx + ky * ky), k
    bins = math.ceil(1.5 * half)
    sector = (torch.remainder(torch.atan2(ky, kx), math.pi) * (_SECTORS / math.pi)).to(torch.int64) % _SECTORS
    ring = (sample_k / cell).to(torch.int64)
    reach = _smoothing_reach(bins, cell, optics, parameters if fit_per_angstrom is not None else None)
    arcs = _mean_of_arcs(ratio, count, ring, sector, reach)
    # The pixel at (x, y) of the left half shows the sample at (-x, -y): the same direction modulo half a turn.
    turn = torch.remainder(torch.atan2(axis_y, axis_x), math.pi) * (_SECTORS / math.pi) - 0.5
    lower = torch.floor(turn).to(torch.int64)
    row = (pixel_k / cell).to(torch.int64).clamp_max(bins - 1)
    observed = torch.lerp(
        arcs.mean[row, lower % _SECTORS], arcs.mean[row, (lower + 1) % _SECTORS], (turn - lower).to(arcs.mean)
    )
    left = (0.5 + 0.3 * observed / arcs.spread(half)[row]).clamp(0.0, 1.0)
    right = torch.full((size_px, half), 0.5, device=device, dtype=left.dtype)
    if fit_per_angstrom is not None:
        squared = _fitted_rings(axis_x, axis_y, optics, parameters)
        right = torch.where(k.flip(1) <= fit_per_angstrom, squared.to(right), right)
    return torch.cat([left, right], dim=1).to(torch.float32).cpu().numpy()


@dataclass(frozen=True, slots=True)
class _Arcs:
    """(bins, sectors) mean of power / background - 1, smoothed along the radius, and where there is any."""

    mean: Tensor
    filled: Tensor

    def spread(self, half_px: int) -> Tensor:
        """(bins,) root mean square of the arcs at about the same frequency."""
        mean, filled = self.mean, self.filled
        bins = len(mean)
        group = (torch.arange(bins, device=mean.device) * _SPREAD_RINGS // half_px)[:, None].expand(bins, _SECTORS)
        groups = int(group.max()) + 1
        power = torch.bincount(group.flatten(), weights=(mean * mean * filled).flatten(), minlength=groups)
        cells = torch.bincount(group.flatten(), weights=filled.flatten().to(torch.float64), minlength=groups)
        return torch.sqrt(power / cells.clamp_min(1.0)).clamp_min(1e-6)[group[:, 0]]


def _mean_of_arcs(ratio: Tensor, count: Tensor, ring: Tensor, sector: Tensor, reach: Tensor) -> _Arcs:
    """Samples averaged by ring and sector; reach: (bins,) rings on either side that are averaged too."""
    bins = len(reach)
    inside = (ring < bins) & (count > 0)
    index = (ring * _SECTORS + sector)[inside]
    weight = count[inside].to(torch.float64)
    total = torch.bincount(index, weights=weight, minlength=bins * _SECTORS)
    sums = torch.bincount(index, weights=weight * (ratio[inside] - 1.0).to(torch.float64), minlength=bins * _SECTORS)
    sums, total = (_running_sum(values.view(bins, _SECTORS), reach.to(ratio.device)) for values in (sums, total))
    return _Arcs(sums / total.clamp_min(1e-12), total > 0)


def _fitted_rings(axis_x: Tensor, axis_y: Tensor, optics: RingOptics, parameters: RingParameters) -> Tensor:
    """CTF^2 on the right half of the picture; axis_x: that of the left half."""
    half_astigmatism = 0.5 * parameters.astigmatism_angstrom
    ctf = optics.parameters(
        parameters.defocus_angstrom + half_astigmatism,
        parameters.defocus_angstrom - half_astigmatism,
        math.degrees(parameters.angle_rad),
        math.degrees(parameters.phase_shift_rad),
    )
    return torch.sin(chi_2d(ctf, -axis_x.flip(1), axis_y)) ** 2


def _smoothing_reach(bins: int, cell: float, optics: RingOptics, parameters: RingParameters | None) -> Tensor:
    """Bins on either side that are averaged along the radius: a tenth of a ring, at most six."""
    if parameters is None:
        return torch.ones(bins, dtype=torch.int64)
    k = (torch.arange(bins) + 0.5) * cell
    rings_per_k = optics.defocus_gradient * abs(parameters.defocus_angstrom) * k / math.pi
    return (0.1 / (rings_per_k.clamp_min(1e-6) * cell)).clamp_max(6.0).to(torch.int64)


def _running_sum(values: Tensor, reach: Tensor) -> Tensor:
    """Sum over rows i - reach[i] ... i + reach[i]."""
    rows = torch.arange(values.shape[0], device=values.device)
    cumulative = torch.nn.functional.pad(torch.cumsum(values, 0), (0, 0, 1, 0))
    return cumulative[(rows + reach + 1).clamp_max(values.shape[0])] - cumulative[(rows - reach).clamp_min(0)]
