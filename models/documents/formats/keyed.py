"""Files that programs write for programs, as entries: a key, its value, its unit where the file tells it.

EPU's XML of an exposure or a session, SerialEM's mdoc, mmCIF, JSON (OSC-EM; categories of mmCIF), headers of EMDB and
EMPIAR. What the keys mean stands in `frazil.models.documents.keys`.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frazil.config.errors import FormatError, HeaderLimitError
from frazil.models.documents.tree import Kind, Node, Place
from frazil.models.formats.epu_xml import key_values
from frazil.models.formats.safe_xml import XmlNode, read_xml
from frazil.models.formats.serialem_mdoc import parse_mdoc, read_mdoc_text

MAX_XML_BYTES = 64 * 1024**2
MAX_TEXT_BYTES = 256 * 1024**2
MAX_JSON_BYTES = 32 * 1024**2
_MAX_ENTRIES = 20_000
_UNKNOWN = frozenset({"", "?", ".", "n/a", "N/A", "None", "null", "unknown"})
_MOVIE_SECTIONS = ("ZValue", "FrameSet")


def entry(name: str, text: str, path: str = "", unit: str = "") -> Node | None:
    """An entry; None where the file says that nothing is known."""
    text = text.strip()
    if text in _UNKNOWN:
        return None
    return Node(Kind.ENTRY, text[:2000], Place(path=path or name), name, unit)


def _document(name: str, entries: Iterator[Node | None]) -> Node:
    document = Node(Kind.DOCUMENT, name=name)
    for found in entries:
        if found is not None:
            document.children.append(found)
        if len(document.children) > _MAX_ENTRIES:
            document.remarks.append(f"holds more than {_MAX_ENTRIES:,} entries; the rest was left")
            break
    return document


def read_epu(path: Path) -> Node:
    """EPU's XML of an exposure or `EpuSession.dm`. Raises FormatError, HeaderLimitError, RetryLaterError."""
    root = read_xml(path, max_bytes=MAX_XML_BYTES)
    if root.name == "EpuSessionXml":
        plain = (entry(child.name, child.text) for child in root.children if not child.children)
        return _document("EPU session", plain)
    image = root if root.name == "MicroscopeImage" else next(root.descendants("MicroscopeImage"), root)
    return _document("EPU exposure", _epu_entries(image))


def _epu_entries(image: XmlNode) -> Iterator[Node | None]:
    for key, value in key_values(image.find("CustomData")).items():
        name = re.sub(r"^Detectors\[.*?\]", "Detectors[]", key)
        yield entry(f"CustomData/{name}", value.text, f"CustomData {key}")
        if key.endswith(".EerGainReference"):
            yield entry("EER", "EER", f"CustomData {key}")
    camera = image.find("microscopeData/acquisition/camera")
    if camera is not None:
        for key, value in key_values(camera.find("CameraSpecificInput")).items():
            yield entry(f"CameraSpecificInput/{key}", value.text)
        fractions = next((node for node in camera.descendants() if node.name.lower() == "numberoffractions"), None)
        if fractions is not None:
            yield entry("camera/NumberOfFractions", fractions.text, f"camera {fractions.name}")
    for name in ("microscopeData", "SpatialScale"):
        if (branch := image.find(name)) is not None:
            yield from _leaves(branch, name)


def _leaves(node: XmlNode, path: str) -> Iterator[Node | None]:
    for child in node.children:
        here = f"{path}/{child.name}"
        if child.children:
            yield from _leaves(child, here)
        elif child.text:
            yield entry(here, child.text, unit=child.attributes.get("units", ""))


def read_header_xml(path: Path, name: str) -> Node:
    """A header of EMPIAR or EMDB: all its elements that hold text. Raises as `read_epu` does."""
    return _document(name, _leaves(root := read_xml(path, max_bytes=MAX_XML_BYTES), root.name))


