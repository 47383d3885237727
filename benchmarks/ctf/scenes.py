"""Aligned micrographs with a known CTF, made at image level from real structures; shares no code with frazil.

A scene is what a fit is given: the plain sum, the sums of even and odd frames, and the dose-weighted sum whose noise is
white again. Projected phase of atoms (electron scattering factors by the Mott-Bethe formula from the X-ray factors in
gemmi, minus displaced water) and of amorphous ice, carbon, a film of disordered protein and crystals, in layers of
their own defocus; exposure in steps, in which the protein fades (Grant & Grigorieff 2015) and the water moves on
(McMullan et al. 2015); Poisson electrons. The signs are those of the field: underfocus positive, U the larger defocus,
its angle from +x towards +y (rows).

`draw_scene(seed, kind)` draws everything from the kind's distributions; the same seed gives the same scene.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import scipy.fft
from numpy.typing import NDArray

Array = NDArray[Any]

WATER_VOLTS = 4.6
WATER_PER_A3 = 0.0314
VOLUME_A3 = 16.5
"""Of water that a heavy atom with its hydrogens displaces."""
STEPS = 4
"""Parts of the exposure; even and odd frames are drawn within each."""
KINDS = {
    "particles": 40,
    "particles-in-ice": 30,
    "carbon": 15,
    "carbon-half": 15,
    "empty-ice": 15,
    "crystalline": 15,
    "drift": 20,
    "astigmatic": 15,
    "low-defocus": 15,
    "phase-plate": 10,
    "tilted": 10,
}
"""Kinds of scene and how many of each make the two hundred."""


@dataclass(frozen=True, slots=True)
class Truth:
    """All that a scene is made of; lengths in A, frequencies in 1/A, angles in degrees."""

    kind: str
    seed: int
    size_px: int
    pixel_size: float
    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float
    dose: float
    defocus: float
    astigmatism: float
    angle: float
    phase_shift: float = 0.0
    tilt: float = 0.0
    """Of the specimen; defocus rises by tan(tilt) per A along `tilt_axis` + 90 degrees."""
    tilt_axis: float = 0.0
    structure: str = ""
    coverage: float = 0.0
    ice_thickness: float = 400.0
    """That scatters as amorphous water; with `ice_noise` off it only sets the spread of the particles' heights."""
    ice_noise: bool = True
    film: float = 0.0
    """Equivalent thickness of a film of disordered protein."""
    carbon: float = 0.0
    carbon_share: float = 1.0
    crystals: float = 0.0
    """Strength of the crystalline ice, 0 for none."""
    drift: tuple[float, float] = (0.0, 0.0)
    """Blur left in the sum: a uniform walk of so many A, along an angle (deg)."""
    b_factor: float = 60.0


@dataclass(frozen=True, slots=True)
class Scene:
    truth: Truth
    plain: Array = field(repr=False)
    weighted: Array = field(repr=False)
    even: Array = field(repr=False)
    odd: Array = field(repr=False)


def wavelength(kv: float) -> float:
    volts = kv * 1e3
    return 12.2642598 / math.sqrt(volts * (1.0 + 9.784753e-7 * volts))


def interaction(kv: float) -> float:
    """Radians per volt and A of projected potential (Kirkland 2010, eq. 5.6)."""
    rest = 510.99895
    return 2.0 * math.pi / (wavelength(kv) * kv * 1e3) * (rest + kv) / (2.0 * rest + kv)


def scattering_factor(element: str, k: NDArray[Any]) -> NDArray[Any]:
    """Electron scattering factor in A (Mott-Bethe) of a free atom."""
    s2 = np.maximum(0.25 * k * k, 0.015**2)
    x_ray = gemmi.Element(element).it92
    f = sum(a * np.exp(-b * s2) for a, b in zip(x_ray.a, x_ray.b, strict=True)) + x_ray.c
    return np.asarray(0.0239337 * (gemmi.Element(element).atomic_number - f) / s2)


