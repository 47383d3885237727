"""Which exposures share a beam and image shift, and so coma and astigmatism: groups found while movies come in.

With beam shift a pattern of holes (or of shots in holes) is taken without moving the stage. Each place of the pattern
has its own beam tilt and astigmatism, and refinement corrects them by optics group (Zivanov et al. 2020, IUCrJ 7, 253).

The places are not known beforehand, nor is the unit of EPU's numbers. What is known is that the same place comes again
with little scatter while two places are far apart: among the distances at which single linkage joins what has been seen
there is a gap. Until it shows, movies have no group; then all get theirs. A number that was given never changes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from frazil.models.records import AcquisitionMetadata

_GAP = 7.0
"""Two places lie at least so many times farther apart than one place scatters."""
_FEWEST_REPEATS = 3
_PATIENCE = 80
"""After so many movies without a gap the decision falls with what there is."""
_REGULAR = 4.0
"""Distances that differ by less than this factor are those of a grid, not of one scattered place."""
_MOST_SCATTER_UM, _LARGEST_REACH_UM = 0.15, 0.4
"""Acquisition programs repeat an image shift to some hundredths of a um; shots in a hole lie 0.3 um apart."""
_SAMPLE = 400
_FOLLOW = 20
"""A place follows the mean of about so many of its newest exposures: slow drift makes no new group."""
_SAME = 1e-6
"""Of the largest distance: equal but for the digits that were written."""


@dataclass(frozen=True, slots=True)
class BeamPosition:
    """What an exposure says of its shift. `unit`: um (image shift), au (beam shift) or empty (a name alone)."""

    unit: str
    x: float
    y: float
    name: str | None = None
    """Of the place in the template (EPU: the number after `Data_`)."""


def beam_position(metadata: AcquisitionMetadata) -> BeamPosition | None:
    """From sidecar or file name; None: nothing is said. EPU's beam shift goes before its image shift, which it keeps
    zero in some versions; SerialEM's mdoc has the image shift alone, in um."""
    m = metadata
    if m.beam_shift_x_au is not None and m.beam_shift_y_au is not None:
        return BeamPosition("au", m.beam_shift_x_au, m.beam_shift_y_au, m.beam_shift_group)
    if m.image_shift_x_au is not None and m.image_shift_y_au is not None:
        return BeamPosition("au", m.image_shift_x_au, m.image_shift_y_au, m.beam_shift_group)
    if m.image_shift_x_um is not None and m.image_shift_y_um is not None:
        return BeamPosition("um", m.image_shift_x_um, m.image_shift_y_um, m.beam_shift_group)
    return None if m.beam_shift_group is None else BeamPosition("", 0.0, 0.0, m.beam_shift_group)


@dataclass(slots=True)
class _Place:
    number: int
    x: float
    y: float
    seen: int = 1

    def take(self, x: float, y: float) -> None:
        self.seen += 1
        weight = 1.0 / min(self.seen, _FOLLOW)
        self.x += weight * (x - self.x)
        self.y += weight * (y - self.y)


@dataclass(slots=True)
class _Space:
    """All exposures that speak in one unit."""

    places: list[_Place] = field(default_factory=list)
    waiting: dict[str, BeamPosition] = field(default_factory=dict)
    reach: float | None = None
    """Nearer than this is the same place. None: not known yet."""
    sample: list[tuple[float, float]] = field(default_factory=list)

    def nearest(self, x: float, y: float) -> tuple[_Place | None, float]:
        best = min(self.places, key=lambda place: math.hypot(place.x - x, place.y - y), default=None)
        return best, math.inf if best is None else math.hypot(best.x - x, best.y - y)


