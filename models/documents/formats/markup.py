"""Marked-up text (HTML, JATS, DOCX) as a tree: what opens, what stands there, what closes.

Raised digits become `^2`, so that units survive; formulas stand in their paragraph's text and as parts of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from frazil.config.errors import HeaderLimitError
from frazil.models.documents.tree import Kind, Node, Place

MAX_NODES = 200_000
MAX_TEXT = 20_000_000
_SIGNS = "-\u2212\u2013\u207b+"


@dataclass(slots=True)
class MarkupTree:
    """Builds the tree; the reader of a format says what its tags are. `where`: what the places count."""

    name: str
    document: Node = field(init=False)
    _sections: list[tuple[int, Node]] = field(default_factory=list)
    _blocks: list[Node] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _inner: list[Node] = field(default_factory=list)
    """Figures and formulas that were met within the open block."""
    _raised: int | None = None
    _nodes: int = 0
    _letters: int = 0
    _counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.document = Node(Kind.DOCUMENT, name=self.name)

    def begin_section(self, level: int) -> None:
        """A section opens; others of its level and below end."""
        self.end_block()
        while self._sections and self._sections[-1][0] >= level:
            self._sections.pop()
        section = self._made(Kind.SECTION)
        self._parent().children.append(section)
        self._sections.append((level, section))

    def title_section(self, title: str) -> None:
        """Name the section that is open (of several lines the first counts)."""
        if self._sections and not self._sections[-1][1].name:
            self._sections[-1][1].name = title

    def begin_block(self, kind: Kind) -> None:
        """A table, row, cell or paragraph; paragraphs do not nest, text of cells is the cell's own."""
        self._flush()
        node = self._made(kind)
        self._parent().children.append(node)
        self._blocks.append(node)

    def end_block(self, kind: Kind | None = None) -> None:
        """End the innermost block of this kind with all within it; None: all."""
        self._flush()
        while self._blocks and (kind is None or any(block.kind is kind for block in self._blocks)):
            ended = self._blocks.pop()
            if kind is not None and ended.kind is kind:
                break

    def add_text(self, text: str) -> None:
        """What stands there."""
        self._letters += len(text)
        if self._letters > MAX_TEXT:
            raise HeaderLimitError(f"holds more than {MAX_TEXT:,} letters, which no such document does")
        self._text.append(text)

    def add_part(self, kind: Kind, text: str = "") -> None:
        """A figure or a formula at this place."""
        node = self._made(kind)
        node.text = text
        self._inner.append(node)
        if kind is Kind.FORMULA:
            self._text.append(text)

    def begin_raised(self) -> None:
        self._raised = len(self._text)

    def end_raised(self) -> None:
        if self._raised is None:
            return
        raised = "".join(self._text[self._raised :]).strip()
        del self._text[self._raised :]
        self._raised = None
        is_power = raised.lstrip(_SIGNS).isdigit() and len(raised) <= 3
        self._text.append(f"^{raised}" if is_power else raised)

    def finished(self) -> Node:
        self.end_block()
        return self.document

    def block_text(self) -> str:
        """Of what is open, so far."""
        return " ".join("".join(self._text).split())

    def drop_text(self) -> None:
        self._text.clear()

    def _parent(self) -> Node:
        if self._blocks:
            return self._blocks[-1]
        return self._sections[-1][1] if self._sections else self.document

    def _made(self, kind: Kind) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise HeaderLimitError(f"holds more than {MAX_NODES:,} parts, which no such document does")
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        return Node(kind, place=Place(path=f"{kind} {count}"))

    def _flush(self) -> None:
        text = self.block_text()
        self._text.clear()
        self._raised = None
        inner, self._inner = self._inner, []
        if not text and not inner:
            return
        block = self._blocks[-1] if self._blocks else None
        if block is None or block.kind not in (Kind.PARAGRAPH, Kind.CELL):
            block = self._made(Kind.PARAGRAPH)
            self._parent().children.append(block)
        block.text = f"{block.text} {text}".strip()
        block.children += inner
