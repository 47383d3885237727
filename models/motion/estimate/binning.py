"""One streaming pass that makes the small stack on which motion is estimated.

Full-size frames are never Fourier-transformed for the alignment: each is halved along both axes as often as keeps its
Nyquist frequency above what the alignment looks at (`frequency_limit`), by a 4-tap low-pass whose response at the
folded frequency is nearly nil where the alignment looks (a plain 2x2 mean folds twice the noise power at 5 A). The
stack is kept in half precision: frames are standardised first, and 2^-11 of a standard deviation is 1e-7 of the shot
noise's power.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.motion.device_frames import device_portions
from frazil.models.motion.estimate.band import MAX_PATCH_COEFFICIENTS, frequency_limit
from frazil.models.motion.estimate.cpu_small_stack import standardised_frames
from frazil.models.motion.estimate.illumination import Illumination, illumination
from frazil.models.motion.frame_source import FrameSource
from frazil.models.motion.kernels.count_kernels import INNER_TAP, OUTER_TAP

FINEST_NEED_ANGSTROM = 2.8
"""A coarser pixel is only taken for frames so large that the alignment does not look at higher frequencies."""
_OUTER_TAP, _INNER_TAP = float(OUTER_TAP), float(INNER_TAP)
_CLIP_SD = 7.0
"""Shot noise of the small stack goes beyond it once in some ten million pixels; X-rays and hot pixels do."""


@dataclass(frozen=True, slots=True)
class SmallStack:
    """Frames for the alignment: (F, h, w) float16 on the device, mean 0 and variance 1 each (an empty frame is 0)."""

    frames: Tensor
    pixel_size_angstrom: float
    halvings: int
    mean_counts: Tensor
    """(F,) float64 on the CPU: mean counts of each small frame before it was standardised."""
    sd_counts: Tensor
    """(F,) float64 on the CPU: standard deviation of each small frame before it was standardised."""
    offset_px: tuple[int, int]
    """(y, x) of the small stack's first pixel in full-size pixels (edges are cut to lengths that FFTs like)."""
    illumination: Illumination | None = None
    """None: even."""

    def flat(self, frame: int, top: int, left: int, height: int, width: int) -> Tensor:
        """(height, width) float32 part of a frame without the illumination, shot noise even."""
        part = slice(top, top + height), slice(left, left + width)
        pixels = self.frames[frame][part].to(torch.float32)
        if self.illumination is None or self.sd_counts[frame] <= 0:
            return pixels
        level = self.illumination.level[part]
        counts = float(self.mean_counts[frame] / self.sd_counts[frame])
        return (pixels - (level - 1.0) * counts) / level.sqrt()

    def flat_parts(self, tops: NDArray[np.int64], lefts: NDArray[np.int64], height: int, width: int) -> Tensor:
        """(..., F, height, width): `flat` of parts of all frames at once; `tops` and `lefts` (..., F)."""
        device = self.frames.device
        corner = torch.from_numpy(np.stack((tops, lefts))).to(device)
        y = (corner[0, ..., None] + torch.arange(height, device=device))[..., :, None]
        x = (corner[1, ..., None] + torch.arange(width, device=device))[..., None, :]
        pixels = self.frames[torch.arange(len(self.frames), device=device)[:, None, None], y, x].to(torch.float32)
        if self.illumination is None:
            return pixels
        level = self.illumination.level[y, x]
        live = self.sd_counts > 0
        counts = torch.where(live, self.mean_counts / self.sd_counts.clamp_min(1e-30), 0.0)
        scale = torch.stack((counts, live.double())).to(device, torch.float32)[:, :, None, None]
        return torch.where(scale[1] > 0, (pixels - (level - 1.0) * scale[0]) / level.sqrt(), pixels)

    def weight(self, top: int, left: int, height: int, width: int) -> Tensor | None:
        """How much each pixel of a part is used, 0..1; None: all fully."""
        if self.illumination is None:
            return None
        return self.illumination.weight[top : top + height, left : left + width]

    def weights(self, corners: NDArray[np.int64], height: int, width: int) -> Tensor | None:
        """(n, height, width): `weight` of parts at corners (n, 2; top, left)."""
        if self.illumination is None:
            return None
        device = self.frames.device
        corner = torch.from_numpy(corners).to(device)
        y = (corner[:, :1] + torch.arange(height, device=device))[:, :, None]
        x = (corner[:, 1:] + torch.arange(width, device=device))[:, None, :]
        return self.illumination.weight[y, x]


def smooth_length(length: int) -> int:
    """Largest even number <= length whose only prime factors are 2, 3, 5 and 7."""
    for candidate in range(length - length % 2, 1, -2):
        rest = candidate
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return candidate
    return 2


