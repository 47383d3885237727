"""Pictures for the screen: a movie's PNG or MRC, reduced to the size that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import mrcfile
import numpy as np
from numpy.typing import NDArray

from frazil.config.errors import FormatError, NotThereError
from frazil.daemon.transport.messages import PictureReply

MAX_SIDE_PX = 16384
"""Of a picture that is read, and of one that is made."""
_SAMPLED_PX = 1 << 20
"""So many pixels tell the grays of a picture; a larger one is asked for every n-th row."""
_STRIP_PX = 1 << 20


def load_picture(path: Path, *, max_width_px: int, max_height_px: int, pixel_size: float) -> PictureReply:
    """Read a picture and reduce it by whole-block means until it fits; row 0 of the reply is on top.

    An MRC file is read a strip at a time: beside the reply, one byte a pixel, it takes some 20 MB, whatever its size.

    Raises
    ------
    NotThereError
        If the file is not there (yet).
    FormatError
        If it is not a picture.
    """
    if not path.is_file():
        raise NotThereError("this picture has not been written", path=path, remedy="wait until the movie is ready")
    with _opened(path) as image:
        source_height, source_width = image.shape
        factor = max(1, -(-source_width // max_width_px), -(-source_height // max_height_px))
        height, width = source_height // factor, source_width // factor
        if not (height and width):
            raise NotThereError(f"a picture of {source_width} x {source_height} px does not fit that box", path=path)
        strips = list(_strips(height, max(1, _STRIP_PX // (width * factor * factor))))
        every = -(-height * width // _SAMPLED_PX)
        looked_at = strips if every == 1 else [(row, row + 1) for row in range(0, height, every)]
        sample = [_reduced(image, first, last, factor) for first, last in looked_at]
        low, high = np.percentile(np.concatenate(sample), (1.0, 99.0))
        scale = 255.0 / max(float(high - low), 1e-12)
        gray = np.empty((height, width), np.uint8)
        for number, (first, last) in enumerate(strips):
            strip = sample[number] if every == 1 else _reduced(image, first, last, factor)
            gray[first:last] = np.clip((strip - low) * scale, 0, 255)
    return PictureReply(width, height, gray.tobytes(), source_width_px=source_width, pixel_size=pixel_size)


def _strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    for first in range(0, height, rows):
        yield first, min(first + rows, height)


def _reduced(image: NDArray[Any], first: int, last: int, factor: int) -> NDArray[np.float32]:
    """(last - first, width // factor): means of blocks, of the rows of the smaller picture from one up to another."""
    width = image.shape[1] // factor
    rows = image[first * factor : last * factor, : width * factor].astype(np.float32)
    means: NDArray[np.float32] = rows.reshape(last - first, factor, width, factor).mean(axis=(1, 3), dtype=np.float32)
    return means


@contextmanager
def _opened(path: Path) -> Iterator[NDArray[Any]]:
    """(h, w), the top row first; of an MRC file nothing is read before it is looked at."""
    with ExitStack() as stack:
        if path.suffix == ".png":
            try:
                image = np.asarray(imagecodecs.png_decode(path.read_bytes()))
            except (RuntimeError, ValueError) as error:  # damaged within; not a PNG from its first byte
                raise FormatError(f"damaged picture: {error}", path=path, remedy="re-queue the movie") from error
        else:
            file = stack.enter_context(mrcfile.mmap(path, mode="r"))
            image = np.asarray(file.data)[::-1]  # MRC's first row is the bottom of the picture
        if image.ndim != 2 or max(image.shape) > MAX_SIDE_PX:
            raise FormatError(f"not a 2-D picture: {image.shape}", path=path, remedy="re-queue the movie")
        yield image