def transfer(truth: Truth, kx: Array, ky: Array, defocus_offset: float) -> NDArray[Any]:
    """Contrast transfer of one layer: intensity = 1 + 2 phase * transfer, protein dark at low frequency."""
    lam = wavelength(truth.voltage_kv)
    k2 = kx.astype(np.float64) ** 2 + ky.astype(np.float64) ** 2
    theta = np.arctan2(ky, kx)
    turned = 2.0 * (theta - math.radians(truth.angle))
    dz = truth.defocus + defocus_offset + 0.5 * truth.astigmatism * np.cos(turned)
    gamma = math.pi * lam * k2 * (dz - 0.5 * truth.cs_mm * 1e7 * lam * lam * k2)
    w = truth.amplitude_contrast
    gamma = gamma + math.radians(truth.phase_shift)
    return np.asarray(-(math.sqrt(1.0 - w * w) * np.sin(gamma) + w * np.cos(gamma)))


@lru_cache(maxsize=12)
def atoms(path: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """(n, 3) centred positions of the first assembly's heavy atoms and element: 0 C, 1 N, 2 O, 3 P or S."""
    structure = gemmi.read_structure(path)
    structure.remove_waters()
    structure.remove_hydrogens()
    model = structure[0]
    if structure.assemblies and len(structure.assemblies[0].generators) > 0:
        made = gemmi.make_assembly(structure.assemblies[0], model, gemmi.HowToNameCopiedChain.Dup)
        if made.count_atom_sites() <= 250_000:
            model = made
    position, element = [], []
    names = {"C": 0, "N": 1, "O": 2, "P": 3, "S": 3}
    for chain in model:
        for residue in chain:
            for atom in residue:
                if atom.element.name in names and atom.altloc in ("\0", "A"):
                    position.append(atom.pos.tolist())
                    element.append(names[atom.element.name])
    xyz = np.array(position, dtype=np.float32)
    return xyz - xyz.mean(0), np.array(element)


class Canvas:
    """A sheet larger than the picture, on which contrast may be displaced into the field of view and out of it."""

    def __init__(self, truth: Truth, rng: np.random.Generator) -> None:
        self.truth, self.rng = truth, rng
        reach = wavelength(truth.voltage_kv) * (truth.defocus + truth.astigmatism) * 0.3 / truth.pixel_size
        self.size = scipy.fft.next_fast_len(truth.size_px + 2 * int(min(reach, 0.25 * truth.size_px)) + 32, real=True)
        self.size += self.size % 2
        self.ky = np.fft.fftfreq(self.size, truth.pixel_size)[:, None].astype(np.float32)
        self.kx = np.fft.rfftfreq(self.size, truth.pixel_size)[None, :].astype(np.float32)
        self.k = np.sqrt(self.kx**2 + self.ky**2)
        self.sigma = interaction(truth.voltage_kv)

    def of_k(self, curve: NDArray[Any]) -> Array:
        """A curve on 2,048 points up to the corner, on the grid."""
        top = float(self.k.max()) * 1.0001
        return (
            np.interp(self.k.ravel(), np.linspace(0, top, len(curve)), curve).reshape(self.k.shape).astype(np.float32)
        )

    def axis(self) -> NDArray[Any]:
        return np.linspace(0, float(self.k.max()) * 1.0001, 2048)

    def white(self) -> NDArray[Any]:
        """Transform of white noise of variance 1 per A^2."""
        noise = self.rng.standard_normal((self.size, self.size), dtype=np.float32) / self.truth.pixel_size
        return scipy.fft.rfft2(noise)

    def forward(self, image: Array) -> NDArray[Any]:
        return scipy.fft.rfft2(image.astype(np.float32))

    def back(self, transform: NDArray[Any]) -> Array:
        return scipy.fft.irfft2(transform.astype(np.complex64), s=(self.size, self.size))

    def particles(self, layers: int) -> list[NDArray[Any]]:
        """Projected phase (rad) of particles without overlap, shared out among layers of height."""
        truth, rng = self.truth, self.rng
        xyz, element = atoms(truth.structure)
        maps = np.zeros((layers, 4, self.size * self.size), dtype=np.float32)
        for index, centre in enumerate(self._centres(float(np.percentile(np.linalg.norm(xyz, axis=1), 98)))):
            turned = xyz @ _rotation(rng).astype(np.float32)
            self._splat(maps[index % layers], turned, centre, element)
        axis, pixel_area = self.axis(), truth.pixel_size**2
        hydrogen = scattering_factor("H", axis)
        water = WATER_VOLTS * VOLUME_A3 * np.exp(-(math.pi**2) * axis**2 * (VOLUME_A3 ** (2 / 3)) / math.pi)
        bilinear = (np.sinc(self.kx * truth.pixel_size) * np.sinc(self.ky * truth.pixel_size)) ** 2
        out = []
        for layer in range(layers):
            total = np.zeros(self.k.shape, dtype=np.complex64)
            for kind, (name, hydrogens) in enumerate((("C", 1.2), ("N", 1.25), ("O", 0.2), ("P", 0.0))):
                volts = 47.878 * (scattering_factor(name, axis) + hydrogens * hydrogen * np.exp(-8 * axis**2)) - water
                image = maps[layer, kind].reshape(self.size, self.size)
                total += self.forward(image) * self.of_k(self.sigma * volts / pixel_area)
            out.append(total / np.maximum(bilinear, 0.2))
        return out

    def _centres(self, radius: float) -> list[NDArray[Any]]:
        """Places (A) of particles that leave 1.7 radii between them, as many as the coverage wants."""
        side = self.size * self.truth.pixel_size
        wanted = max(1, round(self.truth.coverage * side * side / (math.pi * radius * radius)))
        centres: list[NDArray[Any]] = []
        for _ in range(40 * wanted):
            if len(centres) >= wanted:
                break
            new = self.rng.uniform(0, side, 2)
            if all(np.hypot(*(new - other)) > 1.7 * radius for other in centres):
                centres.append(new)
        return centres

    def _splat(self, maps: Array, turned: NDArray[Any], centre: NDArray[Any], element: NDArray[Any]) -> None:
        """Add atoms to the (4, size * size) maps of their elements, bilinear."""
        pixel = self.truth.pixel_size
        x, y = (turned[:, axis] / pixel + centre[axis] / pixel for axis in (0, 1))
        x0, y0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        fx, fy = x - x0, y - y0
        for dx, dy in itertools.product((0, 1), (0, 1)):
            weight = np.abs(1 - dx - fx) * np.abs(1 - dy - fy)
            flat = ((y0 + dy) % self.size) * self.size + (x0 + dx) % self.size
            for kind in range(4):
                mine = element == kind
                if mine.any():
                    np.add.at(maps[kind], flat[mine], weight[mine])

    def ice(self, thickness: float) -> list[NDArray[Any]]:
        """Phase of amorphous water in every step of the exposure: it moves on and keeps its memory only in part."""
        axis = self.axis()
        molecule = 47.878 * (scattering_factor("O", axis) + 2 * scattering_factor("H", axis))
        step = 1.0 / (1.0 + np.exp(-(axis - 0.24) / 0.02))
        structure = 0.07 + 0.93 * step + 1.1 * np.exp(-0.5 * ((axis - 0.27) / 0.02) ** 2)
        power = WATER_PER_A3 * thickness * (self.sigma * molecule) ** 2 * structure
        # <u^2> = 0.37 A^2 per axis and e/A^2: what is left of a pattern after a part of the exposure, and what moves
        # on within the part itself.
        rate = 2.0 * math.pi**2 * 0.37 * axis**2 * self.truth.dose / STEPS
        memory = np.exp(-rate)
        inside = np.where(rate > 1e-6, 2 * (rate - 1 + np.exp(-rate)) / np.maximum(rate, 1e-6) ** 2, 1.0)
        amplitude, keep = self.of_k(np.sqrt(power * inside)), self.of_k(memory)
        state = self.white()
        steps = []
        for index in range(STEPS):
            if index:
                state = keep * state + np.sqrt(1 - keep**2) * self.white()
            steps.append(state * amplitude)
        return steps

    def carbon(self, thickness: float) -> NDArray[Any]:
        axis = self.axis()
        structure = 0.25 + 0.75 / (1 + np.exp(-(axis - 0.3) / 0.04))
        power = 0.1 * thickness * (self.sigma * 47.878 * scattering_factor("C", axis)) ** 2 * structure
        sheet = self.white() * self.of_k(np.sqrt(power))
        if self.truth.carbon_share >= 1.0:
            return sheet
        return self.forward(self.back(sheet) * self.carbon_mask())

    def carbon_mask(self) -> Array:
        """1 on the carbon; a straight or round edge a few nm wide."""
        coordinate = (np.arange(self.size) - self.size / 2) / self.size
        angle = np.random.default_rng(self.truth.seed + 7).uniform(0, 2 * math.pi)
        along = coordinate[None, :] * math.cos(angle) + coordinate[:, None] * math.sin(angle)
        along = along + 0.15 * (coordinate[None, :] ** 2 + coordinate[:, None] ** 2)
        edge = np.quantile(along[::8, ::8], 1 - self.truth.carbon_share)
        width = 20.0 / (self.size * self.truth.pixel_size)
        return (1.0 / (1.0 + np.exp(-np.clip((along - edge) / width, -40, 40)))).astype(np.float32)

    def film(self, thickness: float) -> NDArray[Any]:
        """Residues at random places: the transform of an average residue."""
        axis = self.axis()
        residue = (47.878 * 22.3 - WATER_VOLTS * 134.0) * np.exp(-2 * (math.pi * 1.4 * axis) ** 2)
        return self.white() * self.of_k(np.sqrt(thickness / 134.0) * self.sigma * np.abs(residue))

    def crystals(self, strength: float) -> NDArray[Any]:
        """Grains of cubic and hexagonal ice: waves at 3.67-3.90 A (and some at 3.44 and 2.25 A), each a patch."""
        rng, pixel = self.rng, self.truth.pixel_size
        image = np.zeros((self.size, self.size), dtype=np.float32)
        for _ in range(int(40 + 60 * rng.random())):
            spacing = rng.choice([3.90, 3.67, 3.66, 3.44, 2.25], p=[0.3, 0.3, 0.2, 0.15, 0.05])
            if spacing < 2.2 * pixel:
                continue
            width = rng.uniform(60, 250) / pixel
            half = int(2.5 * width)
            cy, cx = rng.integers(0, self.size, 2)
            y, x = np.ogrid[
                max(0, cy - half) : min(self.size, cy + half), max(0, cx - half) : min(self.size, cx + half)
            ]
            angle = rng.uniform(0, math.pi)
            wave = np.cos(
                2 * math.pi * pixel / spacing * (x * math.cos(angle) + y * math.sin(angle)) + rng.uniform(0, 6)
            )
            wave = wave * np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / width**2)
            image[y[0, 0] : y[-1, 0] + 1, x[0, 0] : x[0, -1] + 1] += (strength * rng.exponential() * wave).astype(
                np.float32
            )
        ring = np.exp(-0.5 * ((self.k - 0.268) / 0.006) ** 2) * (0.5 * strength)
        return self.forward(image) + self.white() * ring.astype(np.float32) * 2.0


