"""Which 2-D class came of which: what makes a class one that a person can speak of, round after round.

A class keeps its number as long as it lives, and no number is given twice. A class that is split keeps its number and
has a child; of two that show the same, the smaller ends and the other is its heir; one that hardly anything belongs to
ends without an heir.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ClassLineage:
    """Of all the classes that a session has had: some numbers each, kept for good."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self._heir: dict[int, int | None] = {}

    def born(self, class_id: int, *, of: int) -> None:
        """A class begins with half of another's particles."""
        self._parent[class_id] = of

    def ended(self, class_id: int, *, heir: int | None) -> None:
        """A class is no more; None: its particles are not another's as a whole."""
        self._heir[class_id] = heir

    @property
    def parents(self) -> Mapping[int, int]:
        """Of classes that began in the middle of the session."""
        return self._parent

    def today(self, class_id: int) -> int:
        """The class that it has become: itself, or the last of its heirs.

        >>> lineage = ClassLineage()
        >>> lineage.ended(4, heir=2)
        >>> lineage.ended(2, heir=7)
        >>> lineage.today(4), lineage.today(5)
        (7, 5)
        """
        while (heir := self._heir.get(class_id)) is not None:
            class_id = heir
        return class_id

    def spoken_for_by(self, class_id: int, judged: Mapping[int, bool | None]) -> int | None:
        """The class whose verdict holds for it: of itself, what it has become, and what each came of, the first that a
        person has spoken of; None: nobody has. A verdict of None was taken back, and what was said of parents holds no
        more."""
        now: int | None = self.today(class_id)
        if class_id in judged and class_id != now and now not in judged:
            return class_id
        while now is not None:
            if now in judged:
                return now
            now = self._parent.get(now)
        return None

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs."""
        heirs = [(one, -1 if heir is None else heir) for one, heir in self._heir.items()]
        return {
            "lineage.parent": np.array(list(self._parent.items()), dtype=np.int64).reshape(-1, 2),
            "lineage.heir": np.array(heirs, dtype=np.int64).reshape(-1, 2),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raises KeyError when the arrays are not those of a lineage."""
        self._parent = {int(one): int(parent) for one, parent in arrays["lineage.parent"]}
        self._heir = {int(one): None if heir < 0 else int(heir) for one, heir in arrays["lineage.heir"]}
