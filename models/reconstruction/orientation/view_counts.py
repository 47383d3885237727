"""Where a map's particles are seen from, in bins of equal area that are kept as particles come and go.

A direction is told by rot, from -180 to 180 deg, and by the cosine of tilt, from 1 to -1: both in even steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.models.reconstruction.orientation.placed_particles import SEEN, PlacedParticles

SHOWN_BINS = (90, 180)
"""Of the picture: tilt and rot."""
FINE_BINS = (72, 144)
"""Equal areas of some 2.5 deg: finer than a particle's views are known."""


def bin_numbers(directions: NDArray[np.float64], bins: tuple[int, int]) -> NDArray[np.int64]:
    """(n,) row times columns plus column of (n, 3) unit vectors, for bins of (tilt, rot)."""
    tilt_bins, rot_bins = bins
    rot = np.degrees(np.arctan2(directions[:, 1], directions[:, 0]))
    row = np.clip(np.floor((1 - directions[:, 2]) / 2 * tilt_bins), 0, tilt_bins - 1).astype(np.int64)
    column = np.floor((rot + 180) / 360 * rot_bins).astype(np.int64) % rot_bins
    return row * rot_bins + column


def shown_counts(directions: NDArray[np.float64], operators: NDArray[np.float64]) -> NDArray[np.int64]:
    """(90, 180) how many of (n, 3) directions, their (s, 3, 3) symmetric copies and their opposites fall into each bin:
    a view and its opposite say the same."""
    turned = np.concatenate([directions @ operator.T for operator in operators])
    numbers = bin_numbers(np.concatenate([turned, -turned]), SHOWN_BINS)
    return np.bincount(numbers, minlength=SHOWN_BINS[0] * SHOWN_BINS[1]).reshape(SHOWN_BINS)


def bin_angles_deg(counts: NDArray[np.int64]) -> tuple[tuple[float, float, int], ...]:
    """Rot and tilt (deg) of the middle of every bin of `FINE_BINS` in which there is any, and how many."""
    tilt_bins, rot_bins = FINE_BINS
    rows, columns = np.nonzero(counts)
    rot = -180 + (columns + 0.5) * 360 / rot_bins
    tilt = np.degrees(np.arccos(1 - 2 * (rows + 0.5) / tilt_bins))
    return tuple(zip(rot.tolist(), tilt.tolist(), counts[rows, columns].tolist(), strict=True))


class ViewCounts:
    """Of one map; `operators`: (s, 3, 3) of its point group."""

    def __init__(self, operators: NDArray[np.float64]) -> None:
        self._operators = operators
        self.shown = np.zeros(SHOWN_BINS, dtype=np.int64)
        """Of particles that count (`shown_counts`)."""
        self.fine = np.zeros(FINE_BINS, dtype=np.int64)
        """Of all that are chosen."""

    def see(self, placed: PlacedParticles, *, sign: int) -> None:
        """A movie's particles are put in, or taken out (sign -1)."""
        views = placed.poses[:, 2].astype(np.float64)
        self.shown += sign * shown_counts(views[placed.counts > SEEN], self._operators)
        numbers = bin_numbers(views[placed.is_chosen], FINE_BINS)
        self.fine += sign * np.bincount(numbers, minlength=self.fine.size).reshape(FINE_BINS)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs; names begin with `views.`."""
        return {"views.shown": self.shown.astype(np.int32), "views.fine": self.fine.astype(np.int32)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raises KeyError when a part is missing."""
        self.shown, self.fine = (arrays[f"views.{part}"].astype(np.int64) for part in ("shown", "fine"))
