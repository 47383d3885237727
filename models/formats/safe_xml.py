"""XML from a stranger: names without namespaces, no entities, bounded, and "not finished yet" told from "broken".

Namespaces are dropped because EPU changes them between versions and prefixes between files. A document type is refused
outright: no instrument writes one, and it is how entity expansion (billion laughs) and external entities get in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from frazil.config.errors import FormatError, HeaderLimitError, RetryLaterError

_MAX_DEPTH = 64
_MAX_ELEMENTS = 500_000


@dataclass(slots=True)
class XmlNode:
    """An element: local name, stripped text, children in order. Attributes keep their local names."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[XmlNode] = field(default_factory=list)

    def find(self, path: str) -> XmlNode | None:
        """First element at `a/b/c` below this one, or None."""
        name, _, rest = path.partition("/")
        for child in self.children:
            if child.name == name:
                found = child.find(rest) if rest else child
                if found is not None:
                    return found
        return None

    def descendants(self, name: str | None = None) -> Iterator[XmlNode]:
        """All elements below this one in document order, or those of one name."""
        for child in self.children:
            if name is None or child.name == name:
                yield child
            yield from child.descendants(name)


def read_xml(path: Path, *, max_bytes: int) -> XmlNode:
    """Root of an XML file of at most `max_bytes` bytes.

    Raises
    ------
    RetryLaterError
        The file cannot be read, is empty, or stops in the middle: it is probably still being written.
    HeaderLimitError
        Too large, too deep or too many elements.
    FormatError
        Not XML, or with a document type.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise RetryLaterError(f"cannot be read now ({error.strerror})", path=path) from error
    if len(data) > max_bytes:
        raise HeaderLimitError(f"is larger than {max_bytes:,} bytes, which no such file is", path=path)
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        # Space that was reserved but not yet written reads as zeros.
        data = data.rstrip(b"\0")
    return _Builder(path).build(data)


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class _Builder:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._root: XmlNode | None = None
        self._open: list[tuple[XmlNode, list[str]]] = []
        self._count = 0

    def build(self, data: bytes) -> XmlNode:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        try:
            parser.Parse(data, False)
        except expat.ExpatError as error:
            raise FormatError(f"is not well-formed XML ({error})", path=self._path) from error
        try:
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise RetryLaterError(f"ends in the middle of the XML ({error})", path=self._path) from error
        if self._root is None:
            raise RetryLaterError("holds no XML element yet", path=self._path)
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MAX_ELEMENTS or len(self._open) >= _MAX_DEPTH:
            raise HeaderLimitError(
                f"has more than {_MAX_ELEMENTS:,} elements or is nested deeper than {_MAX_DEPTH}", path=self._path
            )
        plain = {_local(key): value for key, value in attributes.items() if not key.startswith("xmlns")}
        node = XmlNode(_local(name), plain)
        if self._open:
            self._open[-1][0].children.append(node)
        else:
            self._root = node
        self._open.append((node, []))

    def _end(self, name: str) -> None:
        node, text = self._open.pop()
        node.text = "".join(text).strip()

    def _characters(self, text: str) -> None:
        if self._open:
            self._open[-1][1].append(text)

    def _refuse_doctype(self, *_: object) -> None:
        raise FormatError(
            "declares a document type, which no instrument writes",
            path=self._path,
            remedy="do not trust this file; remove it and find out who wrote it",
        )
