"""EER streams written here and read by imagecodecs, tifffile and frazil."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from frazil.models.formats.movie import open_movie
from frazil.models.simulation.eer_write import EerDescription, encode_raw_frame, split_counts, write_movie_eer


def decode(stream: bytes, height: int, width: int) -> np.ndarray:
    return np.asarray(imagecodecs.eer_decode(stream, (height, width), 7, 2, 2))


def encode(positions: list[int], height: int, width: int) -> bytes:
    at = np.array(sorted(set(positions)), np.int64)
    return encode_raw_frame(at, (at % 16).astype(np.uint8), height * width)


@given(st.lists(st.integers(0, 32 * 48 - 2), max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_set_of_electrons_comes_back(positions: list[int]) -> None:
    image = decode(encode(positions, 32, 48), 32, 48)
    expected = np.zeros(32 * 48, int)
    expected[sorted(set(positions))] = 1
    np.testing.assert_array_equal(image.ravel(), expected)


@pytest.mark.parametrize(
    "positions",
    [
        [],
        [0],
        [126],
        [127],
        [128],
        [253, 254, 255],
        [127 * 3],
        [64 * 64 - 2],
        [64 * 64 - 1 - 127],
        [64 * 64 - 1 - 126],
        [64 * 64 - 1 - 128],
        list(range(64 * 64 - 1)),
    ],
)
def test_runs_at_the_limits_of_a_code(positions: list[int]) -> None:
    image = decode(encode(positions, 64, 64), 64, 64)
    assert sorted(np.nonzero(image.ravel())[0].tolist()) == positions


def test_runs_end_exactly_on_the_last_pixel() -> None:
    """Walks the bits as RELION does: a frame that overshoots or falls short is refused there."""
    rng = np.random.default_rng(0)
    for count in (0, 1, 5, 200):
        at = np.sort(rng.choice(64 * 64 - 1, count, replace=False))
        bits = np.unpackbits(np.frombuffer(encode(at.tolist(), 64, 64), np.uint8), bitorder="little")
        pixel = position = 0
        while pixel < 64 * 64:
            run = int(bits[position : position + 7] @ (1 << np.arange(7)))
            position += 7
            pixel += run
            if pixel == 64 * 64 or run == 127:
                continue
            position += 4
            pixel += 1
        assert pixel == 64 * 64
        assert position <= len(bits) < position + 16


def test_an_electron_on_the_last_pixel_is_left_out_and_disorder_refused() -> None:
    assert decode(encode([64 * 64 - 1], 64, 64), 64, 64).sum() == 0
    with pytest.raises(ValueError, match="increasing"):
        encode_raw_frame(np.array([5, 5]), np.zeros(2, np.uint8), 100)
    with pytest.raises(ValueError, match="increasing"):
        encode_raw_frame(np.array([100]), np.zeros(1, np.uint8), 100)


def test_a_file_is_read_by_tifffile_and_by_frazil(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    counts = rng.poisson(0.4, (3, 64, 96)).astype(np.uint16)
    counts[:, -1, -1] = 0
    raw = [part for frame in counts for part in split_counts(frame, 20, rng)]
    path = tmp_path / "movie_EER.eer"
    description = EerDescription(exposure_time_s=0.3, total_dose_e_per_px=1.2, pixel_size_angstrom=0.75)
    written = write_movie_eer(path, raw, height_px=64, width_px=96, raw_frame_count=60, description=description)
    assert written == 60
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages) == 60
        total = sum(page.asarray().astype(int) for page in tiff.pages)
        assert tiff.eer_metadata is not None
    events = sum(len(position) for position, _ in raw)
    assert total.sum() == events
    assert events > 0.97 * counts.sum()  # a few merge where two meet in one raw frame
    with open_movie(path, eer_dose_per_fraction_e_per_a2=1.2 / 0.75**2 / 3) as reader:
        assert reader.header.frame_count == 3
        assert reader.header.pixel_size_angstrom == pytest.approx(0.75)
        frames = np.stack(list(reader.frames()))
    assert (frames <= counts).all()
    np.testing.assert_array_equal(frames.sum(axis=0), total)
    with pytest.raises(ValueError, match="announced"):
        write_movie_eer(path, raw[:5], height_px=64, width_px=96, raw_frame_count=60, description=description)


def test_split_keeps_every_electron_that_does_not_merge() -> None:
    counts = np.array([[0, 1, 1], [1, 0, 1]], np.uint16)
    parts = split_counts(counts, 7, np.random.default_rng(0))
    assert len(parts) == 7
    every = np.sort(np.concatenate([position for position, _ in parts]))
    np.testing.assert_array_equal(every, [1, 2, 3, 5])
