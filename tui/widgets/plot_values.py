"""Which values of a plot can be drawn, and between which ends of its axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from frazil.daemon.transport.messages import Scalar

_OUTSIDE_SHARE = 0.02
"""Share of the values at either end that may lie outside the plot; one wild fit must not flatten the rest."""


def finite(value: Scalar) -> float | None:
    """The value if it can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def plot_range(values: Sequence[float]) -> tuple[float, float]:
    """Lower and upper end of the axis: all but the extreme 2 % on either side, with some room."""
    ordered = sorted(values)
    cut = int(len(ordered) * _OUTSIDE_SHARE)
    low, high = ordered[cut], ordered[len(ordered) - 1 - cut]
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room
