"""Binning, prior, field and tile sums against what they must give."""

import math

import numpy as np
import pytest
import torch

from frazil.models.motion.estimate.binning import build_small_stack, halve, halvings_for, smooth_length
from frazil.models.motion.estimate.field import MotionField, evaluate_polynomial, polynomial_coefficients
from frazil.models.motion.estimate.smooth_prior import StepPrior, learn, solve, steps_to_shifts
from frazil.models.motion.estimate.spatial_basis import SpatialBasis
from frazil.models.motion.frame_source import StackFrames
from frazil.models.motion.sum.sum_filters import fourier_crop
from frazil.models.motion.sum.sum_movie import sum_movie
from frazil.models.records import LocalMotion

CPU = torch.device("cpu")
EXPOSURE = {
    "pixel_size_angstrom": 1.0,
    "voltage_kv": 300.0,
    "dose_per_frame_e_per_a2": 1.0,
    "pre_exposure_e_per_a2": 0.0,
    "device": CPU,
}


def test_lengths_that_ffts_like() -> None:
    assert smooth_length(2046) == 2016
    assert smooth_length(4096) == 4096
    for length in (2046, 1023, 5760, 77):
        found = smooth_length(length)
        assert found <= length
        assert found % 2 == 0
        assert found > 0.9 * length


def test_number_of_halvings_follows_the_pixel() -> None:
    assert halvings_for(1.0, 2048, 2048) == 1
    assert halvings_for(0.66, 2048, 2048) == 2
    assert halvings_for(1.5, 1024, 1024) == 0
    assert halvings_for(0.2, 200, 300) == 1


def test_large_frames_are_halved_once_more() -> None:
    assert halvings_for(1.0, 4096, 4096) == 2
    assert halvings_for(0.83, 4092, 5760) == 2
    assert halvings_for(2.1, 4096, 4096) == 2


def test_halving_keeps_a_wave_where_it_is() -> None:
    x = torch.arange(128, dtype=torch.float32)
    wave = torch.cos(2 * math.pi * 0.05 * x)[None, :].expand(64, -1)
    small = halve(wave)
    middle = 2 * torch.arange(64, dtype=torch.float32) + 0.5
    expected = torch.cos(2 * math.pi * 0.05 * middle)
    gain = float((small[16, 4:-4] * expected[4:-4]).sum() / expected[4:-4].square().sum())
    assert gain == pytest.approx(0.97, abs=0.03)
    torch.testing.assert_close(small[16, 4:-4], gain * expected[4:-4], atol=2e-3, rtol=0)
    torch.testing.assert_close(halve(torch.ones(10, 10)), torch.ones(5, 5))


def test_small_stack_of_an_empty_frame_is_zero() -> None:
    stack = torch.poisson(torch.full((3, 128, 128), 2.0))
    stack[1] = 0
    small = build_small_stack(StackFrames(stack), 1.0, CPU)
    assert float(small.frames[1].abs().max()) == 0.0
    assert float(small.sd_counts[1]) == 0.0
    assert float(small.frames[0].float().std()) == pytest.approx(1.0, abs=0.01)


def test_prior_learns_that_motion_is_smooth_and_halves_the_error() -> None:
    rng = np.random.default_rng(0)
    frames = 40
    t = np.arange(frames)
    ratios = []
    for _ in range(6):
        truth = np.stack([8 * (1 - np.exp(-t / 5)), 0.1 * t], axis=1) @ np.linalg.qr(rng.normal(size=(2, 2)))[0]
        truth = truth - truth.mean(axis=0)
        noisy = truth + rng.normal(size=truth.shape) * 0.5
        gauge = np.eye(frames) - 1.0 / frames
        information = np.kron(np.eye(2), gauge) / 0.5**2
        score = information @ noisy.T.reshape(-1)
        prior = learn(information, score, frames, StepPrior())
        found = solve(information, score, frames, prior)
        error = found.shift_angstrom - truth
        ratios.append(np.sqrt((error**2).mean()) / 0.5)
        assert np.allclose(found.shift_angstrom.mean(axis=0), 0, atol=1e-9)
        # The prior allows more than these perfectly smooth paths use: errors are stated a little too large.
        assert 0.2 < (error**2 / found.sd_angstrom**2).mean() < 2.5
    assert np.mean(ratios) < 0.6


