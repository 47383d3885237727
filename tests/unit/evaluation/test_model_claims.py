"""Claims about crystals hold for real ones, within their errors, and fail for impossible ones."""

from __future__ import annotations

import math
from dataclasses import replace

import gemmi
import pytest

from frazil.models.evaluation.logic import exact
from frazil.models.evaluation.logic.model_claims import model_claims
from frazil.models.symmetry_model import Cell, Helix, Operation, Sphere, SymmetryModel


def _crystal(group: str, *cell: float, molecules: int, mass_da: float) -> SymmetryModel:
    operations = tuple(
        Operation(tuple(entry // 24 for row in one.rot for entry in row), (one.tran[0], one.tran[1], one.tran[2]))
        for one in gemmi.find_spacegroup_by_name(group).operations()
    )
    a, b, c, alpha, beta, gamma = cell
    return SymmetryModel(group, Cell((a, b, c), (alpha, beta, gamma)), operations, len(operations), molecules, mass_da)


CRYSTALS = [
    _crystal("P 1", 27.07, 31.25, 33.76, 87.98, 108.0, 112.11, molecules=1, mass_da=14_300),
    _crystal("P 21 21 21", 54.9, 58.5, 67.6, 90, 90, 90, molecules=4, mass_da=23_300),
    _crystal("P 43 21 2", 79.1, 79.1, 37.9, 90, 90, 90, molecules=8, mass_da=14_300),
    _crystal("R 3 :H", 82.5, 82.5, 34.0, 90, 90, 120, molecules=18, mass_da=5_800),
    _crystal("R 3 :R", 49.0, 49.0, 49.0, 114.7, 114.7, 114.7, molecules=6, mass_da=5_800),
    _crystal("I 2 3", 345, 345, 345, 90, 90, 90, molecules=120, mass_da=137_000),
]


def _refuted(model: SymmetryModel, **box: float) -> set[str]:
    return {claim.name for claim in model_claims(model, **box) if exact.counter_example(claim)}  # type: ignore[arg-type]


@pytest.mark.parametrize("crystal", CRYSTALS, ids=[crystal.name for crystal in CRYSTALS])
def test_real_crystals_stand(crystal: SymmetryModel) -> None:
    assert _refuted(replace(crystal, spheres=(Sphere((0.11, 0.23, 0.37), 1.0),))) == set()


@pytest.mark.parametrize("crystal", CRYSTALS, ids=[crystal.name for crystal in CRYSTALS])
def test_the_volume_is_gemmis_within_the_slack(crystal: SymmetryModel) -> None:
    assert crystal.cell is not None
    volume = gemmi.UnitCell(*crystal.cell.lengths_angstrom, *crystal.cell.angles_deg).volume
    for coefficient, holds in ((1.59, False), (1.61, True), (3.99, True), (4.03, False)):
        exact_cell = replace(crystal.cell, error_percent=0.0, angle_error_deg=0.0)
        mass = volume / coefficient / crystal.molecules_per_cell  # type: ignore[operator]
        model = replace(crystal, cell=exact_cell, molecular_mass_da=mass)
        assert ("matthews" not in _refuted(model)) == holds, coefficient


def test_errors_are_in_favour_of_the_claim() -> None:
    crystal = CRYSTALS[2]
    # 0.3 % apart with edges known within 0.2 %: not false for sure.
    near = replace(crystal, cell=Cell((79.1, 79.34, 37.9), (90, 90.1, 89.9)))
    assert _refuted(near) == set()
    exact_cell = replace(near, cell=Cell((79.1, 79.34, 37.9), (90, 90, 90), error_percent=0.0, angle_error_deg=0.0))
    assert _refuted(exact_cell) == {"cell-fits-operations"}


@pytest.mark.parametrize("angles", [(130.0, 130.0, 130.0), (60.0, 60.0, 120.0), (40.0, 40.0, 110.0)])
def test_angles_that_close_no_cell_are_refuted(angles: tuple[float, float, float]) -> None:
    crystal = replace(CRYSTALS[0], cell=Cell((50.0, 50.0, 50.0), angles, 0.0, 0.0), spheres=(Sphere((0, 0, 0), 1.0),))
    flat = angles == (60.0, 60.0, 120.0)  # all three edges in a plane: no volume, within rounding
    assert ("cell-positive" in _refuted(crystal)) != flat


def test_mates_in_neighbouring_cells_are_found() -> None:
    # P 1: the only mates are lattice translations; two balls at opposite faces of the cell are 4 A apart.
    cell = Cell((40.0, 40.0, 40.0), (90.0, 90.0, 90.0), 0.0, 0.0)
    identity = Operation((1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 0, 0))
    for radius, clashes in ((1.9, False), (2.1, True)):
        balls = (Sphere((0.95, 0.5, 0.5), radius), Sphere((0.05, 0.5, 0.5), radius))
        model = SymmetryModel("two balls", cell, (identity,), spheres=balls)
        assert ("mates-apart" in _refuted(model)) == clashes
    # One's own molecule may overlap itself.
    inside = (Sphere((0.5, 0.5, 0.5), 5.0), Sphere((0.55, 0.5, 0.5), 5.0))
    assert _refuted(SymmetryModel("one ball", cell, (identity,), spheres=inside)) == set()
    # An oblique lattice, where the nearest translation is not along an edge: a - b is 20.7 A with a = b = 40 A, 30 deg.
    oblique = Cell((40.0, 40.0, 40.0), (90.0, 90.0, 30.0), 0.0, 0.0)
    short = 80.0 * math.sin(math.radians(15.0))
    for radius, clashes in ((short / 2 - 0.1, False), (short / 2 + 0.1, True)):
        model = SymmetryModel("oblique", oblique, (identity,), spheres=(Sphere((0.5, 0.5, 0.5), radius),))
        assert ("mates-apart" in _refuted(model)) == clashes


def test_a_helix() -> None:
    virus = SymmetryModel("TMV", helix=Helix(1.408, 22.03, 23.0, "right"))
    box = {"box_px": 200, "pixel_size_angstrom": 1.1}
    assert _refuted(virus, **box) == set()

    def wrong(**changes: object) -> set[str]:
        assert virus.helix is not None
        return _refuted(replace(virus, helix=replace(virus.helix, **changes)), **box)  # type: ignore[arg-type]

    assert wrong(pitch_angstrom=26.0) == {"helix-pitch"}
    assert wrong(hand="left") == {"helix-handed"}
    assert wrong(rise_angstrom=0.0, pitch_angstrom=None) == {"helix-rises"}
    assert wrong(rise_angstrom=150.0, pitch_angstrom=None) == {"helix-in-box"}


def test_what_is_not_said_claims_nothing() -> None:
    assert list(model_claims(SymmetryModel("nothing"), box_px=100, pixel_size_angstrom=1.0)) == []
    only_cell = {claim.name for claim in model_claims(SymmetryModel("cell", cell=CRYSTALS[0].cell))}
    assert only_cell == {"cell-positive"}
    achiral = replace(CRYSTALS[0], chiral=False, molecules_per_cell=None)
    assert {claim.name for claim in model_claims(achiral)} == {
        "cell-positive", "cell-fits-operations", "operations-closed", "operations-order",
    }  # fmt: skip
