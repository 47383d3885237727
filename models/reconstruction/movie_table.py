"""A row for every movie of a session, and which rows are others than when they were last written.

What is kept of all movies is too much to be written at every round; what changed since the last one is not.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from typing import TypeVar

Key = TypeVar("Key")
Row = TypeVar("Row")


class MovieTable(MutableMapping[Key, Row]):
    """Rows in the order in which they were set first.

    >>> table = MovieTable[int, str]()
    >>> table[4], table[7] = "four", "seven"
    >>> table.written()
    >>> table[4] = "4"
    >>> del table[7]
    >>> table.changed(), table.removed()
    ({4: '4'}, [7])
    """

    def __init__(self) -> None:
        self._rows: dict[Key, Row] = {}
        self._changed: dict[Key, None] = {}

    def __getitem__(self, key: Key) -> Row:
        return self._rows[key]

    def __setitem__(self, key: Key, row: Row) -> None:
        self._rows[key] = row
        self._changed[key] = None

    def __delitem__(self, key: Key) -> None:
        del self._rows[key]
        self._changed[key] = None

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[Key]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def changed(self) -> dict[Key, Row]:
        """Rows that were set since `written`, and are there."""
        return {key: self._rows[key] for key in self._changed if key in self._rows}

    def removed(self) -> list[Key]:
        """Of rows that were there and are not any more."""
        return [key for key in self._changed if key not in self._rows]

    def written(self) -> None:
        """What changed is on the disk now."""
        self._changed = {}

    def unwritten(self) -> None:
        """Nothing is on the disk any more."""
        self._changed = dict.fromkeys(self._rows)

    def take(self, changed: MutableMapping[Key, Row], removed: Sequence[Key] = ()) -> None:
        """What was written once, in that order: it counts as written."""
        self._rows |= changed
        for key in removed:
            self._rows.pop(key, None)
