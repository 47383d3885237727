"""EER movies (Falcon 4, 4i): hundreds of raw frames of electron events, grouped into fractions of equal dose.

Frames are rendered on physical pixels (4,096 x 4,096 for Falcon 4) and not flipped: RELION renders EER straight from
the event stream, row 0 first, whatever the orientation tag says.

Grouping
    n raw frames become N fractions, N = round(total dose / dose per fraction) within 1 ... n. Fraction k holds raw
    frames floor(k n / N) ... floor((k + 1) n / N) - 1, so that fractions differ by at most one raw frame and none is
    dropped (RELION drops the remainder). The total dose is the file's own (`totalDose`, e-/pixel, in the XML of tag
    65001), or, where the file does not say, the electrons counted in eight raw frames spread over the movie. Without
    a dose per fraction, groups of about 40 raw frames are made (RELION's default, `--eer_grouping 40`).
"""

from __future__ import annotations

import itertools
import math
import re
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frazil.config.errors import FormatError, SettingsError, UnsupportedFormatError
from frazil.models.formats.eer_decode import EerStreamError, add_events
from frazil.models.formats.file_bytes import FileBytes
from frazil.models.formats.frame_reader import FrameReader
from frazil.models.formats.limits import HeaderLimits, check_compression_ratio, check_dimensions
from frazil.models.formats.tiff_directory import EER_COMPRESSIONS, TiffPage, walk_tiff
from frazil.models.records import MovieHeader

_DEFAULT_RAW_FRAMES_PER_FRACTION = 40
_FRAMES_COUNTED_FOR_DOSE = 8
_ITEM = re.compile(rb'<item\s+name="([^"]{1,64})"(?:\s+unit="([^"]{0,32})")?[^>]{0,64}>([^<]{0,256})</item>')


@dataclass(frozen=True, slots=True)
class EerMetadata:
    """What the file says of its exposure; None where it does not."""

    frame_count: int | None = None
    exposure_time_s: float | None = None
    total_dose_e_per_px: float | None = None
    pixel_size_angstrom: float | None = None


def parse_metadata(xml: bytes) -> EerMetadata:
    """The items of tag 65001 of the first page: `<item name="exposureTime" unit="s">6.97</item>` and so on.

    Matched item by item, not parsed as XML: Thermo Fisher's declaration is not always well-formed, and there are no
    entities to expand. Values that are not positive numbers count as not given.
    """
    items = {name.decode("latin-1"): (unit, value) for name, unit, value in _ITEM.findall(xml)}

    def number(name: str, units: tuple[bytes, ...]) -> float | None:
        unit, text = items.get(name, (b"", b""))
        try:
            value = float(text)
        except ValueError:
            return None
        return value if unit in units and math.isfinite(value) and value > 0 else None

    count = number("numberOfFrames", (b"",))
    pixel_m = number("sensorPixelSize.width", (b"", b"m"))
    pixel_angstrom = None if pixel_m is None else pixel_m * 1e10
    return EerMetadata(
        frame_count=None if count is None else int(count),
        exposure_time_s=number("exposureTime", (b"", b"s")),
        total_dose_e_per_px=number("totalDose", (b"", b"e/pixel", b"e/px")),
        # At the specimen, not the pitch of the sensor (14 um); anything else is not a magnified pixel.
        pixel_size_angstrom=float(f"{pixel_angstrom:.6g}")
        if pixel_angstrom is not None and 0.01 <= pixel_angstrom <= 1000.0
        else None,
    )


