"""Names of movies without what all of them share: what is left tells them apart, and fits into a table."""

from __future__ import annotations

import re

from frazil.tui.words.formatting import clean, movie_name

_SEPARATOR = re.compile(r"([/_\-. ])")
_LEAST_DIGITS = 1
"""A number loses its common leading digits, but is not shortened below this."""


class ShortNames:
    """Learns paths as they are seen. What is shared can only become less.

    >>> names = ShortNames()
    >>> names.learn(["d/Square_12/Hole_7100_Data_1_20260101.tiff", "d/Square_13/Hole_7212_Data_2_20260101.tiff"])
    True
    >>> names.short("d/Square_12/Hole_7100_Data_1_20260101.tiff")
    '2/100_1'
    """

    def __init__(self) -> None:
        self._seen = 0
        self._shared: list[str] | None = None
        """Of each part of a name what all of them begin with; None: none is known, or they are not built alike."""
        self._all: list[bool] = []
        """Whether the part is the same in all of them."""
        self._unlike = False
        self.longest = 0
        """Cells of the longest short name that was learnt since more became known."""

    def learn(self, paths: list[str]) -> bool:
        """True: names are shortened otherwise than before."""
        before = (self._shared, self._all, self._unlike)
        for path in paths:
            self._learn_one(_parts(path))
        changed = before != (self._shared, self._all, self._unlike)
        self.longest = max([0 if changed else self.longest, *(len(self.short(path)) for path in paths)])
        return changed

    def _learn_one(self, parts: list[str]) -> None:
        self._seen += 1
        if self._unlike:
            return
        if self._shared is None:
            self._shared, self._all = parts, [True] * len(parts)
        elif len(parts) != len(self._shared) or parts[1::2] != self._shared[1::2]:
            self._unlike = True  # an acquisition program of another kind: whole names
        else:
            alike = [a and one == part for a, one, part in zip(self._all, self._shared, parts, strict=True)]
            self._shared = [_beginning(one, part) for one, part in zip(self._shared, parts, strict=True)]
            self._all = alike

    def short(self, path: object) -> str:
        """What tells this name from the others; the whole name while there is nothing to compare it with."""
        whole = movie_name(path)
        parts = _parts(str(path))
        shared = self._shared
        if self._unlike or shared is None or len(parts) != len(shared) or all(self._all):
            return whole
        text = between = ""
        for i in range(0, len(parts), 2):
            between += parts[i - 1] if i else ""
            if self._all[i] and parts[i] == shared[i]:
                continue
            text += (("/" if "/" in between else between[-1:]) if text else "") + _without(parts[i], shared[i])
            between = ""
        return clean(text) or whole


def _parts(path: str) -> list[str]:
    """Parts and the separators between them, in turns; without the file's ending."""
    folder, slash, name = path.rpartition("/")
    return _SEPARATOR.split(folder + slash + movie_name(name))


def _beginning(one: str, other: str) -> str:
    """That both have."""
    alike = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    return one[: min(len(one), len(other)) if alike is None else alike]


def _without(part: str, shared: str) -> str:
    if not part.isdigit() or not shared or not part.startswith(shared):
        return part
    return part[min(len(shared), max(0, len(part) - _LEAST_DIGITS)) :]
