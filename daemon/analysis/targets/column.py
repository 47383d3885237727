"""Which grid was in the microscope's column at a moment, by when files of each were written. Pure.

Acquisition programs write what they have done soon after it is done: a movie is of the grid of which something was
written next. All times are those of files: clocks of microscopes differ.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColumnSigns:
    """Of all grids, by time."""

    times_ns: tuple[int, ...] = ()
    grid_ids: tuple[str, ...] = ()

    @classmethod
    def of(cls, signs: Iterable[tuple[int, str]]) -> ColumnSigns:
        """From (time in ns, grid) in any order."""
        ordered = sorted(signs)
        return cls(tuple(at for at, _ in ordered), tuple(grid for _, grid in ordered))

    def at(self, time_ns: int) -> str | None:
        """Of the next sign from that time on, else of the last before it; None: there are no signs.

        >>> signs = ColumnSigns.of([(10, "a"), (20, "a"), (30, "b")])
        >>> signs.at(15), signs.at(25), signs.at(99)
        ('a', 'b', 'b')
        """
        if not self.times_ns:
            return None
        return self.grid_ids[min(bisect_left(self.times_ns, time_ns), len(self.times_ns) - 1)]

    def newest_of(self, grid_ids: Collection[str]) -> str | None:
        """The one of these grids with the newest sign; None: none has any.

        >>> ColumnSigns.of([(10, "a"), (30, "b")]).newest_of({"a"})
        'a'
        """
        return next((grid for grid in reversed(self.grid_ids) if grid in grid_ids), None)
