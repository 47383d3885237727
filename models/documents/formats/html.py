"""HTML as people save it: headings, paragraphs, tables, figures, formulas. Scripts are not even looked at."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from frazil.models.documents.formats.markup import MarkupTree
from frazil.models.documents.tree import Kind, Node

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_PARAGRAPHS = frozenset(
    {"p", "li", "dd", "dt", "figcaption", "caption", "blockquote", "pre", "div", "section", "article"}
)
_BLOCKS = {"table": Kind.TABLE, "tr": Kind.ROW, "td": Kind.CELL, "th": Kind.CELL} | dict.fromkeys(
    _PARAGRAPHS, Kind.PARAGRAPH
)
_SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "head", "nav"})
_FIGURES = frozenset({"img", "figure", "canvas"})


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tree = MarkupTree("HTML")
        self.scripts = 0
        self._skip: list[str] = []
        self._math: list[str] | None = None
        self._heading = False
        self._title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag == "body" or (self._skip == ["head"] and (tag in _BLOCKS or tag in _HEADINGS)):
            self._end_head()
        if tag in _SKIPPED:
            self._skip.append(tag)
        elif self._skip:
            self._title = tag == "title"
        elif tag in _HEADINGS:
            self.tree.begin_section(_HEADINGS[tag])
            self._heading = True
        elif tag in _BLOCKS:
            self.tree.begin_block(_BLOCKS[tag])
        elif tag == "math":
            self._math = []
        elif tag in _FIGURES:
            self.tree.add_part(Kind.FIGURE, dict(attrs).get("alt") or "")
        elif tag == "sup":
            self.tree.begin_raised()
        elif tag == "br":
            self.tree.add_text(" ")

    def _end_head(self) -> None:
        """`</head>` may be left out: the body, or what only a body holds, ends it and what was left open in it."""
        if "head" in self._skip:
            del self._skip[self._skip.index("head") :]
        self._title = False

    def handle_endtag(self, tag: str) -> None:
        if self._skip:
            self._title = False
            if tag in self._skip:  # what was left open within it ends with it
                while self._skip.pop() != tag:
                    pass
        elif tag in _HEADINGS and self._heading:
            self.tree.title_section(self.tree.block_text())
            self.tree.drop_text()
            self._heading = False
        elif tag in _BLOCKS:
            self.tree.end_block(_BLOCKS[tag])
        elif tag == "math" and self._math is not None:
            self.tree.add_part(Kind.FORMULA, "".join(self._math).strip())
            self._math = None
        elif tag == "sup":
            self.tree.end_raised()

    def handle_data(self, data: str) -> None:
        if self._title and not self.tree.document.text:
            self.tree.document.text = data.strip()
        elif self._skip:
            return
        elif self._math is not None:
            self._math.append(data)
        else:
            self.tree.add_text(data)


def read_html(path: Path) -> Node:
    """The tree of an HTML file. Raises HeaderLimitError."""
    reader = _Reader()
    reader.feed(path.read_bytes().decode("utf-8", "replace"))
    reader.close()
    document = reader.tree.finished()
    if reader.scripts:
        document.remarks.append(f"holds {reader.scripts} script(s), which were not run")
    return document
