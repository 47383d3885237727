"""Is this movie file complete? The file itself answers, not a timer.

Complete means: the chain of TIFF or EER directories is walked to its end and every strip lies inside the file; an MRC
file has the size that its header promises; the last frames are not the zeros of a file that was allocated first and
is being filled; and there are as many frames as the sidecar (`expected_frames`) or the file's own metadata promise.

What no structure can tell: many TIFF writers leave a valid end of the chain after every page, so that a file that is
still growing looks complete between two pages. Only the expected number of frames tells; `frames_present` is reported
for it.

*Incomplete* is what waiting may mend, *damaged* what it never will.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frazil.config.errors import FormatError, TruncatedFileError
from frazil.models.formats.eer import eer_header, parse_metadata, raw_frame_pages
from frazil.models.formats.eer_decode import EerStreamError, add_events
from frazil.models.formats.file_bytes import FileBytes
from frazil.models.formats.limits import HeaderLimits
from frazil.models.formats.movie import movie_format
from frazil.models.formats.mrc import HEADER_BYTES, frame_dtype, mrc_header, parse_header, read_frame
from frazil.models.formats.tiff import movie_pages, tiff_header
from frazil.models.formats.tiff_decode import decode_page
from frazil.models.formats.tiff_directory import TiffPage, TiffWalk, walk_tiff
from frazil.models.records import MovieHeader

_EMPTY_TAIL_FRACTION = 8
"""A last frame whose final 1/8 is all zero was not written to its end: counted electrons leave no such area."""


@dataclass(frozen=True, slots=True)
class StructureReport:
    """What `check_structure` found."""

    complete: bool
    reason: str
    """For a person: why it is not complete, or what is there."""
    header: MovieHeader | None
    """As far as it could be read; for an unfinished TIFF, of the pages that are there."""
    frames_present: int
    """Whole frames inside the file that are not trailing zeros (EER: raw frames)."""
    zero_trailing_frames: int
    damaged: bool
    """True: waiting can never complete it."""


def check_structure(
    path: Path, *, limits: HeaderLimits | None = None, expected_frames: int | None = None
) -> StructureReport:
    """Judge a movie file by its own structure. Reads directories or header and, of the pixels, the last frame.

    Parameters
    ----------
    expected_frames:
        The number that a sidecar, or the norm of the session, promises (for EER compared with raw frames, which are
        never fewer than fractions). More frames than expected are reported in `reason` but are not a fault.

    Raises
    ------
    RetryLaterError
        The file cannot be opened or read now.
    """
    path = Path(path)
    limits = limits or HeaderLimits()
    with FileBytes(path) as file:
        try:
            kind = movie_format(file, limits)
            check = {"mrc": _check_mrc, "tiff": _check_tiff, "eer": _check_eer}[kind]
            return _against_expected(check(file, limits), expected_frames)
        except FormatError as fault:
            return _faulty(fault)


def _faulty(fault: FormatError, header: MovieHeader | None = None, frames_present: int = 0) -> StructureReport:
    reason = fault.what if fault.remedy is None else f"{fault.what}; {fault.remedy}"
    damaged = not isinstance(fault, TruncatedFileError)
    return StructureReport(False, reason, header, frames_present, 0, damaged)


def _against_expected(report: StructureReport, expected_frames: int | None) -> StructureReport:
    if not report.complete or expected_frames is None or report.frames_present == expected_frames:
        return report
    short = report.frames_present < expected_frames
    reason = f"holds {report.frames_present} of {expected_frames} expected frames"
    return StructureReport(
        not short, reason, report.header, report.frames_present, report.zero_trailing_frames, report.damaged
    )


def _check_mrc(file: FileBytes, limits: HeaderLimits) -> StructureReport:
    header = parse_header(file.path, file.read_at(0, min(HEADER_BYTES, file.size)), limits)
    held = max(0, file.size - header.data_offset) // header.frame_bytes
    record = mrc_header(file.path, header, frame_dtype(file, header)) if held else None
    if held < header.section_count:
        reason = f"holds {held} of the {header.section_count} frames that its header promises"
        return StructureReport(False, reason, record, held, 0, False)
    if held > header.section_count:
        reason = f"holds {held} frames, its header still counts {header.section_count}"
        return StructureReport(False, reason, record, header.section_count, 0, False)
    stored = np.dtype(f"u{header.dtype.itemsize}")

    def last_rows_first(index: int) -> np.ndarray:
        return read_frame(file, header, index, stored)[::-1]

    return _against_zeros(record, header.section_count, last_rows_first)


def _check_tiff(file: FileBytes, limits: HeaderLimits) -> StructureReport:
    walk = walk_tiff(file, limits)
    pages = movie_pages(file, walk, limits) if walk.pages else ()
    record = tiff_header(file.path, pages) if pages else None
    if walk.fault is not None:
        return _faulty(_with_pages(walk, len(pages)), record, len(pages))

    def last_rows_first(index: int) -> np.ndarray:
        page = pages[index]
        if not _any_byte(file, page):
            return np.zeros((page.height_px, page.width_px), np.uint8)
        return decode_page(file, page, f"frame {index + 1} of {len(pages)}")

    try:
        return _against_zeros(record, len(pages), last_rows_first)
    except FormatError as fault:
        # In a file that was allocated first, a strip that does not decode is one that is only partly written.
        return StructureReport(False, fault.what, record, len(pages) - 1, 0, False)


def _with_pages(walk: TiffWalk, count: int) -> FormatError:
    assert walk.fault is not None
    return type(walk.fault)(f"{walk.fault.what} ({count} whole frames are there)", remedy=walk.fault.remedy)


def _check_eer(file: FileBytes, limits: HeaderLimits) -> StructureReport:
    walk = walk_tiff(file, limits)
    frames = raw_frame_pages(file, walk.pages, limits) if walk.pages else ()
    metadata = parse_metadata(walk.pages[0].eer_acquisition_xml) if walk.pages else None
    record = eer_header(file.path, frames, metadata, len(frames), "uint8") if frames and metadata else None
    if walk.fault is not None:
        return _faulty(_with_pages(walk, len(frames)), record, len(frames))
    empty = 0
    while empty < len(frames) and not _any_byte(file, frames[-1 - empty]):
        empty += 1
    present = len(frames) - empty
    if empty:
        return StructureReport(False, _zeros_reason(empty, len(frames), "raw frames"), record, present, empty, False)
    last = frames[-1]
    try:
        add_events(
            _stored_bytes(file, last), np.zeros((last.height_px, last.width_px), np.uint8), last.compression,
            last.eer_code_bits,
        )  # fmt: skip
    except EerStreamError as error:
        return StructureReport(False, f"the last raw frame is not whole: {error}", record, present - 1, 0, False)
    promised = metadata.frame_count if metadata else None
    if promised is not None and present < promised:
        reason = f"holds {present} of the {promised} raw frames that its metadata promise"
        return StructureReport(False, reason, record, present, 0, False)
    return StructureReport(True, f"{present} raw frames", record, present, 0, False)


def _stored_bytes(file: FileBytes, page: TiffPage) -> bytes:
    return b"".join(file.read_at(offset, count) for offset, count in zip(page.offsets, page.byte_counts, strict=True))


def _any_byte(file: FileBytes, page: TiffPage) -> bool:
    for offset, count in zip(page.offsets, page.byte_counts, strict=True):
        stored = np.empty(count, np.uint8)
        file.read_into(offset, stored)
        if stored.any():
            return True
    return False


def _against_zeros(
    header: MovieHeader | None, frame_count: int, last_rows_first: Callable[[int], np.ndarray]
) -> StructureReport:
    """Count frames of zeros from the end; the frame before them must have been written to its last rows."""
    empty = 0
    frame = last_rows_first(frame_count - 1)
    while not frame.any():
        empty += 1
        if empty == frame_count:
            break
        frame = last_rows_first(frame_count - 1 - empty)
    present = frame_count - empty
    if empty:
        return StructureReport(False, _zeros_reason(empty, frame_count, "frames"), header, present, empty, False)
    tail_rows = frame.shape[0] // _EMPTY_TAIL_FRACTION
    if tail_rows and not frame[:tail_rows].any():
        reason = "the last frame is only partly written: its final rows are all zero"
        return StructureReport(False, reason, header, present - 1, 0, False)
    return StructureReport(True, f"{present} frames", header, present, 0, False)


def _zeros_reason(empty: int, total: int, what: str) -> str:
    return f"the last {empty} of {total} {what} are all zero: allocated and not yet written, or the beam was off"
