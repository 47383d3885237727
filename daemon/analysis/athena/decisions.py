"""A round of advice as decisions on EPU's squares and holes: in which order, and what is left out.

An order counts what the session has taken: rank 1 after 40 holes is 41. So the numbers of what follows stay when the
first of the list has been taken, and little has to be posted again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from frazil.daemon.store.target_rows import KnownTarget, TargetRoundRow
from frazil.models.formats.grid.athena_records import (
    AreaDecision,
    area_id_of,
    area_type_of,
    selection_value,
    truth_value,
)
from frazil.models.formats.grid.epu_ids import PROGRAM
from frazil.models.grid_target import at_grid_bar
from frazil.models.targets.records import RankedTarget

AFTER_ALL = 1_000_000
"""Order of what is worth taking and stands behind the end of the list."""
_TAKEN_STATES = ("exposed", "processed")
_AVOIDED = "is avoided"
_NOT_WORTH = "not worth its minutes, as it looks now"
_BEHIND = "behind the end of the list"


@dataclass(frozen=True, slots=True)
class RoundDecisions:
    """All that a round decides, what was said before as well as what is new."""

    round: int
    decisions: tuple[AreaDecision, ...]
    without_id: int
    """Squares and holes that EPU's service cannot know: they have no number of EPU's."""
    session_names: tuple[str, ...] = ()
    """Of EPU's sessions, as their files call them."""


def decisions_of(
    known: Mapping[str, KnownTarget],
    row: TargetRoundRow,
    *,
    avoided_ids: Collection[str],
    taken_ids: Collection[str],
    whole_list: bool,
    session_names: tuple[str, ...] = (),
) -> RoundDecisions:
    """The decisions of a round.

    Parameters
    ----------
    known:
        The grid, by id.
    avoided_ids:
        Holes, patches and squares that a person avoids.
    taken_ids:
        Holes with a movie, beside those that EPU says to be taken.
    whole_list:
        Whether the round's list ends because nothing more is worth its minutes, and not because it is long.
    session_names:
        Of EPU's sessions.
    """
    here = [one for one in known.values() if not one.gone and area_type_of(one.target.level) is not None]
    places = [place for one in here if (place := _place(one)) is not None]
    words = _Words(row, frozenset(avoided_ids), frozenset(taken_ids), whole_list)
    decided: list[AreaDecision] = []
    for place in places:
        decided += words.of_hole(place) if place.known.target.level == "hole" else words.of_square(place)
    decided += words.of_selections(places)
    decided.sort(key=lambda one: one.key)
    return RoundDecisions(row.round, tuple(decided), len(here) - len(places), session_names)


@dataclass(frozen=True, slots=True)
class _Place:
    known: KnownTarget
    area_id: int
    area_type: str

    def included(self, included: bool, why: str) -> AreaDecision:
        return AreaDecision(self.area_id, self.area_type, "include", truth_value(included), why)

    def ordered(self, order: int, why: str) -> AreaDecision:
        return AreaDecision(self.area_id, self.area_type, "acquisitionOrder", str(order), why)


def _place(one: KnownTarget) -> _Place | None:
    """None: the service cannot know it."""
    area_id, area_type = area_id_of(one.target.name), area_type_of(one.target.level)
    if one.target.program != PROGRAM or area_id is None or area_type is None:
        return None
    return _Place(one, area_id, area_type)


@dataclass(slots=True)
class _Words:
    """What a round says of a place."""

    row: TargetRoundRow
    avoided_ids: frozenset[str]
    taken_ids: frozenset[str]
    whole_list: bool
    _ranked: dict[str, RankedTarget] = field(init=False)
    _square_order: dict[str, int] = field(init=False)
    """From 1, by the first of its holes on the list."""
    _left: dict[str, int] = field(init=False)
    """Holes that are left, by square."""

    def __post_init__(self) -> None:
        answer = self.row.answer
        self._ranked = {one.target_id: one for one in answer.ranked}
        squares = dict.fromkeys(one.square_id for one in answer.ranked if one.square_id is not None)
        self._square_order = {square_id: order for order, square_id in enumerate(squares, 1)}
        self._left = {one.square_id: one.left for one in answer.squares}

    def of_hole(self, place: _Place) -> Iterator[AreaDecision]:
        """Nothing of one that has been taken, or at which nobody means to shoot (at a bar)."""
        included = self._hole_included(place)
        if included is None:
            return
        taken, why = included
        yield place.included(taken, why)
        if taken:
            one = self._ranked.get(place.known.target.target_id)
            yield place.ordered(AFTER_ALL if one is None else self.row.exposed + one.rank, why)

    def of_square(self, place: _Place) -> Iterator[AreaDecision]:
        """Nothing of one whose holes nobody knows yet, or that has been taken as a whole."""
        square_id = place.known.target.target_id
        order = self._square_order.get(square_id)
        if self._is_avoided(place.known):
            yield place.included(False, _AVOIDED)
        elif order is not None:
            yield place.included(True, f"place {order} of the squares")
            yield place.ordered(order, f"place {order} of the squares")
        elif self._left.get(square_id, 0) > 0:
            yield place.included(not self.whole_list, _NOT_WORTH if self.whole_list else _BEHIND)
            if not self.whole_list:
                yield place.ordered(AFTER_ALL, _BEHIND)

    def of_selections(self, places: list[_Place]) -> Iterator[AreaDecision]:
        """The holes of each square in one list; those that have been taken stay on it."""
        by_id = {one.known.target.target_id: one for one in places if one.known.target.level == "square"}
        holes: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        for place in places:
            square_id = place.known.square_id
            if place.known.target.level != "hole" or square_id not in by_id:
                continue
            included = self._hole_included(place)
            if included is not None or self._is_taken(place.known):
                holes[square_id].append((place.area_id, included is None or included[0]))
        for square_id, listed in holes.items():
            square, kept = by_id[square_id], sum(taken for _, taken in listed)
            details = f"{kept} of {len(listed)} holes are taken"
            yield AreaDecision(square.area_id, square.area_type, "foilHoleSelection", selection_value(listed), details)

    def _hole_included(self, place: _Place) -> tuple[bool, str] | None:
        known = place.known
        if self._is_taken(known):
            return None
        if self._is_avoided(known):
            return False, _AVOIDED
        one = self._ranked.get(known.target.target_id)
        if one is not None:
            return True, one.reason
        if known.target.state == "seen" and at_grid_bar(known.target):
            return None
        return (False, _NOT_WORTH) if self.whole_list else (True, _BEHIND)

    def _is_taken(self, known: KnownTarget) -> bool:
        return known.target.state in _TAKEN_STATES or known.target.target_id in self.taken_ids

    def _is_avoided(self, known: KnownTarget) -> bool:
        ids = {known.target.target_id, known.square_id, known.target.parent_id}
        return known.target.state == "avoided" or not self.avoided_ids.isdisjoint(ids)
