"""Navigator files of SerialEM with some keys changed, and every other byte as it was.

SerialEM takes items in the order of its table where `Acquire` is set; it knows no priority. So a ranked list comes back
as a new file in which the ranked items stand behind all others, best first. Nothing else of an item changes, and the
file that SerialEM wrote stays as it is: text goes in and comes out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FormatError
from frazil.models.formats.grid.navigator import Navigator, NavigatorSection, parse_navigator, shown
from frazil.models.formats.grid.navigator_maps import NavigatorMap, map_of
from frazil.models.formats.grid.navigator_targets import item_ids
from frazil.models.formats.grid.reading import GridNote
from frazil.models.grid_target import GridTarget


@dataclass(frozen=True, slots=True)
class RankedTarget:
    """One place of a list, best first."""

    target: GridTarget
    reason: str = ""
    """Why it stands there, for a person."""


@dataclass(frozen=True, slots=True)
class HandedBack:
    """A new navigator file, and what could not be put into it."""

    text: str
    notes: tuple[GridNote, ...] = ()


def line_end(text: str) -> str:
    """The one that a file uses."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def with_values(section_text: str, values: Mapping[str, str], end: str) -> str:
    """A section's text with these values; a key that it has keeps its line's place, a new one comes last.

    >>> with_values("[Item = 1]\\nColor = 0\\nAcquire = 0\\n\\n", {"Acquire": "1", "Note": "n"}, "\\n")
    '[Item = 1]\\nColor = 0\\nAcquire = 1\\nNote = n\\n\\n'
    """
    body = section_text.rstrip("\r\n")
    behind = section_text[len(body) :]
    had: set[str] = set()
    lines = body.split("\n")
    for number, line in enumerate(lines):
        key = line.partition("=")[0].strip()
        if number == 0 or key not in values or "=" not in line:
            continue
        if line.partition("=")[2].strip() != values[key]:
            lines[number] = f"{key} = {values[key]}" + ("\r" if line.endswith("\r") else "")
        had.add(key)
    left = {key: value for key, value in values.items() if key not in had}
    added = "".join(f"{end}{key} = {value}" for key, value in left.items())
    return "\n".join(lines) + added + behind


def text_sections(text: str, path: Path) -> Navigator:
    """A file in text form, for writing. Raises `FormatError` for any other form."""
    navigator = parse_navigator(text, path)
    if not navigator.head:
        raise FormatError(
            "is a navigator file of before SerialEM 3.6, which is not written",
            path=path,
            remedy="open it in SerialEM and save it",
        )
    return navigator


def joined(head: str, sections: Sequence[str], end: str) -> str:
    """A file of sections in a new order: one that ended the file without a line end gets one."""
    parts = [head]
    for section in sections:
        if not parts[-1].endswith("\n"):
            parts.append(end)
        parts.append(section)
    return "".join(parts)


def unmarked(text: str, left_out: Collection[str], *, path: Path) -> str:
    """A navigator file in which these items (by their targets' ids) are not marked for acquisition. Raises
    `FormatError` for what is not one in text form."""
    navigator, end = text_sections(text, path), line_end(text)
    names = iter(item_ids(navigator))
    sections = [
        with_values(section.text, {"Acquire": "0"}, end)
        if section.kind == "Item" and next(names) in left_out and section.values.get("Acquire") == "1"
        else section.text
        for section in navigator.sections
    ]
    return joined(navigator.head, sections, end)


def write_nav(text: str, ranked: Sequence[RankedTarget], *, path: Path, others: bool = True) -> HandedBack:
    """A navigator file in which SerialEM takes these targets, in this order.

    Parameters
    ----------
    text:
        Of the original (`navigator.read_navigator_text`).
    ranked:
        Best first. A hole of an array stands for its item, which is taken where its best hole stands. A target that is
        no item is added where it lies on a map of the file (`CoordsInMap`: SerialEM finds its stage position).
    path:
        Of the original, for messages.
    others:
        True: other points that are marked stay marked, and come after these. False: their marks go.

    Raises
    ------
    FormatError
        Not a navigator file in text form.
    """
    navigator = text_sections(text, path)
    end = line_end(text)
    ids = item_ids(navigator)
    by_id = dict(zip(ids, navigator.items, strict=True))
    notes: list[GridNote] = []
    first: dict[str, str] = {}
    for rank, one in enumerate(ranked, 1):
        item_id = _item_id(one.target.target_id, by_id)
        if item_id in first:
            continue
        made = _taken(by_id[item_id], end) if item_id is not None else _new_item(one.target, rank, by_id, end)
        if made is None:
            what = f"has neither an item nor a map for target {one.target.name or one.target.target_id}"
            notes.append(GridNote(path.name, what, "add it by hand, or give it a place on a map of this file"))
            continue
        first[item_id or one.target.target_id] = made
    if not first and others:
        return HandedBack(text, tuple(notes))
    kept, later, rest = _not_ranked(navigator, ids, first, others=others, end=end)
    return HandedBack(joined(navigator.head, [*kept, *first.values(), *later, *rest], end), tuple(notes))


def _item_id(target_id: str, by_id: Mapping[str, NavigatorSection]) -> str | None:
    """The item that a target is, or whose array it belongs to."""
    if target_id in by_id:
        return target_id
    item_id, colon, _ = target_id.rpartition(":")
    return item_id if colon and item_id in by_id else None


def _taken(item: NavigatorSection, end: str) -> str:
    return with_values(item.text, {"Acquire": "1"}, end)


def _not_ranked(
    navigator: Navigator, ids: Sequence[str], first: Mapping[str, str], *, others: bool, end: str
) -> tuple[list[str], list[str], list[str]]:
    """Items that stay before the ranked ones, marked ones that follow them, and sections of other kinds."""
    kept, later, rest = [], [], []
    names = iter(ids)
    for section in navigator.sections:
        if section.kind != "Item":
            rest.append(section.text)
        elif next(names) in first:
            continue
        elif section.values.get("Acquire") != "1" or section.values.get("Type") == "2":
            kept.append(section.text)  # a map stays before what is drawn on it
        elif others:
            later.append(section.text)
        else:
            kept.append(with_values(section.text, {"Acquire": "0"}, end))
    return kept, later, rest


def _new_item(target: GridTarget, rank: int, by_id: Mapping[str, NavigatorSection], end: str) -> str | None:
    """A point on a map; None: the target is on none of the file's maps."""
    parent = by_id.get(target.parent_id or "")
    drawn_on: NavigatorMap | None = None if parent is None else map_of(parent)
    x_px, y_px = target.x_in_parent_px, target.y_in_parent_px
    if parent is None or drawn_on is None or x_px is None or y_px is None:
        return None
    stage = parent.numbers("StageXYZ")
    label = re.sub(r"[\[\]\r\n=]", " ", target.name).strip() or f"frazil-{rank}"
    values = {
        "Color": "0",
        "NumPts": "0",
        "Regis": parent.values.get("Regis", "1"),
        "Type": "0",
        "Note": f"frazil {rank}",
        "DrawnID": drawn_on.map_id,
        # SerialEM counts the pixels of a map from its bottom.
        "CoordsInMap": f"{x_px:.2f} {drawn_on.height_px - y_px:.2f} {stage[2] if len(stage) > 2 else 0:g}",
        "Acquire": "1",
    }
    lines = [f"[Item = {shown(label)}]", *(f"{key} = {value}" for key, value in values.items())]
    return end.join(lines) + end + end
