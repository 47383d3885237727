"""Evenness of views and of resolution: closed forms and injected anisotropy demanded back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from frazil.models.atomic_model.projection import random_euler_deg
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.orientation.orientations import (
    fourier_sampling,
    orientation_report,
    sampling_compensation_factor,
    view_vectors,
)
from frazil.models.reconstruction.orientation.rotations import directions, matrices_from_euler_deg
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.resolution.conical_fsc import conical_fsc, sphericity
from frazil.models.reconstruction.resolution.half_map_fsc import half_map_fsc
from frazil.models.reconstruction.resolution.masks import MapMask, field_mask

C1 = symmetry_matrices("C1")
Angles = tuple[np.ndarray, np.ndarray]


def random_views(count: int, seed: int) -> Angles:
    rng = np.random.default_rng(seed)
    euler = np.array([random_euler_deg(rng) for _ in range(count)])
    return euler[:, 0], euler[:, 1]


def report(angles: Angles, symmetry: str = "C1", resolution_angstrom: float = 10.0):  # type: ignore[no-untyped-def]
    found = orientation_report(
        *angles,
        np.ones(len(angles[0])),
        symmetry_matrices(symmetry),
        diameter_angstrom=120.0,
        resolution_angstrom=resolution_angstrom,
    )
    assert found is not None
    return found


def test_views_are_where_the_matrices_look() -> None:
    euler = np.array([[10.0, 20.0, 30.0], [-100.0, 150.0, 5.0], [0.0, 90.0, 0.0]])
    np.testing.assert_allclose(view_vectors(euler[:, 0], euler[:, 1]), matrices_from_euler_deg(euler)[:, 2], atol=1e-12)


def test_even_views_have_all_the_signal() -> None:
    found = report(random_views(20_000, 1))
    assert found.scf == pytest.approx(1.0, abs=0.01)
    assert found.unmeasured_share == 0.0
    assert not found.preferred
    assert found.cap_expected == pytest.approx(1 - math.cos(math.radians(30)), abs=0.01)


@pytest.mark.parametrize("count", [150, 400])
def test_few_even_views_are_uneven_by_chance_alone(count: int) -> None:
    scf = [report(random_views(count, seed)).scf for seed in range(8)]
    chance = report(random_views(count, 0)).chance_scf
    assert np.mean(scf) == pytest.approx(chance, abs=0.04)
    assert not any(report(random_views(count, seed)).preferred for seed in range(8))


def test_side_views_have_eight_over_pi_squared() -> None:
    """Baldwin & Lyumkis 2020; the sampling itself is (2 / pi) / sin of the angle from the axis."""
    rot = np.linspace(-180, 180, 3600, endpoint=False)
    found = report((rot, np.full(rot.size, 90.0)), resolution_angstrom=2.0)
    assert found.scf == pytest.approx(8 / math.pi**2, abs=0.01)
    theta = np.radians([30.0, 50.0, 80.0])
    towards = np.stack([np.sin(theta), 0 * theta, np.cos(theta)], axis=1)
    sampling = fourier_sampling(towards, view_vectors(rot, np.full(rot.size, 90.0)), np.ones(rot.size), C1, 60.0)
    np.testing.assert_allclose(sampling, 2 / math.pi / np.sin(theta), rtol=0.02)


def test_cone_of_views_samples_as_the_closed_form_says() -> None:
    """Views tilted by tau: (2 / pi) / sqrt(sin^2 theta sin^2 tau - cos^2 theta cos^2 tau), nothing within 90 - tau."""
    rot = np.linspace(-180, 180, 7200, endpoint=False)
    views, tau = view_vectors(rot, np.full(rot.size, 60.0)), math.radians(60)
    theta = np.radians([10.0, 25.0, 45.0, 60.0, 85.0])
    towards = np.stack([np.sin(theta), 0 * theta, np.cos(theta)], axis=1)
    inner = np.sin(theta) ** 2 * math.sin(tau) ** 2 - np.cos(theta) ** 2 * math.cos(tau) ** 2
    expected = np.where(inner > 0, 2 / math.pi / np.sqrt(np.maximum(inner, 1e-9)), 0.0)
    sampling = fourier_sampling(towards, views, np.ones(rot.size), C1, 100.0)
    np.testing.assert_allclose(sampling, expected, rtol=0.03, atol=1e-12)


def test_views_along_one_axis_are_reported_with_the_axis() -> None:
    rng = np.random.default_rng(5)
    rot, tilt = random_views(300, 6)
    crowd = 1700
    rot = np.concatenate([rot, 40 + rng.normal(0, 5, crowd)])
    tilt = np.concatenate([tilt, 70 + rng.normal(0, 5, crowd)])
    found = report((rot, tilt))
    assert found.preferred
    assert found.scf < 0.5
    cap = view_vectors(np.array([found.cap_rot_deg]), np.array([found.cap_tilt_deg]))[0]
    true = view_vectors(np.array([40.0]), np.array([70.0]))[0]
    # Any direction whose cap holds the whole crowd is as good.
    assert np.degrees(np.arccos(abs(cap @ true))) < 25
    assert found.cap_share == pytest.approx(0.85 + 0.15 * 0.134, abs=0.03)
    assert "preferred orientation" in found.sentence
    only = report((np.zeros(1000), np.zeros(1000)))
    assert only.scf < 0.02
    assert only.unmeasured_share > 0.8


def test_symmetry_fills_what_one_axis_leaves() -> None:
    """All views along one direction: the copies in D3 and O cross more and more of Fourier space."""
    rot, tilt = np.full(2000, 20.0), np.full(2000, 35.0)
    c1, d3, cubic = (report((rot, tilt), name, 15.0).unmeasured_share for name in ("C1", "D3", "O"))
    assert c1 == pytest.approx(1 - 1 / 8, abs=0.02)  # shell 8: planes reach 1 / 8 to either side
    assert c1 > d3 + 0.1 > cubic + 0.2
    bins = orientation_report(
        rot[:1], tilt[:1], np.array([2000.0]), symmetry_matrices("O"), diameter_angstrom=120.0, resolution_angstrom=15.0
    )
    assert bins is not None
    assert bins.scf == pytest.approx(report((rot, tilt), "O", 15.0).scf)  # counting bins is counting particles


def test_sampling_factor_is_the_harmonic_over_the_arithmetic_mean() -> None:
    assert sampling_compensation_factor(np.array([1.0, 1.0]), 0.01) == pytest.approx(1.0)
    assert sampling_compensation_factor(np.array([0.5, 1.5]), 0.01) == pytest.approx(1 / np.mean([2, 2 / 3]))
    assert sampling_compensation_factor(np.array([0.0, 2.0]), 0.01) == pytest.approx(1 / np.mean([100, 0.5]))


def test_sphericity_of_known_bodies() -> None:
    views = directions(8.0, C1)
    views = views[views[:, 2] >= 0]
    assert sphericity(views, np.full(len(views), 0.2)) == pytest.approx(1.0)
    # Prolate spheroid, axes 1 1 2: area 2 pi (1 + 2 asin(e) / e), e = sqrt(3)/2.
    e = math.sqrt(3) / 2
    radius = 1 / np.sqrt(views[:, 0] ** 2 + views[:, 1] ** 2 + views[:, 2] ** 2 / 4)
    area, volume = 2 * math.pi * (1 + 2 / e * math.asin(e)), 4 / 3 * math.pi * 2
    assert sphericity(views, radius) == pytest.approx(math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area, abs=0.01)


def anisotropic_halves(b_across: float, b_along: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Half maps of 56 px of 3 A: flat spectrum damped by exp(-B k^2 / 4), B_along for z; noise of unit power."""
    n, pixel = 56, 3.0
    axis = (torch.arange(n) - n // 2) / (n * pixel)
    z2, r2 = axis[:, None, None] ** 2, axis[None, :, None] ** 2 + axis[None, None, :] ** 2
    generator = torch.Generator().manual_seed(seed)
    white = [torch.randn(n, n, n, generator=generator) for _ in range(3)]
    signal = centred_ifft_real(centred_fft(white[0], 3) * 5 * torch.exp(-(b_across * r2 + b_along * z2) / 4), 3)
    return signal + white[1], signal + white[2]


@pytest.mark.parametrize("even", [True, False])
def test_directions_in_which_a_map_is_worse_are_found(even: bool) -> None:
    along = 800.0 if even else 2400.0
    a, b = anisotropic_halves(800.0, along, 3)
    agreement = half_map_fsc(
        a, b, pixel_size_angstrom=3.0, diameter_angstrom=100.0, mask=MapMask(field_mask(56), "sphere")
    )
    cones = conical_fsc(a, b, agreement, pixel_size_angstrom=3.0, cone_deg=20.0)
    found = cones.resolutions_angstrom()
    # 25 exp(-B k^2 / 2) = 0.143 / 0.857 along each direction; a cone of 20 deg takes in what is around it.
    height2 = cones.directions[:, 2] ** 2
    expected = np.sqrt((800.0 * (1 - height2) + along * height2) / (2 * math.log(25 * 0.857 / 0.143)))
    assert np.median(np.abs(found / expected - 1)) < 0.06
    if even:
        assert cones.sphericity > 0.97
    else:
        worst = cones.directions[int(np.argmax(found))]
        assert abs(worst[2]) > math.cos(math.radians(30))
        assert cones.sphericity < 0.93
