"""The learned residual: a small U-Net on the bands of a Wiener-filtered micrograph, conditioned on its spectra.

Input: the bands of the filtered image, each in units of its own spread, and the occupancy of each place. Output for
each band: gate(x) * input + residual(x), in the same units. What the micrograph's spectra say (each band's ln SSNR and
share of the particles, the share of the field that they cover) scales and shifts the features of every level (FiLM:
Perez et al. 2018). Some 50,000 parameters: what it can learn is how the bands of compact bodies go together, not what a
protein looks like."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from frazil.models.deconvolution.occupancy import BAND_PERIODS_ANGSTROM, Occupancy, bands_of
from frazil.models.deconvolution.working_grid import WorkingGrid

BANDS = len(BAND_PERIODS_ANGSTROM)
CONDITIONS = 2 * BANDS + 1
_CHANNELS = (12, 16, 24, 32)


class _Level(nn.Module):
    """Two convolutions, scaled and shifted by the conditions."""

    def __init__(self, inputs: int, channels: int, convolutions: int) -> None:
        super().__init__()
        sizes = [inputs] + [channels] * convolutions
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, padding_mode="replicate") for a, b in pairwise(sizes)
        )
        self.film = nn.Linear(CONDITIONS, 2 * channels)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        for convolution in self.convolutions:
            x = nn.functional.leaky_relu(convolution(x), 0.1)
        scale, shift = self.film(conditions)[:, :, None, None].chunk(2, dim=1)
        result: Tensor = x * (1 + scale) + shift
        return result


class ResidualNetwork(nn.Module):
    """(n, BANDS + 1, h, w) and (n, CONDITIONS) -> (n, BANDS, h, w); h and w multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = _CHANNELS
        self.down = nn.ModuleList([_Level(BANDS + 1, a, 1), _Level(a, b, 2), _Level(b, c, 2), _Level(c, d, 2)])
        self.up = nn.ModuleList([_Level(c + d, c, 1), _Level(b + c, b, 1), _Level(a + b, a, 1)])
        self.last = nn.Conv2d(a, 2 * BANDS, 3, padding=1, padding_mode="replicate")
        with torch.no_grad():
            self.last.weight *= 0.1
            assert self.last.bias is not None
            self.last.bias.zero_()

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        kept = []
        x = features
        for number, level in enumerate(self.down):
            if number:
                x = nn.functional.avg_pool2d(x, 2)
            x = level(x, conditions)
            kept.append(x)
        for level, skip in zip(self.up, kept[-2::-1], strict=True):
            x = level(torch.cat([nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"), skip], 1), conditions)
        gate, residual = self.last(x).chunk(2, dim=1)
        result: Tensor = torch.sigmoid(gate) * features[:, :BANDS] + residual
        return result


@dataclass(frozen=True, slots=True)
class Features:
    """What the network is given of one field. bands: (BANDS + 1, h, w); conditions: (CONDITIONS,); spread: (BANDS,)
    that turns its output into the units of the image."""

    bands: Tensor
    conditions: Tensor
    spread: Tensor


def features_of(filtered: Tensor, k: Tensor, log_ssnr: Tensor, occupancy: Occupancy, grid: WorkingGrid) -> Features:
    """Of a Wiener-filtered small spectrum; `log_ssnr` on the same half plane."""
    images, conditions = [], []
    for band in bands_of(k):
        images.append(torch.fft.irfft2(filtered * band, s=grid.size))
        conditions.append(float((log_ssnr * band).sum() / band.sum()) / 4.0)
    stack = torch.stack(images)
    spread = stack.std(dim=(1, 2)).clamp_min(1e-20)
    conditions += [*occupancy.particle_share, occupancy.share]
    bands = torch.cat([stack / spread[:, None, None], occupancy.probability[None]])
    return Features(bands, torch.tensor(conditions, dtype=torch.float32, device=k.device), spread)


def spectrum_of(output: Tensor, spread: Tensor, k: Tensor) -> Tensor:
    """(..., h, w//2+1) spectrum of the image whose bands the network gave: each band keeps to its own frequencies."""
    transform = torch.fft.rfft2(output * spread[..., :, None, None])
    total = torch.zeros_like(transform[..., 0, :, :])
    for number, band in enumerate(bands_of(k)):
        total = total + transform[..., number, :, :] * band
    return total
