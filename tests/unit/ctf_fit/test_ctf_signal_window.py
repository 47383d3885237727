"""Weighting a micrograph by its own signal: where it looks, how far it goes, what the fit wins."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from frazil.config.settings import CtfSettings
from frazil.models.ctf_fit import fit as fit_module
from frazil.models.ctf_fit.fit import CtfFit, fit_ctf
from frazil.models.ctf_fit.periodogram import power_map
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.signal_window import SignalWindow, signal_window


def _noise(seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0.0, 6.0, (512, 512)).astype(np.float32))


def _low_pass_noise(seed: int) -> Tensor:
    """Structure between 60 and 15 A with the variance 1."""
    k = torch.sqrt(torch.fft.fftfreq(512)[:, None] ** 2 + torch.fft.rfftfreq(512)[None, :] ** 2)
    spectrum = torch.fft.rfft2(_noise(seed)) * ((k > 1 / 60) & (k < 1 / 15))
    image = torch.fft.irfft2(spectrum, s=(512, 512))
    return image / image.std()


def _discs() -> Tensor:
    y, x = np.mgrid[:512, :512]
    inside = np.zeros((512, 512), dtype=np.float32)
    for cy, cx in ((110, 120), (150, 390), (370, 130), (400, 380)):
        inside[np.hypot(y - cy, x - cx) < 55] = 1.0
    return torch.from_numpy(inside)


def _window(image: Tensor) -> SignalWindow | None:
    return signal_window(image, power_map(image, 1.0, block=1), 1.0)


def test_the_weight_lies_on_the_particles() -> None:
    window = _window(_noise(1) + 1.5 * _low_pass_noise(2) * _discs())
    assert window is not None
    inside = _discs() > 0.0
    assert float(window.weight.mean()) == pytest.approx(1.0, abs=1e-4)
    assert float(window.weight[inside].mean()) > 1.8 * float(window.weight[~inside].mean())
    # (mean u)^2 / mean u^2, from the weights themselves.
    assert window.share == pytest.approx(1.0 / float((window.weight**2).mean()), rel=1e-4)
    assert window.share < 0.85


def test_even_signal_is_left_alone() -> None:
    assert _window(_noise(3) + 1.5 * _low_pass_noise(4)) is None


def test_no_place_outshines_the_others_without_end() -> None:
    """Contamination a thousand times as strong as the rest gets less weight than signal of the noise's own size."""
    strength = torch.full((512, 512), 0.0)
    strength[:200] = 1.2
    strength[400:, 400:] = 40.0
    window = _window(_noise(5) + strength * _low_pass_noise(6))
    assert window is not None
    assert float(window.weight[440:, 440:].mean()) < float(window.weight[60:150].mean())


def test_pixels_too_coarse_to_see_the_band_are_not_weighted() -> None:
    image = _noise(7)
    assert signal_window(image, power_map(image, 10.0, block=1), 10.0) is None


def test_share_of_the_samples_is_what_the_windowed_spectrum_counts() -> None:
    window = _window(_noise(8) + 3.0 * _low_pass_noise(9) * _discs())
    assert window is not None
    flat = _noise(10)
    plain = power_map(flat, 1.0, block=1)
    weighted = power_map(flat, 1.0, block=1, weight=window.weight, share=window.share)
    assert float(weighted.count.sum()) == pytest.approx(window.share * float(plain.count.sum()), rel=1e-5)
    # The level of white noise does not depend on the weight.
    assert float(weighted.power.mean()) == pytest.approx(36.0, rel=0.03)
    # Means of 10 x 10 samples scatter as if `share` of them were independent.
    kept = weighted.power[:500, 6:256][:, :250].reshape(50, 10, 25, 10).mean((1, 3))[:20]
    scatter = float((kept / kept.mean()).var())
    assert scatter == pytest.approx(1.0 / (100.0 * window.share), rel=0.3)


def _fit(image: Tensor, **changes: Any) -> CtfFit:
    return fit_ctf(
        image,
        pixel_size_angstrom=1.0,
        optics=RingOptics(300.0, 2.7, 0.1),
        settings=CtfSettings(),
        electrons_per_px=40.0,
        device=torch.device("cpu"),
        **changes,
    )


def test_few_particles_give_more_evidence_when_the_empty_ice_counts_less(
    expose: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    exposure = expose(defocus=9_000.0, amplitude=10.0, seed=31)
    seen = exposure.image() - 40.0
    background = dataclasses.replace(exposure, amplitude=0.0, seed=32).image() - 40.0
    inside = _discs()
    image = seen * inside + background * (1.0 - inside) + 40.0
    weighted = _fit(image)
    monkeypatch.setattr(fit_module, "signal_window", lambda *_: None)
    uniform = _fit(image)
    assert weighted.evidence.gain > 1.3 * uniform.evidence.gain
    for fit in (weighted, uniform):
        mean = 0.5 * (fit.estimate.defocus_u_angstrom + fit.estimate.defocus_v_angstrom)
        assert abs(mean - 9_000.0) < 4.0 * fit.estimate.defocus_sd_angstrom
    assert weighted.estimate.defocus_sd_angstrom < uniform.estimate.defocus_sd_angstrom
    # The spectra are those of the micrograph itself.
    np.testing.assert_allclose(weighted.spectra.power, uniform.spectra.power, rtol=0.2)


def test_rings_come_from_the_weighted_sum_and_spectra_from_the_plain_one(expose: Callable[..., Any]) -> None:
    weak, strong = expose(amplitude=0.3, seed=33), expose(amplitude=3.0, seed=33)
    fit = _fit(weak.image(), weighted=strong.image())
    mean = 0.5 * (fit.estimate.defocus_u_angstrom + fit.estimate.defocus_v_angstrom)
    assert abs(mean - 15_000.0) < 4.0 * fit.estimate.defocus_sd_angstrom
    assert fit.evidence.gain > 5.0 * _fit(weak.image()).evidence.gain
    k = np.array(fit.spectra.frequency_per_angstrom)
    seen = (k > 0.06) & (k < 0.14)
    np.testing.assert_allclose(
        np.array(fit.spectra.ring_amplitude)[seen].mean(), 0.3 * np.exp(-30.0 * k[seen] ** 2).mean(), rtol=0.35
    )
