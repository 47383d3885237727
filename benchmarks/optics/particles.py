"""Particles of a tilted specimen or under a tilted beam, by physics written out here: no CTF or coma of frazil's.

A field of particles in boxes: each box is the structure's projection (its atoms', not a slice of a map), taken with the
defocus of its place and the phase of the tilted beam, in white noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.models.atomic_model.potential import Atoms, read_atoms
from frazil.models.atomic_model.projection import potential_map, project_atoms, random_euler_deg
from frazil.models.simulation.structures import structure_path

Array = NDArray[np.float64]
BOX_PX, PIXEL_ANGSTROM, DIAMETER_ANGSTROM, SYMMETRY = 72, 2.3, 130.0, "O"
WAVELENGTH_ANGSTROM, CS_ANGSTROM, AMPLITUDE_CONTRAST = 0.0196875, 2.7e7, 0.1
"""300 kV, 2.7 mm."""
FIELD_ANGSTROM = (5700.0, 4000.0)
B_FACTOR_A2 = 60.0


@dataclass(frozen=True, slots=True)
class Scene:
    """One session."""

    seed: int
    movies: int = 40
    particles: int = 20
    noise_sd: float = 3.0
    """Against the particles' own rms in their boxes."""
    stage_deg: float = 0.0
    about_deg: float = 35.0
    """The specimen is turned about this line in the image."""
    beam_tilt_mrad: tuple[float, float] = (0.0, 0.0)
    beam_tilt_per_um_mrad: float = 0.0
    """What image shift adds, along it; the shifts are of nine places 3 um apart."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """One movie's particles and what is true of them."""

    images: torch.Tensor
    """(n, box, box), bright, noise of unit variance."""
    defocus_angstrom: float
    """In the middle of the field."""
    height_angstrom: Array
    """(n,) towards the source: defocus falls by it."""
    place_angstrom: Array
    """(n, 2) from the middle of the field."""
    euler_deg: Array
    shift_px: Array
    image_shift_um: tuple[float, float]
    beam_tilt_mrad: tuple[float, float]


@dataclass(frozen=True)
class Specimen:
    """What all scenes are of."""

    atoms: Atoms = field(default_factory=lambda: read_atoms(structure_path("apoferritin")))
    _projected: dict[tuple[int, int, int], list[Array]] = field(default_factory=dict)

    @cached_property
    def truth(self) -> torch.Tensor:
        return potential_map(self.atoms, box_px=BOX_PX, pixel_size_angstrom=PIXEL_ANGSTROM, b_factor_a2=B_FACTOR_A2)

    def movies(self, scene: Scene) -> Iterator[Boxes]:
        """The same seed gives the same particles, places and noise, whatever the optics."""
        for number in range(scene.movies):
            yield self._movie(scene, number)

    def _movie(self, scene: Scene, number: int) -> Boxes:
        rng = np.random.default_rng([scene.seed, number])
        n = scene.particles
        euler = np.array([random_euler_deg(rng) for _ in range(n)])
        shift = rng.uniform(-2, 2, (n, 2))
        place = rng.uniform(-0.5, 0.5, (n, 2)) * FIELD_ANGSTROM
        defocus = float(rng.uniform(9_000, 20_000))
        noise = rng.standard_normal((n, BOX_PX, BOX_PX))
        where = 3.0 * np.array([number % 3 - 1, number // 3 % 3 - 1])
        tilt = np.array(scene.beam_tilt_mrad) + scene.beam_tilt_per_um_mrad * where
        about = math.radians(scene.about_deg)
        across = place @ [-math.sin(about), math.cos(about)]
        height = across * math.tan(math.radians(scene.stage_deg))
        key = (scene.seed, number, n)
        if key not in self._projected:
            self._projected[key] = [self._projection(euler[i], shift[i]) for i in range(n)]
        seen = [
            _imaged(one, defocus - h, tilt) / self._rms for one, h in zip(self._projected[key], height, strict=True)
        ]
        images = [one + scene.noise_sd * own for one, own in zip(seen, noise, strict=True)]
        stack = torch.from_numpy(np.array(images, dtype=np.float32) / np.float32(scene.noise_sd))
        shift_um = (float(where[0]), float(where[1]))
        return Boxes(stack, defocus, height, place, euler, shift, shift_um, (float(tilt[0]), float(tilt[1])))

    @cached_property
    def _rms(self) -> float:
        return float(np.std(_imaged(self._projection(np.zeros(3), np.zeros(2)), 15_000.0, np.zeros(2))))

    def _projection(self, euler_deg: Array, shift_px: Array) -> Array:
        """Transform of the density along the view, with `numpy.fft.fft2`."""
        density = project_atoms(
            self.atoms,
            (float(euler_deg[0]), float(euler_deg[1]), float(euler_deg[2])),
            box_px=BOX_PX,
            pixel_size_angstrom=PIXEL_ANGSTROM,
            b_factor_a2=B_FACTOR_A2,
            shift_px=(float(shift_px[0]), float(shift_px[1])),
        )
        return np.asarray(np.fft.fft2(density.numpy()))


def _imaged(density: NDArray[Any], defocus_angstrom: float, tilt_mrad: Array) -> Array:
    """Phase of a tilted beam: Glaeser et al. 2011, J. Struct. Biol. 174, 1; kernel exp(-2 pi i k . x)."""
    ky = np.fft.fftfreq(BOX_PX, PIXEL_ANGSTROM)[:, None]
    kx = np.fft.fftfreq(BOX_PX, PIXEL_ANGSTROM)[None]
    k2 = kx**2 + ky**2
    chi = math.pi * WAVELENGTH_ANGSTROM * k2 * (defocus_angstrom - 0.5 * CS_ANGSTROM * WAVELENGTH_ANGSTROM**2 * k2)
    along = 1e-3 * (kx * tilt_mrad[0] + ky * tilt_mrad[1])
    coma = np.exp(2j * math.pi * CS_ANGSTROM * WAVELENGTH_ANGSTROM**2 * k2 * along)
    return np.asarray(np.fft.ifft2(density * np.sin(chi + math.asin(AMPLITUDE_CONTRAST)) * coma).real)
