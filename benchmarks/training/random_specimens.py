"""Random specimens for training the learned residual: clouds of residues in made-up shapes, in ice, at 4 A per pixel.

No real structure is used: what is trained here is then tested on real ones. Shapes are unions of balls, with or without
rotational symmetry, hollow or not, and helical fibres; each is filled with short rods of residues some 10 A apart, as
secondary structure is. Phases in rad, 0.3 rad A2 a residue (300 kV, displaced water taken off).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

PIXEL_ANGSTROM = 4.0
_ROD_SPACING_ANGSTROM = 9.8
_RESIDUE_RAD_A2 = 0.3
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Specimen:
    """phase: (n, n) of the particles; background: (n, n) of ice and films, which no particle is; rad."""

    phase: Array
    background: Array
    dose_e_per_a2: float
    defocus_angstrom: float
    astigmatism_angstrom: float
    angle_deg: float
    voltage_kv: float
    amplitude_contrast: float
    b_factor_a2: float
    drift_angstrom: tuple[float, float]


def draw(seed: int, size_px: int) -> Specimen:
    """The same seed gives the same specimen."""
    rng = np.random.default_rng(seed)
    side = size_px * PIXEL_ANGSTROM
    phase = np.zeros((size_px, size_px), dtype=np.float32)
    if rng.random() > 0.06:
        points = _cloud(rng)
        radius = float(np.percentile(np.linalg.norm(points, axis=1), 98))
        cover = float(rng.uniform(0.06, 0.6)) * (0.3 if radius > 170.0 else 1.0)
        phase = _field(points, radius, cover, side, size_px, rng)
    k = np.hypot(np.fft.fftfreq(size_px, PIXEL_ANGSTROM)[:, None], np.fft.rfftfreq(size_px, PIXEL_ANGSTROM)[None])
    # Power per area (rad^2 A^2) of 0 to 20 A of disordered protein and 20 to 100 nm of ice at low frequency.
    power = 6.5e-4 * rng.uniform(0, 20) * np.exp(-40 * k**2) + 1.8e-5 * rng.uniform(200, 1000) * (1 + (k / 0.2) ** 4)
    white = rng.standard_normal(phase.shape) / PIXEL_ANGSTROM
    background = fft.irfft2(fft.rfft2(white) * np.sqrt(power), s=phase.shape).astype(np.float32)
    length, turn = float(rng.choice([0.0, rng.uniform(0, 9)])), rng.uniform(0, 2 * math.pi)
    return Specimen(
        phase=phase,
        background=background,
        dose_e_per_a2=float(np.exp(rng.uniform(math.log(8), math.log(60)))),
        defocus_angstrom=float(rng.uniform(6_000, 28_000)),
        astigmatism_angstrom=float(abs(rng.normal(0, 500))),
        angle_deg=float(rng.uniform(-90, 90)),
        voltage_kv=float(rng.choice([200.0, 300.0])),
        amplitude_contrast=float(rng.choice([0.07, 0.1])),
        b_factor_a2=float(rng.uniform(60, 300)),
        drift_angstrom=(length * math.cos(turn), length * math.sin(turn)),
    )


def _cloud(rng: np.random.Generator) -> NDArray[Any]:
    """(n, 3) residues in A about their centre."""
    kind = rng.random()
    if kind < 0.2:
        return _fibre(rng)
    scale = float(np.exp(rng.uniform(math.log(18), math.log(62))))
    balls = int(rng.integers(1, 7))
    centre = rng.standard_normal((balls, 3)) * scale * 0.7 * rng.uniform(0.4, 1.2, 3)
    radius = scale * rng.uniform(0.35, 0.9, balls)
    fold = int(rng.choice([1, 1, 2, 3, 4, 5, 6, 7, 8]))
    if fold > 1:
        centre[:, 0] += scale * rng.uniform(0.4, 1.2)
        centre[:, 2] *= rng.choice([0.6, 1.3])
        if rng.random() < 0.4:  # two rings
            up = np.array([0.0, 0.0, 0.7 * scale])
            centre = np.concatenate([centre + up, centre * np.array([1.0, -1.0, -1.0]) - up])
            radius = np.concatenate([radius, radius])
        turned = []
        for number in range(fold):
            c, s = math.cos(2 * math.pi * number / fold), math.sin(2 * math.pi * number / fold)
            turned.append(centre @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))
        centre, radius = np.concatenate(turned), np.tile(radius, fold)
    hollow = rng.uniform(0.2, 0.6) * scale if rng.random() < 0.25 else 0.0
    return _filled(centre, radius, hollow, rng)


def _fibre(rng: np.random.Generator) -> NDArray[Any]:
    width, pitch = float(rng.uniform(20, 70)), float(rng.uniform(25, 120))
    count = int(rng.uniform(250, 800) / (pitch / 4))
    turn = np.arange(count) * rng.uniform(0.6, 2.6)
    centre = np.stack([0.6 * width * np.cos(turn), 0.6 * width * np.sin(turn), np.arange(count) * pitch / 4], 1)
    centre -= centre.mean(0)
    return _filled(centre, np.full(count, rng.uniform(0.4, 0.8) * width), rng.uniform(0, 0.4) * width, rng)


def _filled(centre: NDArray[Any], radius: NDArray[Any], hollow: float, rng: np.random.Generator) -> NDArray[Any]:
    """Rods of seven residues on a jittered lattice inside a union of balls."""
    low, high = (centre - radius[:, None]).min(0), (centre + radius[:, None]).max(0)
    axes = [np.arange(a, b, _ROD_SPACING_ANGSTROM) for a, b in zip(low, high, strict=True)]
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    lattice = lattice + rng.normal(0, 1.8, lattice.shape)
    inside = np.zeros(len(lattice), dtype=bool)
    for c, r in zip(centre, radius, strict=True):
        inside |= ((lattice - c) ** 2).sum(1) < r * r
    if hollow > 0:
        inside &= np.hypot(lattice[:, 0], lattice[:, 1]) > hollow
    middle = lattice[inside]
    if len(middle) < 8:
        return _filled(np.zeros((1, 3)), np.array([25.0]), 0.0, rng)
    direction = rng.standard_normal(middle.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = middle[:, None] + direction[:, None] * np.linspace(-5.5, 5.5, 7)[None, :, None]
    points = points.reshape(-1, 3)
    return points - points.mean(0)


def _field(
    points: NDArray[Any], radius: float, cover: float, side: float, size_px: int, rng: np.random.Generator
) -> Array:
    """Projections in random orientations, which may touch."""
    total = np.zeros(size_px * size_px)
    wanted = max(1, round(cover * side * side / (math.pi * radius * radius)))
    apart = float(rng.uniform(1.1, 1.9)) * radius
    placed: list[NDArray[Any]] = []
    for _ in range(20 * wanted):
        if len(placed) >= wanted:
            break
        at = rng.uniform(-0.5 * radius, side + 0.5 * radius, 2)
        if any(np.hypot(*(at - other)) < apart for other in placed):
            continue
        placed.append(at)
        q, r = np.linalg.qr(rng.standard_normal((3, 3)))
        q *= np.sign(np.diag(r))
        xy = (points @ q[:, :2] + at) / PIXEL_ANGSTROM
        x0 = np.floor(xy).astype(np.int64)
        f = xy - x0
        for dx in (0, 1):
            for dy in (0, 1):
                x, y = x0[:, 0] + dx, x0[:, 1] + dy
                seen = (x >= 0) & (x < size_px) & (y >= 0) & (y < size_px)
                weight = np.abs(1 - dx - f[:, 0]) * np.abs(1 - dy - f[:, 1])
                total += np.bincount((y * size_px + x)[seen], weight[seen], minlength=size_px * size_px)
    kx, ky = np.fft.rfftfreq(size_px)[None], np.fft.fftfreq(size_px)[:, None]
    # Bilinear laying down, undone; a residue is some 3 A wide.
    shape = np.exp(-2 * (math.pi * 1.4) ** 2 * (kx**2 + ky**2) / PIXEL_ANGSTROM**2) / (np.sinc(kx) * np.sinc(ky)) ** 2
    spectrum = fft.rfft2(total.reshape(size_px, size_px)) * shape * (_RESIDUE_RAD_A2 / PIXEL_ANGSTROM**2)
    return fft.irfft2(spectrum, s=(size_px, size_px)).astype(np.float32)
