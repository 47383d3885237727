"""The pixels of one TIFF page: every strip or tile into its place, upside down, as movies are read.

TIFF stores the top row first; RELION, IMOD and MotionCor2 flip along y on reading, whatever the orientation tag says,
and so does frazil (see `frazil.models.conventions`). Every chunk is decoded into a buffer of the size that the
directory promises, so that a damaged or hostile chunk can never produce more.
"""

from __future__ import annotations

import math
import threading

import imagecodecs
import numpy as np

from frazil.config.errors import FormatError, UnsupportedFormatError
from frazil.models.formats import lzw
from frazil.models.formats.file_bytes import FileBytes
from frazil.models.formats.tiff_directory import TiffPage

_NONE, _LZW, _DEFLATE, _DEFLATE_OLD, _PACKBITS, _ZSTD = 1, 5, 8, 32946, 32773, 50000
_PREDICTOR_NONE, _PREDICTOR_HORIZONTAL, _PREDICTOR_FLOAT = 1, 2, 3
READABLE_COMPRESSIONS = frozenset({_NONE, _LZW, _DEFLATE, _DEFLATE_OLD, _PACKBITS, _ZSTD})
# What imagecodecs raises on bad input: its own errors derive from RuntimeError; ValueError for impossible arguments.
DECODER_ERRORS = (RuntimeError, ValueError)


def check_readable(file: FileBytes, page: TiffPage, name: str) -> None:
    """Refuse a coding that `decode_page` does not know.

    Raises
    ------
    UnsupportedFormatError
    """
    if page.compression not in READABLE_COMPRESSIONS:
        raise UnsupportedFormatError(
            f"{name} uses TIFF compression {page.compression}; none, LZW, deflate, zstd and packbits are read",
            path=file.path,
            remedy="convert it, for example with `relion_convert_to_tiff --compression lzw`",
        )
    floating = page.dtype is not None and page.dtype.kind == "f"
    allowed = (_PREDICTOR_NONE, _PREDICTOR_FLOAT) if floating else (_PREDICTOR_NONE, _PREDICTOR_HORIZONTAL)
    if page.predictor not in allowed:
        raise UnsupportedFormatError(
            f"{name} uses TIFF predictor {page.predictor} on {page.dtype} samples",
            path=file.path,
            remedy="rewrite it without a predictor",
        )


def decode_page(
    file: FileBytes, page: TiffPage, name: str, *, flip: bool = True, out: np.ndarray | None = None
) -> np.ndarray:
    """One page as an (h, w) array in the machine's byte order, new or `out`; `flip`: last stored row first.

    `name` (such as `frame 7 of 40`) is for the message of an error.

    Raises
    ------
    FormatError
        A chunk does not decode to the number of bytes that the directory promises.
    """
    assert page.dtype is not None, "EER pages hold events and are decoded elsewhere"
    height_px, width_px = page.height_px, page.width_px
    image = np.empty((height_px, width_px), page.dtype.newbyteorder("=")) if out is None else out
    across = math.ceil(width_px / page.chunk_width_px)
    for chunk, (offset, byte_count) in enumerate(zip(page.offsets, page.byte_counts, strict=True)):
        top, left = (chunk // across) * page.chunk_height_px, (chunk % across) * page.chunk_width_px
        rows = min(page.chunk_height_px, height_px - top)
        columns = min(page.chunk_width_px, width_px - left)
        # Tiles are stored whole; the last strip holds only the rows that are left.
        stored_rows = page.chunk_height_px if page.tiled else rows
        pixels = _chunk(file, page, offset, byte_count, stored_rows, f"{name}, chunk {chunk + 1}")[:rows, :columns]
        if flip:
            image[height_px - top - rows : height_px - top, left : left + columns] = pixels[::-1]
        else:
            image[top : top + rows, left : left + columns] = pixels
    return image


def _chunk(file: FileBytes, page: TiffPage, offset: int, byte_count: int, rows: int, name: str) -> np.ndarray:
    """A chunk as (rows, chunk width), in the file's byte order; valid until this thread decodes again."""
    assert page.dtype is not None
    shape = (rows, page.chunk_width_px)
    expected = rows * page.chunk_width_px * page.dtype.itemsize
    if page.compression == _NONE:
        if byte_count < expected:
            raise _short(file, name, byte_count, expected)
        pixels = np.empty(shape, page.dtype)
        file.read_into(offset, pixels)
    else:
        try:
            decoded = _decompress(file, offset, byte_count, page.compression, expected)
        except DECODER_ERRORS as error:
            raise FormatError(
                f"{name} does not decompress ({error})",
                path=file.path,
                remedy="the file is damaged: copy it again from the camera",
            ) from error
        if len(decoded) != expected:
            raise _short(file, name, len(decoded), expected)
        pixels = np.frombuffer(decoded, page.dtype).reshape(shape)
    if page.predictor == _PREDICTOR_HORIZONTAL:
        native = pixels.astype(page.dtype.newbyteorder("="))
        return np.asarray(np.cumsum(native, axis=1, dtype=native.dtype))
    if page.predictor == _PREDICTOR_FLOAT:
        decoded_floats = imagecodecs.floatpred_decode(
            np.frombuffer(pixels.tobytes(), np.uint8).reshape(rows, -1).view(page.dtype), axis=-1
        )
        return np.asarray(decoded_floats)
    return pixels


def _short(file: FileBytes, name: str, got: int, expected: int) -> FormatError:
    return FormatError(
        f"{name} holds {got:,} bytes of pixels instead of {expected:,}",
        path=file.path,
        remedy="the file is damaged: copy it again from the camera",
    )


class _Scratch(threading.local):
    """A buffer per decoding thread: a fresh one for each 16 MB strip costs a seventh of the time in page faults."""

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.uint8)

    def of(self, count: int) -> np.ndarray:
        if self._buffer.size < count:
            self._buffer = np.empty(count, np.uint8)
        return self._buffer[:count]


_coded_scratch = _Scratch()
_decoded_scratch = _Scratch()


def _decompress(file: FileBytes, offset: int, byte_count: int, compression: int, expected: int) -> np.ndarray:
    """At most `expected` bytes, fewer when the data end early; valid until this thread decodes again."""
    file.check_range(offset, byte_count)  # before any buffer is made as long as the directory says
    coded = _coded_scratch.of(byte_count + lzw.SOURCE_PADDING_BYTES)
    file.read_into(offset, coded[:byte_count])
    decoded = _decoded_scratch.of(expected + lzw.TARGET_PADDING_BYTES)
    if compression == _LZW and lzw.decode(coded, byte_count, decoded, expected) == expected:
        return decoded[:expected]
    data, out = coded[:byte_count].tobytes(), memoryview(decoded.data)[:expected]
    if compression == _LZW:
        # Damaged, cut short, or of a kind older than TIFF 6.0: the library has the last word.
        found = imagecodecs.lzw_decode(data, out=out)
    elif compression in (_DEFLATE, _DEFLATE_OLD):
        found = imagecodecs.deflate_decode(data, out=out)
    elif compression == _ZSTD:
        found = imagecodecs.zstd_decode(data, out=out)
    else:
        found = imagecodecs.packbits_decode(data, out=out)
    return np.frombuffer(found, np.uint8)
