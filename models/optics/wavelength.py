"""Relativistic wavelength of the electrons, from the accelerating voltage.

lambda = h / sqrt(2 m e U (1 + e U / (2 m c^2))), with the CODATA 2018 constants (h, e and c are exact in the SI
of 2019). Source: Reimer & Kohl 2008, "Transmission Electron Microscopy", eq. 2.12.
"""

from __future__ import annotations

import math

PLANCK_J_S = 6.62607015e-34
ELEMENTARY_CHARGE_C = 1.602176634e-19
SPEED_OF_LIGHT_M_PER_S = 299_792_458.0
ELECTRON_MASS_KG = 9.1093837015e-31

ELECTRON_REST_ENERGY_KEV = ELECTRON_MASS_KG * SPEED_OF_LIGHT_M_PER_S**2 / ELEMENTARY_CHARGE_C / 1.0e3
ANGSTROM_PER_M = 1.0e10


def electron_wavelength_angstrom(voltage_kv: float) -> float:
    """Wavelength in angstrom at an accelerating voltage in kilovolt.

    >>> [round(electron_wavelength_angstrom(voltage_kv), 6) for voltage_kv in (300.0, 200.0)]
    [0.019687, 0.025079]

    Raises
    ------
    ValueError
        If the voltage is not positive and finite.
    """
    if not (math.isfinite(voltage_kv) and voltage_kv > 0.0):
        raise ValueError(f"the accelerating voltage must be positive, not {voltage_kv} kV")
    energy_j = voltage_kv * 1.0e3 * ELEMENTARY_CHARGE_C
    momentum = math.sqrt(2.0 * ELECTRON_MASS_KG * energy_j * (1.0 + voltage_kv / (2.0 * ELECTRON_REST_ENERGY_KEV)))
    return PLANCK_J_S / momentum * ANGSTROM_PER_M


def relativistic_focal_factor(voltage_kv: float) -> float:
    """(1 + E/E0) / (1 + E/(2 E0)): how much more than dE/E the focal length changes with the energy.

    Reimer & Kohl 2008, eq. 2.65 f.: df = Cc * dE/E * this factor; 1.227 at 300 kV.
    """
    ratio = voltage_kv / ELECTRON_REST_ENERGY_KEV
    return (1.0 + ratio) / (1.0 + 0.5 * ratio)
