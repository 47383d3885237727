"""Which particles are chosen: those of classes that a person keeps, or that nobody and no judge is sure to be junk.

A person's verdict on a class holds for it, for what it becomes, and for the classes that come of it, until another is
given (`class_lineage`). Where there is none the judge decides (`class_judge`), and removes only what it is sure of: a
class whose score is at most 0.25, once there are 300 particles in classes and 12 in this one. One that was removed
comes back at 0.35: scores near the limit would else put particles in and take them out at every round. Boxes that do
not hold what their class shows are a class of their own, number 0 (`left_over`), and left out unless a person keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.models.reconstruction.classes.class_averages import ClassAverage
from frazil.models.reconstruction.classes.class_judge import JUNK_UP_TO, score
from frazil.models.reconstruction.classes.class_lineage import ClassLineage
from frazil.models.reconstruction.classes.left_over import ODD

_BACK_FROM = 0.35
_LEAST_IN_ALL = 300
_LEAST_OF_CLASS = 12


@dataclass(frozen=True, slots=True)
class ClassVerdict:
    """What became of a class that the session has had."""

    class_id: int
    today: int
    """The class that it has become: itself, as long as it lives."""
    parent: int | None
    score: float | None
    """When it was last judged; None: never."""
    spoken_for_by: int | None
    """The class whose verdict by a person holds for it; None: the judge decides."""
    chosen: bool


class ClassChoice:
    """Of one session: what judge and people have said of its classes."""

    def __init__(self) -> None:
        self._score: dict[int, float] = {}
        self._removed: set[int] = set()
        """By the judge."""
        self.verdicts: dict[int, bool | None] = {}
        """By people: True keep, False reject, None: the judge is to decide."""

    def judge(self, averages: Sequence[ClassAverage], particle_count: int) -> None:
        """Look at the classes as they are now."""
        if particle_count >= _LEAST_IN_ALL:
            self._removed.add(ODD)
        for one in averages:
            if one.features is None:
                continue
            value = score(one.features)
            self._score[one.class_id] = value
            enough = particle_count >= _LEAST_IN_ALL and one.particle_count >= _LEAST_OF_CLASS
            if value <= JUNK_UP_TO and enough:
                self._removed.add(one.class_id)
            elif value >= _BACK_FROM:
                self._removed.discard(one.class_id)

    def score_of(self, class_id: int) -> float | None:
        """When it was last judged; None: never."""
        return self._score.get(class_id)

    def is_chosen(self, class_id: int, lineage: ClassLineage) -> bool:
        """Whether the particles of a class are in the map."""
        by = lineage.spoken_for_by(class_id, self.verdicts)
        said = None if by is None else self.verdicts[by]
        return lineage.today(class_id) not in self._removed if said is None else said

    def chosen(self, class_ids: Sequence[int], lineage: ClassLineage) -> NDArray[np.bool_]:
        """(n,) of a movie's particles, by their classes."""
        known = {one: self.is_chosen(one, lineage) for one in set(class_ids)}
        return np.array([known[one] for one in class_ids], dtype=bool)

    def all_of(self, class_ids: Sequence[int], lineage: ClassLineage) -> tuple[ClassVerdict, ...]:
        """What holds for these classes now."""
        said = self.verdicts
        found = []
        for one in sorted(class_ids):
            by = lineage.spoken_for_by(one, said)
            found.append(
                ClassVerdict(
                    class_id=one,
                    today=lineage.today(one),
                    parent=lineage.parents.get(one),
                    score=self._score.get(one),
                    spoken_for_by=None if by is None or said[by] is None else by,
                    chosen=self.is_chosen(one, lineage),
                )
            )
        return tuple(found)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs."""
        code = {True: 1, False: 0, None: -1}
        return {
            "score.class_id": np.array(list(self._score), dtype=np.int64),
            "score.value": np.array(list(self._score.values())),
            "removed": np.array(sorted(self._removed), dtype=np.int64),
            "verdicts": np.array(
                [(one, code[said]) for one, said in sorted(self.verdicts.items())], dtype=np.int64
            ).reshape(-1, 2),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raises KeyError when the arrays are not those of a choice."""
        self._score = dict(zip(arrays["score.class_id"].tolist(), arrays["score.value"].tolist(), strict=True))
        self._removed = {int(one) for one in arrays["removed"]}
        self.verdicts = {int(one): {1: True, 0: False}.get(int(said)) for one, said in arrays["verdicts"]}
