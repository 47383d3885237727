"""Counts held in memory, in portions, and what is made of them in one pass: against plain numpy and the torch way."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from frazil.models.box_mean import box_mean
from frazil.models.formats.movie import open_movie
from frazil.models.formats.tiff_write import write_movie_tiff
from frazil.models.gain.correction import BadPixels, CorrectedFrames
from frazil.models.motion.estimate.binning import build_small_stack, standardised_by_torch
from frazil.models.motion.frame_source import CountBlock, StackFrames, as_counts, count_blocks
from frazil.models.motion.held_frames import HeldFrames

CPU = torch.device("cpu")
NONE = BadPixels.from_mask(np.zeros((1, 1), bool))


class OnlyFrames:
    """A source that knows nothing of blocks."""

    def __init__(self, stack: torch.Tensor) -> None:
        self._stack = stack
        self.frame_count, self.height_px, self.width_px = stack.shape

    def frames(self):
        yield from self._stack.float()


class CountingReader:
    """An open movie that counts how many frames were decoded."""

    def __init__(self, reader) -> None:
        self._reader, self.header, self.decoded = reader, reader.header, 0

    def frames(self, start: int = 0, stop: int | None = None, *, into: np.ndarray | None = None):
        for frame in self._reader.frames(start, stop, into=into):
            self.decoded += 1
            yield frame


@pytest.fixture
def movie(tmp_path: Path) -> tuple[Path, np.ndarray]:
    counts = np.random.default_rng(0).poisson(2.0, (9, 100, 130)).astype(np.uint8)
    write_movie_tiff(tmp_path / "m.tiff", iter(counts))
    return tmp_path / "m.tiff", counts


@pytest.mark.parametrize("limit_bytes", [1 << 30, 0])
def test_frames_are_decoded_once_if_there_is_room_and_read_the_same_if_not(movie, limit_bytes, monkeypatch) -> None:
    path, counts = movie
    monkeypatch.setattr("frazil.models.motion.held_frames._STREAMED_BYTES", 4 * 13000)
    monkeypatch.setattr("frazil.models.motion.held_frames._SUMMED_BYTES", 2 * 13000)
    mask = np.zeros((100, 130), bool)
    mask[5, 7] = mask[60:63, 80] = True
    bad = BadPixels.from_mask(mask)
    mended = counts.copy()
    mended[:, bad.bad_y_px, bad.bad_x_px] = counts[:, bad.donor_y_px, bad.donor_x_px]
    with open_movie(path) as reader:
        counting = CountingReader(reader)
        held = HeldFrames(counting, limit_bytes=limit_bytes)
        sums = held.half_sums()
        np.testing.assert_array_equal(sums[0], counts[0::2].sum(0))
        np.testing.assert_array_equal(sums[1], counts[1::2].sum(0))
        source = CorrectedFrames(held, multiplier=None, bad=bad)
        for _ in range(2):
            blocks = [(block.first_frame, block.counts.copy()) for block in source.blocks()]
            assert [first for first, _ in blocks] == ([0] if limit_bytes else [0, 4, 8])
            np.testing.assert_array_equal(np.concatenate([part for _, part in blocks]), mended)
            np.testing.assert_array_equal(np.stack([frame.numpy() for frame in source.frames()]), mended)
    assert counting.decoded == (9 if limit_bytes else 5 * 9)


def test_memory_is_given_back_after_the_last_pass_and_frames_can_still_be_had(movie) -> None:
    path, counts = movie
    with open_movie(path) as reader:
        counting = CountingReader(reader)
        held = HeldFrames(counting, limit_bytes=1 << 30, kept_passes=2)
        held.half_sums()
        kept = [weakref.ref(block.base if block.base is not None else block) for _, block in held.blocks()]
        assert kept[0]() is not None
        assert sum(len(block) for _, block in held.blocks()) == 9
        gc.collect()
        assert kept[0]() is None
        assert counting.decoded == 9
        for decoded in (18, 27):
            np.testing.assert_array_equal(np.concatenate([block.copy() for _, block in held.blocks()]), counts)
            assert counting.decoded == decoded


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float16])
def test_frames_of_every_type_are_held(dtype) -> None:
    stack = np.random.default_rng(1).poisson(20.0, (3, 16, 20)).astype(dtype)

    class Reader:
        from frazil.models.records import MovieHeader

        header = MovieHeader("m.mrc", "mrc", 3, 16, 20, np.dtype(dtype).name)

        def frames(self, start: int = 0, stop: int | None = None, *, into: np.ndarray | None = None):
            for place, frame in enumerate(stack[start:stop]):
                into[place] = frame
                yield into[place]

    ((first, counts),) = HeldFrames(Reader(), limit_bytes=1 << 20).blocks()
    assert first == 0
    assert counts.dtype == as_counts(stack).dtype
    np.testing.assert_array_equal(counts, stack)


def test_sources_without_blocks_are_gathered(monkeypatch) -> None:
    stack = torch.poisson(torch.full((7, 40, 50), 2.0))
    monkeypatch.setattr("frazil.models.motion.frame_source._GATHERED_BYTES", 3 * 4 * 2000)
    blocks = [(block.first_frame, block.counts.copy()) for block in count_blocks(OnlyFrames(stack))]
    assert [first for first, _ in blocks] == [0, 3, 6]
    np.testing.assert_array_equal(np.concatenate([part for _, part in blocks]), stack.numpy())


@pytest.mark.parametrize(("pixel_angstrom", "halvings"), [(1.6, 0), (1.0, 1), (0.5, 2)])
@pytest.mark.parametrize("with_gain", [False, True])
@pytest.mark.parametrize("size", [(256, 300), (263, 391)])
def test_small_stack_is_the_one_that_torch_makes(pixel_angstrom, halvings, with_gain, size) -> None:
    rng = np.random.default_rng(2)
    counts = rng.poisson(1.5, (6, *size)).astype(np.uint8)
    counts[3] = 0
    counts[4, 90, 100] = 255  # clipped
    gain = rng.normal(1.0, 0.1, size).astype(np.float32) if with_gain else None

    class Source(StackFrames):
        def blocks(self):
            yield CountBlock(0, counts[:4], gain, 0.5)
            yield CountBlock(4, counts[4:], gain, 0.5)

    corrected = torch.from_numpy(counts * np.float32(0.5) * (1.0 if gain is None else gain)).float()
    small = build_small_stack(Source(corrected), pixel_angstrom, CPU)
    assert small.halvings == halvings
    top, left = (offset >> halvings for offset in small.offset_px)
    frames, means, sds = standardised_by_torch(
        StackFrames(corrected), halvings, (top, left, *small.frames.shape[1:]), CPU
    )
    # Half precision near the clip of 7 sd.
    torch.testing.assert_close(small.frames, frames, atol=4e-3, rtol=0)
    assert float((small.frames != frames).float().mean()) < 0.01
    torch.testing.assert_close(small.mean_counts, means, atol=1e-6, rtol=0)
    torch.testing.assert_close(small.sd_counts, sds, atol=1e-6, rtol=0)
    assert float(small.frames.abs().max()) == 7.0


@pytest.mark.parametrize("size", [(300, 517), (20, 40), (1, 3)])
def test_box_mean_is_scipys(size) -> None:
    image = np.random.default_rng(3).poisson(40.0, size).astype(np.float32)
    expected = ndimage.uniform_filter(image.astype(np.float64), 33, mode="nearest")
    np.testing.assert_allclose(box_mean(image, 33), expected, rtol=1e-6)


def test_compiles_where_nothing_can_be_written() -> None:
    """A folder that is a file: numba finds no place for its cache, and every process compiles for itself."""
    program = (
        "import numba.core.caching as c\n"
        "class Nowhere:\n"
        "    @classmethod\n"
        "    def from_function(cls, function, file): return None\n"
        "c.CacheImpl._locator_classes = [Nowhere]\n"
        "from frazil.models.compiled import compiled\n"
        "@compiled\n"
        "def twice(x): return 2 * x\n"
        "print(twice(21))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=dict(os.environ), timeout=100
    )
    assert result.stdout.strip() == "42", result.stderr


@pytest.mark.parametrize("limit_bytes", [1 << 30, 0])
def test_bad_pixels_named_before_anything_is_decoded_are_replaced_too(movie, limit_bytes) -> None:
    path, counts = movie
    mask = np.zeros((100, 130), bool)
    mask[5, 7] = True
    bad = BadPixels.from_mask(mask)
    mended = counts.copy()
    mended[:, bad.bad_y_px, bad.bad_x_px] = counts[:, bad.donor_y_px, bad.donor_x_px]
    with open_movie(path) as reader:
        held = HeldFrames(reader, limit_bytes=limit_bytes)
        source = CorrectedFrames(held, multiplier=None, bad=bad)
        np.testing.assert_array_equal(held.half_sums().sum(axis=0), mended.sum(axis=0))
        np.testing.assert_array_equal(np.stack([frame.numpy() for frame in source.frames()]), mended)
