"""Pieces of text with boxes, as a page shows them, made into paragraphs and tables.

A row whose pieces stand apart is a table's; lines below one another are a paragraph's. A page of two columns is read
one column after the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from frazil.models.documents.tree import Box, Kind, Node, Place
from frazil.models.documents.units import plain

_MOST_CELLS = 12
_LABEL_LETTERS = 70
_PROSE_LETTERS = 25


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text on one line."""

    text: str
    box: Box
    score: float = 1.0

    @property
    def height(self) -> float:
        return max(self.box[3] - self.box[1], 0.1)

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2


def rows_of(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that follow one another on one line, left to right, as rows."""
    rows: list[list[Piece]] = []
    for piece in pieces:
        last = rows[-1][-1] if rows else None
        if (
            last is not None
            and abs(piece.middle - last.middle) < 0.5 * min(piece.height, last.height)
            and piece.box[0] >= last.box[2]
        ):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return rows


def nodes_of(rows: Sequence[Sequence[Piece]], page: int | None) -> list[Node]:
    """Paragraphs and tables of one page, in the order of its rows."""
    nodes: list[Node] = []
    lines: list[Piece] = []
    for row in rows:
        if 2 <= len(row) <= _MOST_CELLS and len(row[0].text) <= _LABEL_LETTERS:
            nodes += _paragraphs(lines, page)
            lines = []
            if not nodes or nodes[-1].kind is not Kind.TABLE:
                nodes.append(Node(Kind.TABLE, place=Place(page, row[0].box)))
            nodes[-1].children.append(_row(row, page))
        else:
            lines += row
    return nodes + _paragraphs(lines, page)


def _row(row: Sequence[Piece], page: int | None) -> Node:
    cells = [Node(Kind.CELL, plain(piece.text).strip(), Place(page, piece.box), score=piece.score) for piece in row]
    return Node(Kind.ROW, place=Place(page, _around(row)), children=cells, score=min(piece.score for piece in row))


def _around(pieces: Sequence[Piece]) -> Box:
    lefts, tops, rights, bottoms = zip(*(piece.box for piece in pieces), strict=True)
    return (min(lefts), min(tops), max(rights), max(bottoms))


def _paragraphs(lines: Sequence[Piece], page: int | None) -> list[Node]:
    nodes: list[Node] = []
    part: list[Piece] = []
    for line in lines:
        if part and _begins_new(part[-1], line):
            nodes.append(paragraph_of(part, page))
            part = []
        part.append(line)
    return [*nodes, paragraph_of(part, page)] if part else nodes


def _begins_new(before: Piece, line: Piece) -> bool:
    """A gap, or another size of letters; the top of the next column goes on with what was not finished."""
    if line.middle < before.middle:
        return before.text.rstrip().endswith((".", ":", "!", "?"))
    gap = line.box[1] - before.box[3]
    return gap > 0.9 * min(before.height, line.height) or not 0.6 < line.height / before.height < 1.6


def paragraph_of(lines: Sequence[Piece], page: int | None) -> Node:
    """Lines joined, words that were divided at a line's end put together."""
    text = ""
    marks: list[tuple[int, Place]] = []
    for line in lines:
        added = plain(line.text).strip()
        if not added:
            continue
        if re.search(r"[a-z]-$", text) and added[0].islower():
            text = text[:-1]
        elif text and not re.search(r"\d-$", text):
            text += " "
        marks.append((len(text), Place(page, line.box)))
        text += added
    score = sum(line.score for line in lines) / len(lines)
    return Node(Kind.PARAGRAPH, text, Place(page, _around(lines)), marks=tuple(marks), score=score)


def in_reading_order(pieces: Sequence[Piece], width: float) -> list[list[Piece]]:
    """Rows of pieces that came in any order: columns of prose one after the other, else row by row."""
    gutter = _gutter(pieces, width)
    if gutter is None:
        return _sorted_rows(pieces)
    left = [piece for piece in pieces if piece.box[2] <= gutter]
    right = [piece for piece in pieces if piece.box[0] >= gutter]
    across = [piece for piece in pieces if piece.box[0] < gutter < piece.box[2]]
    return _sorted_rows(across) + _sorted_rows(left) + _sorted_rows(right)


def _gutter(pieces: Sequence[Piece], width: float) -> float | None:
    best: tuple[int, float] | None = None
    for step in range(30, 71):
        x = width * step / 100.0
        crossing = sum(piece.box[0] < x < piece.box[2] for piece in pieces)
        left = [len(piece.text) for piece in pieces if piece.box[2] <= x]
        right = [len(piece.text) for piece in pieces if piece.box[0] >= x]
        if min(len(left), len(right)) < max(4, 0.2 * len(pieces)) or min(median(left), median(right)) < _PROSE_LETTERS:
            continue
        if crossing <= 0.1 * len(pieces) and (best is None or crossing < best[0]):
            best = (crossing, x)
    return None if best is None else best[1]


def _sorted_rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda one: one.middle):
        if rows and abs(piece.middle - median(one.middle for one in rows[-1])) < 0.5 * piece.height:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [_joined(sorted(row, key=lambda one: one.box[0])) for row in rows]


def _joined(row: Sequence[Piece]) -> list[Piece]:
    """Neighbours with no more than a word's gap are one piece."""
    joined: list[Piece] = []
    for piece in row:
        if joined and piece.box[0] - joined[-1].box[2] < 0.8 * piece.height:
            last = joined.pop()
            piece = Piece(f"{last.text} {piece.text}", _around((last, piece)), min(last.score, piece.score))
        joined.append(piece)
    return joined
