"""The argument of the rings: CTF^2 = (1 - cos(2 chi)) / 2, and how 2 chi depends on what is fitted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from frazil.models.conventions import ANGSTROM_PER_MM
from frazil.models.optics.ctf import CtfParameters, constant_phase_rad
from frazil.models.optics.wavelength import electron_wavelength_angstrom

_TYPICAL_ASTIGMATISM_ANGSTROM = 600.0


@dataclass(frozen=True, slots=True)
class RingOptics:
    """What is known before the fit."""

    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float

    @property
    def wavelength_angstrom(self) -> float:
        return electron_wavelength_angstrom(self.voltage_kv)

    @property
    def defocus_gradient(self) -> float:
        """d(2 chi) / d(defocus * k^2) in radians."""
        return 2.0 * math.pi * self.wavelength_angstrom

    @property
    def cs_term_angstrom4(self) -> float:
        """2 chi holds minus this times k^4."""
        return math.pi * self.cs_mm * ANGSTROM_PER_MM * self.wavelength_angstrom**3

    def phase_without_defocus(self, k_squared: Tensor) -> Tensor:
        """2 chi at no defocus and no phase shift, radians."""
        constant = 2.0 * constant_phase_rad(self.amplitude_contrast, 0.0)
        return constant - self.cs_term_angstrom4 * k_squared * k_squared

    def parameters(self, defocus_u: float, defocus_v: float, angle_deg: float, phase_deg: float) -> CtfParameters:
        return CtfParameters(
            voltage_kv=self.voltage_kv,
            cs_mm=self.cs_mm,
            amplitude_contrast=self.amplitude_contrast,
            defocus_u_angstrom=defocus_u,
            defocus_v_angstrom=defocus_v,
            astigmatism_angle_deg=angle_deg,
            phase_shift_deg=phase_deg,
        )


def astigmatism_log_prior(astigmatism_angstrom: Tensor) -> Tensor:
    """Logarithm of the prior density of U - V relative to none.

    Two-dimensional Cauchy in (a_x, a_y): (1 + (a/600)^2)^(-3/2). It pays for the many sizes and directions of
    astigmatism among which the search could find a chance match, and costs a true 5,000 A only 6.4.
    """
    return -1.5 * torch.log1p((astigmatism_angstrom / _TYPICAL_ASTIGMATISM_ANGSTROM) ** 2)


def astigmatism_precision(astigmatism_angstrom: float) -> float:
    """Precision (1/A^2) with which the prior pulls each component a of half the astigmatism to none."""
    scale = 2.0 / _TYPICAL_ASTIGMATISM_ANGSTROM
    return 3.0 * scale * scale / (1.0 + (astigmatism_angstrom / _TYPICAL_ASTIGMATISM_ANGSTROM) ** 2)
