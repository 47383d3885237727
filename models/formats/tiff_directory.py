"""The directories of a TIFF file, walked by ourselves before any library sees the file.

Classic and BigTIFF, both byte orders (Adobe TIFF 6.0, 1992; BigTIFF: AWare Systems). The walk knows the size of the
file, remembers where it has been, and never reads more than a directory promises within the limits. It tells two kinds
of fault apart, because what happens next differs: what is *not there yet* (`TruncatedFileError`: a growing file may
still bring it) and what *can never be right* (`FormatError`, `HeaderLimitError`).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from frazil.config.errors import FormatError, HeaderLimitError, TruncatedFileError, UnsupportedFormatError
from frazil.models.formats.file_bytes import WAIT, FileBytes
from frazil.models.formats.limits import HeaderLimits, check_dimensions

EER_COMPRESSIONS = frozenset({65000, 65001, 65002})

_TYPE_DTYPES = {
    1: "u1", 2: "S1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8",
    13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
_RATIONALS = frozenset({5, 10})
_CHUNK_TAGS = frozenset({273, 279, 324, 325})

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _FILL_ORDER, _DESCRIPTION = 254, 256, 257, 258, 259, 266, 270
_SAMPLES, _ROWS_PER_STRIP, _X_RESOLUTION, _RESOLUTION_UNIT, _PREDICTOR = 277, 278, 282, 296, 317
_TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 322, 323, 339
_EER_ACQUISITION, _EER_FRAME, _EER_SKIP_BITS, _EER_HORIZONTAL_BITS, _EER_VERTICAL_BITS = (
    65001,
    65002,
    65007,
    65008,
    65009,
)
_WANTED = frozenset(
    {
        _SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _FILL_ORDER, _DESCRIPTION, _SAMPLES, _ROWS_PER_STRIP,
        _X_RESOLUTION, _RESOLUTION_UNIT, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT, _EER_ACQUISITION,
        _EER_FRAME, _EER_SKIP_BITS, _EER_HORIZONTAL_BITS, _EER_VERTICAL_BITS,
    }
    | _CHUNK_TAGS
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One image of a TIFF file: where its chunks (strips or tiles) lie and how they are coded."""

    width_px: int
    height_px: int
    dtype: np.dtype[np.generic] | None
    """With the file's byte order; None for EER, whose pixels are events."""
    compression: int
    predictor: int
    chunk_width_px: int
    chunk_height_px: int
    offsets: tuple[int, ...]
    byte_counts: tuple[int, ...]
    reduced: bool
    """A thumbnail of another page."""
    pixel_size_angstrom: float | None
    description: str
    eer_code_bits: tuple[int, int, int]
    """EER: bits of the run length and of the horizontal and vertical sub-pixel position."""
    eer_acquisition_xml: bytes
    eer_frame_xml: bytes

    @property
    def tiled(self) -> bool:
        return self.chunk_width_px != self.width_px

    @property
    def decoded_bytes(self) -> int:
        return self.width_px * self.height_px * (self.dtype.itemsize if self.dtype else 1)


@dataclass(frozen=True, slots=True)
class TiffWalk:
    """The pages that lie wholly inside the file, and what stopped the walk before its proper end, if anything did."""

    pages: tuple[TiffPage, ...]
    fault: FormatError | None


class _Integer(Protocol):
    def __call__(self, tag: int, default: int | None = None) -> int: ...


@dataclass(frozen=True, slots=True)
class _Layout:
    order: str
    entry_count: str
    entry_bytes: int
    offset: str
    inline_bytes: int


