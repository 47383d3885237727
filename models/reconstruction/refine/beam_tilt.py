"""The beam tilt (coma) of a movie from its particles: a phase that goes with k^3 and with direction.

All particles of a movie share the phase of `fourier/coma.py` in the frame of the image, whatever their pose, so the
phases of D = sum conj(C P) X tell it (Zivanov et al. 2018, eLife 7:e42166, and 2020, IUCrJ 7, 253, sum pixels of the
images in the same way). The search has moved each particle to where it fits best without coma: a
common displacement, whose phase goes with k, is fitted beside it and takes that back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frazil.models.reconstruction.fourier.coma import coma_phase_rad
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.refine.particle_frc import Array, ParticleSums, rings, smooth_amplitude

_REACHES = (0.6, 0.8, 1.0, 1.0)
"""Of the frequencies, from fit to fit: a phase must not turn over before it is known."""
_STEPS = 6
_LARGEST_SD_MRAD = 5.0
"""Particles that know the tilt no better say nothing of it."""


@dataclass(frozen=True, slots=True)
class BeamTilt:
    """Least squares estimate of one movie."""

    x_mrad: float
    y_mrad: float
    covariance_mrad2: tuple[float, float, float]
    """xx, xy, yy."""
    shift_x_angstrom: float
    """Displacement that all particles share beside their own."""
    shift_y_angstrom: float
    phase_rad: Array
    """(M,) of tilt and displacement together, on the samples of the sums."""


def beam_tilt(sums: ParticleSums, plane: FourierPlane, *, voltage_kv: float, cs_mm: float) -> BeamTilt | None:
    """Likeliest tilt and common displacement; None: the particles hardly show the map, or not finely enough.

    With a(k) the amplitude that the map has in the images, of noise sigma^2, the likelihood is
    sum_k 2 a Re(D exp(-i phase)) / sigma^2; Fisher scoring, amplitude and phases in turn.
    """
    count = len(sums.cross)
    k = np.stack([plane.kx[:count], plane.ky[:count]]) / (plane.box_px * plane.pixel_size_angstrom)
    basis = np.concatenate([coma_phase_rad(plane, count, voltage_kv=voltage_kv, cs_mm=cs_mm), -2 * np.pi * k])
    ring = np.rint(plane.radius_px[:count]).astype(np.int64) - 1
    at, covariance = np.zeros(4), np.zeros((4, 4))
    for reach in _REACHES:
        part = slice(0, int(np.searchsorted(plane.radius_px[:count], reach * plane.radius_px[count - 1], side="right")))
        for _ in range(_STEPS):
            phase = at @ basis
            seen = rings(sums, plane, phase)
            amplitude = smooth_amplitude(seen)
            if amplitude is None:
                return None
            weight = (amplitude / seen.noise_power)[ring]
            imaginary = (sums.cross * np.exp(-1j * phase)).imag
            slope = basis[:, part] @ (2 * weight * imaginary)[part]
            information = (basis[:, part] * (2 * weight * amplitude[ring] * sums.reference_power)[part]) @ basis[
                :, part
            ].T
            scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
            unit = information / np.outer(scale, scale)
            if np.linalg.cond(unit) > 1e8:
                return None
            covariance = np.linalg.inv(unit) / np.outer(scale, scale)
            at = at + covariance @ slope
    if np.sqrt(np.diag(covariance)[:2].max()) > _LARGEST_SD_MRAD:
        return None
    return BeamTilt(
        x_mrad=float(at[0]),
        y_mrad=float(at[1]),
        covariance_mrad2=(float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])),
        shift_x_angstrom=float(at[2]),
        shift_y_angstrom=float(at[3]),
        phase_rad=at @ basis,
    )
