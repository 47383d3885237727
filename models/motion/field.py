"""Displacement of any place of the movie at any frame: whole-frame motion plus smooth spatial modes.

d(x, y, f) = d_f + sum_m phi_m(x, y) c_m(f) with phi = x, x^2 - 1/12, y, y^2 - 1/12, xy (x = px/width - 0.5, y
likewise), which average to zero over the frame, so that d_f is the mean motion: the spatial part of RELION's local
model with one free coefficient per frame instead of a cubic in time, because real motion decays after the beam comes
on. `polynomial_coefficients` makes RELION's cubic of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.models.records import LocalMotion

Array = npt.NDArray[np.float64]
MODES = 5
"""x, x^2 - 1/12, y, y^2 - 1/12, xy; the constant is the whole-frame shift."""


def spatial_modes(x: Array, y: Array) -> Array:
    """phi (..., MODES) at x, y in -0.5..0.5; mean zero over the frame."""
    return np.stack((x, x * x - 1 / 12, y, y * y - 1 / 12, x * y), axis=-1)


@dataclass(frozen=True, slots=True)
class MotionField:
    """Displacement of the specimen in A; zero mean over frames everywhere."""

    whole_frame_angstrom: Array
    """(F, 2): x, y, mean over the frame."""
    modes_angstrom: Array
    """(F, MODES, 2)."""

    def at(self, x: Array, y: Array) -> Array:
        """(F, ..., 2) displacement at places in -0.5..0.5 (x along the width, y along the height)."""
        local = np.tensordot(self.modes_angstrom, spatial_modes(x, y), axes=([1], [x.ndim]))  # (F, 2, ...)
        local = np.moveaxis(local, 1, -1)
        return np.asarray(self.whole_frame_angstrom.reshape(-1, *([1] * x.ndim), 2) + local)

    @classmethod
    def rigid(cls, whole_frame_angstrom: Array) -> MotionField:
        return cls(whole_frame_angstrom, np.zeros((len(whole_frame_angstrom), MODES, 2)))


def polynomial_coefficients(modes_angstrom: Array) -> tuple[Array, Array]:
    """RELION's 18 coefficients per axis, [3 i + p], closest to the modes.

    The origin of each place is free (an offset constant in time moves nothing against anything), so the cubic is fitted
    with a constant, and the constant is dropped: RELION's own fit has to pass through zero at the first frame.
    """
    frames = len(modes_angstrom)
    t = np.arange(frames, dtype=np.float64)
    order = min(3, frames - 1)
    design = np.stack([t**p for p in range(order + 1)], axis=1)
    scale = np.abs(design).max(axis=0)
    solution, *_ = np.linalg.lstsq(design / scale, modes_angstrom.reshape(frames, -1), rcond=None)
    solution = (solution / scale[:, None]).reshape(order + 1, MODES, 2)
    out = np.zeros((6, 3, 2))
    out[1:, :order] = np.moveaxis(solution[1:], 0, 1)
    # RELION's quadratics are x^2 and y^2: what makes ours average to zero goes into its constant.
    out[0] = -(out[2] + out[4]) / 12.0
    flat = out.reshape(18, 2)
    return flat[:, 0], flat[:, 1]


def evaluate_polynomial(local: LocalMotion, x: Array, y: Array, frame_count: int) -> Array:
    """(F, ..., 2): RELION's model as `LocalMotion` stores it, in A, displacement beyond the whole-frame shift."""
    basis = np.stack((np.ones_like(x), x, x * x, y, y * y, x * y), axis=-1)
    t = np.arange(frame_count, dtype=np.float64)
    powers = np.stack((t, t**2, t**3), axis=1)
    coefficients = np.stack(
        (
            np.asarray(local.coefficients_x_angstrom).reshape(6, 3),
            np.asarray(local.coefficients_y_angstrom).reshape(6, 3),
        ),
        axis=-1,
    )
    return np.asarray(np.einsum("fp,...i,ipa->f...a", powers, basis, coefficients))
