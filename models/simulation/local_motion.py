"""Local beam-induced motion: smooth in space, decaying with dose, and no polynomial.

d(r, f) = sum_m c_m(f) u_m(r). Two modes: one decays with the set dose, one twice as slowly. Each u_m is a sum of a few
plane waves of less than one period per field of view. The spatial mean over the field of view is zero for every mode,
so the whole-frame shift is the mean motion; the mean over frames is zero too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WAVES_PER_MODE = 4
MODE_SHARE = (0.85, 0.5)
"""Relative amplitudes of the two modes."""


@dataclass(frozen=True, slots=True)
class LocalField:
    """Displacement added to the whole-frame shift, A."""

    height_px: int
    width_px: int
    course: NDArray[np.float64]  # (modes, frames); zero mean over frames
    waves: NDArray[np.float64]  # (modes, 2 axes, waves, 4): qx, qy (cycles per field), phase, amplitude in A
    offset_angstrom: NDArray[np.float64]  # (modes, 2): minus the mean over the field of view

    def mode_angstrom(self, x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """u_m at positions: (modes, 2, *shape of x_px broadcast with y_px), in A."""
        u, v = x_px / self.width_px, y_px / self.height_px
        modes = []
        for mode in range(len(self.waves)):
            axes = []
            for axis in (0, 1):
                field = self.offset_angstrom[mode, axis] + np.zeros(np.broadcast_shapes(u.shape, v.shape))
                for qx, qy, phase, amplitude in self.waves[mode, axis]:
                    field += amplitude * np.cos(2.0 * math.pi * (qx * u + qy * v) + phase)
                axes.append(field)
            modes.append(np.stack(axes))
        return np.stack(modes)

    def displacement_angstrom(self, x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """(frames, 2, *shape): local displacement x, y at specimen positions."""
        result: NDArray[np.float64] = np.einsum("mf,ma...->fa...", self.course, self.mode_angstrom(x_px, y_px))
        return result


def draw_local_field(
    *,
    rms_angstrom: float,
    decay_e_per_a2: float,
    frame_count: int,
    dose_per_frame_e_per_a2: float,
    height_px: int,
    width_px: int,
    rng: np.random.Generator,
) -> LocalField | None:
    """A random field whose change from the start to the end of a long exposure has this RMS; None if that is 0."""
    if rms_angstrom <= 0.0 or frame_count < 2:
        return None
    dose = (np.arange(frame_count) + 0.5) * dose_per_frame_e_per_a2
    course = np.stack([-np.exp(-dose / (decay_e_per_a2 * slower)) for slower in (1.0, 2.0)])
    course -= course.mean(axis=1, keepdims=True)
    modes = len(MODE_SHARE)
    waves = np.empty((modes, 2, WAVES_PER_MODE, 4))
    waves[..., :2] = rng.uniform(-0.7, 0.7, (modes, 2, WAVES_PER_MODE, 2))
    waves[..., 2] = rng.uniform(0.0, 2.0 * math.pi, (modes, 2, WAVES_PER_MODE))
    waves[..., 3] = rng.normal(0.0, 1.0, (modes, 2, WAVES_PER_MODE))
    field = LocalField(height_px, width_px, course, waves, np.zeros((modes, 2)))
    y, x = np.meshgrid(np.linspace(0, height_px - 1, 33), np.linspace(0, width_px - 1, 33), indexing="ij")
    sampled = field.mode_angstrom(x, y)
    centred = sampled - sampled.mean(axis=(2, 3), keepdims=True)
    for mode, share in enumerate(MODE_SHARE):
        size = math.sqrt(float((centred[mode] ** 2).sum(axis=0).mean()))
        waves[mode, :, :, 3] *= rms_angstrom * share / max(size, 1e-12)
    scaled = LocalField(height_px, width_px, course, waves, np.zeros((modes, 2)))
    return LocalField(height_px, width_px, course, waves, -scaled.mode_angstrom(x, y).mean(axis=(2, 3)))
