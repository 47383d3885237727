"""Wavelength and CTF against published numbers and independent arithmetic."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch
from scipy import constants, optimize

from frazil.models.optics.ctf import CtfParameters, ctf_1d, ctf_2d, defocus_at_angle, frequency_grid
from frazil.models.optics.wavelength import electron_wavelength_angstrom, relativistic_focal_factor


@pytest.mark.parametrize(
    ("voltage_kv", "published_angstrom"),
    # Williams & Carter 2009, table 1.2 (nm, two to four digits) refined by the formula of Kirkland 2010, appendix.
    [(100.0, 0.037014), (120.0, 0.033492), (200.0, 0.025079), (300.0, 0.019687), (400.0, 0.016439)],
)
def test_wavelength_is_the_published_one(voltage_kv: float, published_angstrom: float) -> None:
    assert electron_wavelength_angstrom(voltage_kv) == pytest.approx(published_angstrom, abs=1.0e-6)


def test_wavelength_agrees_with_energy_and_momentum() -> None:
    """Independent route: p c = sqrt(T^2 + 2 T m c^2), lambda = h / p, with SciPy's constants."""
    kinetic = 300.0e3 * constants.e
    momentum = math.sqrt(kinetic**2 + 2 * kinetic * constants.m_e * constants.c**2) / constants.c
    assert electron_wavelength_angstrom(300.0) == pytest.approx(constants.h / momentum * 1e10, rel=1e-9)


@pytest.mark.parametrize("voltage_kv", [0.0, -300.0, math.nan, math.inf])
def test_impossible_voltage_is_refused(voltage_kv: float) -> None:
    with pytest.raises(ValueError, match="voltage"):
        electron_wavelength_angstrom(voltage_kv)


def test_focal_factor_is_the_logarithmic_derivative_of_momentum_squared() -> None:
    """A magnetic lens focuses by p^2: f_r = d ln p^2 / d ln E, taken numerically."""
    step = 0.01
    up = math.log(electron_wavelength_angstrom(300.0 + step) ** -2)
    down = math.log(electron_wavelength_angstrom(300.0 - step) ** -2)
    numeric = (up - down) / (math.log(300.0 + step) - math.log(300.0 - step))
    assert relativistic_focal_factor(300.0) == pytest.approx(numeric, rel=1e-5)
    assert relativistic_focal_factor(300.0) == pytest.approx(1.227, abs=1e-3)


def test_zeros_without_cs_and_amplitude_contrast_lie_at_sqrt_n_over_lambda_dz() -> None:
    defocus = 15_000.0
    parameters = CtfParameters(300.0, 0.0, 0.0, defocus, defocus)
    zeros = torch.sqrt(torch.arange(1, 30, dtype=torch.float64) / (0.0196874886 * defocus))
    assert torch.allclose(ctf_1d(parameters, zeros), torch.zeros_like(zeros), atol=1e-5)
    halfway = torch.sqrt((torch.arange(1, 30, dtype=torch.float64) - 0.5) / (0.0196874886 * defocus))
    assert torch.allclose(ctf_1d(parameters, halfway).abs(), torch.ones_like(zeros), atol=1e-8)


def test_scherzer_first_zero() -> None:
    """Extended Scherzer defocus -1.2 sqrt(Cs lambda): first zero at 1.5 Cs^-1/4 lambda^-3/4 (Spence 2013, sec. 6.2).

    1.5 is the book's rounding of (2 * 1.2)^(1/2) = 1.549, so the exact root is compared with the exact factor.
    """
    cs_angstrom, wavelength = 2.7e7, 0.0196874886
    defocus = 1.2 * math.sqrt(cs_angstrom * wavelength)
    parameters = CtfParameters(300.0, 2.7, 0.0, defocus, defocus)
    expected = math.sqrt(2.4) * cs_angstrom**-0.25 * wavelength**-0.75

    def value(k: float) -> float:
        return float(ctf_1d(parameters, torch.tensor([k], dtype=torch.float64))[0])

    root = optimize.brentq(value, 0.9 * expected, 1.1 * expected)
    assert root == pytest.approx(expected, rel=1e-6)


