r"""Navigator files of SerialEM: their items as written, in any of three forms.

Text ("autodoc", since 3.6)
    Two or three global lines, then `[Item = label]` sections of `key = value`; sections of other kinds (`TSParam`,
    `StateParam`) may follow. XML: the same keys as elements.
Tab-separated (before 3.6)
    `Version` and `Label` lines, then one item a line, whose columns depend on the version.

Bytes: SerialEM writes the code page of its Windows. `read_navigator_text` keeps every byte through a round trip
(`\r\n`, notes in any code page); `shown` makes such text fit for a person.
(SerialEM help, "File Formats", https://bio3d.colorado.edu/SerialEM/hlp/html/about_formats.htm)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FormatError, HeaderLimitError, RetryLaterError
from frazil.models.formats.safe_xml import XmlNode, read_xml
from frazil.models.formats.sidecar_values import number, whole_number

MAX_NAVIGATOR_BYTES = 64 * 1024**2
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class NavigatorSection:
    """One `[kind = label]` with everything below it, as written."""

    kind: str
    label: str
    values: Mapping[str, str]
    text: str = ""
    """Its lines with their ends, the blank ones behind it included; empty in other forms than text."""

    def numbers(self, key: str) -> tuple[float, ...]:
        """All numbers of a value; () where it is missing or one of them is none."""
        text = self.values.get(key)
        if not text:
            return ()
        found = tuple(number(word) for word in text.split())
        return () if None in found else found  # type: ignore[return-value]

    def whole(self, key: str) -> int | None:
        """A whole number of at least 0."""
        return whole_number(self.values.get(key), low=0, high=_LARGEST_ID)


@dataclass(frozen=True, slots=True)
class Navigator:
    """A whole file."""

    head: str
    """Global lines as written; empty in other forms than text."""
    globals: Mapping[str, str]
    sections: tuple[NavigatorSection, ...]

    @property
    def items(self) -> tuple[NavigatorSection, ...]:
        """The navigator's table, in its order."""
        return tuple(section for section in self.sections if section.kind == "Item")


def shown(text: str) -> str:
    """Text of any code page for a person; what is not UTF-8 is taken for Western European."""
    if text.isascii():
        return text
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def read_navigator_text(path: Path) -> str:
    """The file's text, which `write_navigator_text` turns into the same bytes.

    Raises
    ------
    RetryLaterError
        Not there, or empty.
    HeaderLimitError
        Larger than any navigator file.
    FormatError
        Not a text file.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_NAVIGATOR_BYTES + 1)
    except OSError as error:
        raise RetryLaterError(f"cannot be read now ({error.strerror})", path=path) from error
    if len(raw) > MAX_NAVIGATOR_BYTES:
        raise HeaderLimitError(f"is larger than {MAX_NAVIGATOR_BYTES:,} bytes", path=path)
    if b"\0" in raw:
        raise FormatError("is not a text file", path=path, remedy="give a navigator file of SerialEM")
    if not raw.strip():
        raise RetryLaterError("is still empty", path=path)
    return raw.decode("utf-8", "surrogateescape")


def write_navigator_text(path: Path, text: str) -> None:
    """A new file. Raises `FileExistsError` where one is there: what SerialEM wrote is never touched."""
    with path.open("xb") as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))


def read_navigator(path: Path) -> Navigator:
    """The items of a file in any form. Raises as `read_navigator_text` and `parse_navigator` do."""
    text = read_navigator_text(path)
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return _of_xml(read_xml(path, max_bytes=MAX_NAVIGATOR_BYTES), path)
    return parse_navigator(text, path)


def parse_navigator(text: str, path: Path) -> Navigator:
    """A file in text form, or the tab-separated one before it.

    Raises
    ------
    FormatError
        Neither.
    """
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith(("Version\t", "Label\t")):
        return _of_tabs(text)
    if not start.startswith("AdocVersion"):
        raise FormatError(
            "it is no navigator file in text form (AdocVersion)",
            path=path,
            remedy="save it in SerialEM with the XML format switched off",
        )
    head: list[str] = []
    general: dict[str, str] = {}
    sections: list[NavigatorSection] = []
    lines, values = head, general
    opened: tuple[str, str] | None = None
    for line in text.split("\n"):
        if line.startswith("[") and "=" in line:
            if opened is not None:
                sections.append(NavigatorSection(*opened, values, "\n".join(lines) + "\n"))
            kind, _, label = line[1:].partition("=")
            opened = kind.strip(), label.strip().rstrip("]").strip()
            lines, values = [line], {}
            continue
        lines.append(line)
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values[key.strip()] = value.strip()
    if opened is None:
        return Navigator(text, general, ())
    sections.append(NavigatorSection(*opened, values, "\n".join(lines)))
    return Navigator("\n".join(head) + "\n", general, tuple(sections))


def _of_xml(root: XmlNode, path: Path) -> Navigator:
    if root.name.lower() != "navigator":
        raise FormatError(
            f"is XML, but not a navigator file (<{root.name}>)", path=path, remedy="give the navigator file"
        )
    general = {child.name: child.text for child in root.children if not child.children}
    sections = []
    for child in root.children:
        if not child.children:
            continue
        values = {key.name: key.text for key in child.children}
        # No XML file is public: SerialEM's label is looked for wherever it can be.
        named = (*child.attributes.values(), values.get("Name"), values.get("Label"), values.get("name"))
        sections.append(NavigatorSection(child.name, next((name for name in named if name), ""), values))
    return Navigator("", general, tuple(sections))


_TAB_COLUMNS = (
    (0, ("Label", "Color", "StageX", "StageY", "StageZ", "NumPts", "Corner", "Draw", "RegPt", "Regis", "Type", "Note")),
    (131, ("GroupID", "PolyID", "Imported")),
    (142, ("SuperMontX", "SuperMontY")),
    (145, ("OrigReg", "DrawnID")),
    (147, ("BklshX", "BklshY")),
    (148, ("SamePosId", "RawStageX", "RawStageY")),
    (150, ("Acquire", "PieceOn", "XYinPc")),
)
"""(first version times 100, columns that it added)."""
_TAB_MAP_COLUMNS = ("MapFile", "MapID", "MapMontage", "MapSection", "MapBinning", "MapMagInd", "MapCamera")
_TAB_MAP_NUMBERS = ("xpx", "xpy", "ypx", "ypy", "MapWidth", "MapHeight")
_MAP = "2"


def _of_tabs(text: str) -> Navigator:
    lines = re.split(r"\r?\n", text.lstrip("\ufeff"))
    version = 100
    if lines[0].startswith("Version"):
        version = round(100.0 * (number(lines[0].split("\t")[1].strip()) or 1.0))
        del lines[0]
    columns = tuple(name for first, names in _TAB_COLUMNS if version >= first for name in names)
    sections = []
    for line in lines[1:]:
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split("\t")]
        values = dict(zip(columns, fields, strict=False))
        if values.get("Type") == _MAP:
            rest = fields[len(columns) :]
            values |= dict(zip((*_TAB_MAP_COLUMNS, *_TAB_MAP_NUMBERS), rest, strict=False))
            values["MapScaleMat"] = " ".join(values.get(name, "") for name in _TAB_MAP_NUMBERS[:4])
            values["MapWidthHeight"] = " ".join(values.get(name, "") for name in _TAB_MAP_NUMBERS[4:])
        values["StageXYZ"] = " ".join(values.get(f"Stage{axis}", "") for axis in "XYZ")
        sections.append(NavigatorSection("Item", fields[0], values))
    return Navigator("", {"Version": f"{version / 100:.2f}"}, tuple(sections))