def group_raw_frames(raw_frame_count: int, fraction_count: int) -> tuple[tuple[int, int], ...]:
    """Half-open ranges of raw frames, one a fraction; sizes differ by at most one, nothing is left over.

    >>> group_raw_frames(10, 3)
    ((0, 3), (3, 6), (6, 10))
    """
    edges = [k * raw_frame_count // fraction_count for k in range(fraction_count + 1)]
    return tuple(itertools.pairwise(edges))


def holds_eer(file: FileBytes, limits: HeaderLimits) -> bool:
    """Whether a TIFF is an EER movie: electron events on page 1, or on page 2 behind an integrated image."""
    pages = walk_tiff(file, limits, at_most=2).pages
    if not pages:
        return file.path.suffix.lower() in (".eer", ".ecc")
    return any(page.compression in EER_COMPRESSIONS for page in pages)


def raw_frame_pages(file: FileBytes, pages: tuple[TiffPage, ...], limits: HeaderLimits) -> tuple[TiffPage, ...]:
    """The event pages of an EER file, checked; an integrated image among them is left out.

    Raises
    ------
    FormatError, HeaderLimitError, UnsupportedFormatError
    """
    frames = tuple(page for page in pages if page.compression in EER_COMPRESSIONS)
    if not frames:
        raise FormatError("holds no raw frame", path=file.path, remedy="copy it again from the camera")
    first = frames[0]
    for index, page in enumerate(frames):
        if (page.width_px, page.height_px) != (first.width_px, first.height_px):
            raise FormatError(
                f"raw frame {index + 1} is {page.width_px} x {page.height_px} px, the first is "
                f"{first.width_px} x {first.height_px}",
                path=file.path,
                remedy="copy it again from the camera",
            )
        skip_bits, horizontal_bits, vertical_bits = page.eer_code_bits
        total_bits = skip_bits + horizontal_bits + vertical_bits
        if not (4 <= skip_bits <= 14 and 1 <= horizontal_bits <= 4 and 1 <= vertical_bits <= 4 and total_bits <= 16):
            raise UnsupportedFormatError(
                f"raw frame {index + 1} codes events in {skip_bits}+{horizontal_bits}+{vertical_bits} bits",
                path=file.path,
                remedy="convert it with the manufacturer's software",
            )
    check_dimensions(
        file.path,
        limits,
        width_px=first.width_px,
        height_px=first.height_px,
        frame_count=len(frames),
        bytes_per_px=1,
    )
    # A frame without electrons still takes 7 bits for 127 pixels (145 to 1), so this only stops a forged stream.
    check_compression_ratio(file.path, limits, decoded_bytes=first.decoded_bytes * len(frames), file_bytes=file.size)
    return frames


class EerReader(FrameReader):
    """A `MovieReader` for EER: fractions as `uint8` counts (`uint16` when one holds more than 255 raw frames)."""

    def __init__(
        self,
        path: Path,
        *,
        limits: HeaderLimits | None = None,
        executor: Executor | None = None,
        read_ahead_frames: int = 4,
        dose_per_fraction_e_per_a2: float | None = None,
        pixel_size_angstrom: float | None = None,
    ) -> None:
        """Walk the directories, read the metadata and decide the grouping.

        Parameters
        ----------
        dose_per_fraction_e_per_a2:
            Wanted dose of a fraction; None: groups of 40 raw frames.
        pixel_size_angstrom:
            Physical pixel; None: as the file says.

        Raises
        ------
        TruncatedFileError, HeaderLimitError, UnsupportedFormatError, FormatError
            As for TIFF, and for raw frames of different sizes or codings out of range.
        SettingsError
            A dose per fraction was given, and neither the caller nor the file knows the pixel size.
        """
        limits = limits or HeaderLimits()
        super().__init__(path, executor, read_ahead_frames)
        try:
            walk = walk_tiff(self._file, limits)
            if walk.fault is not None:
                raise walk.fault
            self._pages = raw_frame_pages(self._file, walk.pages, limits)
            self.metadata = parse_metadata(walk.pages[0].eer_acquisition_xml)
            fraction_count = self._fraction_count(dose_per_fraction_e_per_a2, pixel_size_angstrom)
        except BaseException:
            self._file.close()
            raise
        self._groups = group_raw_frames(len(self._pages), fraction_count)
        longest = max(last - first for first, last in self._groups)
        self._dtype = np.dtype(np.uint8 if longest <= 255 else np.uint16)
        self.header = eer_header(path, self._pages, self.metadata, fraction_count, self._dtype.name)

    def _frame(self, index: int, out: np.ndarray | None) -> np.ndarray:
        first_page = self._pages[0]
        if out is not None and out.dtype == self._dtype:
            image = out
            image.fill(0)
        else:
            image = np.zeros((first_page.height_px, first_page.width_px), self._dtype)
        for raw in range(*self._groups[index]):
            self._add(raw, image)
        return image

    def _add(self, raw: int, image: np.ndarray) -> None:
        page = self._pages[raw]
        stream = b"".join(
            self._file.read_at(offset, count) for offset, count in zip(page.offsets, page.byte_counts, strict=True)
        )
        try:
            add_events(stream, image, page.compression, page.eer_code_bits)
        except EerStreamError as error:
            raise FormatError(
                f"raw frame {raw + 1} of {len(self._pages)} is damaged: {error}",
                path=self._file.path,
                remedy="copy the file again from the camera",
            ) from error

    def _fraction_count(self, dose_e_per_a2: float | None, pixel_size_angstrom: float | None) -> int:
        raw_count = len(self._pages)
        if dose_e_per_a2 is None:
            return max(1, round(raw_count / _DEFAULT_RAW_FRAMES_PER_FRACTION))
        if not dose_e_per_a2 > 0:
            raise SettingsError(f"the dose per EER fraction is {dose_e_per_a2} e/A2", remedy="give a positive dose")
        pixel = pixel_size_angstrom or self.metadata.pixel_size_angstrom
        if pixel is None:
            raise SettingsError(
                "the pixel size is needed to group EER frames by dose, and the file does not give it",
                path=self._file.path,
                remedy="give --pixel-size-angstrom",
            )
        dose_e_per_px = self.metadata.total_dose_e_per_px or self._counted_dose_e_per_px()
        return min(raw_count, max(1, round(dose_e_per_px / pixel**2 / dose_e_per_a2)))

    def _counted_dose_e_per_px(self) -> float:
        chosen = np.unique(np.linspace(0, len(self._pages) - 1, _FRAMES_COUNTED_FOR_DOSE).round().astype(int))
        page = self._pages[0]
        image = np.zeros((page.height_px, page.width_px), np.uint8)
        for raw in chosen.tolist():
            self._add(raw, image)
        return float(image.mean()) / len(chosen) * len(self._pages)


def eer_header(
    path: Path, frames: tuple[TiffPage, ...], metadata: EerMetadata, fraction_count: int, dtype: str
) -> MovieHeader:
    """The record of an EER movie that is delivered as `fraction_count` fractions."""
    return MovieHeader(
        path=str(path),
        file_format="eer",
        frame_count=fraction_count,
        height_px=frames[0].height_px,
        width_px=frames[0].width_px,
        dtype=dtype,
        pixel_size_angstrom=metadata.pixel_size_angstrom,
        raw_frame_count=len(frames),
        total_dose_e_per_px=metadata.total_dose_e_per_px,
        exposure_time_s=metadata.exposure_time_s,
    )
