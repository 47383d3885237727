"""`align_movie` end to end on small movies with known truth (the science tests look at accuracy over many)."""

import numpy as np
import pytest
import torch

from frazil.config.settings import MotionSettings
from frazil.models.motion.align import align_movie, frame_shifts
from frazil.models.motion.frame_source import StackFrames

CPU = torch.device("cpu")
EXPOSURE = {"pixel_size_angstrom": 1.0, "voltage_kv": 300.0, "pre_exposure_e_per_a2": 0.0, "device": CPU}
FAST = MotionSettings(patch_grid_x=1, patch_grid_y=1)


def _movie(shift: np.ndarray, size: int = 384, contrast: float = 0.12, gain: float = 0.0) -> torch.Tensor:
    """Poisson frames (1 e/px) of grainy specimen, exact shifts, optional fixed pattern."""
    rng = torch.Generator().manual_seed(7)
    k = (torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size)[None] ** 2).sqrt()
    spectrum = torch.fft.rfft2(torch.randn((size, size), generator=rng)) * torch.exp(-((k / 0.07) ** 2))
    spectrum[0, 0] = 0
    scale = torch.fft.irfft2(spectrum, s=(size, size)).std()
    pattern = 1 + gain * torch.randn((size, size), generator=rng)
    ky, kx = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]
    frames = []
    for x, y in shift:
        phase = torch.polar(torch.ones_like(k), -2 * torch.pi * (kx * float(x) + ky * float(y)))
        image = torch.fft.irfft2(spectrum * phase, s=(size, size)) / scale * contrast
        frames.append(torch.poisson((1 + image).clamp_min(0) * pattern, generator=rng))
    return torch.stack(frames).to(torch.uint8)


def _path(frames: int, length: float) -> np.ndarray:
    t = np.arange(frames)
    path = np.stack([length * (1 - np.exp(-t / 4)), -0.05 * length * t], axis=1)
    return path - path.mean(axis=0)


def _found(shifts) -> np.ndarray:
    return np.stack([shifts.shift_x_angstrom, shifts.shift_y_angstrom], axis=1)


@pytest.mark.parametrize("gain", [0.0, 0.08])
def test_shifts_are_the_specimens_displacement(gain: float) -> None:
    truth = _path(14, 12.0)
    stages: list[str] = []
    result = align_movie(
        StackFrames(_movie(truth, gain=gain)),
        dose_per_frame_e_per_a2=1.0,
        settings=FAST,
        on_stage=stages.append,
        **EXPOSURE,
    )
    error = _found(result.shifts) - truth
    assert np.sqrt((error**2).sum(axis=1).mean()) < 0.5
    assert result.shifts.converged
    assert stages == ["align_global", "align_local", "sum"]
    assert result.local_motion is None
    assert np.abs(_found(result.shifts).mean(axis=0)).max() < 1e-9
    torch.testing.assert_close(result.plain, result.even + result.odd)
    assert result.shifts.total_angstrom == pytest.approx(result.shifts.early_angstrom + result.shifts.late_angstrom)


def test_noise_alone_is_not_trusted() -> None:
    noise = torch.poisson(torch.ones((10, 256, 256)), generator=torch.Generator().manual_seed(0))
    result = align_movie(StackFrames(noise), dose_per_frame_e_per_a2=1.0, settings=FAST, **EXPOSURE)
    assert not result.shifts.converged


def test_an_empty_frame_has_a_large_error_and_harms_no_other() -> None:
    truth = _path(12, 8.0)
    movie = _movie(truth)
    movie[5] = 0
    result = align_movie(StackFrames(movie), dose_per_frame_e_per_a2=1.0, settings=FAST, **EXPOSURE)
    live = np.arange(12) != 5
    error = (_found(result.shifts) - truth)[live]
    error -= error.mean(axis=0)
    assert np.sqrt((error**2).sum(axis=1).mean()) < 0.6
    sd = result.shifts.sd_angstrom
    assert sd[5] > 1.05 * max(sd[4], sd[6])  # known from its neighbours alone


def test_a_single_frame_comes_back_as_it_is() -> None:
    frame = torch.randint(0, 5, (1, 40, 50), dtype=torch.uint8)
    result = align_movie(StackFrames(frame), dose_per_frame_e_per_a2=30.0, settings=MotionSettings(), **EXPOSURE)
    torch.testing.assert_close(result.dose_weighted, frame[0].float())
    torch.testing.assert_close(result.even, result.plain)
    assert result.shifts.converged
    assert result.shifts.total_angstrom == 0.0


def test_patches_of_a_rigid_movie_do_not_invent_local_motion() -> None:
    truth = _path(10, 6.0)
    settings = MotionSettings(patch_grid_x=3, patch_grid_y=3)
    result = align_movie(StackFrames(_movie(truth)), dose_per_frame_e_per_a2=1.0, settings=settings, **EXPOSURE)
    assert result.local_motion is not None
    assert not result.local_motion.accepted
    assert not any(result.local_motion.coefficients_x_angstrom)


def test_early_motion_is_the_path_of_the_first_four_electrons() -> None:
    shift = np.stack([np.arange(10.0), np.zeros(10)], axis=1)
    record = frame_shifts(shift, np.ones((10, 2)), 1.0, True)
    assert record.early_angstrom == pytest.approx(4.0)
    assert record.total_angstrom == pytest.approx(9.0)
    assert sum(record.shift_x_angstrom) == pytest.approx(0.0)
