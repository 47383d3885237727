"""Kitty's graphics protocol with Unicode placeholders (https://sw.kovidgoyal.net/kitty/graphics-protocol/).

The picture's bytes go to the terminal once; where it stands is told by characters, so that windows over it, scrolling
and other sizes are the business of those who draw text.
"""

from __future__ import annotations

import base64
import zlib

from frazil.tui.graphics.canvas import RGB, Canvas

_CHUNK = 4096
_PLACEHOLDER = "\U0010eeee"
_MARKS = (  # of rows and columns, in their order: `rowcolumn-diacritics.txt` of the protocol, `a-b` a run
    "305 30d-30e 310 312 33d-33f 346 34a-34c 350-352 357 35b 363-36f 483-487 592-595 597-599 59c-5a1 5a8-5a9 "
    "5ab-5ac 5af 5c4 610-617 657-65b 65d-65e 6d6-6dc 6df-6e2 6e4 6e7-6e8 6eb-6ec 730 732-733 735-736 73a 73d "
    "73f-741 743 745 747 749-74a 7eb-7f1 7f3 816-819 81b-823 825-827 829-82d 951 953-954 f82-f83 f86-f87 "
    "135d-135f 17dd 193a 1a17 1a75-1a7c 1b6b 1b6d-1b73 1cd0-1cd2 1cda-1cdb 1ce0 1dc0-1dc1 1dc3-1dc9 1dcb-1dcc "
    "1dd1-1de6 1dfe 20d0-20d1 20d4-20d7 20db-20dc 20e1 20e7 20e9 20f0 2cef-2cf1 2de0-2dff a66f a67c-a67d "
    "a6f0-a6f1 a8e0-a8f1 aab0 aab2-aab3 aab7-aab8 aabe-aabf aac1 fe20-fe26 10a0f 10a38 1d185-1d189 1d1aa-1d1ad "
    "1d242-1d244 "
)


def _marks() -> list[str]:
    found: list[str] = []
    for part in _MARKS.split():
        first, _, last = part.partition("-")
        found += [chr(code) for code in range(int(first, 16), int(last or first, 16) + 1)]
    return found


MARKS = _marks()
MOST_CELLS = len(MARKS)
"""A picture has at most so many columns and rows of cells."""


def transmit(canvas: Canvas, image_id: int, columns: int, rows: int) -> str:
    """Gives the terminal a picture, to be seen where `placeholders` stand, in a box of so many cells. The terminal is
    asked not to answer. `image_id`: 1 to 0xffffff."""
    data = base64.standard_b64encode(zlib.compress(canvas.rgb(), 1)).decode("ascii")
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    said = f"a=T,U=1,q=2,i={image_id},f=24,o=z,s={canvas.width_px},v={canvas.height_px},c={columns},r={rows},"
    parts = []
    for number, chunk in enumerate(chunks):
        more = 0 if number == len(chunks) - 1 else 1
        parts.append(f"\x1b_G{said if number == 0 else 'q=2,'}m={more};{chunk}\x1b\\")
    return "".join(parts)


def forget(image_id: int) -> str:
    """The terminal frees the picture."""
    return f"\x1b_Ga=d,d=I,q=2,i={image_id}\x1b\\"


def placeholders(columns: int, rows: int) -> list[str]:
    """The lines of text in whose place the terminal draws the picture whose id their colour is."""
    return ["".join(_PLACEHOLDER + MARKS[row] + MARKS[column] for column in range(columns)) for row in range(rows)]


def color_of(image_id: int) -> RGB:
    """The foreground that names a picture."""
    return image_id >> 16 & 255, image_id >> 8 & 255, image_id & 255
