"""Any single image as float32: gain references, defect maps, micrographs, sections of maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frazil.config.errors import RetryLaterError, UnsupportedFormatError, UsageError
from frazil.models.formats.dm import looks_like_dm, read_dm_image
from frazil.models.formats.file_bytes import FileBytes
from frazil.models.formats.limits import HeaderLimits
from frazil.models.formats.movie import movie_format
from frazil.models.formats.mrc import MrcReader
from frazil.models.formats.tiff import TiffReader


def read_image_2d(
    path: Path, *, section: int | None = None, flip_tiff: bool = True, limits: HeaderLimits | None = None
) -> tuple[np.ndarray, float | None]:
    """A single image from MRC, TIFF (also named `.gain`), DM3 or DM4, told apart by content.

    Parameters
    ----------
    section:
        Which one (from 0) of a file with several; None: the file must hold exactly one
        (of a `.gain` the first page is taken, as RELION does).
    flip_tiff:
        TIFF and DM store the top row first and are flipped along y, as movies are, so that a reference fits the TIFF
        movies of its camera. Set False for the `.gain` TIFF of an *EER* movie: RELION takes that one unflipped
        (`EERRenderer::loadEERGain`), because EER frames are not flipped either.

    Returns
    -------
    image, pixel_size_angstrom:
        (h, w) float32, and the pixel size where the file gives one.

    Raises
    ------
    UsageError
        The file does not exist or cannot be read, or has several images and none was chosen.
    FormatError, HeaderLimitError, TruncatedFileError, UnsupportedFormatError
        As for movies.
    """
    path = Path(path)
    limits = limits or HeaderLimits()
    try:
        with FileBytes(path) as file:
            if looks_like_dm(file.read_at(0, min(16, file.size))):
                image, pixel_size_angstrom = read_dm_image(file, limits)
                return _float32(image if flip_tiff else image[::-1]), pixel_size_angstrom
            kind = movie_format(file, limits)
    except RetryLaterError as error:
        raise UsageError(error.what, path=path, remedy="check the path and its permissions") from error
    if kind == "eer":
        raise UnsupportedFormatError("is an EER movie, not an image", path=path, remedy="give a single image")
    reader: MrcReader | TiffReader
    reader = MrcReader(path, limits=limits) if kind == "mrc" else TiffReader(path, limits=limits, flip=flip_tiff)
    with reader:
        count = reader.header.frame_count
        if section is None and count != 1 and path.suffix.lower() != ".gain":
            raise UsageError(f"holds {count} images where one is expected", path=path, remedy="give a single image")
        chosen = section or 0
        if not 0 <= chosen < count:
            raise UsageError(f"has no image {chosen}; it holds {count}", path=path, remedy="choose another one")
        return _float32(next(reader.frames(chosen, chosen + 1))), reader.header.pixel_size_angstrom


def _float32(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image, dtype=np.float32)
