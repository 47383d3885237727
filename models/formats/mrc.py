"""MRC and MRCS movies: our own parse of the 1,024-byte header, then frame by frame from the file.

MRC2014 (Cheng et al. 2015, J Struct Biol 192:146) with what cameras and IMOD really write: modes 0, 1, 2, 6 and 12,
both byte orders, any extended header, signed or unsigned bytes in mode 0. Row 0 is the first row in the file; no
flip.

Mode 0, signed or unsigned
    MRC2014 says signed; IMOD, SerialEM and older programs wrote unsigned. In this order (`byte_sign`):

    1. the IMOD stamp (1146047817 at byte 152): bit 0 of the flags at byte 156 says signed, otherwise unsigned
       (IMOD >= 4.2.23; SerialEM writes it);
    2. the header's own extremes: a maximum above 127 is unsigned, a minimum below 0 signed;
    3. the first frame: bytes of 128 and above that lie next to 127 (128-159) are a histogram that goes on upwards:
       unsigned; next to 255 (224-255) it goes on below zero: signed. Where neither outweighs, counts are not negative:
       unsigned. Without any byte above 127 both readings agree and `int8` is delivered, as RELION does.
"""

from __future__ import annotations

import math
import struct
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frazil.config.errors import FormatError, HeaderLimitError, TruncatedFileError, UnsupportedFormatError
from frazil.models.formats.file_bytes import WAIT, FileBytes
from frazil.models.formats.frame_reader import FrameReader
from frazil.models.formats.limits import HeaderLimits, check_dimensions
from frazil.models.records import MovieHeader

HEADER_BYTES = 1024
_MODE_DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_KNOWN_MODES = frozenset({0, 1, 2, 3, 4, 6, 12, 16, 101})
_HISTOGRAM_BLOCK = 1 << 20
_IMOD_STAMP = 1146047817
_IMOD_SIGNED_BYTES = 1
_IMOD_PACKED_NIBBLES = 16
_PLAUSIBLE_PIXEL_ANGSTROM = (0.01, 1000.0)


@dataclass(frozen=True, slots=True)
class MrcHeader:
    """What the first 1,024 bytes say, checked against the limits but not yet against the size of the file."""

    width_px: int
    height_px: int
    section_count: int
    mode: int
    dtype: np.dtype[np.generic]
    """With the file's byte order; mode 0 as `int8` until `byte_sign` has decided."""
    data_offset: int
    minimum: float
    maximum: float
    imod_flags: int | None
    pixel_size_angstrom: float | None

    @property
    def frame_bytes(self) -> int:
        return self.width_px * self.height_px * self.dtype.itemsize

    @property
    def expected_bytes(self) -> int:
        return self.data_offset + self.section_count * self.frame_bytes


def parse_header(path: Path, block: bytes, limits: HeaderLimits) -> MrcHeader:
    """Parse the first 1,024 bytes of an MRC file.

    Raises
    ------
    FormatError
        Not an MRC header: unknown mode, sizes that are not positive, axes that are no permutation.
    TruncatedFileError
        The header is not there yet, or not filled in.
    UnsupportedFormatError
        An MRC file, but complex, RGB, packed 4-bit, or with transposed axes.
    HeaderLimitError
        The header claims more than `limits` allow.
    """
    _check_written(path, block)
    order = _byte_order(path, block)
    width_px, height_px, section_count, mode = struct.unpack_from(order + "4i", block, 0)
    interval_count = struct.unpack_from(order + "3i", block, 28)
    cell_angstrom = struct.unpack_from(order + "3f", block, 40)
    axes = struct.unpack_from(order + "3i", block, 64)
    minimum, maximum = struct.unpack_from(order + "2f", block, 76)
    (extended_bytes,) = struct.unpack_from(order + "i", block, 92)
    stamp, flags = struct.unpack_from(order + "2i", block, 152)
    imod_flags = flags if stamp == _IMOD_STAMP else None
    _check_readable(path, mode, imod_flags, axes)
    if width_px > 0 and height_px > 0 and section_count == 0:
        raise TruncatedFileError("counts no frames yet: its header is still to be completed", path=path, remedy=WAIT)
    dtype = np.dtype(order + _MODE_DTYPES[mode])
    check_dimensions(
        path,
        limits,
        width_px=width_px,
        height_px=height_px,
        frame_count=section_count,
        bytes_per_px=dtype.itemsize,
    )
    _check_extended_header(path, extended_bytes, limits)
    return MrcHeader(
        width_px=width_px,
        height_px=height_px,
        section_count=section_count,
        mode=mode,
        dtype=dtype,
        data_offset=HEADER_BYTES + extended_bytes,
        minimum=minimum,
        maximum=maximum,
        imod_flags=imod_flags,
        pixel_size_angstrom=_pixel_size(cell_angstrom[0], interval_count[0], deliberate=block[224:230] == b"frazil"),
    )


