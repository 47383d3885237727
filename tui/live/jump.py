"""Where in the sorted table a movie is, without fetching the table: a binary search by single rows."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from frazil.daemon.transport.messages import Row, Scalar

FetchOne: TypeAlias = Callable[[int], Awaitable[Row | None]]
_Key: TypeAlias = tuple[int, float, str]


async def find_index(target: Row, *, total: int, sort: str, descending: bool, fetch: FetchOne) -> int | None:
    """Index of `target` in the order `sort` (NULL last, ties by movie id), or None if it is not there.

    About log2(total) requests. Rows that arrive meanwhile can make it miss; then the answer is None, never a
    neighbour.
    """
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        row = await fetch(middle)
        if row is None:  # the table has become shorter
            high = middle
        elif row["movie_id"] == target["movie_id"]:
            return middle
        elif _before(row, target, sort, descending):
            low = middle + 1
        else:
            high = middle
    return None


def _before(a: Row, b: Row, sort: str, descending: bool) -> bool:
    if a[sort] is None or b[sort] is None or _key(a[sort]) == _key(b[sort]):
        if (a[sort] is None) != (b[sort] is None):
            return b[sort] is None
        return str(a["movie_id"]) < str(b["movie_id"])
    return (_key(a[sort]) < _key(b[sort])) != descending


def _key(value: Scalar) -> _Key:
    """As the store orders: numbers, then NaN above all of them; strings by code point."""
    if isinstance(value, str):
        return (0, 0.0, value)
    number = float(value or 0)
    return (1, 0.0, "") if math.isnan(number) else (0, number, "")
