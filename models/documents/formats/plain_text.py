"""Plain text and Markdown: paragraphs between empty lines, headings with `#`, tables with `|`."""

from __future__ import annotations

from pathlib import Path

from frazil.models.documents.tree import Kind, Node, Place
from frazil.models.documents.units import plain


def read_plain_text(path: Path) -> Node:
    """The tree of a text file."""
    document = Node(Kind.DOCUMENT, name="text")
    parent, block = document, Node(Kind.PARAGRAPH)
    marks: list[tuple[int, Place]] = []
    for number, raw in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
        line, place = plain(raw).strip(), Place(path=f"line {number}")
        starts_new = not line or line.startswith(("#", "|"))
        if starts_new and block.text:
            block.marks = tuple(marks)
            parent.children.append(block)
            block, marks = Node(Kind.PARAGRAPH), []
        if line.startswith("#"):
            parent = Node(Kind.SECTION, name=line.lstrip("# "), place=place)
            document.children.append(parent)
        elif line.startswith("|"):
            cells = [Node(Kind.CELL, cell.strip(), place) for cell in line.strip("|").split("|")]
            if not parent.children or parent.children[-1].kind is not Kind.TABLE:
                parent.children.append(Node(Kind.TABLE, place=place))
            parent.children[-1].children.append(Node(Kind.ROW, place=place, children=cells))
        elif line:
            marks.append((len(block.text) + bool(block.text), place))
            block.text = f"{block.text} {line}" if block.text else line
    if block.text:
        block.marks = tuple(marks)
        parent.children.append(block)
    return document
