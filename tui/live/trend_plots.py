"""Metrics of the last movies against their order: is something drifting away?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from textual.app import ComposeResult
from textual.containers import Grid

from frazil.daemon.transport.messages import Row, Rows
from frazil.tui.widgets.plot_values import finite, plot_range
from frazil.tui.widgets.sized_plot import SizedPlot, rgb
from frazil.tui.words.formatting import number, quantity
from frazil.tui.words.palette import BLUE, GRAY, ORANGE

_SIGNS = {"braille": "⠶ ", "hd": "▚ "}
"""The dots of a curve, for its label: two curves of one plot differ by more than their colours."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric in a plot."""

    metric: str
    label: str
    color: str
    marker: str = "braille"


@dataclass(frozen=True, slots=True)
class Trend:
    """One plot."""

    title: str
    unit: str
    digits: int
    curves: tuple[Curve, ...]


TRENDS: tuple[Trend, ...] = (
    Trend("CTF fit", "Å", 1, (Curve("ctf_fit_angstrom", "fit", BLUE),)),
    Trend("Defocus", "µm", 2, (Curve("defocus_um", "defocus", BLUE),)),
    Trend(
        "Motion",
        "Å",
        1,
        (Curve("motion_total_angstrom", "total", BLUE), Curve("motion_early_angstrom", "early", ORANGE, "hd")),
    ),
    Trend("Ice ring", "", 2, (Curve("ice_ring_density", "ice", BLUE),)),
)
METRICS = ",".join(curve.metric for trend in TRENDS for curve in trend.curves)
TREND_LENGTH = 300


def headline(trend: Trend, rows: Sequence[Row]) -> str:
    """Title with the median of the last 25 and of all, so that the picture can also be read."""
    parts = []
    for curve in trend.curves:
        values = [v for v in (finite(row.get(curve.metric)) for row in rows) if v is not None]
        if values:
            recent = values[-25:]
            now, before = median(recent), median(values)
            arrow = "→" if abs(now - before) < 0.05 * (abs(before) or 1.0) else "↑" if now > before else "↓"
            sign = _SIGNS[curve.marker]
            label = f"{sign}{curve.label} " if len(trend.curves) > 1 else ""
            parts.append(f"{label}{quantity(now, trend.unit, trend.digits).strip()} {arrow}")
    return f"{trend.title}  " + ("  ".join(parts) if parts else "–")


class TrendPlot(SizedPlot):
    """Kept movies as dots, rejected ones as gray crosses."""

    def __init__(self, trend: Trend) -> None:
        super().__init__(trend.title, id=f"trend-{trend.title.split()[0].lower()}", classes="trend")
        self._trend = trend
        self._rows: Sequence[Row] = ()

    def show_rows(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self.border_title = headline(self._trend, rows)
        self.data_changed()

    def missing(self) -> str | None:
        return None if self._rows else "no results yet"

    def draw(self) -> None:
        plt = self.plt
        drawn: list[float] = []
        for curve in self._trend.curves:
            points = [(i, finite(row.get(curve.metric)), row.get("state")) for i, row in enumerate(self._rows)]
            kept = [(i, v) for i, v, state in points if v is not None and state != "rejected"]
            other = [(i, v) for i, v, state in points if v is not None and state == "rejected"]
            drawn += [v for _, v in kept] or [v for _, v in other]
            if other:
                plt.scatter(*zip(*other, strict=True), marker="x", color=rgb(GRAY))
            if kept:
                plt.scatter(*zip(*kept, strict=True), marker=curve.marker, color=rgb(curve.color))
        if not drawn:
            return
        low, high = plot_range(drawn)
        plt.ylim(low, high)
        plt.xlim(0, max(1, len(self._rows) - 1))
        # Two labels on one line would overwrite each other (frame and x labels take 3 lines).
        shares = (0.1, 0.5, 0.9) if self.size.height - 3 >= 7 else (0.1, 0.9)
        ticks = [low + (high - low) * share for share in shares]
        digits = self._trend.digits if high - low < 20 else 0
        plt.yticks(ticks, [number(tick, digits) for tick in ticks])
        last = len(self._rows)
        plt.xticks([0, last - 1], [f"{last} ago" if last > 1 else "", "now"])
        plt.xfrequency(2)


class TrendPanel(Grid):
    """All trends."""

    def compose(self) -> ComposeResult:
        for trend in TRENDS:
            yield TrendPlot(trend)

    def show_trend(self, answer: Rows) -> None:
        rows = answer.as_dicts()
        for plot in self.query(TrendPlot):
            plot.show_rows(rows)