def halvings_for(pixel_size_angstrom: float, height_px: int, width_px: int) -> int:
    """How often to halve: Nyquist stays above what the alignment looks at, and the shortest side >= 64."""
    highest = frequency_limit(height_px, width_px, pixel_size_angstrom, MAX_PATCH_COEFFICIENTS)
    coarsest_angstrom = max(FINEST_NEED_ANGSTROM, 0.5 / highest)
    count = 0
    while pixel_size_angstrom * 2 ** (count + 1) <= coarsest_angstrom and min(height_px, width_px) >> (count + 1) >= 64:
        count += 1
    return count


def halve(image: Tensor) -> Tensor:
    """Low-pass and keep every second pixel along both axes; new pixel centres lie between the old pairs."""
    height, width = image.shape[-2] // 2 * 2, image.shape[-1] // 2 * 2
    image = image[..., :height, :width]
    even, odd = image[..., 0::2, :], image[..., 1::2, :]
    rows = (even + odd).mul_(_INNER_TAP)
    # Outer taps: the pixel before and the one after the pair; the edge repeats itself.
    rows[..., 1:, :].add_(odd[..., :-1, :], alpha=_OUTER_TAP)
    rows[..., :1, :].add_(even[..., :1, :], alpha=_OUTER_TAP)
    rows[..., :-1, :].add_(even[..., 1:, :], alpha=_OUTER_TAP)
    rows[..., -1:, :].add_(odd[..., -1:, :], alpha=_OUTER_TAP)
    even, odd = rows[..., 0::2], rows[..., 1::2]
    out = (even + odd).mul_(_INNER_TAP)
    out[..., 1:].add_(odd[..., :-1], alpha=_OUTER_TAP)
    out[..., :1].add_(even[..., :1], alpha=_OUTER_TAP)
    out[..., :-1].add_(even[..., 1:], alpha=_OUTER_TAP)
    out[..., -1:].add_(odd[..., -1:], alpha=_OUTER_TAP)
    return out


def build_small_stack(source: FrameSource, pixel_size_angstrom: float, device: torch.device) -> SmallStack:
    """Go through the movie once. Outliers (hot pixels, X-rays) are clipped at 7 standard deviations."""
    halvings = halvings_for(pixel_size_angstrom, source.height_px, source.width_px)
    factor = 2**halvings
    height, width = smooth_length(source.height_px // factor), smooth_length(source.width_px // factor)
    top, left = (source.height_px // factor - height) // 2, (source.width_px // factor - width) // 2
    if device.type == "cpu":
        stack, means, sds = standardised_frames(source, halvings, (top, left, height, width), _CLIP_SD)
    else:
        stack, means, sds = standardised_by_torch(source, halvings, (top, left, height, width), device)
    small_pixel = pixel_size_angstrom * factor
    lit = illumination(_mean_counts(stack, means, sds), small_pixel)
    return SmallStack(stack, small_pixel, halvings, means, sds, (top * factor, left * factor), lit)


def _mean_counts(stack: Tensor, means: Tensor, sds: Tensor) -> Tensor:
    """(h, w) mean of the frames before they were standardised."""
    if stack.device.type != "cpu":
        weight = (sds / len(stack)).to(stack.device, torch.float32)
        mean: Tensor = torch.tensordot(weight, stack.to(torch.float32), dims=1)
        return mean.add_(float(means.mean()))
    total = torch.zeros(stack.shape[1:], dtype=torch.float32)
    for frame, sd in zip(stack, sds.tolist(), strict=True):
        total.add_(frame, alpha=sd / len(stack))
    return total.add_(float(means.mean()))


def standardised_by_torch(
    source: FrameSource, halvings: int, window_px: tuple[int, int, int, int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """What `standardised_frames` does, on any device, many frames at a time."""
    top, left, height, width = window_px
    stack = torch.empty((source.frame_count, height, width), dtype=torch.float16, device=device)
    moments = []
    for first, small in device_portions(source, device):
        for _ in range(halvings):
            small = halve(small)
        small = small[:, top : top + height, left : left + width]
        sd, mean = torch.std_mean(small, dim=(1, 2), correction=0)
        live = (sd > 0) & torch.isfinite(sd)
        standard = ((small - mean[:, None, None]) / sd[:, None, None]).clamp_(-_CLIP_SD, _CLIP_SD)
        stack[first : first + len(small)] = torch.where(live[:, None, None], standard, 0.0)
        moments.append(torch.stack((mean, torch.where(live, sd, 0.0))))
    means, sds = torch.cat(moments, dim=1).cpu().double()
    return stack, means, sds
