"""From the daemon's gray picture and what lies over it to what the terminal is given. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.strip import Strip

from frazil.daemon.transport.messages import REGION_BITS, PictureReply, Row
from frazil.tui.graphics import kitty
from frazil.tui.graphics.canvas import Canvas, bar, bar_length, canvas_of, circle, resized, tint
from frazil.tui.graphics.halfblocks import picture_strips
from frazil.tui.graphics.sixel import sixel
from frazil.tui.graphics.terminal import Graphics

_WORTH_ENLARGING = 1.15
_BAR_SHARE = 0.3
_THICK_RING_PX = 10.0
_MOST_PICKS = 5000


@dataclass(frozen=True, slots=True)
class Marks:
    """What lies over a micrograph.

    Parameters
    ----------
    picks:
        Rows of the query `picks`; None: not asked for.
    regions:
        What picking left out, of the same part of the picture; None: not asked for, or not kept.
    """

    picks: Sequence[Row] | None = None
    regions: PictureReply | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture is to stand: cells across and down, on which terminal."""

    columns: int
    rows: int
    graphics: Graphics
    many_colors: bool = True

    @property
    def box_px(self) -> tuple[int, int]:
        """Pixels that fit."""
        width, height = self.graphics.cell_px
        return self.columns * width, self.rows * height


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture that can be shown.

    Parameters
    ----------
    strips:
        Half blocks, whatever the terminal: where something lies over the picture these are what is seen.
    columns, rows:
        Cells that the picture takes.
    escape:
        For `sixel`: what draws it at the cursor. Empty: there is nothing but the half blocks (and, for `kitty`,
        `canvas`, which is sent under an id).
    scale:
        Length of the scale bar in words; empty: there is none.
    with_regions:
        What picking left out was there to be shown, be it nothing.
    """

    strips: list[Strip]
    columns: int
    rows: int
    canvas: Canvas
    escape: str = ""
    scale: str = ""
    with_regions: bool = False


def drawn(reply: PictureReply, marks: Marks, place: Place) -> Drawn:
    """The picture as large as its place allows, with its marks. Raises ValueError for a damaged reply."""
    gray, width, height = _enlarged(reply, place)
    canvas = canvas_of(gray, width, height)
    if marks.regions is not None and marks.regions.width_px and marks.regions.height_px:
        bits = resized(marks.regions.gray, marks.regions.width_px, marks.regions.height_px, width, height)
        for bit in range(len(REGION_BITS)):
            tint(canvas, bits, bit, bit)
    _draw_picks(canvas, reply, marks.picks or ())
    scale = _draw_bar(canvas, reply)
    if not place.graphics.in_pixels:
        strips = picture_strips(canvas, many_colors=place.many_colors)
        return Drawn(strips, width, len(strips), canvas, "", scale, marks.regions is not None)
    cell_width, cell_height = place.graphics.cell_px
    columns, rows = max(1, -(-width // cell_width)), max(1, -(-height // cell_height))
    coarse = resized(bytes(canvas.pixels), width, height, columns, 2 * rows)
    strips = picture_strips(Canvas(columns, 2 * rows, bytearray(coarse)), many_colors=place.many_colors)
    escape = sixel(canvas) if place.graphics.kind == "sixel" else ""
    return Drawn(strips, columns, rows, canvas, escape, scale, marks.regions is not None)


def _enlarged(reply: PictureReply, place: Place) -> tuple[bytes, int, int]:
    """The nearest pixels; half blocks by whole factors only, so that no pixel is wider than its neighbour."""
    width, height = reply.width_px, reply.height_px
    most_width, most_height = place.box_px
    if len(reply.gray) != width * height or not width or not height:
        raise ValueError(f"{len(reply.gray)} bytes are no picture of {width} x {height} px")
    if place.graphics.kind == "kitty":
        most_width = min(most_width, kitty.MOST_CELLS * place.graphics.cell_px[0])
    factor = min(most_width / width, most_height / height)
    if not place.graphics.in_pixels and factor >= 1:
        factor = float(int(factor))
    if 1 <= factor < _WORTH_ENLARGING:
        return reply.gray, width, height
    new_width = min(most_width, max(1, round(width * factor)))
    new_height = min(most_height, max(1, round(height * factor)))
    return resized(reply.gray, width, height, new_width, new_height), new_width, new_height


def _draw_picks(canvas: Canvas, reply: PictureReply, picks: Sequence[Row]) -> None:
    """Rings of the particles' diameter. Places are pixels of the micrograph, whose row 0 is at the bottom."""
    field_width, field_height = reply.field_px
    if not (field_width and field_height):
        return
    left, top, across, down = reply.part
    px_per_own = canvas.width_px / (across * field_width)
    for pick in picks[:_MOST_PICKS]:
        x, y, diameter = (pick.get(name) for name in ("x_px", "y_px", "diameter_angstrom"))
        if not (isinstance(x, int | float) and isinstance(y, int | float)):
            continue
        at_x = ((x + 0.5) / field_width - left) / across * canvas.width_px - 0.5
        at_y = ((field_height - y - 0.5) / field_height - top) / down * canvas.height_px - 0.5
        radius = 0.0
        if isinstance(diameter, int | float) and reply.field_pixel_angstrom > 0:
            radius = 0.5 * diameter / reply.field_pixel_angstrom * px_per_own
        circle(canvas, at_x, at_y, radius, width_px=2 if radius >= _THICK_RING_PX else 1)


def _draw_bar(canvas: Canvas, reply: PictureReply) -> str:
    """Its length in words."""
    field_width = reply.field_px[0]
    if not field_width or reply.field_pixel_angstrom <= 0:
        return ""
    angstrom_per_px = field_width * reply.part[2] * reply.field_pixel_angstrom / canvas.width_px
    length = bar_length(angstrom_per_px, int(_BAR_SHARE * canvas.width_px))
    if length is None:
        return ""
    bar(canvas, max(1, round(length / angstrom_per_px)), max(1, canvas.height_px // 100))
    return f"{length / 10:g} nm" if length >= 100 else f"{length:g} Å"
