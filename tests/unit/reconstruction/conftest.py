"""Particles of a shipped structure with known poses, optics and noise, as extraction would deliver them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from frazil.models.atomic_model.potential import Atoms, read_atoms
from frazil.models.atomic_model.projection import potential_map, project_atoms, random_euler_deg
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.simulation.structures import structure_path

BOX, PIXEL, DIAMETER = 48, 3.6, 105.0
OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)


@dataclass(frozen=True)
class Sample:
    stack: torch.Tensor
    euler_deg: np.ndarray
    shift_px: np.ndarray


@pytest.fixture(scope="session")
def atoms() -> Atoms:
    """GltPh: C3 along z, small and without further symmetry."""
    return read_atoms(structure_path("gltph"))


@pytest.fixture(scope="session")
def truth(atoms: Atoms) -> torch.Tensor:
    return potential_map(atoms, box_px=BOX, pixel_size_angstrom=PIXEL, b_factor_a2=100.0)


@pytest.fixture(scope="session")
def simulate(atoms: Atoms) -> Callable[..., Sample]:
    """`simulate(count, noise_sd, seed)`; the particles' own rms is 1 within the box. `kind`: another structure."""

    def make(
        count: int,
        noise_sd: float,
        seed: int,
        optics: CtfParameters = OPTICS,
        reach_px: float = 2.0,
        kind: Atoms | None = None,
    ) -> Sample:
        rng = np.random.default_rng(seed)
        euler = np.array([random_euler_deg(rng) for _ in range(count)])
        shift = rng.uniform(-reach_px, reach_px, (count, 2))
        transfer = ctf_2d(optics, BOX, BOX, PIXEL)
        images = []
        for angles, (dx, dy) in zip(euler, shift, strict=True):
            projection = project_atoms(
                kind or atoms,
                (float(angles[0]), float(angles[1]), float(angles[2])),
                box_px=BOX,
                pixel_size_angstrom=PIXEL,
                b_factor_a2=100.0,
                shift_px=(float(dx), float(dy)),
            )
            images.append(-torch.fft.irfft2(torch.fft.rfft2(projection) * transfer, s=(BOX, BOX)))
        stack = torch.stack(images)
        stack = stack / stack.std()
        noise = torch.from_numpy(rng.standard_normal(stack.shape).astype(np.float32))
        # As extraction does: the background has unit noise.
        return Sample((stack + noise_sd * noise) / max(noise_sd, 1e-3), euler, shift)

    return make
