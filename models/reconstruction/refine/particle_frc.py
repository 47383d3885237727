"""Particles against the projections of a map that they had no part in: sums over the particles of one movie.

A particle of a movie whose losses leave sqrt(s) of the amplitude is X = sqrt(s) C exp(i phi) F + noise; P is the slice
of the other half-set's map at the particle's pose. Per Fourier sample three sums say all that a movie's particles have
to say about s(k) and phi(k):

    D = sum conj(C P) X,    W = sum C^2 |P|^2,    I = sum |X|^2.

D / W estimates sqrt(s) exp(i phi) with the variance sigma^2 / W. The map's own noise N is as good as independent of X:
it dilutes D / W by |F|^2 / (|F|^2 + |N|^2), the same in all movies, which the reference's filter, FSC, undoes to first
order (`reference_maps`). So movies are compared with each other and never with an ideal.

The poses were found with a map that the particle itself is in; its own noise is in those and not in this P.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ParticleSums:
    """Sums over particles, each by its certainty, on the first M samples of a plane."""

    cross: NDArray[np.complex128]
    """(M,) D: whitened against nothing, as the images are."""
    reference_power: Array
    """(M,) W."""
    image_power: Array
    """(M,) I."""
    particle_count: float
    """Sum of the certainties."""

    def __add__(self, other: ParticleSums) -> ParticleSums:
        return ParticleSums(
            self.cross + other.cross,
            self.reference_power + other.reference_power,
            self.image_power + other.image_power,
            self.particle_count + other.particle_count,
        )


def particle_sums(
    particles: ParticleSpectra,
    reference: FourierVolume,
    plane: FourierPlane,
    *,
    count: int,
    poses: NDArray[np.float32],
    shift_px: NDArray[np.float32],
    certainty: NDArray[np.float32],
    device: torch.device,
) -> ParticleSums:
    """Compare particles with the projections of a map.

    Parameters
    ----------
    reference:
        Of the other half-set, on the plane's box or cropped from it.
    count:
        Samples of the plane that are compared, from the first.
    poses, shift_px, certainty:
        (n, 3, 3), (n, 2) working pixels and (n,): where the particles are.
    """
    centred = particles.values[:, :count] * plane.phases(shift_px.astype(np.float64), count, device)
    transfer = particles.ctf[:, :count]
    expected = reference.slices(torch.from_numpy(poses), plane, count) * transfer
    weight = torch.from_numpy(certainty).to(device, torch.float32)

    def total(values: Tensor) -> Array:
        return np.asarray(torch.einsum("n,nm->m", weight, values).cpu().double().numpy())

    cross = expected.conj() * centred
    return ParticleSums(
        cross=total(cross.real) + 1j * total(cross.imag),
        reference_power=total(expected.abs().square()),
        image_power=total(centred.abs().square()),
        particle_count=float(certainty.sum()),
    )


@dataclass(frozen=True, slots=True)
class Rings:
    """Sums over the samples of each Fourier ring; ring i has the radius i + 1."""

    frequency_per_angstrom: Array
    cross: Array
    """(R,) real part of D, phases that are known taken out."""
    reference_power: Array
    image_power: Array
    samples: Array
    """(R,) how many samples a ring has, times the particles."""
    particle_count: float

    @property
    def frc(self) -> Array:
        """(R,) Fourier ring correlation over all particles."""
        power = np.sqrt(np.maximum(self.reference_power * self.image_power, 1e-300))
        return np.where(self.reference_power > 0, self.cross / power, 0.0)

    @property
    def noise_power(self) -> Array:
        """(R,) sigma^2 of one sample of one particle: what of the images the map does not explain."""
        explained = np.square(self.cross) / np.maximum(self.reference_power, 1e-300)
        return np.asarray(np.maximum(self.image_power - explained, 1e-12) / np.maximum(self.samples, 1e-12))


def rings(sums: ParticleSums, plane: FourierPlane, phase_rad: Array | None = None) -> Rings:
    """Bring the samples of each ring together; `phase_rad` (M,) of the images against the map is taken out first."""
    count = len(sums.cross)
    ring = np.rint(plane.radius_px[:count]).astype(np.int64)
    cross = sums.cross if phase_rad is None else sums.cross * np.exp(-1j * phase_rad)
    last = int(ring.max())

    def total(values: Array) -> Array:
        return np.asarray(np.bincount(ring, weights=values, minlength=last + 1)[1:])

    return Rings(
        frequency_per_angstrom=np.arange(1, last + 1) / (plane.box_px * plane.pixel_size_angstrom),
        cross=total(cross.real),
        reference_power=total(sums.reference_power),
        image_power=total(sums.image_power),
        samples=total(np.ones(count)) * sums.particle_count,
        particle_count=sums.particle_count,
    )


def smooth_amplitude(seen: Rings) -> Array | None:
    """(R,) likeliest a(k) = exp(c0 + c1 (k / k_end)^2) of the map in the images; None: the map is not seen in them.

    A ring's cross sum is a W with the variance sigma^2 W / 2. c1 has a prior of 0 +- 1: two numbers are all that a
    movie of a few faint particles can tell.
    """
    noise, power = seen.noise_power, seen.reference_power
    weight = 2 * power / noise
    information = float(weight.sum())
    if information <= 0:
        return None
    level = float((2 * seen.cross / noise).sum()) / information
    if level * np.sqrt(information) < _LEAST_SIGNIFICANCE:
        return None
    x = np.square(seen.frequency_per_angstrom / seen.frequency_per_angstrom[-1])
    basis = np.stack([np.ones_like(x), x])
    at = np.array([np.log(level), 0.0])
    for _ in range(_STEPS):
        amplitude = np.exp(at @ basis)
        slope = basis @ (2 * amplitude * (seen.cross - amplitude * power) / noise) - [0.0, at[1]]
        curvature = (basis * (weight * amplitude**2)) @ basis.T + np.diag([1e-9, 1.0])
        at = at + np.clip(np.linalg.solve(curvature, slope), -_LARGEST_STEP, _LARGEST_STEP)
    return np.asarray(np.exp(at @ basis))


_STEPS, _LARGEST_STEP = 25, 0.5
_LEAST_SIGNIFICANCE = 3.0
"""Standard deviations above nothing that the map has to be seen with."""


def without_search_gain(seen: Rings, fsc: Array, last_searched_per_angstrom: float) -> Rings:
    """Take out what the search has added to the cross sums by turning noise towards the map.

    Keeping the other half's map apart does not prevent it: both halves hold the same specimen, and at the likeliest
    pose the noise fits the specimen's own slice better than at the true one. Of five fitted numbers (three angles, a
    displacement) the ln likelihood gains 5/2 a particle (Wilks), in each ring by its share of the information on them,
    which goes with w k^2, w = a^2 W / sigma^2; of the gain, noise that the two halves do not share is no part:

        D = a W (1 + g),  g = (2 FSC - 1) (5/4) k^2 / sum w k^2   (sum over the rings that were searched, per particle).

    Without this a movie with fainter particles seems less so: differences of ln SSNR come out some tenth too small.

    Parameters
    ----------
    fsc:
        (R,) between the two half maps.
    """
    k2 = np.square(seen.frequency_per_angstrom)
    searched = seen.frequency_per_angstrom <= last_searched_per_angstrom
    now = seen
    for _ in range(_GAIN_STEPS):
        amplitude = smooth_amplitude(now)
        if amplitude is None:
            return seen
        weight = amplitude**2 * seen.reference_power / (seen.noise_power * max(seen.particle_count, 1e-12))
        total = float((weight * k2)[searched].sum())
        gain = np.where(searched, np.clip(2 * fsc - 1, 0, 1) * _FITTED / 4 * k2 / max(total, 1e-300), 0.0)
        gain = np.minimum(gain, _LARGEST_GAIN)
        now = replace(seen, cross=seen.cross - amplitude * seen.reference_power * gain)
    return now


_FITTED, _GAIN_STEPS, _LARGEST_GAIN = 5, 8, 1.0


def log_ssnr_in_bands(
    seen: Rings, amplitude: Array, bands_per_angstrom: Array, usable: NDArray[np.bool_]
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """ln SSNR at CTF^2 = 1 relative to the map, and its sd, on bands of equal width.

    One step from the smooth curve: (a - a_smooth) / a_smooth is linear in what was measured, where the logarithm of a
    faint amplitude would be skewed. A band whose sd would be above `_LARGEST_LN_SD` is left out; that is judged by the
    smooth curve, so that a fluctuation does not choose.

    Parameters
    ----------
    amplitude:
        (R,) from `smooth_amplitude`.
    usable:
        (R,) rings in which the map itself can be believed.
    """
    width = float(bands_per_angstrom[1] - bands_per_angstrom[0])
    values: list[float | None] = []
    errors: list[float | None] = []
    noise = seen.noise_power
    for band in bands_per_angstrom:
        inside = (np.abs(seen.frequency_per_angstrom - band) <= width / 2) & usable
        weight = amplitude[inside] ** 2 * seen.reference_power[inside] / noise[inside]
        total = float(weight.sum())
        ln_sd = np.sqrt(2 / total) if total > 0 else np.inf
        if not ln_sd <= _LARGEST_LN_SD:
            values.append(None)
            errors.append(None)
            continue
        excess = float((amplitude * (seen.cross - amplitude * seen.reference_power) / noise)[inside].sum()) / total
        smooth = float((weight * (2 * np.log(amplitude[inside]) - np.log(noise[inside]))).sum()) / total
        values.append(smooth + 2 * excess)
        errors.append(float(ln_sd))
    return tuple(values), tuple(errors)


_LARGEST_LN_SD = 0.7
