"""One answer to "where to shoot next": asked of `models/targets` with what is known, and told in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from frazil.config.settings import Settings
from frazil.daemon.analysis.targets.book import GridBook
from frazil.daemon.analysis.targets.image_features import image_features
from frazil.daemon.store.movie_states import current
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import OF_SESSION, KnownTarget, TargetRoundRow
from frazil.models.formats.grid.leginon_names import PROGRAM
from frazil.models.grid_target import GridTarget, at_grid_bar
from frazil.models.targets.features import ICE_NM, ICE_SD_NM, with_features
from frazil.models.targets.layout import Holes
from frazil.models.targets.policy import Arranged, arranged, next_targets
from frazil.models.targets.records import MoveMinutes, NextTargets, Outcome, SquareOutlook, TargetSettings
from frazil.models.targets.words import holes_words, ice_words

RANKED = 400
"""Targets that are listed in a round: a navigator file is handed back with all of them, `next.txt` with hundreds."""
ASSUMED_HOURS = 8.0
"""Left at the microscope where nobody has said."""
_US_PER_HOUR = 3.6e9
_EXPOSED_STATES = ("exposed", "processed")
_ON_GRID = "to shoot on this grid"
_WORDS_SQL = "SELECT target_id, word, hours, created_utc_us FROM target_words ORDER BY created_utc_us, target_id"
# Where the stage was last, as far as movies tell.
_AT_SQL = f"""
SELECT l.hole_id, t.square_id, t.grid_id FROM movie_targets l JOIN movies m USING (movie_id)
LEFT JOIN grid_targets t ON t.target_id = l.hole_id WHERE {current("m")}
ORDER BY m.acquired_utc_us DESC NULLS LAST, m.sequence DESC NULLS LAST LIMIT 1
"""
_FIRST_FOUND_SQL = "SELECT min(found_utc_us) FROM movies"
_NEXT_ROUND_SQL = "SELECT coalesce(max(round), 0) + 1 FROM target_rounds"


@dataclass(frozen=True, slots=True)
class Said:
    """What people want."""

    picked_ids: tuple[str, ...] = ()
    """In the order in which they were picked."""
    avoided_ids: tuple[str, ...] = ()
    hours: tuple[float, int] | None = None
    """Left at the microscope, from that moment on."""
    utc_us: int = 0
    """Of the newest word; 0: nobody has said anything."""


def said(store: Store) -> Said:
    """By the newest word on each place. Raises what `Store.rows` raises."""
    rows = store.rows(_WORDS_SQL)
    hours = [(float(hours), int(utc_us)) for place, word, hours, utc_us in rows if word == "hours_left"]
    return Said(
        tuple(str(place) for place, word, _, _ in rows if word == "picked" and place != OF_SESSION),
        tuple(str(place) for place, word, _, _ in rows if word == "avoided" and place != OF_SESSION),
        hours[-1] if hours else None,
        max((int(row[3]) for row in rows), default=0),
    )


def stage_at(store: Store) -> tuple[str | None, str | None, str | None]:
    """Hole, square and grid of the newest movie whose place is known. Raises what `Store.rows` raises."""
    rows = store.rows(_AT_SQL)
    return rows[0] if rows else (None, None, None)


def results_among(known: Sequence[Outcome]) -> int:
    """Of exposures whose movies have a result: others were taken and no more."""
    return sum(one.resolution_angstrom is not None or one.usable is not None for one in known)


@dataclass(frozen=True, slots=True)
class Carried:
    """What the microscope's other grids told that holds for this one, too."""

    moves: MoveMinutes | None = None
    """None: learnt from this grid alone."""
    slopes: tuple[tuple[str, float, float, float], ...] = ()
    """`NextTargets.feature_slopes`"""


