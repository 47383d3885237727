"""Where in a field the specimen is: the probability of each place, from local power in bands of frequency.

Particles cover a part f of the field. Ice, films and counting are everywhere, so that the power of a band in a window
is v0 where nothing lies and v1 > v0 where a particle does. For a window of n independent values of mean square e the
log-likelihood ratio is n/2 (e/v0 - e/v1 - ln(v1/v0)); bands add up, p = sigmoid(ratio + ln(f / (1 - f))), and f, v0 and
v1 are found by expectation-maximisation from the field itself: nothing has to be known of ice or film. The posterior
mean of the specimen is then p(x) (v1 - v0)/v1 times the band of the Wiener image: a filter that adapts to each place
and to each band (Gaussian scale mixture with two scales: Portilla et al. 2003, IEEE Trans. Image Process. 12, 1338).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from frazil.models.deconvolution.working_grid import WorkingGrid

BAND_PERIODS_ANGSTROM = (110.0, 60.0, 36.0, 22.0, 14.0)
_FIRST_SHARE = 0.3
_SMALLEST_WINDOW_ANGSTROM = 22.0
"""Standard deviation of the Gaussian windows, and at least a third of the band's period."""
_WINDOW_PERIODS = 0.35
_ROUNDS = 12
_FEWEST, _MOST = 0.02, 0.95
_EVIDENCE = 1.0
"""Windows of neighbouring places overlap and bands are no perfect strangers: part of the evidence counts."""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """probability: (h, w) of the working grid, 0..1. share: f, of the field that is covered. particle_share: by band,
    of the power inside that is particles'."""

    probability: Tensor
    share: float
    particle_share: tuple[float, ...]


def bands_of(k: Tensor) -> list[Tensor]:
    """Smooth bands of |k| that add up to 1; the first reaches down to zero, the last up to Nyquist."""
    centre = torch.log(1 / torch.tensor(BAND_PERIODS_ANGSTROM))
    at = torch.log(k.clamp_min(1e-6))
    bands = []
    rest = torch.ones_like(k)
    for low, high in zip(centre[:-1].tolist(), centre[1:].tolist(), strict=True):
        above = torch.sin(0.5 * math.pi * ((at - low) / (high - low)).clamp(0, 1)) ** 2
        bands.append(rest - above)
        rest = above
    return [*bands, rest]


def find_occupancy(filtered: Tensor, k: Tensor, grid: WorkingGrid) -> Occupancy:
    """From the Wiener-filtered small spectrum."""
    ky = torch.fft.fftfreq(grid.height_px, device=k.device)[:, None]
    kx = torch.fft.rfftfreq(grid.width_px, device=k.device)[None, :]
    energies, counts = [], []
    for band, period in zip(bands_of(k), BAND_PERIODS_ANGSTROM, strict=True):
        part = filtered * band
        image = torch.fft.irfft2(part, s=grid.size)
        window = max(_SMALLEST_WINDOW_ANGSTROM, _WINDOW_PERIODS * period) / grid.pixel_size_angstrom
        blur = torch.exp(-2 * (math.pi * window) ** 2 * (ky**2 + kx**2))
        energy = torch.fft.irfft2(torch.fft.rfft2(image**2) * blur, s=grid.size)
        power = part.abs() ** 2
        # Independent values in a window: its area times the area of Fourier space that the band's power fills (both
        # halves of the plane).
        filled = float(power.sum() ** 2 / (power**2).sum().clamp_min(1e-30))
        counts.append(4 * math.pi * window**2 * 2 * filled / (grid.height_px * grid.width_px))
        energies.append((energy / energy.mean().clamp_min(1e-30)).clamp_min(1e-6))
    return _two_levels(torch.stack(energies), torch.tensor(counts, device=k.device))


def _two_levels(energy: Tensor, count: Tensor) -> Occupancy:
    """energy: (bands, h, w) local power; count: (bands,) independent values in a window."""
    weight = (count / count.sum())[:, None, None]
    rank = (weight * torch.log(energy)).sum(0)
    share = _FIRST_SHARE
    probability = (rank > torch.quantile(rank.flatten()[:: max(1, rank.numel() // 100_000)], 1 - share)).float()
    inside = outside = torch.ones(len(energy))
    for _ in range(_ROUNDS):
        total = probability.sum().clamp_min(1.0)
        inside = (energy * probability).sum((1, 2)) / total
        outside = (energy * (1 - probability)).sum((1, 2)) / (rank.numel() - total).clamp_min(1.0)
        # Particles add power; a band in which they seem to take some away says nothing.
        inside = torch.maximum(inside, outside)
        ratio = torch.zeros_like(rank)
        for e, v0, v1, n in zip(energy, outside.tolist(), inside.tolist(), count.tolist(), strict=True):
            ratio += _EVIDENCE * 0.5 * n * (e * (1 / v0 - 1 / v1) - math.log(v1 / v0))
        probability = torch.sigmoid(ratio + math.log(share / (1 - share)))
        share = min(max(float(probability.mean()), _FEWEST), _MOST)
    gain = (1 - outside / inside).clamp(0, 1)
    return Occupancy(probability, share, tuple(gain.tolist()))


def locally_filtered(filtered: Tensor, k: Tensor, occupancy: Occupancy, grid: WorkingGrid) -> Tensor:
    """(h, w): each band by what of its power is the particles', each place by the probability of one."""
    gain = sum(share * band for share, band in zip(occupancy.particle_share, bands_of(k), strict=True))
    image: Tensor = torch.fft.irfft2(filtered * gain, s=grid.size)
    return image * occupancy.probability
