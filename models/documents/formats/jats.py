"""JATS, the XML of journals: sections, paragraphs, tables, figures, formulas; the list of references is left out."""

from __future__ import annotations

from pathlib import Path

from frazil.models.documents.formats.markup import MarkupTree
from frazil.models.documents.formats.mixed_xml import tell_xml
from frazil.models.documents.tree import Kind, Node

_SKIPPED = frozenset({"ref-list", "contrib-group", "journal-meta", "permissions", "funding-group", "aff", "history"})
_BLOCKS = {
    "table": Kind.TABLE, "tr": Kind.ROW, "td": Kind.CELL, "th": Kind.CELL,
    "p": Kind.PARAGRAPH, "caption": Kind.PARAGRAPH,
}  # fmt: skip
_FORMULAS = frozenset({"disp-formula", "inline-formula"})


class _Reader:
    def __init__(self) -> None:
        self.tree = MarkupTree("JATS")
        self._path: list[str] = []
        self._skip = 0
        self._formula: list[str] | None = None
        self._tex = False

    def opened(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        if self._skip or tag in _SKIPPED:
            self._skip += 1
        elif tag in ("sec", "abstract"):
            self.tree.begin_section(1 + self._path.count("sec"))
        elif tag in ("title", "article-title"):
            self.tree.drop_text()
        elif tag in _FORMULAS:
            self._formula = []
        elif tag in _BLOCKS:
            self.tree.begin_block(_BLOCKS[tag])
        elif tag in ("fig", "graphic"):
            self.tree.add_part(Kind.FIGURE, attributes.get("id", "") or attributes.get("href", ""))
        elif tag == "sup" and self._formula is None:
            self.tree.begin_raised()
        elif tag == "tex-math":
            self._tex, self._formula = True, []

    def closed(self, tag: str) -> None:
        self._path.pop()
        if self._skip:
            self._skip -= 1
        elif tag == "article-title" and not self.tree.document.text:
            self.tree.document.text = self.tree.block_text()
            self.tree.drop_text()
        elif tag == "title":
            self.tree.title_section(self.tree.block_text())
            self.tree.drop_text()
        elif tag in _FORMULAS:
            self.tree.add_part(Kind.FORMULA, "".join(self._formula or ()).strip())
            self._formula = None
        elif tag in _BLOCKS:
            self.tree.end_block(_BLOCKS[tag])
        elif tag == "sup" and self._formula is None:
            self.tree.end_raised()
        elif tag == "tex-math":
            self._tex = False

    def said(self, text: str) -> None:
        if self._skip:
            return
        if self._formula is None:
            self.tree.add_text(text)
        elif "tex-math" not in self._path or self._tex:
            self._formula.append(text)


def read_jats(path: Path) -> Node:
    """The tree of an article. Raises FormatError, HeaderLimitError."""
    reader = _Reader()
    tell_xml(path.read_bytes(), reader.opened, reader.said, reader.closed)
    return reader.tree.finished()
