"""Tilt of the specimen from the defocus of tiles: the phase of the demodulated rings rises along one direction.

The field that `centred.demodulate` brings home at the fitted defocus is cut into tiles. In each, the mean of Z(k) Z(-k)
over a ring turns by exp(-2 pi i lambda k^2 (dz_tile - dz)); a plane dz_tile - dz = c + g . x is fitted to all tiles and
rings at once, amplitudes smoothed along k. The tilt is atan |g|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.models.ctf_fit.band import FloatArray
from frazil.models.ctf_fit.centred import Field, chi_of, demodulate, density_weight
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.ring_model import RingParameters

TILE_ANGSTROM = 220.0
_FEWEST, _MOST = 4, 10
_RINGS = 36
_STEEPEST = 1.8
"""Largest gradient searched: a tilt of 61 degrees."""
_GRID = 25
_SMOOTHING_PER_ANGSTROM = 0.012
LARGEST_SD_DEG = 8.0
_WIDENING = 4.0
"""Of the variance: few particles in a tile, and what is left of the power without displacement, scatter more than the
samples do by themselves (simulated proteins in ice, tilted and not)."""
LEAST_TILE_GAIN = 12.0
_TILTED = 9.2
"""Chi-square of two components that chance exceeds in 1 of 100 untilted images: below it there is no axis."""


@dataclass(frozen=True, slots=True)
class Tilt:
    """angle_deg >= 0 with its standard deviation; axis_deg in [-180, 180) from +x towards +y, so that defocus rises
    by tan(angle) along axis + 90 degrees; axis None: no tilt beyond chance."""

    angle_deg: float
    sd_deg: float
    axis_deg: float | None


def fit_tilt(field: Field, optics: RingOptics, parameters: RingParameters, *, by_density: bool) -> Tilt | None:
    """None where the tiles show too little to tell. `by_density`: weight places as the centred rings do."""
    chi = chi_of(field, optics, parameters)
    home = demodulate(field, chi)
    if by_density:
        home = home * density_weight(field, chi).sqrt()
    rows, columns = home.shape
    tiles_y, tiles_x = (
        min(_MOST, max(_FEWEST, round(length * field.pixel_angstrom / TILE_ANGSTROM))) for length in (rows, columns)
    )
    side_y, side_x = rows // tiles_y // 2 * 2, columns // tiles_x // 2 * 2
    cut = home[: tiles_y * side_y, : tiles_x * side_x].reshape(tiles_y, side_y, tiles_x, side_x).permute(0, 2, 1, 3)
    # Edges that are cut sharply would spread low frequencies over all.
    window_y, window_x = (torch.hann_window(n + 2, periodic=False, device=home.device)[1:-1] for n in (side_y, side_x))
    transform = torch.fft.fft2(cut * (window_y[:, None] * window_x[None, :]).sqrt())
    mirrored = torch.roll(transform.flip((2, 3)), (1, 1), (2, 3))
    product = transform * mirrored
    ky = torch.fft.fftfreq(side_y, field.pixel_angstrom, device=home.device)[:, None]
    kx = torch.fft.fftfreq(side_x, field.pixel_angstrom, device=home.device)[None, :]
    k2 = kx * kx + ky * ky
    low, high = field.low_per_angstrom, field.high_per_angstrom
    inside = (k2 > low * low) & (k2 < high * high) & (kx > 0.0)
    width = (high - low) / _RINGS
    ring = ((torch.sqrt(k2[inside]) - low) / width).to(torch.int64).clamp(0, _RINGS - 1)
    count = torch.bincount(ring, minlength=_RINGS).to(torch.float64)
    tiles = tiles_y * tiles_x
    samples = product[:, :, inside].reshape(tiles, -1).to(torch.complex128)
    mean = torch.zeros(tiles, _RINGS, dtype=torch.complex128, device=home.device)
    mean.index_add_(1, ring, samples)
    spread = torch.zeros(tiles, _RINGS, dtype=torch.float64, device=home.device)
    spread.index_add_(1, ring, samples.abs().square())
    values = (mean / count.clamp_min(1.0)).cpu().numpy()
    # Hann-windowed samples are correlated: a mean knows as much as 0.48 of them (two axes, powers of the window).
    variance = (spread / count.clamp_min(1.0)).cpu().numpy() * 0.5 / np.maximum(0.48 * count.cpu().numpy(), 1e-9)
    centre_y = (np.arange(tiles_y) + 0.5) * side_y - 0.5 * rows
    centre_x = (np.arange(tiles_x) + 0.5) * side_x - 0.5 * columns
    y, x = np.meshgrid(centre_y * field.pixel_angstrom, centre_x * field.pixel_angstrom, indexing="ij")
    k_ring = low + (np.arange(_RINGS) + 0.5) * width
    used = count.cpu().numpy() > 2
    return _plane(
        values[:, used],
        1.0 / np.maximum(variance[:, used], 1e-30),
        optics.defocus_gradient * k_ring[used] ** 2,
        k_ring[used],
        np.stack([np.ones(tiles), x.ravel(), y.ravel()]),
    )


def _plane(
    values: NDArray[np.complex128], weight: FloatArray, gradient: FloatArray, k: FloatArray, design: FloatArray
) -> Tilt | None:
    """Plane (c, g_x, g_y) of highest likelihood. values, weight: (tiles, rings); gradient: d(2 chi) / d(defocus)."""
    kernel = np.exp(-0.5 * ((k[:, None] - k[None, :]) / _SMOOTHING_PER_ANGSTROM) ** 2)
    ring_weight = weight.sum(0)

    def amplitude(turned: NDArray[np.complex128]) -> FloatArray:
        seen = -(turned.real * weight).sum(0)
        return np.asarray(np.maximum((kernel @ seen) / (kernel @ ring_weight), 0.0))

    def turned_by(plane: FloatArray) -> NDArray[np.complex128]:
        return np.asarray(values * np.exp(1j * np.outer(plane @ design, gradient)))

    axis = np.linspace(-1.0, 1.0, _GRID)
    best, best_gain = np.zeros(3), -1.0
    for g_x in axis:
        for g_y in axis:
            if g_x * g_x + g_y * g_y > 1.0:
                continue
            # Finer where most specimens are: the square of the axis keeps its sign.
            plane = np.array([0.0, g_x * abs(g_x), g_y * abs(g_y)]) * _STEEPEST
            gain = float((amplitude(turned_by(plane)) ** 2 * ring_weight).sum())
            if gain > best_gain:
                best, best_gain = plane, gain
    plane = best
    normal = np.eye(3)
    residual = 1.0
    for _ in range(12):
        turned = turned_by(plane)
        local = amplitude(turned)
        information = ((local * gradient) ** 2 * weight).sum(1)
        pull = (local * gradient * turned.imag * weight).sum(1)
        normal = (design * information) @ design.T
        step = np.linalg.solve(normal + np.diag([1e-9, 1e-3, 1e-3]), design @ pull)
        plane = plane + step
        seen = information > 0.0
        residual = float(np.mean(pull[seen] ** 2 / information[seen])) if seen.any() else 1.0
        if np.abs(step[1:]).max() < 1e-4:
            break
    gain = 0.5 * float((amplitude(turned_by(plane)) ** 2 * ring_weight).sum())
    covariance = np.linalg.inv(normal + np.diag([1e-9, 1e-3, 1e-3]))[1:, 1:] * (_WIDENING * max(residual, 1.0))
    slope = plane[1:]
    steepness = float(np.hypot(*slope))
    direction = slope / steepness if steepness > 0.0 else np.array([1.0, 0.0])
    sd = math.sqrt(float(direction @ covariance @ direction))
    sd_deg = math.degrees(sd / (1.0 + steepness * steepness))
    if not math.isfinite(sd_deg) or sd_deg > LARGEST_SD_DEG or gain < LEAST_TILE_GAIN or steepness > _STEEPEST:
        return None
    tilted = float(slope @ np.linalg.solve(covariance, slope)) > _TILTED
    axis_deg = (math.degrees(math.atan2(slope[1], slope[0])) - 90.0 + 180.0) % 360.0 - 180.0
    return Tilt(math.degrees(math.atan(steepness)), sd_deg, axis_deg if tilted else None)
