"""What can go wrong in a session, by name, so that it can be made to happen.

`KIND` picks one movie by the seed; `KIND:3,7` names movies by index (from 0). Faults of the gain concern the session.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from frazil.config.errors import UsageError
from frazil.models.simulation.session import MovieOverrides

MOVIE_FAULTS = {
    "truncated": "the file ends after 60 % of its bytes and never grows again",
    "stalled": "the file stops half-way and is finished three movies later",
    "late-sidecar": "the metadata file comes three movies later",
    "missing-sidecar": "the metadata file never comes",
    "bad-file": "random bytes under a movie's name",
    "zero-length": "an empty file",
    "zero-tail": "the last quarter of the frames is all zero",
    "few-frames": "half of the frames that the metadata promise",
    "preallocated": "the file has its full size from the start and is filled from its beginning",
    "replaced": "another movie of half the frames lies under the name first, and is replaced three movies later",
    "drift-burst": "a jump of the stage during the exposure",
    "lost-stage": "the stage runs away",
    "thick-ice": "250 nm of ice",
    "empty": "no particle in the hole",
}
GAIN_FAULTS = {
    "gain-rotated": "the reference is written turned by 90 degrees",
    "gain-flipped": "the reference is written upside down",
    "gain-inverted": "the reference is written with the other convention (multiply and divide swapped)",
    "gain-wrong": "the reference belongs to another camera",
    "gain-missing": "there is no reference file",
}
LATER_MOVIES = 3
"""How many movies later a delayed thing comes."""
THICK_ICE_NM = 250.0


@dataclass(frozen=True, slots=True)
class FaultPlan:
    movies: Mapping[int, tuple[str, ...]]
    gain: str | None = None

    def of(self, index: int) -> tuple[str, ...]:
        return self.movies.get(index, ())

    def overrides(self) -> dict[int, MovieOverrides]:
        """The faults that lie in the specimen or the stage."""
        result = {}
        for index, kinds in self.movies.items():
            result[index] = MovieOverrides(
                drift_kind="lost-stage" if "lost-stage" in kinds else "burst" if "drift-burst" in kinds else None,
                ice_thickness_nm=THICK_ICE_NM if "thick-ice" in kinds else None,
                empty="empty" in kinds,
            )
        return result


def parse_faults(texts: Iterable[str], *, movie_count: int, seed: int) -> FaultPlan:
    """`["truncated:3", "thick-ice:5,6", "gain-rotated"]` as a plan.

    Raises
    ------
    UsageError
        For an unknown fault (the nearest known one is named), a movie that does not exist, or two faults of the gain.
    """
    rng = np.random.default_rng([seed, 99])
    movies: dict[int, tuple[str, ...]] = {}
    gain = None
    for text in texts:
        kind, _, where = text.partition(":")
        kind = kind.strip()
        if kind in GAIN_FAULTS:
            if gain is not None:
                raise UsageError(f"two faults of the gain were asked for, {gain} and {kind}", remedy="choose one")
            gain = kind
            continue
        if kind not in MOVIE_FAULTS:
            known = [*MOVIE_FAULTS, *GAIN_FAULTS]
            near = difflib.get_close_matches(kind, known, 1)
            remedy = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"
            raise UsageError(f"there is no fault '{kind}'", remedy=remedy)
        if movie_count < 1:
            raise UsageError(f"there is no movie for the fault '{kind}'", remedy="ask for at least one movie")
        for index in _indices(text, where) if where else [int(rng.integers(0, movie_count))]:
            if not 0 <= index < movie_count:
                raise UsageError(
                    f"there is no movie {index} for the fault '{kind}'", remedy=f"use 0 to {movie_count - 1}"
                )
            movies[index] = (*movies.get(index, ()), kind)
    return FaultPlan(movies, gain)


def _indices(text: str, where: str) -> list[int]:
    try:
        return [int(part) for part in where.split(",")]
    except ValueError as error:
        raise UsageError(f"the fault '{text}' does not name movies by number", remedy="write KIND:3,7") from error
