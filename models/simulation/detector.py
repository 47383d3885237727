"""The camera: sensitivity, defects, transfer of the signal, lost coincidences, counting noise.

A counting camera with pixel sensitivity s and expected electrons m per pixel records Poisson(m s): the gain of a
counting camera is a thinning. The gain *reference* that multiplies is 1/s (0 for a dead pixel); the dividing one is s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.simulation.settings import CameraSettings

BLOCK_PX = 128
"""Width of the readout blocks that show in the sensitivity."""
LEAST_TERM = 1e-8
"""Sums in float32 may stay a few 1e-8 below the largest uniform number: probabilities that small no longer count."""
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Detector:
    sensitivity: NDArray[np.float32]  # (h, w), mean 1, 0 where dead
    dead: NDArray[np.bool_]  # (h, w)
    hot: NDArray[np.bool_]  # (h, w)

    @property
    def defects(self) -> NDArray[np.bool_]:
        return self.dead | self.hot

    def gain_multiplier(self) -> NDArray[np.float32]:
        """corrected = counts * this; 0 at dead pixels."""
        safe = np.where(self.dead, 1.0, self.sensitivity)
        return np.where(self.dead, 0.0, 1.0 / safe).astype(np.float32)


def draw_detector(camera: CameraSettings, height_px: int, width_px: int, rng: np.random.Generator) -> Detector:
    """A sensitivity of blocks, a smooth part and pixel noise, without any symmetry of the square; and defects."""
    blocks_y, blocks_x = -(-height_px // BLOCK_PX), -(-width_px // BLOCK_PX)
    blocks = rng.normal(0.0, 0.5 * camera.gain_structure_sd, (2 * blocks_y, blocks_x))
    block_map = np.kron(blocks, np.ones((BLOCK_PX // 2, BLOCK_PX)))[:height_px, :width_px]
    v, u = np.meshgrid(np.linspace(-0.5, 0.5, height_px), np.linspace(-0.5, 0.5, width_px), indexing="ij")
    tilt = rng.normal(0.0, 1.0, 5)
    smooth = tilt[0] * u + tilt[1] * v + tilt[2] * u * v + tilt[3] * (u**2 - v**2) + tilt[4] * u**3
    smooth *= 0.8 * camera.gain_structure_sd / max(float(smooth.std()), 1e-12)
    pixel = rng.normal(0.0, camera.gain_sd, (height_px, width_px))
    sensitivity = np.clip(1.0 + block_map + smooth + pixel, 0.3, 3.0)
    sensitivity /= sensitivity.mean()
    dead = rng.random((height_px, width_px)) < camera.dead_pixel_fraction
    for column in rng.integers(0, width_px, camera.dead_columns):
        dead[:, column] = True
    hot = (rng.random((height_px, width_px)) < camera.hot_pixel_fraction) & ~dead
    return Detector(np.where(dead, 0.0, sensitivity).astype(np.float32), dead, hot)


def mtf(frequency_over_nyquist: Tensor, at_nyquist: float) -> Tensor:
    """Signal transfer, Gaussian with the given value at Nyquist."""
    return torch.exp(float(np.log(at_nyquist)) * frequency_over_nyquist**2)


def coincidence_survival(expected_e_per_px_per_camera_frame: float, area_px: float) -> float:
    """Share of electrons that are counted when those within `area_px` of each other merge: (1 - exp(-a m)) / (a m).

    Li et al. 2013, Nat. Methods 10, 584.
    """
    load = expected_e_per_px_per_camera_frame * area_px
    return 1.0 if load <= 1e-9 else float(-np.expm1(-load) / load)


def poisson_counts(mean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Poisson numbers for a field of means; exact up to the 24 bits of a float32 uniform number.

    Inversion term by term over the whole array is about three times as quick as NumPy's generator for means of a few
    electrons; brighter images take NumPy's.
    """
    if mean.size == 0 or float(mean.max()) > 10.0:
        return np.minimum(rng.poisson(mean), 65535).astype(np.uint16)
    means = torch.from_numpy(np.ascontiguousarray(mean).ravel())
    uniform = torch.from_numpy(rng.random(mean.size, dtype=np.float32))
    counts = torch.empty(mean.size, dtype=torch.uint8)
    for start in range(0, mean.size, _BLOCK):  # a block's arrays stay in the cache of a core
        block = slice(start, start + _BLOCK)
        counts[block] = _invert(means[block], uniform[block])
    return counts.numpy().astype(np.uint16).reshape(mean.shape)


def _invert(mean: Tensor, uniform: Tensor) -> Tensor:
    """Smallest n whose cumulative Poisson probability exceeds `uniform`."""
    counts = torch.zeros_like(mean)
    term = torch.exp(-mean)
    cumulative = term.clone()
    typical = float(mean.mean())
    common = int(typical + 2.0 * typical**0.5 + 1.0)
    for j in range(1, common + 1):
        counts += uniform >= cumulative
        term *= mean
        term /= j
        cumulative += term
    rest = torch.nonzero(uniform >= cumulative).ravel()
    m, u, term, cumulative = mean[rest], uniform[rest], term[rest], cumulative[rest]
    extra = torch.zeros(len(rest))
    for j in range(common + 1, common + 60):
        beyond = (u >= cumulative) & (term > LEAST_TERM)
        if not bool(beyond.any()):
            break
        extra += beyond
        term *= m / j
        cumulative += term
    counts[rest] += extra
    return counts
