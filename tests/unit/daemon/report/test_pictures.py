"""Pictures of micrographs: what is asked for in full comes in full, and takes little memory however large it is."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from frazil.daemon.report.pictures import load_picture
from frazil.models.formats.mrc_write import write_mrc


def gray_of(path: Path, side_px: int) -> np.ndarray:
    reply = load_picture(path, max_width_px=side_px, max_height_px=side_px, pixel_size=0.0)
    return np.frombuffer(reply.gray, np.uint8).reshape(reply.height_px, reply.width_px)


@pytest.mark.parametrize(("side_px", "factor"), [(700, 1), (699, 2), (350, 2), (300, 3), (128, 6)])
def test_a_picture_is_the_mean_of_whole_blocks_with_the_top_row_first(
    tmp_path: Path, side_px: int, factor: int
) -> None:
    image = np.random.default_rng(1).normal(100.0, 5.0, (500, 700)).astype(np.float32)
    write_mrc(tmp_path / "m.mrc", image, 1.0)
    height, width = 500 // factor, 700 // factor
    blocks = image[::-1][: height * factor, : width * factor].reshape(height, factor, width, factor)
    small = blocks.mean(axis=(1, 3), dtype=np.float64)
    low, high = np.percentile(small, (1.0, 99.0))
    wanted = np.clip((small - low) * 255.0 / (high - low), 0, 255)
    found = gray_of(tmp_path / "m.mrc", side_px)
    assert found.shape == (height, width)
    assert np.abs(found - wanted).max() <= 1.01  # cut to whole grays


def test_a_super_resolution_micrograph_comes_in_full_and_in_strips(tmp_path: Path) -> None:
    """5,760 px, of which a limit of 4,096 made half: every pixel is there, and memory is that of the reply."""
    height, width = 3000, 5760
    image = np.random.default_rng(2).normal(size=(height, width)).astype(np.float32)
    image[::2] += 4.0  # stripes of one pixel, which no smaller picture has
    write_mrc(tmp_path / "m.mrc", image, 0.5)
    del image
    tracemalloc.start()
    found = gray_of(tmp_path / "m.mrc", width)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (height, width)
    rows = found.mean(axis=1)
    assert rows[1::2].min() - rows[::2].max() > 60  # the file's first row is the bottom of the picture
    assert peak_bytes < 2 * height * width + (24 << 20)  # as float32 alone it is 4 bytes a pixel
