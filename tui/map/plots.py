"""FSC of the newest round, and resolution against particles."""

from __future__ import annotations

import math
from collections.abc import Sequence

from frazil.daemon.transport.messages import Row
from frazil.tui.widgets.plot_values import finite
from frazil.tui.widgets.sized_plot import SizedPlot, rgb
from frazil.tui.words.formatting import count, number
from frazil.tui.words.palette import BLUE, GRAY, ORANGE, WHITE

_CURVES = (
    ("fsc_unmasked", "·", GRAY, "unmasked"),
    ("fsc_randomised", "x", ORANGE, "mask alone"),
    ("fsc", "braille", BLUE, "corrected"),
)
"""In the order in which they are drawn; a sign each, so that colour is not needed."""
_THRESHOLD = 0.143
_TICKS_ANGSTROM = (60.0, 30.0, 20.0, 15.0, 12.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.0, 1.5)
_LEAST_TICK_SHARE = 0.09

Points = tuple[list[float], list[float]]


def curve_of(rows: Sequence[Row], name: str) -> Points:
    """Frequencies and values of one curve of the query `fsc`, without what is not known."""
    pairs = [(finite(row.get("frequency_per_angstrom")), finite(row.get(name))) for row in rows]
    known = [(k, value) for k, value in pairs if k is not None and value is not None]
    return [k for k, _ in known], [value for _, value in known]


def growth_of(rounds: Sequence[Row]) -> Points:
    """ln(particles) and 1 / d^2 of the rounds of the query `reconstructions` that are resolved."""
    x, y = [], []
    for row in rounds:
        particles, resolution = finite(row.get("particle_count")), finite(row.get("resolution_0143_angstrom"))
        if particles and resolution:
            x.append(math.log(particles))
            y.append(1 / resolution**2)
    return x, y


def apart(places: Sequence[tuple[float, str]], span: float) -> tuple[list[float], list[str]]:
    """Ticks whose labels do not overlap, in the order of their places; of two that would, the first given is kept."""
    kept: list[tuple[float, str]] = []
    for place, label in places:
        if all(abs(place - other) >= _LEAST_TICK_SHARE * span for other, _ in kept):
            kept.append((place, label))
    kept.sort()
    return [place for place, _ in kept], [label for _, label in kept]


class FscPlot(SizedPlot):
    """The curve to believe, the one without a mask, and the one of randomised phases: what the mask alone adds."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("FSC of the half maps", id=id)
        self._rows: Sequence[Row] = ()

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Answer of the query `fsc`."""
        self._rows = rows
        shown = [
            f"{sign if len(sign) == 1 else '⠒'} {word}" for name, sign, _, word in _CURVES if curve_of(rows, name)[0]
        ]
        self.border_title = "FSC: " + ", ".join(shown) if shown else "FSC of the half maps"
        self.data_changed()

    def missing(self) -> str | None:
        return None if curve_of(self._rows, "fsc")[0] else "no half maps yet"

    def draw(self) -> None:
        plt = self.plt
        k, _ = curve_of(self._rows, "fsc")
        for name, sign, color, _ in _CURVES:
            x, y = curve_of(self._rows, name)
            if x:
                plt.plot(x, [max(value, -0.1) for value in y], marker=sign, color=rgb(color))
        plt.hline(_THRESHOLD, rgb(WHITE))
        plt.xlim(0, max(k))
        plt.ylim(-0.1, 1.0)
        plt.yticks([0, _THRESHOLD, 0.5, 1.0], ["0", "0.143", "0.5", "1"])
        inside = [(1 / d, f"{d:g} Å") for d in _TICKS_ANGSTROM if 1 / d <= max(k)]
        plt.xticks(*apart(inside, max(k)))


class GrowthPlot(SizedPlot):
    """1 / d^2 against ln(particles), as Rosenthal and Henderson (2003) draw it: a B-factor is a straight line."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("resolution against particles", id=id)
        self._points: Points = ([], [])

    def show_rows(self, rounds: Sequence[Row]) -> None:
        """Answer of the query `reconstructions`."""
        self._points = growth_of(rounds)
        self.data_changed()

    def missing(self) -> str | None:
        return None if self._points[0] else "no resolved round yet"

    def draw(self) -> None:
        plt = self.plt
        x, y = self._points
        plt.scatter(x, y, marker="●", color=rgb(BLUE))
        room_x, room_y = 0.06 * (max(x) - min(x)) or 0.5, 0.15 * (max(y) - min(y)) or 0.2 * max(y)
        low, high = min(y) - room_y, max(y) + room_y
        plt.xlim(min(x) - room_x, max(x) + room_x)
        plt.ylim(low, high)
        places = [round(math.exp(min(x) + share * (max(x) - min(x)))) for share in (0.0, 0.33, 0.67, 1.0)]
        plt.xticks(*apart([(math.log(place), count(place)) for place in places], 2.2 * (max(x) - min(x)) or 1.0))
        ends = [(place, f"{number(place**-0.5, 1)} Å") for place in (max(y), min(y))]
        round_ones = [(1 / d**2, f"{d:g} Å") for d in _TICKS_ANGSTROM if low <= 1 / d**2 <= high]
        plt.yticks(*apart(ends + round_ones, high - low))
