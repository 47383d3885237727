"""Restoration against a scene that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from frazil.models.deconvolution.artefacts import clean
from frazil.models.deconvolution.blur import frame_blur_covariance_a2
from frazil.models.deconvolution.ssnr import SsnrCurve
from frazil.models.deconvolution.wiener import low_passed, to_image, wiener_spectrum
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters, ctf_2d, frequency_grid
from frazil.models.records import CtfEstimate

PIXEL_SIZE, SIZE = 2.0, 256
ACQUISITION = AcquisitionParameters(PIXEL_SIZE, 300.0, 2.7, 0.1, 1.0, 0.0, False, ())
CPU = torch.device("cpu")


def _ctf(reliable: bool = True) -> CtfEstimate:
    return CtfEstimate(15000.0, 14500.0, 20.0, 0.0, 10.0, 10.0, 4.0, 0.9, 0.0, reliable, "" if reliable else "no rings")


@dataclass(frozen=True)
class Predicted:
    """Posterior predictive SSNR as an attribution gives it."""

    frequency_per_angstrom: tuple[float, ...]
    log_ssnr: tuple[float, ...]
    log_ssnr_sd: tuple[float, ...]


BANDS = np.linspace(1 / 40, 1 / 2.8, 24)


def _attribution(log_ssnr: np.ndarray) -> Predicted:
    return Predicted(tuple(BANDS.tolist()), tuple(log_ssnr.tolist()), (0.1,) * len(BANDS))


def restore(
    image: torch.Tensor,
    *,
    pixel_size_angstrom: float,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    attribution: Predicted,
    device: torch.device,
) -> torch.Tensor:
    """The Wiener filter by itself, as `restore_micrograph` begins; the low-pass where there is no CTF."""
    cleaned = clean(image.to(device, torch.float32), pixel_size_angstrom).image
    if not ctf.defocus_known:
        return low_passed(cleaned, pixel_size_angstrom)
    curve = SsnrCurve(
        np.asarray(attribution.frequency_per_angstrom),
        np.asarray(attribution.log_ssnr),
        np.asarray(attribution.log_ssnr_sd),
    )
    filtered = wiener_spectrum(
        cleaned, pixel_size_angstrom=pixel_size_angstrom, ctf=ctf, acquisition=acquisition, ssnr=curve
    )
    return to_image(filtered, ctf)


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
    bands = BANDS
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


def _white(seed: int) -> torch.Tensor:
    return torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def _curve(log_ssnr: float) -> SsnrCurve:
    return SsnrCurve(BANDS, np.full(24, log_ssnr), np.full(24, 0.1))


@pytest.mark.parametrize("shape", [(256, 256), (255, 250), (160, 243)])
def test_the_filter_is_the_textbooks(shape: tuple[int, int]) -> None:
    """C / (C^2 + 1/SSNR) times the high-pass, with astigmatism, for even and odd sides."""
    image = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    filtered = wiener_spectrum(
        image, pixel_size_angstrom=PIXEL_SIZE, ctf=_ctf(), acquisition=ACQUISITION, ssnr=_curve(0.7)
    )
    c = ctf_2d(CtfParameters(300.0, 2.7, 0.1, 15000.0, 14500.0, 20.0), *shape, PIXEL_SIZE)
    kx, ky = frequency_grid(*shape, PIXEL_SIZE)
    expected = torch.fft.rfft2(image - image.mean()) * c / (c * c + np.exp(-0.7))
    expected = expected * (1 - torch.exp(-0.5 * (kx**2 + ky**2) * 400.0**2))
    assert filtered.attenuated == 0
    assert float((filtered.planes[0] - expected).abs().max()) < 5e-3 * float(expected.abs().max())


def test_blur_along_one_direction_takes_from_it_and_gives_to_the_other() -> None:
    filtered = [
        wiener_spectrum(
            _white(6),
            pixel_size_angstrom=PIXEL_SIZE,
            ctf=_ctf(),
            acquisition=ACQUISITION,
            ssnr=_curve(-2.0),
            blur_covariance_a2=covariance,
        ).planes[0]
        for covariance in ((0.0, 0.0, 0.0), (4.0, 0.0, 0.0))
    ]
    along, across = slice(30, 60), slice(30, 60)
    assert float(filtered[1][0, along].abs().sum()) < 0.9 * float(filtered[0][0, along].abs().sum())
    assert float(filtered[1][across, 0].abs().sum()) > 1.1 * float(filtered[0][across, 0].abs().sum())


def test_a_reflection_of_ice_is_brought_to_its_surroundings() -> None:
    y, x = np.mgrid[:SIZE, :SIZE]
    pixel = 1.5
    wave = torch.from_numpy(np.cos(2 * np.pi * pixel / 3.9 * (0.8 * x + 0.6 * y)).astype(np.float32))
    image = _white(7)

    def power(picture: torch.Tensor) -> tuple[float, int]:
        filtered = wiener_spectrum(
            picture, pixel_size_angstrom=pixel, ctf=_ctf(), acquisition=ACQUISITION, ssnr=_curve(-3.0)
        )
        kx, ky = frequency_grid(SIZE, SIZE, pixel)
        near = (kx - 0.8 / 3.9) ** 2 + (ky - 0.6 / 3.9) ** 2 < 0.01**2
        return float(filtered.planes[0][near].abs().square().sum()), filtered.attenuated

    clean, none = power(image)
    iced, attenuated = power(image + 0.5 * wave)
    assert none == 0
    assert attenuated >= 1
    assert iced < 3 * clean
    # Unattenuated, the wave would hold hundreds of times what noise has there.
    assert float(torch.fft.rfft2(0.5 * wave).abs().square().max()) > 100 * SIZE**2


def test_a_tilted_specimen_is_filtered_with_each_places_own_defocus() -> None:
    """A wave at one frequency through the CTF of each place: only the local filter brings back its sign everywhere."""
    tilt_deg, axis_deg, n = 55.0, 10.0, 512
    rise = np.tan(np.radians(tilt_deg))
    up = np.radians(axis_deg + 90.0)
    centre = (np.arange(n) - (n - 1) / 2) * PIXEL_SIZE
    offset = rise * (np.cos(up) * centre[None, :] + np.sin(up) * centre[:, None])
    k = 120 / (n * PIXEL_SIZE)
    wave = np.cos(2 * np.pi * 120 * np.arange(n) / n)[None, :] * np.ones((n, 1))
    wavelength = 0.019687
    phase = np.pi * wavelength * (15000.0 + offset) * k**2 - 0.5 * np.pi * 2.7e7 * wavelength**3 * k**4 + np.arcsin(0.1)
    image = torch.from_numpy((-np.sin(phase) * wave).astype(np.float32))
    expected = (wave * np.sin(phase) ** 2 / (np.sin(phase) ** 2 + np.exp(-2.0))).astype(np.float32)
    level = replace(_ctf(), defocus_u_angstrom=15000.0, defocus_v_angstrom=15000.0)
    tilted = replace(level, tilt_angle_deg=tilt_deg, tilt_sd_deg=1.0, tilt_axis_deg=axis_deg)

    def agreement(ctf: CtfEstimate) -> float:
        filtered = wiener_spectrum(
            image, pixel_size_angstrom=PIXEL_SIZE, ctf=ctf, acquisition=ACQUISITION, ssnr=_curve(2.0)
        )
        assert (len(filtered.planes) > 1) == (ctf is tilted)
        return _correlation(to_image(filtered, ctf), torch.from_numpy(expected))

    assert agreement(tilted) > 0.97
    assert agreement(tilted) > agreement(level) + 0.1


def test_the_blur_of_a_steady_drift_is_that_of_its_step() -> None:
    x, y = [3.0 * frame for frame in range(10)], [-1.5 * frame for frame in range(10)]
    assert frame_blur_covariance_a2(x, y) == pytest.approx((9 / 12, 2.25 / 12, -4.5 / 12))
    assert frame_blur_covariance_a2([1.0], [2.0]) == (0.0, 0.0, 0.0)