def test_prior_lets_a_jump_pass() -> None:
    frames = 30
    truth = np.zeros((frames, 2))
    truth[15:, 0] = 30.0
    truth -= truth.mean(axis=0)
    noisy = truth + np.random.default_rng(1).normal(size=truth.shape) * 0.3
    information = np.kron(np.eye(2), np.eye(frames) - 1.0 / frames) / 0.3**2
    score = information @ noisy.T.reshape(-1)
    prior = StepPrior()
    for _ in range(3):
        prior = learn(information, score, frames, prior)
    error = solve(information, score, frames, prior).shift_angstrom - truth
    assert np.sqrt((error**2).sum(axis=1)).max() < 0.8
    assert prior.jump_variance_angstrom2.argmax() == 14


def test_a_lost_stage_does_not_loosen_the_other_steps() -> None:
    """30 A in three steps of a movie whose other steps are 0.1 A, each frame known to 1 A: jumps, and a tight prior."""
    random = np.random.default_rng(4)
    frames, errors = 24, []
    for _ in range(4):
        steps = 0.1 * random.normal(size=(frames - 1, 2))
        steps[10:13] += (8.0, 6.0)
        truth = np.concatenate((np.zeros((1, 2)), steps.cumsum(axis=0)))
        truth -= truth.mean(axis=0)
        information = np.kron(np.eye(2), np.eye(frames) - 1.0 / frames)
        score = information @ (truth + random.normal(size=truth.shape)).T.reshape(-1)
        prior = learn(information, score, frames, StepPrior())
        assert np.flatnonzero(prior.jump_variance_angstrom2).tolist() == [10, 11, 12]
        errors.append(np.square(solve(information, score, frames, prior).shift_angstrom - truth).mean())
    # Loose steps would leave each frame to itself, an error of 1 A.
    assert np.sqrt(np.mean(errors)) < 0.55


def test_steps_span_all_zero_mean_paths() -> None:
    c = steps_to_shifts(7)
    np.testing.assert_allclose(c.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(c, axis=0), np.eye(6), atol=1e-12)


def test_relion_polynomial_reproduces_a_field_that_is_one() -> None:
    rng = np.random.default_rng(3)
    coefficients = rng.normal(size=(2, 6, 3)) * np.array([1, 0.05, 0.001])
    coefficients[:, 0] = -(coefficients[:, 2] + coefficients[:, 4]) / 12
    truth = LocalMotion(tuple(coefficients[0].ravel()), tuple(coefficients[1].ravel()), 5, 5, 0.0, True)
    frames = 24
    y, x = np.meshgrid(np.linspace(-0.5, 0.5, 5), np.linspace(-0.5, 0.5, 4), indexing="ij")
    wanted = evaluate_polynomial(truth, x, y, frames)
    # By hand at one place and frame: index 3 i + p, basis 1, x, x^2, y, y^2, xy.
    basis = np.array([1, x[1, 2], x[1, 2] ** 2, y[1, 2], y[1, 2] ** 2, x[1, 2] * y[1, 2]])
    assert wanted[7, 1, 2, 0] == pytest.approx(float(np.einsum("ip,i,p->", coefficients[0], basis, [7, 49, 343])))
    polynomials = SpatialBasis("polynomial", 2)
    functions = polynomials.values(x, y).reshape(-1, 6)
    modes = np.einsum("ms,fsa->fma", np.linalg.pinv(functions), wanted.reshape(frames, -1, 2))
    assert np.abs(modes[:, 0]).max() < 1e-9  # averages to zero over the frame
    modes -= modes.mean(axis=0)
    field = MotionField(np.zeros((frames, 2)), modes[:, 1:], polynomials)
    np.testing.assert_allclose(field.at(x, y), wanted - wanted.mean(axis=0), atol=1e-9)
    got_x, got_y = polynomial_coefficients(field)
    np.testing.assert_allclose(got_x, coefficients[0].ravel(), atol=1e-8)
    np.testing.assert_allclose(got_y, coefficients[1].ravel(), atol=1e-8)


@pytest.mark.parametrize("basis", [SpatialBasis("polynomial", 4), SpatialBasis("spline", 5)])
def test_spatial_functions_are_orthonormal_and_go_from_smooth_to_rough(basis: SpatialBasis) -> None:
    at = (np.arange(400) + 0.5) / 400 - 0.5
    y, x = np.meshgrid(at, at, indexing="ij")
    values = basis.values(x, y).reshape(-1, len(basis))
    np.testing.assert_allclose(values.T @ values / len(values), np.eye(len(basis)), atol=2e-3)
    np.testing.assert_allclose(values[:, 0], 1.0, atol=1e-9)
    assert list(basis.groups) == sorted(basis.groups)
    # Straight lines are in every basis.
    line = 3.0 * x.reshape(-1) - 2.0 * y.reshape(-1)
    np.testing.assert_allclose(values @ np.linalg.lstsq(values, line, rcond=None)[0], line, atol=1e-9)


