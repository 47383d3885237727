"""Bad pixels: found against truth, replaced without leaving a trace; corrected frames against closed forms."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from frazil.models.gain.correction import BadPixels, CorrectedFrames, hot_pixels
from frazil.models.records import MovieHeader


@dataclass
class Reader:
    """A movie in memory."""

    stack: NDArray[np.generic]
    header: MovieHeader = field(init=False)
    decoded: int = 0

    def __post_init__(self) -> None:
        count, height, width = self.stack.shape
        self.header = MovieHeader("m.mrc", "mrc", count, height, width, str(self.stack.dtype))

    def frames(self, start: int = 0, stop: int | None = None, *, into: np.ndarray | None = None):
        self.decoded += 1
        for place, frame in enumerate(self.stack[start:stop]):
            if into is None:
                yield frame
            else:
                into[place] = frame
                yield into[place]


@pytest.mark.parametrize("counts_per_px", [5.0, 50.0, 400.0])
def test_hot_and_dead_pixels_are_found_and_live_ones_are_not(counts_per_px):
    rng = np.random.default_rng(3)
    sums = rng.poisson(counts_per_px * np.linspace(0.7, 1.3, 400)[None, :], (400, 400)).astype(np.float32)
    hot = rng.random(sums.shape) < 3e-4
    dead = (rng.random(sums.shape) < 3e-4) & ~hot
    sums[hot] += 20.0 * np.sqrt(counts_per_px) + 50.0
    sums[dead] = 0.0
    found = hot_pixels(sums)
    assert found[hot].all()
    if counts_per_px >= 50.0:
        assert found[dead].all()
    # Of 160,000 Poisson pixels a few lie above 6 sd when counts are few; no more than that may be lost.
    assert (found & ~hot & ~dead).sum() <= (20 if counts_per_px < 10 else 2)


def test_a_very_hot_pixel_does_not_condemn_or_hide_its_neighbours():
    rng = np.random.default_rng(4)
    sums = rng.poisson(40.0, (128, 128)).astype(np.float32)
    sums[64, 64], sums[64, 70] = 65000.0, 400.0
    assert np.argwhere(hot_pixels(sums)).tolist() == [[64, 64], [64, 70]]


def test_beam_edge_is_not_hot():
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:256, :256]
    light = np.where(np.hypot(y - 128, x - 128) < 100, 60.0, 1.0)
    assert hot_pixels(rng.poisson(light).astype(np.float32)).sum() <= 30


def test_replacements_are_good_near_and_the_same_each_time():
    rng = np.random.default_rng(6)
    mask = rng.random((200, 200)) < 0.01
    mask[:, 17] = True
    mask[90:130, 90:130] = True
    bad = BadPixels.from_mask(mask)
    assert bad.count == mask.sum()
    assert not mask[bad.donor_y_px, bad.donor_x_px].any()
    distance = np.hypot(bad.donor_y_px - bad.bad_y_px, bad.donor_x_px - bad.bad_x_px)
    lonely = ~((bad.bad_y_px // 40 == 2) & (bad.bad_x_px >= 85))
    assert distance[lonely].max() < 13 * np.sqrt(2) + 1
    assert distance.max() <= 30  # the middle of a 40 x 40 px hole
    again = BadPixels.from_mask(mask)
    assert np.array_equal(bad.donor_y_px, again.donor_y_px)
    assert np.array_equal(bad.donor_x_px, again.donor_x_px)


def test_masks_with_nothing_to_do_or_nothing_to_take_from():
    assert BadPixels.from_mask(np.zeros((4, 4), bool)).count == 0
    assert BadPixels.from_mask(np.ones((4, 4), bool)).count == 0


def test_corrected_frames_are_counts_times_gain_and_keep_poisson_statistics():
    rng = np.random.default_rng(7)
    sensitivity = np.clip(rng.normal(1.0, 0.1, (128, 128)), 0.5, 2.0).astype(np.float32)
    mask = rng.random((128, 128)) < 0.05
    stack = rng.poisson(3.0 * sensitivity, (40, 128, 128)).astype(np.uint8)
    stack[:, mask] = 200
    multiplier = np.where(mask, 0.0, 1 / sensitivity).astype(np.float32)
    source = CorrectedFrames(Reader(stack), multiplier=multiplier, bad=BadPixels.from_mask(mask))
    frames = np.stack([frame.numpy() for frame in source.frames()])
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames[:, ~mask], (stack * multiplier)[:, ~mask], rtol=1e-6)
    # Replaced pixels have the mean and the variance of live ones, frame by frame.
    assert frames[:, mask].mean() == pytest.approx(3.0, rel=0.01)
    assert frames[:, mask].var(axis=0).mean() == pytest.approx(frames[:, ~mask].var(axis=0).mean(), rel=0.05)
    assert (stack[:, mask] == 200).all()  # the reader's frames are not written to
    assert np.array_equal(np.stack([frame.numpy() for frame in source.frames()]), frames)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.float16, np.float32])
def test_every_dtype_of_a_movie_comes_out_in_electrons(dtype):
    stack = (np.arange(2 * 4 * 6).reshape(2, 4, 6)).astype(dtype)
    bad = BadPixels.from_mask(np.zeros((4, 6), bool))
    source = CorrectedFrames(Reader(stack), multiplier=None, bad=bad, counts_per_electron=4.0)
    np.testing.assert_allclose(np.stack([f.numpy() for f in source.frames()]), stack.astype(np.float32) / 4.0)
    with_gain = CorrectedFrames(
        Reader(stack), multiplier=np.full((4, 6), 2.0, np.float32), bad=bad, counts_per_electron=4.0
    )
    np.testing.assert_allclose(np.stack([f.numpy() for f in with_gain.frames()]), stack.astype(np.float32) / 2.0)


def test_a_pixel_that_is_no_number_is_hot_and_hides_no_other() -> None:
    frames = np.random.default_rng(3).poisson(20.0, (6, 128, 128)).astype(np.float32)
    frames[:, 90, 40] = 4000.0
    frames[2, 10, 12] = np.nan
    frames[4, 60, 61] = np.inf
    found = hot_pixels(frames.sum(axis=0))
    assert found[10, 12]
    assert found[60, 61]
    assert found[90, 40]
    assert found.sum() == 3
    source = CorrectedFrames(Reader(frames), multiplier=None, bad=BadPixels.from_mask(found))
    assert all(np.isfinite(frame.numpy()).all() for frame in source.frames())


def test_a_gain_of_another_shape_is_refused() -> None:
    reader = Reader(np.ones((2, 32, 32), np.uint8))
    with pytest.raises(ValueError, match="gain is"):
        CorrectedFrames(
            reader, multiplier=np.ones((8, 8), np.float32), bad=BadPixels.from_mask(np.zeros((32, 32), bool))
        )
