"""Another grid held against the one that is in the microscope: as much an hour as here, the exchange counted?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frazil.models.targets.records import VALUES, Prospect

_MOST_TIMES = 20.0
"""Where next to nothing is left here, how many times more the other gives says nothing."""
_WHAT = {"usable": "usable movies", "effective_signal": "signal"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The other grid's share of what this one gives an hour, in the hours left."""

    counted: str
    """One of `VALUES`: what both grids tell."""
    times: float
    low: float
    high: float
    """80 % interval."""

    @property
    def better(self) -> bool:
        """For sure: the whole interval says so."""
        return self.low > 1.0


def compared(here: Prospect, other: Prospect, counted: str) -> Comparison:
    """`other` is of the minutes that are left behind the exchange; in the exchange nothing is exposed."""
    own, its, both = here.of(counted), other.of(counted), counted
    if own is None or its is None:
        own, its, both = here.usable, other.usable, VALUES[0]
    # Draws of the two are independent: held against each other in another order, or the same luck would hit both.
    times = np.roll(its, len(its) // 3) / np.maximum(own, its.mean() / _MOST_TIMES + 1e-9)
    low, middle, high = np.quantile(times, (0.1, 0.5, 0.9)).tolist()
    return Comparison(both, middle, low, high)


def better_words(name: str, found: Comparison, exchange_minutes: float) -> str:
    """A sentence where the other grid is better for sure; else nothing.

    >>> better_words("sample 2", Comparison("effective_signal", 1.42, 1.13, 1.81), 45.0)
    'Grid sample 2 is better: about 1.4 (1.1-1.8) times the signal an hour, 45 min for the exchange counted.'
    >>> better_words("sample 2", Comparison("usable", 1.42, 0.93, 1.81), 45.0)
    ''
    """
    if not found.better:
        return ""
    rate = f"about {found.times:.1f} ({found.low:.1f}-{found.high:.1f}) times the {_WHAT[found.counted]} an hour"
    return f"Grid {name} is better: {rate}, {exchange_minutes:.0f} min for the exchange counted."
