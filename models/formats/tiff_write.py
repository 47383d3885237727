"""TIFF movies as cameras write them: one page a frame, so that reading gives back the same array."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile

from frazil.models.formats.atomic import atomic_path

_TIFFFILE_NAMES = {"lzw": "lzw", "deflate": "adobe_deflate", "zstd": "zstd", "none": None}


def write_movie_tiff(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    compression: Literal["lzw", "deflate", "zstd", "none"] = "lzw",
    pixel_size_angstrom: float | None = None,
    rows_per_strip: int | None = None,
    bigtiff: bool = False,
) -> int:
    """Write frames one by one (bounded memory) and return how many; atomic, as `write_mrc`.

    Row 0 of a frame is stored as the *last* row, the convention of `frazil.models.conventions`.

    Parameters
    ----------
    frames:
        (h, w) arrays of one shape and type: 8- or 16-bit integers, float16 or float32.
    compression:
        LZW is what most cameras write.
    pixel_size_angstrom:
        Stored as resolution in pixels per centimetre, as SerialEM does.
    rows_per_strip:
        None: the whole frame is one strip.
    bigtiff:
        64-bit offsets; needed above 4 GiB of file.

    Raises
    ------
    ValueError
        No frame, or frames of different shapes or types.
    OSError
        The disk is full or the folder cannot be written; `path` is then as it was.
    """
    resolution = None if pixel_size_angstrom is None else (1e8 / pixel_size_angstrom, 1e8 / pixel_size_angstrom)
    first: np.ndarray | None = None
    count = 0
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=bigtiff) as tiff:
        for frame in frames:
            if first is None:
                first = frame
            if frame.ndim != 2 or frame.shape != first.shape or frame.dtype != first.dtype:
                raise ValueError(
                    f"frame {count + 1} is {frame.shape} {frame.dtype}, the first {first.shape} {first.dtype}"
                )
            tiff.write(
                np.ascontiguousarray(frame[::-1]),
                compression=_TIFFFILE_NAMES[compression],
                photometric="minisblack",
                rowsperstrip=rows_per_strip or frame.shape[0],
                resolution=resolution,
                resolutionunit=None if resolution is None else "CENTIMETER",
                metadata=None,
                software=False,
                contiguous=False,
            )
            count += 1
        if count == 0:
            raise ValueError("a movie needs at least one frame")
    return count