def _rotation(rng: np.random.Generator) -> NDArray[Any]:
    q = rng.standard_normal(4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def critical_dose(k: Array) -> NDArray[Any]:
    return np.asarray(0.24499 * np.maximum(k, 1e-4) ** -1.6649 + 2.8141)


def make_scene(truth: Truth) -> Scene:
    """The sums of one exposure. Deterministic in `truth`."""
    rng = np.random.default_rng(truth.seed)
    canvas = Canvas(truth, rng)
    layers = 3 if truth.coverage > 0 else 1
    spread = 0.25 * truth.ice_thickness
    heights = [spread * (layer - (layers - 1) / 2) for layer in range(layers)]
    solid = [np.zeros(canvas.k.shape, dtype=np.complex64) for _ in range(layers)]
    if truth.coverage > 0:
        solid = canvas.particles(layers)
    if truth.film > 0:
        solid[layers // 2] = solid[layers // 2] + canvas.film(truth.film)
    still = np.zeros(canvas.k.shape, dtype=np.complex64)
    if truth.carbon > 0:
        still = still + canvas.carbon(truth.carbon)
    if truth.crystals > 0:
        still = still + canvas.crystals(truth.crystals)
    ice = canvas.ice(truth.ice_thickness) if truth.ice_noise else None
    damp = np.exp(-0.25 * truth.b_factor * canvas.k**2).astype(np.float32)
    length, along = truth.drift
    way = canvas.kx * math.cos(math.radians(along)) + canvas.ky * math.sin(math.radians(along))
    damp = damp * np.sinc(length * way).astype(np.float32)
    tilts = _tilt_levels(truth, canvas.size)
    brightness = np.ones((canvas.size, canvas.size), dtype=np.float32)
    if truth.carbon > 0:
        brightness -= (1 - math.exp(-truth.carbon / 1600.0)) * (canvas.carbon_mask() if truth.carbon_share < 1 else 1.0)
    first = (canvas.size - truth.size_px) // 2
    window = slice(first, first + truth.size_px)
    kernels = [
        [(transfer(truth, canvas.kx, canvas.ky, height + level) * damp * 2.0).astype(np.float32) for height in heights]
        for level in tilts.levels
    ]
    per_step = truth.dose / STEPS * truth.pixel_size**2
    halves: list[list[Array]] = []
    exposures = []
    for step in range(STEPS):
        exposure = truth.dose * (step + 0.5) / STEPS
        exposures.append(exposure)
        left = np.exp(-0.5 * exposure / critical_dose(canvas.k)).astype(np.float32)
        contrast = np.zeros((truth.size_px, truth.size_px), dtype=np.float32)
        flat = still if ice is None else still + ice[step]
        for weight, kernel in zip(tilts.weights(window), kernels, strict=True):
            total = sum(phase * left * kernel[layer] for layer, phase in enumerate(solid))
            contrast += weight * canvas.back(total + flat * kernel[layers // 2])[window, window]
        mean = 0.5 * per_step * brightness[window, window] * np.maximum(1.0 + contrast, 0.02)
        halves.append([rng.poisson(mean).astype(np.float32) for _ in range(2)])
    even, odd = (np.asarray(sum(half[side] for half in halves)) for side in (0, 1))
    return Scene(truth, even + odd, _dose_weighted(halves, exposures, truth), even, odd)


def _dose_weighted(halves: list[list[Array]], exposures: list[float], truth: Truth) -> Array:
    n = truth.size_px
    ky, kx = np.fft.fftfreq(n, truth.pixel_size)[:, None], np.fft.rfftfreq(n, truth.pixel_size)[None, :]
    critical = critical_dose(np.sqrt(kx**2 + ky**2).astype(np.float32))
    left = [np.exp(-0.5 * exposure / critical) for exposure in exposures]
    norm = np.sqrt(sum(q * q for q in left) / len(left))
    parts = [scipy.fft.rfft2(h[0] + h[1]) * (q / norm).astype(np.float32) for h, q in zip(halves, left, strict=True)]
    total = np.asarray(sum(parts))
    return scipy.fft.irfft2(total, s=(n, n))


@dataclass(frozen=True, slots=True)
class _Tilts:
    """Defocus offsets of a fan of planes and how each place is shared between its two nearest ones."""

    levels: list[float]
    offset: Array | None

    def weights(self, window: slice) -> list[Array | float]:
        if self.offset is None:
            return [1.0]
        offset = self.offset[window, window]
        step = self.levels[1] - self.levels[0]
        return [np.clip(1.0 - np.abs(offset - level) / step, 0.0, 1.0) for level in self.levels]


def _tilt_levels(truth: Truth, size: int) -> _Tilts:
    if truth.tilt == 0.0:
        return _Tilts([0.0], None)
    coordinate = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * truth.pixel_size
    up = math.radians(truth.tilt_axis + 90.0)
    slope = math.tan(math.radians(truth.tilt))
    offset = slope * (coordinate[None, :] * math.cos(up) + coordinate[:, None] * math.sin(up))
    half = 0.5 * truth.size_px * truth.pixel_size * slope * (abs(math.cos(up)) + abs(math.sin(up))) + 1.0
    count = max(2, math.ceil(2 * half / 90.0) + 1)
    return _Tilts(list(np.linspace(-half, half, count)), offset.astype(np.float32))


def draw_truth(seed: int, kind: str, structures: list[Path]) -> Truth:
    """A scene of one kind, drawn.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"no kind of scene called {kind}; there are {', '.join(KINDS)}")
    rng = np.random.default_rng(seed)
    pixel = float(rng.choice([0.65, 0.83, 1.0, 1.0, 1.06, 1.35, 2.0], p=[0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1]))
    pixel = 1.35 if kind == "crystalline" and pixel > 1.5 else pixel
    size = 2048 if pixel < 0.9 or rng.random() < 0.15 else 1024
    kv = float(rng.choice([300.0, 300.0, 200.0]))
    truth = Truth(
        kind=kind,
        seed=seed,
        size_px=size,
        pixel_size=pixel,
        voltage_kv=kv,
        cs_mm=float(rng.choice([2.7, 2.7, 2.0, 1.2])),
        amplitude_contrast=float(rng.choice([0.07, 0.1, 0.1])),
        dose=float(rng.uniform(24.0, 60.0)),
        defocus=float(rng.uniform(5_000.0, 30_000.0)),
        astigmatism=float(min(abs(rng.normal(0.0, 600.0)), 2500.0)),
        angle=float(rng.uniform(-90.0, 90.0)),
        structure=str(structures[int(rng.integers(len(structures)))]),
        coverage=float(rng.uniform(0.12, 0.5)),
        ice_thickness=float(rng.uniform(150.0, 500.0)),
        b_factor=float(rng.uniform(40.0, 120.0)),
    )
    tilt, tilt_axis = float(rng.uniform(10.0, 40.0)), float(rng.uniform(-90.0, 90.0))
    # The ends of the range that is asked for are drawn in every kind.
    if rng.random() < 0.15:
        truth = replace(truth, defocus=float(rng.uniform(30_000.0, 40_000.0)))
    if kind == "tilted":
        truth = replace(truth, tilt=tilt, tilt_axis=tilt_axis)
    return _OF_KIND[kind](truth, rng)


def _particles_alone(truth: Truth, rng: np.random.Generator) -> Truth:
    return replace(truth, ice_noise=False)


def _particles_in_ice(truth: Truth, rng: np.random.Generator) -> Truth:
    return replace(truth, film=float(rng.uniform(0.0, 20.0)))


def _carbon(truth: Truth, rng: np.random.Generator) -> Truth:
    share = 1.0 if truth.kind == "carbon" else float(rng.uniform(0.3, 0.7))
    covered = 0.3 if rng.random() < 0.7 else 0.0
    return replace(truth, carbon=float(rng.uniform(20, 150)), carbon_share=share, coverage=covered)


def _empty_ice(truth: Truth, rng: np.random.Generator) -> Truth:
    return replace(truth, coverage=0.0, ice_thickness=float(rng.uniform(250.0, 900.0)))


def _crystalline(truth: Truth, rng: np.random.Generator) -> Truth:
    return replace(truth, crystals=float(rng.uniform(0.02, 0.3)))


def _drift(truth: Truth, rng: np.random.Generator) -> Truth:
    ice = bool(rng.random() < 0.6)
    return replace(truth, drift=(float(rng.uniform(3, 10)), float(rng.uniform(-90, 90))), ice_noise=ice)


def _astigmatic(truth: Truth, rng: np.random.Generator) -> Truth:
    most = min(5_000.0, 0.7 * truth.defocus)
    return replace(truth, astigmatism=float(rng.uniform(0.3, 1.0) * most), ice_noise=bool(rng.random() < 0.6))


def _low_defocus(truth: Truth, rng: np.random.Generator) -> Truth:
    size_px = 1024 if truth.pixel_size > 0.9 else 2048
    small = float(min(abs(rng.normal(0.0, 300.0)), 800.0))
    return replace(truth, defocus=float(rng.uniform(3_000, 8_000)), astigmatism=small, size_px=size_px)


def _phase_plate(truth: Truth, rng: np.random.Generator) -> Truth:
    dz = float(rng.uniform(4_000, 15_000))
    return replace(truth, phase_shift=float(rng.uniform(10, 150)), defocus=dz, film=float(rng.uniform(0, 20)))


_OF_KIND: dict[str, Callable[[Truth, np.random.Generator], Truth]] = {
    "particles": _particles_alone,
    "particles-in-ice": _particles_in_ice,
    "carbon": _carbon,
    "carbon-half": _carbon,
    "empty-ice": _empty_ice,
    "crystalline": _crystalline,
    "drift": _drift,
    "astigmatic": _astigmatic,
    "low-defocus": _low_defocus,
    "phase-plate": _phase_plate,
    "tilted": _particles_in_ice,
}
"""What makes a scene one of its kind, drawn after what all scenes have."""
