"""Sixel (DEC VT340, 1987): six rows of pixels at a time, one character a column and colour."""

from __future__ import annotations

import re

from frazil.tui.graphics.canvas import PALETTE, Canvas

_RUN = re.compile(rb"(.)\1{3,}")
_BLANK, _BAND = 0x3F, 6


def sixel(canvas: Canvas) -> str:
    """The picture at the place of the cursor. Colours are in per cent, as the protocol has them."""
    rows, width = canvas.rows(), canvas.width_px
    head = f'\x1bP0;1;0q"1;1;{width};{canvas.height_px}'
    used = sorted(set(bytes(canvas.pixels)))
    colors = "".join(
        f"#{index};2;" + ";".join(str(round(value * 100 / 255)) for value in PALETTE[index]) for index in used
    )
    bands = (_band(rows[top : top + _BAND], width) for top in range(0, len(rows), _BAND))
    return f"{head}{colors}{'-'.join(bands)}\x1b\\"


def _band(rows: list[bytes], width: int) -> str:
    """Each colour of the band over the whole width, the carriage going back between them."""
    parts = []
    blank = int.from_bytes(bytes([_BLANK]) * width, "big")
    for index in sorted(set().union(*rows)):
        bits = blank
        for row_number, row in enumerate(rows):
            if index in row:
                # One byte a column: no carry, because the six rows' bits and the blank's 63 stay below 128.
                bits += int.from_bytes(row.translate(_only(index, 1 << row_number)), "big")
        parts.append(f"#{index}{_short(bits.to_bytes(width, 'big'))}")
    return "$".join(parts)


_TABLES: dict[tuple[int, int], bytes] = {}


def _only(index: int, bit: int) -> bytes:
    table = _TABLES.get((index, bit))
    if table is None:
        table = _TABLES[(index, bit)] = bytes(bit if value == index else 0 for value in range(256))
    return table


def _short(columns: bytes) -> str:
    """Runs of four and more as `!COUNT`."""
    trimmed = columns.rstrip(bytes([_BLANK]))
    return _RUN.sub(lambda run: b"!%d%c" % (len(run[0]), run[0][0]), trimmed).decode("ascii")
