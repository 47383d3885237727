"""The ring pattern's parameters, what is known of its curves beforehand, and what a finite image leaves of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.ctf_fit import whittle_kernels
from frazil.models.ctf_fit.band import FloatArray
from frazil.models.ctf_fit.periodogram import PowerMap, overlap_table
from frazil.models.ctf_fit.phase import RingOptics

NOISE_KNOT_SPACING_PER_ANGSTROM = 0.035
RING_KNOT_SPACING_PER_ANGSTROM = 0.0125
PARAMETER_SCALE_ANGSTROM = 1000.0
"""Defocus is fitted in these units, so that all parameters are of order one."""
LOG_DELTA_MEAN = math.log(0.03)
_LOG_DELTA_SD = 2.5
_LOG_DELTA_SLOPE_SD_ANGSTROM = 40.0
_LOG_DELTA_CURVATURE_SD_ANGSTROM2 = 400.0
"""Of d2 ln(delta) / dk2: a Gaussian fall-off exp(-B k^2 / 2) of B = 400 A^2 is one sigma."""
_MOLECULE_SD = 0.3
_MOLECULE_REACH_PER_ANGSTROM = 0.09
"""Fluctuation of ln(delta) from knot to knot by the molecules' own transform, gone beyond this frequency."""


@dataclass(frozen=True, slots=True)
class RingParameters:
    """Mean defocus, the two components of half the astigmatism (A), phase shift (rad)."""

    defocus_angstrom: float
    astigmatism_x_angstrom: float
    astigmatism_y_angstrom: float
    phase_shift_rad: float

    @property
    def astigmatism_angstrom(self) -> float:
        """U - V."""
        return 2.0 * math.hypot(self.astigmatism_x_angstrom, self.astigmatism_y_angstrom)

    @property
    def angle_rad(self) -> float:
        return 0.5 * math.atan2(self.astigmatism_y_angstrom, self.astigmatism_x_angstrom)

    def vector(self) -> FloatArray:
        return np.array(
            [
                self.defocus_angstrom / PARAMETER_SCALE_ANGSTROM,
                self.astigmatism_x_angstrom / PARAMETER_SCALE_ANGSTROM,
                self.astigmatism_y_angstrom / PARAMETER_SCALE_ANGSTROM,
                self.phase_shift_rad,
            ]
        )


def ring_parameters(vector: FloatArray) -> RingParameters:
    scaled = vector[:3] * PARAMETER_SCALE_ANGSTROM
    return RingParameters(float(scaled[0]), float(scaled[1]), float(scaled[2]), float(vector[3]))


def ring_prior(knots: FloatArray) -> FloatArray:
    """Precision matrix of the coefficients of ln(delta) about their prior mean."""
    spacing = float(knots[1] - knots[0])
    size = len(knots) + 2
    first, second = (np.diff(np.eye(size), n=order, axis=0) for order in (1, 2))
    # Coefficient j belongs to the knot j - 1; the middle of the three of a second difference is j + 1.
    middle = knots[0] + spacing * np.arange(size - 2)
    smooth_sd = _LOG_DELTA_CURVATURE_SD_ANGSTROM2 * spacing**2
    rough_sd = _MOLECULE_SD * np.exp(-((middle / _MOLECULE_REACH_PER_ANGSTROM) ** 2))
    precision = second.T @ ((1.0 / (smooth_sd**2 + rough_sd**2))[:, None] * second)
    precision = precision + first.T @ first / ((_LOG_DELTA_SLOPE_SD_ANGSTROM * spacing) ** 2 * (size - 1))
    whole: FloatArray = precision + np.eye(size) / (_LOG_DELTA_SD**2 * size)
    return whole


def contrast_displacement(
    kx: Tensor, ky: Tensor, optics: RingOptics, parameters: RingParameters
) -> tuple[Tensor, Tensor]:
    """grad(2 chi) / 2 pi in A, the distance between the two displaced images of a detail at (kx, ky); shape of kx."""
    half = optics.defocus_gradient / math.pi  # 2 lambda
    common = half * parameters.defocus_angstrom - optics.cs_term_angstrom4 * 4.0 * (kx * kx + ky * ky) / (2.0 * math.pi)
    shift_x = common * kx + half * (parameters.astigmatism_x_angstrom * kx + parameters.astigmatism_y_angstrom * ky)
    shift_y = common * ky + half * (parameters.astigmatism_y_angstrom * kx - parameters.astigmatism_x_angstrom * ky)
    return shift_x, shift_y


def ring_contrast(
    kx: NDArray[np.float32],
    ky: NDArray[np.float32],
    optics: RingOptics,
    spectrum: PowerMap,
    parameters: RingParameters,
) -> NDArray[np.float32]:
    """Loss of contrast of cos(2 chi) by the window's finite size and by block means (1: none), shape of kx.

    The contrast is displaced by d = grad(2 chi) / 2 pi; the window keeps its autocorrelation at d, and a mean over a
    block of width b in frequency keeps sinc(b d) along each axis.
    """
    half = optics.defocus_gradient / math.pi
    table = overlap_table()
    steps = len(table) - 1
    block = 0.0 if spectrum.block == 1 else math.pi * spectrum.block
    loss: NDArray[np.float32] = whittle_kernels.contrast(
        kx,
        ky,
        table,
        steps / spectrum.width_angstrom,
        steps / spectrum.height_angstrom,
        block / spectrum.width_angstrom,
        block / spectrum.height_angstrom,
        half * parameters.defocus_angstrom,
        optics.cs_term_angstrom4 * 2.0 / math.pi,
        half * np.array([parameters.astigmatism_x_angstrom, parameters.astigmatism_y_angstrom]),
    )
    return loss
