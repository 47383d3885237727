"""Which movie belongs to which hole of an experiment; a movie that fits none is told, never forced."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frazil.models.causal.experiments.design import Assignment, Design
from frazil.models.records import MovieEvidence

_US_PER_S = 1e6


@dataclass(frozen=True, slots=True)
class TakenMovie:
    """One movie taken since the plan was made."""

    name: str
    """File name, by which a person knows it."""
    sequence: int
    """Order of registration; counts where no movie says when it was taken."""
    finished: bool
    """It has a result, or never will have one."""
    evidence: MovieEvidence | None = None
    """None: not finished, or it failed."""
    lost: bool = False
    """Its file could not be read or lacks a value: that is no fault of the setting, and says nothing of it."""
    particle_count: int | None = None
    square: str | None = None
    hole: str | None = None
    acquired_utc_us: int | None = None
    exposure_time_s: float | None = None
    measured: float | None = None
    """The experiment's quantity as sidecar or clock say, in its unit; None: nobody says."""
    seconds: float | None = None
    """Of microscope time that it took, from the end of the movie before to its own end."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Movies by the place of their hole in the plan, and the names of those that fit none."""

    by_place: Mapping[int, tuple[TakenMovie, ...]]
    strangers: tuple[str, ...]


def in_order(movies: Sequence[TakenMovie]) -> list[TakenMovie]:
    """By time of acquisition where all of them say it, else as they were registered."""
    if all(movie.acquired_utc_us is not None for movie in movies):
        return sorted(movies, key=lambda movie: (movie.acquired_utc_us or 0, movie.sequence))
    return sorted(movies, key=lambda movie: movie.sequence)


def match(design: Design, movies: Sequence[TakenMovie]) -> Matched:
    """By the holes' names where the plan has them, else the n-th movie in a square is the square's n-th hole."""
    if design.assignments and design.assignments[0].target.name:
        return _by_name(design.assignments, in_order(movies))
    return _by_order(design.assignments, in_order(movies))


def _by_name(assignments: Sequence[Assignment], movies: Sequence[TakenMovie]) -> Matched:
    places = {one.target.name.lower(): one.place for one in assignments}
    # The longest name that fits: hole 1 is not hole 12, nor "1" the one of "1-1".
    longest_first = sorted(places, key=lambda name: (-len(name), name))
    pattern = re.compile(
        rf"(?<![a-z0-9])(?:{'|'.join(re.escape(name) for name in longest_first)})(?![a-z0-9])", re.IGNORECASE
    )
    found: dict[int, list[TakenMovie]] = defaultdict(list)
    strangers = []
    for movie in movies:
        place = places.get((movie.hole or "").lower())
        if place is None:
            names = {text.lower() for text in pattern.findall(movie.name)}
            place = places[names.pop()] if len(names) == 1 else None
        if place is None:
            strangers.append(movie.name)
        else:
            found[place].append(movie)
    return Matched({place: tuple(of_hole) for place, of_hole in found.items()}, tuple(strangers))


def _by_order(assignments: Sequence[Assignment], movies: Sequence[TakenMovie]) -> Matched:
    free: dict[str, list[int]] = defaultdict(list)
    for one in reversed(assignments):
        free[one.target.square].append(one.place)
    found: dict[int, tuple[TakenMovie, ...]] = {}
    strangers = []
    for movie in movies:
        # A plan without squares takes the movies of all of them.
        places = free.get(movie.square or "") or free.get("")
        if places:
            found[places.pop()] = (movie,)
        else:
            strangers.append(movie.name)
    return Matched(found, tuple(strangers))


def microscope_seconds(movies: Sequence[TakenMovie]) -> dict[str, float]:
    """By name, the time that each movie took: from the end of the exposure before it to the end of its own. The first
    one, and those without a time of acquisition, are left out."""
    timed = sorted(
        (movie for movie in movies if movie.acquired_utc_us is not None), key=lambda movie: movie.acquired_utc_us or 0
    )
    found = {}
    for before, movie in itertools.pairwise(timed):
        gap_s = ((movie.acquired_utc_us or 0) - (before.acquired_utc_us or 0)) / _US_PER_S
        seconds = gap_s - (before.exposure_time_s or 0.0) + (movie.exposure_time_s or 0.0)
        if seconds > 0:
            found[movie.name] = seconds
    return found
