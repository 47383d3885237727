"""How much each cause costs one movie from frequency to frequency: the largest ones, and the total."""

from __future__ import annotations

from collections.abc import Sequence

from frazil.daemon.transport.messages import Row
from frazil.tui.widgets.sized_plot import SizedPlot, rgb
from frazil.tui.words.causes import BESIDE_TOTAL, MEDIUM
from frazil.tui.words.palette import BLUE, GREEN, ORANGE, WHITE

_SHOWN = 3
_MARKERS = (("●", BLUE), ("x", ORANGE), ("+", GREEN))
"""One a cause, so that colour is not needed."""
_TOTAL = ("·", WHITE)
_TICKS_ANGSTROM = (20.0, 8.0, 5.0, 4.0, 3.0)

Curves = dict[str, tuple[list[float], list[float]]]


def curves_of(rows: Sequence[Row]) -> Curves:
    """Frequencies in 1/Å and losses by factor, `total` first, then the largest."""
    curves: Curves = {}
    for row in rows:
        frequency, loss = row["frequency_per_angstrom"], row["loss_ln_ssnr"]
        if isinstance(frequency, int | float) and isinstance(loss, int | float):
            x, y = curves.setdefault(str(row["factor"]), ([], []))
            x.append(float(frequency))
            y.append(float(loss))
    inside = {factor: curve for factor, curve in curves.items() if factor not in BESIDE_TOTAL}
    if not inside:
        return {}
    frequencies = next(iter(inside.values()))[0]
    total = [sum(y[i] for _, y in inside.values() if i < len(y)) for i in range(len(frequencies))]
    largest = sorted(inside, key=lambda factor: -max(inside[factor][1]))[:_SHOWN]
    return {"total": (frequencies, total)} | {factor: inside[factor] for factor in largest}


class LossPlot(SizedPlot):
    """Loss of ln SSNR against spatial frequency; the title says which sign is which cause."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("signal lost (0.7: half)", id=id)
        self._curves: Curves = {}

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Answer of the query `losses`."""
        self._curves = curves_of(rows)
        signs = zip((_TOTAL, *_MARKERS), self._curves, strict=False)
        legend = ", ".join(f"{sign} {MEDIUM.get(factor, factor)}" for (sign, _), factor in signs)
        self.border_title = f"signal lost (0.7: half): {legend}" if legend else "signal lost (0.7: half)"
        self.data_changed()

    def missing(self) -> str | None:
        return None if self._curves else "no losses yet"

    def draw(self) -> None:
        plt = self.plt
        for (sign, color), (x, y) in zip((_TOTAL, *_MARKERS), self._curves.values(), strict=False):
            plt.plot(x, y, marker=sign, color=rgb(color))
        frequencies = next(iter(self._curves.values()))[0]
        low, high = min(frequencies), max(frequencies)
        plt.xlim(low, high)
        plt.ylim(0, max(max(y) for _, y in self._curves.values()) or 1.0)
        ticks = [resolution for resolution in _TICKS_ANGSTROM if low <= 1 / resolution <= high]
        plt.xticks([1 / resolution for resolution in ticks], [f"{resolution:g} Å" for resolution in ticks])
