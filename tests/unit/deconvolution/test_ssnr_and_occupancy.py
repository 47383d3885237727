"""What a micrograph's own halves say: how much signal there is, and where."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from frazil.models.deconvolution.occupancy import bands_of, find_occupancy, locally_filtered
from frazil.models.deconvolution.ssnr import SsnrCurve, half_spectra_ssnr
from frazil.models.deconvolution.working_grid import WorkingGrid, transfers, working_grid
from frazil.models.optics.ctf import CtfParameters, ctf_2d, frequency_grid

PIXEL, N = 4.0, 256
CTF = CtfParameters(300.0, 2.7, 0.1, 14000.0, 13500.0, 30.0)
GRID = WorkingGrid(N, N, N, N, PIXEL, PIXEL)
CPU = torch.device("cpu")


def _noise(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(N, N, generator=generator)


def _k() -> torch.Tensor:
    kx, ky = frequency_grid(N, N, PIXEL)
    return torch.sqrt(kx * kx + ky * ky)


def _halves(log_ssnr_of: SsnrCurve | None, seed: int) -> list[torch.Tensor]:
    """Halves whose sum has the SSNR (noise variance 1 each)."""
    generator = torch.Generator().manual_seed(seed)
    signal = torch.zeros(N, N // 2 + 1, dtype=torch.complex64)
    if log_ssnr_of is not None:
        # The sum has twice the signal's amplitude and twice the noise's power.
        amplitude = torch.from_numpy(np.exp(0.5 * log_ssnr_of.at(_k().numpy())) * np.sqrt(0.5)).float()
        signal = torch.fft.rfft2(_noise(generator)) * amplitude * ctf_2d(CTF, N, N, PIXEL)
    image = torch.fft.irfft2(signal, s=(N, N))
    return [image + _noise(generator) for _ in range(2)]


@pytest.mark.parametrize(("start", "slope"), [(3.0, -45.0), (0.0, -30.0)])
def test_the_ssnr_of_halves_is_that_of_their_sum(start: float, slope: float) -> None:
    at = np.linspace(0.005, 0.125, 30)
    true = SsnrCurve(at, start + slope * at, np.full(30, 0.1))
    found = half_spectra_ssnr(*_halves(true, 1), pixel_size_angstrom=PIXEL, ctf=CTF)
    seen = (found.frequency_per_angstrom > 0.02) & (found.log_ssnr_sd < 0.4)
    assert seen.sum() >= 8
    error = found.log_ssnr - true.at(found.frequency_per_angstrom)
    assert np.abs(error[seen]).mean() < 0.4
    assert np.sqrt(np.mean((error[seen] / found.log_ssnr_sd[seen]) ** 2)) < 2.0


def test_noise_has_no_ssnr_to_speak_of() -> None:
    found = half_spectra_ssnr(*_halves(None, 2), pixel_size_angstrom=PIXEL, ctf=CTF)
    assert np.exp(found.log_ssnr[found.frequency_per_angstrom > 0.03]).max() < 0.05


def test_curves_combine_by_precision_and_fall_on_beyond_their_ends() -> None:
    k = np.linspace(0.025, 0.3, 24)
    sure = SsnrCurve(k, 1 - 10 * k, np.full(24, 0.1))
    vague = SsnrCurve(np.linspace(0.01, 0.12, 10), np.full(10, 5.0), np.full(10, 3.0))
    both = sure.combined(vague)
    assert np.abs(both.at(k) - sure.log_ssnr).max() < 0.02
    # Each alone where only it has anything to say, whichever is asked first.
    for one in (both, vague.combined(sure)):
        assert one.frequency_per_angstrom[0] == pytest.approx(0.01)
        assert one.log_ssnr[0] == pytest.approx(5.0)
        assert one.at(np.array([0.25]))[0] == pytest.approx(1 - 10 * 0.25, abs=0.01)
    assert sure.at(np.array([0.4]))[0] == pytest.approx(1 - 10 * 0.4)
    assert sure.at(np.array([0.0]))[0] == pytest.approx(sure.log_ssnr[0])


def test_bands_add_up_to_one() -> None:
    assert float((sum(bands_of(_k())) - 1).abs().max()) < 1e-5


def _blobs(strength: float, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Wiener-filtered spectrum of textured discs in noise, the true cover and the texture itself."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(N), torch.arange(N), indexing="ij")
    cover = torch.zeros(N, N)
    for cy in range(30, N, 64):
        for cx in range(30, N, 64):
            cover[(y - cy) ** 2 + (x - cx) ** 2 < 14**2] = 1.0
    white = torch.fft.rfft2(_noise(generator)) * torch.exp(-0.5 * (_k() * 12) ** 2)
    texture = torch.fft.irfft2(white, s=(N, N))
    scene = strength * cover * texture / texture.std()
    return torch.fft.rfft2(scene + _noise(generator)), cover, scene


def test_places_with_a_specimen_are_found_and_the_rest_is_quiet() -> None:
    spectrum, cover, scene = _blobs(1.5, 3)
    occupancy = find_occupancy(spectrum, _k(), GRID)
    inside, outside = occupancy.probability[cover > 0].mean(), occupancy.probability[cover == 0].mean()
    assert float(inside) > 0.8
    assert float(outside) < 0.2
    assert abs(occupancy.share - float(cover.mean())) < 0.1
    local = locally_filtered(spectrum, _k(), occupancy, GRID)
    plain = torch.fft.irfft2(spectrum, s=(N, N))

    def likeness(image: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack([image.flatten(), scene.flatten()]))[0, 1])

    assert likeness(local) > likeness(plain) + 0.2


def test_in_noise_no_band_is_a_particles() -> None:
    spectrum, _, _ = _blobs(0.0, 4)
    occupancy = find_occupancy(spectrum, _k(), GRID)
    assert max(occupancy.particle_share[2:]) < 0.2


def test_the_working_grid_shows_the_same_field() -> None:
    grid = working_grid(1000, 1200, 1.1)
    assert abs(grid.pixel_size_angstrom - 4.0) < 0.2
    assert grid.height_px % 16 == grid.width_px % 16 == 0
    y, x = np.mgrid[:1000, :1200]
    image = torch.from_numpy(np.cos(2 * np.pi * (5 * y / 1000 + 7 * x / 1200)).astype(np.float32))
    small = torch.fft.irfft2(grid.cropped(torch.fft.rfft2(image)), s=grid.size)
    y, x = np.mgrid[: grid.height_px, : grid.width_px]
    expected = np.cos(2 * np.pi * (5 * y / grid.height_px + 7 * x / grid.width_px))
    assert float((small - torch.from_numpy(expected)).abs().max()) < 1e-3
    full = torch.zeros(1000, 601, dtype=torch.complex64)
    grid.add_to_full(full, torch.fft.rfft2(small))
    assert float((torch.fft.irfft2(full, s=(1000, 1200)) - image).abs().max()) < 1e-3


def test_the_transfer_on_a_small_grid_is_the_ctf_of_the_full_one() -> None:
    grid = working_grid(512, 640, 1.0)
    filters = transfers(grid, CTF, SsnrCurve(np.array([0.0, 0.1]), np.zeros(2), np.ones(2)), CPU)
    full = grid.cropped(ctf_2d(CTF, 512, 640, 1.0).to(torch.complex64)).real * (
        512 * 640 / (grid.height_px * grid.width_px)
    )
    inside = torch.ones_like(full, dtype=torch.bool)
    inside[grid.height_px // 2], inside[:, -1] = False, False
    assert float((filters.ctf - full)[inside].abs().max()) < 1e-3
