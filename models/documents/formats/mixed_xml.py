"""XML in which text and elements are mixed, told as events; entities of a stranger are refused, none is looked up."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from xml.parsers import expat

from frazil.config.errors import FormatError, HeaderLimitError

_MAX_DEPTH = 200
_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,30});")
_OWN = (b"amp", b"lt", b"gt", b"quot", b"apos")


def tell_xml(
    data: bytes,
    opened: Callable[[str, dict[str, str]], None],
    said: Callable[[str], None],
    closed: Callable[[str], None],
) -> None:
    """Call `opened`, `said`, `closed` in order, with local names. A document type is taken only where it declares
    nothing itself: JATS files name one, bombs declare entities in it.

    Raises
    ------
    FormatError
        Not well-formed, or with declarations of its own.
    HeaderLimitError
        Nested deeper than any document.
    """
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise HeaderLimitError(f"is nested deeper than {_MAX_DEPTH}, which no document is")
        opened(name.rpartition(":")[2], {key.rpartition(":")[2]: value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        closed(name.rpartition(":")[2])

    def declared(*_: object) -> None:
        raise FormatError(
            "declares entities of its own, which is how XML bombs and foreign files get in",
            remedy="do not trust this file; take the text from the journal's page instead",
        )

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, said
    parser.EntityDeclHandler = declared
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    try:
        parser.Parse(_ENTITY.sub(_named, data), True)
    except expat.ExpatError as error:
        raise FormatError(f"is not well-formed XML ({error})", remedy="save or download it again") from error


def _named(match: re.Match[bytes]) -> bytes:
    """`&nbsp;` and its like as numbers: their declarations stand in a document type that is not read."""
    if match[1] in _OWN:
        return match[0]
    letters = html.unescape(match[0].decode("ascii"))
    return match[0] if letters.startswith("&") else "".join(f"&#{ord(letter)};" for letter in letters).encode("ascii")