@dataclass(slots=True)
class TargetRounds:
    """See the module. Remembers the arranged table of each grid's places as long as it stays the same."""

    store: Store
    settings: Settings
    _arranged: dict[str, tuple[object, Arranged]] = field(default_factory=dict)

    def ask(
        self,
        book: GridBook,
        wanted: Said,
        known: Sequence[Outcome],
        *,
        utc_us: int,
        grid_id: str = "",
        carried: Carried | None = None,
        away_minutes: float | None = None,
    ) -> TargetRoundRow | None:
        """The next round of a grid, not yet written. None: no source has named a place on it that is, or was, still to
        be taken. `known`: what its exposures gave; `away_minutes`: that it takes until it is in the microscope (None:
        it is). Raises what `Store.rows` raises."""
        targets = places_of(book.of_grid(grid_id), known, wanted)
        holes = [target for target in targets if is_shot_at(target, book)]
        if not any(_was_to_take(target) for target in holes):
            return None
        exposed = {one.target_id for one in known}
        hours = self._hours_left(wanted, utc_us)
        chosen = self._chosen(wanted, carried or Carried())
        hole_id, square_id, here_id = stage_at(self.store)
        at = hole_id if away_minutes is None and here_id in (None, grid_id) else ""
        minutes = max(1.0, 60.0 * (ASSUMED_HOURS if hours is None else hours) - (away_minutes or 0.0))
        seen = image_features(self.store)
        answer = next_targets(self._table(book, grid_id, targets, chosen, seen), known, minutes, chosen, at)
        here_id = square_id if at else None
        return TargetRoundRow(
            round=int(self.store.rows(_NEXT_ROUND_SQL)[0][0]),
            created_utc_us=utc_us,
            words_utc_us=wanted.utc_us,
            counted=chosen.value,
            usable_angstrom=chosen.usable_angstrom,
            hours_left=hours,
            holes=len(holes),
            exposed=sum(target.state in _EXPOSED_STATES or target.target_id in exposed for target in holes),
            outcomes=results_among(known),
            line=line_of(answer, here_id, squares_without_holes(book, wanted, grid_id)),
            answer=with_ice(answer, seen),
            grid_id=grid_id,
        )

    def _chosen(self, wanted: Said, carried: Carried) -> TargetSettings:
        return TargetSettings(
            usable_angstrom=self.settings.targets.usable_angstrom,
            value=self.settings.targets.value,
            ranked=RANKED,
            moves=carried.moves,
            picked_ids=wanted.picked_ids,
            avoided_ids=wanted.avoided_ids,
            carried_slopes=carried.slopes,
        )

    def _table(
        self,
        book: GridBook,
        grid_id: str,
        targets: list[GridTarget],
        chosen: TargetSettings,
        seen: Mapping[str, Mapping[str, float]],
    ) -> Arranged:
        key = (book.versions.get(grid_id), tuple(target.target_id for target in targets), chosen.avoided_ids, seen)
        if grid_id not in self._arranged or self._arranged[grid_id][0] != key:
            self._arranged[grid_id] = key, arranged(with_features(targets, seen), chosen)
        return self._arranged[grid_id][1]

    def holes_of(self, book: GridBook, wanted: Said, known: Sequence[Outcome], grid_id: str) -> Holes:
        """Of one grid, as `ask` arranges them."""
        targets = places_of(book.of_grid(grid_id), known, wanted)
        return self._table(book, grid_id, targets, self._chosen(wanted, Carried()), image_features(self.store)).holes

    def _hours_left(self, wanted: Said, utc_us: int) -> float | None:
        """As a person said last, else by the settings; None: nobody has said."""
        whole = self.settings.evaluation.microscope_hours_left
        first_utc_us = self.store.rows(_FIRST_FOUND_SQL)[0][0]
        if wanted.hours is not None:
            whole, first_utc_us = wanted.hours
        if whole is None:
            return None
        elapsed_us = 0 if first_utc_us is None else utc_us - int(first_utc_us)
        return max(0.0, whole - elapsed_us / _US_PER_HOUR)


