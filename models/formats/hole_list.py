"""Lists of holes that people give for an experiment: CSV, or a SerialEM navigator file; and what is handed back."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FormatError, UsageError
from frazil.models.formats.grid.navigator import NavigatorSection, parse_navigator, read_navigator_text, shown
from frazil.models.formats.grid.navigator_write import joined, line_end, text_sections, with_values

_MAX_BYTES = 32 << 20
_MOST_HOLES = 20_000
_NUMBERS = ("ice", "defocus_um")
_TEXTS = ("name", "square", "group")


@dataclass(frozen=True, slots=True)
class ListedHole:
    """One hole, in the order in which it will be taken."""

    name: str = ""
    """As it will stand in the movie's name or sidecar."""
    square: str = ""
    group: str = ""
    """Position of the stage."""
    ice: float | None = None
    """Anything that goes with the ice in the hole's image: only differences count."""
    defocus_um: float | None = None


def read_holes(path: Path) -> tuple[ListedHole, ...]:
    """The holes of a .csv (columns name, square, group, ice, defocus_um, at least one of the first two) or a .nav.

    Raises
    ------
    UsageError
        There is no such file, or it is neither.
    FormatError
        It cannot be read, or has no hole.
    """
    if path.suffix.lower() != ".csv" and not _is_navigator(path):
        raise UsageError("holes are listed in a .csv or a SerialEM .nav", path=path, remedy="give one of these")
    text = read_text(path)
    holes = _of_navigator(text, path) if _is_navigator(path) else _of_csv(text, path)
    if not holes:
        raise FormatError("no hole is listed", path=path, remedy="mark items for acquisition, or give rows")
    if len(holes) > _MOST_HOLES:
        raise FormatError(f"{len(holes)} holes are too many", path=path, remedy=f"give at most {_MOST_HOLES}")
    return holes


def _is_navigator(path: Path) -> bool:
    return path.suffix.lower() == ".nav"


def read_text(path: Path) -> str:
    """Raises `UsageError` where there is no file, `FormatError` where it is too large or no text."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FormatError("it is too large for a list of holes", path=path, remedy="give the right file")
        if _is_navigator(path):
            return read_navigator_text(path)  # notes in any code page
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"it cannot be read: {error}", path=path, remedy="give a file that is there") from error
    except UnicodeDecodeError as error:
        raise FormatError("it is no text", path=path, remedy="give the right file") from error


def csv_rows(text: str, path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line, cells by column) of a table of holes, names of columns in small letters, "" for what is missing.

    Raises `FormatError` where the first line names neither a column `name` nor `square`.
    """
    reader = csv.DictReader(io.StringIO(text), restkey="", restval="")
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    if not {"name", "square"} & set(columns):
        raise FormatError(
            "its first line names neither a column `name` nor `square`",
            path=path,
            remedy="begin it with: name,square,group,ice,defocus_um (what is not known may be left out)",
        )
    reader.fieldnames = columns
    return [
        (line, {name: cell.strip() for name, cell in row.items() if name and isinstance(cell, str)})
        for line, row in enumerate(reader, 2)
    ]


def _of_csv(text: str, path: Path) -> tuple[ListedHole, ...]:
    return tuple(_hole(row, path, line) for line, row in csv_rows(text, path))


def _hole(row: dict[str, str], path: Path, line: int) -> ListedHole:
    numbers: dict[str, float | None] = {}
    for name in _NUMBERS:
        word = row.get(name, "")
        try:
            numbers[name] = float(word) if word else None
        except ValueError:
            numbers[name] = math.nan
        value = numbers[name]
        if value is not None and not math.isfinite(value):
            raise FormatError(f"line {line}: {name} is {word[:40]!r}, no number", path=path, remedy="correct it")
    texts = {name: row.get(name, "") for name in _TEXTS}
    return ListedHole(texts["name"], texts["square"], texts["group"], numbers["ice"], numbers["defocus_um"])


def navigator_items(text: str, path: Path) -> list[tuple[str, dict[str, str]]]:
    """(label, values) of each item of a navigator file in text form. Raises `FormatError`."""
    return [(shown(item.label), dict(item.values)) for item in parse_navigator(text, path).items]


def _of_navigator(text: str, path: Path) -> tuple[ListedHole, ...]:
    """Items that are marked for acquisition, in table order: the order in which SerialEM takes them."""
    holes = []
    for label, values in navigator_items(text, path):
        if values.get("Acquire") != "1":
            continue
        try:
            defocus_um = float(values["TargetDefocus"]) if "TargetDefocus" in values else None
        except ValueError:
            raise FormatError(f"item {label}: TargetDefocus is no number", path=path, remedy="correct it") from None
        # The map that it was drawn on: one of a square, usually.
        holes.append(ListedHole(label, values.get("DrawnID", ""), values.get("GroupID", ""), None, defocus_um))
    return tuple(holes)


def navigator_with_settings(text: str, path: Path, settings: dict[str, tuple[str, str]], unit: str) -> str:
    """The navigator file with each item's setting, by its label, at the end of its `Note` and as `UserValue1` (arm) and
    `UserValue2` (setting); all else stays, and items that are not of the plan are not touched. A script has the note in
    the variable navNote after `ReportNavItem`. Raises `FormatError`.
    """
    navigator = text_sections(text, path)
    end = line_end(text)
    sections = [
        with_values(section.text, _told(section, settings[shown(section.label)], unit), end)
        if section.kind == "Item" and shown(section.label) in settings
        else section.text
        for section in navigator.sections
    ]
    return joined(navigator.head, sections, end)


def _told(item: NavigatorSection, setting: tuple[str, str], unit: str) -> dict[str, str]:
    arm, value = setting
    note = item.values.get("Note", "")
    return {"Note": f"{note} [frazil {arm} {value} {unit}]".lstrip(), "UserValue1": arm, "UserValue2": value}
