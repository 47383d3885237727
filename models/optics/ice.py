"""Vitreous ice: what it costs in electrons, and the pattern of its own that it adds.

Power spectra are those of the *projected potential* per unit area, in V^2 A^4 (so that amplitude per sqrt(area)).

Ice scatters as n t f(k)^2 S(k), with the molecule's scattering factor and the structure factor of low-density amorphous
ice. Its molecules are shaken by the beam: mean squared displacement 1.1 A^2 per e/A^2 in three dimensions (McMullan,
Vinothkumar & Henderson 2015, Ultramicroscopy 158, 26), so that its rings fade in the sum of frames while those of
carbon and of protein stay. Electrons lose energy with a mean free path of 395 nm at 300 kV (Rice et al. 2018, J.
Struct. Biol. 204, 38), and are then lost to the image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frazil.models.optics.scattering import POTENTIAL_V_A2, WATER_PER_A3, electron_form_factor
from frazil.models.optics.wavelength import ELECTRON_REST_ENERGY_KEV

ICE_MSD_PER_AXIS_A2_PER_E_PER_A2 = 1.1 / 3.0
INELASTIC_MEAN_FREE_PATH_300KV_NM = 395.0
_LOW_K_LEVEL, _LOW_K_RISE, _LOW_K_END_PER_ANGSTROM = 0.06, 0.1, 0.2
"""Structure factor at k = 0, what it gains with k^2, and where that ends."""
_EDGE_PER_ANGSTROM, _EDGE_WIDTH_PER_ANGSTROM = 0.245, 0.018
"""Where it rises to 1."""
_RINGS = ((1.25, 0.268, 0.022), (-0.35, 0.365, 0.03), (0.5, 0.485, 0.04))
"""Height, place and width (1/A) of the peak at 3.7 A, the dip after it and the second peak at 2.1 A."""


def beta_squared(voltage_kv: float) -> float:
    """(v/c)^2 of the electron."""
    return 1.0 - 1.0 / (1.0 + voltage_kv / ELECTRON_REST_ENERGY_KEV) ** 2


def inelastic_mean_free_path_nm(voltage_kv: float) -> float:
    """Measured at 300 kV, scaled with v^2 (Reimer & Kohl 2008, section 5.2.2; the logarithm is left out)."""
    return INELASTIC_MEAN_FREE_PATH_300KV_NM * beta_squared(voltage_kv) / beta_squared(300.0)


def transmitted_fraction(thickness_nm: float, voltage_kv: float) -> float:
    """Beer-Lambert: share of the electrons that lost no energy."""
    return math.exp(-thickness_nm / inelastic_mean_free_path_nm(voltage_kv))


def ice_structure_factor(k: Tensor) -> Tensor:
    """Molecular structure factor of low-density amorphous ice (k in 1/A).

    Approximate: nearly incompressible below 0.2 1/A, the sharp peak at 3.7 A, the second at 2.1 A, 1 beyond (drawn
    after Narten, Venkatesh & Rice 1976, J. Chem. Phys. 64, 1106 and Bowron et al. 2006, J. Chem. Phys. 125, 194502).
    """
    low = _LOW_K_LEVEL + _LOW_K_RISE * (k / _LOW_K_END_PER_ANGSTROM).clamp_max(1.0) ** 2
    total = low + (1.0 - low) * torch.sigmoid((k - _EDGE_PER_ANGSTROM) / _EDGE_WIDTH_PER_ANGSTROM)
    for height, place, width in _RINGS:
        total = total + height * torch.exp(-0.5 * ((k - place) / width) ** 2)
    return total


def ice_power(k_squared: Tensor, thickness_angstrom: float) -> Tensor:
    """Power of the ice's projected potential in V^2 A^4."""
    molecule = electron_form_factor("O", k_squared) + 2.0 * electron_form_factor("H", k_squared)
    number = WATER_PER_A3 * thickness_angstrom
    return number * (POTENTIAL_V_A2 * molecule) ** 2 * ice_structure_factor(torch.sqrt(k_squared))


def ice_decorrelation_rate(k_squared: Tensor) -> Tensor:
    """Rate at which a Fourier component of the ice forgets itself, per e/A^2: 2 pi^2 k^2 <u^2> per axis."""
    return 2.0 * math.pi**2 * ICE_MSD_PER_AXIS_A2_PER_E_PER_A2 * k_squared


def frame_average_amplitude(rate_times_dose: Tensor) -> Tensor:
    """Root-mean-square amplitude that is left of a decorrelating component averaged over one frame.

    x = rate * dose per frame; variance 2 (x - 1 + exp(-x)) / x^2 (average of an exponentially correlated process).
    """
    x = rate_times_dose.clamp_min(1e-3)
    return torch.sqrt(2.0 * (x - 1.0 + torch.exp(-x)) / (x * x))