def with_ice(answer: NextTargets, seen: Mapping[str, Mapping[str, float]]) -> NextTargets:
    """The same with the ice of each hole in its reason, where it is known."""
    told = []
    for one in answer.ranked:
        features = seen.get(one.target_id, {})
        if ICE_NM in features and ICE_SD_NM in features:
            one = replace(one, reason=f"{one.reason}; {ice_words(features[ICE_NM], features[ICE_SD_NM])}")
        told.append(one)
    return replace(answer, ranked=tuple(told))


def places_of(rows: Mapping[str, KnownTarget], known: Sequence[Outcome], wanted: Said) -> list[GridTarget]:
    """Those that are there, and those that are gone and have been exposed: what came of them is known. Exposures in
    known holes say no more than their hole does, and holes at grid bars that nobody chose are no places to shoot at."""
    exposed = {one.target_id for one in known}
    places = []
    for target_id in sorted(rows):
        row = rows[target_id]
        target = row.target
        taken = target.state in _EXPOSED_STATES or target_id in exposed
        if not taken and (row.gone or _at_a_bar(target, wanted)):
            continue
        above = rows.get(target.parent_id or "") if target.level == "exposure" else None
        if above is None or above.target.level != "hole":
            places.append(target)
    return places


def is_shot_at(target: GridTarget, book: GridBook) -> bool:
    """A hole; or an exposure, where a program tells of no holes."""
    above = book.target(target.parent_id or "") if target.level == "exposure" else None
    return target.level == "hole" or (target.level == "exposure" and (above is None or above.level != "hole"))


def _was_to_take(target: GridTarget) -> bool:
    """Leginon's names tell of what was taken alone: of what is left they say nothing."""
    return target.program != PROGRAM or target.state not in _EXPOSED_STATES


def squares_without_holes(book: GridBook, wanted: Said, grid_id: str = "") -> int:
    """Squares that nobody avoids and whose holes no file has told yet: what is left in them is not known."""
    rows = [row for row in book.of_grid(grid_id).values() if not row.gone or row.target.state in _EXPOSED_STATES]
    searched = {row.square_id for row in rows if row.target.level in ("hole", "exposure")}
    left_out = {*searched, *wanted.avoided_ids}
    return sum(
        row.target.level == "square" and row.target.state != "avoided" and row.target.target_id not in left_out
        for row in rows
    )


def _at_a_bar(target: GridTarget, wanted: Said) -> bool:
    return at_grid_bar(target) and target.state == "seen" and target.target_id not in wanted.picked_ids


def line_of(answer: NextTargets, here_id: str | None, unknown_squares: int = 0) -> str:
    """For a glance; `here_id`: the square of the newest movie; `unknown_squares`: those whose holes nobody knows."""
    if not answer.ranked:
        return f"next: nothing is left {'in the squares whose holes are known' if unknown_squares else _ON_GRID}"
    by_id = {square.square_id: square for square in answer.squares}
    first = answer.ranked[0]
    there = by_id.get(first.square_id or "")
    if there is None:
        return f"next: {first.name}, {_chance(first.usable, first.usable_low, first.usable_high)}"
    what = f"square {_name(there)}, " if there.square_id else ""
    chance = _chance(there.usable, there.usable_low, there.usable_high)
    in_a_row = next((n for n, one in enumerate(answer.ranked) if one.square_id != first.square_id), len(answer.ranked))
    count = max(there.worth_taking, in_a_row)  # a square that is only looked at is worth no more yet than the look
    worth = holes_words(count)
    if here_id is None or here_id == there.square_id:
        leave = f"; leave it after {count} more" if count < there.left else ""
        return f"next: {what}{worth}, {chance}{leave if here_id else ''}"
    here = by_id.get(here_id)
    return f"next: {what}{worth}, {chance}; leave square {_name(here) if here else here_id} now"


def _chance(value: float, low: float, high: float) -> str:
    return f"{value:.1f} ({low:.1f}-{high:.1f})"


def _name(square: SquareOutlook) -> str:
    return square.name or square.square_id or "without a name"
