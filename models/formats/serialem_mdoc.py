r"""What SerialEM says of a movie in its `.mdoc` (IMOD "autodoc": `key = value` lines in `[Type = name]` sections).

A frame mdoc (`movie.tif.mdoc`) holds one `[FrameSet = 0]`; a session's mdoc of frames holds many, an image stack's
holds `[ZValue = n]`. Keys may come in any order; unknown ones are kept. Titles are `T = text` or `[T = text]`. An own
parser, because a half-written file must be told from a finished one: a number that lost its last digits is still a
number.

Units: PixelSpacing A (of the image at `Binning`; 0.5 is the super-resolution pixel), Voltage kV, ExposureDose and the
first of each pair of FrameDosesAndNumber e/A2 (0: not calibrated), Defocus and TargetDefocus um, negative is underfocus
(ours is positive), StagePosition, StageZ and ImageShift um, TiltAngle deg, ExposureTime s.
(SerialEM help, "File Formats", https://bio3d.colorado.edu/SerialEM/hlp/html/about_formats.htm)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FormatError, HeaderLimitError, RetryLaterError
from frazil.models.formats.sidecar_values import file_name, number, utc_us, whole_number
from frazil.models.records import AcquisitionMetadata

MAX_MDOC_BYTES = 64 * 1024**2
_TITLE = "T"
_FRAME_SECTIONS = ("FrameSet", "ZValue")


@dataclass(frozen=True, slots=True)
class MdocSection:
    """One `[kind = name]` and its pairs; a repeated key keeps its last value, as IMOD does."""

    kind: str
    name: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mdoc:
    """A whole file: pairs before the first section, titles, sections in order."""

    globals: Mapping[str, str]
    titles: tuple[str, ...]
    sections: tuple[MdocSection, ...]
    ends_within: str | None
    """Why the end looks unfinished, None if it does not."""


def parse_mdoc(text: str, *, path: Path) -> Mdoc:
    """Parse the text of an mdoc with any line ends.

    Raises
    ------
    FormatError
        A line in the middle that is neither a pair, a section nor a title.
    """
    general: dict[str, str] = {}
    titles: list[str] = []
    sections: list[MdocSection] = []
    current: dict[str, str] = general
    lines = text.splitlines()
    terminated = text.endswith(("\n", "\r")) or not text
    for number_of_line, raw in enumerate(lines, 1):
        line = raw.strip()
        last = number_of_line == len(lines)
        if not line or line.startswith("#"):
            continue
        heads_section = line.startswith("[")
        content = line[1:-1] if heads_section and line.endswith("]") else line
        key, equals, value = (part.strip() for part in content.partition("="))
        if not equals or not key or key.startswith("["):
            if last and not terminated:
                break
            raise FormatError(f"line {number_of_line} is not of an mdoc: {line[:60]!r}", path=path)
        if key == _TITLE:
            titles.append(value)
        elif heads_section:
            current = {}
            sections.append(MdocSection(key, value, current))
        else:
            current[key] = value
    ends_within = None if terminated else f"in the middle of line {len(lines)}"
    if not ends_within and sections and (missing := _unwritten(sections[-1])):
        ends_within = f"before {missing} of [{sections[-1].kind} = {sections[-1].name}]"
    return Mdoc(general, tuple(titles), tuple(sections), ends_within)


def _unwritten(section: MdocSection) -> str | None:
    """What SerialEM always writes into a frame section and this one lacks, whatever the order."""
    if section.kind not in _FRAME_SECTIONS:
        return None
    needed = ("PixelSpacing",) if section.kind == "ZValue" else ("PixelSpacing", "NumSubFrames")
    for key in needed:
        if key not in section.values:
            return key
    if section.kind == "FrameSet" and not {"FrameDosesAndNumber", "DateTime"} & section.values.keys():
        return "DateTime"
    return None


def read_mdoc(path: Path, *, movie_name: str | None = None, settled: bool = False) -> AcquisitionMetadata:
    """The metadata of one movie.

    Parameters
    ----------
    movie_name:
        Which section, by the file name in `SubFramePath`; not needed where there is one section.
    settled:
        True: the file has stood still for long; take it although its end looks unfinished (files written by hand).

    Raises
    ------
    RetryLaterError
        Not there, empty, half-written, or the movie's section has not come yet.
    HeaderLimitError
        Larger than any mdoc.
    FormatError
        Not an mdoc.
    """
    mdoc = parse_mdoc(read_mdoc_text(path), path=path)
    if mdoc.ends_within and not settled:
        raise RetryLaterError(f"ends {mdoc.ends_within}", path=path)
    section = section_of(mdoc, path, movie_name, settled=settled)
    values = {**mdoc.globals, **section.values}
    frame_count = whole_number(values.get("NumSubFrames"))
    total_dose, counted = _dose(values)
    frames_for_dose = frame_count or counted
    stage_x_um, stage_y_um = _pair(values.get("StagePosition"))
    shift_x_um, shift_y_um = _pair(values.get("ImageShift"))
    # Only a stack's mdoc gives it; a frame mdoc gives the binning alone.
    width_px, height_px = _pair(values.get("ImageSize"))
    return AcquisitionMetadata(
        voltage_kv=number(values.get("Voltage")),
        cs_mm=number(values.get("SphericalAberration")),
        pixel_size_angstrom=number(values.get("PixelSpacing")),
        dose_per_frame_e_per_a2=total_dose / frames_for_dose if total_dose and frames_for_dose else None,
        total_dose_e_per_a2=total_dose,
        frame_count=frame_count,
        exposure_time_s=number(values.get("ExposureTime")),
        target_defocus_um=_negated(values.get("TargetDefocus"), values.get("Defocus")),
        stage_x_um=stage_x_um,
        stage_y_um=stage_y_um,
        stage_z_um=number(values.get("StageZ")),
        stage_tilt_deg=number(values.get("TiltAngle")),
        image_shift_x_um=shift_x_um,
        image_shift_y_um=shift_y_um,
        image_width_px=int(width_px) if width_px and width_px > 0 else None,
        image_height_px=int(height_px) if height_px and height_px > 0 else None,
        # The key is written only while the slit is in.
        energy_filter=True if values.get("FilterSlitAndLoss") else None,
        image_binning=number(values.get("Binning")),
        hole=values.get("NavigatorLabel") or None,
        acquired_utc_us=utc_us(values.get("DateTime")),
        camera=values.get("Camera") or None,
        microscope=_microscope(mdoc.titles),
        gain_reference=file_name(values.get("GainReference")),
        # SerialEM names the reference only where the frames are not yet corrected with it.
        gain_corrected=False if values.get("GainReference") else None,
    )


def read_mdoc_text(path: Path) -> str:
    """The text of an mdoc. Raises as `read_mdoc` does."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_MDOC_BYTES + 1)
    except OSError as error:
        raise RetryLaterError(f"cannot be read now ({error.strerror})", path=path) from error
    if len(raw) > MAX_MDOC_BYTES:
        raise HeaderLimitError(f"is larger than {MAX_MDOC_BYTES:,} bytes, which no mdoc is", path=path)
    # Space that was reserved but not yet written reads as zeros.
    raw = raw.rstrip(b"\0")
    if b"\0" in raw:
        raise FormatError("is not a text file", path=path)
    if not raw.strip():
        raise RetryLaterError("is still empty", path=path)
    # SerialEM writes the code page of its Windows; only titles and notes can hold anything but ASCII.
    return raw.decode("utf-8-sig", errors="replace")


