"""MRC files written so that a reader never meets half of one, and the same array gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import numpy as np

from frazil.models.formats.atomic import atomic_path

_MODES = {"float32": 2, "float16": 12, "int8": 0, "int16": 1, "uint16": 6}
# Bytes are signed in MRC2014; `uint8` in mode 0 would come back negative above 127 in most programs.
_CONVERTED = {"float64": "float32", "uint8": "uint16", "bool": "int8", "int64": "float32", "int32": "float32"}


def write_mrc(
    path: Path,
    array: np.ndarray,
    pixel_size_angstrom: float,
    *,
    is_volume: bool = False,
    label: str = "frazil",
) -> None:
    """Write an image, a stack of images or a volume; atomic (temporary name in the same folder, then rename).

    Parameters
    ----------
    path:
        Where to; an existing file is replaced.
    array:
        (h, w) image, or (n, h, w) stack or volume; row 0 first. Modes: float32 2, float16 12, int8 0, int16 1, uint16
        6; float64 and 32/64-bit integers become float32, uint8 becomes uint16 (mode 6), bool becomes int8.
    pixel_size_angstrom:
        The same along all axes; the cell is n times it.
    is_volume:
        For a 3-D array: one volume (space group 1) instead of a stack of images (space group 0).
    label:
        First text label of the header, at most 80 characters. No date is written: same input, same bytes.

    Raises
    ------
    ValueError
        The array is not 2-D or 3-D, empty, of a type without a mode, or the pixel size is not positive.
    OSError
        The disk is full or the folder cannot be written; `path` is then as it was.
    """
    data = _storable(array)
    if not pixel_size_angstrom > 0:
        raise ValueError(f"pixel size must be positive, got {pixel_size_angstrom} A")
    with atomic_path(path) as temporary, mrcfile.new(temporary, overwrite=True) as mrc:
        mrc.set_data(data)
        if data.ndim == 3:
            if is_volume:
                mrc.set_volume()
            else:
                mrc.set_image_stack()
        mrc.voxel_size = pixel_size_angstrom
        mrc.header.label[0] = label[:80]
        mrc.header.nlabl = 1


def _storable(array: np.ndarray) -> np.ndarray:
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"an MRC file holds a non-empty 2-D or 3-D array, got shape {array.shape}")
    name = _CONVERTED.get(array.dtype.name, array.dtype.name)
    if name not in _MODES:
        raise ValueError(f"no MRC mode for {array.dtype}")
    return np.ascontiguousarray(array, dtype=name)
