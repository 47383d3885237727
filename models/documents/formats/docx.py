"""DOCX: a ZIP archive of XML. Only the main text is read, and no more of it than its own size can be."""

from __future__ import annotations

import zipfile
from pathlib import Path

from frazil.config.errors import FormatError, HeaderLimitError, UnsupportedFormatError
from frazil.models.documents.formats.markup import MarkupTree
from frazil.models.documents.formats.mixed_xml import tell_xml
from frazil.models.documents.tree import Kind, Node

_MAIN = "word/document.xml"
_MAX_XML_BYTES = 64 * 1024**2
_MAX_MEMBERS = 5000
_MAX_RATIO = 200.0
"""Word's XML shrinks some 10 to 40 times."""
_FREE_BYTES = 2 * 1024**2
_BLOCKS = {"p": Kind.PARAGRAPH, "tbl": Kind.TABLE, "tr": Kind.ROW, "tc": Kind.CELL}


def read_docx(path: Path) -> Node:
    """The tree of a DOCX file.

    Raises
    ------
    FormatError
        No ZIP archive, damaged, or without a main text.
    UnsupportedFormatError
        Encrypted, or another kind of archive.
    HeaderLimitError
        A decompression bomb.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            data, macros = _main_text(archive)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise FormatError(f"is a damaged DOCX ({error})", remedy="save it again, or export it as PDF") from error
    reader = _Reader()
    tell_xml(data, reader.opened, reader.said, reader.closed)
    document = reader.tree.finished()
    if macros:
        document.remarks.append("holds macros, which were not run")
    return document


def _main_text(archive: zipfile.ZipFile) -> tuple[bytes, bool]:
    members = {member.filename: member for member in archive.infolist()}
    main = members.get(_MAIN)
    if main is None:
        raise UnsupportedFormatError(
            "is a ZIP archive, but no DOCX (it has no word/document.xml)",
            remedy="give the document itself, not an archive",
        )
    if main.flag_bits & 1:
        raise UnsupportedFormatError("is encrypted", remedy="save it without a password")
    total = sum(member.file_size for member in members.values())
    ratio = main.file_size / max(main.compress_size, 1)
    if (
        len(members) > _MAX_MEMBERS
        or main.file_size > _MAX_XML_BYTES
        or (ratio > _MAX_RATIO and main.file_size > _FREE_BYTES)
    ):
        raise HeaderLimitError(
            f"would decompress to {total:,} bytes in {len(members):,} parts ({ratio:.0f} times its size): a "
            f"decompression bomb",
            remedy="do not trust this file; ask its author for a PDF",
        )
    with archive.open(main) as stream:
        data = stream.read(_MAX_XML_BYTES + 1)
    if len(data) > _MAX_XML_BYTES:
        raise HeaderLimitError(
            f"decompresses to more than {_MAX_XML_BYTES:,} bytes, and to more than it says: a decompression bomb",
            remedy="do not trust this file; ask its author for a PDF",
        )
    return data, any(name.endswith("vbaProject.bin") for name in members)


class _Reader:
    def __init__(self) -> None:
        self.tree = MarkupTree("DOCX")
        self._level: int | None = None
        self._in_text = False
        self._raised = False
        self._formula: list[str] | None = None
        self._cells = 0

    def opened(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in _BLOCKS:
            self._open_block(tag)
        elif tag == "pStyle":
            self._level = _heading_level(attributes.get("val", "").lower())
        elif tag == "t":
            self._in_text = True
            if self._raised and self._formula is None:
                self.tree.begin_raised()
        elif tag == "vertAlign":
            self._raised = attributes.get("val") == "superscript"
        elif tag == "oMath":
            self._formula = []
        elif tag in ("drawing", "pict"):
            self.tree.add_part(Kind.FIGURE)
        elif tag in ("tab", "br"):
            self.tree.add_text(" ")

    def _open_block(self, tag: str) -> None:
        if tag == "p":
            self._level = None
        if tag == "p" and self._cells:
            self.tree.add_text(" ")
        else:
            self.tree.begin_block(_BLOCKS[tag])
        self._cells += tag == "tc"

    def closed(self, tag: str) -> None:
        if tag == "t":
            self._in_text = False
            if self._raised and self._formula is None:
                self.tree.end_raised()
        elif tag == "r":
            self._raised = False
        elif tag == "oMath":
            self.tree.add_part(Kind.FORMULA, "".join(self._formula or ()))
            self._formula = None
        elif tag in _BLOCKS:
            self._close_block(tag)

    def _close_block(self, tag: str) -> None:
        self._cells -= tag == "tc"
        if tag == "p" and self._cells:
            return
        if tag == "p" and self._level is not None:
            title = self.tree.block_text()
            self.tree.drop_text()
            self.tree.end_block(Kind.PARAGRAPH)
            self.tree.begin_section(self._level)
            self.tree.title_section(title)
            self._level = None
        else:
            self.tree.end_block(_BLOCKS[tag])

    def said(self, text: str) -> None:
        if self._in_text:
            if self._formula is not None:
                self._formula.append(text)
            else:
                self.tree.add_text(text)


def _heading_level(style: str) -> int | None:
    if not style.startswith(("heading", "title")):
        return None
    return int(style[-1]) if style[-1:].isdigit() else 1
