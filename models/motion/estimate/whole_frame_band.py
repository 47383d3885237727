"""The whole frames as a band: transforms of the lit part, and how much signal each frame is expected to show."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from frazil.models.motion.estimate.band import Band, BandGrid, edge_window
from frazil.models.motion.estimate.band_sums import align_sums
from frazil.models.motion.estimate.binning import SmallStack
from frazil.models.motion.estimate.spectra import measure_moments, pattern_floor, whiten
from frazil.models.optics.dose import exposure_filter, mid_frame_exposures_e_per_a2

_MOST_AMPLITUDE = 3.0
"""Of the median frame's: a frame with nine times the counts of the others is a flash, not so much better a picture."""


def frame_amplitudes(
    small: SmallStack,
    frequency_per_angstrom: Tensor,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
    voltage_kv: float,
    damage_strength: float,
) -> Tensor:
    """Expected signal of each frame at unit noise, (F, n): damage, and counts (signal ~ N, shot noise ~ sqrt N).

    `damage_strength` scales the exponent of the published exposure filter: 1 for protein as published, 0 for a
    specimen (ice, carbon, a test object) that keeps its contrast.
    """
    exposures = mid_frame_exposures_e_per_a2(small.frames.shape[0], dose_per_frame_e_per_a2, pre_exposure_e_per_a2)
    left = exposure_filter(frequency_per_angstrom, exposures, voltage_kv) ** damage_strength
    ratio = torch.where(small.sd_counts > 0, small.mean_counts / small.sd_counts.clamp_min(1e-30), 0.0)
    live = small.sd_counts > 0
    if bool(live.any()) and bool((small.mean_counts[live] > 0).all()):
        ratio = ratio / ratio[live].median()
    else:
        # Counts without a sensible zero (background subtracted): only the dead frames are known to be different.
        ratio = live.to(torch.float64)
    return left * ratio.clamp(max=_MOST_AMPLITUDE)[:, None]


def build_band(small: SmallStack, grid: BandGrid, amplitude: Tensor) -> Band:
    """Windowed transforms of all small frames, band-limited; noise not yet whitened."""
    device = small.frames.device
    window = edge_window(grid.height_px, grid.width_px, device)
    lit = small.weight(0, 0, grid.height_px, grid.width_px)
    if lit is not None:
        window = window * lit
    window = window / window.square().mean().sqrt()
    frames = small.frames.shape[0]
    lit_fraction = 1.0 if small.illumination is None else small.illumination.lit_fraction
    if device.type != "cpu":
        corner = np.zeros(frames, dtype=np.int64)
        pixels = small.flat_parts(corner, corner, grid.height_px, grid.width_px)
        return grid.band(grid.take((pixels - pixels.mean(dim=(1, 2), keepdim=True)) * window), amplitude, lit_fraction)
    coefficients = torch.empty((frames, grid.rows.numel(), grid.columns), dtype=torch.complex64, device=device)
    for f in range(frames):
        frame = small.flat(f, 0, 0, grid.height_px, grid.width_px)
        coefficients[f] = grid.take((frame - frame.mean()) * window)
    return grid.band(coefficients, amplitude, lit_fraction)


def padded_amplitude(amplitude: Tensor) -> Tensor:
    """(F, n_shells + 1) float32: the coefficients of no shell carry no signal."""
    return torch.cat((amplitude, torch.zeros_like(amplitude[:, :1])), dim=1).to(torch.float32)


def whitened_band(small: SmallStack, grid: BandGrid, amplitude: Tensor) -> tuple[Band, float]:
    """The band with noise of variance 1, and what stands still in it (`pattern_floor`).

    `amplitude` (F, n_shells + 1) is what `padded_amplitude` gives.
    """
    band = build_band(small, grid, amplitude)
    unmoved = torch.zeros((band.frame_count, 2))
    band = whiten(band, measure_moments(band, align_sums(band, unmoved)))
    return band, pattern_floor(measure_moments(band, align_sums(band, unmoved)), band.frame_count)
