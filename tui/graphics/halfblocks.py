"""A picture in a text terminal: each cell shows two pixels, one above the other.

With many colours `▀` is drawn in the upper pixel's colour on the lower one's; on a terminal of 16 colours or none,
shades ` ░▒▓█` of the two pixels' mean, `o` on a pick's ring and `x` where a mask lies.
"""

from __future__ import annotations

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from frazil.tui.graphics.canvas import BLACK, LEVELS, PALETTE, PICK, WHITE, Canvas

_SHADES = " ░▒▓█"
_COLORS = tuple(Color.from_rgb(*color) for color in PALETTE)
_styles: dict[tuple[int, int], Style] = {}


def picture_strips(canvas: Canvas, *, many_colors: bool = True) -> list[Strip]:
    """Rows of cells, as wide as the canvas and half as high."""
    rows = canvas.rows()
    strips: list[Strip] = []
    for y in range(0, len(rows), 2):
        upper = rows[y]
        lower = rows[y + 1] if y + 1 < len(rows) else upper
        strips.append(Strip(_runs(upper, lower) if many_colors else _shaded(upper, lower), canvas.width_px))
    return strips


def _runs(upper: bytes, lower: bytes) -> list[Segment]:
    segments: list[Segment] = []
    run, length = (-1, -1), 0
    for pair in zip(upper, lower, strict=True):
        if pair == run:
            length += 1
            continue
        if length:
            segments.append(Segment("▀" * length, _style(run)))
        run, length = pair, 1
    if length:
        segments.append(Segment("▀" * length, _style(run)))
    return segments


def _style(pair: tuple[int, int]) -> Style:
    style = _styles.get(pair)
    if style is None:
        style = _styles[pair] = Style.from_color(_COLORS[pair[0]], _COLORS[pair[1]])
    return style


def _shaded(upper: bytes, lower: bytes) -> list[Segment]:
    return [Segment("".join(_shade(a, b) for a, b in zip(upper, lower, strict=True)))]


def _shade(a: int, b: int) -> str:
    if PICK in (a, b):
        return "o"
    if WHITE in (a, b):
        return "█"
    if BLACK in (a, b):
        return " "
    if max(a, b) >= LEVELS:
        return "x"
    return _SHADES[(a + b) * len(_SHADES) // (2 * LEVELS)]
