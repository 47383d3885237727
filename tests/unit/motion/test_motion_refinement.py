"""Choices that are made on an aligned movie, against movies whose damage, motion and path are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from frazil.models.motion.estimate.band import Band, BandGrid
from frazil.models.motion.estimate.coarse_search import mended, search_paths
from frazil.models.motion.estimate.refinement import Refined, likeliest_damage, refine, split_agreement
from frazil.models.optics.dose import exposure_filter, mid_frame_exposures_e_per_a2

STRENGTHS = (0.0, 0.4, 1.0, 1.4)
GRID = BandGrid.build(160, 160, 2.0, 0.2, torch.device("cpu"))


def _amplitudes(frames: int, dose_e_per_a2: float) -> dict[float, Tensor]:
    left = exposure_filter(
        GRID.shell_frequency_per_angstrom, mid_frame_exposures_e_per_a2(frames, dose_e_per_a2, 0.0), 300.0
    )
    return {s: torch.cat((left**s, torch.zeros_like(left[:, :1])), dim=1).float() for s in STRENGTHS}


def _noise(generator: torch.Generator, *shape: int) -> Tensor:
    real, imaginary = (torch.randn(shape, generator=generator) for _ in range(2))
    return torch.complex(real, imaginary) / math.sqrt(2)


def _band(shift_angstrom: np.ndarray, amplitude: Tensor, specimen: float, seed: int = 0) -> Band:
    """A specimen of variance `specimen`, faded by `amplitude` and moved, in noise of variance 1."""
    generator = torch.Generator().manual_seed(seed)
    frames, shape = len(shift_angstrom), tuple(GRID.shell.shape)
    empty = Band(
        torch.zeros((frames, *shape), dtype=torch.complex64),
        GRID.omega_x_rad_per_angstrom,
        GRID.omega_y_rad_per_angstrom,
        GRID.shell,
        GRID.shell_frequency_per_angstrom,
        amplitude,
    )
    along_x, along_y = empty.phases(torch.as_tensor(-shift_angstrom))
    seen = _noise(generator, *shape) * math.sqrt(specimen) * along_y[:, :, None] * along_x[:, None, :]
    return _with(empty, seen * empty.amplitude_map() + _noise(generator, frames, *shape))


def _with(band: Band, coefficients: Tensor) -> Band:
    return Band(
        coefficients,
        band.omega_x_rad_per_angstrom,
        band.omega_y_rad_per_angstrom,
        band.shell,
        band.shell_frequency_per_angstrom,
        band.amplitude,
    )


def _settling(frames: int, length_angstrom: float) -> np.ndarray:
    t = np.arange(frames)
    path = np.stack((length_angstrom * (1 - np.exp(-t / 3)), -0.2 * t), axis=1)
    return path - path.mean(axis=0)


def _refined(band: Band, shift_angstrom: np.ndarray) -> Refined:
    return refine(band, shift_angstrom, rounds=4, floor=None)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_the_damage_that_was_done_is_the_likeliest(strength: float) -> None:
    amplitudes = _amplitudes(16, 3.0)
    path = _settling(16, 8.0)
    band = _band(path, amplitudes[strength], 0.3)
    # Whatever was assumed before.
    for assumed in (0.4, 1.0):
        assert likeliest_damage(band.with_amplitude(amplitudes[assumed]), path, amplitudes, None) == strength


def test_halves_of_one_motion_agree_and_of_two_do_not() -> None:
    path = _settling(12, 8.0)
    amplitude = _amplitudes(12, 1.0)[1.0]
    agreed = []
    for seed in range(8):
        band = _band(path, amplitude, 0.2, seed)
        agreed.append(split_agreement(band, _refined(band, path)))
    assert np.mean(agreed) == pytest.approx(1.0, abs=0.25)
    one, other = _band(path, amplitude, 0.2, 1), _band(path[:, ::-1].copy(), amplitude, 0.2, 2)
    mixed = _with(one, torch.where(one.chequered, one.coefficients, other.coefficients))
    assert split_agreement(mixed, _refined(mixed, path)) > 2.5


def test_halves_that_say_nothing_are_not_called_agreement() -> None:
    path = np.zeros((6, 2))
    band = _band(path, _amplitudes(6, 1.0)[1.0], 0.0)
    found = _refined(band, path)
    nothing = Refined(
        found.shift_angstrom, found.posterior, type(found.spectra)(*(torch.zeros_like(found.spectra.specimen),) * 2),
        0.0, 0.0, found.prior,
    )  # fmt: skip
    assert math.isinf(split_agreement(band, nothing))


@pytest.mark.parametrize("decay_frames", [math.inf, 8.0, 2.5])
def test_a_simple_path_is_found_where_no_single_frame_shows_it(decay_frames: float) -> None:
    frames = 24
    t = np.arange(frames)
    course = t / (frames - 1) if math.isinf(decay_frames) else 1 - np.exp(-t / decay_frames)
    truth = (course - course.mean())[:, None] * np.array([-14.0, 9.0])
    # A fortieth of the noise in a frame.
    band = _band(truth, _amplitudes(frames, 1.0)[0.0], 0.025, seed=3).below(0.08)
    found = search_paths(band, 30.0).numpy()
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-4)
    assert np.sqrt(np.square(found - truth).sum(axis=1).mean()) < 1.5


def _lost(frames: int, first_late: int, by_angstrom: tuple[float, float]) -> np.ndarray:
    """A quiet movie whose stage moves once."""
    path = _settling(frames, 1.0) + (np.arange(frames) >= first_late)[:, None] * np.array(by_angstrom)
    return path - path.mean(axis=0)


@pytest.mark.parametrize("first_late", [3, 7, 13])
def test_a_path_that_is_broken_in_two_is_mended(first_late: int) -> None:
    """Each part is aligned in itself, and the parts 30 A apart: frame by frame that is a maximum."""
    truth = _lost(16, first_late, (-24.0, 18.0))
    band = _band(truth, _amplitudes(16, 1.0)[0.4], 0.1).below(0.1)
    false = _settling(16, 1.0)
    found = mended(band, torch.as_tensor(false).float(), b_factor_angstrom2=150.0, max_shift_angstrom=60.0)
    assert found is not None
    assert np.sqrt(np.square(found.numpy() - truth).sum(axis=1).mean()) < 1.0


def test_a_path_that_is_right_is_left_as_it_is() -> None:
    truth = _lost(16, 7, (-24.0, 18.0))
    band = _band(truth, _amplitudes(16, 1.0)[0.4], 0.1).below(0.1)
    assert mended(band, torch.as_tensor(truth).float(), b_factor_angstrom2=150.0, max_shift_angstrom=60.0) is None