def looks_like_tiff(head: bytes) -> bool:
    """True for the first bytes of a classic or BigTIFF file of either byte order."""
    return head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def walk_tiff(file: FileBytes, limits: HeaderLimits, *, at_most: int | None = None) -> TiffWalk:
    """All pages (or the first `at_most`) from the first directory to the last, none of their pixels.

    The first fault ends the walk and is returned, not raised, so that the pages before it can be counted.
    """
    pages: list[TiffPage] = []
    try:
        layout, offset = _file_header(file)
        visited: set[int] = set()
        while offset and (at_most is None or len(pages) < at_most):
            if offset in visited:
                raise _broken(file.path, f"its directories form a loop (back to byte {offset:,})")
            if len(visited) >= limits.max_frames:
                raise HeaderLimitError(
                    f"has more than {limits.max_frames:,} directories", path=file.path, remedy="check the file"
                )
            visited.add(offset)
            page, offset = _directory(file, layout, offset, len(pages), limits)
            pages.append(page)
        if not pages:
            raise TruncatedFileError("has no directory yet: it is still being written", path=file.path, remedy=WAIT)
    except FormatError as fault:
        return TiffWalk(tuple(pages), fault)
    return TiffWalk(tuple(pages), None)


def _broken(path: Path, what: str) -> FormatError:
    return FormatError(what, path=path, remedy="the file is damaged: copy it again from the camera")


