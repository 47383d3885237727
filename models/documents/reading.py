"""Which reader a document needs, told by its first bytes, and the tree that it gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from frazil.config.errors import FormatError, RetryLaterError, UnsupportedFormatError
from frazil.models.documents.tree import Node

MAX_BYTES = 300 * 1024**2
_HEAD_BYTES = 4096
_REMEDY = "give PDF, DOCX, HTML, JATS, mmCIF, JSON, EPU or EMDB XML, mdoc, text, PNG or JPEG"


def read_document(path: Path, *, pictures: bool = False) -> Node:
    """The tree of a document of any format that is known. `pictures`: pages of a PDF that are pictures are read, too.

    Raises
    ------
    FormatError
        Empty, damaged, or larger than it may be.
    UnsupportedFormatError
        Of a format that is not read, or encrypted.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head.strip(b"\0 \t\r\n"):
        raise FormatError("is empty", remedy="give the document itself")
    reader = reader_of(head, path.name)
    try:
        return reader(path, pictures=True) if pictures and b"%PDF-" in head[:1024] else reader(path)
    except RetryLaterError as error:
        raise FormatError(error.what, remedy="copy it again in full") from error


def reader_of(head: bytes, name: str) -> Callable[..., Node]:
    """The function that reads a document with these first bytes. Raises UnsupportedFormatError."""
    if (by_mark := _by_mark(head)) is not None:
        return by_mark
    text = head.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("<"):
        return _of_markup(text)
    from frazil.models.documents.formats import keyed
    from frazil.models.documents.formats.plain_text import read_plain_text

    if head.startswith(b"\x1f\x8b") or re.match(r"(?:#[^\n]*\n|\s)*data_", text):
        return keyed.read_cif
    if text.startswith(("{", "[{", "[\n")):
        return keyed.read_json
    if name.lower().endswith(".mdoc") or re.search(r"(?m)^(?:PixelSpacing|Voltage|\[(?:ZValue|FrameSet|T)) = ", text):
        return keyed.read_mdoc_document
    if "\0" in text or text.count("\ufffd") > 0.05 * len(text):
        raise UnsupportedFormatError("is of no format that is read here", remedy=_REMEDY)
    return read_plain_text


def _by_mark(head: bytes) -> Callable[..., Node] | None:
    if b"%PDF-" in head[:1024]:
        from frazil.models.documents.formats.pdf import read_pdf

        return read_pdf
    if head.startswith(b"PK\x03\x04"):
        from frazil.models.documents.formats.docx import read_docx

        return read_docx
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnsupportedFormatError(
            "is an encrypted DOCX or an old Word file", remedy="save it as DOCX without a password, or export it as PDF"
        )
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")) or head[8:12] == b"WEBP":
        from frazil.models.documents.formats.picture import read_picture

        return read_picture
    return None


def _of_markup(text: str) -> Callable[..., Node]:
    from frazil.models.documents.formats import keyed

    root = re.search(r"<(?![?!])(?:\w+:)?(\w+)([^>]*)", text)
    name = root[1] if root else ""
    if name == "svg":
        raise UnsupportedFormatError(
            "is an SVG drawing, which may hold scripts and names files outside", remedy="export it as PNG and give that"
        )
    if name in ("MicroscopeImage", "EpuSessionXml"):
        return keyed.read_epu
    if name == "emd":
        return lambda path: keyed.read_header_xml(path, "EMDB header")
    if name in ("entry", "entries") and "empiar" in text.lower():
        return lambda path: keyed.read_header_xml(path, "EMPIAR header")
    if name == "article":
        from frazil.models.documents.formats.jats import read_jats

        return read_jats
    if name.lower() in ("html", "body", "head", "div", "p", "table", "h1", "h2") or "<!doctype html" in text.lower():
        from frazil.models.documents.formats.html import read_html

        return read_html
    raise UnsupportedFormatError(f"is XML of a kind that is not known here (<{name}>)", remedy=_REMEDY)
