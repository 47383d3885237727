"""From an atomic structure to electrostatic potential.

Isolated-atom scattering factors (`frazil.models.optics.scattering`), minus the solvent that each atom displaces
(a Gaussian of the atom's volume; Fraser, MacRae & Suzuki 1978, J. Appl. Cryst. 11, 693, with the volumes of Svergun,
Barberato & Koch 1995, J. Appl. Cryst. 28, 768). Hydrogens, which structures leave out, ride on their heavy atoms in
protein's mean proportions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.config.errors import FormatError
from frazil.models.optics.scattering import POTENTIAL_V_A2, electron_form_factor, solvent_potential_v

HYDROGENS_PER_ATOM = {"C": 1.2, "N": 1.25, "O": 0.17, "S": 0.3}
"""Mean composition of protein, C4.9 H7.8 N1.35 O1.5 per residue."""
VOLUME_A3 = {"H": 5.15, "C": 16.44, "N": 2.49, "O": 9.13, "S": 19.86, "P": 5.73}
OTHER_VOLUME_A3 = 10.0


@dataclass(frozen=True, slots=True)
class Atoms:
    """A structure, centred on its centre of mass. Axes as deposited, angstrom."""

    name: str
    position_angstrom: NDArray[np.float32]  # (n, 3) x, y, z
    element_index: NDArray[np.int64]  # (n,) into `elements`
    elements: tuple[str, ...]
    radius_angstrom: float
    """Largest distance of an atom from the centre."""


LARGEST_ASSEMBLY_ATOMS = 3_000_000


def read_atoms(path: Path, *, assembly: bool = False) -> Atoms:
    """Heavy atoms of the first model, waters and dummies left out.

    `assembly`: of its first biological assembly, where the file names one; else as it was deposited.

    Raises
    ------
    FormatError
        If the file is no structure, or has no atoms, or its assembly has more than 3 million.
    """
    try:
        structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError, OSError) as error:
        raise FormatError(
            f"not a PDB or mmCIF structure ({error})", path=path, remedy="give a .pdb or .cif file of atoms"
        ) from error
    positions: list[tuple[float, float, float]] = []
    names: list[str] = []
    mass: list[float] = []
    model: Any = structure[0] if len(structure) else ()
    if assembly and len(structure) and structure.assemblies:
        first = structure.assemblies[0]
        copies = sum(len(generator.operators) for generator in first.generators)
        if copies * model.count_atom_sites() > LARGEST_ASSEMBLY_ATOMS * max(len(first.generators), 1):
            raise FormatError(
                f"its assembly has more than {LARGEST_ASSEMBLY_ATOMS:,} atoms", path=path, remedy="give a smaller one"
            )
        model = gemmi.make_assembly(first, model, gemmi.HowToNameCopiedChain.Dup)
    for chain in model:
        for residue in chain:
            if residue.name in ("HOH", "DOD", "DUM"):
                continue
            for atom in residue:
                if atom.element.is_hydrogen or atom.altloc not in ("\0", "A") or atom.element.name == "X":
                    continue
                positions.append((atom.pos.x, atom.pos.y, atom.pos.z))
                names.append(atom.element.name)
                mass.append(atom.element.weight)
    if not positions:
        raise FormatError("the structure has no atoms", path=path, remedy="give a .pdb or .cif file of atoms")
    elements = tuple(sorted(set(names)))
    index = {name: number for number, name in enumerate(elements)}
    xyz = np.asarray(positions, dtype=np.float64)
    xyz -= np.average(xyz, axis=0, weights=np.asarray(mass))
    return Atoms(
        name=path.name.split(".")[0],
        position_angstrom=xyz.astype(np.float32),
        element_index=np.asarray([index[name] for name in names], dtype=np.int64),
        elements=elements,
        radius_angstrom=float(np.sqrt((xyz**2).sum(axis=1)).max()),
    )


def atom_transform(element: str, k_squared: Tensor, b_factor_a2: float) -> Tensor:
    """Fourier transform of one embedded atom's potential in V A^3: atom and its hydrogens minus displaced solvent."""
    hydrogens = HYDROGENS_PER_ATOM.get(element, 0.0)
    factor = electron_form_factor(element, k_squared)
    if hydrogens:
        factor = factor + hydrogens * electron_form_factor("H", k_squared)
    volume = VOLUME_A3.get(element, OTHER_VOLUME_A3) + hydrogens * VOLUME_A3["H"]
    displaced = solvent_potential_v() * volume * torch.exp(-math.pi * volume ** (2.0 / 3.0) * k_squared)
    return (POTENTIAL_V_A2 * factor - displaced) * torch.exp(-0.25 * b_factor_a2 * k_squared)
