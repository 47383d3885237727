"""The path of the specimen during one movie, drawn with the same scale along x and y."""

from __future__ import annotations

from collections.abc import Sequence

from frazil.daemon.transport.messages import Rows
from frazil.tui.widgets.plot_values import finite
from frazil.tui.widgets.sized_plot import SizedPlot, rgb
from frazil.tui.words.palette import BLUE, ORANGE

_BRAILLE_X_PER_Y = 1.0
"""A cell is about twice as high as wide and holds 2 x 4 braille dots: dots are square."""


def square_limits(
    x: Sequence[float], y: Sequence[float], width_cells: int, height_cells: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Axis ranges that hold all points and give one angstrom the same length along both axes."""
    half_x = max((max(x) - min(x)) / 2, 0.5) * 1.15
    half_y = max((max(y) - min(y)) / 2, 0.5) * 1.15
    dots_x, dots_y = 2 * max(1, width_cells), 4 * max(1, height_cells)
    per_dot = max(half_x / dots_x, half_y / dots_y) * _BRAILLE_X_PER_Y
    center_x, center_y = (max(x) + min(x)) / 2, (max(y) + min(y)) / 2
    return (
        (center_x - per_dot * dots_x, center_x + per_dot * dots_x),
        (center_y - per_dot * dots_y, center_y + per_dot * dots_y),
    )


class MotionPlot(SizedPlot):
    """Whole-frame shifts in angstrom; the first frame is marked `1`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("motion, Å", id=id)
        self._x: list[float] = []
        self._y: list[float] = []
        self._text = ""

    def show_shifts(self, answer: Rows | str) -> None:
        """Rows of the query `frame_shifts`, or why there are none."""
        self._x, self._y, self._text = [], [], ""
        if isinstance(answer, str):
            self._text = answer
        else:
            for row in answer.as_dicts():
                x, y = finite(row["shift_x_angstrom"]), finite(row["shift_y_angstrom"])
                if x is not None and y is not None:
                    self._x.append(x)
                    self._y.append(y)
            if len(self._x) < 2:
                self._text = "one frame: nothing to align" if self._x else ""
        self.data_changed()

    def missing(self) -> str | None:
        return self._text if self._text or len(self._x) < 2 else None

    def draw(self) -> None:
        plt = self.plt
        # plotext's frame and labels take about 6 columns and 3 lines.
        xlim, ylim = square_limits(self._x, self._y, self.size.width - 7, self.size.height - 3)
        plt.plot(self._x, self._y, marker="braille", color=rgb(BLUE))
        plt.scatter(self._x[:1], self._y[:1], marker="1", color=rgb(ORANGE))
        plt.xlim(*xlim)
        plt.ylim(*ylim)
        plt.xfrequency(3)
        plt.yfrequency(3)
