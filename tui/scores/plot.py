"""A verdict from round to round, with its error."""

from __future__ import annotations

from collections.abc import Sequence

from frazil.daemon.transport.messages import Row
from frazil.tui.scores.words import evaluator_word, value_text
from frazil.tui.widgets.plot_values import finite, plot_range
from frazil.tui.widgets.sized_plot import SizedPlot, rgb
from frazil.tui.words.formatting import number
from frazil.tui.words.palette import BLUE, GRAY

Points = list[tuple[float, float, float]]


def points_of(rows: Sequence[Row], evaluator: str) -> Points:
    """Round, verdict and its error (0: not stated) of one evaluator, of the query `verdicts`."""
    points = []
    for row in rows:
        number_of, verdict = finite(row.get("round")), finite(row.get("verdict"))
        if row.get("evaluator") == evaluator and number_of is not None and verdict is not None:
            points.append((number_of, verdict, finite(row.get("uncertainty")) or 0.0))
    return sorted(points)


class ScorePlot(SizedPlot):
    """`●` the verdict, `|` one sigma to both sides."""

    def __init__(self, evaluator: str, *, id: str | None = None) -> None:
        super().__init__(evaluator_word(evaluator), id=id)
        self._evaluator = evaluator
        self._points: Points = []

    def show_rows(self, rows: Sequence[Row], evaluator: str | None = None) -> None:
        """Answer of the query `verdicts`; of another evaluator, if one is given."""
        self._evaluator = evaluator or self._evaluator
        self._points = points_of(rows, self._evaluator)
        last = next((row for row in reversed(rows) if row.get("evaluator") == self._evaluator), None)
        newest = "" if last is None else f"  {value_text(last)}"
        self.border_title = f"{evaluator_word(self._evaluator)} over rounds{newest}".replace("[", "\\[")
        self.data_changed()

    def missing(self) -> str | None:
        return None if self._points else "no verdict yet"

    def draw(self) -> None:
        plt = self.plt
        rounds = [x for x, _, _ in self._points]
        ends = [end for _, y, error in self._points for end in (y - error, y + error)]
        low, high = plot_range(ends)
        plt.ylim(low, high)
        first, last = min(rounds), max(rounds)
        plt.xlim(first - 0.5, last + 0.5)
        steps = max(8, 2 * self.size.height)
        for x, y, error in self._points:
            if error:
                bar = [y - error + 2 * error * i / steps for i in range(steps + 1)]
                plt.scatter([x] * len(bar), bar, marker="|", color=rgb(GRAY))
        plt.scatter(rounds, [y for _, y, _ in self._points], marker="●", color=rgb(BLUE))
        ticks = [low + (high - low) * share for share in (0.1, 0.5, 0.9)]
        plt.yticks(ticks, [number(tick, 1 if high >= 10 else 2) for tick in ticks])
        plt.xticks([first, last], [f"round {first:.0f}", f"{last:.0f}"] if last > first else [f"round {first:.0f}", ""])
        plt.xfrequency(2)
