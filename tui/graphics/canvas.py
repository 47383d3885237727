"""A gray picture with marks over it, as indices into one palette: circles around picks, tints of masks, a scale bar.

Bytes only, no numpy: the screen starts without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

LEVELS = 32
"""Gray levels that are told apart: fewer styles, fewer escape sequences over a slow line, no visible steps."""
RGB = tuple[int, int, int]

_TINTS: tuple[RGB, ...] = ((230, 159, 0), (204, 121, 167), (86, 180, 233))
"""Of masks, one after the other (Okabe and Ito's orange, purple, blue)."""
_TINT_SHARE = 0.45
PICK, WHITE, BLACK = (LEVELS * (1 + len(_TINTS)) + number for number in range(3))
MOST_TINTS = len(_TINTS)


def _grays() -> list[RGB]:
    return [(v, v, v) for v in (round(i * 255 / (LEVELS - 1)) for i in range(LEVELS))]


def _tinted(gray: RGB, tint: RGB) -> RGB:
    red, green, blue = (round(g * (1 - _TINT_SHARE) + t * _TINT_SHARE) for g, t in zip(gray, tint, strict=True))
    return red, green, blue


PALETTE: tuple[RGB, ...] = (
    *_grays(),
    *(_tinted(gray, tint) for tint in _TINTS for gray in _grays()),
    (0, 240, 150),
    (255, 255, 255),
    (0, 0, 0),
)
_TO_LEVEL = bytes(value * LEVELS >> 8 for value in range(256))


def _tinting(number: int) -> bytes:
    """From any index to the same gray under a tint; marks stay."""
    return bytes(i % LEVELS + LEVELS * (number + 1) if i < PICK else i for i in range(256))


_TO_TINT = tuple(_tinting(number) for number in range(MOST_TINTS))


@dataclass(frozen=True, slots=True)
class Canvas:
    """`pixels[y * width_px + x]` is an index into `PALETTE`; row 0 on top."""

    width_px: int
    height_px: int
    pixels: bytearray

    def rows(self) -> list[bytes]:
        """From the top."""
        width, data = self.width_px, bytes(self.pixels)
        return [data[start : start + width] for start in range(0, width * self.height_px, width)]

    def rgb(self) -> bytes:
        """Three bytes a pixel."""
        out = bytearray(3 * len(self.pixels))
        for channel in range(3):
            table = bytes(PALETTE[i][channel] if i < len(PALETTE) else 0 for i in range(256))
            out[channel::3] = self.pixels.translate(table)
        return bytes(out)


def canvas_of(gray: bytes, width_px: int, height_px: int) -> Canvas:
    """An 8-bit gray picture. Raises ValueError when `gray` does not hold `width_px * height_px` bytes."""
    if len(gray) != width_px * height_px:
        raise ValueError(f"{len(gray)} bytes are no picture of {width_px} x {height_px} px")
    return Canvas(width_px, height_px, bytearray(gray.translate(_TO_LEVEL)))


def resized(data: bytes, width_px: int, height_px: int, new_width_px: int, new_height_px: int) -> bytes:
    """The nearest pixels of a picture of one byte a pixel."""
    if (width_px, height_px) == (new_width_px, new_height_px):
        return data
    columns = [(2 * x + 1) * width_px // (2 * new_width_px) for x in range(new_width_px)]
    chosen = itemgetter(*columns) if new_width_px > 1 else None
    known: dict[int, bytes] = {}
    out = []
    for y in range(new_height_px):
        at = (2 * y + 1) * height_px // (2 * new_height_px)
        if at not in known:
            row = data[at * width_px : (at + 1) * width_px]
            known[at] = bytes(chosen(row)) if chosen is not None else row[columns[0] : columns[0] + 1]
        out.append(known[at])
    return b"".join(out)


def tint(canvas: Canvas, classes: bytes, bit: int, number: int) -> None:
    """Colours where `classes` (a byte a pixel of the canvas) has this bit with tint `number`, from 0 on."""
    width, table = canvas.width_px, _TO_TINT[number]
    flags = classes.translate(bytes(1 if value >> bit & 1 else 0 for value in range(256)))
    for top in range(0, len(flags), width):
        row = flags[top : top + width]
        start = row.find(1)
        while start >= 0:
            end = row.find(0, start)
            end = width if end < 0 else end
            canvas.pixels[top + start : top + end] = canvas.pixels[top + start : top + end].translate(table)
            start = row.find(1, end)


def circle(canvas: Canvas, x_px: float, y_px: float, radius_px: float, *, width_px: int = 1) -> None:
    """A ring in the picks' colour, `width_px` wide inwards; what lies outside of the canvas is left out."""
    for ring in range(width_px):
        radius = max(0.5, radius_px - ring)
        steps = max(8, math.ceil(2 * math.pi * radius * 1.2))
        for step in range(steps):
            angle = 2 * math.pi * step / steps
            _put(canvas, round(x_px + radius * math.cos(angle)), round(y_px + radius * math.sin(angle)), PICK)


def _put(canvas: Canvas, x: int, y: int, index: int) -> None:
    if 0 <= x < canvas.width_px and 0 <= y < canvas.height_px:
        canvas.pixels[y * canvas.width_px + x] = index


def bar(canvas: Canvas, length_px: int, thickness_px: int) -> None:
    """A scale bar at the lower left, white in a black frame."""
    margin = 2 * thickness_px
    left, top = margin, canvas.height_px - margin - thickness_px
    for y in range(top - 1, top + thickness_px + 1):
        inside = top <= y < top + thickness_px
        for x in range(left - 1, left + length_px + 1):
            _put(canvas, x, y, WHITE if inside and left <= x < left + length_px else BLACK)


def bar_length(angstrom_per_px: float, most_px: int) -> float | None:
    """Of a scale bar, in angstrom: 1, 2 or 5 times a power of ten, at most `most_px` long; None: there is no scale.

    >>> bar_length(8.0, 40)
    200.0
    """
    if angstrom_per_px <= 0 or most_px < 1:
        return None
    most = angstrom_per_px * most_px
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))


def tint_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names of masks with the colour (`#rrggbb`) that each has over the picture."""
    return [(name, "#{:02x}{:02x}{:02x}".format(*tint)) for name, tint in zip(names, _TINTS, strict=False)]
