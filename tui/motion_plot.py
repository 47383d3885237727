"""The path of the specimen during one movie, drawn with the same scale along x and y."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.geometry import Size
from textual_plotext import PlotextPlot

from frazil.daemon.transport.messages import Rows
from frazil.tui.palette import BLUE, GRAY, ORANGE
from frazil.tui.trend_plots import finite, rgb

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


class MotionPlot(PlotextPlot):
    """Whole-frame shifts in angstrom; the first frame is marked `1`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = "motion, Å"
        self._x: list[float] = []
        self._y: list[float] = []
        self._text = ""
        self._plotted_size = Size()

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
        self._plot_all()
        self.refresh()

    def render(self) -> Text:
        if self._text or len(self._x) < 2 or self.size.width < 12 or self.size.height < 4:
            return Text(self._text, GRAY)
        if self.size != self._plotted_size:
            self._plot_all()
        rendered = super().render()
        assert isinstance(rendered, Text)
        return rendered

    def _plot_all(self) -> None:
        plt = self.plt
        plt.clear_figure()
        self._plotted_size = self.size
        if len(self._x) < 2:
            return
        # plotext's frame and labels take about 6 columns and 3 lines.
        xlim, ylim = square_limits(self._x, self._y, self.size.width - 7, self.size.height - 3)
        plt.plot(self._x, self._y, marker="braille", color=rgb(BLUE))
        plt.scatter(self._x[:1], self._y[:1], marker="1", color=rgb(ORANGE))
        plt.xlim(*xlim)
        plt.ylim(*ylim)
        plt.xfrequency(3)
        plt.yfrequency(3)
