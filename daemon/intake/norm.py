"""How many frames a movie of this session has, learned from its siblings.

A multi-page TIFF that is cut between two frames reads without any error; only the number of frames tells. Where
neither sidecar nor settings promise a number, the most common one among the movies seen so far does.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field

MIN_MOVIES = 3
"""Fewer siblings are no norm."""
CHANGED_AFTER = 5
"""So many movies in a row with the same lower count, and none with the usual one since: the person at the microscope
changed the exposure. Truncated files do not agree with one another."""
EER_TOLERANCE = 1.05
"""EER counts camera frames, and the shutter does not stop on the same one each time; counts within 5 % are the same."""


@dataclass(frozen=True, slots=True)
class NormVerdict:
    usual: int | None
    """`None`: no norm yet."""
    enough: bool
    """True also when there is no norm."""
    changed: bool = False
    """Fewer than usual, but so are all the latest ones."""


@dataclass(slots=True)
class _Count:
    value: int
    """The smallest frame count that falls under this key."""
    orders: list[int] = field(default_factory=list)
    """Order of finding of each movie with this count, ascending."""


@dataclass(slots=True)
class _Format:
    counts: dict[int, _Count] = field(default_factory=dict)
    total: int = 0
    usual_key: int | None = None


class FrameNorm:
    """Frame counts of complete-looking movies per file format. Cheap per movie, also for thousands at once."""

    def __init__(self) -> None:
        self._formats: dict[str, _Format] = {}
        self._where: dict[str, tuple[str, int, int]] = {}
        self.version = 0
        """Moves when a verdict may have changed: time to judge waiting movies again."""

    @staticmethod
    def _key(file_format: str, count: int) -> int:
        return math.floor(math.log(count) / math.log(EER_TOLERANCE)) if file_format == "eer" and count > 0 else count

    def add(self, path: str, order: int, file_format: str, count: int) -> None:
        self.remove(path)
        fmt = self._formats.setdefault(file_format, _Format())
        key = self._key(file_format, count)
        entry = fmt.counts.setdefault(key, _Count(value=count))
        entry.value = min(entry.value, count)
        insort(entry.orders, order)
        fmt.total += 1
        self._where[path] = (file_format, key, order)
        self._settle(fmt)

    def remove(self, path: str) -> None:
        where = self._where.pop(path, None)
        if where is None:
            return
        file_format, key, order = where
        fmt = self._formats[file_format]
        orders = fmt.counts[key].orders
        del orders[bisect_left(orders, order)]
        fmt.total -= 1
        if not orders:
            del fmt.counts[key]
        self._settle(fmt)

    def _settle(self, fmt: _Format) -> None:
        """Find the most common count again; a tie goes to the larger one, because waiting is the safe side."""
        usual: int | None = None
        if fmt.total >= MIN_MOVIES:
            usual = max(fmt.counts, key=lambda key: (len(fmt.counts[key].orders), key))
            if len(fmt.counts[usual].orders) < 2:
                usual = None
        changed = usual != fmt.usual_key
        fmt.usual_key = usual
        if changed or any(self._is_new_habit(fmt, key) for key in fmt.counts):
            self.version += 1

    @staticmethod
    def _is_new_habit(fmt: _Format, key: int) -> bool:
        """Are the latest `CHANGED_AFTER` movies with this lower count all newer than any with the usual one?"""
        if fmt.usual_key is None or key >= fmt.usual_key:
            return False
        orders = fmt.counts[key].orders
        return len(orders) >= CHANGED_AFTER and orders[-CHANGED_AFTER] > fmt.counts[fmt.usual_key].orders[-1]

    def judge(self, file_format: str, count: int) -> NormVerdict:
        """Is `count` as many frames as movies of this format have here?"""
        fmt = self._formats.get(file_format)
        if fmt is None or fmt.usual_key is None:
            return NormVerdict(usual=None, enough=True)
        usual = fmt.counts[fmt.usual_key].value
        tolerance = EER_TOLERANCE if file_format == "eer" else 1.0
        if count * tolerance >= usual:
            return NormVerdict(usual=usual, enough=True)
        key = self._key(file_format, count)
        changed = key in fmt.counts and self._is_new_habit(fmt, key)
        return NormVerdict(usual=usual, enough=changed, changed=changed)
