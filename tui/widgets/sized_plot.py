"""A plot that fits its pane, and says in words why there is nothing to draw."""

from __future__ import annotations

from rich.text import Text
from textual.geometry import Size
from textual_plotext import PlotextPlot

from frazil.tui.words.palette import GRAY

_LEAST_WIDTH_CELLS, _LEAST_HEIGHT_CELLS = 12, 4


def rgb(color: str) -> tuple[int, int, int]:
    """`#rrggbb` for plotext."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


class SizedPlot(PlotextPlot):
    """Drawn again whenever its size or its data change."""

    def __init__(self, title: str, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.border_title = title
        self._plotted_size = Size()

    def missing(self) -> str | None:
        """What is said instead of a plot; None: there is something to draw."""
        raise NotImplementedError

    def draw(self) -> None:
        """Plots into the cleared `self.plt`, for panes of `self.size`."""
        raise NotImplementedError

    def data_changed(self) -> None:
        self._plot_anew()
        self.refresh()

    def render(self) -> Text:
        text = self.missing()
        if text is not None or self.size.width < _LEAST_WIDTH_CELLS or self.size.height < _LEAST_HEIGHT_CELLS:
            return Text(text or "", GRAY)
        if self.size != self._plotted_size:
            self._plot_anew()
        rendered = super().render()
        assert isinstance(rendered, Text)
        return rendered

    def _plot_anew(self) -> None:
        self.plt.clear_figure()
        self._plotted_size = self.size
        if self.missing() is None:
            self.draw()
