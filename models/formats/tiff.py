"""TIFF movies: one frame a page, strips or tiles, any byte order, flipped along y on reading."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from frazil.config.errors import FormatError, TruncatedFileError, UnsupportedFormatError
from frazil.models.formats.file_bytes import FileBytes
from frazil.models.formats.frame_reader import FrameReader
from frazil.models.formats.limits import HeaderLimits, check_compression_ratio, check_dimensions
from frazil.models.formats.tiff_decode import check_readable, decode_page
from frazil.models.formats.tiff_directory import EER_COMPRESSIONS, TiffPage, TiffWalk, walk_tiff
from frazil.models.records import MovieHeader

_DELIVERED = frozenset({"uint8", "int8", "int16", "uint16", "float32", "float16"})


def movie_pages(file: FileBytes, walk: TiffWalk, limits: HeaderLimits) -> tuple[TiffPage, ...]:
    """The frames among the pages of a TIFF, checked: one size, one type, a readable coding, within the limits.

    Thumbnails (reduced-resolution pages) are left out.

    Raises
    ------
    FormatError, HeaderLimitError, UnsupportedFormatError
    """
    pages = tuple(page for page in walk.pages if not page.reduced)
    if not pages:
        raise FormatError("has no full-size page", path=file.path, remedy="give the camera's own movie file")
    first = pages[0]
    for index, page in enumerate(pages):
        name = f"frame {index + 1} of {len(pages)}"
        if page.compression in EER_COMPRESSIONS:
            raise UnsupportedFormatError(
                f"{name} is coded as electron events among ordinary pages", path=file.path, remedy="check the writer"
            )
        check_readable(file, page, name)
        if (page.width_px, page.height_px, page.dtype) != (first.width_px, first.height_px, first.dtype):
            raise FormatError(
                f"{name} is {page.width_px} x {page.height_px} {page.dtype}, frame 1 is "
                f"{first.width_px} x {first.height_px} {first.dtype}",
                path=file.path,
                remedy="give a movie whose frames are all alike",
            )
    hidden = _images_without_a_page(first.description)
    if hidden > len(pages):
        raise UnsupportedFormatError(
            f"holds {hidden} images behind one directory (ImageJ's way of writing more than 4 GiB)",
            path=file.path,
            remedy="save it as BigTIFF, one directory a frame",
        )
    assert first.dtype is not None
    check_dimensions(
        file.path,
        limits,
        width_px=first.width_px,
        height_px=first.height_px,
        frame_count=len(pages),
        bytes_per_px=first.dtype.itemsize,
    )
    check_compression_ratio(file.path, limits, decoded_bytes=first.decoded_bytes * len(pages), file_bytes=file.size)
    return pages


def _images_without_a_page(description: str) -> int:
    if not description.startswith("ImageJ="):
        return 0
    for line in description.splitlines():
        key, _, value = line.partition("=")
        if key == "images" and value.isdigit():
            return int(value)
    return 0


def delivered_dtype(page: TiffPage) -> np.dtype[np.generic]:
    """The type of the frames: as stored, but 32-bit integers and 64-bit floats as `float32`."""
    assert page.dtype is not None
    native = page.dtype.newbyteorder("=")
    return native if native.name in _DELIVERED else np.dtype("f4")


class TiffReader(FrameReader):
    """A `MovieReader` for TIFF files. Row 0 of a frame is the last row in the file."""

    def __init__(
        self,
        path: Path,
        *,
        limits: HeaderLimits | None = None,
        executor: Executor | None = None,
        read_ahead_frames: int = 4,
        flip: bool = True,
    ) -> None:
        """Walk the directories and check them; no pixel is decoded yet.

        Raises
        ------
        TruncatedFileError
            The chain of directories or the pixels of a page reach beyond the end of the file.
        FormatError, HeaderLimitError, UnsupportedFormatError
            As `movie_pages`, and for a damaged chain of directories.
        """
        limits = limits or HeaderLimits()
        super().__init__(path, executor, read_ahead_frames)
        try:
            walk = walk_tiff(self._file, limits)
            if walk.fault is not None:
                raise _with_count(walk) from walk.fault
            self._pages = movie_pages(self._file, walk, limits)
        except BaseException:
            self._file.close()
            raise
        first = self._pages[0]
        self._dtype = delivered_dtype(first)
        self._flip = flip
        self.header = tiff_header(path, self._pages)

    def _frame(self, index: int, out: np.ndarray | None) -> np.ndarray:
        name = f"frame {index + 1} of {len(self._pages)}"
        page = self._pages[index]
        if out is not None and page.dtype is not None and page.dtype.newbyteorder("=") == out.dtype:
            return decode_page(self._file, page, name, flip=self._flip, out=out)
        return decode_page(self._file, page, name, flip=self._flip).astype(self._dtype, copy=False)


def tiff_header(path: Path, pages: tuple[TiffPage, ...]) -> MovieHeader:
    """The record of a movie with these frames."""
    first = pages[0]
    return MovieHeader(
        path=str(path),
        file_format="tiff",
        frame_count=len(pages),
        height_px=first.height_px,
        width_px=first.width_px,
        dtype=delivered_dtype(first).name,
        pixel_size_angstrom=first.pixel_size_angstrom,
    )


def _with_count(walk: TiffWalk) -> FormatError:
    fault = walk.fault
    assert fault is not None
    if isinstance(fault, TruncatedFileError) and walk.pages:
        what = f"{fault.what} ({len(walk.pages)} whole pages are there)"
        return TruncatedFileError(what, path=fault.path, remedy=fault.remedy)
    return fault
