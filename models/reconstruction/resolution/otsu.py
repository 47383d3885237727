"""Where a histogram falls into two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def otsu_level(values: NDArray[np.float32]) -> float:
    """The level that splits the values into the two classes that differ most (Otsu 1979, IEEE Trans. Syst. Man Cybern.
    9, 62): the upper edge of one of 256 bins. Not all values may be the same."""
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(edges[1:][int(np.nanargmax(between[:-1]))])
