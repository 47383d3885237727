"""Sums on the CPU: waves that are known everywhere, the exact Fourier sum, and the same bits however it is cut up."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from frazil.models.motion.estimate.field import MotionField
from frazil.models.motion.estimate.spatial_basis import SpatialBasis
from frazil.models.motion.frame_source import COUNT_TYPES, CountBlock, StackFrames
from frazil.models.motion.kernels.interpolation import STEPS, interpolation_taps, mean_transfer
from frazil.models.motion.kernels.sum_kernels import mirrored, mirrored_range
from frazil.models.motion.sum.cpu_sum import displacements, sum_movie_on_cpu, tile_shape_px
from frazil.models.motion.sum.dose_terms import WORST_ERROR, dose_terms
from frazil.models.motion.sum.movie_sums import MovieSums
from frazil.models.motion.sum.tile_sum import sum_movie_by_fourier_tiles
from frazil.models.optics.dose import mid_frame_exposures_e_per_a2, whitened_weights

CPU = torch.device("cpu")
EXPOSURE = {
    "pixel_size_angstrom": 1.3,
    "voltage_kv": 300.0,
    "dose_per_frame_e_per_a2": 1.5,
    "pre_exposure_e_per_a2": 0.5,
}


class Blocks(StackFrames):
    """A movie that comes `at_once` frames at a time, with a gain."""

    def __init__(self, stack: torch.Tensor, at_once: int, multiplier: np.ndarray | None = None, scale: float = 1.0):
        super().__init__(stack)
        self._counts, self._at_once, self._multiplier, self._scale = stack.numpy(), at_once, multiplier, scale

    def blocks(self):
        for first in range(0, len(self._counts), self._at_once):
            yield CountBlock(first, self._counts[first : first + self._at_once], self._multiplier, self._scale)


def _poisson(shape: tuple[int, int, int], seed: int = 0, mean: float = 3.0) -> torch.Tensor:
    return torch.poisson(torch.full(shape, mean), generator=torch.Generator().manual_seed(seed))


def _walk(frames: int, seed: int, step_px: float = 1.5) -> MotionField:
    shift = np.cumsum(np.random.default_rng(seed).normal(size=(frames, 2)) * step_px, axis=0) * 1.3
    return MotionField.rigid(shift - shift.mean(axis=0))


def _local(frames: int, stretch_px: float) -> MotionField:
    """Stretches and shears by up to `stretch_px` between the edges over the movie."""
    rng = np.random.default_rng(3)
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.5, 0.5, 9))
    basis = SpatialBasis("polynomial", 2)
    count = basis.values(x, y).shape[-1] - 1
    modes = rng.normal(size=(frames, count, 2)) * stretch_px * 1.3
    return MotionField(_walk(frames, 2).whole_frame_angstrom, modes - modes.mean(axis=0), basis)


def _rings(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Transform and ring number (0.02 cycles/px each) of a tapered image without its mean."""
    window = torch.outer(*(torch.hann_window(n, periodic=False) for n in image.shape))
    spectrum = torch.fft.rfft2((image - image.mean()) * window)
    ky, kx = torch.fft.fftfreq(image.shape[0])[:, None], torch.fft.rfftfreq(image.shape[1])[None]
    return spectrum, ((ky**2 + kx**2).sqrt() / 0.02).long()


def _per_ring(ring: torch.Tensor, values: torch.Tensor) -> np.ndarray:
    return torch.bincount(ring.ravel(), weights=values.ravel().double()).numpy()


def _assert_same_rings(one: torch.Tensor, other: torch.Tensor, correlation: float, power: float) -> None:
    """Up to 0.42 cycles/px."""
    (a, ring), (b, _) = _rings(one), _rings(other)
    of_a, of_b = _per_ring(ring, a.abs() ** 2)[1:21], _per_ring(ring, b.abs() ** 2)[1:21]
    shared = _per_ring(ring, (a * b.conj()).real)[1:21] / np.sqrt(of_a * of_b)
    assert shared.min() > correlation
    assert np.abs(of_a / of_b - 1).max() < power


def _fourier(source: StackFrames, field: MotionField, dose_weighting: bool = True) -> MovieSums:
    return sum_movie_by_fourier_tiles(source, field, dose_weighting=dose_weighting, device=CPU, **EXPOSURE)


@pytest.mark.parametrize(("height", "width"), [(230, 311), (192, 256), (511, 130)])
def test_a_moving_wave_stands_still_in_the_sum(height: int, width: int) -> None:
    """cos(2 pi k (r - d_f)) for every frame must give F cos(2 pi k r), whatever the fractions of a pixel."""
    field = _walk(12, 5)
    shift_px = field.whole_frame_angstrom / 1.3
    y, x = np.mgrid[:height, :width].astype(np.float64)
    inner = (slice(24, -24), slice(24, -24))
    for kx, ky in ((0.013, 0.02), (0.11, -0.07), (0.21, 0.2), (0.0, 0.33), (0.39, 0.05), (-0.28, 0.3)):
        frames = [np.cos(2 * math.pi * (kx * (x - dx) + ky * (y - dy))) for dx, dy in shift_px]
        stack = torch.from_numpy(np.stack(frames)).float()
        sums = sum_movie_on_cpu(StackFrames(stack), field, dose_weighting=False, **EXPOSURE)
        for image, count in ((sums.even, 6), (sums.odd, 6), (sums.plain, 12)):
            error = image.numpy()[inner] / count - np.cos(2 * math.pi * (kx * x + ky * y))[inner]
            assert np.sqrt((error**2).mean()) < 0.012 * math.sqrt(0.5)


