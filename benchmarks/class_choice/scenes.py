"""Boxes as picking delivers them, good ones and junk, with the kind of each known.

Shares no code with frazil: atoms of a real structure are turned, projected to phase against displaced water (0.04 rad
A2 a heavy atom at 300 kV), put among neighbours into ice, passed through a CTF with drift and damage, and counted. Junk
is planted by kind: boxes of ice alone, white noise, particles far from the middle of their box, rims of ice crystals,
edges of a carbon film, and pairs or heaps of touching particles. Boxes are normalised as RELION does it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GOOD = 0
KINDS = ("particle", "ice", "noise", "off_centre", "crystal", "carbon", "heap")
PIXEL_ANGSTROM = 3.5
_WAVELENGTH_ANGSTROM = 0.019687
_CS_ANGSTROM = 2.7e7
_ATOM_RAD_A2 = 0.04
_MOST_ATOMS = 12_000
_NEIGHBOUR_CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class Shape:
    """A structure, centred."""

    name: str
    position_angstrom: Array
    """(n, 3), at most 12,000 atoms, each standing for `rad_a2`."""
    rad_a2: float
    diameter_angstrom: float

    @property
    def box_px(self) -> int:
        return 2 * math.ceil(0.8 * self.diameter_angstrom / PIXEL_ANGSTROM)


@dataclass(frozen=True, slots=True)
class Movie:
    """Boxes of one movie."""

    stack: Array = field(repr=False)
    """(n, box, box) float32, bright, background 0 +- 1."""
    kind: Array = field(repr=False)
    """(n,) index into KINDS."""
    defocus_angstrom: float
    pixel_size_angstrom: float = PIXEL_ANGSTROM
    voltage_kv: float = 300.0
    cs_mm: float = 2.7
    amplitude_contrast: float = 0.1


def structure_file(folder: Path, start: str) -> Path:
    """The file of a folder whose name begins so. Raises SystemExit where there is none."""
    found = sorted(folder.glob(f"{start}*.gz"))
    if not found:
        raise SystemExit(f"no structure of {start} in {folder}")
    return found[0]


def load(path: Path) -> Shape:
    """A structure of a PDB or mmCIF file as it was deposited.

    Raises
    ------
    RuntimeError, ValueError, OSError
        It cannot be read.
    """
    structure = gemmi.read_structure(str(path))
    structure.remove_waters()
    structure.remove_hydrogens()
    atoms = [
        atom.pos.tolist()
        for chain in structure[0]
        for residue in chain
        for atom in (residue if residue.name != "DUM" else ())
    ]
    xyz = np.array(atoms, dtype=np.float32)
    xyz -= xyz.mean(axis=0)
    reach = float(np.percentile(np.linalg.norm(xyz, axis=1), 99.5))
    step = max(1, math.ceil(len(xyz) / _MOST_ATOMS))
    return Shape(path.name.split(".")[0], xyz[::step], _ATOM_RAD_A2 * step, 2 * reach + 4)


def movies(
    shape: Shape,
    seed: int,
    *,
    count: int,
    particles: int,
    junk_share: float = 0.4,
    junk_kinds: tuple[str, ...] = KINDS[1:],
    dose_e_per_a2: float = 40.0,
) -> Iterator[Movie]:
    """A session's movies: how much of the junk is of which kind is the session's, drawn by its seed."""
    rng = np.random.default_rng([seed, 20261])
    chance = np.zeros(len(KINDS))
    chance[GOOD] = 1 - junk_share
    chance[[KINDS.index(kind) for kind in junk_kinds]] = junk_share * rng.dirichlet(np.full(len(junk_kinds), 2.0))
    for _ in range(count):
        defocus = float(rng.uniform(8_000, 22_000))
        kind = rng.choice(len(KINDS), size=particles, p=chance)
        stack = np.stack([_box(shape, int(one), defocus, dose_e_per_a2, rng) for one in kind])
        yield Movie(stack, kind, defocus)


def _box(shape: Shape, kind: int, defocus_angstrom: float, dose_e_per_a2: float, rng: np.random.Generator) -> Array:
    n = shape.box_px
    if KINDS[kind] == "noise":
        return _normalised(rng.standard_normal((n, n)), shape)
    wide = 2 * n
    phase = np.zeros((wide, wide))
    d = shape.diameter_angstrom
    for x, y in _centres(KINDS[kind], d, rng):
        phase += _projection(shape, wide, x, y, rng)
    k2 = np.fft.fftfreq(wide, PIXEL_ANGSTROM)[:, None] ** 2 + np.fft.rfftfreq(wide, PIXEL_ANGSTROM)[None] ** 2
    if KINDS[kind] == "crystal":
        phase += _crystal(wide, d, rng)
    if KINDS[kind] == "carbon":
        phase += _carbon(wide, d, rng)
    white = rng.standard_normal((wide, wide)) / PIXEL_ANGSTROM
    # Ice of some 30 nm and disordered protein scatter too: power per area, rad^2 A^2.
    ice = np.fft.rfft2(white) * np.sqrt(1.8e-5 * 400 + 6.5e-4 * 4 * np.exp(-40 * k2))
    bent = defocus_angstrom - 0.5 * _CS_ANGSTROM * _WAVELENGTH_ANGSTROM**2 * k2
    chi = math.pi * _WAVELENGTH_ANGSTROM * k2 * bent
    transfer = -2 * np.sin(chi + math.asin(0.1)) * np.exp(-150 * k2 / 4)
    contrast = np.fft.irfft2((np.fft.rfft2(phase) + ice) * transfer, s=(wide, wide))
    low = n - n // 2
    counted = contrast[low : low + n, low : low + n]
    # A detector of DQE 0.7 at low frequency.
    counted = counted + rng.standard_normal((n, n)) / math.sqrt(0.7 * dose_e_per_a2) / PIXEL_ANGSTROM
    return _normalised(-counted, shape)


def _centres(kind: str, diameter_angstrom: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Of all particles in and near a box, angstrom from its middle."""

    def away(low: float, high: float) -> tuple[float, float]:
        r, angle = diameter_angstrom * rng.uniform(low, high), rng.uniform(0, 2 * math.pi)
        return r * math.cos(angle), r * math.sin(angle)

    def apart(first: tuple[float, float]) -> list[tuple[float, float]]:
        r, angle = diameter_angstrom * rng.uniform(0.45, 0.8) / 2, rng.uniform(0, 2 * math.pi)
        dx, dy = r * math.cos(angle), r * math.sin(angle)
        return [(first[0] + dx, first[1] + dy), (first[0] - dx, first[1] - dy)]

    neighbour = [away(0.95, 1.4)] if rng.random() < _NEIGHBOUR_CHANCE else []
    if kind == "particle":
        return [away(0.0, 0.08), *neighbour]
    if kind == "off_centre":
        return [away(0.35, 0.6)]
    if kind == "heap":
        heap = apart((0.0, 0.0))
        return heap + [away(0.4, 0.8) for _ in range(int(rng.integers(0, 3)))]
    return neighbour if kind in ("ice", "carbon") else []


