"""What is expected of every hole, square by square: only what has changed is written.

A grid has tens of thousands of holes, and after an exposure little changes but in its neighbourhood. Chances are kept
to a percent, signals to two digits.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import SquareHolesRow, TargetRoundRow
from frazil.models.targets.outcomes import Array
from frazil.models.targets.records import HolesExpected

SEPARATOR = chr(31)
"""Between ids: no program's names have it."""
_SQUARES_SQL = "SELECT square_id FROM hole_predictions WHERE grid_id = ?"


@dataclass(slots=True)
class ExpectedHoles:
    """See the module. Remembers what is in the store, of each grid since this run first wrote of it."""

    store: Store
    _written: dict[str, dict[str, SquareHolesRow | None]] = field(default_factory=dict)
    """By grid and square; None: something of an earlier run."""

    def changed(self, row: TargetRoundRow) -> tuple[list[SquareHolesRow], list[str]]:
        """Squares with something new, and those of which nothing is expected any more. Raises what `Store.rows`
        raises."""
        if row.grid_id not in self._written:
            there = self.store.rows(_SQUARES_SQL, row.grid_id)
            self._written[row.grid_id] = {str(square_id): None for (square_id,) in there}
        before = self._written[row.grid_id]
        now = {} if row.answer.every is None else {one.square_id: one for one in square_rows(row.answer.every)}
        new = [one for square_id, one in now.items() if before.get(square_id) != one]
        return new, [square_id for square_id in before if square_id not in now]

    def written(self, grid_id: str, holes: Sequence[SquareHolesRow], gone: Sequence[str]) -> None:
        """They are in the store now."""
        known = self._written[grid_id]
        known.update({one.square_id: one for one in holes})
        for square_id in gone:
            known.pop(square_id, None)


def square_rows(every: HolesExpected) -> list[SquareHolesRow]:
    """One row a square, holes in their order."""
    if not every.target_ids:
        return []
    squares, number = np.unique(np.array(every.square_ids), return_inverse=True)
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number)).tolist()
    ids = np.array(every.target_ids, dtype=object)[order].tolist()
    chances = [_percents(part[order]) for part in (every.usable, every.usable_low, every.usable_high)]
    signal = None if every.signal is None else [f"{one:g}" for one in _two_digits(every.signal[order]).tolist()]
    found = []
    for square, begin, end in zip(squares.tolist(), (0, *ends[:-1]), ends, strict=True):
        part = slice(begin, end)
        start = os.path.commonprefix(ids[part])  # noqa: RUF071  letters, not folders
        usable, low, high = (",".join(one[part]) for one in chances)
        id_ends = SEPARATOR.join(one[len(start) :] for one in ids[part])
        expected = None if signal is None else ",".join(signal[part])
        found.append(SquareHolesRow(square, start, id_ends, usable, low, high, expected))
    return found


def _percents(share: Array) -> list[str]:
    return [str(one) for one in np.rint(100.0 * share).astype(int).tolist()]


def _two_digits(value: Array) -> Array:
    """
    >>> _two_digits(np.array([1234.0, 0.0567, 0.0])).tolist()
    [1200.0, 0.057, 0.0]
    """
    scale = 10.0 ** (np.floor(np.log10(np.maximum(value, 1e-9))) - 1)
    return np.asarray(np.round(np.round(value / scale) * scale, 9), dtype=np.float64)
