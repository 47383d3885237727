"""How far a motion lies from the truth, and how much signal a sum has kept: what the motion benchmarks share.

Displacements are those of the specimen in px of the movie, x along columns, y along rows; a constant at each place
moves nothing against anything, and is taken out before motions are compared.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from benchmarks.motion.movies import LATTICE, Array, Warp

GRID = 17
"""Places along each axis at which motions are compared."""
RING_WIDTH_PER_PX = 0.02
QUOTED_RINGS_PER_PX = (0.04, 0.10, 0.16, 0.24)
_TAPER = 1 / 32
"""Share of the frame, along each edge, over which images fade before their rings are compared: what no frame saw, and
what only some saw, is no matter of alignment."""


def grid() -> tuple[Array, Array]:
    """x and y (0..1) of the middles of GRID x GRID equal cells."""
    at = (np.arange(GRID) + 0.5) / GRID
    return tuple(np.meshgrid(at, at))  # type: ignore[return-value]


def motion_errors(estimate_px: Array, truth_px: Array) -> dict[str, float]:
    """Root mean square length of the error of (F, y, x, 2) displacements, and of its two parts.

    `whole` is the error of the mean over places, `local` of the rest; squares add up to that of `total`.
    """
    error = estimate_px - truth_px
    error = error - error.mean(axis=0)
    whole = error.mean(axis=(1, 2))
    parts = {"total": error, "whole": whole, "local": error - whole[:, None, None]}
    return {name: float(np.sqrt((part**2).sum(axis=-1).mean())) for name, part in parts.items()}


def whole_frame_chi_square(estimate_px: Array, sd_px: Array, truth_px: Array) -> float:
    """Reduced chi-square of the whole-frame shifts: (F, 2) and their stated sd per axis (F,), against the truth."""
    error = estimate_px - truth_px
    error = error - error.mean(axis=0)
    frames = len(error)
    return float((error**2 / np.maximum(sd_px, 1e-9)[:, None] ** 2).sum() / (2 * (frames - 1)))


def read_relion_motion(path: Path, x: Array, y: Array) -> Array:
    """(F, ..., 2) displacement that a motion STAR of RELION 3.1 states at places in 0..1.

    RELION states what to *apply* (minus the displacement); its local part is added to the whole-frame shift. Read with
    a few lines of its own, so that it tests what frazil writes.
    """
    text = path.read_text()
    shifts = np.array([row[1:3] for row in _rows(text, "global_shift")], dtype=np.float64)
    coefficients = np.zeros(36)
    for index, value in _rows(text, "local_motion_model"):
        coefficients[int(index)] = float(value)
    along_x, along_y = coefficients.reshape(2, 6, 3)
    u, v = x - 0.5, y - 0.5
    basis = np.stack([np.ones_like(u), u, u * u, v, v * v, u * v])
    t = np.arange(len(shifts), dtype=np.float64)
    powers = np.stack([t, t**2, t**3])
    local = np.stack(
        [np.einsum("ip,i...,pf->f...", c, basis, powers) for c in (along_x, along_y)],
        axis=-1,
    )
    return np.asarray(-(shifts.reshape(-1, *([1] * x.ndim), 2) + local))


def _rows(text: str, block: str) -> list[list[str]]:
    """Rows of numbers in one data block of a STAR file; none if it is not there."""
    parts = re.split(rf"^data_{block}\s*$", text, flags=re.MULTILINE)
    if len(parts) < 2:
        return []
    lines = re.split(r"^data_", parts[1], flags=re.MULTILINE)[0].splitlines()
    return [line.split() for line in lines if re.match(r"\s*[-+.\d]", line)]


class RingComparison:
    """Fourier ring correlation of sums with the noiseless scene, in the frame in which each sum was made.

    A sum at r shows scene(r - c(r)), c the mean over frames of what its motion left out of the true one: a distortion
    that does not blur (RELION puts it to the first frame, frazil to the mean). The scene is moved by c, and by the
    constant that is left, before the rings are compared.

    The scene may be `margin_px` larger than the sums on all sides (c then lies on the lattice of the larger one), and
    only part of the sums may have been lit: `light`, 0..1.
    """

    def __init__(self, scene: NDArray[Any], margin_px: int = 0, light: NDArray[Any] | None = None) -> None:
        self._warp, self._margin = Warp(scene), margin_px
        height, width = (side - 2 * margin_px for side in scene.shape)
        self._window = _fade(height)[:, None] * _fade(width)[None] * (1.0 if light is None else light)
        self._kx = fft.rfftfreq(width).astype(np.float32)[None]
        self._ky = fft.fftfreq(height).astype(np.float32)[:, None]
        k = np.sqrt(self._kx**2 + self._ky**2)
        ring = np.round(k / RING_WIDTH_PER_PX).astype(int)
        self._count = round(0.48 / RING_WIDTH_PER_PX) + 1
        self._ring = np.minimum(ring, self._count).ravel()
        self._band = (k > 0.01) & (k < 0.25)
        self.frequency_per_px = [round(i * RING_WIDTH_PER_PX, 3) for i in range(1, self._count)]
        counts = np.bincount(self._ring, minlength=self._count + 1)[1 : self._count]
        self.coefficients = counts * float((self._window**2).mean() ** 2 / (self._window**4).mean())
        """Independent ones per ring (the window correlates neighbours)."""

    def frc(self, image: NDArray[Any], left_out_px: Array | None = None) -> Array:
        """FRC per ring of `frequency_per_px`; `left_out_px` is c on `motion_movies.lattice`, (y, x, 2)."""
        displacement = np.zeros((LATTICE, LATTICE, 2)) if left_out_px is None else left_out_px
        moved, cut = self._warp(displacement), self._margin
        scene = self._transform(moved[cut : moved.shape[0] - cut, cut : moved.shape[1] - cut])
        seen = self._transform(image)
        if left_out_px is not None:
            self._move(scene, seen)
        cross, power, own = (
            np.bincount(self._ring, weights=values.ravel(), minlength=self._count + 1)[1 : self._count]
            for values in ((seen * scene.conj()).real, _power(seen), _power(scene))
        )
        return np.asarray(cross / np.sqrt(np.maximum(power * own, 1e-30)))

    def _transform(self, image: NDArray[Any]) -> NDArray[Any]:
        image = image - np.float32(image.mean(dtype=np.float64))
        return np.asarray(fft.rfft2((image * self._window).astype(np.float32)))

    def _move(self, scene: NDArray[Any], seen: NDArray[Any]) -> None:
        """Shift the scene (in place) to where the sum has it: Newton steps on the cross-correlation's maximum."""
        weight = 1.0 / np.sqrt(np.maximum(_power(seen).mean() * np.maximum(_power(scene), 1e-12), 1e-30))
        cross = np.where(self._band, seen * scene.conj() * weight, 0)
        omega_x, omega_y = 2 * np.pi * self._kx, 2 * np.pi * self._ky
        shift = np.zeros(2)
        for _ in range(6):
            turned = cross * np.exp(1j * (omega_x * shift[0] + omega_y * shift[1]))
            gradient = np.array([-(turned.imag * omega_x).sum(), -(turned.imag * omega_y).sum()])
            xx, yy = (turned.real * omega_x**2).sum(), (turned.real * omega_y**2).sum()
            xy = (turned.real * omega_x * omega_y).sum()
            shift += np.clip(np.linalg.solve(np.array([[xx, xy], [xy, yy]]), gradient), -0.5, 0.5)
        scene *= np.exp(-1j * (omega_x * shift[0] + omega_y * shift[1]))


def _power(spectrum: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def _fade(length: int) -> NDArray[Any]:
    """1 in the middle, raised cosines at both ends."""
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(int(length * _TAPER)) + 0.5) / int(length * _TAPER))
    return np.concatenate((ramp, np.ones(length - 2 * len(ramp)), ramp[::-1])).astype(np.float32)