def read_mdoc_document(path: Path) -> Node:
    """SerialEM's mdoc: what is said of all, titles, and each section with the number that it has. Raises FormatError,
    HeaderLimitError, RetryLaterError."""
    mdoc = parse_mdoc(read_mdoc_text(path), path=path)

    def entries() -> Iterator[Node | None]:
        for key, value in mdoc.globals.items():
            yield entry(key, value)
        for place, title in enumerate(mdoc.titles, 1):
            yield entry("T", title, f"title {place}")
        sections = [section for section in mdoc.sections if section.kind in _MOVIE_SECTIONS]
        for section in sections[:1]:
            for key, value in section.values.items():
                yield entry(key, value, f"{key} of [{section.kind} = {section.name}]")
        tilts = sorted({float(value) for one in sections if _is_number(value := one.values.get("TiltAngle", ""))})
        if len(tilts) > 2:
            yield entry("tilts", f"{tilts[0]} {tilts[-1]}", f"TiltAngle of {len(sections)} sections")
        for key in ("PixelSpacing", "Voltage", "TargetDefocus", "ExposureTime", "NumSubFrames", "Magnification"):
            values = {one.values[key] for one in sections if key in one.values}
            for other in sorted(values - {sections[0].values.get(key)})[:3] if sections else ():
                yield entry(key, other, f"{key} of other sections")

    return _document("SerialEM mdoc", entries())


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", text.strip()) is not None


def read_cif(path: Path) -> Node:
    """The categories of mmCIF that tell of the experiment, not the atoms.

    Raises
    ------
    FormatError
        Not CIF, or damaged.
    HeaderLimitError
        It decompresses to more than any entry is.
    """
    from gemmi import cif

    text = _text_of(path)
    try:
        blocks = cif.read_string(_without_atoms(text))
    except (ValueError, RuntimeError) as error:
        raise FormatError(f"is no CIF that can be read ({str(error)[:120]})", remedy="download it again") from error

    def entries() -> Iterator[Node | None]:
        for block in blocks:
            for item in block:
                pair: Any = item.pair
                if pair is not None:
                    yield entry(pair[0].lower(), cif.as_string(pair[1]), pair[0])
                elif item.loop is not None:
                    tags = item.loop.tags
                    for row in range(min(item.loop.length(), 100)):
                        for column, tag in enumerate(tags):
                            value = cif.as_string(item.loop[row, column])
                            yield entry(tag.lower(), value, f"{tag}, row {row + 1}")

    return _document("mmCIF", entries())


def _text_of(path: Path) -> str:
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:
            data = stream.read(MAX_TEXT_BYTES + 1)
    except (OSError, EOFError) as error:
        raise FormatError(f"is a damaged gzip file ({error})", remedy="download it again") from error
    if len(data) > MAX_TEXT_BYTES:
        raise HeaderLimitError(f"holds more than {MAX_TEXT_BYTES:,} bytes", remedy="give its header alone")
    return data.decode("utf-8", "replace")


def _without_atoms(text: str) -> str:
    """Coordinates are by far the most of an entry, and tell nothing here."""
    return re.sub(r"(?ms)^loop_\s*\n(?:_atom_site[.\w\[\]]*\s*\n)+(?:(?:ATOM|HETATM|\d)[^\n]*\n)*", "", text)


def read_json(path: Path) -> Node:
    """Any JSON: each value under its path, with the unit that stands beside it (OSC-EM). Raises FormatError,
    HeaderLimitError."""
    data = path.read_bytes()
    if len(data) > MAX_JSON_BYTES:
        raise HeaderLimitError(f"is larger than {MAX_JSON_BYTES:,} bytes", remedy="give the metadata alone")
    try:
        content = json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is no JSON that can be read ({str(error)[:120]})", remedy="write it again") from error
    return _document("JSON", _json_entries(content, ""))


def _json_entries(content: Any, path: str, depth: int = 0) -> Iterator[Node | None]:
    if depth > 64:
        raise HeaderLimitError("is nested deeper than 64, which no metadata are")
    if isinstance(content, dict):
        if "value" in content and not isinstance(content["value"], dict | list):
            unit = content.get("unit") or content.get("units") or ""
            yield entry(path, _told(content["value"]), unit=str(unit))
            return
        for key, value in content.items():
            yield from _json_entries(value, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(content, list):
        for value in content[:1000]:
            yield from _json_entries(value, path, depth + 1)
    elif content is not None:
        yield entry(path, _told(content))


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
