"""All that a document says: its tree gone through part by part, quantities added to it where they stand."""

from __future__ import annotations

import re
from dataclasses import replace

from frazil.models.documents.entries import findings_of_entries, findings_of_titles
from frazil.models.documents.fields import Field
from frazil.models.documents.findings import GUESSED, SAID, Finding
from frazil.models.documents.labels import findings_of_line, findings_of_row, label_at
from frazil.models.documents.names import names_in
from frazil.models.documents.phrases import findings_in
from frazil.models.documents.quantities import quantities, with_points
from frazil.models.documents.tree import Kind, Node, Place
from frazil.models.documents.units import plain
from frazil.models.documents.vocabulary import terms_in

MAX_LETTERS, MAX_FINDINGS = 4_000_000, 5000
"""Some thousand pages; papers have some 50 values, an atlas of many sessions some hundred."""
_PICTURE_SCORE = 0.9
"""Words of a picture that are read less surely than this mark the values in them."""
_REFERENCES = re.compile(
    r"^\W*(?:references|bibliography|acknowledge?ments|supplementary references)\W*$", re.IGNORECASE
)

_READ_AGAIN = re.compile(
    r"^\W*(?:[\dIVX]+\.?\s)?(?:(?:online |star\W? |extended |supplement\w+ )?(?:materials? (?:and|&) )?methods|"
    r"experimental procedures|extended data|supplement(?:ary|al)\b|appendix|table s?\d)",
    re.IGNORECASE,
)
"""Headings that may follow references, with values under them."""
_HEADING = 40
"""A paragraph shorter than this may be a heading."""


def findings_of(document: Node, name: str) -> list[Finding]:
    """What a document says, in the order of its parts. `name`: of the file."""
    found = findings_of_entries(document, name) + findings_of_titles(document, name)
    return found + _of_parts(document, name) + _of_title(document, name)


def _of_parts(document: Node, name: str) -> list[Finding]:
    found: list[Finding] = []
    ended, letters, left_out = False, 0, 0
    for node in document.walk():
        letters += len(node.text)
        if letters > MAX_LETTERS or len(found) > MAX_FINDINGS:
            document.remarks.append(
                f"holds more than {MAX_LETTERS:,} letters or {MAX_FINDINGS:,} values; the rest was not looked at"
            )
            break
        ended = _is_in_references(node, ended)
        if node.kind is Kind.TABLE:
            found += _of_table(node, name, sentences=not ended)
        elif node.kind is Kind.PARAGRAPH and ended:
            left_out += 1
        elif node.kind is Kind.PARAGRAPH:
            found += _of_paragraph(node, name)
    if left_out:
        document.remarks.append(f"{left_out} paragraph(s) of references and acknowledgements were not looked at")
    return found


def _is_in_references(node: Node, before: bool) -> bool:
    """Whether references or acknowledgements go on at this part. `before`: whether they did at the one before it.

    A PDF has no sections: there a short paragraph is their heading, and that of what follows them.
    """
    if node.kind is Kind.SECTION:
        return _REFERENCES.match(node.name) is not None
    if node.kind is not Kind.PARAGRAPH or len(node.text) >= _HEADING:
        return before
    if _REFERENCES.match(node.text) is not None:
        return True
    return before and _READ_AGAIN.match(node.text) is None


def _of_paragraph(node: Node, name: str) -> list[Finding]:
    text = with_points(plain(node.text))
    found: list[Finding] = []
    lines = _lines(node, text)
    labelled = [(begin, line) for begin, line in lines if label_at(line) is not None or ":" in line[:60]]
    for begin, line in labelled:
        found += findings_of_line(line, node.place_at(begin), name)
    if not found or len(labelled) < len(lines):
        known = {(finding.field, finding.value) for finding in found}
        said = findings_in(node, text, name) + names_in(node, text, name)
        found += [finding for finding in said if (finding.field, finding.value) not in known]
    node.children += [
        Node(Kind.QUANTITY, text[one.begin : one.end], node.place_at(one.begin))
        for one in quantities(text)
        if one.powers or one.tag
    ]
    return [_by_looks(finding, node.score) for finding in found]


def _by_looks(finding: Finding, score: float) -> Finding:
    """A finding of letters that were read with this certainty."""
    if score == 1.0:
        return finding
    read = replace(finding, confidence=finding.confidence * score, notes=(*finding.notes, "read from a picture"))
    return read.doubted("its letters are not sure") if score < _PICTURE_SCORE else read


def _lines(node: Node, text: str) -> list[tuple[int, str]]:
    """Offset and text of each line; of a paragraph without lines of its own the whole, if it is short."""
    if not node.marks:
        return [(0, text)] if len(text) < 300 else []
    begins = [offset for offset, _ in node.marks]
    return [(begin, text[begin:end].strip()) for begin, end in zip(begins, [*begins[1:], len(text)], strict=True)]


def _of_table(table: Node, name: str, *, sentences: bool) -> list[Finding]:
    """`sentences`: also those of long cells; a list of references that looks like a table has only such cells."""
    rows = [[(with_points(plain(_text(cell))).strip(), cell.place) for cell in row.children] for row in table.children]
    nodes = table.children
    if _is_lying(rows):
        rows, nodes = [list(column) for column in zip(*rows, strict=True)], [table] * len(rows[0])
    found: list[Finding] = []
    for row, node in zip(rows, nodes, strict=True):
        found += [_by_looks(finding, node.score) for finding in findings_of_row(row, name)]
        for text, _ in row:
            if sentences and len(text) > 60:
                found += findings_in(node, text, name) + names_in(node, text, name)
    return found


def _text(cell: Node) -> str:
    return " ".join([cell.text, *(child.text for child in cell.children if child.kind is Kind.PARAGRAPH)]).strip()


def _is_lying(rows: list[list[tuple[str, Place]]]) -> bool:
    """Whether labels stand in the first row and not in the first column."""
    if len(rows) < 2 or len(rows[0]) < 3 or len({len(row) for row in rows}) > 1:
        return False
    across = sum(label_at(text) is not None for text, _ in rows[0])
    down = sum(label_at(row[0][0]) is not None for row in rows)
    return across >= 3 and across > down


def _of_title(document: Node, name: str) -> list[Finding]:
    """Kind of sample, from the title and what follows at once."""
    found: list[Finding] = []
    texts = [(document, document.text)] if document.text else []
    texts += [
        (node, node.text or node.name) for node in document.walk() if node.kind in (Kind.PARAGRAPH, Kind.SECTION)
    ][:12]
    for node, text in texts:
        for value, begin, _ in terms_in(Field.SAMPLE_KIND, text)[:1]:
            words = text[max(0, begin - 40) : begin + 60]
            found.append(
                Finding(Field.SAMPLE_KIND, value, None, name, node.place, words, SAID if not found else GUESSED)
            )
    return found[:1]
