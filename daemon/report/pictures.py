"""Pictures for the screen: a movie's PNG or MRC, or a part of it, reduced to the size that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import mrcfile
import numpy as np
from numpy.typing import NDArray

from frazil.config.errors import FormatError, NotThereError
from frazil.daemon.transport.messages import WHOLE, Part, PictureReply

MAX_SIDE_PX = 16384
"""Of a picture that is read, and of one that is made."""
_SAMPLED_PX = 1 << 20
"""So many pixels tell the grays of a picture; a larger one is asked for every n-th row."""
_STRIP_PX = 1 << 20


def load_picture(
    path: Path, *, max_width_px: int, max_height_px: int, pixel_size: float, part: Part = WHOLE
) -> PictureReply:
    """Read a picture and reduce it by whole-block means until it fits; row 0 of the reply is on top. Of an MRC file
    only the part is read that is asked for. Grays are stretched over what is shown.

    An MRC file is read a strip at a time: beside the reply, one byte a pixel, it takes some 20 MB, whatever its size.

    Raises
    ------
    NotThereError
        If the file is not there (yet).
    FormatError
        If it is not a picture.
    """
    with _opened(path) as image:
        source_width = image.shape[1]
        cut, shown, factor = _cut(image, part, max_width_px, max_height_px, path)
        height, width = cut.shape[0] // factor, cut.shape[1] // factor
        strips = list(_strips(height, max(1, _STRIP_PX // (width * factor * factor))))
        every = -(-height * width // _SAMPLED_PX)
        looked_at = strips if every == 1 else [(row, row + 1) for row in range(0, height, every)]
        sample = [_reduced(cut, first, last, factor) for first, last in looked_at]
        low, high = np.percentile(np.concatenate(sample), (1.0, 99.0))
        scale = 255.0 / max(float(high - low), 1e-12)
        gray = np.empty((height, width), np.uint8)
        for number, (first, last) in enumerate(strips):
            strip = sample[number] if every == 1 else _reduced(cut, first, last, factor)
            gray[first:last] = np.clip((strip - low) * scale, 0, 255)
    return PictureReply(width, height, gray.tobytes(), source_width_px=source_width, pixel_size=pixel_size, part=shown)


def _strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    for first in range(0, height, rows):
        yield first, min(first + rows, height)


def _reduced(cut: NDArray[np.generic], first: int, last: int, factor: int) -> NDArray[np.float32]:
    """(last - first, width // factor): means of blocks, of the rows of the smaller picture from one up to another."""
    rows = cut[first * factor : last * factor].astype(np.float32)
    blocks = rows.reshape(last - first, factor, cut.shape[1] // factor, factor)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def load_bits(path: Path, *, max_width_px: int, max_height_px: int, part: Part = WHOLE) -> PictureReply:
    """The same of a picture whose values are bits: the pixel in the middle of each block. Raises the same."""
    with _opened(path) as image:
        cut, shown, factor = _cut(image, part, max_width_px, max_height_px, path)
        bits = np.asarray(cut)[factor // 2 :: factor, factor // 2 :: factor].astype(np.uint8)
        source_width = image.shape[1]
    return PictureReply(bits.shape[1], bits.shape[0], bits.tobytes(), source_width_px=source_width, part=shown)


def size_px(path: Path) -> tuple[int, int] | None:
    """Width and height of an MRC file's picture, from its header; None: it is none (yet)."""
    try:
        with mrcfile.open(path, mode="r", header_only=True) as file:
            return int(file.header.nx), int(file.header.ny)
    except (OSError, ValueError):
        return None


def _cut(
    image: NDArray[np.generic], part: Part, max_width_px: int, max_height_px: int, path: Path
) -> tuple[NDArray[np.generic], Part, int]:
    """The part in whole blocks, what it is as shares of the whole, and the pixels of a block along each axis."""
    source_height, source_width = image.shape
    left, top = round(part[0] * source_width), round(part[1] * source_height)
    width = min(max(1, round(part[2] * source_width)), source_width - left)
    height = min(max(1, round(part[3] * source_height)), source_height - top)
    factor = max(1, -(-width // max_width_px), -(-height // max_height_px))
    width, height = width // factor * factor, height // factor * factor
    if width < 1 or height < 1:
        raise NotThereError(f"a picture of {source_width} x {source_height} px does not fit that box", path=path)
    shown = (left / source_width, top / source_height, width / source_width, height / source_height)
    return image[top : top + height, left : left + width], shown, factor


@contextmanager
def _opened(path: Path) -> Iterator[NDArray[np.generic]]:
    """Raises what `load_picture` raises."""
    if not path.is_file():
        raise NotThereError("this picture has not been written", path=path, remedy="wait until the movie is ready")
    if path.suffix == ".png":
        try:
            yield _checked(np.asarray(imagecodecs.png_decode(path.read_bytes())), path)
        except (RuntimeError, ValueError) as error:  # damaged within; not a PNG from its first byte
            raise FormatError(f"damaged picture: {error}", path=path, remedy="re-queue the movie") from error
    else:
        with mrcfile.mmap(path, mode="r") as file:
            # MRC's first row is the bottom of the picture.
            yield _checked(np.asarray(file.data)[::-1], path)


def _checked(image: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    if image.ndim != 2 or max(image.shape) > MAX_SIDE_PX:
        raise FormatError(f"not a 2-D picture: {image.shape}", path=path, remedy="re-queue the movie")
    return image
