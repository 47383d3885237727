"""The holes of a grid as arrays: which patch, square and area each lies in, where, and what is known before it is shot.

Two groupings of holes: `patch` shares a level in the belief; `stop` is what the stage is moved to, so that its holes
cost a short move each. They are the same where the program knows patches. Where it does not (EPU), a stop is a group
that is reached by beam shift, else the whole square; the square is cut into patches of some 25 neighbouring holes by
their positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.models.grid_target import GridTarget, lineage, unit_above
from frazil.models.targets.levels import Index
from frazil.models.targets.outcomes import Array

Flags = npt.NDArray[np.bool_]

MOST_IN_PATCH = 40
"""A patch with more holes is cut into parts: their field is solved as one small matrix."""
_TAKEN = ("exposed", "processed")
"""States of what has been shot, by what its own file says."""
_PART = 25
_NEIGHBOURS = 64
"""Holes whose nearest neighbour is looked for, of a patch, to know the spacing of holes."""


@dataclass(frozen=True, slots=True)
class Holes:
    """The holes of a grid, in the order in which they were given."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    square_ids: tuple[str, ...]
    """Empty: the grid itself, where holes have no square."""
    stop_ids: tuple[str, ...]
    square_names: tuple[str, ...]
    patch: Index
    """(holes,)"""
    stop: Index
    """(holes,)"""
    square_of_patch: Index
    area_of_square: Index
    square_of_stop: Index
    whole: Flags
    """(stops,) bought as a whole: a group that is reached by beam shift."""
    place: Array
    """(holes, 2) in spacings of holes, from the patch's own middle."""
    avoided: Flags
    exposed: Flags
    """By what their own file says, whether or not an outcome has come."""
    features: tuple[tuple[str, Array], ...]
    """(name, value by hole; NaN: not known)."""
    unseen_squares: int
    """Squares in which no hole is known yet, and that are neither avoided nor taken."""
    index: Mapping[str, int]
    """Of each hole by its identity, and by those of the exposures in it."""

    @property
    def square(self) -> Index:
        """(holes,)"""
        return self.square_of_patch[self.patch]

    @property
    def ever_open(self) -> bool:
        """Whether any file names a place before it is taken. Names of movies do not: what else there is, is unknown."""
        return not bool(self.exposed.all())

    @property
    def areas(self) -> int:
        """How many."""
        return int(self.area_of_square.max(initial=-1)) + 1

    @property
    def area(self) -> Index:
        """(holes,)"""
        return self.area_of_square[self.square]


def _ancestor(target: GridTarget, by_id: Mapping[str, GridTarget], level: str) -> str:
    """Identity of the unit of that level above a target; empty: not known."""
    found = unit_above(target, level, by_id.get)
    return "" if found is None else found.target_id


def _numbered(labels: Sequence[object]) -> tuple[Index, list[object]]:
    """Number of each label, and the labels, in the order in which they first appear."""
    known: dict[object, int] = {}
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.intp), list(known)


def _first(child: Index, parent: Index, children: int) -> Index:
    """Parent of each child unit, from pairs."""
    found = np.zeros(children, dtype=np.intp)
    found[child[::-1]] = parent[::-1]
    return found


def holes_of(targets: Iterable[GridTarget], avoided_ids: Iterable[str] = ()) -> Holes:
    """Arrange the holes among `targets`; exposures count as their hole, or as holes where they have none."""
    by_id = {target.target_id: target for target in targets}
    holes = [target for target in by_id.values() if target.level == "hole"]
    exposures = [target for target in by_id.values() if target.level == "exposure"]
    inside = {one.target_id: _ancestor(one, by_id, "hole") for one in exposures}
    holes += [one for one in exposures if not inside[one.target_id]]
    square_ids = [_ancestor(one, by_id, "square") for one in holes]
    patch_ids = [_ancestor(one, by_id, "patch") for one in holes]
    area, _ = _numbered([_ancestor(one, by_id, "area") for one in holes])
    square, squares = _numbered(list(zip(area.tolist(), square_ids, strict=True)))
    positions = _positions(holes, bool(any(patch_ids)))
    groups = [patch or one.group or "" for patch, one in zip(patch_ids, holes, strict=True)]
    stop, stops = _numbered(list(zip(square.tolist(), groups, strict=True)))
    patch, place = _patches(square, patch_ids, positions)
    left_out = set(avoided_ids)
    index = {one.target_id: number for number, one in enumerate(holes)}
    index |= {exposure: index[hole] for exposure, hole in inside.items() if hole in index}
    names = [by_id[key[1]].name if key[1] in by_id else "" for key in squares]  # type: ignore[index]
    return Holes(
        tuple(index)[: len(holes)], tuple(one.name for one in holes), tuple(key[1] for key in squares),  # type: ignore[index]
        tuple(str(key[1]) for key in stops), tuple(names), patch, stop,  # type: ignore[index]
        _first(patch, square, int(patch.max(initial=-1)) + 1), _first(square, area, len(squares)),
        _first(stop, square, len(stops)), _whole(stop, holes, patch_ids, len(stops)), place,
        np.array([_is_avoided(one, by_id, left_out) for one in holes], dtype=bool),
        np.array([one.state in _TAKEN for one in holes], dtype=bool),
        _features(holes), _unseen_squares(by_id, set(square_ids), left_out), index,
    )  # fmt: skip