def _projection(shape: Shape, n: int, x: float, y: float, rng: np.random.Generator) -> Array:
    """Phase (n, n) of one particle in a random pose; a Gaussian of 1.5 A blurs each atom with the CTF's envelope."""
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0][:2].astype(np.float32)
    at = shape.position_angstrom @ turn.T + np.array([x, y], dtype=np.float32)
    place = np.rint(at / PIXEL_ANGSTROM).astype(np.int64) + n // 2
    inside = ((place >= 0) & (place < n)).all(axis=1)
    flat = place[inside, 1] * n + place[inside, 0]
    return np.bincount(flat, minlength=n * n).reshape(n, n) * (shape.rad_a2 / PIXEL_ANGSTROM**2)


def _grid(n: int) -> tuple[Array, Array]:
    y, x = (np.mgrid[:n, :n] - n // 2) * PIXEL_ANGSTROM
    return y, x


def _crystal(n: int, diameter_angstrom: float, rng: np.random.Generator) -> Array:
    """A compact crystal of ice of some hundreds of angstrom whose rim runs through the box: 0.003 rad per A."""
    y, x = _grid(n)
    size = diameter_angstrom * rng.uniform(0.5, 1.5)
    angle = rng.uniform(0, 2 * math.pi)
    away = size + diameter_angstrom * rng.uniform(-0.35, 0.35)
    sides = int(rng.integers(5, 8))
    turned = np.arctan2(y - away * math.sin(angle), x - away * math.cos(angle)) + rng.uniform(0, 6)
    r = np.hypot(y - away * math.sin(angle), x - away * math.cos(angle))
    part = (turned % (2 * math.pi / sides)) - math.pi / sides
    rim = size * math.cos(math.pi / sides) / np.cos(part)
    return 0.003 * rng.uniform(40, 250) * np.clip((rim - r) / 25.0, 0, 1)


def _carbon(n: int, diameter_angstrom: float, rng: np.random.Generator) -> Array:
    """A film whose edge runs through the box: 0.1 to 0.5 rad more than the ice, grainy."""
    y, x = _grid(n)
    angle, at = rng.uniform(0, 2 * math.pi), diameter_angstrom * rng.uniform(-0.4, 0.4)
    wave = rng.uniform(5, 25) * np.sin((y * math.cos(angle) - x * math.sin(angle)) / rng.uniform(60, 150))
    film = np.clip((x * math.cos(angle) + y * math.sin(angle) - at + wave) / 20.0 + 0.5, 0, 1)
    grain = rng.standard_normal((n, n)) / PIXEL_ANGSTROM * math.sqrt(6.5e-4 * 30)
    return film * (rng.uniform(0.1, 0.5) + grain)


def _normalised(image: Array, shape: Shape) -> Array:
    """Mean 0 and sd 1 outside of the particle's circle."""
    n = shape.box_px
    y, x = _grid(n)
    outside = image[np.hypot(x, y) > shape.diameter_angstrom / 2]
    return ((image - outside.mean()) / outside.std()).astype(np.float32)
