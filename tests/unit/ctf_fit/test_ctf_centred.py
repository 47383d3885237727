"""Centred rings and tilt against a small microscope of sparse discs, of an even film, and of a tilted one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from frazil.models.ctf_fit.centred import chi_of as chi_on_field
from frazil.models.ctf_fit.centred import crop_to_band, density_weight, fit_centred
from frazil.models.ctf_fit.periodogram import flatten_image
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.ring_model import RingParameters
from frazil.models.ctf_fit.tilt import fit_tilt

SIZE = 1024
OPTICS = RingOptics(voltage_kv=300.0, cs_mm=2.7, amplitude_contrast=0.1)
Array = NDArray[np.float64]


def _transfer(k2: Array, defocus: Array | float, phase_rad: float = 0.0) -> Array:
    """Written out here on its own: wavelength 0.0196875 A, Cs 2.7 mm."""
    chi = math.pi * 0.0196875 * k2 * (defocus - 0.5 * 2.7e7 * 0.0196875**2 * k2)
    return np.asarray(-np.sin(chi + math.asin(0.1) + phase_rad))


def _grid(size: int) -> tuple[Array, Array]:
    ky, kx = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :]
    return kx + 0 * ky, ky + 0 * kx


def _discs(seed: int, *, defocus: float, size_angstrom: float, angle_deg: float) -> NDArray[np.float32]:
    """A dozen discs of 140 A with random atoms in them, in empty ice; defocus with astigmatism `size_angstrom`."""
    rng = np.random.default_rng(seed)
    kx, ky = _grid(SIZE)
    y, x = np.mgrid[:SIZE, :SIZE]
    density = np.zeros((SIZE, SIZE))
    for index in range(16):
        centre_y, centre_x = (index // 4 + rng.uniform(0.35, 0.65)) * 256, (index % 4 + rng.uniform(0.35, 0.65)) * 256
        density += np.hypot(y - centre_y, x - centre_x) < 70
    atoms = density * (0.1 + 0.11 * rng.standard_normal((SIZE, SIZE)))
    theta = np.arctan2(ky, kx)
    local = defocus + 0.5 * size_angstrom * np.cos(2 * (theta - math.radians(angle_deg)))
    k2 = kx**2 + ky**2
    contrast = np.fft.ifft2(np.fft.fft2(atoms) * _transfer(k2, local) * np.exp(-25.0 * k2)).real
    return rng.poisson(40.0 * np.maximum(1.0 + 2.0 * contrast, 0.0)).astype(np.float32)


def _vector(size_angstrom: float, angle_deg: float) -> tuple[float, float]:
    turned = math.radians(2 * angle_deg)
    return 0.5 * size_angstrom * math.cos(turned), 0.5 * size_angstrom * math.sin(turned)


def test_sparse_particles_are_found_from_a_first_answer_that_is_wrong_by_a_ring_and_a_half() -> None:
    true = np.array([18_000.0, *_vector(900.0, 35.0)])
    pulls = []
    for seed in range(3):
        image = torch.from_numpy(_discs(seed, defocus=18_000.0, size_angstrom=900.0, angle_deg=35.0))
        field = crop_to_band(torch.fft.rfft2(flatten_image(image)), SIZE, 1.0, low=1 / 30, high=0.2)
        fit = fit_centred(field, OPTICS, RingParameters(18_350.0, 0.0, 0.0, 0.0), fit_phase_shift=False)
        found = fit.parameters.vector()[:3] * 1000.0
        sd = np.sqrt(np.diag(fit.covariance)[:3])
        assert fit.gain > 30.0
        assert fit.fit_per_angstrom is not None
        assert fit.fit_per_angstrom > 0.1
        assert np.all(sd < 100.0)
        assert np.all(np.abs(found - true) < 5.0 * sd + 10.0), (found - true, sd)
        pulls.append((found - true) / sd)
    assert np.sqrt(np.mean(np.square(pulls))) < 2.5


def test_the_weight_lies_on_the_particles_although_the_optics_displace_their_contrast() -> None:
    image = torch.from_numpy(_discs(5, defocus=25_000.0, size_angstrom=0.0, angle_deg=0.0))
    field = crop_to_band(torch.fft.rfft2(flatten_image(image)), SIZE, 1.0, low=1 / 30, high=0.2)
    chi = chi_on_field(field, OPTICS, RingParameters(25_000.0, 0.0, 0.0, 0.0))
    weight = density_weight(field, chi).numpy()
    rng = np.random.default_rng(5)
    scale = weight.shape[0] / SIZE
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]] / scale
    inside = np.zeros(weight.shape, dtype=bool)
    for index in range(16):
        centre_y, centre_x = (index // 4 + rng.uniform(0.35, 0.65)) * 256, (index % 4 + rng.uniform(0.35, 0.65)) * 256
        inside |= np.hypot(y - centre_y, x - centre_x) < 60
    assert weight[inside].mean() > 4.0 * weight[~inside].mean()


def test_pure_noise_has_no_centred_rings() -> None:
    for seed in range(3):
        image = torch.from_numpy(np.random.default_rng(seed).poisson(40.0, (SIZE, SIZE)).astype(np.float32))
        field = crop_to_band(torch.fft.rfft2(flatten_image(image)), SIZE, 1.0, low=1 / 30, high=0.2)
        fit = fit_centred(field, OPTICS, RingParameters(18_000.0, 0.0, 0.0, 0.0), fit_phase_shift=False)
        assert fit.gain < 15.0


def _tilted_film(seed: int, *, tilt_deg: float, axis_deg: float, amplitude: float) -> NDArray[np.float32]:
    """Amorphous film whose defocus rises by tan(tilt) along axis + 90 degrees, in slices of 60 A of defocus."""
    rng = np.random.default_rng(seed)
    kx, ky = _grid(SIZE)
    k2 = kx**2 + ky**2
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    up = math.radians(axis_deg + 90.0)
    offset = math.tan(math.radians(tilt_deg)) * (x * math.cos(up) + y * math.sin(up))
    film = np.fft.fft2(rng.standard_normal((SIZE, SIZE))) * np.exp(-15.0 * k2)
    contrast = np.zeros((SIZE, SIZE))
    levels = np.arange(offset.min(), offset.max() + 60.0, 60.0)
    for level in levels:
        part = np.clip(1.0 - np.abs(offset - level) / 60.0, 0.0, 1.0)
        if part.any():
            contrast += part * np.fft.ifft2(film * _transfer(k2, 15_000.0 + level)).real
    return rng.poisson(40.0 * np.maximum(1.0 + 2.0 * amplitude * contrast, 0.0)).astype(np.float32)


@pytest.mark.parametrize(("tilt_deg", "axis_deg"), [(35.0, 20.0), (20.0, -110.0), (0.0, 0.0)])
def test_tilt_and_its_axis(tilt_deg: float, axis_deg: float) -> None:
    image = torch.from_numpy(_tilted_film(3, tilt_deg=tilt_deg, axis_deg=axis_deg, amplitude=0.2))
    field = crop_to_band(torch.fft.rfft2(flatten_image(image)), SIZE, 1.0, low=1 / 30, high=0.2)
    tilt = fit_tilt(field, OPTICS, RingParameters(15_000.0, 0.0, 0.0, 0.0), by_density=False)
    assert tilt is not None
    assert abs(tilt.angle_deg - tilt_deg) < max(4.0 * tilt.sd_deg, 1.0)
    assert tilt.sd_deg < 6.0
    if tilt_deg == 0.0:
        assert tilt.axis_deg is None
    else:
        assert tilt.axis_deg is not None
        turn = (tilt.axis_deg - axis_deg + 180.0) % 360.0 - 180.0
        assert abs(turn) < 8.0


def test_no_tilt_is_claimed_of_noise() -> None:
    image = torch.from_numpy(np.random.default_rng(9).poisson(40.0, (SIZE, SIZE)).astype(np.float32))
    field = crop_to_band(torch.fft.rfft2(flatten_image(image)), SIZE, 1.0, low=1 / 30, high=0.2)
    assert fit_tilt(field, OPTICS, RingParameters(15_000.0, 0.0, 0.0, 0.0), by_density=False) is None
