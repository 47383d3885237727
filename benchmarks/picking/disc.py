"""A disc minus its surroundings: the plain template of `restoration.py`, whose question is the image and not the
picker."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MASKED_SIGMA = 3.0
"""What rises above this does not count as background; in pure noise it costs the estimate a few per cent."""
_MASKING_ROUNDS = 4
_TROUGH = 1.0
"""How far around what stands out, in radii, the response is not background either."""
_LEAST_BACKGROUND = 0.08
"""Share of the image that must be left to measure the noise on."""


def in_sigmas(response: Tensor, radius_px: float) -> Tensor:
    """The response in units of its own noise, which is measured where no particle seems to be.

    In a crowded field most places feel a particle or the trough beside one, so that the spread of the whole response
    is that of the particles: what stands out is masked together with its surroundings, and the rest is looked at again.
    """
    reach = math.ceil(_TROUGH * radius_px)
    rest = response.flatten()
    least = response.numel() * _LEAST_BACKGROUND
    for _ in range(_MASKING_ROUNDS):
        centre, noise = _centre_and_noise(rest)
        stands_out = (response - centre > _MASKED_SIGMA * noise).to(response.dtype)
        near = torch.nn.functional.max_pool2d(stands_out[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0]
        background = response[near == 0]
        if background.numel() < least:
            break
        rest = background
    centre, noise = _centre_and_noise(rest)
    return (response - centre) / noise


def _centre_and_noise(values: Tensor) -> tuple[Tensor, Tensor]:
    centre = values.median()
    return centre, (1.4826 * (values - centre).abs().median()).clamp_min(1e-12)


def response(image: Tensor, radius_px: float) -> Tensor:
    """Correlation with a soft disc minus a soft ring of the same total weight, unit energy."""
    height, width = image.shape
    y = torch.fft.fftfreq(height, device=image.device)[:, None] * height
    x = torch.fft.fftfreq(width, device=image.device)[None, :] * width
    distance = torch.sqrt(x**2 + y**2)
    disc = torch.sigmoid(2 * (radius_px - distance))
    ring = torch.sigmoid(2 * (1.5 * radius_px - distance)) - disc
    template = disc / disc.sum() - ring / ring.sum()
    template = template / template.square().sum().sqrt()
    spectrum = torch.fft.rfft2(image) * torch.fft.rfft2(template).conj()
    made: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
    return made
