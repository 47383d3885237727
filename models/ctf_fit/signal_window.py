"""Where in the micrograph the signal is: a smooth weight, so that empty ice does not drown a few particles.

The rings of an area whose signal is s times the noise are known, per unit of area, with the information
(s / (1 + s))^2. Power summed over places with weights u has the best ratio of rings to chance for u = s / (1 + s)^2:
proportional to the signal where it is weak, and turning back where a place outshines the noise, so that neither
contamination nor an edge of carbon takes all. Measured is s between 60 and 15 A; at the frequencies of most rings
the signal is weaker by about `_KNEE`, which stands for the 1 in the denominator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from frazil.models.ctf_fit.periodogram import PowerMap, edge_taper, flatten_image

_BAND_PER_ANGSTROM = (1.0 / 60.0, 1.0 / 15.0)
_SMOOTHING_SD_ANGSTROM = 30.0
"""Of the local power, known to 11 % then. Narrower shares less with the empty ice; wider keeps both displaced images of
a particle's detail under one weight. 30 A gave most evidence among 30-100 A on simulated proteins of 110-800 kDa."""
_KNEE = 6.0
_FLOOR = 0.1
"""Signal over noise that every place is granted: about the error of the local power."""
_BINNED_PX_ANGSTROM = 5.0
LARGEST_SHARE = 0.92
"""Above it weighting has nothing to win."""


@dataclass(frozen=True, slots=True)
class SignalWindow:
    """weight: (h, w) of mean 1; share: (mean u)^2 / mean u^2, the part of the samples that remains independent."""

    weight: Tensor
    share: float


def signal_window(image: Tensor, spectrum: PowerMap, pixel_size_angstrom: float) -> SignalWindow | None:
    """Weight of every place by its signal; None where the signal is even, or the pixels are too coarse to tell.

    `spectrum` is the image's own unweighted one: its highest frequencies say how much noise there is. A noise that
    rises towards low frequency is mistaken for signal everywhere alike, which makes the weight more even.
    """
    nyquist = spectrum.nyquist_per_angstrom
    low, high = _BAND_PER_ANGSTROM
    height, width = image.shape
    binning = max(1, int(_BINNED_PX_ANGSTROM / pixel_size_angstrom))
    if high > 0.8 * nyquist or min(height, width) // binning < 32:
        return None
    k = torch.sqrt(spectrum.ky[:, None] ** 2 + spectrum.kx[None, :] ** 2)
    top = (k > 0.8 * nyquist) & (k < nyquist) & (spectrum.count > 0)
    noise = float(spectrum.power[top].mean()) if bool(top.any()) else 0.0
    if noise <= 0.0:
        return None
    binned = torch.nn.functional.avg_pool2d(flatten_image(image)[None, None], binning)[0, 0]
    rows, columns = binned.shape
    pixel = binning * pixel_size_angstrom
    ky = torch.fft.fftfreq(rows, pixel, device=image.device)[:, None]
    kx = torch.fft.rfftfreq(columns, pixel, device=image.device)[None, :]
    k2 = kx * kx + ky * ky
    band = ((k2 > low * low) & (k2 < high * high)).to(torch.float32)
    # Binning has damped the band by its own transform.
    band = band / (torch.sinc(kx * pixel) * torch.sinc(ky * pixel))
    passed = torch.fft.irfft2(torch.fft.rfft2(binned) * band, s=(rows, columns)).square()
    noise_in_band = noise / binning**2 * math.pi * (high * high - low * low) * pixel * pixel
    taper = edge_taper(rows, device=image.device)[:, None] * edge_taper(columns, device=image.device)[None, :]
    local = _smooth(passed, pixel) / _smooth(taper * taper, pixel).clamp_min(1e-3)
    signal = (local / noise_in_band - 1.0).clamp_min(0.0)
    weight = (signal + _FLOOR) / (1.0 + signal / _KNEE) ** 2
    weight = torch.nn.functional.interpolate(
        weight[None, None], size=(height, width), mode="bilinear", align_corners=False
    )[0, 0]
    weight = weight / weight.mean()
    share = 1.0 / float((weight * weight).mean())
    return SignalWindow(weight, share) if share < LARGEST_SHARE else None


def _smooth(values: Tensor, pixel_angstrom: float) -> Tensor:
    """Gaussian mean without wrapping around; beyond the border there is nothing."""
    rows, columns = values.shape
    size = (2 * rows, 2 * columns)
    ky = torch.fft.fftfreq(size[0], pixel_angstrom, device=values.device)[:, None]
    kx = torch.fft.rfftfreq(size[1], pixel_angstrom, device=values.device)[None, :]
    filtered = torch.fft.rfft2(values, s=size) * torch.exp(
        -2.0 * (math.pi * _SMOOTHING_SD_ANGSTROM) ** 2 * (kx * kx + ky * ky)
    )
    smooth: Tensor = torch.fft.irfft2(filtered, s=size)[:rows, :columns]
    return smooth
