"""Envelopes of partial coherence: how the finite source and the energy spread damp the CTF.

Both multiply the CTF (amplitude, not power). Sources: Frank 1973, Optik 38, 519 (finite source); Wade & Frank 1977,
Optik 49, 81 (both, weak phase object); Frank 2006, "Three-Dimensional Electron Microscopy", eqs 2.12-2.14; Reimer &
Kohl 2008, sections 3.4.2 and 6.4.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frazil.models.conventions import ANGSTROM_PER_MM
from frazil.models.optics.wavelength import electron_wavelength_angstrom, relativistic_focal_factor

MRAD_PER_RAD = 1.0e3
EV_PER_KEV = 1.0e3


def spatial_coherence_envelope(
    frequency_per_angstrom: Tensor,
    *,
    defocus_angstrom: Tensor | float,
    voltage_kv: float,
    cs_mm: float,
    source_half_angle_mrad: float,
) -> Tensor:
    """Amplitude envelope of a Gaussian source, for frequencies k in 1/A.

    E_s = exp(-(pi alpha / lambda)^2 (lambda dz k - Cs lambda^3 k^3)^2): the source has intensity
    exp(-(angle / alpha)^2), so `source_half_angle_mrad` (alpha) is its 1/e half-width (its standard deviation per axis
    is alpha / sqrt 2). `defocus_angstrom` broadcasts against the frequencies. The envelope is 1 where chi is
    stationary.
    """
    wavelength = electron_wavelength_angstrom(voltage_kv)
    cs_angstrom = cs_mm * ANGSTROM_PER_MM
    k = frequency_per_angstrom
    gradient = wavelength * defocus_angstrom * k - cs_angstrom * wavelength**3 * k**3
    return torch.exp(-((math.pi * source_half_angle_mrad / MRAD_PER_RAD / wavelength) ** 2) * gradient * gradient)


def focal_spread_angstrom(
    *,
    voltage_kv: float,
    cc_mm: float,
    energy_spread_ev: float,
    voltage_instability: float = 0.0,
    lens_current_instability: float = 0.0,
) -> float:
    """Standard deviation of the defocus in A.

    Delta = Cc sqrt((f_r sigma_E / E)^2 + (f_r sigma_V / V)^2 + (2 sigma_I / I)^2) with Cc in mm, the energy's standard
    deviation in eV (full width at half maximum / 2.355) and relative instabilities (standard deviations); f_r is the
    relativistic factor of Reimer & Kohl 2008 (section 2.4.1).
    """
    factor = relativistic_focal_factor(voltage_kv)
    relative_energy = factor * energy_spread_ev / (voltage_kv * EV_PER_KEV)
    total = math.sqrt(relative_energy**2 + (factor * voltage_instability) ** 2 + (2.0 * lens_current_instability) ** 2)
    return cc_mm * ANGSTROM_PER_MM * total


def temporal_coherence_envelope(
    frequency_per_angstrom: Tensor, *, voltage_kv: float, focal_spread_sd_angstrom: float
) -> Tensor:
    """Amplitude envelope of a Gaussian spread of defocus: E_t = exp(-(pi lambda Delta k^2)^2 / 2), k in 1/A.

    It is the mean of exp(i pi lambda dz k^2) over dz ~ N(0, Delta^2); `focal_spread_sd_angstrom` is Delta.
    """
    wavelength = electron_wavelength_angstrom(voltage_kv)
    phase_sd = math.pi * wavelength * focal_spread_sd_angstrom * frequency_per_angstrom**2
    return torch.exp(-0.5 * phase_sd * phase_sd)