@pytest.mark.parametrize("local", [False, True])
def test_rings_are_those_of_the_exact_sum(local: bool) -> None:
    """White counts have all frequencies: correlation with the Fourier sum, and its power, ring by ring."""
    stack = _poisson((16, 300, 420))
    field = _local(16, 0.03) if local else _walk(16, 1)
    found = sum_movie_on_cpu(StackFrames(stack), field, dose_weighting=True, **EXPOSURE)
    exact = _fourier(StackFrames(stack), field)
    # The exact sum's own tiles take one displacement for 160 px: with local motion it is the less exact of the two.
    limit = 0.98 if local else 0.997
    for name in ("even", "odd", "plain", "dose_weighted"):
        _assert_same_rings(getattr(found, name), getattr(exact, name), limit, 0.03)
    assert float(found.plain.mean()) == pytest.approx(float(stack.sum(0).mean()), rel=1e-3)
    assert float(found.dose_weighted.mean()) == pytest.approx(float(exact.dose_weighted.mean()), rel=1e-3)


def test_local_motion_is_undone_to_a_fraction_of_a_pixel() -> None:
    """A grating under a known smooth field comes back in phase at every place."""
    height, width, frames = 384, 512, 9
    field = _local(frames, 1.0)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    shift_px = field.at((x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5) / 1.3
    kx, ky = 0.12, 0.09
    # The specimen at r is seen at r + d(r); d is smooth, so that d(r - d) is close to d(r) - (d . grad) d.
    seen = []
    for f in range(frames):
        gradient = [np.gradient(shift_px[f, ..., a]) for a in (0, 1)]
        back = [
            shift_px[f, ..., a] - shift_px[f, ..., 0] * gradient[a][1] - shift_px[f, ..., 1] * gradient[a][0]
            for a in (0, 1)
        ]
        seen.append(np.cos(2 * math.pi * (kx * (x - back[0]) + ky * (y - back[1]))))
    sums = sum_movie_on_cpu(
        StackFrames(torch.from_numpy(np.stack(seen)).float()), field, dose_weighting=False, **EXPOSURE
    )
    inner = (slice(30, -30), slice(30, -30))
    wave = np.cos(2 * math.pi * (kx * x + ky * y))
    error = (sums.plain.numpy() / frames - wave)[inner]
    unmoved = (np.mean(seen, axis=0) - wave)[inner]
    assert np.sqrt((error**2).mean()) < 0.04
    assert np.sqrt((unmoved**2).mean()) > 0.4


@pytest.mark.parametrize("dtype", COUNT_TYPES, ids=str)
def test_every_type_portion_and_number_of_threads_gives_the_same_bits(dtype: np.dtype) -> None:
    stack = torch.from_numpy(_poisson((7, 90, 150)).numpy().astype(dtype))
    gain = np.random.default_rng(0).normal(1.0, 0.05, (90, 150)).astype(np.float32)
    field = _walk(7, 4)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        whole = sum_movie_on_cpu(Blocks(stack, 7, gain), field, dose_weighting=True, **EXPOSURE)
        float_sums = sum_movie_on_cpu(Blocks(stack.float(), 7, gain), field, dose_weighting=True, **EXPOSURE)
        torch.set_num_threads(3)
        pieces = sum_movie_on_cpu(Blocks(stack, 3, gain), field, dose_weighting=True, **EXPOSURE)
    finally:
        torch.set_num_threads(threads)
    for name in ("even", "odd", "dose_weighted"):
        torch.testing.assert_close(getattr(float_sums, name), getattr(whole, name), atol=2e-5, rtol=0)
    for name in ("even", "odd"):
        assert torch.equal(getattr(pieces, name), getattr(whole, name))
    # torch's own transforms may split their work by threads.
    torch.testing.assert_close(pieces.dose_weighted, whole.dose_weighted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("with_gain", [False, True])
def test_gain_and_scale_are_those_of_corrected_frames(with_gain: bool) -> None:
    stack = _poisson((5, 100, 130)).to(torch.uint8)
    gain = np.random.default_rng(0).normal(1.0, 0.1, (100, 130)).astype(np.float32) if with_gain else None
    corrected = stack.float() * 0.25 * (1.0 if gain is None else torch.from_numpy(gain))
    field = _walk(5, 6)
    raw = sum_movie_on_cpu(Blocks(stack, 2, gain, 0.25), field, dose_weighting=True, **EXPOSURE)
    ready = sum_movie_on_cpu(StackFrames(corrected), field, dose_weighting=True, **EXPOSURE)
    for name in ("even", "odd", "dose_weighted"):
        torch.testing.assert_close(getattr(raw, name), getattr(ready, name), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(64, 64), (70, 66), (511, 630)])
def test_without_motion_it_is_the_sum_to_the_last_bit(size: tuple[int, int]) -> None:
    stack = _poisson((4, *size)).to(torch.uint8)
    sums = sum_movie_on_cpu(StackFrames(stack), MotionField.rigid(np.zeros((4, 2))), dose_weighting=False, **EXPOSURE)
    assert torch.equal(sums.even, stack[0::2].float().sum(0))
    assert torch.equal(sums.odd, stack[1::2].float().sum(0))
    assert torch.equal(sums.dose_weighted, sums.plain)


def test_whole_pixel_shifts_mirror_what_no_frame_saw() -> None:
    stack = _poisson((2, 64, 80))
    shift_px = np.array([[-31.0, 5.0], [31.0, -5.0]])
    sums = sum_movie_on_cpu(StackFrames(stack), MotionField.rigid(shift_px * 1.3), dose_weighting=False, **EXPOSURE)
    for image, frame, (dx, dy) in zip((sums.even, sums.odd), stack, shift_px.astype(int), strict=True):
        padded = np.pad(frame.numpy(), 40, mode="symmetric")
        expected = padded[40 + dy : 104 + dy, 40 + dx : 120 + dx]
        np.testing.assert_allclose(image.numpy(), expected, atol=2e-5)


def test_mirrored_is_numpys_symmetric_padding() -> None:
    row = np.arange(5)
    padded = np.pad(row, 23, mode="symmetric")
    assert [mirrored(i, 5) for i in range(-23, 28)] == padded.tolist()
    assert mirrored_range(-23, 51, 5).tolist() == padded.tolist()


@pytest.mark.parametrize(
    ("frames", "dose", "before", "pixel_angstrom"),
    [
        (40, 1.0, 0.0, 1.0),
        (8, 6.0, 0.0, 0.8),
        (120, 0.5, 2.0, 1.5),
        (2, 20.0, 0.0, 1.0),
        (1, 30.0, 0.0, 1.0),
        (1500, 0.04, 0.0, 1.0),
    ],
)
def test_exposure_weights_are_right_to_a_half_per_cent_at_every_frequency(
    frames: int, dose: float, before: float, pixel_angstrom: float
) -> None:
    frequency = torch.linspace(0.0, 0.7, 3000, dtype=torch.float64) / pixel_angstrom
    weights = whitened_weights(frequency, mid_frame_exposures_e_per_a2(frames, dose, before), 300.0).numpy()
    terms = dose_terms(weights)
    made = terms.per_frequency[0] + terms.per_frame @ terms.per_frequency[1:]
    # Weights of all frames at one frequency have a length of 1, however many frames there are.
    off = np.sqrt(np.square(made - weights).sum(axis=0))
    assert off.max() <= 1.01 * WORST_ERROR
    assert terms.worst_error == pytest.approx(float(off.max()), abs=1e-5)
    kept = np.square((made * weights).sum(axis=0)) / np.square(made).sum(axis=0)
    assert kept.min() > 1.0 - 1.1 * WORST_ERROR**2
    assert terms.per_frame.shape[1] <= 5


def test_taps_shift_by_their_fraction_and_keep_the_mean() -> None:
    taps = interpolation_taps()
    np.testing.assert_allclose(taps.sum(axis=1), 1.0, atol=1e-6)
    k = np.linspace(0.0, 0.42, 43)
    steps = np.arange(0, STEPS + 1, 37)
    at = np.arange(12) - 5
    exact = np.exp(2j * math.pi * k * (steps / STEPS)[:, None])
    transfer = taps[steps] @ np.exp(2j * math.pi * at[:, None] * k)
    common = mean_transfer(steps.astype(np.int32), k)
    lost = np.abs(transfer / exact - common).max(axis=0)
    assert lost.max() < 0.03
    assert lost[:31].max() < 0.025
    np.testing.assert_allclose(common[k < 0.4], 1.0, atol=0.03)


def test_tiles_get_smaller_where_motion_varies_and_take_it_at_their_centre() -> None:
    assert tile_shape_px(_walk(10, 0), 4096, 4096, 1.3) == (64, 128)
    field = _local(10, 3.0)
    height, width = tile_shape_px(field, 512, 640, 1.3)
    assert height * width < 64 * 64
    whole, step = displacements(field, 512, 640, 1.3, (height, width))
    y, x = (2 + 0.5) * height / 512 - 0.5, (3 + 0.5) * width / 640 - 0.5
    expected = field.at(np.array([[x]]), np.array([[y]]))[:, 0, 0] / 1.3
    np.testing.assert_allclose(whole[:, 2, 3] + step[:, 2, 3] / STEPS, expected, atol=0.6 / STEPS)
