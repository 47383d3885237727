"""One judgement of all grids: where to shoot next on the one in the microscope, and whether another one is better.

Each grid is asked of by itself: outcomes of squares stay with their grid. What holds for the microscope goes over from
one to the next: what a move costs, what a change of grid costs, and how the ice's looks told the resolution.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from frazil.config.settings import Settings
from frazil.daemon.analysis.targets.book import GridBook
from frazil.daemon.analysis.targets.column import ColumnSigns
from frazil.daemon.analysis.targets.expected_holes import ExpectedHoles
from frazil.daemon.analysis.targets.rounds import Carried, Said, TargetRounds, results_among, stage_at
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import GridOutlookRow, TargetRoundRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import target_writes
from frazil.models.targets.costs import exchange_minutes, moves_of_all
from frazil.models.targets.other_grids import Comparison, better_words, compared
from frazil.models.targets.records import Outcome

_TAKEN_STATES = ("exposed", "processed")
_AGAIN_US = 600_000_000
"""A grid of which nothing is new is asked of again after so long: the hours left are fewer."""
_SIGNS_SQL = """
SELECT max(m.mtime_ns), t.grid_id FROM movie_targets l JOIN movies m USING (movie_id)
JOIN grid_targets t ON t.target_id = l.hole_id WHERE m.mtime_ns IS NOT NULL GROUP BY t.grid_id
"""
_LAST_SQL = "SELECT grid_id FROM target_rounds ORDER BY round DESC LIMIT 1"
_NAMES_SQL = "SELECT grid_id, name FROM grid_names"


def signs_of_movies(store: Store) -> list[tuple[int, str]]:
    """(mtime in ns, grid) of the newest movie of each. Raises what `Store.rows` raises."""
    return [(int(at), str(grid)) for at, grid in store.rows(_SIGNS_SQL)]


@dataclass(slots=True)
class GridJudge:
    """See the module. Remembers what was said of grids that are not in the microscope, while nothing is new of them."""

    store: Store
    settings: Settings
    _rounds: TargetRounds = field(init=False)
    _others: dict[str, tuple[object, TargetRoundRow | None]] = field(default_factory=dict)
    _expected: ExpectedHoles = field(init=False)

    def __post_init__(self) -> None:
        self._rounds = TargetRounds(self.store, self.settings)
        self._expected = ExpectedHoles(self.store)

    def judge(
        self, book: GridBook, wanted: Said, known: Sequence[Outcome], column: ColumnSigns | None, *, utc_us: int
    ) -> Judgement | None:
        """Not yet written. None: no source has named a place that is, or was, still to be taken. `column`: by files,
        too; None: no files are looked at, and the grid of the newest round is taken to be still there. Raises what
        `Store.rows` raises."""
        outcomes = _by_grid(book, known)
        grid_ids = _with_holes(book, outcomes)
        here = self._in_column(grid_ids, column)
        if here is None:
            return None
        carried, away_minutes = self._carried(book, wanted, outcomes, sorted(grid_ids), utc_us)
        others: dict[str, tuple[TargetRoundRow, bool]] = {}
        for grid_id in sorted(grid_ids - {here}):
            found = self._other(
                book, wanted, outcomes[grid_id], (grid_id, carried[grid_id], away_minutes), utc_us=utc_us
            )
            if found is not None:
                others[grid_id] = found
        row = self._rounds.ask(book, wanted, outcomes[here], utc_us=utc_us, grid_id=here, carried=carried[here])
        if row is None:
            return None
        comparisons = _compared(row, {grid_id: one for grid_id, (one, _) in others.items()})
        row = self._named(row, comparisons, away_minutes, several=len(book.versions) > 1)
        new = [one for one, is_new in others.values() if is_new]
        rows = [replace(one, round=row.round + number) for number, one in enumerate((*new, row))]
        outlooks = tuple(
            GridOutlookRow(grid_id, found.counted, found.times, found.low, found.high, away_minutes)
            for grid_id, found in comparisons.items()
        )
        return Judgement(tuple(rows), outlooks)

    def write(self, judgement: Judgement) -> None:
        """Keep it. Raises what `Store.write` raises."""
        for row in judgement.rows:
            holes, gone = self._expected.changed(row)
            self.store.write(WritePolicy.DURABLE, target_writes.record_round, row, holes, gone=gone)
            self._expected.written(row.grid_id, holes, gone)
        self.store.write(WritePolicy.DURABLE, target_writes.record_outlooks, judgement.outlooks)

    def _in_column(self, grid_ids: set[str], column: ColumnSigns | None) -> str | None:
        if len(grid_ids) < 2:
            return next(iter(grid_ids), None)
        last = self.store.rows(_LAST_SQL)
        if column is None and last and last[0][0] in grid_ids:
            return str(last[0][0])
        found = None if column is None else column.newest_of(grid_ids)
        newest = stage_at(self.store)[2]
        return found or (newest if newest in grid_ids else min(grid_ids))

    def _carried(
        self, book: GridBook, wanted: Said, outcomes: Mapping[str, list[Outcome]], grid_ids: Sequence[str], utc_us: int
    ) -> tuple[dict[str, Carried], float]:
        """What goes over to each grid from the others, and minutes that an exchange takes."""
        usual = self.settings.targets.exchange_minutes
        if len(grid_ids) < 2:
            return dict.fromkeys(grid_ids, Carried()), usual
        holes = {grid_id: self._rounds.holes_of(book, wanted, outcomes[grid_id], grid_id) for grid_id in grid_ids}
        moves = moves_of_all((holes[grid_id], outcomes[grid_id]) for grid_id in grid_ids)
        exposed = [
            (one.exposed_utc_us, grid_id)
            for grid_id in grid_ids
            for one in outcomes[grid_id]
            if one.exposed_utc_us is not None
        ]
        most = max(grid_ids, key=lambda grid_id: (results_among(outcomes[grid_id]), grid_id))
        slopes: tuple[tuple[str, float, float, float], ...] = ()
        if results_among(outcomes[most]):
            own = Carried(moves)
            row = self._rounds.ask(book, wanted, outcomes[most], utc_us=utc_us, grid_id=most, carried=own)
            slopes = () if row is None else row.answer.feature_slopes
        carried = {grid_id: Carried(moves, () if grid_id == most else slopes) for grid_id in grid_ids}
        return carried, exchange_minutes(exposed, usual)

    def _other(
        self,
        book: GridBook,
        wanted: Said,
        outcomes: list[Outcome],
        asked: tuple[str, Carried, float],
        *,
        utc_us: int,
    ) -> tuple[TargetRoundRow, bool] | None:
        """What is said of a grid (its id, what goes over to it, minutes until it is there), and whether it is new."""
        grid_id, carried, away_minutes = asked
        told = (book.versions.get(grid_id), wanted, tuple(outcomes))
        key = (told, utc_us // _AGAIN_US)
        before = self._others.get(grid_id)
        if before is not None and before[0] == key:
            return None if before[1] is None else (before[1], False)
        row = self._rounds.ask(
            book, wanted, outcomes, utc_us=utc_us, grid_id=grid_id, carried=carried, away_minutes=away_minutes
        )
        self._others[grid_id] = key, row
        is_new = before is None or not isinstance(before[0], tuple) or before[0][0] != told
        return None if row is None else (row, is_new)

    def _named(
        self, row: TargetRoundRow, comparisons: Mapping[str, Comparison], away_minutes: float, *, several: bool
    ) -> TargetRoundRow:
        """With the grid's name in its line, where there are several, and the best of those that are better for sure."""
        if not several:
            return row
        names = {str(grid_id): str(name) for grid_id, name in self.store.rows(_NAMES_SQL)}
        here = names.get(row.grid_id, row.grid_id)
        line = f"next: grid {here}, {row.line.removeprefix('next: ')}"
        sure = [grid_id for grid_id, found in comparisons.items() if found.better]
        if not sure:
            return replace(row, line=line)
        best = max(sure, key=lambda grid_id: (comparisons[grid_id].times, grid_id))
        name = names.get(best, best)
        words = better_words(name, comparisons[best], away_minutes)
        return replace(row, line=f"{line}; grid {name} is better", other_grid=words)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was said in one go."""

    rows: tuple[TargetRoundRow, ...]
    """Of the grid in the microscope last: the newest round is that grid's."""
    outlooks: tuple[GridOutlookRow, ...] = ()

    @property
    def here(self) -> TargetRoundRow:
        """Of the grid in the microscope."""
        return self.rows[-1]


def _by_grid(book: GridBook, known: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes of places that are known, by grid."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    for one in known:
        row = book.known.get(one.target_id)
        if row is not None:
            found[row.grid_id].append(one)
    return found


def _with_holes(book: GridBook, outcomes: Mapping[str, list[Outcome]]) -> set[str]:
    """Grids on which there is something to shoot, or was."""
    there = (
        row.grid_id
        for row in book.known.values()
        if row.target.level in ("hole", "exposure") and (not row.gone or row.target.state in _TAKEN_STATES)
    )
    return {grid_id for grid_id, known in outcomes.items() if known} | set(there)


def _compared(here: TargetRoundRow, others: Mapping[str, TargetRoundRow]) -> dict[str, Comparison]:
    """Of grids that tell of places that are still to be taken."""
    own = here.answer.prospect
    found = {}
    for grid_id, row in others.items():
        its = row.answer.prospect
        if own is not None and its is not None and row.answer.ranked:
            found[grid_id] = compared(own, its, here.counted)
    return found
