"""Displacement of any place of the movie at any frame: whole-frame motion plus smooth spatial modes.

d(x, y, f) = d_f + sum_m phi_m(x, y) c_m(f), with x = px/width - 0.5 and y likewise. The modes average to zero over the
frame, so that d_f is the mean motion; each has one free coefficient per frame instead of a cubic in time, because real
motion decays after the beam comes on. `polynomial_coefficients` makes RELION's cubic of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from frazil.models.motion.estimate.spatial_basis import SpatialBasis
from frazil.models.records import FrameShifts, LocalModes, LocalMotion

Array = npt.NDArray[np.float64]
RIGID = SpatialBasis("polynomial", 0)
"""Nothing but the constant."""
_GRID_POINTS = 13
"""Along each axis, where RELION's six functions are fitted: twice as many as `local_motion.LOCAL_BASIS` has."""


@dataclass(frozen=True, slots=True)
class MotionField:
    """Displacement of the specimen in A; zero mean over frames everywhere."""

    whole_frame_angstrom: Array
    """(F, 2): x, y, mean over the frame."""
    modes_angstrom: Array
    """(F, M - 1, 2): coefficients of all functions of the basis but the constant."""
    basis: SpatialBasis

    def at(self, x: Array, y: Array) -> Array:
        """(F, ..., 2) displacement at places in -0.5..0.5 (x along the width, y along the height)."""
        values = self.basis.values(x, y)[..., 1:]
        local = np.moveaxis(np.tensordot(self.modes_angstrom, values, axes=([1], [x.ndim])), 1, -1)
        return np.asarray(self.whole_frame_angstrom.reshape(-1, *([1] * x.ndim), 2) + local)

    @classmethod
    def rigid(cls, whole_frame_angstrom: Array) -> MotionField:
        return cls(whole_frame_angstrom, np.zeros((len(whole_frame_angstrom), 0, 2)), RIGID)


def local_modes(field: MotionField) -> LocalModes:
    """The local part of a field, as it is kept: to a millionth of an angstrom."""
    return LocalModes(field.basis.kind, field.basis.order, field.modes_angstrom.astype("<f4").tobytes())


def stored_field(shifts: FrameShifts, modes: LocalModes) -> MotionField:
    """The field of a movie whose shifts and modes were kept. Raises ValueError if the two do not belong together."""
    whole = np.stack((np.asarray(shifts.shift_x_angstrom), np.asarray(shifts.shift_y_angstrom)), axis=-1)
    kind: Literal["polynomial", "spline"] = "spline" if modes.basis == "spline" else "polynomial"
    basis = SpatialBasis(kind, modes.order)
    flat = np.frombuffer(modes.modes_angstrom, dtype="<f4").astype(np.float64)
    return MotionField(whole, flat.reshape(len(whole), len(basis) - 1, 2), basis)


def polynomial_coefficients(field: MotionField) -> tuple[Array, Array]:
    """RELION's 18 coefficients per axis, [3 i + p], closest to the field's local part over the frame and in time.

    The origin of each place is free (an offset constant in time moves nothing against anything), so the cubic is fitted
    with a constant, and the constant is dropped: RELION's own fit has to pass through zero at the first frame.
    """
    frames = len(field.whole_frame_angstrom)
    at = (np.arange(_GRID_POINTS) + 0.5) / _GRID_POINTS - 0.5
    x, y = np.meshgrid(at, at)
    local = (field.at(x, y) - field.whole_frame_angstrom[:, None, None]).reshape(frames, -1, 2)
    space = relion_basis(x.reshape(-1), y.reshape(-1))
    t = np.arange(frames, dtype=np.float64)
    order = min(3, frames - 1)
    time = np.stack([t**p for p in range(order + 1)], axis=1)
    scale = np.abs(time).max(axis=0)
    in_time = np.linalg.pinv(time / scale) / scale[:, None]
    solution = np.einsum("pf,is,fsa->ipa", in_time, np.linalg.pinv(space), local)
    out = np.zeros((6, 3, 2))
    out[:, :order] = solution[:, 1:]
    flat = out.reshape(18, 2)
    return flat[:, 0], flat[:, 1]


def relion_basis(x: Array, y: Array) -> Array:
    """(..., 6): 1, x, x^2, y, y^2, xy (Zivanov et al. 2019, as RELION's motion STAR numbers them)."""
    return np.stack((np.ones_like(x), x, x * x, y, y * y, x * y), axis=-1)


def evaluate_polynomial(local: LocalMotion, x: Array, y: Array, frame_count: int) -> Array:
    """(F, ..., 2): RELION's model as `LocalMotion` stores it, in A, displacement beyond the whole-frame shift."""
    t = np.arange(frame_count, dtype=np.float64)
    powers = np.stack((t, t**2, t**3), axis=1)
    coefficients = np.stack(
        (
            np.asarray(local.coefficients_x_angstrom).reshape(6, 3),
            np.asarray(local.coefficients_y_angstrom).reshape(6, 3),
        ),
        axis=-1,
    )
    return np.asarray(np.einsum("fp,...i,ipa->f...a", powers, relion_basis(x, y), coefficients))
