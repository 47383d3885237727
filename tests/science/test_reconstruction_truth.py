"""Running map against truth: as good as the true poses allow, from the 30 A start, with half-sets apart. Slow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from frazil.models.atomic_model.potential import Atoms, read_atoms
from frazil.models.atomic_model.projection import potential_map, project_atoms, random_euler_deg
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import particle_spectra
from frazil.models.reconstruction.orientation.rotations import angle_between_deg, matrices_from_euler_deg
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.refine.running_map import RunningMap
from frazil.models.reconstruction.resolution.fsc import fourier_shell_correlation, spherical_mask
from frazil.models.simulation.structures import structure_path

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER = 64, 3.2, 130.0
MOVIES, PARTICLES = 25, 12


def imaged(
    atoms: Atoms, euler_deg: NDArray[np.float64], shift_px: NDArray[np.float64], transfer: torch.Tensor
) -> torch.Tensor:
    """A particle as the microscope shows it, dark on light, without noise."""
    projection = project_atoms(
        atoms,
        (float(euler_deg[0]), float(euler_deg[1]), float(euler_deg[2])),
        box_px=BOX,
        pixel_size_angstrom=PIXEL,
        b_factor_a2=100.0,
        shift_px=(float(shift_px[0]), float(shift_px[1])),
    )
    return -torch.fft.irfft2(torch.fft.rfft2(projection) * transfer, s=(BOX, BOX))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_map_is_nearly_as_good_as_the_true_poses_allow() -> None:
    atoms = read_atoms(structure_path("apoferritin"))
    truth = potential_map(atoms, box_px=BOX, pixel_size_angstrom=PIXEL, b_factor_a2=100.0)
    plane = FourierPlane.of_box(BOX, PIXEL)
    running = RunningMap(low_pass(truth, 30.0, PIXEL), plane, symmetry="O", diameter_angstrom=DIAMETER, device=CPU)
    ideal = FourierAccumulator(BOX, device=CPU)
    group = symmetry_matrices("O")
    rng = np.random.default_rng(1)
    late_errors = []
    for movie in range(MOVIES):
        defocus = float(rng.uniform(10_000, 20_000))
        optics = CtfParameters(300.0, 2.7, 0.1, defocus + 100, defocus - 100, float(rng.uniform(-90, 90)))
        euler = np.array([random_euler_deg(rng) for _ in range(PARTICLES)])
        shift = rng.uniform(-2, 2, (PARTICLES, 2))
        transfer = ctf_2d(optics, BOX, BOX, PIXEL)
        stack = torch.stack([imaged(atoms, e, s, transfer) for e, s in zip(euler, shift, strict=True)])
        noise = torch.from_numpy(rng.standard_normal(stack.shape).astype(np.float32))
        stack = stack / stack.std() / 2.0 + noise  # a quarter of the noise's power, over the whole box
        particles = particle_spectra(stack, plane, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=optics)
        found = running.add(particles, tuple(1 + i % 2 for i in range(PARTICLES)), np.ones(len(plane.kx)))
        assert found is not None
        true_poses = matrices_from_euler_deg(euler)
        if movie >= 20:
            late_errors.append(angle_between_deg(found.poses, true_poses, group))
        centred = particles.values * plane.phases(shift, len(plane.kx), CPU)
        weight = (particles.ctf**2).expand(PARTICLES, -1)
        for operator in group:
            ideal.insert(plane, torch.from_numpy(true_poses @ operator), centred * particles.ctf, weight)
    mask = spherical_mask(BOX, 0.5 * DIAMETER / PIXEL, 4.0)

    def reached(volume: torch.Tensor) -> float:
        curve = fourier_shell_correlation(volume, truth, pixel_size_angstrom=PIXEL, mask=mask)
        value = curve.resolution_angstrom(0.5)
        assert value is not None
        return value

    now = running.round()
    own, best = reached(now.full), reached(ideal.volume() * mask)
    print(
        f"map against truth at 0.5: {own:.2f} A; with true poses {best:.2f} A; its FSC 0.143: "
        f"{now.resolution_0143_angstrom} A; late pose error median {np.median(np.concatenate(late_errors)):.2f} deg"
    )
    assert own <= 1.25 * best
    assert now.resolution_0143_angstrom == pytest.approx(own, rel=0.15)
    assert np.median(np.concatenate(late_errors)) < 3.0
