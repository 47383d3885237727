"""A document as a tree of what it is made of, whatever its format, each part with its place.

Boxes are (left, top, right, bottom) from the upper left corner: points (1/72 inch) on a page, pixels in a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from frazil.config.errors import FormatError

Box = tuple[float, float, float, float]


class Kind(StrEnum):
    """What a part of a document is."""

    DOCUMENT = "document"
    SECTION = "section"
    PARAGRAPH = "paragraph"
    TABLE = "table"
    ROW = "row"
    CELL = "cell"
    FIGURE = "figure"
    FORMULA = "formula"
    ENTRY = "entry"
    """A value under a key: of a file that is made for programs."""
    QUANTITY = "quantity"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the document; `None`: it has no such thing."""

    page: int | None = None
    """From 1."""
    box: Box | None = None
    path: str | None = None
    """Key, element or line, where there are no pages."""

    def words(self) -> str:
        """For a person.

        >>> Place(page=7).words()
        'page 7'
        """
        parts = [f"page {self.page}" if self.page is not None else "", self.path or ""]
        return ", ".join(part for part in parts if part)


@dataclass(slots=True)
class Node:
    """One part. `marks`: where pieces of `text` lie that begin at these offsets, in ascending order."""

    kind: Kind
    text: str = ""
    place: Place = Place()
    name: str = ""
    """Key of an entry, format of a document, title of a section."""
    unit: str = ""
    """Of an entry's value, where the format fixes it or the file tells it."""
    score: float = 1.0
    """How sure the reading of a picture is of its letters, 0 to 1."""
    children: list[Node] = field(default_factory=list)
    marks: tuple[tuple[int, Place], ...] = ()
    remarks: list[str] = field(default_factory=list)
    """Of a document: what a person should know of how it was read."""

    def place_at(self, offset: int) -> Place:
        """The place of the letter at `offset` of `text`."""
        found = self.place
        for begin, place in self.marks:
            if begin > offset:
                break
            found = place
        return found

    def walk(self) -> Iterator[Node]:
        """This part and all within it, in the order of reading."""
        yield self
        for child in self.children:
            yield from child.walk()

    def count(self) -> dict[str, int]:
        """How many parts of each kind."""
        found: dict[str, int] = {}
        for node in self.walk():
            found[node.kind] = found.get(node.kind, 0) + 1
        return found


def to_record(node: Node) -> dict[str, Any]:
    """Plain values for JSON; what is empty is left out."""
    record: dict[str, Any] = {"kind": str(node.kind)}
    for name in ("text", "name", "unit", "remarks"):
        if getattr(node, name):
            record[name] = getattr(node, name)
    if node.score != 1.0:
        record["score"] = round(node.score, 3)
    if node.place != Place():
        record["place"] = _place_record(node.place)
    if node.marks:
        record["marks"] = [[offset, _place_record(place)] for offset, place in node.marks]
    if node.children:
        record["children"] = [to_record(child) for child in node.children]
    return record


def _place_record(place: Place) -> list[Any]:
    return [place.page, None if place.box is None else [round(edge, 1) for edge in place.box], place.path]


def from_record(record: Any) -> Node:
    """What `to_record` wrote. Raises FormatError for anything else."""
    try:
        return Node(
            kind=Kind(record["kind"]),
            text=str(record.get("text", "")),
            place=_place(record["place"]) if "place" in record else Place(),
            name=str(record.get("name", "")),
            unit=str(record.get("unit", "")),
            score=float(record.get("score", 1.0)),
            children=[from_record(child) for child in record.get("children", ())],
            marks=tuple((int(offset), _place(place)) for offset, place in record.get("marks", ())),
            remarks=[str(remark) for remark in record.get("remarks", ())],
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FormatError("was read into something that is no document") from error


def _place(record: Any) -> Place:
    page, box, path = record
    edges = None if box is None else tuple(float(edge) for edge in box)
    if edges is not None and len(edges) != 4:
        raise ValueError("a box has four edges")
    return Place(None if page is None else int(page), edges, None if path is None else str(path))