def test_contrast_at_zero_frequency_is_minus_the_amplitude_contrast() -> None:
    parameters = CtfParameters(300.0, 2.7, 0.1, 12_000.0, 12_000.0)
    assert float(ctf_1d(parameters, torch.zeros(1, dtype=torch.float64))) == pytest.approx(-0.1, abs=1e-12)


def test_ninety_degree_phase_plate_turns_sine_into_cosine() -> None:
    k = torch.linspace(0, 0.4, 50, dtype=torch.float64)
    plain = CtfParameters(300.0, 2.7, 0.0, 9_000.0, 9_000.0)
    plate = CtfParameters(300.0, 2.7, 0.0, 9_000.0, 9_000.0, phase_shift_deg=90.0)
    assert torch.allclose(ctf_1d(plain, k) ** 2 + ctf_1d(plate, k) ** 2, torch.ones_like(k), atol=1e-12)


def test_two_dimensions_against_point_by_point_arithmetic() -> None:
    """Every sample of the grid against plain complex arithmetic with explicit angles."""
    parameters = CtfParameters(200.0, 2.26, 0.07, 21_000.0, 17_500.0, 37.0, 12.0)
    height, width, pixel = 12, 18, 1.3
    grid = ctf_2d(parameters, height, width, pixel, half_plane=False, dtype=torch.float64).numpy()
    wavelength, cs = 0.02507934, 2.26e7
    for row in range(height):
        for column in range(width):
            ky = np.fft.fftfreq(height, pixel)[row]
            kx = np.fft.fftfreq(width, pixel)[column]
            k, theta = abs(complex(kx, ky)), cmath.phase(complex(kx, ky))
            defocus = 19_250.0 + 1_750.0 * math.cos(2 * (theta - math.radians(37.0)))
            phase = math.pi * wavelength * defocus * k**2 - 0.5 * math.pi * cs * wavelength**3 * k**4
            phase += math.radians(12.0) + math.asin(0.07)
            assert grid[row, column] == pytest.approx(-math.sin(phase), abs=1e-5)


def test_half_plane_is_the_left_part_of_the_full_plane() -> None:
    parameters = CtfParameters(300.0, 2.7, 0.1, 15_000.0, 12_000.0, -20.0)
    full = ctf_2d(parameters, 16, 21, 1.0, half_plane=False)
    half = ctf_2d(parameters, 16, 21, 1.0)
    assert half.shape == (16, 11)
    assert torch.allclose(half, full[:, :11], atol=1e-6)


def test_u_lies_along_the_stated_angle_from_x_towards_increasing_rows() -> None:
    parameters = CtfParameters(300.0, 2.7, 0.1, 15_000.0, 12_000.0, 30.0)
    theta = torch.tensor([math.radians(30.0), math.radians(120.0)])
    assert defocus_at_angle(parameters, theta).tolist() == pytest.approx([15_000.0, 12_000.0])
    kx, ky = frequency_grid(64, 64, 1.0, half_plane=False)
    assert kx.shape == (1, 64)
    assert float(ky[1, 0]) == pytest.approx(1 / 64)
    # Along +45 degrees (row and column both increasing) the defocus of an angle of 45 degrees is U.
    tilted = CtfParameters(300.0, 0.0, 0.0, 15_000.0, 12_000.0, 45.0)
    sample = ctf_2d(tilted, 64, 64, 1.0, half_plane=False, dtype=torch.float64)[10, 10]
    expected = ctf_1d(tilted, torch.tensor([math.sqrt(2) * 10 / 64], dtype=torch.float64), theta_rad=math.pi / 4)[0]
    assert float(sample) == pytest.approx(float(expected), abs=1e-9)


def test_amplitude_contrast_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="amplitude contrast"):
        ctf_1d(CtfParameters(300.0, 2.7, 1.2, 1e4, 1e4), torch.zeros(1))
