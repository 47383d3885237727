"""A known structure from a file, atoms or a map, as a density on the grid that is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from frazil.config.errors import UsageError
from frazil.models.atomic_model.potential import Atoms, read_atoms
from frazil.models.atomic_model.projection import potential_map
from frazil.models.reconstruction.calibration.known_structure import Structure
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.refine.initial_map import MODEL_SUFFIXES, read_map

_B_FACTOR_A2 = 60.0
"""Of all atoms: what a map has beyond it is told as its own."""
_MARGIN_ANGSTROM = 8.0
_LARGEST_BOX_PX = 640


@dataclass(frozen=True, slots=True)
class AtomicModel:
    """Atoms of a PDB or mmCIF file."""

    atoms: Atoms

    def density(self, pixel_size_angstrom: float) -> tuple[Tensor, float]:
        """See `Structure`."""
        wide_angstrom = 2 * (self.atoms.radius_angstrom + _MARGIN_ANGSTROM)
        box_px = 2 * math.ceil(wide_angstrom / (2 * pixel_size_angstrom))
        if box_px > _LARGEST_BOX_PX:
            raise UsageError(
                f"the structure is {wide_angstrom:.0f} A wide: more than can be compared at this resolution",
                remedy="give the part that the map shows",
            )
        volume = potential_map(
            self.atoms, box_px=box_px, pixel_size_angstrom=pixel_size_angstrom, b_factor_a2=_B_FACTOR_A2
        )
        return volume, pixel_size_angstrom


@dataclass(frozen=True, slots=True)
class MapModel:
    """A map whose pixel size is known."""

    volume: Tensor
    """(n, n, n), solvent at 0."""
    pixel_size_angstrom: float

    def density(self, pixel_size_angstrom: float) -> tuple[Tensor, float]:
        """See `Structure`: on more voxels where its own are too wide, by padding the transform."""
        n = self.volume.shape[0]
        times = math.ceil(self.pixel_size_angstrom / pixel_size_angstrom - 1e-6)
        if times <= 1:
            return self.volume, self.pixel_size_angstrom
        wide = times * n
        padded = torch.zeros((wide,) * 3, dtype=torch.complex64)
        low = wide // 2 - n // 2
        padded[(slice(low, low + n),) * 3] = centred_fft(self.volume, 3)
        return centred_ifft_real(padded, 3) * times**3, self.pixel_size_angstrom / times


def read_structure(path: Path) -> Structure:
    """Atoms (`.pdb`, `.cif`, `.gz` too; of the first biological assembly, where the file names one) or a cubic MRC map.

    Raises
    ------
    UsageError
        There is no such file.
    FormatError
        It is neither.
    """
    if not path.is_file():
        raise UsageError("the structure does not exist", path=path, remedy="give a PDB, mmCIF or MRC file")
    if path.name.lower().endswith(MODEL_SUFFIXES):
        return AtomicModel(read_atoms(path, assembly=True))
    values, pixel_size_angstrom = read_map(path)
    n = values.shape[0] - values.shape[0] % 2
    volume = torch.from_numpy(values[:n, :n, :n].copy())
    rim = torch.cat([volume[0].flatten(), volume[-1].flatten(), volume[:, 0].flatten(), volume[:, -1].flatten()])
    return MapModel(volume - rim.mean(), pixel_size_angstrom)
