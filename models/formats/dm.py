"""2-D images from Gatan DM3 and DM4 files (gain references, defect maps), read without trusting a count in them.

Gatan does not publish the format; this follows the descriptions of C. Boothroyd ("Digital Micrograph file format", DM3
and DM4) and G. Jefferis. The file is a tree of tags, big-endian, whose data are little-endian when the header says
so. DM4 widens counts to 64 bits and adds a size to every tag. Images lie in `ImageList`; the first is usually a
thumbnail.

DigitalMicrograph stores the top row first, as TIFF does; the image is flipped along y on reading, so that a reference
fits the TIFF movies of the same camera (RELION users are told to flip a converted `.dm4` for the same reason).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np

from frazil.config.errors import FormatError, HeaderLimitError, UnsupportedFormatError
from frazil.models.formats.file_bytes import FileBytes
from frazil.models.formats.limits import HeaderLimits, check_dimensions

_GROUP, _DATA, _END = 20, 21, 0
_STRUCT, _STRING, _ARRAY = 15, 18, 20
# Data types of tags; `DataType` of an image uses another numbering and is only used to recognise colour.
_SCALARS = {2: "i2", 3: "i4", 4: "u2", 5: "u4", 6: "f4", 7: "f8", 8: "u1", 9: "i1", 10: "u1", 11: "i8", 12: "u8"}
_RGB_DATA_TYPES = frozenset({8, 23})
_MAX_DEPTH = 32
_MAX_TAGS = 200_000
_MAX_TYPE_WORDS = 4_096
_MAX_TEXT_BYTES = 65_536
_ANGSTROM_PER_UNIT = {"nm": 10.0, "A": 1.0, "Å": 1.0, "µm": 1.0e4, "μm": 1.0e4, "um": 1.0e4, "pm": 0.01}


@dataclass(frozen=True, slots=True)
class _Array:
    offset: int
    count: int
    dtype: np.dtype[np.generic]


_Value = int | float | str | _Array | None


@dataclass(slots=True)
class _Group:
    """Children in order; unnamed ones under their index as text."""

    children: dict[str, _Group | _Value] = field(default_factory=dict)

    def get(self, *path: str) -> _Group | _Value:
        node: _Group | _Value = self
        for name in path:
            if not isinstance(node, _Group):
                return None
            node = node.children.get(name)
        return node


def looks_like_dm(head: bytes) -> bool:
    """True for the first 16 bytes of a DM3 or DM4 file."""
    if len(head) < 16:
        return False
    (version,) = struct.unpack_from(">i", head, 0)
    if version == 3:
        return struct.unpack_from(">i", head, 8)[0] in (0, 1)
    return version == 4 and struct.unpack_from(">i", head, 12)[0] in (0, 1)


def read_dm_image(file: FileBytes, limits: HeaderLimits) -> tuple[np.ndarray, float | None]:
    """The largest 2-D greyscale image of a DM3 or DM4 file, flipped along y, in its own type, and its pixel size in A.

    Raises
    ------
    TruncatedFileError
        A tag or the image reaches beyond the end of the file.
    HeaderLimitError
        More tags, deeper nesting or a larger image than is accepted.
    FormatError, UnsupportedFormatError
        Not a tree of tags; no greyscale 2-D image in it.
    """
    root = _TagReader(file, limits).read()
    images = root.get("ImageList")
    best: tuple[int, _Group, int, int] | None = None
    for image in images.children.values() if isinstance(images, _Group) else ():
        size = _image_size(image)
        if size is not None and (best is None or size[0] * size[1] > best[0]):
            assert isinstance(image, _Group)
            best = (size[0] * size[1], image, *size)
    if best is None:
        raise UnsupportedFormatError(
            "holds no 2-D greyscale image", path=file.path, remedy="export the gain reference as MRC or TIFF"
        )
    _, image, width_px, height_px = best
    data = image.get("ImageData", "Data")
    assert isinstance(data, _Array)
    check_dimensions(
        file.path,
        limits,
        width_px=width_px,
        height_px=height_px,
        frame_count=1,
        bytes_per_px=data.dtype.itemsize,
    )
    if data.count != width_px * height_px:
        raise FormatError(
            f"its image is {width_px} x {height_px} px but holds {data.count:,} values",
            path=file.path,
            remedy="export it again from DigitalMicrograph",
        )
    pixels = np.empty((height_px, width_px), data.dtype)
    file.read_into(data.offset, pixels)
    return np.ascontiguousarray(pixels[::-1], dtype=data.dtype.newbyteorder("=")), _pixel_size(file, image)


def _image_size(image: _Group | _Value) -> tuple[int, int] | None:
    if not isinstance(image, _Group):
        return None
    dimensions, data = image.get("ImageData", "Dimensions"), image.get("ImageData", "Data")
    if not isinstance(dimensions, _Group) or not isinstance(data, _Array):
        return None
    sizes = [value for value in dimensions.children.values() if isinstance(value, int)]
    # A single frame may be stored as a stack of one.
    if len(sizes) < 2 or any(size != 1 for size in sizes[2:]) or image.get("ImageData", "DataType") in _RGB_DATA_TYPES:
        return None
    return sizes[0], sizes[1]


def _pixel_size(file: FileBytes, image: _Group) -> float | None:
    scale = image.get("ImageData", "Calibrations", "Dimension", "0", "Scale")
    unit = image.get("ImageData", "Calibrations", "Dimension", "0", "Units")
    if isinstance(unit, _Array) and unit.dtype.itemsize == 2 and unit.count <= 16:  # text is an array of characters
        codec = "utf-16-be" if unit.dtype.byteorder == ">" else "utf-16-le"
        unit = file.read_at(unit.offset, unit.count * 2).decode(codec, "replace")
    factor = _ANGSTROM_PER_UNIT.get(unit) if isinstance(unit, str) else None
    if factor is None or not isinstance(scale, (int, float)) or not math.isfinite(scale) or scale <= 0:
        return None
    return float(f"{scale * factor:.6g}")


class _TagReader:
    """One pass over the tags; arrays are remembered by place, never loaded."""

    def __init__(self, file: FileBytes, limits: HeaderLimits) -> None:
        self._file = file
        self._limits = limits
        self._tags = 0
        self._position = 0

    def read(self) -> _Group:
        version = self._integer(">i")
        if version not in (3, 4):
            raise self._broken(f"has version {version}; DM3 and DM4 are read")
        self._word = ">q" if version == 4 else ">i"
        self._sized_tags = version == 4
        self._integer(self._word)  # length of the tree; files with a wrong one are common
        self._order = "<" if self._integer(">i") == 1 else ">"
        return self._group(0)

    def _group(self, depth: int) -> _Group:
        if depth > _MAX_DEPTH:
            raise self._limit(f"nests tags deeper than {_MAX_DEPTH}")
        self._skip(2)  # sorted, open
        count = self._count(self._integer(self._word), _MAX_TAGS, "tags in a group")
        group = _Group()
        for index in range(count):
            kind = self._integer(">B")
            if kind == _END:
                break
            name = self._bytes(self._integer(">H")).decode("latin-1") or str(index)
            if self._sized_tags:
                self._skip(8)
            self._tags += 1
            if self._tags > _MAX_TAGS:
                raise self._limit(f"has more than {_MAX_TAGS:,} tags")
            if kind == _GROUP:
                group.children[name] = self._group(depth + 1)
            elif kind == _DATA:
                group.children[name] = self._value()
            else:
                raise self._broken(f"has a tag of kind {kind} at byte {self._position:,}")
        return group

    def _value(self) -> _Value:
        if self._bytes(4) != b"%%%%":
            raise self._broken(f"lacks the marks of a value at byte {self._position - 4:,}")
        count = self._count(self._integer(self._word), _MAX_TYPE_WORDS, "words in a type")
        words = [self._integer(self._word) for _ in range(count)]
        if not words:
            raise self._broken(f"has a value without a type at byte {self._position:,}")
        kind = words[0]
        if kind in _SCALARS:
            return self._scalar(kind)
        if kind == _STRING and len(words) == 2:
            length = self._count(words[1], _MAX_TEXT_BYTES, "bytes of text")
            return self._bytes(length).decode("utf-16-le" if self._order == "<" else "utf-16-be", "replace")
        if kind == _STRUCT:
            self._skip(self._struct_bytes(words[1:]))
            return None
        if kind == _ARRAY and len(words) >= 3:
            return self._array(words)
        raise self._broken(f"has a value of the unknown type {kind} at byte {self._position:,}")

    def _scalar(self, kind: int) -> int | float:
        dtype = np.dtype(self._order + _SCALARS[kind])
        value = np.frombuffer(self._bytes(dtype.itemsize), dtype)[0]
        return float(value) if dtype.kind == "f" else int(value)

    def _array(self, words: list[int]) -> _Value:
        element, length = words[1], words[-1]
        if length < 0:
            raise self._broken(f"has an array of {length} values")
        if element == _STRUCT:
            self._skip(self._struct_bytes(words[2:-1]) * length)
            return None
        if element not in _SCALARS:
            raise self._broken(f"has an array of the unknown type {element}")
        dtype = np.dtype(self._order + _SCALARS[element])
        array = _Array(self._position, length, dtype)
        self._skip(length * dtype.itemsize)
        return array

    def _struct_bytes(self, words: list[int]) -> int:
        """Size of a struct from its definition: name length, number of fields, then (name length, type) each."""
        if len(words) < 2 or len(words) < 2 + 2 * words[1] or words[1] < 0:
            raise self._broken("has an incomplete definition of a struct")
        names = words[0] + sum(words[2 : 2 + 2 * words[1] : 2])
        if names != 0:
            raise self._broken("names the fields of a struct, which no known writer does")
        kinds = words[3 : 3 + 2 * words[1] : 2]
        if any(kind not in _SCALARS for kind in kinds):
            raise self._broken("has a struct of unknown types")
        return sum(np.dtype(_SCALARS[kind]).itemsize for kind in kinds)

    def _integer(self, form: str) -> int:
        return int(struct.unpack(form, self._bytes(struct.calcsize(form)))[0])

    def _bytes(self, count: int) -> bytes:
        data = self._file.read_at(self._position, count)
        self._position += count
        return data

    def _skip(self, count: int) -> None:
        self._file.check_range(self._position, count)
        self._position += count

    def _count(self, count: int, limit: int, what: str) -> int:
        if count < 0:
            raise self._broken(f"claims {count} {what}")
        if count > limit:
            raise self._limit(f"claims {count:,} {what}, more than the limit of {limit:,}")
        return count

    def _broken(self, what: str) -> FormatError:
        return FormatError(what, path=self._file.path, remedy="export it again, best as MRC or TIFF")

    def _limit(self, what: str) -> HeaderLimitError:
        return HeaderLimitError(what, path=self._file.path, remedy="check the file")
