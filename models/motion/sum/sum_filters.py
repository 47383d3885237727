"""Fourier filters on sums of whole movies: exposure weights, the interpolation's own transfer divided out, cropping."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.cpu_threads import run_blocks
from frazil.models.motion.kernels.interpolation import mean_transfer
from frazil.models.motion.kernels.sum_kernels import add_filtered_rows, multiply_rows
from frazil.models.motion.sum.dose_terms import DoseTerms, dose_terms
from frazil.models.motion.sum.movie_sums import MovieSums
from frazil.models.optics.dose import mid_frame_exposures_e_per_a2, whitened_weights

CURVE_SAMPLES = 8192
"""Of radial transfers, linearly interpolated: two a Fourier pixel of a frame of 5760 px."""
HALF_DIAGONAL_CYCLES_PER_PX = 0.7072
"""The corner of Fourier space, sqrt(1/2), rounded up."""
_SMALLEST_TRANSFER = 0.75
"""Beyond (near 0.47 cycles/px) there is little left that shifts have in common: noise would grow."""
_BLOCKS = 32
"""Of rows: more than there are threads, so that none waits long for the last; fixed, as the results must be."""


def exposure_terms(
    frames: int,
    pixel_size_angstrom: float,
    voltage_kv: float,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
) -> DoseTerms:
    """Factors of the exposure weights, along frequency at CURVE_SAMPLES up to the corner of Fourier space."""
    frequency = torch.linspace(0.0, HALF_DIAGONAL_CYCLES_PER_PX, CURVE_SAMPLES, dtype=torch.float64)
    exposures = mid_frame_exposures_e_per_a2(frames, dose_per_frame_e_per_a2, pre_exposure_e_per_a2)
    return dose_terms(whitened_weights(frequency / pixel_size_angstrom, exposures, voltage_kv).numpy())


def finished_sums(
    halves: NDArray[np.float32],
    weighted: NDArray[np.float32],
    curves: NDArray[np.float32] | None,
    step: NDArray[np.int32],
) -> MovieSums:
    """Images from what was added up in real space; one transform for each sum.

    Parameters
    ----------
    halves:
        (2, h, w) sums of even and of odd frames; overwritten.
    weighted:
        (R, h, w) weighted sums.
    curves:
        (R + 1, CURVE_SAMPLES) radial transfers of the sum of both halves and of each weighted sum, evenly spaced up to
        the corner of Fourier space; None: no exposure weighting.
    step:
        (F, ..., 2) fractions along x and y with which each frame was interpolated.
    """
    _, height, width = halves.shape
    moved = bool(step.any())
    total = None if curves is None else torch.zeros((height, width // 2 + 1), dtype=torch.complex64)
    for half, image in enumerate(halves):
        if total is None and not moved:
            break
        spectrum = torch.fft.rfft2(torch.from_numpy(image))
        if total is not None and curves is not None:
            _add(total, spectrum, curves[0], width)
        if moved:
            _flatten(spectrum, width, step[half::2])
            image[...] = torch.fft.irfft2(spectrum, s=(height, width)).numpy()
        del spectrum
    even, odd = torch.from_numpy(halves[0]), torch.from_numpy(halves[1])
    if total is None or curves is None:
        return MovieSums(even + odd, even, odd)
    for image, curve in zip(weighted, curves[1:], strict=True):
        _add(total, torch.fft.rfft2(torch.from_numpy(image)), curve, width)
    if moved:
        _flatten(total, width, step)
    return MovieSums(torch.fft.irfft2(total, s=(height, width)), even, odd)


def _add(total: Tensor, spectrum: Tensor, curve: NDArray[np.float32], width: int) -> None:
    ky = np.fft.fftfreq(len(total)).astype(np.float32)
    kx = np.fft.rfftfreq(width).astype(np.float32)
    steps_per_cycle = (CURVE_SAMPLES - 1) / HALF_DIAGONAL_CYCLES_PER_PX
    add = partial(add_filtered_rows, spectrum.numpy(), curve, steps_per_cycle, ky, kx, total.numpy())
    run_blocks(add, len(total), _BLOCKS)


def flattening(step: NDArray[np.int32], height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One over the interpolation's transfer for the rows (h,) and columns (w // 2 + 1,) of a sum's half plane."""
    along_x = mean_transfer(step[..., 0], np.fft.rfftfreq(width))
    along_y = mean_transfer(step[..., 1], np.fft.fftfreq(height))
    per_column, per_row = ((1.0 / np.maximum(t, _SMALLEST_TRANSFER)).astype(np.float32) for t in (along_x, along_y))
    return per_row, per_column


def _flatten(spectrum: Tensor, width: int, step: NDArray[np.int32]) -> None:
    per_row, per_column = flattening(step, len(spectrum), width)
    run_blocks(partial(multiply_rows, spectrum.numpy(), per_row, per_column), len(spectrum), _BLOCKS)


def fourier_crop(image: Tensor, factor: float) -> Tensor:
    """Fewer pixels for the same field, by cutting the transform; mean counts per pixel grow by factor^2 (counts kept).

    The new sides are the even numbers nearest to side / factor; for a factor that does not divide them the true factor
    is old / new and the same along both axes only to that rounding.
    """
    if factor == 1.0:
        return image
    height, width = (2 * round(side / factor / 2) for side in image.shape)
    spectrum = torch.fft.rfft2(image)
    top = spectrum[: height // 2, : width // 2 + 1]
    bottom = spectrum[-(height // 2) :, : width // 2 + 1]
    cropped: Tensor = torch.fft.irfft2(torch.cat((top, bottom)), s=(height, width))
    return cropped