def _check_written(path: Path, block: bytes) -> None:
    """TruncatedFileError while the header is not there, or not filled in."""
    if len(block) < HEADER_BYTES:
        raise TruncatedFileError(
            f"ends after {len(block)} bytes, within its header of {HEADER_BYTES}",
            path=path,
            remedy=WAIT,
        )
    if not any(block[:224]):
        raise TruncatedFileError("has no header yet", path=path, remedy=WAIT)


def _check_readable(path: Path, mode: int, imod_flags: int | None, axes: tuple[int, ...]) -> None:
    """UnsupportedFormatError for a coding of counts, or an order of axes, that is not read."""
    if mode not in _MODE_DTYPES:
        raise UnsupportedFormatError(
            f"MRC mode {mode} is not read (0, 1, 2, 6 and 12 are)",
            path=path,
            remedy="convert it, for example with IMOD's newstack -mode 1",
        )
    if mode == 0 and imod_flags is not None and imod_flags & _IMOD_PACKED_NIBBLES:
        raise UnsupportedFormatError(
            "holds packed 4-bit counts", path=path, remedy="unpack it with IMOD's `clip unpack` first"
        )
    if axes not in ((1, 2, 3), (0, 0, 0)):
        raise UnsupportedFormatError(
            f"stores its axes in the order {axes}; only columns, rows, sections (1, 2, 3) are read",
            path=path,
            remedy="rewrite the file with IMOD's newstack or mrcfile",
        )


def _check_extended_header(path: Path, extended_bytes: int, limits: HeaderLimits) -> None:
    """FormatError or HeaderLimitError for an extended header of a size that cannot be."""
    if extended_bytes < 0:
        raise FormatError(
            f"the header gives an extended header of {extended_bytes} bytes", path=path, remedy="check the file"
        )
    if extended_bytes > limits.max_extended_header_bytes:
        raise HeaderLimitError(
            f"the header claims an extended header of {extended_bytes:,} bytes, more than the limit of "
            f"{limits.max_extended_header_bytes:,}",
            path=path,
            remedy="check the file; nothing was read into memory",
        )


def _byte_order(path: Path, block: bytes) -> str:
    """`<` or `>`: the machine stamp where it makes sense of mode and axes, else the order that does."""
    stamped = {b"\x44": "<", b"\x11": ">"}.get(block[212:213])
    candidates = [stamped] if stamped else []
    candidates += [order for order in "<>" if order != stamped]
    for order in candidates:
        (mode,) = struct.unpack_from(order + "i", block, 12)
        axes = struct.unpack_from(order + "3i", block, 64)
        if mode in _KNOWN_MODES and all(0 <= axis <= 3 for axis in axes):
            # Mode 0 reads the same in both orders: let the size decide when there is no stamp.
            (width_px,) = struct.unpack_from(order + "i", block, 0)
            if stamped or 0 < width_px < 1 << 20 or order == candidates[-1]:
                return order
    raise FormatError(
        "is not an MRC file: neither byte order gives a known mode and axes",
        path=path,
        remedy="check what wrote it; movies are read from MRC, TIFF and EER",
    )


def _pixel_size(cell_angstrom: float, interval_count: int, *, deliberate: bool) -> float | None:
    """None where the header says nothing, nothing possible, or exactly 1 A, which many programs (Leginon among them)
    write when they do not know; only our own files, told by their label, mean it."""
    if interval_count <= 0 or not math.isfinite(cell_angstrom):
        return None
    pixel = cell_angstrom / interval_count
    low, high = _PLAUSIBLE_PIXEL_ANGSTROM
    if pixel == 1.0 and not deliberate:
        return None
    # Single precision in the header: 0.834999979 was written as 0.835.
    return float(f"{pixel:.7g}") if low <= pixel <= high else None


