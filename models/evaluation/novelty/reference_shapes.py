"""Shapes of reference structures, read from the files that archives hold: atomic models and maps."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.config.errors import FormatError, HeaderLimitError, TruncatedFileError
from frazil.models.atomic_model.potential import Atoms, read_atoms
from frazil.models.atomic_model.projection import potential_map
from frazil.models.evaluation.novelty.shape_descriptor import descriptor
from frazil.models.evaluation.novelty.shape_map import LEVELS_ANGSTROM, describe_map

MODEL_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".pdb.gz", ".ent.gz", ".cif.gz", ".mmcif.gz")
MAP_SUFFIXES = (".mrc", ".map", ".ccp4", ".mrc.gz", ".map.gz", ".ccp4.gz")
_PIXEL_ANGSTROM = 3.0
"""Of maps made from atoms: what is finer than 7.5 A is gone at the finest level."""
_B_FACTOR_A2 = 100.0
_MARGIN_ANGSTROM = 40.0
_LARGEST_RADIUS_ANGSTROM = 480.0
_LARGEST_VOXELS = 768**3
_HEADER_BYTES = 1024


@dataclass(frozen=True, slots=True)
class ReferenceShape:
    """What one structure looks like at every level."""

    name: str
    """The file's name without its endings; the biological assembly of a model has ` (assembly)` behind it if it is not
    what was deposited."""
    descriptors: tuple[NDArray[np.float32], ...]
    """One for each of `LEVELS_ANGSTROM`."""
    radius_of_gyration_angstrom: float


def is_reference(path: Path) -> bool:
    """Whether the name is one of a model or of a map."""
    return not path.name.startswith(".") and path.name.lower().endswith((*MODEL_SUFFIXES, *MAP_SUFFIXES))


def read_shapes(path: Path) -> Iterator[ReferenceShape]:
    """The shapes of one file: of a map one; of a model what was deposited, and its first assembly if it is another.

    Raises
    ------
    FormatError
        If the file is damaged, not what its name says, or shows no particle; the message names it.
    """
    name = _stem(path)
    try:
        if path.name.lower().endswith(MAP_SUFFIXES):
            yield _shape(name, *read_cube(path))
            return
        deposited = read_atoms(path)
        yield _of_atoms(name, deposited, path)
        whole = read_atoms(path, assembly=True)
        if len(whole.position_angstrom) != len(deposited.position_angstrom):
            yield _of_atoms(f"{name} (assembly)", whole, path)
    except ValueError as error:
        raise FormatError(str(error), path=path, remedy="take it out of the folder of references") from error


def _stem(path: Path) -> str:
    lower = path.name.lower()
    ending = max((end for end in (*MODEL_SUFFIXES, *MAP_SUFFIXES) if lower.endswith(end)), key=len)
    return path.name[: -len(ending)]


def _of_atoms(name: str, atoms: Atoms, path: Path) -> ReferenceShape:
    if atoms.radius_angstrom > _LARGEST_RADIUS_ANGSTROM:
        raise FormatError(
            f"an atom lies {atoms.radius_angstrom:.0f} A from the centre, more than {_LARGEST_RADIUS_ANGSTROM:.0f}",
            path=path,
            remedy="take it out of the folder of references, or cut it to the particle",
        )
    box = 8 * int(np.ceil((atoms.radius_angstrom + _MARGIN_ANGSTROM) / _PIXEL_ANGSTROM / 4))
    volume = potential_map(atoms, box_px=box, pixel_size_angstrom=_PIXEL_ANGSTROM, b_factor_a2=_B_FACTOR_A2)
    return _shape(name, volume, _PIXEL_ANGSTROM)


def _shape(name: str, volume: Tensor, pixel_size_angstrom: float) -> ReferenceShape:
    described = [describe_map(volume, pixel_size_angstrom, level) for level in LEVELS_ANGSTROM]
    return ReferenceShape(
        name, tuple(descriptor(one.whole) for one in described), described[0].radius_of_gyration_angstrom
    )


def read_cube(path: Path) -> tuple[Tensor, float]:
    """A map as (n, n, n) [z, y, x] and its pixel in A: axes in their order, padded to a cube, its rim at 0.

    Raises
    ------
    FormatError
        If it is no map, or its pixels are no cubes; the message names the file.
    """
    _check_header(path)
    try:
        found = gemmi.read_ccp4_map(str(path))
        found.setup(float("nan"))
    except (RuntimeError, ValueError, OSError, EOFError) as error:
        raise FormatError(f"not an MRC or CCP4 map ({error})", path=path) from error
    values = np.nan_to_num(np.array(found.grid, copy=True, dtype=np.float32)).transpose(2, 1, 0)  # x, y, z before
    cell = found.grid.unit_cell
    spacing = [length / count for length, count in zip((cell.c, cell.b, cell.a), values.shape, strict=True)]
    if not min(spacing) > 0 or max(spacing) > 1.01 * min(spacing):
        raise FormatError(
            f"its pixels are {spacing[2]:g} x {spacing[1]:g} x {spacing[0]:g} A, not those of a cube",
            path=path,
            remedy="resample it, or set its cell",
        )
    size = 2 * -(-max(values.shape) // 2)
    cube = np.zeros((size,) * 3, dtype=np.float32)
    corner = [(size - count) // 2 for count in values.shape]
    place = tuple(slice(start, start + count) for start, count in zip(corner, values.shape, strict=True))
    rim = np.concatenate([face.ravel() for axis in range(3) for face in (values.take(0, axis), values.take(-1, axis))])
    cube[place] = values - float(rim.mean())
    return torch.from_numpy(cube), float(np.mean(spacing))


def _check_header(path: Path) -> None:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rb") as file:
            block = file.read(_HEADER_BYTES)
    except (OSError, EOFError) as error:
        raise FormatError(f"cannot be read ({error})", path=path) from error
    if len(block) < _HEADER_BYTES:
        raise TruncatedFileError(f"ends after {len(block)} bytes, within its header of {_HEADER_BYTES}", path=path)
    sizes = struct.unpack_from("<3i", block)
    if max(sizes) > 1 << 16 or min(sizes) < 0:
        sizes = struct.unpack_from(">3i", block)
    if min(sizes) <= 0:
        raise FormatError(f"its header counts {sizes} voxels", path=path)
    if sizes[0] * sizes[1] * sizes[2] > _LARGEST_VOXELS:
        raise HeaderLimitError(f"its header claims {sizes} voxels, more than {_LARGEST_VOXELS:,}", path=path)
