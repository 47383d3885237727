"""Pictures for the screen: a movie's PNG or MRC, reduced to the size that was asked for."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import mrcfile
import numpy as np
from numpy.typing import NDArray

from frazil.config.errors import FormatError, NotThereError
from frazil.daemon.transport.messages import PictureReply

_MAX_SOURCE_PX = 16384


def load_picture(path: Path, *, max_width_px: int, max_height_px: int, pixel_size: float) -> PictureReply:
    """Read a picture and reduce it by whole-block means until it fits; row 0 of the reply is on top.

    Raises
    ------
    NotThereError
        If the file is not there (yet).
    FormatError
        If it is not a picture.
    """
    if not path.is_file():
        raise NotThereError("this picture has not been written", path=path, remedy="wait until the movie is ready")
    image = _read(path)
    source_height, source_width = image.shape
    factor = max(1, -(-source_width // max_width_px), -(-source_height // max_height_px))
    height, width = source_height // factor, source_width // factor
    if not (height and width):
        raise NotThereError(f"a picture of {source_width} x {source_height} px does not fit that box", path=path)
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor)
    small = blocks.mean(axis=(1, 3), dtype=np.float32)
    low, high = np.percentile(small, (1.0, 99.0))
    gray = np.clip((small - low) * (255.0 / max(float(high - low), 1e-12)), 0, 255).astype(np.uint8)
    return PictureReply(width, height, gray.tobytes(), source_width_px=source_width, pixel_size=pixel_size)


def _read(path: Path) -> NDArray[np.float32]:
    if path.suffix == ".png":
        try:
            image = np.asarray(imagecodecs.png_decode(path.read_bytes()))
        except (RuntimeError, ValueError) as error:  # damaged within; not a PNG from its first byte
            raise FormatError(f"damaged picture: {error}", path=path, remedy="re-queue the movie") from error
    else:
        with mrcfile.open(path, mode="r") as file:
            image = np.asarray(file.data)[::-1]  # MRC's first row is the bottom of the picture
    if image.ndim != 2 or max(image.shape) > _MAX_SOURCE_PX:
        raise FormatError(f"not a 2-D picture: {image.shape}", path=path, remedy="re-queue the movie")
    return image.astype(np.float32)
