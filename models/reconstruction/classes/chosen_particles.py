"""A session's particles by their 2-D classes: which class each has, and which are chosen for the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.models.reconstruction.classes.class_averages import ClassAssignment, ClassAverage, StreamingClasses
from frazil.models.reconstruction.classes.class_choice import ClassChoice, ClassVerdict
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra
from frazil.models.reconstruction.movie_table import MovieTable

_CLASSES, _CHOICE = "classes.", "choice."


class ChosenParticles:
    """Of one session. `first_id`: the lowest number that no class of the session has had."""

    def __init__(
        self, plane: FourierPlane, *, diameter_angstrom: float, device: torch.device, first_id: int = 1
    ) -> None:
        self._classes = StreamingClasses(plane, diameter_angstrom=diameter_angstrom, device=device, first_id=first_id)
        self._choice = ClassChoice()
        self.class_ids: MovieTable[str, tuple[int, ...]] = MovieTable()
        """Of every movie whose particles have classes, in the order of its picks."""
        self._movies_of: dict[int, set[str]] = {}
        """By class: movies of which a particle has it; none is empty."""
        self._assigned: set[str] = set()
        """Movies whose classes have been told since `concerned` was asked."""
        self._chosen_then: dict[int, bool] = {}
        """Which classes were chosen then."""

    @property
    def particle_count(self) -> int:
        """Particles that have been given a class."""
        return self._classes.particle_count

    def add(
        self, movie_id: str, particles: ParticleSpectra | None, fibre: Sequence[int] = ()
    ) -> list[tuple[str, ClassAssignment]]:
        """Classify a movie's particles; what was decided, of this one and of those that had waited."""
        decided = self._classes.add(movie_id, particles, fibre)
        for known, found in decided:
            self._assign(known, tuple(found.class_id.tolist()))
        return decided

    def find(self, movie_id: str, particles: ParticleSpectra) -> ClassAssignment | None:
        """The present classes of a movie that was added before; None: there are no classes yet."""
        found = self._classes.find(movie_id, particles)
        if found is not None:
            self._assign(movie_id, tuple(found.class_id.tolist()))
        return found

    def _assign(self, movie_id: str, ids: tuple[int, ...]) -> None:
        before, now = set(self.class_ids.get(movie_id, ())), set(ids)
        for one in before - now:
            self._movies_of[one].discard(movie_id)
            if not self._movies_of[one]:
                del self._movies_of[one]
        for one in now - before:
            self._movies_of.setdefault(one, set()).add(movie_id)
        self.class_ids[movie_id] = ids
        self._assigned.add(movie_id)

    def concerned(self) -> set[str]:
        """Movies of which other particles may be chosen than when this was asked last."""
        now = {one: self._choice.is_chosen(one, self._classes.lineage) for one in self._movies_of}
        turned = [one for one, chosen in now.items() if self._chosen_then.get(one, chosen) != chosen]
        found = self._assigned.union(*(self._movies_of[one] for one in turned))
        self._chosen_then, self._assigned = now, set()
        return found

    def judge(self) -> None:
        """To be called once a round, after as many movies each time: what is chosen follows from the movies alone."""
        if not self._classes.alive:
            return
        self._choice.judge(self._classes.averages(), self._classes.particle_count)

    def hear(self, verdicts: Mapping[int, bool | None]) -> None:
        """All that people say of classes: True keep, False reject, None: the judge is to decide."""
        self._choice.verdicts = dict(verdicts)

    @property
    def heard(self) -> dict[int, bool | None]:
        return dict(self._choice.verdicts)

    def mask(self, movie_id: str, count: int) -> NDArray[np.bool_]:
        """(count,) which particles of a movie are chosen; those that have no class yet are."""
        ids = self.class_ids.get(movie_id, ())
        if len(ids) != count:
            return np.ones(count, dtype=bool)
        return self._choice.chosen(ids, self._classes.lineage)

    def left_out(self, movie_id: str) -> int:
        """Particles of a movie that are not chosen."""
        ids = self.class_ids.get(movie_id, ())
        return int((~self._choice.chosen(ids, self._classes.lineage)).sum())

    def averages(self) -> list[ClassAverage]:
        """The classes as they are."""
        return self._classes.averages()

    def score_of(self, class_id: int) -> float | None:
        """When it was last judged; None: never."""
        return self._choice.score_of(class_id)

    def verdicts(self) -> tuple[ClassVerdict, ...]:
        """What holds for every class that lives, or that a particle has."""
        ids = set(self._movies_of).union(self._classes.alive)
        return self._choice.all_of(sorted(ids), self._classes.lineage)

    def state(self) -> dict[str, NDArray[Any]]:
        """All but `class_ids` that `restore` needs."""
        classes = {f"{_CLASSES}{name}": array for name, array in self._classes.state().items()}
        choice = {f"{_CHOICE}{name}": array for name, array in self._choice.state().items()}
        return (
            classes
            | choice
            | {
                "assigned": np.array(sorted(self._assigned), dtype=np.str_),
                "chosen_then": np.array(list(self._chosen_then.items()), dtype=np.int64).reshape(-1, 2),
            }
        )

    def restore(self, arrays: Mapping[str, NDArray[Any]], class_ids: Mapping[str, Sequence[int]]) -> None:
        """Raises KeyError or ValueError when the arrays are not those of such particles."""
        for prefix, part in ((_CLASSES, self._classes), (_CHOICE, self._choice)):
            part.restore({n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)})
        self.class_ids, self._movies_of = MovieTable(), {}
        self.class_ids.take({movie_id: tuple(ids) for movie_id, ids in class_ids.items()})
        for movie_id, ids in class_ids.items():
            for one in set(ids):
                self._movies_of.setdefault(one, set()).add(movie_id)
        self._assigned = {str(one) for one in arrays["assigned"]}
        self._chosen_then = {int(one): bool(chosen) for one, chosen in arrays["chosen_then"]}
