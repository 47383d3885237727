"""Rotations, point groups, slices: the geometry that every pose and every map rests on."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest
import torch

from frazil.models.atomic_model.potential import Atoms, read_atoms
from frazil.models.atomic_model.projection import euler_matrix, potential_map, project_atoms, random_euler_deg
from frazil.models.reconstruction.fourier.centred_fft import centred_fft
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume
from frazil.models.reconstruction.orientation.rotations import (
    angle_between_deg,
    directions,
    euler_deg_from_matrices,
    matrices_from_euler_deg,
    pose_grid,
)
from frazil.models.reconstruction.orientation.symmetry import axis_rotation, symmetry_matrices
from frazil.models.reconstruction.orientation.symmetry_alignment import asymmetry, rotated, symmetry_frame
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.simulation.structures import structure_path

ORDER = {"C1": 1, "C5": 5, "D2": 4, "D7": 14, "T": 12, "O": 24, "I": 60, "I1": 60, "I2": 60, "I3": 60, "I4": 60}


def test_euler_angles_are_relions_and_round_trip() -> None:
    rng = np.random.default_rng(1)
    angles = np.array([random_euler_deg(rng) for _ in range(50)] + [(0.0, 0.0, 33.0), (0.0, 180.0, -20.0)])
    matrices = matrices_from_euler_deg(angles)
    for triple, matrix in zip(angles, matrices, strict=True):
        np.testing.assert_allclose(matrix, euler_matrix(*triple), atol=1e-12)
    np.testing.assert_allclose(matrices_from_euler_deg(euler_deg_from_matrices(matrices)), matrices, atol=1e-9)
    np.testing.assert_allclose(euler_deg_from_matrices(matrices[:50]), angles[:50], atol=1e-6)


@pytest.mark.parametrize("name", ORDER)
def test_a_point_group_is_a_group(name: str) -> None:
    group = symmetry_matrices(name)
    assert len(group) == ORDER[name]
    np.testing.assert_array_equal(group[0], np.eye(3))
    np.testing.assert_allclose(
        np.einsum("nij,nkj->nik", group, group), np.tile(np.eye(3), (len(group), 1, 1)), atol=1e-3
    )
    products = np.einsum("aij,bjk->abik", group, group).reshape(-1, 3, 3)
    distance = np.abs(products[:, None] - group[None]).max(axis=(2, 3)).min(axis=1)
    assert distance.max() < 1e-3  # closed
    assert np.linalg.det(group) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.relion
@pytest.mark.parametrize("name", ORDER)
def test_point_groups_lie_as_in_relion(name: str) -> None:
    program = shutil.which("relion_refine")
    assert program is not None, "RELION is not installed"
    command = [program, "--sym", name, "--print_symmetry_ops"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    blocks = re.findall(r"R\(\d+\)=\s*\n((?:[^\n]*\n){3})", text)
    assert len(blocks) == ORDER[name], text[:300]
    theirs = np.array(
        [[[float(x) for x in line.split()[:3]] for line in block.strip().splitlines()] for block in blocks]
    )
    ours = symmetry_matrices(name)
    distance = np.abs(theirs[:, None] - ours[None]).max(axis=(2, 3)).min(axis=1)
    assert distance.max() < 1e-3


@pytest.mark.parametrize("name", ["C1", "C5", "D7", "O", "I1"])
def test_grid_leaves_no_gap_and_covers_one_unit_only(name: str) -> None:
    group = symmetry_matrices(name)
    rng = np.random.default_rng(2)
    anywhere = matrices_from_euler_deg(np.array([random_euler_deg(rng) for _ in range(60)]))
    grid = pose_grid(15.0, group)
    nearest = [angle_between_deg(np.broadcast_to(pose, grid.shape), grid, group).min() for pose in anywhere]
    assert max(nearest) < 14.0
    whole = len(directions(5.0, symmetry_matrices("C1")))
    assert len(directions(5.0, group)) < 2 * whole / len(group) + 12


def test_slices_are_transforms_of_projections(atoms: Atoms, truth: torch.Tensor) -> None:
    n, pixel = truth.shape[0], 3.6
    plane = FourierPlane.of_box(n, pixel)
    volume = FourierVolume(truth, device=torch.device("cpu"))
    rng = np.random.default_rng(4)
    for _ in range(4):
        angles = random_euler_deg(rng)
        pose = torch.from_numpy(euler_matrix(*angles))[None]
        found = volume.slices(pose, plane, len(plane.kx))[0] * pixel
        image = project_atoms(atoms, angles, box_px=n, pixel_size_angstrom=pixel, b_factor_a2=100.0)
        spectrum = centred_fft(image, 2)
        expected = spectrum[torch.from_numpy(plane.ky + n // 2), torch.from_numpy(plane.kx + n // 2)]
        inside = torch.from_numpy(plane.frequency_per_angstrom < 1 / 9)
        difference = (found - expected)[inside].norm() / expected[inside].norm()
        assert difference < 0.03


def test_a_phase_moves_a_displaced_particle_back(atoms: Atoms) -> None:
    n, pixel = 48, 3.6
    plane = FourierPlane.of_box(n, pixel)
    shift = (2.3, -1.4)

    def samples(moved: tuple[float, float]) -> torch.Tensor:
        image = project_atoms(
            atoms, (10.0, 50.0, 20.0), box_px=n, pixel_size_angstrom=pixel, b_factor_a2=100.0, shift_px=moved
        )
        return centred_fft(image, 2)[torch.from_numpy(plane.ky + n // 2), torch.from_numpy(plane.kx + n // 2)]

    low = torch.from_numpy(plane.frequency_per_angstrom < 1 / 12)
    back = samples(shift) * plane.phases(np.array([shift]), len(plane.kx), torch.device("cpu"))[0]
    centred = samples((0.0, 0.0))
    assert (back - centred)[low].norm() < 0.02 * centred[low].norm()


def test_a_map_off_its_axes_is_turned_onto_them() -> None:
    """The deposited proteasome has its seven-fold axis nowhere near z."""
    structure = read_atoms(structure_path("t20s"))
    volume = low_pass(potential_map(structure, box_px=32, pixel_size_angstrom=8.0, b_factor_a2=500.0), 25.0, 8.0)
    assert asymmetry(volume, "D7") > 0.3
    turned = rotated(volume, symmetry_frame(volume, "D7").T)
    assert asymmetry(turned, "D7") < 0.01
    for operator in symmetry_matrices("D7"):
        again = rotated(turned, operator)
        assert float(torch.corrcoef(torch.stack([turned.flatten(), again.flatten()]))[0, 1]) > 0.98


@pytest.mark.parametrize("symmetry", ["C7", "D7"])
def test_a_map_nearly_on_its_axes_is_turned_no_further_than_needed(symmetry: str) -> None:
    """What a person compares the map with lies where the start lay: no turn about the axis comes in by chance."""
    structure = read_atoms(structure_path("t20s"))
    volume = low_pass(potential_map(structure, box_px=32, pixel_size_angstrom=8.0, b_factor_a2=500.0), 25.0, 8.0)
    on_axes = rotated(volume, symmetry_frame(volume, symmetry).T)
    tilt = axis_rotation((0.6, 0.8, 0.0), np.deg2rad(8.0))
    frame = symmetry_frame(rotated(on_axes, tilt), symmetry)
    assert float(angle_between_deg(frame[None], tilt[None], np.eye(3)[None])[0]) < 1.5
