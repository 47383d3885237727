"""Local resolution: where in the map two half maps agree, and to what detail.

The FSC of a small window (Cardone, Heymann & Steven 2013, J. Struct. Biol. 184, 226), taken a band at a time so that
every voxel has its own: both halves are cut to a shell of frequencies around k, and

    FSC(k, x) = G * (a b) / sqrt(G * a^2  G * b^2)

with a, b the cut halves and G a Gaussian window about x. A band next to another, not the window's own transform, bounds
the detail in k: a window may be small without the mask's correlation that a windowed FSC has to be freed of.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_WINDOW_SD_WAVELENGTHS = 1.8
"""Some 250 coefficients decide about a voxel in a band: chance agreement is 0.06."""
_BAND_HALF_WIDTH_SHELLS = 1.5
_BANDS = 48
_THRESHOLD = 0.143


def local_resolution_angstrom(
    first: Tensor,
    second: Tensor,
    *,
    pixel_size_angstrom: float,
    first_shell: int,
    last_shell: int,
    threshold: float = _THRESHOLD,
) -> Tensor:
    """(n, n, n) The wavelength at which the halves' local FSC first falls below the threshold.

    Parameters
    ----------
    first, second:
        (n, n, n) [z, y, x] half maps, without a mask narrower than the particle.
    first_shell, last_shell:
        Fourier voxels from the origin: from the particle's own size (`box / diameter`) to the last that the maps hold.
        What falls below the threshold in the first has that wavelength; what stays above it to the end, that of the
        last.

    Raises
    ------
    ValueError
        If the shells are none, or beyond the box.
    """
    n = first.shape[0]
    if not 1 <= first_shell < last_shell < n // 2:
        raise ValueError(f"shells {first_shell} to {last_shell} are not within a box of {n} voxels")
    box_angstrom = n * pixel_size_angstrom
    radius = _radius(n, first.device)
    # So that no square is lost in single precision.
    scale = first.square().mean().sqrt().clamp_min(1e-30)
    a, b = torch.fft.rfftn(first / scale), torch.fft.rfftn(second / scale)
    resolution = torch.full_like(first, box_angstrom / last_shell, dtype=torch.float32)
    undecided = torch.ones_like(first, dtype=torch.bool)
    before = torch.ones_like(first)
    step = max(1, round((last_shell - first_shell) / _BANDS))
    shells = list(range(first_shell, last_shell + 1, step))
    for place, shell in enumerate(shells):
        agreement = _local_agreement(a, b, radius, shell)
        fell = undecided & (agreement < threshold)
        # Between the two bands in which it fell, linearly.
        share = ((before - threshold) / (before - agreement).clamp_min(1e-6)).clamp(0, 1)
        at = shells[place - 1] + share * step if place else torch.full_like(share, float(shell))
        resolution = torch.where(fell, box_angstrom / at, resolution)
        undecided &= ~fell
        before = agreement
        if not bool(undecided.any()):
            break
    return resolution


def _radius(n: int, device: torch.device) -> Tensor:
    """(n, n, n // 2 + 1) distance from the origin in Fourier voxels, in the order of `torch.fft.rfftn`."""
    along = torch.fft.fftfreq(n, 1 / n, device=device)
    half = torch.fft.rfftfreq(n, 1 / n, device=device)
    return torch.sqrt(along[:, None, None] ** 2 + along[None, :, None] ** 2 + half[None, None, :] ** 2)


def _local_agreement(first: Tensor, second: Tensor, radius: Tensor, shell: int) -> Tensor:
    """(n, n, n) FSC(k, x) of two half maps, given as transforms of `torch.fft.rfftn`, in the band about a shell."""
    n = first.shape[0]
    band = 0.5 + 0.5 * torch.cos(math.pi * ((radius - shell).abs() / (2 * _BAND_HALF_WIDTH_SHELLS)).clamp(0, 1))
    one, other = _filtered(first, band), _filtered(second, band)
    sd_px = _WINDOW_SD_WAVELENGTHS * n / shell
    window = torch.exp(-2 * (math.pi * sd_px / n * radius) ** 2)
    cross, power_1, power_2 = (_filtered(torch.fft.rfftn(values), window) for values in (one * other, one**2, other**2))
    power = torch.sqrt((power_1 * power_2).clamp_min(0.0))
    return torch.where(power > 1e-6 * power.max(), cross / power.clamp_min(1e-30), 0.0)


def _filtered(spectrum: Tensor, gain: Tensor) -> Tensor:
    """(n, n, n) real map of a transform times a gain."""
    n = spectrum.shape[0]
    values: Tensor = torch.fft.irfftn(spectrum * gain, s=(n, n, n))
    return values