def _unseen_squares(by_id: Mapping[str, GridTarget], seen_ids: set[str], left_out: set[str]) -> int:
    """How many squares are still to be looked at."""
    return sum(
        one.level == "square"
        and one.target_id not in seen_ids
        and one.state not in _TAKEN
        and not _is_avoided(one, by_id, left_out)
        for one in by_id.values()
    )


def _is_avoided(place: GridTarget, by_id: Mapping[str, GridTarget], left_out: set[str]) -> bool:
    """A place, or anything that it lies in."""
    return any(one.state == "avoided" or one.target_id in left_out for one in lineage(place, by_id.get))


def _whole(stop: Index, holes: Sequence[GridTarget], patch_ids: Sequence[str], stops: int) -> Flags:
    found = np.zeros(stops, dtype=bool)
    found[stop] = [bool(one.group) and not patch for one, patch in zip(holes, patch_ids, strict=True)]
    return found


def _positions(holes: Sequence[GridTarget], patches: bool) -> Array:
    """(holes, 2), NaN where not known: in the patch's image, else on the stage, else in the parent's image."""
    stage = [(one.stage_x_um, one.stage_y_um) for one in holes]
    image = [(one.x_in_parent_px, one.y_in_parent_px) for one in holes]
    first, second = (image, stage) if patches else (stage, image)
    complete = all(None not in pair for pair in first)
    return np.array([[np.nan if v is None else v for v in pair] for pair in (first if complete else second)]).reshape(
        -1, 2
    )


def _patches(square: Index, patch_ids: Sequence[str], positions: Array) -> tuple[Index, Array]:
    """Patch of each hole, and its place there in spacings of holes."""
    first, _ = _numbered(list(zip(square.tolist(), patch_ids, strict=True)))
    order = np.argsort(first, kind="stable")
    found, place = np.zeros(len(first), dtype=np.intp), np.zeros((len(first), 2))
    count = 0
    for members in np.split(order, np.flatnonzero(np.diff(first[order])) + 1) if len(order) else []:
        known = positions[members]
        known = np.where(np.isfinite(known), known, 0.0)
        middle = known - known.mean(axis=0)
        place[members] = middle / _spacing(middle)
        for part in _parts(place[members]):
            found[members[part]] = count
            count += 1
    return found, place


def _parts(place: Array) -> list[Index]:
    """One part, or as many halves of halves as it takes, each cut across its longer side."""
    waiting, done = [np.arange(len(place))], []
    limit = MOST_IN_PATCH if len(place) <= MOST_IN_PATCH else _PART
    while waiting:
        part = waiting.pop()
        if len(part) <= limit:
            done.append(part)
            continue
        axis = int(np.argmax(np.ptp(place[part], axis=0)))
        order = part[np.argsort(place[part, axis], kind="stable")]
        waiting += [order[len(order) // 2 :], order[: len(order) // 2]]
    return done


def _spacing(place: Array) -> float:
    """Median distance to the nearest hole; 1 where all lie at one place."""
    few = place[:_NEIGHBOURS]
    if len(place) < 2:
        return 1.0
    distance = np.hypot(*(few[:, None, :] - place[None, :, :]).transpose(2, 0, 1))
    distance[distance <= 0.0] = np.inf
    nearest = distance.min(axis=1)
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(nearest)) if nearest.size else 1.0


def _features(holes: Sequence[GridTarget]) -> tuple[tuple[str, Array], ...]:
    found: dict[str, Array] = {}
    for number, one in enumerate(holes):
        for name, value in one.features:
            if name not in found:
                found[name] = np.full(len(holes), np.nan)
            found[name][number] = value
    return tuple(sorted(found.items(), key=lambda item: item[0]))
