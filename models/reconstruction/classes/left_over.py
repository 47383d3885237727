"""Boxes that do not hold what their class shows: heaps and neighbours that hold more, films and ice that hold less.

What a class average leaves unexplained of a box, sum w |X|^2 - w (2 Re(X* C A) - C^2 |A|^2), is noise and what is
finer than classes see, and is alike for all of its members. Of each class the last 64 are remembered; a box is odd
where it is further from their median than 2.8 times the deviation of a normal law with their lower quartile. The lower
quartile hardly moves when a fifth of the members hold too much.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ODD = 0
"""The class of boxes that do not hold what their class shows."""
_REMEMBERED = 64
_LEAST = 24
"""Members from which on a class tells what is usual."""
_DEVIATIONS = 2.8
_QUARTILE_OF_NORMAL = 0.6745


class LeftOver:
    """What the classes of some slots leave unexplained."""

    def __init__(self, slots: int) -> None:
        self._last = np.full((slots, _REMEMBERED), np.nan)
        self._seen = np.zeros(slots, dtype=np.int64)

    def is_odd(self, slot: NDArray[np.int64], left: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) of boxes with these slots and powers; where little is known of a class none of it is."""
        low, high = np.full(len(self._seen), -np.inf), np.full(len(self._seen), np.inf)
        for one in np.nonzero(self._seen >= _LEAST)[0]:
            quartile, median = np.nanquantile(self._last[one], (0.25, 0.5))
            reach = _DEVIATIONS * (median - quartile) / _QUARTILE_OF_NORMAL
            low[one], high[one] = median - reach, median + reach
        return np.asarray((left < low[slot]) | (left > high[slot]))

    def see(self, slot: NDArray[np.int64], left: NDArray[np.float64]) -> None:
        """Remember boxes, in their order."""
        for one, value in zip(slot, left, strict=True):
            self._last[one, self._seen[one] % _REMEMBERED] = value
            self._seen[one] += 1

    def copy(self, parent: int, child: int) -> None:
        """A class was split."""
        self._last[child], self._seen[child] = self._last[parent], self._seen[parent]

    def clear(self, slot: int) -> None:
        """A class is no more."""
        self._last[slot], self._seen[slot] = np.nan, 0

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs."""
        return {"left.last": self._last.copy(), "left.seen": self._seen.copy()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raises KeyError when the arrays are not those of it."""
        self._last, self._seen = arrays["left.last"].copy(), arrays["left.seen"].copy()
