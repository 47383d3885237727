"""PDF by PDFium: the text layer with boxes, page by page; pages without one are pictures, read as such.

Scripts of a PDF are never run: PDFium's wheel has no JavaScript, and forms are not started.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frazil.config.errors import FormatError, HeaderLimitError, UnsupportedFormatError
from frazil.models.documents.formats.layout import Piece, in_reading_order, nodes_of, rows_of
from frazil.models.documents.formats.picture import pieces_of_picture, reading_of_pictures
from frazil.models.documents.tree import Box, Kind, Node, Place

MAX_PAGES = 2000
MAX_PICTURE_PAGES = 20
_MAX_LETTERS = 200_000
"""Of one page; a page of a telephone book has 15,000."""
_MAX_PICTURE_PX = 25_000_000
_PICTURE_DPI = 150.0
_FEW_LETTERS = 12
_GAP = 1.8
"""Heights of the letters between two words from which on they stand apart."""
_SCRIPTED = re.compile(rb"/(?:JavaScript|JS|Launch|RichMedia|EmbeddedFile)\b")
_BROKEN = "save it again or ask for another copy"


def read_pdf(path: Path, *, pictures: bool = False) -> Node:
    """The tree of a PDF. `pictures`: pages without text are read by their looks (seconds each).

    Raises
    ------
    UnsupportedFormatError
        It is encrypted, or pypdfium2 is not installed.
    FormatError
        Damaged.
    HeaderLimitError
        More pages, or more letters on a page, than a document has.
    """
    try:
        import pypdfium2 as pdfium
    except ImportError as error:
        raise UnsupportedFormatError("is a PDF, which pypdfium2 reads", remedy="pip install pypdfium2") from error
    document = Node(Kind.DOCUMENT, name="PDF")
    if _SCRIPTED.search(path.read_bytes()):
        document.remarks.append("holds scripts, actions or attached files; none was run or opened")
    try:
        source = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if pdfium.raw.FPDF_GetLastError() == pdfium.raw.FPDF_ERR_PASSWORD or "assword" in str(error):
            raise UnsupportedFormatError("is encrypted", remedy="save it without a password") from error
        raise FormatError(f"is no PDF that can be read ({error})", remedy=_BROKEN) from error
    try:
        _read_pages(source, document, pictures and reading_of_pictures() is None)
    except pdfium.PdfiumError as error:
        raise FormatError(f"is damaged ({error})", remedy=_BROKEN) from error
    finally:
        source.close()
    return document


def picture_pages(document: Node) -> set[int]:
    """Numbers of the pages that hold figures and next to no text."""
    letters: dict[int | None, int] = {}
    for node in document.walk():
        if node.kind in (Kind.PARAGRAPH, Kind.CELL):
            letters[node.place.page] = letters.get(node.place.page, 0) + len(node.text)
    figures = {node.place.page for node in document.walk() if node.kind is Kind.FIGURE}
    return {page for page in figures if page is not None and letters.get(page, 0) < _FEW_LETTERS}


def _read_pages(source: Any, document: Node, look: bool) -> None:
    if len(source) > MAX_PAGES:
        raise HeaderLimitError(
            f"has {len(source):,} pages; at most {MAX_PAGES:,} are read", remedy="give the pages that matter"
        )
    document.text = (source.get_metadata_dict().get("Title") or "").strip()
    pictures: list[int] = []
    askew: set[int] = set()
    for index in range(len(source)):
        page = source[index]
        try:
            nodes, is_picture = _page(page, index + 1)
            document.children += nodes
            if is_picture:
                pictures.append(index)
                if look and len(pictures) <= MAX_PICTURE_PAGES:
                    document.children += _picture_page(page, index + 1)
        except UnsupportedFormatError as error:
            askew.add(index)
            document.remarks.append(f"page {index + 1} {error.what}, and was not read: {error.remedy}")
        finally:
            page.close()
    _tell_pictures(document, [index for index in pictures if index not in askew], look)


def _tell_pictures(document: Node, pictures: list[int], look: bool) -> None:
    if not pictures:
        return
    lacks = reading_of_pictures()
    if lacks is not None:
        document.remarks.append(f"{len(pictures)} page(s) are pictures without text, and were not read: {lacks}")
    elif not look:
        document.remarks.append(f"{len(pictures)} page(s) are pictures without text, and were not read")
    elif len(pictures) > MAX_PICTURE_PAGES:
        document.remarks.append(
            f"{len(pictures)} pages are pictures without text; the first {MAX_PICTURE_PAGES} were read"
        )
    else:
        document.remarks.append(f"{len(pictures)} page(s) are pictures without text, read by their looks")


def _page(page: Any, number: int) -> tuple[list[Node], bool]:
    """Parts of a page, and whether it is only a picture."""
    text_page = page.get_textpage()
    try:
        letters = text_page.count_chars()
        if letters > _MAX_LETTERS:
            raise HeaderLimitError(f"has {letters:,} letters on page {number}, more than a page holds")
        pieces = list(_pieces(text_page, page.get_height(), letters))
    finally:
        text_page.close()
    figures = list(_figures(page, number))
    return nodes_of(rows_of(pieces), number) + figures, letters < _FEW_LETTERS and bool(figures)


def _pieces(text_page: Any, height: float, letters: int) -> Iterator[Piece]:
    text = text_page.get_text_range(0, letters) if letters else ""
    if len(text) != letters:  # letters beyond the first plane count twice: places and text would part
        text = "".join(text_page.get_text_range(place, 1)[:1] or " " for place in range(letters))
    for line in re.finditer(r"[^\r\n\ufffe\u0002]+", text):
        begin, last = None, None
        for word in re.finditer(r"\S+", line[0]):
            box = _word_box(text_page, line.start() + word.start(), line.start() + word.end() - 1, height)
            if begin is not None and last is not None and box[0] - last[2] > _GAP * max(last[3] - last[1], 4.0):
                yield Piece(line[0][begin[0] : begin[1]], begin[2])
                begin = None
            begin = (word.start(), word.end(), box) if begin is None else (begin[0], word.end(), _joined(begin[2], box))
            last = box
        if begin is not None:
            yield Piece(line[0][begin[0] : begin[1]], begin[2])


def _word_box(text_page: Any, first: int, last: int, height: float) -> Box:
    left, bottom, right, top = text_page.get_charbox(first, loose=True)
    if last != first:
        _, low, right, high = text_page.get_charbox(last, loose=True)
        bottom, top = min(bottom, low), max(top, high)
    return (left, height - top, right, height - bottom)


def _joined(one: Box, other: Box) -> Box:
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))


def _figures(page: Any, number: int) -> Iterator[Node]:
    import pypdfium2.raw as raw

    height = page.get_height()
    for place, item in enumerate(page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3)):
        if place >= 200:
            return
        left, bottom, right, top = item.get_bounds() if hasattr(item, "get_bounds") else item.get_pos()
        yield Node(Kind.FIGURE, place=Place(number, (left, height - top, right, height - bottom)))


def _picture_page(page: Any, number: int) -> list[Node]:
    """A page without text, as a picture of so many dots an inch as its size allows."""
    width, height = page.get_width(), page.get_height()
    scale = min(_PICTURE_DPI / 72.0, (_MAX_PICTURE_PX / max(width * height, 1.0)) ** 0.5)
    bitmap = page.render(scale=scale)
    try:
        pieces = pieces_of_picture(bitmap.to_numpy()[..., :3].copy())
    finally:
        bitmap.close()
    on_page = [Piece(piece.text, tuple(edge / scale for edge in piece.box), piece.score) for piece in pieces]
    return nodes_of(in_reading_order(on_page, width), number)
