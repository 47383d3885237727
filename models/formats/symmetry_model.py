"""Reads the description of a crystal or helix: frazil's own YAML or JSON, or the records of mmCIF and PDB files.

    name: lysozyme
    cell: {lengths_angstrom: [79.1, 79.1, 37.9], angles_deg: [90, 90, 90]}
    space_group: P 43 21 2              # the operations too, where none are listed
    operations: ["x,y,z", {rotation: [0, -1, 0, 1, 0, 0, 0, 0, 1], translation_24ths: [12, 12, 18]}]
    molecules_per_cell: 8
    molecular_mass_da: 14300
    spheres: [{centre_fractional: [0.1, 0.2, 0.3], radius_angstrom: 8}]
    helix: {rise_angstrom: 1.408, twist_deg: 22.03, pitch_angstrom: 23.0, hand: right}

Everything but the name may be left out; what is not said makes no claim.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import gemmi
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from frazil.config.errors import SettingsError
from frazil.config.safe_yaml import MAX_YAML_BYTES, parse_yaml_mapping
from frazil.models.symmetry_model import (
    TRANSLATION_UNIT,
    Cell,
    Helix,
    Operation,
    Sphere,
    SymmetryModel,
)

_REMEDY = "describe it as docs/science.md shows (Logical consistency), or unset evaluation.model"
_Angle = Annotated[float, Field(gt=0, lt=180)]
_Length = Annotated[float, Field(gt=0, le=100_000)]
_LARGEST_ENTRY = 9
_Entry = Annotated[int, Field(ge=-_LARGEST_ENTRY, le=_LARGEST_ENTRY)]
_Fraction = Annotated[float, Field(ge=-1_000, le=1_000)]
"""Of a rotation in its lattice's basis; crystallographic ones hold -1, 0 and 1 (provers rely on less than 10)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Cell(_Part):
    lengths_angstrom: tuple[_Length, _Length, _Length]
    angles_deg: tuple[_Angle, _Angle, _Angle]
    error_percent: Annotated[float, Field(ge=0, le=10)] = 0.2
    angle_error_deg: Annotated[float, Field(ge=0, le=5)] = 0.1


class _Operation(_Part):
    rotation: Annotated[tuple[_Entry, ...], Field(min_length=9, max_length=9)]
    translation_24ths: tuple[int, int, int] = (0, 0, 0)


class _Sphere(_Part):
    centre_fractional: tuple[_Fraction, _Fraction, _Fraction]
    radius_angstrom: Annotated[float, Field(gt=0, le=10_000)]


class _Helix(_Part):
    rise_angstrom: Annotated[float, Field(ge=-10_000, le=10_000)]
    twist_deg: Annotated[float, Field(ge=-360, le=360)]
    pitch_angstrom: _Length | None = None
    hand: Literal["left", "right"] | None = None


class _Model(_Part):
    name: str | None = None
    cell: _Cell | None = None
    space_group: str | None = None
    operations: Annotated[tuple[str | _Operation, ...], Field(max_length=192)] = ()
    molecules_per_cell: Annotated[int, Field(ge=1, le=100_000)] | None = None
    molecular_mass_da: Annotated[float, Field(gt=0, le=1e9)] | None = None
    chiral: bool = True
    spheres: Annotated[tuple[_Sphere, ...], Field(max_length=64)] = ()
    helix: _Helix | None = None


