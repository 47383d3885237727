"""A tiny movie generator for the motion tests, independent of `frazil.models.simulation`.

Random-atom particles (flat Wilson spectrum, solvent-matched mean), weak-phase image with CTF, exposure filter per
frame, exact Fourier shift per frame (or a smooth local field by bicubic resampling), Poisson counts, and optionally a
gain residual that stands still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TrueMovie:
    counts: npt.NDArray[np.uint8]
    shift_angstrom: Array
    """(F, 2) zero mean, x then y."""
    local_angstrom: Array | None
    """(F, gy, gx, 2) on the grid of `local_axis`, displacement beyond the whole-frame one."""
    scene: Array


def trajectory(kind: str, frames: int, rng: np.random.Generator, size_angstrom: float = 10.0) -> Array:
    """(F, 2) displacements in A: still, drifting, settling, burst or jump."""
    t = np.arange(frames, dtype=float)
    direction = rng.normal(size=2)
    direction /= np.linalg.norm(direction)
    other = np.array([-direction[1], direction[0]])
    walk = np.cumsum(rng.normal(size=(frames, 2)), axis=0) * 0.1
    if kind == "still":
        path = walk * 0.0
    elif kind == "drifting":
        path = (
            size_angstrom * (t / frames)[:, None] * direction
            + 0.2 * size_angstrom * ((t / frames) ** 2)[:, None] * other
        )
        path = path + walk
    elif kind == "settling":
        path = size_angstrom * (1 - np.exp(-t / 4.0))[:, None] * direction + walk
    elif kind == "burst":
        path = (
            size_angstrom * (1 - np.exp(-t / 1.2))[:, None] * direction
            + 3.0 * (t > frames * 0.6)[:, None] * other
            + walk
        )
    elif kind == "jump":
        path = size_angstrom * (t > frames // 2)[:, None] * direction + walk
    else:
        raise ValueError(kind)
    return path - path.mean(axis=0)


def scene(
    size: int, pixel: float, defocus_angstrom: float, rng: np.random.Generator, particles: int, diameter: float = 120.0
) -> Array:
    """Relative contrast (mean 0) of an undamaged specimen; 300 kV, Cs 2.7 mm, 10 % amplitude contrast."""
    projected = np.zeros((size, size))
    per_atom = 0.65e-3 * 47.88 * 2.2 / pixel**2
    for _ in range(particles):
        centre = rng.uniform(0, size * pixel, size=2)
        axes = diameter / 2 * rng.uniform(0.7, 1.1, size=3)
        count = int(4 / 3 * np.pi * np.prod(axes) * 0.05)
        points = rng.normal(size=(count, 3))
        points *= (rng.uniform(size=(count, 1)) ** (1 / 3)) / np.linalg.norm(points, axis=1, keepdims=True)
        xy = (points[:, :2] * axes[:2] + centre) / pixel
        index = np.floor(xy).astype(int) % size
        np.add.at(projected, (index[:, 1], index[:, 0]), per_atom)
        # Solvent displaced by the protein: the mean contrast is what protein has beyond water, about 0.4.
        n = 2 * count // 100 + 1
        del n
    smooth = ndimage.gaussian_filter(projected, 3.0 / pixel, mode="wrap")
    projected = projected - 0.6 * smooth
    ky = np.fft.fftfreq(size, pixel)[:, None]
    kx = np.fft.rfftfreq(size, pixel)[None, :]
    k2 = kx**2 + ky**2
    wavelength = 0.019687
    chi = np.pi * wavelength * defocus_angstrom * k2 - np.pi / 2 * 2.7e7 * wavelength**3 * k2**2 + np.arcsin(0.1)
    transfer = 2 * np.sin(chi) * np.exp(-80.0 * k2 / 4)
    spectrum = np.fft.rfft2(projected) * transfer
    spectrum[0, 0] = 0
    return -np.fft.irfft2(spectrum, s=(size, size))


def local_field(frames: int, x: Array, y: Array, size_angstrom: float, rng: np.random.Generator) -> Array:
    """Smooth, decaying, non-polynomial local displacement (F, len(y), len(x), 2); x, y in -0.5..0.5."""
    t = np.arange(frames, dtype=float)
    gy, gx = np.meshgrid(y, x, indexing="ij")
    a = rng.normal(size=(2, 5))
    decay = 1 - np.exp(-t / 6.0)
    slow = t / frames
    out = np.zeros((frames, len(y), len(x), 2))
    for axis in range(2):
        dome = a[axis, 0] * np.sin(np.pi * gx + a[axis, 3]) + a[axis, 1] * np.cos(2.2 * gy + a[axis, 4])
        tilt = a[axis, 2] * gx * gy * 2
        out[..., axis] = decay[:, None, None] * dome + slow[:, None, None] * tilt
    out -= out.mean(axis=(1, 2), keepdims=True)
    out -= out.mean(axis=0, keepdims=True)
    return out * size_angstrom / max(np.abs(out).max(), 1e-9)


def make_movie(
    *,
    kind: str = "drifting",
    defocus_angstrom: float = 15000.0,
    gain_residual: float = 0.0,
    local_angstrom: float = 0.0,
    contrast: float = 1.0,
    seed: int = 0,
) -> TrueMovie:
    """30 frames of 1 e/A2, 1024 pixels of 1 A to a side, 40 particles; motion of 10 A."""
    size, pixel, frames, dose, motion_angstrom, particles = 1024, 1.0, 30, 1.0, 10.0, 40
    rng = np.random.default_rng(seed)
    still = scene(size, pixel, defocus_angstrom, rng, particles) * contrast
    shifts = trajectory(kind, frames, rng, motion_angstrom)
    ky = np.fft.fftfreq(size, pixel)[:, None]
    kx = np.fft.rfftfreq(size, pixel)[None, :]
    k = np.sqrt(kx**2 + ky**2)
    critical = 0.24499 * np.maximum(k, 1e-6) ** -1.6649 + 2.8141
    transform = np.fft.rfft2(still)
    gain = 1 + gain_residual * rng.normal(size=(size, size))
    counts = np.empty((frames, size, size), np.uint8)
    axis = (np.arange(9) / 8) - 0.5
    field = local_field(frames, axis, axis, local_angstrom, rng) if local_angstrom else None
    for f in range(frames):
        q = np.exp(-(f + 0.5) * dose / 2 / critical)
        phase = np.exp(-2j * np.pi * (kx * shifts[f, 0] + ky * shifts[f, 1]))
        image = np.fft.irfft2(transform * q * phase, s=(size, size))
        if field is not None:
            zoomed = [
                ndimage.zoom(field[f, ..., a], size / 9, order=3, mode="nearest", grid_mode=False) for a in (0, 1)
            ]
            yy, xx = np.mgrid[0:size, 0:size].astype(float)
            image = ndimage.map_coordinates(
                image, [yy - zoomed[1] / pixel, xx - zoomed[0] / pixel], order=3, mode="wrap"
            )
        rate = np.clip(dose * pixel**2 * (1 + image) * gain, 0, None)
        counts[f] = np.minimum(rng.poisson(rate), 255).astype(np.uint8)
    return TrueMovie(counts, shifts, field, still)
