"""Movies of real structures with known motion, under conditions that alignment has to bear: for `motion_truth.py`.

Like `motion_movies.py` it shares no code with frazil's simulator or motion model. Atoms (of any PDB or mmCIF file) are
projected one by one, displace water, fade with the exposure (Grant & Grigorieff 2015, eq. 3, in a formula of its own),
pass through a CTF and are moved by splines on a canvas larger than the frame; then counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from benchmarks.motion.movies import LATTICE, Array, TrueMotion, Warp, ctf

SIZE_PX, FRAMES, MARGIN_PX = 1024, 24, 64
CONDITIONS = ("ordinary", "low dose", "dark corner", "carbon", "empty", "fixed pattern", "lost stage")
STRUCTURE_SUFFIXES = (".pdb.gz", ".cif.gz", ".pdb", ".cif")
_PHASE_RAD_A2 = 0.03125
"""Phase shift at 300 kV times area, per A of an atom's scattering factor: 47.88 V A^2 x 6.53e-4 rad / (V A)."""
_SCATTERING_ANGSTROM = {"C": 3.1, "N": 2.9, "O": 2.1, "S": 5.4, "P": 5.5}
"""At zero angle, with the hydrogens that an atom of protein carries on average (Peng et al. 1996)."""
_WATER_PHASE_RAD_A2 = 6.53e-4 * 3.6 * 18.0
"""Of the ice (mean inner potential 3.6 V) that an atom with its hydrogens displaces (18 A^3)."""
_B_FACTOR_ANGSTROM2 = 40.0
_TRANSMITTED = 0.8


@dataclass(frozen=True, slots=True)
class Structure:
    """Positions in A about their centre, and each atom's scattering factor."""

    name: str
    position_angstrom: NDArray[Any]
    scattering_angstrom: NDArray[Any]
    radius_angstrom: float


def read_structure(path: Path) -> Structure:
    """Heavy atoms of the first biological assembly."""
    read = gemmi.read_structure(str(path))
    read.setup_entities()
    read.remove_hydrogens()
    read.remove_waters()
    model = read[0]
    if len(read.assemblies):
        model = gemmi.make_assembly(read.assemblies[0], model, gemmi.HowToNameCopiedChain.AddNumber)
    atoms = [atom for chain in model for residue in chain for atom in residue]
    position = np.array([atom.pos.tolist() for atom in atoms], dtype=np.float32)
    position -= position.mean(axis=0)
    weight = np.array([_SCATTERING_ANGSTROM.get(a.element.name, 3.0) for a in atoms], dtype=np.float32)
    radius = float(np.percentile(np.linalg.norm(position, axis=1), 99))
    return Structure(path.name.split(".")[0], position, weight, radius)


@dataclass(frozen=True, slots=True)
class Exposure:
    """One movie's truth. Images (h, w) of the canvas, which is MARGIN_PX larger than the frame on all sides."""

    condition: str
    structure: str
    seed: int
    pixel_size_angstrom: float
    dose_per_frame_e_per_a2: float
    motion: TrueMotion
    """In px; places in 0..1 of the frame."""
    particles: NDArray[Any]
    """Relative contrast without damage."""
    carbon: NDArray[Any]
    """Does not fade."""
    light: NDArray[Any] = field(repr=False)
    """(SIZE_PX, SIZE_PX): share of the beam at each pixel of the camera."""
    pattern: NDArray[Any] = field(repr=False)
    """(SIZE_PX, SIZE_PX): what is left of the gain, mean 1."""
    damage: bool = True

    @property
    def scene(self) -> NDArray[Any]:
        """The noise-free image."""
        return self.particles + self.carbon

    @property
    def counts_per_frame(self) -> float:
        """Electrons per pixel and frame where the beam is full."""
        return self.dose_per_frame_e_per_a2 * self.pixel_size_angstrom**2 * _TRANSMITTED

    def displacement_px(self) -> Array:
        """(F, LATTICE, LATTICE, 2) on `canvas_lattice`."""
        return self.motion.at(*canvas_lattice())

    def frames(self) -> Iterator[NDArray[Any]]:
        """Counted frames (SIZE_PX, SIZE_PX)."""
        random = np.random.default_rng([self.seed, 7])
        k = _frequency(self.particles.shape, self.pixel_size_angstrom)
        spectrum = fft.rfft2(self.particles)
        camera = self.counts_per_frame * self.light * self.pattern
        for index, displacement in enumerate(self.displacement_px()):
            exposure = (index + 0.5) * self.dose_per_frame_e_per_a2
            left = _amplitude_left(k, exposure) if self.damage else np.float32(1.0)
            image = fft.irfft2(spectrum * left, s=self.particles.shape) + self.carbon
            seen = inside(Warp(image.astype(np.float32))(displacement))
            yield np.minimum(random.poisson(np.clip(camera * (1.0 + seen), 0.0, None)), 255).astype(np.uint8)


