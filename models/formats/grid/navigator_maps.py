"""Where a place on the stage lies in a map of SerialEM's navigator, and the other way round.

`MapScaleMat` takes um of the stage to pixels of the map's image as it was when the map was made, y down (SerialEM
inverts y of its camera coordinates for it: ComputeStageToImage in its NavigatorDlg.cpp); the image's middle is the
map's `StageXYZ`. Coordinates that SerialEM takes from outside (`CoordsInMap`) count y from the bottom. On some
microscopes the stage's axes are swapped: the matrix is always used whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from frazil.models.formats.grid.navigator import NavigatorSection


@dataclass(frozen=True, slots=True)
class NavigatorMap:
    """Scale and place of one map."""

    map_id: str
    label: str
    width_px: int
    height_px: int
    stage_um: tuple[float, float]
    px_per_um: tuple[float, float, float, float]
    """`MapScaleMat`: xx, xy, yx, yy."""

    @property
    def field_um(self) -> float:
        """The longer side of the image on the specimen."""
        a, b, c, d = self.px_per_um
        return float(max(self.width_px, self.height_px) / abs(a * d - b * c) ** 0.5)

    def pixel(self, stage_x_um: float, stage_y_um: float) -> tuple[float, float]:
        """Of a stage position; y down from the top left corner."""
        a, b, c, d = self.px_per_um
        x_um, y_um = stage_x_um - self.stage_um[0], stage_y_um - self.stage_um[1]
        return self.width_px / 2 + a * x_um + b * y_um, self.height_px / 2 + c * x_um + d * y_um

    def stage(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Of a pixel; y down from the top left corner."""
        a, b, c, d = self.px_per_um
        determinant = a * d - b * c
        x, y = x_px - self.width_px / 2, y_px - self.height_px / 2
        return (
            self.stage_um[0] + (d * x - b * y) / determinant,
            self.stage_um[1] + (a * y - c * x) / determinant,
        )

    def holds(self, stage_x_um: float, stage_y_um: float) -> bool:
        """Whether a stage position is in the image."""
        x, y = self.pixel(stage_x_um, stage_y_um)
        return 0 <= x <= self.width_px and 0 <= y <= self.height_px


def map_of(item: NavigatorSection) -> NavigatorMap | None:
    """The map that an item is; None: it is none, or does not say its scale."""
    if item.values.get("Type") != "2":
        return None
    stage, scale, size = (item.numbers(key) for key in ("StageXYZ", "MapScaleMat", "MapWidthHeight"))
    if len(stage) < 2 or len(scale) != 4 or len(size) != 2 or min(size) < 1:
        return None
    a, b, c, d = scale
    if abs(a * d - b * c) < 1e-12:
        return None
    map_id = item.values.get("MapID", "")
    return NavigatorMap(map_id, item.label, int(size[0]), int(size[1]), (stage[0], stage[1]), (a, b, c, d))
