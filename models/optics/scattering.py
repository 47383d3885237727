"""How strongly atoms scatter electrons: form factors, potential, and the phase that it gives the wave.

Isolated-atom scattering factors (five Gaussians; Peng, Ren, Dudarev & Whelan 1996, Acta Cryst. A52, 257, as tabulated
in gemmi). V(r) = 47.878 V A^2 * FT[f], with f in A and k in 1/A (h^2 / (2 pi m_e e); Kirkland 2010, eq. 5.9 f.).
"""

from __future__ import annotations

import gemmi
import torch
from torch import Tensor

from frazil.models.optics.wavelength import ELECTRON_REST_ENERGY_KEV

POTENTIAL_V_A2 = 47.87801
"""h^2 / (2 pi m_e e): volt per (A of scattering factor per A^3)."""
WATER_PER_A3 = 0.0314
"""Molecules in vitreous ice at 0.94 g/cm^3."""


def electron_form_factor(element: str, k_squared: Tensor) -> Tensor:
    """Scattering factor of an isolated atom in A; `k_squared` in 1/A^2."""
    coefficients = gemmi.Element(element).c4322
    total = torch.zeros_like(k_squared)
    for a, b in zip(coefficients.a, coefficients.b, strict=True):
        total += a * torch.exp(-0.25 * b * k_squared)  # gemmi's b belongs to (sin(theta)/lambda)^2 = k^2 / 4
    return total


def solvent_potential_v() -> float:
    """Mean inner potential of ice from the same scattering factors (4.6 V)."""
    zero = torch.zeros(1)
    water = electron_form_factor("O", zero) + 2.0 * electron_form_factor("H", zero)
    return POTENTIAL_V_A2 * WATER_PER_A3 * float(water)


def interaction_rad_per_v_angstrom(voltage_kv: float, wavelength_angstrom: float) -> float:
    """sigma = 2 pi m e lambda / h^2 with relativistic mass: phase per projected potential; 6.526e-4 at 300 kV."""
    gamma = 1.0 + voltage_kv / ELECTRON_REST_ENERGY_KEV
    # h^2 / (2 pi m0 e) is POTENTIAL_V_A2, so 2 pi m e lambda / h^2 = gamma lambda / POTENTIAL_V_A2.
    return gamma * wavelength_angstrom / POTENTIAL_V_A2
