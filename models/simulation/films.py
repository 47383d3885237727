"""What surrounds the particles besides ice (`frazil.models.optics.ice`): disordered protein at its surfaces, carbon.

Power spectra are those of the *projected potential* per unit area, in V^2 A^4 (so that amplitude per sqrt(area)).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frazil.models.optics.scattering import POTENTIAL_V_A2, electron_form_factor, solvent_potential_v

CARBON_PER_A3 = 0.1
RESIDUE_VOLUME_A3 = 134.0
RESIDUE_HEAVY_ATOMS = 7.8
RESIDUE_SCATTERING_A = 22.3
"""Sum of scattering factors at k = 0 over a mean residue with its hydrogens."""
RESIDUE_SIZE_ANGSTROM = 1.3
"""Standard deviation per axis of the atoms of a residue about its centre."""


def carbon_power(k_squared: Tensor, thickness_angstrom: float) -> Tensor:
    """Power of an amorphous carbon film: strong at low frequencies, where water is quiet (V^2 A^4)."""
    structure_factor = 0.3 + 0.7 * torch.sigmoid((torch.sqrt(k_squared) - 0.3) / 0.04)
    factor = POTENTIAL_V_A2 * electron_form_factor("C", k_squared)
    return CARBON_PER_A3 * thickness_angstrom * factor**2 * structure_factor


def denatured_film_power(k_squared: Tensor, thickness_angstrom: float, b_factor_a2: float) -> Tensor:
    """Power of disordered residues against the solvent: coherent within a residue at low k, atom by atom at high k."""
    contrast = POTENTIAL_V_A2 * RESIDUE_SCATTERING_A - solvent_potential_v() * RESIDUE_VOLUME_A3
    blob = torch.exp(-4.0 * math.pi**2 * RESIDUE_SIZE_ANGSTROM**2 * k_squared)
    carbon = electron_form_factor("C", k_squared)
    atom_shape = (carbon / electron_form_factor("C", torch.zeros(1, device=k_squared.device))) ** 2
    coherent = (1.0 - 1.0 / RESIDUE_HEAVY_ATOMS) * blob + atom_shape / RESIDUE_HEAVY_ATOMS
    disorder = torch.exp(-0.5 * b_factor_a2 * k_squared)
    return thickness_angstrom / RESIDUE_VOLUME_A3 * contrast**2 * coherent * disorder
