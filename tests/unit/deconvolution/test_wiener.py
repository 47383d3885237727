"""Restoration against a scene that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from frazil.models.causal.attribution import Attribution
from frazil.models.causal.prior import band_frequencies_per_angstrom
from frazil.models.deconvolution.wiener import restore
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters, ctf_2d, frequency_grid
from frazil.models.records import CausalLosses, CtfEstimate

PIXEL_SIZE, SIZE = 2.0, 256
ACQUISITION = AcquisitionParameters(PIXEL_SIZE, 300.0, 2.7, 0.1, 1.0, 0.0, False, ())
CPU = torch.device("cpu")


def _ctf(reliable: bool = True) -> CtfEstimate:
    return CtfEstimate(15000.0, 14500.0, 20.0, 0.0, 10.0, 10.0, 4.0, 0.9, 0.0, reliable, "" if reliable else "no rings")


def _attribution(log_ssnr: np.ndarray) -> Attribution:
    bands = tuple(band_frequencies_per_angstrom().tolist())
    empty = CausalLosses((), bands, (), (), 0)
    return Attribution(empty, bands, tuple(log_ssnr.tolist()), (0.1,) * len(bands))


def _scene_and_image(noise: float, seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """A scene of blobs (bright), its noisy image through the CTF, and the true ln SSNR on the bands."""
    generator = torch.Generator().manual_seed(seed)
    kx, ky = frequency_grid(SIZE, SIZE, PIXEL_SIZE)
    k = torch.sqrt(kx**2 + ky**2)
    white = torch.randn(SIZE, SIZE, generator=generator)
    spectrum = torch.fft.rfft2(white) * torch.exp(-(k**2) * 150)
    scene = torch.fft.irfft2(spectrum, s=(SIZE, SIZE))
    scene = scene / scene.std()
    parameters = CtfParameters(300.0, 2.7, 0.1, 15000.0, 14500.0, 20.0)
    image = torch.fft.irfft2(torch.fft.rfft2(scene) * ctf_2d(parameters, SIZE, SIZE, PIXEL_SIZE), s=(SIZE, SIZE))
    image = image + noise * torch.randn(SIZE, SIZE, generator=generator)
    bands = band_frequencies_per_angstrom()
    scale = float((torch.fft.rfft2(scene).abs() ** 2).mean() / (torch.exp(-2 * (k**2) * 150)).mean())
    power = scale * np.exp(-2 * bands**2 * 150) / SIZE**2
    return scene, image, np.log(np.maximum(power / noise**2, 1e-9))


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@pytest.mark.parametrize("noise", [0.1, 0.5, 2.0])
def test_restoration_is_nearer_to_the_scene_than_the_image_or_a_phase_flip(noise: float) -> None:
    scene, image, log_ssnr = _scene_and_image(noise, 1)
    restored = restore(
        image,
        pixel_size_angstrom=PIXEL_SIZE,
        ctf=_ctf(),
        acquisition=ACQUISITION,
        attribution=_attribution(log_ssnr),
        device=CPU,
    )
    parameters = CtfParameters(300.0, 2.7, 0.1, 15000.0, 14500.0, 20.0)
    sign = torch.sign(ctf_2d(parameters, SIZE, SIZE, PIXEL_SIZE))
    flipped = torch.fft.irfft2(torch.fft.rfft2(image) * sign, s=(SIZE, SIZE))
    assert _correlation(restored, scene) > _correlation(flipped, scene) + 0.02
    assert _correlation(restored, scene) > abs(_correlation(image, scene))


def test_the_true_ssnr_is_the_best_one() -> None:
    """The Wiener filter minimises the squared error: a wrong SSNR, in either direction, must do worse."""
    scene, image, log_ssnr = _scene_and_image(0.5, 2)

    def error(shift: float) -> float:
        restored = restore(
            image,
            pixel_size_angstrom=PIXEL_SIZE,
            ctf=_ctf(),
            acquisition=ACQUISITION,
            attribution=_attribution(log_ssnr + shift),
            device=CPU,
        )
        return float(((restored - scene) ** 2).mean())

    assert error(0.0) < error(-3.0)
    assert error(0.0) < error(3.0)


def test_no_signal_gives_no_contrast() -> None:
    noise = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    restored = restore(
        noise,
        pixel_size_angstrom=PIXEL_SIZE,
        ctf=_ctf(),
        acquisition=ACQUISITION,
        attribution=_attribution(np.full(24, -12.0)),
        device=CPU,
    )
    assert float(restored.std()) < 1e-3


def test_without_a_ctf_it_is_an_inverted_low_pass() -> None:
    _, image, log_ssnr = _scene_and_image(0.0001, 4)
    restored = restore(
        image,
        pixel_size_angstrom=PIXEL_SIZE,
        ctf=_ctf(reliable=False),
        acquisition=ACQUISITION,
        attribution=_attribution(log_ssnr),
        device=CPU,
    )
    spectrum = torch.fft.rfft2(restored) / torch.fft.rfft2(image - image.mean())
    assert float(spectrum[0, 8].real) < -0.1  # 64 A: passed, inverted
    assert abs(float(spectrum[0, 120].real)) < 1e-3  # 4.3 A: gone
