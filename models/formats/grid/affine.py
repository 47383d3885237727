"""Where on the stage a pixel of an image lies, fitted to points of which both are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from frazil.models.grid_target import GridTarget


@dataclass(frozen=True, slots=True)
class PixelToStage:
    """stage (um) = offset + matrix @ pixel; pixels of the full image from its top left corner, y down."""

    offset_um: tuple[float, float]
    matrix_um_per_px: tuple[tuple[float, float], tuple[float, float]]
    residual_um: float
    """Root mean square distance of the points from the fit."""
    point_count: int

    @property
    def um_per_px(self) -> float:
        """Side of a square pixel of the same area."""
        (a, b), (c, d) = self.matrix_um_per_px
        return float(abs(a * d - b * c) ** 0.5)

    def stage_um(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Stage position of a pixel."""
        (a, b), (c, d) = self.matrix_um_per_px
        return self.offset_um[0] + a * x_px + b * y_px, self.offset_um[1] + c * x_px + d * y_px

    def pixel(self, stage_x_um: float, stage_y_um: float) -> tuple[float, float]:
        """Pixel of a stage position."""
        offset = np.array([stage_x_um - self.offset_um[0], stage_y_um - self.offset_um[1]])
        x, y = np.linalg.solve(np.array(self.matrix_um_per_px), offset)
        return float(x), float(y)


def fit_pixel_to_stage(targets: Iterable[GridTarget]) -> PixelToStage | None:
    """Least squares over targets of one parent; None: fewer than four of them, or all on a line.

    Axes are turned, swapped and mirrored differently on every microscope, and pixels need not be square (EPU: 3 % off):
    nothing is assumed of them.
    """
    rows = [
        (one.x_in_parent_px, one.y_in_parent_px, one.stage_x_um, one.stage_y_um)
        for one in targets
        if None not in (one.x_in_parent_px, one.y_in_parent_px, one.stage_x_um, one.stage_y_um)
    ]
    if len(rows) < 4:
        return None
    points = np.array(rows, dtype=np.float64)
    centre = points.mean(axis=0)
    about = points - centre
    pixels, stage = about[:, :2], about[:, 2:]
    if np.linalg.matrix_rank(pixels, tol=1e-6 * np.abs(pixels).max(initial=0.0)) < 2:
        return None
    matrix = np.linalg.lstsq(pixels, stage, rcond=None)[0].T
    offset = centre[2:] - matrix @ centre[:2]
    residual_um = float(np.sqrt(np.mean(np.sum((stage - pixels @ matrix.T) ** 2, axis=1))))
    (a, b), (c, d) = matrix.tolist()
    return PixelToStage((float(offset[0]), float(offset[1])), ((a, b), (c, d)), residual_um, len(rows))
