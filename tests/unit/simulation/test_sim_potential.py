"""Potential and projections against closed forms and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from frazil.config.errors import FormatError, UsageError
from frazil.models.atomic_model.potential import Atoms, atom_transform, read_atoms
from frazil.models.atomic_model.projection import euler_matrix, potential_map, project_atoms, random_euler_deg
from frazil.models.optics.scattering import solvent_potential_v
from frazil.models.simulation.structures import STRUCTURE_FILES, structure_path

BOX, PIXEL, B = 96, 2.0, 60.0


@pytest.fixture(scope="module")
def gltph() -> Atoms:
    return read_atoms(structure_path("gltph"))


def test_solvent_potential_is_that_of_isolated_water_molecules() -> None:
    # f(0): O 1.983 A, H 0.529 A (Peng et al. 1996), 0.0314 molecules per A^3, h^2/(2 pi m e) = 47.878 V A^2
    assert solvent_potential_v() == pytest.approx(47.878 * 0.0314 * (1.9834 + 2 * 0.5288), rel=1e-3)


def test_protein_stands_out_of_ice_by_three_volts(gltph: Atoms) -> None:
    zero = torch.zeros(1)
    scattered = sum(
        float(atom_transform(element, zero, 0.0)) * int((gltph.element_index == number).sum())
        for number, element in enumerate(gltph.elements)
    )
    residues_volume = len(gltph.position_angstrom) / 7.8 * 134.0
    assert 2.5 < scattered / residues_volume < 4.5


def test_integral_of_the_map_is_the_sum_of_the_atoms(gltph: Atoms) -> None:
    volume = potential_map(gltph, box_px=BOX, pixel_size_angstrom=PIXEL, b_factor_a2=B)
    zero = torch.zeros(1)
    expected = sum(
        float(atom_transform(element, zero, B)) * int((gltph.element_index == number).sum())
        for number, element in enumerate(gltph.elements)
    )
    assert float(volume.double().sum()) * PIXEL**3 == pytest.approx(expected, rel=1e-4)


def test_projection_at_the_identity_is_the_sum_along_z(gltph: Atoms) -> None:
    volume = potential_map(gltph, box_px=BOX, pixel_size_angstrom=PIXEL, b_factor_a2=B)
    projection = project_atoms(gltph, (0.0, 0.0, 0.0), box_px=BOX, pixel_size_angstrom=PIXEL, b_factor_a2=B)
    along_z = volume.sum(dim=0) * PIXEL
    assert float((projection - along_z).norm() / along_z.norm()) < 0.01


def direct_transform(
    atoms: Atoms, pose: tuple[float, float, float], k_per_angstrom: np.ndarray, b: float
) -> np.ndarray:
    """Sum over atoms of f(k) exp(-2 pi i k x) along x, without any grid."""
    x = (atoms.position_angstrom @ euler_matrix(*pose).T)[:, 0]
    total = np.zeros(len(k_per_angstrom), complex)
    for number, element in enumerate(atoms.elements):
        factor = atom_transform(element, torch.from_numpy(k_per_angstrom**2), b).numpy()
        waves = np.exp(-2j * np.pi * np.outer(k_per_angstrom, x[atoms.element_index == number]))
        total += factor * waves.sum(axis=1)
    return total


def test_projection_is_the_sum_over_atoms_without_a_grid(gltph: Atoms) -> None:
    pose, pixel, box = (20.0, 40.0, 60.0), 1.3, 144
    image = project_atoms(gltph, pose, box_px=box, pixel_size_angstrom=pixel, b_factor_a2=B).double()
    along_x = torch.fft.rfft2(torch.roll(image, (-box // 2, -box // 2), (0, 1)))[0].numpy() * pixel**2
    k = np.fft.rfftfreq(box, pixel)
    expected = direct_transform(gltph, pose, k, B)
    for low, high, allowed in ((0.0, 0.1, 0.003), (0.1, 0.2, 0.02), (0.2, 0.26, 0.1)):
        band = (k >= low) & (k < high)
        assert np.linalg.norm((along_x - expected)[band]) < allowed * np.linalg.norm(expected[band])


def test_shift_moves_towards_larger_columns_and_rows(gltph: Atoms) -> None:
    arguments = {"box_px": BOX, "pixel_size_angstrom": PIXEL, "b_factor_a2": 200.0}
    still = project_atoms(gltph, (0.0, 0.0, 0.0), **arguments)
    moved = project_atoms(gltph, (0.0, 0.0, 0.0), shift_px=(3.0, -5.0), **arguments)
    torch.testing.assert_close(moved, torch.roll(still, (-5, 3), (0, 1)), rtol=0, atol=0.02 * float(still.max()))


@pytest.mark.parametrize("seed", range(5))
def test_euler_matrix_is_the_inverse_of_scipys_intrinsic_zyz(seed: int) -> None:
    angles = random_euler_deg(np.random.default_rng(seed))
    np.testing.assert_allclose(
        euler_matrix(*angles), Rotation.from_euler("ZYZ", angles, degrees=True).inv().as_matrix(), atol=1e-12
    )


def test_psi_turns_the_picture_as_relion_does(gltph: Atoms) -> None:
    arguments = {"box_px": BOX + 1, "pixel_size_angstrom": PIXEL, "b_factor_a2": 200.0}
    upright = project_atoms(gltph, (30.0, 50.0, 0.0), **arguments)
    turned = project_atoms(gltph, (30.0, 50.0, 90.0), **arguments)
    # psi = 90: (x, y) -> (y, -x); with y upwards along rows, that is a quarter turn from +y to +x.
    expected = torch.rot90(upright, 1, (0, 1))
    assert float((turned - expected).norm() / expected.norm()) < 0.02


def test_random_poses_are_uniform() -> None:
    rng = np.random.default_rng(0)
    axis = np.array([euler_matrix(*random_euler_deg(rng))[2] for _ in range(4000)])
    np.testing.assert_allclose(axis.mean(axis=0), 0.0, atol=0.04)
    np.testing.assert_allclose((axis[:, :, None] * axis[:, None, :]).mean(axis=0), np.eye(3) / 3, atol=0.03)


@pytest.mark.parametrize("name", sorted(STRUCTURE_FILES))
def test_shipped_structures_are_centred(name: str) -> None:
    atoms = read_atoms(structure_path(name))
    assert len(atoms.position_angstrom) > 5000
    assert 40.0 < atoms.radius_angstrom < 120.0
    assert np.abs(atoms.position_angstrom.mean(axis=0)).max() < 1.0


def test_unknown_structure_and_a_file_without_atoms_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="apoferritin"):
        structure_path("haemoglobin")
    empty = tmp_path / "empty.pdb"
    empty.write_text("REMARK nothing\nEND\n")
    with pytest.raises(FormatError, match="no atoms"):
        read_atoms(structure_path(str(empty)))