@dataclass(slots=True)
class BeamShiftGroups:
    """See the module. Numbers count from 1 in the order in which places are first seen."""

    _spaces: dict[str, _Space] = field(default_factory=lambda: defaultdict(_Space))
    _of_name: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Numbers that exposures of this name got by their shift."""
    _named: dict[str, int] = field(default_factory=dict)
    """Numbers that were given by the name alone."""
    _next: int = 1

    def restore(self, position: BeamPosition, number: int) -> None:
        """A movie of an earlier run that has its number, in order; those without one are added after these."""
        self._next = max(self._next, number + 1)
        if position.unit == "":
            if position.name is not None:
                self._named[position.name] = number
            return
        space = self._spaces[position.unit]
        self._keep(space, position)
        place = next((place for place in space.places if place.number == number), None)
        if place is None:
            space.places.append(_Place(number, position.x, position.y))
        else:
            place.take(position.x, position.y)
        if position.name is not None:
            self._of_name[position.name].add(number)
        if space.reach is None:
            space.reach = _reach(space.sample, position.unit)

    def add(self, movie_id: str, position: BeamPosition) -> dict[str, int]:
        """A new exposure. Returns the numbers that are known now and were not before: none, its own, or also those of
        earlier movies that waited."""
        if position.unit == "":
            return self._by_name(movie_id, position.name)
        space = self._spaces[position.unit]
        self._keep(space, position)
        space.waiting[movie_id] = position
        if space.reach is None:
            space.reach = _reach(space.sample, position.unit)
            if space.reach is None:
                return self._those_at_a_known_point(space)
        given = {waiting: self._place(space, where) for waiting, where in space.waiting.items()}
        space.waiting.clear()
        return given

    def _keep(self, space: _Space, position: BeamPosition) -> None:
        # A point that comes again and again says no more of scatter or spacing: beam shift that is switched on after
        # hundreds of equal shifts must still find room.
        if space.reach is not None or len(space.sample) >= _SAMPLE:
            return
        near = _SAME * max(abs(position.x), abs(position.y), 1e-12)
        equal = sum(math.hypot(x - position.x, y - position.y) <= near for x, y in space.sample)
        if equal < _FEWEST_REPEATS:
            space.sample.append((position.x, position.y))

    def _place(self, space: _Space, position: BeamPosition) -> int:
        place, distance = space.nearest(position.x, position.y)
        if place is None or space.reach is None or distance > space.reach:
            place = _Place(self._number_for(position.name), position.x, position.y)
            space.places.append(place)
        else:
            place.take(position.x, position.y)
        if position.name is not None:
            self._of_name[position.name].add(place.number)
        return place.number

    def _number_for(self, name: str | None) -> int:
        """The number that movies of this name without a sidecar have had, if it has no place yet; else a new one."""
        given = None if name is None else self._named.get(name)
        if given is not None and not any(p.number == given for s in self._spaces.values() for p in s.places):
            return given
        self._next += 1
        return self._next - 1

    def _those_at_a_known_point(self, space: _Space) -> dict[str, int]:
        """While the reach is not known: a session whose shift does not change at all is one group."""
        given = {}
        for movie_id, position in list(space.waiting.items()):
            place, distance = space.nearest(position.x, position.y)
            if place is not None and distance <= _SAME * max(abs(place.x), abs(place.y), 1e-12):
                given[movie_id] = self._place_exactly(place, position)
                del space.waiting[movie_id]
        if not space.places and len(space.waiting) >= _FEWEST_REPEATS and len(set(space.sample)) == 1:
            for movie_id, position in space.waiting.items():
                if not space.places:
                    space.places.append(_Place(self._number_for(position.name), position.x, position.y, 0))
                given[movie_id] = self._place_exactly(space.places[0], position)
            space.waiting.clear()
        return given

    def _place_exactly(self, place: _Place, position: BeamPosition) -> int:
        place.seen += 1
        if position.name is not None:
            self._of_name[position.name].add(place.number)
        return place.number

    def _by_name(self, movie_id: str, name: str | None) -> dict[str, int]:
        if name is None:
            return {}
        by_shift = self._of_name.get(name, set())
        if len(by_shift) == 1:
            return {movie_id: next(iter(by_shift))}
        if name not in self._named:
            self._named[name] = self._next
            self._next += 1
        return {movie_id: self._named[name]}


def _reach(sample: Iterable[tuple[float, float]], unit: str) -> float | None:
    """Half way (by ratio) across the lowest gap between scatter and spacing; None: it does not show yet."""
    points = np.array(list(sample), dtype=np.float64)
    if len(points) <= _FEWEST_REPEATS:
        return None
    heights: NDArray[np.float64] = np.sort(linkage(points, "single")[:, 2])
    largest = float(heights[-1])
    if largest == 0.0:
        return None  # one place so far, and its scatter is not known
    floor = np.maximum(heights, 1e-3 * largest)
    for low in range(_FEWEST_REPEATS - 1, len(floor) - 1):
        if floor[low + 1] >= _GAP * floor[low] and (unit != "um" or floor[low] <= _MOST_SCATTER_UM):
            reach = math.sqrt(floor[low] * floor[low + 1])
            return min(reach, _LARGEST_REACH_UM) if unit == "um" else reach
    if len(points) < _PATIENCE:
        return None
    smallest = float(floor[_FEWEST_REPEATS - 1])  # below are the repeats of one point that came often
    if largest < _REGULAR * smallest:
        return smallest / 2  # a pattern of so many places that none has come twice
    return _LARGEST_REACH_UM if unit == "um" else _GAP * largest


def groups_of(positions: Iterable[BeamPosition]) -> list[int | None]:
    """Numbers of a whole session at once, in its order; None: still open."""
    groups = BeamShiftGroups()
    found: dict[str, int] = {}
    names: list[str] = []
    for place, position in enumerate(positions):
        names.append(str(place))
        found |= groups.add(names[-1], position)
    return [found.get(name) for name in names]