def byte_sign(header: MrcHeader, first_frame: np.ndarray) -> np.dtype[np.generic]:
    """`int8` or `uint8` for a mode-0 file; the rules are in the module's docstring.

    `first_frame` holds its bytes in any 8-bit type; any shape.
    """
    if header.imod_flags is not None:
        return np.dtype("i1" if header.imod_flags & _IMOD_SIGNED_BYTES else "u1")
    if header.minimum <= header.maximum:  # otherwise MRC2014 says: not determined
        if 127.0 < header.maximum <= 255.0 and header.minimum >= 0.0:
            return np.dtype("u1")
        if -128.0 <= header.minimum < 0.0 and header.maximum <= 127.0:
            return np.dtype("i1")
    values = np.ravel(first_frame).view(np.uint8)
    histogram = np.zeros(256, np.int64)
    for start in range(0, values.size, _HISTOGRAM_BLOCK):  # bincount makes eight bytes of every one
        histogram += np.bincount(values[start : start + _HISTOGRAM_BLOCK], minlength=256)
    beyond_127, below_zero = int(histogram[128:160].sum()), int(histogram[224:256].sum())
    return np.dtype("u1" if histogram[128:].any() and beyond_127 >= below_zero else "i1")


def read_frame(file: FileBytes, header: MrcHeader, index: int, dtype: np.dtype[np.generic]) -> np.ndarray:
    """Frame `index` as a new (h, w) array in the machine's byte order; `dtype` decides the sign of bytes."""
    frame = np.empty((header.height_px, header.width_px), dtype=dtype)
    file.read_into(header.data_offset + index * header.frame_bytes, frame)
    return frame if dtype.isnative else frame.astype(dtype.newbyteorder("="))


def frame_dtype(file: FileBytes, header: MrcHeader) -> np.dtype[np.generic]:
    """The stored type of the frames, with the sign of bytes decided (reads the first frame for mode 0)."""
    if header.mode != 0:
        return header.dtype
    return byte_sign(header, read_frame(file, header, 0, np.dtype("u1")))


def mrc_header(path: Path, header: MrcHeader, dtype: np.dtype[np.generic]) -> MovieHeader:
    """The record of this movie."""
    return MovieHeader(
        path=str(path),
        file_format="mrc",
        frame_count=header.section_count,
        height_px=header.height_px,
        width_px=header.width_px,
        dtype=dtype.newbyteorder("=").name,
        pixel_size_angstrom=header.pixel_size_angstrom,
    )


class MrcReader(FrameReader):
    """A `MovieReader` for MRC files: `int8`, `uint8`, `int16`, `uint16`, `float32` or `float16` frames."""

    def __init__(
        self,
        path: Path,
        *,
        limits: HeaderLimits | None = None,
        executor: Executor | None = None,
        read_ahead_frames: int = 4,
    ) -> None:
        """Parse the header and compare it with the size of the file.

        Raises
        ------
        FormatError, HeaderLimitError, UnsupportedFormatError
            As `parse_header`.
        TruncatedFileError
            The file is shorter than its header promises.
        """
        super().__init__(path, executor, read_ahead_frames)
        try:
            block = self._file.read_at(0, min(HEADER_BYTES, self._file.size))
            self._mrc = parse_header(path, block, limits or HeaderLimits())
            if self._file.size < self._mrc.expected_bytes:
                held = max(0, self._file.size - self._mrc.data_offset) // self._mrc.frame_bytes
                raise TruncatedFileError(
                    f"holds {self._file.size:,} bytes ({held} whole frames); its header promises "
                    f"{self._mrc.expected_bytes:,} ({self._mrc.section_count} frames)",
                    path=path,
                    remedy=WAIT,
                )
            self._dtype = frame_dtype(self._file, self._mrc)
        except BaseException:
            self._file.close()
            raise
        self.header = mrc_header(path, self._mrc, self._dtype)

    def _frame(self, index: int, out: np.ndarray | None) -> np.ndarray:
        if out is not None and out.dtype == self._dtype and self._dtype.isnative:
            self._file.read_into(self._mrc.data_offset + index * self._mrc.frame_bytes, out)
            return out
        return read_frame(self._file, self._mrc, index, self._dtype)
