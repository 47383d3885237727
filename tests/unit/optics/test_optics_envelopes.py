"""Envelopes against numerical averages over the source and over the focus: the physics that they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from frazil.models.optics.envelopes import (
    focal_spread_angstrom,
    spatial_coherence_envelope,
    temporal_coherence_envelope,
)

WAVELENGTH_300_KV = 0.0196874886


def test_temporal_envelope_is_the_average_over_a_gaussian_of_focus() -> None:
    spread = 70.0
    k = np.linspace(0.0, 0.45, 10)
    focus, weight = np.polynomial.hermite_e.hermegauss(60)
    phases = np.exp(1j * math.pi * WAVELENGTH_300_KV * spread * focus[None, :] * k[:, None] ** 2)
    average = np.abs((phases * weight).sum(axis=1) / weight.sum())
    envelope = temporal_coherence_envelope(
        torch.from_numpy(k), voltage_kv=300.0, focal_spread_sd_angstrom=spread
    ).numpy()
    np.testing.assert_allclose(envelope, average, atol=1e-6)
    assert envelope[-1] < 0.75


def test_spatial_envelope_is_the_average_over_a_gaussian_source() -> None:
    """A source at angle a shifts the frequency at which the wave aberration acts by a / lambda (first order)."""
    alpha_rad, defocus, cs = 0.1e-3, 20_000.0, 2.7e7
    k = np.linspace(0.01, 0.4, 10)
    node, weight = np.polynomial.hermite.hermgauss(40)  # weight exp(-x^2): the 1/e half-width
    gradient = 2 * math.pi * (WAVELENGTH_300_KV * defocus * k - cs * WAVELENGTH_300_KV**3 * k**3)
    phases = np.exp(1j * gradient[:, None] * (alpha_rad / WAVELENGTH_300_KV) * node[None, :])
    average = np.abs((phases * weight).sum(axis=1) / weight.sum())
    envelope = spatial_coherence_envelope(
        torch.from_numpy(k), defocus_angstrom=defocus, voltage_kv=300.0, cs_mm=2.7, source_half_angle_mrad=0.1
    ).numpy()
    np.testing.assert_allclose(envelope, average, rtol=1e-4)
    assert envelope[-1] < 0.8


def test_spatial_envelope_is_one_where_the_phase_is_stationary() -> None:
    defocus, cs = 8_000.0, 2.7e7
    stationary = math.sqrt(defocus / (cs * WAVELENGTH_300_KV**2))
    value = spatial_coherence_envelope(
        torch.tensor([stationary], dtype=torch.float64),
        defocus_angstrom=defocus,
        voltage_kv=300.0,
        cs_mm=2.7,
        source_half_angle_mrad=1.0,
    )
    assert float(value) == pytest.approx(1.0, abs=1e-6)


def test_focal_spread_of_a_krios() -> None:
    """Cc 2.7 mm, 0.7 eV full width (0.297 eV sd), relativistic factor 1.2268: 2.7e7 * 1.2268 * 0.297 / 3e5 = 32.8 A."""
    spread = focal_spread_angstrom(voltage_kv=300.0, cc_mm=2.7, energy_spread_ev=0.7 / 2.3548)
    assert spread == pytest.approx(32.8, abs=0.1)
    with_lens = focal_spread_angstrom(
        voltage_kv=300.0, cc_mm=2.7, energy_spread_ev=0.7 / 2.3548, lens_current_instability=1e-6
    )
    assert with_lens == pytest.approx(math.hypot(spread, 54.0), rel=1e-9)