def section_of(mdoc: Mdoc, path: Path, movie_name: str | None, *, settled: bool) -> MdocSection:
    """The section of one movie. Raises `RetryLaterError` or `FormatError` where there is none."""
    sections = [section for section in mdoc.sections if section.kind in _FRAME_SECTIONS]
    if movie_name is not None:
        for section in sections:
            if (file_name(section.values.get("SubFramePath")) or "").lower() == movie_name.lower():
                return section
    if len(sections) == 1:
        named = file_name(sections[0].values.get("SubFramePath"))
        # A session's mdoc starts with one section too; only a file named after the movie may call it otherwise.
        if movie_name is None or named is None or path.name.lower().startswith(Path(movie_name).stem.lower()):
            return sections[0]
    if not sections and settled:
        raise FormatError("has no section of a movie", path=path, remedy="check that it was written by SerialEM")
    what = "has no section yet" if not sections else f"has {len(sections)} section(s), none of {movie_name}"
    raise RetryLaterError(what, path=path)


def _dose(values: Mapping[str, str]) -> tuple[float | None, int | None]:
    """(total e/A2, number of frames that it is spread over), None where not calibrated."""
    numbers = [number(part) for part in values.get("FrameDosesAndNumber", "").split()]
    doses, counts = ([value or 0.0 for value in numbers[first::2]] for first in (0, 1))
    if numbers and len(numbers) % 2 == 0 and None not in numbers and min(counts) >= 0:
        total = sum(dose * count for dose, count in zip(doses, counts, strict=True))
        if total:
            return total, int(sum(counts))
    total = number(values.get("ExposureDose")) or 0.0
    return (total or None), None


def _pair(text: str | None) -> tuple[float | None, float | None]:
    parts = (text or "").split()
    return (number(parts[0]), number(parts[1])) if len(parts) >= 2 else (None, None)


def _negated(*candidates: str | None) -> float | None:
    for text in candidates:
        value = number(text)
        if value is not None:
            return 0.0 - value
    return None


def _microscope(titles: tuple[str, ...]) -> str | None:
    """`SerialEM: Titan Krios G3, Somewhere   26-Oct-23  14:55:45` names the instrument between colon and date."""
    for title in titles:
        # Searching for the date alone keeps the work linear in the length of the title.
        if title.startswith("SerialEM:") and (date := re.search(r"\d{1,2}-[A-Za-z]{3}-\d{2,4}", title)):
            return title[len("SerialEM:") : date.start()].strip() or None
    return None
