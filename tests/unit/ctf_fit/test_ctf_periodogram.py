"""What the periodogram promises: calibrated power, independent samples, no cross, no spots."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from frazil.models.ctf_fit.periodogram import (
    CROSS_HALF_WIDTH,
    block_size,
    flatten_image,
    half_frc,
    power_map,
    window_overlap,
)


def _noise(height: int, width: int, sd: float, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(7.0, sd, (height, width)).astype(np.float32))


@pytest.mark.parametrize("block", [1, 3])
def test_white_noise_has_power_equal_to_its_variance_and_exponential_samples(block: int) -> None:
    spectrum = power_map(_noise(384, 300, 3.0), 1.0, block=block)
    used = spectrum.count == block * block
    values = spectrum.power[used]
    assert float(values.mean()) == pytest.approx(9.0, rel=0.02)
    assert float(values.std() / values.mean()) == pytest.approx(1.0 / block, rel=0.06)


def test_frequencies_of_a_plane_wave() -> None:
    """A wave of known direction puts its power where kx, ky say; +y is along increasing rows."""
    y, x = np.mgrid[:256, :320]
    wave = torch.from_numpy(np.cos(2 * np.pi * (0.1 * x + 0.05 * y)).astype(np.float32)) + 0.1 * _noise(256, 320, 1.0)
    spectrum = power_map(wave, 2.0, block=1)
    row, column = np.unravel_index(int(spectrum.unclipped.argmax()), spectrum.unclipped.shape)
    assert float(spectrum.kx[column]) == pytest.approx(0.05, abs=0.002)
    assert float(spectrum.ky[row]) == pytest.approx(0.025, abs=0.002)


def test_readout_lines_fall_on_the_masked_cross() -> None:
    clean = _noise(256, 256, 1.0)
    stripes = torch.from_numpy(np.random.default_rng(2).normal(0, 1.0, 256).astype(np.float32))
    striped = power_map(clean + stripes[None, :] + stripes[:, None], 1.0, block=1)
    reference = power_map(clean, 1.0, block=1)
    used = striped.count > 0
    assert float(striped.power[used].mean()) == pytest.approx(float(reference.power[used].mean()), rel=0.06)
    assert not used[:, : CROSS_HALF_WIDTH + 1].any()


def test_bright_spots_are_clipped_but_kept_for_the_ice_measure() -> None:
    y, x = np.mgrid[:256, :256]
    crystal = 2.0 * np.cos(2 * np.pi * (0.21 * x + 0.17 * y))
    spectrum = power_map(_noise(256, 256, 1.0) + torch.from_numpy(crystal.astype(np.float32)), 1.0, block=1)
    assert float(spectrum.power.max()) < 16.0
    assert float(spectrum.unclipped.max()) > 1000.0


def test_hot_pixels_and_a_slope_do_not_raise_the_floor() -> None:
    image = _noise(256, 256, 1.0)
    image[::50, ::37] += 500.0
    image += torch.linspace(0.0, 30.0, 256)[:, None]
    spectrum = power_map(image, 1.0, block=1)
    k = torch.sqrt(spectrum.kx[None, :] ** 2 + spectrum.ky[:, None] ** 2)
    used = (spectrum.count > 0) & (k > 0.05)
    assert float(spectrum.power[used].mean()) < 1.1


@pytest.mark.parametrize(
    "image", [torch.zeros(10, 10), torch.zeros(3, 128, 128), torch.full((128, 128), math.nan)], ids=str
)
def test_what_is_no_image_is_refused(image: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="image"):
        flatten_image(image)


def test_window_overlap_is_the_share_of_the_field_that_stays_in_view() -> None:
    overlap = window_overlap(torch.tensor([0.0, 250.0, 500.0, 5000.0]), 1000.0)
    assert float(overlap[0]) == pytest.approx(1.0)
    assert float(overlap[1]) == pytest.approx(0.75, abs=0.03)
    assert float(overlap[2]) == pytest.approx(0.5, abs=0.04)
    assert float(overlap[3]) < 0.02


def test_blocks_keep_three_samples_a_ring() -> None:
    assert block_size(1024.0, 1024.0, displacement_angstrom=490.0) == 1
    assert block_size(4096.0, 5760.0, displacement_angstrom=490.0) == 2
    assert block_size(4096.0, 4096.0, displacement_angstrom=100.0) == 13


def test_frc_of_two_countings_is_signal_over_signal_and_noise() -> None:
    rng = np.random.default_rng(3)
    common, first, second = (torch.from_numpy(rng.normal(0, 1, (512, 512)).astype(np.float32)) for _ in range(3))
    edges = torch.linspace(0.05, 0.45, 9)
    frc = half_frc(common + first, common + second, 1.0, edges)
    assert len(frc) == 8
    assert frc == pytest.approx([0.5] * 8, abs=0.04)
