"""Open a movie, whatever its format: the content decides, not the name."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from frazil.config.errors import FormatError, TruncatedFileError, UnsupportedFormatError
from frazil.models.formats.eer import EerReader, holds_eer
from frazil.models.formats.file_bytes import WAIT, FileBytes
from frazil.models.formats.limits import HeaderLimits
from frazil.models.formats.mrc import MrcReader
from frazil.models.formats.tiff import TiffReader
from frazil.models.formats.tiff_directory import looks_like_tiff
from frazil.models.records import MovieHeader

_SHORTEST_HEADER_BYTES = 16
_LEGACY_EER_FOOTER = b"ThermoFisherECComprOK000"


class MovieReader(Protocol):
    """Frames of one movie, streamed; several passes may be made, one after the other or interleaved.

    Frames are new (h, w) arrays of `header.dtype`, C-contiguous, in the machine's byte order, with y as in
    `frazil.models.conventions`: TIFF flipped, MRC and EER as stored. At most `read_ahead_frames` frames are held
    beside those that the caller keeps. With `into` (stop - start, h, w), of `header.dtype` or a wider type, frames are
    decoded there and are views of it; up to `read_ahead_frames` of its places are written ahead.
    """

    header: MovieHeader

    def frames(
        self, start: int = 0, stop: int | None = None, *, into: np.ndarray | None = None
    ) -> Iterator[np.ndarray]: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def movie_format(file: FileBytes, limits: HeaderLimits) -> str:
    """`mrc`, `tiff` or `eer`, from the content.

    Raises
    ------
    TruncatedFileError
        The file is empty, or has no header yet.
    UnsupportedFormatError
        The prototype EER container that is not a TIFF.
    """
    if file.size < _SHORTEST_HEADER_BYTES:
        what = "is empty" if file.size == 0 else f"ends after {file.size} bytes, within its header"
        raise TruncatedFileError(what, path=file.path, remedy=WAIT)
    head = file.read_at(0, _SHORTEST_HEADER_BYTES)
    if not any(head):
        raise TruncatedFileError("has no header yet: it begins with zeros", path=file.path, remedy=WAIT)
    if looks_like_tiff(head):
        return "eer" if holds_eer(file, limits) else "tiff"
    footer = len(_LEGACY_EER_FOOTER)
    if file.size > footer and file.read_at(file.size - footer, footer) == _LEGACY_EER_FOOTER:
        raise UnsupportedFormatError(
            "is a prototype EER file without a TIFF container", path=file.path, remedy="convert it with RELION"
        )
    if file.path.suffix.lower() in (".tif", ".tiff", ".eer", ".gain"):
        raise FormatError(
            "is not a TIFF file, as its name says",
            path=file.path,
            remedy="check what wrote it",
        )
    return "mrc"


def open_movie(
    path: Path,
    *,
    limits: HeaderLimits | None = None,
    eer_dose_per_fraction_e_per_a2: float | None = None,
    pixel_size_angstrom: float | None = None,
    executor: Executor | None = None,
    read_ahead_frames: int = 4,
) -> MovieReader:
    """A reader for an MRC, TIFF or EER movie, its header checked, no frame decoded.

    Parameters
    ----------
    limits:
        Caps on what the header may claim.
    eer_dose_per_fraction_e_per_a2, pixel_size_angstrom:
        Only for EER: how raw frames are grouped; see `frazil.models.formats.eer`.
    executor:
        Threads to decode on; None decodes in the caller's thread. Never shut down here.
    read_ahead_frames:
        With an executor, how many frames are decoded ahead.

    Raises
    ------
    RetryLaterError
        The file cannot be opened or read now.
    TruncatedFileError, HeaderLimitError, UnsupportedFormatError, FormatError
        It is not complete, claims too much, is a variant that is not read, or is damaged.
    SettingsError
        EER grouping by dose was asked for and the pixel size is not known.
    """
    path = Path(path)
    limits = limits or HeaderLimits()
    with FileBytes(path) as file:
        kind = movie_format(file, limits)
    if kind == "mrc":
        return MrcReader(path, limits=limits, executor=executor, read_ahead_frames=read_ahead_frames)
    if kind == "tiff":
        return TiffReader(path, limits=limits, executor=executor, read_ahead_frames=read_ahead_frames)
    assert kind == "eer", f"no reader for {kind}"
    return EerReader(
        path,
        limits=limits,
        executor=executor,
        read_ahead_frames=read_ahead_frames,
        dose_per_fraction_e_per_a2=eer_dose_per_fraction_e_per_a2,
        pixel_size_angstrom=pixel_size_angstrom,
    )
