"""Fourier transforms of images and maps whose origin is the middle pixel n // 2, in both spaces."""

from __future__ import annotations

import torch
from torch import Tensor


def centred_fft(values: Tensor, dimensions: int) -> Tensor:
    """Complex transform over the last `dimensions` axes."""
    axes = tuple(range(-dimensions, 0))
    shifted = torch.fft.ifftshift(values, dim=axes)
    result: Tensor = torch.fft.fftshift(torch.fft.fftn(shifted, dim=axes), dim=axes)
    return result


def centred_ifft_real(spectrum: Tensor, dimensions: int) -> Tensor:
    """Real part of the inverse over the last `dimensions` axes."""
    axes = tuple(range(-dimensions, 0))
    shifted = torch.fft.ifftn(torch.fft.ifftshift(spectrum, dim=axes), dim=axes).real
    result: Tensor = torch.fft.fftshift(shifted, dim=axes)
    return result