def _file_header(file: FileBytes) -> tuple[_Layout, int]:
    head = file.read_at(0, min(16, file.size))
    if len(head) < 8:
        raise TruncatedFileError(f"ends after {len(head)} bytes, within its header", path=file.path, remedy=WAIT)
    if not looks_like_tiff(head):
        raise _broken(file.path, "is not a TIFF file")
    order = "<" if head[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", head, 2)
    if version == 42:
        (offset,) = struct.unpack_from(order + "I", head, 4)
        return _Layout(order, "H", 12, "I", 4), int(offset)
    if len(head) < 16:
        raise TruncatedFileError(f"ends after {len(head)} bytes, within its header", path=file.path, remedy=WAIT)
    offset_bytes, zero, offset = struct.unpack_from(order + "HHQ", head, 4)
    if offset_bytes != 8 or zero != 0:
        raise _broken(file.path, f"is a BigTIFF with offsets of {offset_bytes} bytes instead of 8")
    return _Layout(order, "Q", 20, "Q", 8), int(offset)


def _directory(file: FileBytes, layout: _Layout, offset: int, index: int, limits: HeaderLimits) -> tuple[TiffPage, int]:
    _check_offset(file, offset, limits)
    (count,) = struct.unpack(
        layout.order + layout.entry_count, file.read_at(offset, struct.calcsize(layout.order + layout.entry_count))
    )
    if count == 0:
        raise TruncatedFileError(f"directory {index + 1} is still empty", path=file.path, remedy=WAIT)
    if count > limits.max_directory_entries:
        raise HeaderLimitError(
            f"directory {index + 1} claims {count:,} tags, more than the limit of {limits.max_directory_entries:,}",
            path=file.path,
            remedy="check the file",
        )
    table_offset = offset + struct.calcsize(layout.order + layout.entry_count)
    pointer_bytes = struct.calcsize(layout.order + layout.offset)
    table = file.read_at(table_offset, count * layout.entry_bytes + pointer_bytes)
    tags: dict[int, np.ndarray] = {}
    for entry in range(count):
        start = entry * layout.entry_bytes
        tag, kind = struct.unpack_from(layout.order + "HH", table, start)
        if tag in _WANTED and tag not in tags:
            tags[tag] = _tag_values(file, layout, table, start, kind, tag, limits)
    (next_offset,) = struct.unpack_from(layout.order + layout.offset, table, count * layout.entry_bytes)
    return _page(file, layout.order, tags, index, limits), int(next_offset)


def _check_offset(file: FileBytes, offset: int, limits: HeaderLimits) -> None:
    # A growing file may still reach a place that lies beyond its end, but never one that no movie reaches.
    if offset > limits.max_total_bytes:
        raise HeaderLimitError(f"points to byte {offset:,} of itself", path=file.path, remedy="check the file")


def _tag_values(
    file: FileBytes, layout: _Layout, table: bytes, start: int, kind: int, tag: int, limits: HeaderLimits
) -> np.ndarray:
    (count,) = struct.unpack_from(layout.order + layout.offset, table, start + 4)
    if kind not in _TYPE_DTYPES:
        raise _broken(file.path, f"tag {tag} has the unknown type {kind}")
    if kind in _RATIONALS:
        count *= 2
    dtype = np.dtype(layout.order + _TYPE_DTYPES[kind])
    byte_count = count * dtype.itemsize
    cap = limits.max_chunks_per_page * 8 if tag in _CHUNK_TAGS else limits.max_tag_bytes
    if byte_count > cap:
        raise HeaderLimitError(
            f"tag {tag} claims {byte_count:,} bytes, more than the limit of {cap:,}",
            path=file.path,
            remedy="check the file",
        )
    value_start = start + 4 + struct.calcsize(layout.order + layout.offset)
    if byte_count <= layout.inline_bytes:
        data = table[value_start : value_start + byte_count]
    else:
        (where,) = struct.unpack_from(layout.order + layout.offset, table, value_start)
        _check_offset(file, int(where), limits)
        data = file.read_at(int(where), byte_count)
    return np.frombuffer(data, dtype)


def _page(file: FileBytes, order: str, tags: dict[int, np.ndarray], index: int, limits: HeaderLimits) -> TiffPage:
    path = file.path
    name = f"page {index + 1}"

    def integer(tag: int, default: int | None = None) -> int:
        values = tags.get(tag)
        if values is None or values.size == 0 or values.dtype.kind not in "ui":
            if default is None:
                raise _broken(path, f"{name} lacks tag {tag}")
            return default
        return int(values[0])

    width_px, height_px = integer(_WIDTH), integer(_HEIGHT)
    compression = integer(_COMPRESSION, 1)
    is_eer = compression in EER_COMPRESSIONS
    dtype = None if is_eer else _sample_type(path, name, order, tags, integer)
    check_dimensions(
        path,
        limits,
        width_px=width_px,
        height_px=height_px,
        frame_count=index + 1,
        bytes_per_px=dtype.itemsize if dtype else 1,
    )
    if _TILE_WIDTH in tags:
        chunk_width_px, chunk_height_px = integer(_TILE_WIDTH), integer(_TILE_HEIGHT)
        offset_tag, count_tag = 324, 325
    else:
        chunk_width_px, chunk_height_px = width_px, min(integer(_ROWS_PER_STRIP, height_px), height_px)
        offset_tag, count_tag = 273, 279
    if not 0 < chunk_width_px <= limits.max_side_px or not 0 < chunk_height_px <= limits.max_side_px:
        raise _broken(path, f"{name} has chunks of {chunk_width_px} x {chunk_height_px} px")
    expected_chunks = math.ceil(width_px / chunk_width_px) * math.ceil(height_px / chunk_height_px)
    if expected_chunks > limits.max_chunks_per_page:
        raise HeaderLimitError(f"{name} has {expected_chunks:,} strips or tiles", path=path, remedy="check the file")
    offsets, byte_counts = _chunks(file, name, tags, offset_tag, count_tag, expected_chunks, is_eer, limits)
    return TiffPage(
        width_px=width_px,
        height_px=height_px,
        dtype=dtype,
        compression=compression,
        predictor=integer(_PREDICTOR, 1),
        chunk_width_px=chunk_width_px,
        chunk_height_px=chunk_height_px,
        offsets=offsets,
        byte_counts=byte_counts,
        reduced=bool(integer(_SUBFILE, 0) & 1),
        pixel_size_angstrom=_pixel_size(tags, integer),
        description=_raw(tags, _DESCRIPTION).decode("utf-8", "replace").rstrip("\0"),
        eer_code_bits=_eer_code_bits(compression, integer),
        eer_acquisition_xml=_raw(tags, _EER_ACQUISITION),
        eer_frame_xml=_raw(tags, _EER_FRAME),
    )


def _raw(tags: dict[int, np.ndarray], tag: int) -> bytes:
    return tags[tag].tobytes() if tag in tags else b""


def _chunks(
    file: FileBytes,
    name: str,
    tags: dict[int, np.ndarray],
    offset_tag: int,
    count_tag: int,
    expected: int,
    is_eer: bool,
    limits: HeaderLimits,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if offset_tag not in tags or count_tag not in tags:
        raise _broken(file.path, f"{name} does not say where its pixels lie")
    if tags[offset_tag].dtype.kind != "u" or tags[count_tag].dtype.kind != "u":
        raise _broken(file.path, f"{name} says where its pixels lie in words of the wrong type")
    offsets = tuple(int(value) for value in tags[offset_tag])
    byte_counts = tuple(int(value) for value in tags[count_tag])
    # EER frames are bit streams that may be cut anywhere, so any number of strips is one frame.
    if len(offsets) != len(byte_counts) or (len(offsets) != expected and not is_eer) or not offsets:
        raise _broken(
            file.path,
            f"{name} has {len(offsets)} chunk offsets and {len(byte_counts)} sizes where {expected} are needed",
        )
    for offset, byte_count in zip(offsets, byte_counts, strict=True):
        _check_offset(file, offset + byte_count, limits)
        if offset == 0 or byte_count == 0:
            raise TruncatedFileError(f"the pixels of {name} are not written yet", path=file.path, remedy=WAIT)
        if offset + byte_count > file.size:
            raise TruncatedFileError(
                f"ends at byte {file.size:,}, but {name} reaches to byte {offset + byte_count:,}",
                path=file.path,
                remedy=WAIT,
            )
    return offsets, byte_counts


def _sample_type(
    path: Path, name: str, order: str, tags: dict[int, np.ndarray], integer: _Integer
) -> np.dtype[np.generic]:
    if integer(_SAMPLES, 1) != 1:
        raise UnsupportedFormatError(
            f"{name} has {integer(_SAMPLES, 1)} samples per pixel (a colour picture, not counts)",
            path=path,
            remedy="give the camera's own movie file",
        )
    if integer(_FILL_ORDER, 1) != 1:
        raise UnsupportedFormatError(f"{name} stores its bits reversed", path=path, remedy="rewrite it with libtiff")
    bits, sample_format = integer(_BITS, 1), integer(_SAMPLE_FORMAT, 1)
    kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(sample_format)
    known = {"u": (8, 16, 32), "i": (8, 16, 32), "f": (16, 32, 64)}
    if kind is None or bits not in known[kind]:
        raise UnsupportedFormatError(
            f"{name} has {bits}-bit samples of format {sample_format}; 8-, 16- and 32-bit integers and 16-, 32- and "
            "64-bit floats are read",
            path=path,
            remedy="convert it, for example with IMOD's newstack",
        )
    return np.dtype(f"{order}{kind}{bits // 8}")


def _pixel_size(tags: dict[int, np.ndarray], integer: _Integer) -> float | None:
    """XResolution in pixels per centimetre or inch, as SerialEM, DigitalMicrograph and RELION write it."""
    rational = tags.get(_X_RESOLUTION)
    angstrom_per_unit = {2: 2.54e8, 3: 1.0e8}.get(integer(_RESOLUTION_UNIT, 2))
    if rational is None or rational.size < 2 or rational.dtype.kind != "u" or angstrom_per_unit is None:
        return None
    numerator, denominator = float(rational[0]), float(rational[1])
    if numerator <= 0 or denominator <= 0:
        return None
    pixel = angstrom_per_unit * denominator / numerator
    # Outside of this it is the 72 dpi of a printer, not a microscope.
    return float(f"{pixel:.6g}") if 0.01 <= pixel <= 1000.0 else None


def _eer_code_bits(compression: int, integer: _Integer) -> tuple[int, int, int]:
    if compression == 65002:
        return integer(_EER_SKIP_BITS, 7), integer(_EER_HORIZONTAL_BITS, 2), integer(_EER_VERTICAL_BITS, 2)
    return (8 if compression == 65000 else 7), 2, 2
