"""The five specimens of `picking_scenes.py`, built from deposited structures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import scipy.spatial
from numpy.typing import NDArray

NAMES = ("capsid", "pentamer", "membrane", "ribosome", "fibre")
LARGE = ("capsid", "membrane", "ribosome")
"""Of 200 kDa and more."""
_ELEMENTS = {"C": 0, "N": 1, "O": 2, "P": 3, "S": 3}
_TOUCHING_ANGSTROM = 3.0
_BELT_ANGSTROM, _BELT_HALF_HEIGHT_ANGSTROM = 22.0, 16.0
"""How far detergent reaches from the protein, and up and down."""
_BELT_ATOMS_PER_A3 = 0.25 / 16.5
"""A quarter of the protein's contrast against ice."""


@dataclass(frozen=True, slots=True)
class Specimen:
    xyz: NDArray[Any]
    """(n, 3) centred positions of heavy atoms (A); of a fibre one repeat, its axis along z."""
    element: NDArray[Any]
    """0 C, 1 N, 2 O, 3 P or S."""
    diameters_angstrom: tuple[float, float]
    """Shortest and longest extent; twice a fibre's radius."""
    mass_kda: float
    fibre: bool = False
    rise_angstrom: float = 0.0
    turn_deg: float = 0.0


@lru_cache(maxsize=2)
def load(name: str, folder: Path) -> Specimen:
    """One of NAMES.

    Raises
    ------
    KeyError
        If there is no such specimen.
    """
    return {
        "capsid": _capsid, "pentamer": _pentamer, "membrane": _membrane, "ribosome": _ribosome, "fibre": _fibre
    }[name](folder)  # fmt: skip


def _read(folder: Path, start: str, chain: str | None = None) -> tuple[gemmi.Structure, NDArray[Any], NDArray[Any]]:
    found = sorted(folder.glob(f"{start}*.gz"))
    if not found:
        raise SystemExit(f"no structure of {start} in {folder}")
    structure = gemmi.read_structure(str(found[0]))
    structure.remove_waters()
    structure.remove_hydrogens()
    position, element = [], []
    for part in structure[0]:
        if chain is not None and part.name != chain:
            continue
        for residue in part:
            # Orientations of Proteins in Membranes marks the membrane by dummy atoms.
            for atom in residue if residue.name != "DUM" else ():
                if atom.element.name in _ELEMENTS and atom.altloc in ("\0", "A"):
                    position.append(atom.pos.tolist())
                    element.append(_ELEMENTS[atom.element.name])
    return structure, np.array(position, dtype=np.float32), np.array(element)


def _made(xyz: NDArray[Any], element: NDArray[Any], mass: NDArray[np.bool_] | None = None) -> Specimen:
    xyz = (xyz - xyz.mean(0)).astype(np.float32)
    axes = np.linalg.svd(xyz[:: max(1, len(xyz) // 20_000)], full_matrices=False)[2]
    extent = np.ptp(np.percentile(xyz @ axes.T, [1, 99], axis=0), axis=0)
    longest = 2 * float(np.percentile(np.linalg.norm(xyz, axis=1), 98))
    weight = np.array([13.6, 15.3, 16.2, 32.0])[element if mass is None else element[mass]].sum()
    return Specimen(xyz, element, (float(extent.min()), max(longest, float(extent.min()))), float(weight) / 1e3)


def _ribosome(folder: Path) -> Specimen:
    return _made(*_read(folder, "4v4r")[1:])


def _capsid(folder: Path) -> Specimen:
    """60 copies by the entry's BIOMT matrices."""
    structure, xyz, element = _read(folder, "1ihm")
    operators = [g.transform for part in structure.assemblies[0].generators for g in part.operators]
    copies = [
        xyz @ np.array(o.mat.tolist(), dtype=np.float32).T + np.array(o.vec.tolist(), dtype=np.float32)
        for o in operators
    ]
    return _made(np.concatenate(copies), np.tile(element, len(copies)))


def _pentamer(folder: Path) -> Specimen:
    """Five copies of a 25 kDa subunit of the proteasome in a ring in which neighbours touch."""
    chain = _read(folder, "3j9i")[0][0][0].name
    _, xyz, element = _read(folder, "3j9i", chain)
    xyz = xyz - xyz.mean(0)
    turn = 2 * math.pi / 5
    spin = np.array(
        [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]], dtype=np.float32
    )
    low, high = 0.0, 120.0
    for _ in range(20):
        radius = (low + high) / 2
        one = xyz + np.array([radius, 0, 0], dtype=np.float32)
        away = np.min(scipy.spatial.cKDTree(one).query(one @ spin.T)[0])
        low, high = (low, radius) if away > _TOUCHING_ANGSTROM else (radius, high)
    one = xyz + np.array([high, 0, 0], dtype=np.float32)
    ring = [one @ np.linalg.matrix_power(spin, copy).T for copy in range(5)]
    return _made(np.concatenate(ring), np.tile(element, 5))


def _membrane(folder: Path) -> Specimen:
    """Two transporter trimers side by side in one belt of detergent (the membrane's normal is z)."""
    _, xyz, element = _read(folder, "2nwl")
    middle = xyz[:, :2].mean(0)
    xyz = xyz - np.array([*middle, 0], dtype=np.float32)
    other = xyz * np.array([-1, -1, 1], dtype=np.float32)
    low, high = 0.0, 150.0
    for _ in range(20):
        apart = (low + high) / 2
        away = np.min(scipy.spatial.cKDTree(xyz).query(other + np.array([apart, 0, 0], dtype=np.float32))[0])
        low, high = (low, apart) if away > _TOUCHING_ANGSTROM else (apart, high)
    both = np.concatenate([xyz, other + np.array([high, 0, 0], dtype=np.float32)])
    rng = np.random.default_rng(5)
    lowest, highest = both[:, :2].min(0) - _BELT_ANGSTROM, both[:, :2].max(0) + _BELT_ANGSTROM
    height = _BELT_HALF_HEIGHT_ANGSTROM
    count = int(_BELT_ATOMS_PER_A3 * np.prod(highest - lowest) * 2 * height)
    belt = np.column_stack([rng.uniform(lowest, highest, (count, 2)), rng.uniform(-height, height, count)])
    within = both[np.abs(both[:, 2]) < height]
    near = scipy.spatial.cKDTree(within[:, :2]).query(belt[:, :2])[0] < _BELT_ANGSTROM
    belt = belt[near & (scipy.spatial.cKDTree(both).query(belt)[0] > 4.0)].astype(np.float32)
    protein = np.arange(len(both) + len(belt)) < len(both)
    return _made(
        np.concatenate([both, belt]), np.concatenate([element, element, np.zeros(len(belt), dtype=np.int64)]), protein
    )


def _fibre(folder: Path) -> Specimen:
    """Three subunits of Pf1, repeated every 9.15 A along the helix (1ql2, _pdbx_helical_symmetry)."""
    _, xyz, element = _read(folder, "1ql2")
    xyz = xyz - np.array([0, 0, xyz[:, 2].mean()], dtype=np.float32)
    width = 2 * float(np.percentile(np.hypot(xyz[:, 0], xyz[:, 1]), 98))
    mass = float(np.array([13.6, 15.3, 16.2, 32.0])[element].sum()) / 1e3
    return Specimen(xyz, element, (width, width), mass, fibre=True, rise_angstrom=9.15, turn_deg=197.745)
