"""Splines, backgrounds, equiphase averages: arithmetic with a known answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from frazil.models.ctf_fit.band import cubic_basis, fit_background, select_band, uniform_knots
from frazil.models.ctf_fit.fit_end import fit_end
from frazil.models.ctf_fit.periodogram import power_map
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.profiles import (
    RingProfile,
    correlation,
    equiphase_frequency,
    ice_ring_density,
)
from frazil.models.ctf_fit.ring_model import RingParameters
from frazil.models.optics.ctf import chi, defocus_at_angle

OPTICS = RingOptics(300.0, 2.7, 0.1)


def test_splines_sum_to_one_and_reproduce_a_straight_line() -> None:
    knots = uniform_knots(0.03, 0.25, 0.035)
    x = np.linspace(0.03, 0.25, 101)
    basis = cubic_basis(x, knots)
    np.testing.assert_allclose(basis.sum(axis=1), 1.0, atol=1e-12)
    spacing = knots[1] - knots[0]
    coefficients = knots[0] + spacing * (np.arange(len(knots) + 2) - 1)
    np.testing.assert_allclose(basis @ coefficients, x, atol=1e-9)


def _coloured_noise(seed: int, *, anisotropy: float = 0.0) -> torch.Tensor:
    """Gaussian noise whose power is (1 + 3 exp(-(k/0.06)^2)) exp(anisotropy cos 2 theta)."""
    white = torch.from_numpy(np.random.default_rng(seed).standard_normal((512, 512)).astype(np.float32))
    kx, ky = torch.fft.rfftfreq(512)[None, :], torch.fft.fftfreq(512)[:, None]
    k2 = (kx**2 + ky**2).clamp_min(1e-12)
    power = (1.0 + 3.0 * torch.exp(-k2 / 0.06**2)) * torch.exp(anisotropy * (kx**2 - ky**2) / k2)
    return torch.fft.irfft2(torch.fft.rfft2(white) * power.sqrt(), s=(512, 512))


def test_background_follows_a_known_spectrum() -> None:
    background = fit_background(power_map(_coloured_noise(1), 1.0, block=1), low=1 / 30, high=0.25)
    k = np.linspace(0.04, 0.24, 30)
    np.testing.assert_allclose(background.at(k), 1.0 + 3.0 * np.exp(-((k / 0.06) ** 2)), rtol=0.06)


def test_anisotropy_is_measured_and_divided_out() -> None:
    spectrum = power_map(_coloured_noise(2, anisotropy=0.4), 1.0, block=1)
    background = fit_background(spectrum, low=1 / 30, high=0.25)
    cosine, sine = background.anisotropy(np.linspace(0.05, 0.24, 10))
    np.testing.assert_allclose(cosine, 0.4, atol=0.1)
    np.testing.assert_allclose(sine, 0.0, atol=0.1)
    band = select_band(spectrum, background, low=1 / 30, high=0.25, mask_ice=True)
    along_x, along_y = band.kx > 2 * band.ky.abs(), band.ky.abs() > 2 * band.kx
    assert float(band.ratio[along_x].mean()) == pytest.approx(1.0, abs=0.03)
    assert float(band.ratio[along_y].mean()) == pytest.approx(1.0, abs=0.03)


def test_band_leaves_out_the_ice_and_keeps_its_borders() -> None:
    spectrum = power_map(_coloured_noise(3), 1.0, block=1)
    background = fit_background(spectrum, low=0.05, high=0.35)
    k = torch.sqrt(select_band(spectrum, background, low=0.05, high=0.35, mask_ice=True).k2)
    assert 0.05 <= float(k.min()) < 0.06
    assert 0.34 < float(k.max()) < 0.35
    assert not bool(((k > 0.25) & (k < 0.28)).any())


def test_equiphase_frequency_has_the_phase_of_the_sample() -> None:
    parameters = RingParameters(9_000.0, 1_500.0, -800.0, 0.0)
    generator = np.random.default_rng(4)
    radius, theta = generator.uniform(0.03, 0.35, 200), generator.uniform(-1.5, 1.5, 200)
    kx, ky = torch.from_numpy(radius * np.cos(theta)), torch.from_numpy(radius * np.sin(theta))
    equal = equiphase_frequency(kx, ky, OPTICS, parameters)
    u = 9_000.0 + 0.5 * parameters.astigmatism_angstrom
    v = 9_000.0 - 0.5 * parameters.astigmatism_angstrom
    ctf = OPTICS.parameters(u, v, math.degrees(parameters.angle_rad), 0.0)
    at_sample = chi(ctf, kx**2 + ky**2, defocus_at_angle(ctf, torch.from_numpy(theta)))
    at_equal = chi(ctf, equal**2, 9_000.0)
    assert torch.allclose(at_sample, at_equal, atol=1e-6)


def _profile(end_per_angstrom: float, noise: float) -> RingProfile:
    """Rings of 15,000 A with amplitude 0.3 up to a known frequency, and independent noise of known size."""
    width = 0.001
    k = 0.033 + (np.arange(400) + 0.5) * width
    pattern = -np.cos(
        2 * math.pi * OPTICS.wavelength_angstrom * 15_000.0 * k**2 - OPTICS.cs_term_angstrom4 * k**4 + 0.2
    )
    count = np.full(400, 1.0 / noise**2)
    excess = np.where(k < end_per_angstrom, 0.3, 0.0) * pattern + np.random.default_rng(5).normal(0, noise, 400)
    return RingProfile(0.033, width, excess, pattern, count)


@pytest.mark.parametrize("end", [0.12, 0.2, 0.3])
def test_fit_resolution_is_where_the_rings_end(end: float) -> None:
    found = fit_end(_profile(end, 0.1), OPTICS, RingParameters(15_000.0, 0.0, 0.0, 0.0))
    assert found is not None
    assert 1.0 / found.resolution_angstrom == pytest.approx(end, abs=0.015)


def test_fit_resolution_of_noise_is_none() -> None:
    assert fit_end(_profile(0.0, 0.1), OPTICS, RingParameters(15_000.0, 0.0, 0.0, 0.0)) is None


def test_correlation_of_rings_buried_in_equal_noise() -> None:
    """Ring variance 0.3^2/2 = 0.045 and noise variance 0.045: correlation 1/sqrt 2."""
    value, significance = correlation(_profile(1.0, math.sqrt(0.045)), 0.033, 0.43)
    assert value == pytest.approx(1 / math.sqrt(2), abs=0.06)
    assert significance > 10.0


def test_ice_density_counts_the_excess_over_sloping_surroundings() -> None:
    k = np.arange(0.001, 0.4, 0.002)
    power = np.exp(-3.0 * k)
    count = np.full_like(k, 100.0)
    assert ice_ring_density(power, count, k) == pytest.approx(0.0, abs=0.01)
    icy = np.where((k >= 0.25) & (k <= 0.28), 1.8 * power, power)
    assert ice_ring_density(icy, count, k) == pytest.approx(0.8, abs=0.02)
    assert math.isnan(ice_ring_density(power[k < 0.26], count[k < 0.26], k[k < 0.26]))
