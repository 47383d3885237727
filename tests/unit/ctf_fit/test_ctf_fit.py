"""fit_ctf against known truth, and its silence where there is none."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from frazil.config.settings import CtfSettings
from frazil.models.ctf_fit.fit import CtfFit, fit_ctf
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.verdict import Evidence, judge
from frazil.models.optics.ctf import CtfParameters

CPU = torch.device("cpu")


def _fit(image: Tensor, **changes: Any) -> CtfFit:
    arguments: dict[str, Any] = {
        "pixel_size_angstrom": 1.0,
        "optics": RingOptics(300.0, 2.7, 0.1),
        "settings": CtfSettings(),
        "device": CPU,
    }
    return fit_ctf(image, **(arguments | changes))


def _assert_close(fit: CtfFit, truth: CtfParameters, *, sigmas: float = 4.0) -> None:
    estimate = fit.estimate
    assert estimate.defocus_known, (estimate, fit.evidence)
    mean = 0.5 * (estimate.defocus_u_angstrom + estimate.defocus_v_angstrom)
    assert abs(mean - truth.mean_defocus_angstrom) < sigmas * estimate.defocus_sd_angstrom

    def vector(size: float, angle_deg: float) -> complex:
        return size * complex(math.cos(math.radians(2 * angle_deg)), math.sin(math.radians(2 * angle_deg)))

    found = vector(estimate.defocus_u_angstrom - estimate.defocus_v_angstrom, estimate.astigmatism_angle_deg)
    true = vector(truth.astigmatism_angstrom, truth.astigmatism_angle_deg)
    assert abs(found - true) < sigmas * math.sqrt(2) * estimate.astigmatism_sd_angstrom


@pytest.mark.parametrize(
    ("defocus", "astigmatism", "angle_deg", "amplitude"),
    [
        (3_500.0, 200.0, -70.0, 1.5),
        (12_000.0, 5_000.0, 25.0, 1.5),
        (28_000.0, 1_000.0, 80.0, 1.5),
        # Here the optics displace the contrast by 360 of the 512 A that the picture spans.
        (46_000.0, 300.0, 0.0, 5.0),
    ],
)
def test_rings_are_found_without_a_guess(
    expose: Callable[..., Any], defocus: float, astigmatism: float, angle_deg: float, amplitude: float
) -> None:
    exposure = expose(
        defocus=defocus, astigmatism=astigmatism, angle_deg=angle_deg, amplitude=amplitude, seed=int(defocus)
    )
    fit = _fit(exposure.image(), electrons_per_px=40.0)
    _assert_close(fit, exposure.parameters)
    assert fit.estimate.defocus_sd_angstrom < 60.0
    assert fit.estimate.fit_resolution_angstrom is not None
    assert fit.estimate.fit_resolution_angstrom < 8.0
    assert -90.0 <= fit.estimate.astigmatism_angle_deg < 90.0


@pytest.fixture(scope="module")
def fitted(expose: Callable[..., Any]) -> tuple[Any, CtfFit]:
    exposure = expose(height=512, width=640, seed=11)
    even, odd = exposure.halves()
    return exposure, _fit(even + odd, halves=(even, odd), electrons_per_px=40.0)


def test_a_rectangular_image_and_its_spectra(fitted: tuple[Any, CtfFit]) -> None:
    exposure, fit = fitted
    _assert_close(fit, exposure.parameters)
    spectra = fit.spectra
    k = np.array(spectra.frequency_per_angstrom)
    lengths = {len(curve) for curve in (spectra.power, spectra.noise_power, spectra.ring_amplitude, spectra.half_frc)}
    assert lengths == {len(k)}
    assert 100 <= len(k) <= 200
    assert k[-1] > 0.48
    noise, amplitude = np.array(spectra.noise_power), np.array(spectra.ring_amplitude)
    seen = (k > 0.06) & (k < 0.2)
    # Counted electrons: the noise is the shot noise, and the rings' amplitude is what was put in.
    np.testing.assert_allclose(noise[k > 0.06], 1.0, atol=0.15)
    np.testing.assert_allclose(amplitude[seen], 1.5 * np.exp(-30.0 * k[seen] ** 2), rtol=0.3)
    assert np.all(amplitude >= 0.0)
    far = np.array(spectra.power)[k > 0.3]
    assert far.mean() == pytest.approx(1.0, abs=0.06)


def test_frc_of_the_halves_follows_signal_to_noise(fitted: tuple[Any, CtfFit]) -> None:
    """Each half has a quarter of the signal's power S and half of the noise's: FRC = S / (S + 2), S = A <CTF^2>."""
    _, fit = fitted
    k = np.array(fit.spectra.frequency_per_angstrom)
    frc = np.array(fit.spectra.half_frc)
    ring = (k > 0.08) & (k < 0.16)
    signal = 0.5 * np.mean(1.5 * np.exp(-30.0 * k[ring] ** 2))
    assert frc[ring].mean() == pytest.approx(signal / (signal + 2.0), abs=0.04)
    assert abs(frc[k > 0.35].mean()) < 0.05


def test_the_two_halves_of_the_picture_agree(fitted: tuple[Any, CtfFit]) -> None:
    picture = fitted[1].diagnostic
    assert picture.dtype == np.float32
    assert picture.min() >= 0.0
    assert picture.max() <= 1.0
    size = picture.shape[0]
    assert picture.shape == (size, size)
    left, right = picture[:, : size // 2], picture[::-1, size // 2 :][:, ::-1]  # point reflection
    y, x = np.mgrid[:size, : size // 2]
    radius = np.hypot(y - size / 2, x - size / 2) / (size / 2) * 0.25 * 1.15
    seen = (radius > 0.05) & (radius < 0.13)
    assert np.corrcoef(left[seen], right[seen])[0, 1] > 0.2
    # Mirrored the wrong way the ellipses do not lie on each other: the test can tell.
    assert np.corrcoef(left[seen], right[::-1][seen])[0, 1] < np.corrcoef(left[seen], right[seen])[0, 1]


def test_same_input_same_result(fitted: tuple[Any, CtfFit]) -> None:
    exposure, fit = fitted
    even, odd = exposure.halves()
    again = _fit(even + odd, halves=(even, odd), electrons_per_px=40.0)
    assert again.estimate == fit.estimate
    assert again.spectra == fit.spectra


def test_without_electrons_the_unit_is_the_floor(expose: Callable[..., Any]) -> None:
    fit = _fit(17.0 * expose(seed=12).image())
    k = np.array(fit.spectra.frequency_per_angstrom)
    assert np.array(fit.spectra.power)[k > 0.45].mean() == pytest.approx(1.0, abs=0.05)


def test_phase_shift_of_a_phase_plate(expose: Callable[..., Any]) -> None:
    exposure = expose(defocus=9_000.0, phase_shift_deg=70.0, amplitude=3.0, seed=13)
    fit = _fit(exposure.image(), fit_phase_shift=True)
    assert fit.estimate.phase_shift_deg == pytest.approx(70.0, abs=15.0)
    mean = 0.5 * (fit.estimate.defocus_u_angstrom + fit.estimate.defocus_v_angstrom)
    assert abs(mean - 9_000.0) < 5.0 * fit.estimate.defocus_sd_angstrom
    assert _fit(expose(seed=14).image()).estimate.phase_shift_deg == 0.0


def test_crystalline_ice_readout_lines_and_a_carbon_edge_do_not_disturb(expose: Callable[..., Any]) -> None:
    exposure = expose(seed=15)
    image = exposure.image()
    rng = np.random.default_rng(16)
    y, x = np.mgrid[:512, :512]
    for angle in rng.uniform(0, np.pi, 8):
        wave = np.cos(2 * np.pi * 0.2565 * (x * np.cos(angle) + y * np.sin(angle)))
        image += torch.from_numpy((1.2 * wave).astype(np.float32))
    image += torch.from_numpy(rng.normal(0, 2.0, 512).astype(np.float32))[None, :]
    image[x + 2 * y > 1_100] *= 0.9
    fit = _fit(image, electrons_per_px=40.0)
    _assert_close(fit, exposure.parameters)
    assert fit.estimate.ice_ring_density > 0.3
    assert abs(_fit(exposure.image()).estimate.ice_ring_density) < 0.15


def _shot_noise(seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).poisson(30.0, (512, 512)).astype(np.float32))


def _grid_bar() -> Tensor:
    image = _shot_noise(21)
    image[:, 200:330] *= 0.05
    return image


def _blobs() -> Tensor:
    """Large smooth contamination: strong low frequencies, no rings."""
    y, x = np.mgrid[:512, :512]
    rng = np.random.default_rng(22)
    density = np.zeros((512, 512))
    for centre_y, centre_x in rng.uniform(0, 512, (60, 2)):
        density += np.exp(-((y - centre_y) ** 2 + (x - centre_x) ** 2) / (2 * 9.0**2))
    return torch.from_numpy(rng.poisson(30.0 * np.exp(-0.4 * density)).astype(np.float32))


@pytest.mark.parametrize(
    "make",
    [lambda: _shot_noise(20), _grid_bar, _blobs, lambda: torch.full((512, 512), 30.0)],
    ids=["noise", "grid-bar", "contamination", "constant"],
)
def test_no_rings_is_said_with_finite_numbers_and_the_errors_of_the_prior(make: Callable[[], Tensor]) -> None:
    fit = _fit(make(), electrons_per_px=30.0)
    estimate = fit.estimate
    assert not estimate.reliable
    assert estimate.flag == "no rings"
    assert estimate.fit_resolution_angstrom is None
    assert estimate.defocus_sd_angstrom == pytest.approx(48_000.0 / math.sqrt(12.0))
    finite = (
        estimate.defocus_u_angstrom,
        estimate.defocus_v_angstrom,
        estimate.astigmatism_angle_deg,
        estimate.score,
        *fit.spectra.power,
        *fit.spectra.noise_power,
        *fit.spectra.ring_amplitude,
    )
    assert all(math.isfinite(value) for value in finite)
    assert np.isfinite(fit.diagnostic).all()


def test_pixels_too_coarse_for_any_ring_are_said_to_be() -> None:
    estimate = _fit(_shot_noise(23), pixel_size_angstrom=14.0).estimate
    assert (estimate.reliable, estimate.flag) == (False, "pixels too coarse")


GOOD = Evidence(coarse_score=20.0, gain=200.0, margin=100.0, dispersion=1.0, converged=True, inside_search_range=True)


def _evidence(**changes: Any) -> Evidence:
    values = {name: getattr(GOOD, name) for name in Evidence.__slots__}
    return Evidence(**(values | changes))


@pytest.mark.parametrize(
    ("evidence", "defocus_sd", "astigmatism_sd", "rings", "flag"),
    [
        (GOOD, 20.0, 50.0, 5.0, ""),
        (_evidence(gain=5.0), 20.0, 50.0, 5.0, "no rings"),
        (_evidence(gain=25.0, dispersion=4.0), 20.0, 50.0, 5.0, "no rings"),
        (GOOD, 20.0, 50.0, 0.0, "no rings"),
        (GOOD, 20.0, 50.0, 0.8, "too few rings"),
        (_evidence(inside_search_range=False), 20.0, 50.0, 5.0, "defocus at the edge of the search"),
        (_evidence(margin=1.0), 20.0, 50.0, 5.0, "ambiguous defocus"),
        (GOOD, 400.0, 50.0, 5.0, "defocus uncertain"),
        (GOOD, 20.0, 310.0, 5.0, "astigmatism uncertain"),
        (_evidence(converged=False), 20.0, 50.0, 5.0, "fit did not converge"),
    ],
)
def test_every_flag_has_its_reason(
    evidence: Evidence, defocus_sd: float, astigmatism_sd: float, rings: float, flag: str
) -> None:
    assert judge(evidence, defocus_sd, astigmatism_sd, rings) == (flag == "", flag)


def test_an_uncertain_astigmatism_alone_leaves_the_defocus_known(expose: Callable[..., Any]) -> None:
    estimate = _fit(expose(seed=41).image()).estimate
    assert estimate.defocus_known
    assert dataclasses.replace(estimate, reliable=False, flag="astigmatism uncertain").defocus_known
    assert not dataclasses.replace(estimate, reliable=False, flag="no rings").defocus_known
