"""Smooth functions over the frame in which local motion is written.

All are orthonormal over the frame (mean of f_m f_n over x, y in -0.5..0.5 is delta_mn), the first is the constant 1,
and the rest go from smooth to rough in groups, so that a prior can trust each group as far as the movie supports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre
from scipy.interpolate import BSpline

Array = npt.NDArray[np.float64]
_SPLINE_DEGREE = 3
_QUADRATURE_POINTS = 48
"""Gauss-Legendre; products of two splines over each of a few intervals are integrated to 1e-6."""


@dataclass(frozen=True)
class SpatialBasis:
    """Polynomials up to a total degree, or a tensor grid of cubic B-splines.

    `order` is the highest total degree, or the number of splines along each axis (at least 4).
    """

    kind: Literal["polynomial", "spline"] = "polynomial"
    order: int = 2

    def __post_init__(self) -> None:
        lowest = 0 if self.kind == "polynomial" else _SPLINE_DEGREE + 1
        if self.order < lowest:
            raise ValueError(f"a {self.kind} basis has order {lowest} or more, not {self.order}")

    def __len__(self) -> int:
        return len(self.groups)

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Roughness of each function: 0 for the constant, then the degree (or the like for splines)."""
        if self.kind == "polynomial":
            return tuple(a + b for a, b in self._degrees)
        _, roughness = self._spline_modes
        # A polynomial of degree n has about pi n half waves over the frame: the same scale for both kinds.
        return tuple(round(float(np.sqrt(max(value, 0.0))) / np.pi) for value in roughness)

    def values(self, x: Array, y: Array) -> Array:
        """(..., M) at x, y in -0.5..0.5."""
        if self.kind == "polynomial":
            along_x, along_y = _legendre(x, self.order), _legendre(y, self.order)
            return np.stack([along_x[..., a] * along_y[..., b] for a, b in self._degrees], axis=-1)
        transform, _ = self._spline_modes
        raw = _splines(x, self.order)[..., :, None] * _splines(y, self.order)[..., None, :]
        return np.asarray(raw.reshape(*np.shape(x), -1) @ transform)

    def up_to(self, group: int) -> npt.NDArray[np.intp]:
        """Indices of the functions of roughness 0..group."""
        return np.flatnonzero(np.asarray(self.groups) <= group)

    @cached_property
    def _degrees(self) -> tuple[tuple[int, int], ...]:
        return tuple((total - b, b) for total in range(self.order + 1) for b in range(total + 1))

    @cached_property
    def _spline_modes(self) -> tuple[Array, Array]:
        """Columns that make orthonormal functions of the splines' products, smooth first, and their roughness."""
        nodes, weights = legendre.leggauss(_QUADRATURE_POINTS)
        at, weights = nodes / 2.0, weights / 2.0
        one = _splines(at, self.order)
        slope = _splines(at, self.order, derivative=1)
        mass, stiff = one.T @ (weights[:, None] * one), slope.T @ (weights[:, None] * slope)
        whole_mass = np.kron(mass, mass)
        whole_stiff = np.kron(stiff, mass) + np.kron(mass, stiff)
        root = np.linalg.inv(np.linalg.cholesky(whole_mass)).T
        roughness, vectors = np.linalg.eigh(root.T @ whole_stiff @ root)
        modes = root @ vectors
        # B-splines add up to 1: the smoothest mode is the constant, here with its sign.
        modes[:, 0] = 1.0
        return modes, np.asarray(roughness)


def _legendre(at: Array, degree: int) -> Array:
    """(..., degree + 1), orthonormal over -0.5..0.5."""
    scale = np.sqrt(2.0 * np.arange(degree + 1) + 1.0)
    return np.asarray(legendre.legvander(2.0 * np.asarray(at, dtype=np.float64), degree) * scale)


def _splines(at: Array, count: int, derivative: int = 0) -> Array:
    """(..., count) clamped uniform cubic B-splines over -0.5..0.5."""
    inner = np.linspace(-0.5, 0.5, count - _SPLINE_DEGREE + 1)
    knots = np.concatenate((np.full(_SPLINE_DEGREE, -0.5), inner, np.full(_SPLINE_DEGREE, 0.5)))
    spline = BSpline(knots, np.eye(count), _SPLINE_DEGREE)
    return np.asarray(spline(np.clip(at, -0.5, 0.5), nu=derivative), dtype=np.float64)
