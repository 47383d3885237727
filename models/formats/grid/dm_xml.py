"""EPU's `.dm` files: XML of a .NET serialiser, rewritten in place while the session runs.

An element may stand for another one of the file (`Ref` to its `Id`); lists and dictionaries are padded to a capacity,
and names of pairs end in a hash that differs between versions. So: names without their ends, values found by path.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from frazil.config.errors import FormatError, RetryLaterError
from frazil.models.formats.epu_xml import MAX_SESSION_XML_BYTES
from frazil.models.formats.safe_xml import XmlNode, read_xml
from frazil.models.formats.sidecar_values import number, truth, whole_number

UM_PER_M = 1e6
_LARGEST_ID = 2**63 - 1


class Dm:
    """A whole file. Paths are names with `/` between them; a missing element is None, as is one that says `nil`."""

    def __init__(self, path: Path, root: XmlNode) -> None:
        self.path = path
        self.root = root
        self._by_id = {node.attributes["Id"]: node for node in root.descendants() if "Id" in node.attributes}

    def at(self, node: XmlNode | None, path: str) -> XmlNode | None:
        """The element at `path` below `node`, references followed."""
        for name in path.split("/"):
            if node is None:
                return None
            node = next((child for child in node.children if child.name == name), None)
            if node is not None and "Ref" in node.attributes:
                node = self._by_id.get(node.attributes["Ref"])
        return None if node is None or node.attributes.get("nil") == "true" else node

    def text(self, node: XmlNode | None, path: str) -> str | None:
        """None for an empty one, too."""
        found = self.at(node, path)
        return None if found is None else found.text or None

    def number(self, node: XmlNode | None, path: str, factor: float = 1.0) -> float | None:
        """A finite number times `factor`."""
        value = number(self.text(node, path))
        return None if value is None else float(f"{value * factor:.12g}")  # 300000 * 1e-3 is 300

    def flag(self, node: XmlNode | None, path: str) -> bool | None:
        """`true` or `false`."""
        return truth(self.text(node, path))

    def id(self, node: XmlNode | None, path: str) -> str | None:
        """One of EPU's numbers of things, as text: never 0, which stands for nothing."""
        text = self.text(node, path)
        return text if whole_number(text, low=1, high=_LARGEST_ID) is not None else None

    def numbers(self, node: XmlNode | None, path: str, factor: float = 1.0) -> list[float | None]:
        """A plain array: every child is a number times `factor`."""
        found = self.at(node, path)
        values = [number(child.text) for child in found.children] if found is not None else []
        return [None if value is None else float(f"{value * factor:.12g}") for value in values]

    def position_um(self, node: XmlNode | None, path: str) -> tuple[float, float, float | None] | None:
        """Stage X, Y and Z; None where X or Y is missing, or where all are zero: EPU's way to leave them out."""
        x, y, z = (self.number(node, f"{path}/{axis}", UM_PER_M) for axis in "XYZ")
        if x is None or y is None or not any((x, y, z)):
            return None
        return x, y, z

    def pairs(self, node: XmlNode | None, path: str) -> Iterator[tuple[str, XmlNode]]:
        """Key and value of each entry of a dictionary."""
        found = self.at(node, path)
        for pair in found.children if found is not None else ():
            key, value = self.text(pair, "key"), self.at(pair, "value")
            if key is not None and value is not None:
                yield key, value

    def items(self, node: XmlNode | None, path: str) -> list[XmlNode]:
        """The elements of a list, without its padding."""
        size = whole_number(self.text(node, f"{path}/_size"), low=0)
        found = self.at(node, f"{path}/_items")
        children = found.children if found is not None else []
        return [child for child in children[:size] if child.attributes.get("nil") != "true"]


def read_dm(path: Path, root_name: str) -> Dm:
    """A file of EPU whose root element is `root_name`.

    Raises
    ------
    RetryLaterError
        Not there, or not whole: EPU is writing it.
    FormatError
        Something else than its name says, or with a document type.
    """
    try:
        root = read_xml(path, max_bytes=MAX_SESSION_XML_BYTES)
    except FormatError as error:
        # The end of a longer, earlier version behind a new, shorter one: bytes that are no XML for a moment.
        if isinstance(error.__cause__, expat.ExpatError):
            raise RetryLaterError(f"is being written ({error.__cause__})", path=path) from error
        raise
    if root.name != root_name:
        raise FormatError(
            f"is XML, but <{root.name}> where <{root_name}> is expected",
            path=path,
            remedy="check that EPU wrote it and that it was not renamed",
        )
    return Dm(path, root)
