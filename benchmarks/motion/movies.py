"""Movies with known motion for `motion_vs_relion.py`: a scene through a CTF, warped pixel by pixel, then counted.

It shares no code with frazil's simulator or its motion model: the scene is moved by cubic B-spline interpolation in
real space, the local field is a sum of Gaussians (no polynomial), its time course a sum of decays. A frame is
frame(r) = scene(r - d(r)) with d the displacement of the specimen in px, x along columns, y along rows, row 0 first.
Structures with radiation damage, dark corners, carbon and lost stages: `structure_movies.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Array = NDArray[Any]

CONTRAST = 0.08
DEFOCUS_ANGSTROM, VOLTAGE_KV, CS_MM, AMPLITUDE_CONTRAST = 12_000.0, 300.0, 2.7, 0.1
KINDS = ("still", "drifting", "settling")
SPECTRA = {"flat": (10.0, 0.12), "steep": (65.0, 0.018)}
"""How particles fall off, exp(-B k^2) with B in A2, and how much white ice there is. Rings of a movie without motion,
40 e/px, at 0.04/0.10/0.16/0.24 per px: flat .86/.76/.73/.59, steep .96/.83/.57/.27 (small proteins in thin ice)."""
LATTICE = 65
"""Displacements are computed on so many places along each axis and interpolated linearly between them."""
_STRIP_ROWS = 256
"""Rows of a frame that one thread makes, each strip with random numbers of its own: same movie on any machine."""


@dataclass(frozen=True, slots=True)
class TrueMotion:
    """Displacement of the specimen in px: `whole_px` (F, 2) of the frame plus a separable local field."""

    whole_px: Array
    local_time: Array
    """(F, n) time courses of n local patterns."""
    centres: Array
    """(n, 2) x, y in 0..1 of the n bumps."""
    widths: Array
    amplitudes_px: Array
    """(n, 2)"""

    def at(self, x: Array, y: Array) -> Array:
        """(F, ..., 2) at places in 0..1."""
        bumps = np.stack(
            [
                np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / w**2)
                for (cx, cy), w in zip(self.centres, self.widths, strict=True)
            ],
            axis=-1,
        )
        local = np.einsum("fn,...n,na->f...a", self.local_time, bumps, self.amplitudes_px)
        return self.whole_px.reshape(-1, *([1] * x.ndim), 2) + local


def true_motion(kind: str, frames: int, seed: int, local_px: float = 2.5) -> TrueMotion:
    """A random movie of one kind; the total drift is 0.3 px (still), 8 px (drifting), 6 px mostly early (settling)."""
    random = np.random.default_rng(seed)
    t = np.arange(frames, dtype=np.float64)
    angle = random.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    u = t / max(frames - 1, 1)
    if kind == "still":
        whole = 0.3 * u[:, None] * along
        local_px *= 0.1
    elif kind == "drifting":
        whole = 8.0 * u[:, None] * along + 1.2 * np.sin(2.3 * u)[:, None] * across
    elif kind == "settling":
        whole = 6.0 * (1 - np.exp(-t / 4.0))[:, None] * along + 1.5 * (1 - np.exp(-t / 9.0))[:, None] * across
    else:
        raise ValueError(kind)
    whole = whole + 0.03 * np.cumsum(random.standard_normal((frames, 2)), axis=0)
    bumps = 5
    decay = random.uniform(4.0, 14.0, bumps)
    local_time = 1 - np.exp(-t[:, None] / decay)
    amplitudes = random.standard_normal((bumps, 2))
    motion = TrueMotion(
        whole, local_time, random.uniform(0, 1, (bumps, 2)), random.uniform(0.2, 0.5, bumps), amplitudes
    )
    grid = np.linspace(0, 1, 17)
    gx, gy = np.meshgrid(grid, grid)
    field = motion.at(gx, gy) - whole[:, None, None]
    amplitudes *= local_px / np.abs(np.hypot(field[..., 0], field[..., 1])).max()
    return motion


def ctf(
    height_px: int, width_px: int, pixel_size_angstrom: float, defocus_angstrom: float = DEFOCUS_ANGSTROM
) -> NDArray[Any]:
    """-sin(chi) on the half plane (Rohou & Grigorieff 2015)."""
    kx = np.fft.rfftfreq(width_px, pixel_size_angstrom)[None]
    ky = np.fft.fftfreq(height_px, pixel_size_angstrom)[:, None]
    k2 = kx**2 + ky**2
    volt = VOLTAGE_KV * 1e3
    wavelength = 12.2643 / np.sqrt(volt * (1 + 0.978466e-6 * volt))
    chi = np.pi * wavelength * defocus_angstrom * k2 - 0.5 * np.pi * CS_MM * 1e7 * wavelength**3 * k2**2
    return np.asarray(-np.sin(chi + np.arcsin(AMPLITUDE_CONTRAST)), dtype=np.float32)


def make_scene(
    size_px: int | tuple[int, int], pixel_size_angstrom: float, seed: int, spectrum: str = "flat"
) -> NDArray[Any]:
    """Relative contrast (mean 0, sd CONTRAST): balls of many blobs (globular particles) and weak ice noise.

    `size_px` is the side of a square or (height, width), `spectrum` one of SPECTRA.
    """
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    falloff_angstrom2, ice = SPECTRA[spectrum]
    random = np.random.default_rng(seed)
    image = np.zeros((height, width), dtype=np.float32)
    particles = max(8, int(2.5e-5 * height * width * pixel_size_angstrom**2))
    radius_px = 45.0 / pixel_size_angstrom
    for cx, cy in random.uniform(0, (width, height), (particles, 2)):
        blobs = random.standard_normal((500, 3))
        blobs *= radius_px * random.uniform(0, 1, (500, 1)) ** (1 / 3) / np.linalg.norm(blobs, axis=1, keepdims=True)
        x = np.round(cx + blobs[:, 0]).astype(int) % width
        y = np.round(cy + blobs[:, 1]).astype(int) % height
        np.add.at(image, (y, x), 1.0)
    kx = np.fft.rfftfreq(width, pixel_size_angstrom)[None]
    ky = np.fft.fftfreq(height, pixel_size_angstrom)[:, None]
    k2 = (kx**2 + ky**2).astype(np.float32)
    spectrum_of_all = fft.rfft2(image)
    spectrum_of_all *= np.exp(-falloff_angstrom2 * k2)
    noise = fft.rfft2(random.standard_normal(image.shape, dtype=np.float32))
    spectrum_of_all += ice * np.exp(-10.0 * k2) * noise
    spectrum_of_all *= ctf(height, width, pixel_size_angstrom)
    spectrum_of_all[0, 0] = 0
    out = fft.irfft2(spectrum_of_all, s=image.shape)
    return np.asarray(CONTRAST * out / out.std(), dtype=np.float32)


def lattice(height_px: int, width_px: int) -> tuple[Array, Array]:
    """x and y (0..1, pixel / side) of the LATTICE x LATTICE places from the first pixel to the last."""
    at = np.arange(LATTICE) / (LATTICE - 1.0)
    return tuple(np.meshgrid(at * (width_px - 1) / width_px, at * (height_px - 1) / height_px))  # type: ignore[return-value]


def _between(length: int, first: int = 0, last: int | None = None) -> NDArray[Any]:
    """(last - first, LATTICE) weights of linear interpolation from the lattice to pixels first .. last - 1."""
    at = np.arange(first, length if last is None else last) / (length - 1) * (LATTICE - 1)
    low = np.minimum(at.astype(int), LATTICE - 2)
    weights = np.zeros((len(at), LATTICE), dtype=np.float32)
    weights[np.arange(len(at)), low] = low + 1 - at
    weights[np.arange(len(at)), low + 1] = at - low
    return weights


class Warp:
    """Moves a periodic image by a smooth displacement: out(r) = image(r - d(r)), cubic B-splines.

    The image is first sampled twice as finely (by its transform), where cubic splines are all but exact for all that
    the image holds; on the image's own pixels they would blur what lies beyond 0.3 cycles per pixel, and a movie that
    moves could not keep the rings of one that does not.
    """

    def __init__(self, image: NDArray[Any]) -> None:
        self._shape = image.shape
        self._coefficients = ndimage.spline_filter(_finer(image), order=3, output=np.float32, mode="grid-wrap")
        self._columns = _between(image.shape[1]).T.copy()

    def strip(self, displacement_px: Array, first: int, last: int) -> NDArray[Any]:
        """Rows first .. last - 1; `displacement_px` (LATTICE, LATTICE, 2) on `lattice`."""
        height, width = self._shape
        rows = _between(height, first, last)
        dx, dy = (rows @ displacement_px[..., axis].astype(np.float32) @ self._columns for axis in (0, 1))
        y = np.arange(first, last, dtype=np.float32)[:, None] - dy
        x = np.arange(width, dtype=np.float32)[None] - dx
        return np.asarray(
            ndimage.map_coordinates(
                self._coefficients, 2.0 * np.stack((y, x)), order=3, mode="grid-wrap", prefilter=False
            )
        )

    def __call__(self, displacement_px: Array) -> NDArray[Any]:
        """The whole image, on all cores."""
        height = self._shape[0]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            parts = pool.map(lambda a: self.strip(displacement_px, a, min(a + _STRIP_ROWS, height)), strips(height))
            return np.concatenate(list(parts))


def _finer(image: NDArray[Any]) -> NDArray[Any]:
    """(2 h, 2 w): the same picture on half the pixel size; h and w even."""
    height, width = image.shape
    spectrum = fft.rfft2(image)
    padded = np.zeros((2 * height, width + 1), dtype=np.complex64)
    padded[: height // 2, : width // 2] = spectrum[: height // 2, :-1]
    padded[-(height // 2) + 1 :, : width // 2] = spectrum[height // 2 + 1 :, :-1]  # Nyquist has no sign: left out
    return np.asarray(4.0 * fft.irfft2(padded, s=(2 * height, 2 * width)), dtype=np.float32)


def strips(height_px: int) -> range:
    """First rows of the strips that are made at a time."""
    return range(0, height_px, _STRIP_ROWS)


def movie_frames(scene: NDArray[Any], motion: TrueMotion, dose_e_per_px: float, seed: int) -> Iterator[NDArray[Any]]:
    """Counted frames (h, w); what lies beyond the scene is its other side."""
    height, width = scene.shape
    warp = Warp(scene)
    sources = np.random.SeedSequence([seed, 1]).spawn(len(strips(height)))
    random = {first: np.random.default_rng(source) for first, source in zip(strips(height), sources, strict=True)}

    def part(displacement: Array, first: int) -> NDArray[Any]:
        moved = warp.strip(displacement, first, min(first + _STRIP_ROWS, height))
        expected = np.clip(dose_e_per_px * (1.0 + moved), 0.0, None)
        return np.minimum(random[first].poisson(expected), 127).astype(np.uint8)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for displacement in motion.at(*lattice(height, width)):
            yield np.concatenate(list(pool.map(part, [displacement] * len(random), random)))