def draw(condition: str, structures: list[Structure], seed: int, damage: bool = True) -> Exposure:
    """A random movie under one of CONDITIONS."""
    random = np.random.default_rng([seed, 3])
    structure = structures[int(random.integers(len(structures)))]
    pixel_size = float(random.uniform(0.85, 1.25))
    defocus = float(random.uniform(6_000.0, 25_000.0))
    share = {"empty": 0.0, "carbon": 0.2}.get(condition, float(random.uniform(0.2, 0.6)))
    canvas = SIZE_PX + 2 * MARGIN_PX
    transfer = 2.0 * ctf(canvas, canvas, pixel_size, defocus)
    # A counting pixel is a square.
    kx, ky = np.fft.rfftfreq(canvas)[None], np.fft.fftfreq(canvas)[:, None]
    transfer *= (np.sinc(kx) * np.sinc(ky)).astype(np.float32)
    particles = _particles(structure, share, pixel_size, canvas, random)
    carbon = np.zeros((canvas, canvas), dtype=np.float32)
    if condition == "carbon":
        atoms = 0.1 * random.standard_normal(carbon.shape, dtype=np.float32) / pixel_size
        atoms *= _half_plane(canvas, random, 20.0)
        k2 = _frequency(carbon.shape, pixel_size) ** 2
        carbon = fft.irfft2(fft.rfft2(atoms) * transfer * np.exp(-10.0 * k2), s=carbon.shape).astype(np.float32)
    light = np.ones((SIZE_PX, SIZE_PX), dtype=np.float32)
    if condition == "dark corner":
        x, y = np.meshgrid(np.arange(SIZE_PX), np.arange(SIZE_PX))
        corner = random.integers(0, 2, 2) * SIZE_PX
        away = np.hypot(x - corner[0], y - corner[1])
        light = (1.0 / (1.0 + np.exp((0.45 * SIZE_PX - away) / 8.0))).astype(np.float32)
    pattern = np.ones((SIZE_PX, SIZE_PX), dtype=np.float32)
    if condition == "fixed pattern":
        pattern += 0.03 * random.standard_normal(pattern.shape, dtype=np.float32)
    return Exposure(
        condition=condition,
        structure="none" if condition == "empty" else structure.name,
        seed=seed,
        pixel_size_angstrom=pixel_size,
        dose_per_frame_e_per_a2=0.4 if condition == "low dose" else 1.5,
        motion=_motion(condition == "lost stage", pixel_size, random),
        particles=fft.irfft2(fft.rfft2(particles) * transfer, s=particles.shape).astype(np.float32),
        carbon=carbon,
        light=light,
        pattern=pattern,
        damage=damage,
    )


def canvas_lattice() -> tuple[Array, Array]:
    """x and y of the canvas's LATTICE x LATTICE places in 0..1 of the frame (a little less and more at the rim)."""
    canvas = SIZE_PX + 2 * MARGIN_PX
    at = (np.arange(LATTICE) / (LATTICE - 1) * (canvas - 1) - MARGIN_PX) / SIZE_PX
    return tuple(np.meshgrid(at, at))  # type: ignore[return-value]


