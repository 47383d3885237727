"""Lists of holes that people give for an experiment: CSV, or a SerialEM navigator file; and what is handed back."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FormatError, UsageError

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
    if path.suffix.lower() not in (".csv", ".nav"):
        raise UsageError("holes are listed in a .csv or a SerialEM .nav", path=path, remedy="give one of these")
    text = read_text(path)
    holes = _of_navigator(text, path) if path.suffix.lower() == ".nav" else _of_csv(text, path)
    if not holes:
        raise FormatError("no hole is listed", path=path, remedy="mark items for acquisition, or give rows")
    if len(holes) > _MOST_HOLES:
        raise FormatError(f"{len(holes)} holes are too many", path=path, remedy=f"give at most {_MOST_HOLES}")
    return holes


def read_text(path: Path) -> str:
    """Raises `UsageError` where there is no file, `FormatError` where it is too large or no text."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FormatError("it is too large for a list of holes", path=path, remedy="give the right file")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"it cannot be read: {error}", path=path, remedy="give a file that is there") from error
    except UnicodeDecodeError as error:
        raise FormatError("it is no text", path=path, remedy="give the right file") from error


def _of_csv(text: str, path: Path) -> tuple[ListedHole, ...]:
    reader = csv.DictReader(io.StringIO(text))
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    if not {"name", "square"} & set(columns):
        raise FormatError(
            "its first line names neither a column `name` nor `square`",
            path=path,
            remedy="begin it with: name,square,group,ice,defocus_um (what is not known may be left out)",
        )
    reader.fieldnames = columns
    return tuple(_hole(row, path, line) for line, row in enumerate(reader, 2))


def _hole(row: dict[str, str | None], path: Path, line: int) -> ListedHole:
    numbers: dict[str, float | None] = {}
    for name in _NUMBERS:
        word = (row.get(name) or "").strip()
        try:
            numbers[name] = float(word) if word else None
        except ValueError:
            numbers[name] = math.nan
        value = numbers[name]
        if value is not None and not math.isfinite(value):
            raise FormatError(f"line {line}: {name} is {word[:40]!r}, no number", path=path, remedy="correct it")
    texts = {name: (row.get(name) or "").strip() for name in _TEXTS}
    return ListedHole(texts["name"], texts["square"], texts["group"], numbers["ice"], numbers["defocus_um"])


def navigator_items(text: str, path: Path) -> list[tuple[str, dict[str, str]]]:
    """(label, values) of each item of a navigator file in text form. Raises `FormatError`."""
    if not text.lstrip().startswith("AdocVersion"):
        raise FormatError(
            "it is no navigator file in text form (AdocVersion)",
            path=path,
            remedy="save it in SerialEM with the XML format switched off",
        )
    items: list[tuple[str, dict[str, str]]] = []
    for line in text.splitlines():
        if line.startswith("[Item") and "=" in line:
            items.append((line.partition("=")[2].strip().rstrip("]").strip(), {}))
        elif "=" in line and items:
            name, _, value = line.partition("=")
            items[-1][1][name.strip()] = value.strip()
    return items


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
    navigator_items(text, path)
    out: list[str] = []
    item: list[str] = []
    for line in [*text.splitlines(), "[Item"]:
        if line.startswith("[Item"):
            out += _with_setting(item, settings, unit)
            item = []
        item.append(line)
    return "\n".join(out) + "\n"


def _with_setting(item: list[str], settings: dict[str, tuple[str, str]], unit: str) -> list[str]:
    label = item[0].partition("=")[2].strip().rstrip("]").strip() if item else ""
    if label not in settings or not item[0].startswith("[Item"):
        return item
    arm, value = settings[label]
    note = next((line.partition("=")[2].strip() for line in item if line.partition("=")[0].strip() == "Note"), "")
    kept = [line for line in item[1:] if line.partition("=")[0].strip() not in ("Note", "UserValue1", "UserValue2")]
    told = [f"Note = {f'{note} ' if note else ''}[frazil {arm} {value} {unit}]", f"UserValue1 = {arm}"]
    return [item[0], *told, f"UserValue2 = {value}", *kept]
