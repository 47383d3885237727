"""Descriptions of crystals and helices are read as written, and nonsense is refused with its file and place."""

from __future__ import annotations

from pathlib import Path

import gemmi
import pytest

from frazil.config.errors import SettingsError
from frazil.models.formats.symmetry_model import read_symmetry_model
from frazil.models.symmetry_model import Helix, Operation, Sphere

LYSOZYME = """
name: lysozyme
cell: {lengths_angstrom: [79.1, 79.1, 37.9], angles_deg: [90, 90, 90]}
space_group: P 43 21 2
molecules_per_cell: 8
molecular_mass_da: 14300
spheres: [{centre_fractional: [0.1, 0.2, 0.3], radius_angstrom: 8}]
"""


def _write(folder: Path, text: str, name: str = "model.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_crystal_with_the_operations_of_its_space_group(tmp_path: Path) -> None:
    model = read_symmetry_model(_write(tmp_path, LYSOZYME))
    assert (model.name, model.expected_operations, len(model.operations)) == ("lysozyme", 8, 8)
    # International Tables A, no. 96: general position (3) is -y+1/2, x+1/2, z+3/4
    assert Operation((0, -1, 0, 1, 0, 0, 0, 0, 1), (12, 12, 18)) in model.operations
    assert model.spheres == (Sphere((0.1, 0.2, 0.3), 8.0),)
    assert (model.molecules_per_cell, model.molecular_mass_da, model.chiral) == (8, 14_300.0, True)


def test_listed_operations_are_taken_as_they_are(tmp_path: Path) -> None:
    text = """
    space_group: P 21 21 21
    operations: ["x,y,z", "-x,y+1/2,-z", {rotation: [1, 0, 0, 0, 1, 0, 0, 0, -1], translation_24ths: [0, 0, 8]}]
    """
    model = read_symmetry_model(_write(tmp_path, text))
    assert model.expected_operations == 4
    assert model.operations[1:] == (
        Operation((-1, 0, 0, 0, 1, 0, 0, 0, -1), (0, 12, 0)),
        Operation((1, 0, 0, 0, 1, 0, 0, 0, -1), (0, 0, 8)),
    )
    assert (model.cell, model.helix) == (None, None)


def test_a_rhombohedral_group_is_the_one_of_its_angles(tmp_path: Path) -> None:
    cell = "cell: {{lengths_angstrom: [{0}], angles_deg: [{1}]}}\nspace_group: R 3\n"
    hexagonal = _write(tmp_path, cell.format("82.5, 82.5, 34", "90, 90, 120"), "h.yaml")
    primitive = _write(tmp_path, cell.format("49, 49, 49", "114.7, 114.7, 114.7"), "r.yaml")
    assert [len(read_symmetry_model(path).operations) for path in (hexagonal, primitive)] == [9, 3]


def test_a_helix_in_json(tmp_path: Path) -> None:
    text = '{"helix": {"rise_angstrom": 1.408, "twist_deg": 22.03, "pitch_angstrom": 23.0, "hand": "right"}}'
    model = read_symmetry_model(_write(tmp_path, text, "tmv.json"))
    assert model.helix == Helix(1.408, 22.03, 23.0, "right")
    assert model.name == "tmv.json"


@pytest.mark.parametrize("suffix", ["pdb", "cif"])
def test_the_records_of_a_coordinate_file(suffix: str, tmp_path: Path) -> None:
    structure = gemmi.Structure()
    structure.name = "test"
    structure.cell = gemmi.UnitCell(79.1, 79.1, 37.9, 90, 90, 90)
    structure.spacegroup_hm = "P 43 21 2"
    structure.info["_cell.Z_PDB"] = "8"
    chain = gemmi.Chain("A")
    for number in range(1, 131):
        residue = gemmi.Residue()
        residue.name, residue.seqid, residue.entity_type = "ALA", gemmi.SeqId(str(number)), gemmi.EntityType.Polymer
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos = "CA", gemmi.Element("C"), gemmi.Position(3.8 * number, 0, 0)
        residue.add_atom(atom)
        chain.add_residue(residue)
    model = gemmi.Model("1") if isinstance(gemmi.Model("1").num, str) else gemmi.Model(1)
    model.add_chain(chain)
    structure.add_model(model)
    structure.setup_entities()
    structure.entities[0].full_sequence = ["ALA"] * 130
    path = tmp_path / f"test.{suffix}"
    if suffix == "pdb":
        structure.write_pdb(str(path))
    else:
        structure.make_mmcif_document().write_file(str(path))
    read = read_symmetry_model(path)
    assert read.cell is not None
    assert read.cell.lengths_angstrom == (79.1, 79.1, 37.9)
    assert (read.expected_operations, len(read.operations), read.molecules_per_cell) == (8, 8, 8)
    # 130 alanines of 71.08 Da and one water
    assert read.molecular_mass_da == pytest.approx(130 * 71.08 + 18.02, rel=1e-3)


def test_a_model_of_no_crystal_claims_nothing(tmp_path: Path) -> None:
    path = _write(tmp_path, "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\nEND\n", "em.pdb")
    model = read_symmetry_model(path)
    assert (model.cell, model.operations, model.helix) == (None, (), None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("space_group: P 99\n", "'P 99' is no space group"),
        ("operations: ['x,y']\n", "'x,y' is no operation"),
        ("operations: ['x/2,y,z']\n", "is no operation"),
        ("cell: {lengths_angstrom: [1, 2, 0], angles_deg: [90, 90, 90]}\n", "cell.lengths_angstrom.2"),
        ("cell: {lengths_angstrom: [1, 2, .nan], angles_deg: [90, 90, 90]}\n", "cell.lengths_angstrom.2"),
        ("colour: red\n", "colour"),
        ("name: [1\n", "line 2"),
        ("helix: {rise_angstrom: 1, twist_deg: 2, hand: up}\n", "helix.hand"),
    ],
)
def test_nonsense_is_refused_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        read_symmetry_model(path)
    assert says in caught.value.what
    assert caught.value.path == str(path)
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["gone.yaml", "gone.pdb", "gone.cif"])
def test_a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_symmetry_model(tmp_path / name)
