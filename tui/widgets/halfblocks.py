"""A gray picture in a text terminal: each cell shows two pixels, one above the other.

With many colours `▀` is drawn in the upper pixel's gray on the lower one's; on a terminal of 16 colours or none,
shades ` ░▒▓█` of the two pixels' mean.
"""

from __future__ import annotations

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

_SHADES = " ░▒▓█"
_LEVELS = 32
"""Gray levels that are told apart: fewer styles, fewer escape sequences over a slow line, no visible steps."""

_GRAYS = tuple(Color.from_rgb(v, v, v) for v in (round(i * 255 / (_LEVELS - 1)) for i in range(_LEVELS)))
_styles: dict[tuple[int, int], Style] = {}


def picture_strips(gray: bytes, width_px: int, height_px: int, *, many_colors: bool = True) -> list[Strip]:
    """Rows of cells, `width_px` wide and `ceil(height_px / 2)` high.

    Raises ValueError when `gray` does not hold `width_px * height_px` bytes.
    """
    if len(gray) != width_px * height_px:
        raise ValueError(f"{len(gray)} bytes are no picture of {width_px} x {height_px} px")
    strips: list[Strip] = []
    for y in range(0, height_px, 2):
        upper = gray[y * width_px : (y + 1) * width_px]
        lower = gray[(y + 1) * width_px : (y + 2) * width_px] if y + 1 < height_px else upper
        strips.append(Strip(_runs(upper, lower) if many_colors else _shaded(upper, lower), width_px))
    return strips


def middle(gray: bytes, width_px: int, height_px: int, max_width_px: int, max_height_px: int) -> tuple[bytes, int, int]:
    """The middle of a picture that is larger than its place: pixels, width, height."""
    width, height = min(width_px, max_width_px), min(height_px, max_height_px)
    left, top = (width_px - width) // 2, (height_px - height) // 2
    rows = (gray[y * width_px + left : y * width_px + left + width] for y in range(top, top + height))
    return b"".join(rows), width, height


def _runs(upper: bytes, lower: bytes) -> list[Segment]:
    segments: list[Segment] = []
    run, length = (-1, -1), 0
    for a, b in zip(upper, lower, strict=True):
        pair = (a * _LEVELS >> 8, b * _LEVELS >> 8)
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
        style = _styles[pair] = Style.from_color(_GRAYS[pair[0]], _GRAYS[pair[1]])
    return style


def _shaded(upper: bytes, lower: bytes) -> list[Segment]:
    levels = len(_SHADES)
    return [Segment("".join(_SHADES[(a + b) * levels // 512] for a, b in zip(upper, lower, strict=True)))]
