"""Fourier filters on sums of whole movies: exposure weights, and the interpolation's own transfer divided out."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.motion.cpu_threads import run_blocks
from frazil.models.motion.interpolation import mean_transfer
from frazil.models.motion.sum_kernels import add_filtered_rows, multiply_rows

CURVE_SAMPLES = 8192
HALF_DIAGONAL_CYCLES_PER_PX = 0.7072
_SMALLEST_TRANSFER = 0.75
"""Beyond (near 0.47 cycles/px) there is little left that shifts have in common: noise would grow."""
_BLOCKS = 32


def filtered_sum(images: list[Tensor], curves: NDArray[np.float32], step: NDArray[np.int32]) -> Tensor:
    """sum_i of images[i] with its radial transfer curves[i], sampled evenly up to the corner of Fourier space.

    `step` (..., 2): fractions along x and y with which the images were interpolated.
    """
    height, width = images[0].shape
    ky, kx = np.fft.fftfreq(height).astype(np.float32), np.fft.rfftfreq(width).astype(np.float32)
    steps_per_cycle = (CURVE_SAMPLES - 1) / HALF_DIAGONAL_CYCLES_PER_PX
    total = torch.zeros((height, len(kx)), dtype=torch.complex64)
    for image, curve in zip(images, curves, strict=True):
        spectrum = torch.fft.rfft2(image).numpy()
        run_blocks(partial(add_filtered_rows, spectrum, curve, steps_per_cycle, ky, kx, total.numpy()), height, _BLOCKS)
    _flatten(total, width, step)
    result: Tensor = torch.fft.irfft2(total, s=(height, width))
    return result


def flattened(image: Tensor, step: NDArray[np.int32]) -> Tensor:
    """`image` (h, w), made with the fractions `step` (..., 2), with the transfer they have in common divided out."""
    if not step.any():
        return image
    spectrum = torch.fft.rfft2(image)
    _flatten(spectrum, image.shape[1], step)
    result: Tensor = torch.fft.irfft2(spectrum, s=image.shape)
    return result


def _flatten(spectrum: Tensor, width: int, step: NDArray[np.int32]) -> None:
    along_x = mean_transfer(step[..., 0], np.fft.rfftfreq(width))
    along_y = mean_transfer(step[..., 1], np.fft.fftfreq(spectrum.shape[0]))
    per_column, per_row = ((1.0 / np.maximum(t, _SMALLEST_TRANSFER)).astype(np.float32) for t in (along_x, along_y))
    run_blocks(partial(multiply_rows, spectrum.numpy(), per_row, per_column), spectrum.shape[0], _BLOCKS)