def inside(canvas: NDArray[Any]) -> NDArray[Any]:
    """The frame's part of a canvas."""
    return canvas[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def _motion(lost_stage: bool, pixel_size_angstrom: float, random: np.random.Generator) -> TrueMotion:
    """Settling and drift of some A in all, steps of a random walk, a smooth local field of 1 to 2.5 A."""
    t = np.arange(FRAMES, dtype=np.float64)
    turn = random.uniform(0, 2 * np.pi, 2)
    settling = random.gamma(2.0, 2.0) * (1 - np.exp(-t / random.uniform(1.5, 6.0)))
    drift = random.gamma(2.0, 2.0) * t / FRAMES
    whole = sum(
        course[:, None] * np.array([np.cos(a), np.sin(a)]) for course, a in zip((settling, drift), turn, strict=True)
    )
    whole = whole + 0.15 * np.cumsum(random.standard_normal((FRAMES, 2)), axis=0)
    if lost_stage:
        start, a = int(random.integers(6, FRAMES - 6)), random.uniform(0, 2 * np.pi)
        whole = whole + 30.0 * np.clip((t - start) / 3.0, 0, 1)[:, None] * np.array([np.cos(a), np.sin(a)])
    bumps = 4
    amplitudes = random.standard_normal((bumps, 2))
    amplitudes *= random.uniform(1.0, 2.5) / np.linalg.norm(amplitudes, axis=1).max()
    return TrueMotion(
        np.asarray(whole) / pixel_size_angstrom,
        1 - np.exp(-t[:, None] / random.uniform(2.0, 10.0, bumps)),
        random.uniform(0, 1, (bumps, 2)),
        random.uniform(0.25, 0.5, bumps),
        amplitudes / pixel_size_angstrom,
    )


def _particles(
    structure: Structure, share: float, pixel_size_angstrom: float, canvas_px: int, random: np.random.Generator
) -> NDArray[Any]:
    """Phase shift (rad) of particles in random places and orientations that cover about `share` of the canvas."""
    total = np.zeros((2, canvas_px * canvas_px))
    side_angstrom = canvas_px * pixel_size_angstrom
    count = round(share * side_angstrom**2 / (np.pi * structure.radius_angstrom**2))
    for cx, cy in random.uniform(0, canvas_px, (count, 2)):
        turned = structure.position_angstrom @ _rotation(random)[:2].T.astype(np.float32) / pixel_size_angstrom
        column = np.round(turned[:, 0] + cx).astype(int) % canvas_px
        row = np.round(turned[:, 1] + cy).astype(int) % canvas_px
        pixel = row * canvas_px + column
        total[0] += np.bincount(pixel, weights=structure.scattering_angstrom, minlength=canvas_px**2)
        total[1] += np.bincount(pixel, minlength=canvas_px**2)
    atoms, displaced = total.reshape(2, canvas_px, canvas_px) / pixel_size_angstrom**2
    k2 = _frequency((canvas_px, canvas_px), pixel_size_angstrom) ** 2
    spectrum = fft.rfft2(atoms) * _PHASE_RAD_A2 * np.exp(-_B_FACTOR_ANGSTROM2 / 4 * k2)
    # The hole in the ice is as smooth as a molecule of water is large (Fraser et al. 1978).
    spectrum -= fft.rfft2(displaced) * _WATER_PHASE_RAD_A2 * np.exp(-np.pi * 18.0 ** (2 / 3) * k2)
    spectrum[0, 0] = 0
    return np.asarray(fft.irfft2(spectrum, s=atoms.shape), dtype=np.float32)


def _rotation(random: np.random.Generator) -> Array:
    """A random rotation (QR of a Gaussian matrix)."""
    q, r = np.linalg.qr(random.standard_normal((3, 3)))
    q *= np.sign(np.diag(r))
    return np.asarray(q * np.sign(np.linalg.det(q)))


def _half_plane(side_px: int, random: np.random.Generator, softness_px: float) -> NDArray[Any]:
    """1 on one side of a random line near the middle, 0 on the other."""
    x, y = np.meshgrid(np.arange(side_px) - side_px / 2, np.arange(side_px) - side_px / 2)
    a, offset = random.uniform(0, 2 * np.pi), random.uniform(-0.15, 0.15) * side_px
    away = x * np.cos(a) + y * np.sin(a) - offset
    return np.asarray(0.5 + 0.5 * np.tanh(away / softness_px), dtype=np.float32)


def _frequency(shape: tuple[int, ...], pixel_size_angstrom: float) -> NDArray[Any]:
    """|k| in 1/A on the half plane."""
    kx = np.fft.rfftfreq(shape[1], pixel_size_angstrom)[None]
    ky = np.fft.fftfreq(shape[0], pixel_size_angstrom)[:, None]
    return np.sqrt(kx**2 + ky**2).astype(np.float32)


def _amplitude_left(k: NDArray[Any], exposure_e_per_a2: float) -> NDArray[Any]:
    critical = 0.24499 * np.maximum(k, 1e-6) ** -1.6649 + 2.8141
    return np.asarray(np.exp(-exposure_e_per_a2 / (2.0 * critical)), dtype=np.float32)