@lru_cache(maxsize=8)
def read_symmetry_model(path: Path) -> SymmetryModel:
    """The described crystal or helix. Read once: a session is judged by one description.

    Raises
    ------
    SettingsError
        The file cannot be read, or says something that no crystal or helix can be described with. What is merely false
        (a mirror, a wrong cell) is not refused here: finding that out is the provers' work.
    """
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if suffixes & {".pdb", ".ent", ".cif", ".mmcif"}:
        return _from_coordinates(path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_YAML_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the model cannot be read ({error})", path=path, remedy=_REMEDY) from error
    return symmetry_model_of(parse_yaml_mapping(text, source=str(path)), path=path)


def symmetry_model_of(content: dict[str, Any], *, path: Path) -> SymmetryModel:
    """A parsed description; see `read_symmetry_model`."""
    try:
        said = _Model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{where}: {first['msg']}", path=path, remedy=_REMEDY) from error
    group = () if said.space_group is None else _space_group(said.space_group, said.cell, path)
    listed = tuple(_operation(one, path) for one in said.operations)
    return SymmetryModel(
        name=said.name or path.name,
        cell=None if said.cell is None else Cell(**said.cell.model_dump()),
        operations=listed or group,
        expected_operations=len(group) or None,
        molecules_per_cell=said.molecules_per_cell,
        molecular_mass_da=said.molecular_mass_da,
        chiral=said.chiral,
        spheres=tuple(Sphere(**sphere.model_dump()) for sphere in said.spheres),
        helix=None if said.helix is None else Helix(**said.helix.model_dump()),
    )


def _from_coordinates(path: Path) -> SymmetryModel:
    """Cell, space group, Z, and the mass of the sequences. Coarse spheres are not made from atoms: how far side chains
    reach into each other's gaps is not theirs to say."""
    try:
        structure = gemmi.read_structure(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"the model cannot be read ({error})", path=path, remedy=_REMEDY) from error
    if not structure.cell.is_crystal():
        return SymmetryModel(structure.name or path.name)
    box = structure.cell
    cell = Cell((box.a, box.b, box.c), (box.alpha, box.beta, box.gamma))
    group = _space_group(structure.spacegroup_hm or "P 1", cell, path)
    model = SymmetryModel(structure.name or path.name, cell, group, len(group))
    z = dict(structure.info.items()).get("_cell.Z_PDB", "")
    molecules = int(z) if z.isdigit() and int(z) > 0 else None
    mass = _mass_of_asymmetric_unit_da(structure)
    if mass is None:
        return dataclasses.replace(model, molecules_per_cell=molecules)
    copies = molecules or len(group)
    return dataclasses.replace(model, molecules_per_cell=copies, molecular_mass_da=mass * len(group) / copies)


def _mass_of_asymmetric_unit_da(structure: gemmi.Structure) -> float | None:
    """Of the polymers' whole sequences, hydrogens and disordered parts too; None: a sequence is not given."""
    structure.setup_entities()
    if len(structure) == 0 or structure.ncs:
        return None
    total = 0.0
    for chain in structure[0]:
        for part in chain.subchains():
            entity = structure.get_entity_of(part)
            if entity is None or entity.entity_type != gemmi.EntityType.Polymer:
                continue
            if not entity.full_sequence:
                return None
            total += gemmi.calculate_sequence_weight(entity.full_sequence)
    return total or None


def _space_group(name: str, cell: Cell | _Cell | None, path: Path) -> tuple[Operation, ...]:
    # Rhombohedral groups have two settings of one name: the angles tell which.
    alpha, _, gamma = (0.0, 0.0, 0.0) if cell is None else cell.angles_deg
    found = gemmi.find_spacegroup_by_name(name, alpha, gamma)
    if found is None:
        raise SettingsError(f"{name!r} is no space group", path=path, remedy="write it like `P 21 21 21`")
    return tuple(_from_gemmi(operation) for operation in found.operations())


def _operation(said: str | _Operation, path: Path) -> Operation:
    if isinstance(said, _Operation):
        return Operation(said.rotation, said.translation_24ths)
    try:
        return _from_gemmi(gemmi.Op(said))
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            f"{said!r} is no operation ({error})", path=path, remedy="write it like `-y,x,z+1/4`"
        ) from error


def _from_gemmi(operation: gemmi.Op) -> Operation:
    rows = [entry for row in operation.rot for entry in row]
    if any(entry % operation.DEN for entry in rows):
        raise ValueError("a rotation of a lattice has whole numbers")
    if max(map(abs, rows)) > _LARGEST_ENTRY * operation.DEN:
        raise ValueError(f"a rotation's entries lie between -{_LARGEST_ENTRY} and {_LARGEST_ENTRY}")
    x, y, z = (int(part) * TRANSLATION_UNIT // operation.DEN for part in operation.tran)
    return Operation(tuple(int(entry) // operation.DEN for entry in rows), (x, y, z))