def _smooth_image(size: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft2(torch.randn((size, size), generator=generator))
    k = (torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size)[None] ** 2).sqrt()
    return torch.fft.irfft2(spectrum * torch.exp(-((k / 0.2) ** 2)), s=(size, size))


def _shifted(image: torch.Tensor, x: float, y: float) -> torch.Tensor:
    ky, kx = torch.fft.fftfreq(image.shape[0])[:, None], torch.fft.rfftfreq(image.shape[1])[None]
    phase = torch.polar(torch.ones_like(ky + kx), -2 * math.pi * (kx * x + ky * y))
    return torch.fft.irfft2(torch.fft.rfft2(image) * phase, s=image.shape)


def test_tile_sum_undoes_shifts_and_keeps_halves_apart() -> None:
    image = _smooth_image(400, 0)
    shift = np.array([[3.3, -7.6], [0.0, 0.4], [-3.3, 7.2]])
    stack = torch.stack([_shifted(image, *s) for s in shift])
    sums = sum_movie(StackFrames(stack), MotionField.rigid(shift), dose_weighting=False, **EXPOSURE)
    inner = slice(12, -12)
    torch.testing.assert_close(sums.even[inner, inner], 2 * image[inner, inner], atol=0.03 * float(image.std()), rtol=0)
    torch.testing.assert_close(sums.odd[inner, inner], image[inner, inner], atol=0.03 * float(image.std()), rtol=0)
    torch.testing.assert_close(sums.dose_weighted, sums.plain)


def test_tile_sum_without_motion_is_the_sum() -> None:
    stack = torch.poisson(torch.full((4, 150, 333), 1.5), generator=torch.Generator().manual_seed(0))
    sums = sum_movie(StackFrames(stack), MotionField.rigid(np.zeros((4, 2))), dose_weighting=True, **EXPOSURE)
    torch.testing.assert_close(sums.plain, stack.sum(dim=0), atol=1e-3, rtol=0)
    # Whitened: the noise keeps the variance of one frame, the mean is sqrt(F) frames.
    assert float(sums.dose_weighted.var()) == pytest.approx(1.5, rel=0.06)
    assert float(sums.dose_weighted.mean()) == pytest.approx(1.5 * 2, rel=0.02)


def test_tile_sum_follows_local_motion() -> None:
    size = 512
    image = _smooth_image(size, 2)
    modes = np.zeros((2, 2, 2))
    # Stretches along x by 4 px over the width; the mode sqrt(12) x has unit variance.
    modes[1, 0, 0], modes[0, 0, 0] = 2.0 / np.sqrt(12.0), -2.0 / np.sqrt(12.0)
    field = MotionField(np.zeros((2, 2)), modes, SpatialBasis("polynomial", 1))
    x = (np.arange(size) + 0.5) / size - 0.5
    frames = []
    for sign in (-1, 1):
        # The specimen at u is seen at u + d(u): read the image where it came from.
        source = (torch.arange(size) + 0.5) - sign * 2.0 * torch.as_tensor(x)
        position = (2 * source / size - 1).float().expand(size, size)
        rows = ((2 * (torch.arange(size) + 0.5) / size - 1).float()[:, None]).expand(size, size)
        grid = torch.stack((position, rows), dim=-1)[None]
        warped = torch.nn.functional.grid_sample(image[None, None], grid, mode="bicubic", align_corners=False)
        frames.append(warped[0, 0])
    sums = sum_movie(StackFrames(torch.stack(frames)), field, dose_weighting=False, **EXPOSURE)
    inner = slice(16, -16)
    with_field = torch.nn.functional.mse_loss(sums.plain[inner, inner], 2 * image[inner, inner])
    without = torch.nn.functional.mse_loss(torch.stack(frames).sum(0)[inner, inner], 2 * image[inner, inner])
    assert float(with_field) < 0.04 * float(without)


def test_fourier_crop_keeps_waves_and_counts_per_pixel() -> None:
    image = 3.0 + _smooth_image(64, 1)
    cropped = fourier_crop(image, 2.0)
    assert cropped.shape == (32, 32)
    assert float(cropped.sum()) == pytest.approx(float(image.sum()), rel=1e-4)
