"""What is done for the grid in one go: look, read, keep, link, ask where to shoot next. In one thread at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from frazil.config.loading import settings_of
from frazil.config.settings import Settings
from frazil.daemon.analysis.athena.decisions import RoundDecisions, decisions_of
from frazil.daemon.analysis.targets.beam_shift import BeamShiftWork, ShiftNotice
from frazil.daemon.analysis.targets.book import Contradiction, GridBook
from frazil.daemon.analysis.targets.column import ColumnSigns
from frazil.daemon.analysis.targets.ice import IceByImages
from frazil.daemon.analysis.targets.judging import GridJudge, signs_of_movies
from frazil.daemon.analysis.targets.links import GridsAround, MovieLinks
from frazil.daemon.analysis.targets.looking import GridFiles
from frazil.daemon.analysis.targets.outcomes import USUAL_ANGSTROM, SessionOutcomes
from frazil.daemon.analysis.targets.reading import FileProblem, GridReader
from frazil.daemon.analysis.targets.rounds import (
    RANKED,
    Said,
    is_shot_at,
    places_of,
    results_among,
    said,
    squares_without_holes,
    stage_at,
)
from frazil.daemon.analysis.targets.square_images import SquareImages
from frazil.daemon.session.context import SessionContext
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import KnownTarget, TargetRoundRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import target_writes
from frazil.models.grid_target import GridTarget
from frazil.models.targets.records import Outcome

_READ_S = 3.0
"""Files are read for so long at a time: then what is known so far is of use already."""
_LOOK_S = 3.0
"""The same for images of squares: an image of 4096 x 4096 pixels takes most of a second."""
_ROUND_OUTCOMES = 5
"""New outcomes that make a round at once."""
_ROUND_S = 30.0
"""After so long anything that is new makes one."""
_EXPOSED = ("exposed", "processed")
_TARGET_FIELDS = (*(field.name for field in fields(GridTarget)), "square_id", "gone", "grid_id")
_TARGETS_SQL = """
SELECT target_id, level, program, name, parent_id, state, acquisition_order, stage_group,
       x_in_parent_px, y_in_parent_px, stage_x_um, stage_y_um, stage_z_um, diameter_um,
       features_json, image_path, acquired_utc_us, said_by, image_width_px, image_height_px, square_id, gone, grid_id
FROM grid_targets ORDER BY target_id
"""


@dataclass(frozen=True, slots=True)
class WorkDone:
    """What came of it."""

    round: TargetRoundRow | None
    """None: nothing new was said."""
    here_id: str | None
    """The square of the newest movie."""
    unknown_squares: int
    """That nobody avoids and whose holes nobody knows yet."""
    counts: tuple[int, int, int]
    """Squares, holes, and holes that are exposed."""
    all_read: bool
    nothing_left: bool
    """All is read, linked and judged."""
    over: frozenset[str] = frozenset()
    """Ids of alerts on files of which nothing is left."""
    problems: tuple[FileProblem, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    decisions: RoundDecisions | None = None
    """Of the round, where they are posted."""
    beam_shift: tuple[ShiftNotice, ...] = ()
    """What a person should know of it."""


def known_targets(store: Store) -> list[KnownTarget]:
    """What the store knows of the grid. Raises what `Store.rows` raises."""
    return [_known(row) for row in store.rows(_TARGETS_SQL)]


def _known(row: tuple[Any, ...]) -> KnownTarget:
    values = dict(zip(_TARGET_FIELDS, row, strict=True))
    values["features"] = tuple(msgspec.json.decode(values["features"], type=dict[str, float]).items())
    beside = {name: values.pop(name) for name in ("square_id", "gone", "grid_id")}
    return KnownTarget(GridTarget(**values), **beside)


def judge_without_daemon(store: Store, *, utc_us: int) -> TargetRoundRow | None:
    """A round from what the store knows alone, kept in it; None as `GridJudge.judge`. Raises what the store raises."""
    rows = store.named("session").as_dicts()
    settings = settings_of(str(rows[0]["settings_yaml"])) if rows else Settings()
    outcomes = _session_outcomes(store, settings)
    book = GridBook()
    book.remember(known_targets(store))
    judge = GridJudge(store, settings)
    found = judge.judge(book, said(store), outcomes.read(), None, utc_us=utc_us)
    if found is None:
        return None
    judge.write(found)
    return found.here


def _session_outcomes(store: Store, settings: Settings) -> SessionOutcomes:
    return SessionOutcomes(store, settings.evaluation.goal_resolution_angstrom or USUAL_ANGSTROM)


class GridWork:
    """See the module.

    Parameters
    ----------
    stop:
        Whether to leave off, and to write nothing more: another one may work on the same store by then.
    now_ns:
        Of the clock that files have their times from.
    """

    def __init__(
        self, context: SessionContext, raw_root: Path, *, stop: Callable[[], bool], now_ns: Callable[[], int]
    ) -> None:
        settings = context.settings
        self._store, self._utc_us, self._clock = context.store, context.utc_us, context.clock
        self._stop, self._now_ns = stop, now_ns
        roots = (raw_root, *map(Path, settings.intake.sidecar_roots))
        self._files = GridFiles(roots, [Path(root) for root in settings.targets.roots], exclude=context.session_dir)
        self._book = GridBook()
        self._reader = GridReader(self._book, context.clock)
        self._links = MovieLinks(context.store, raw_root, stop)
        unit_um = settings.microscope.beam_shift_um_per_unit
        self._beam_shift = BeamShiftWork(context.store, unit_um, context.utc_us, stop)
        self._outcomes = _session_outcomes(context.store, settings)
        self._judge_of_all = GridJudge(context.store, settings)
        self._decides = settings.targets.athena_url is not None
        self._images = SquareImages(context.store, context.clock, now_ns, context.utc_us, stop)
        self._ice = IceByImages(context.store, context.session_dir, context.utc_us, stop)
        self._remembered = False
        self._judged: tuple[object, ...] = ()
        """What the newest round was made from."""
        self._judged_outcomes = 0
        self._judged_s = float("-inf")
        self._taken: frozenset[str] = frozenset()
        """Holes with a movie."""
        self._here = ""
        """The grid in the microscope, by the newest round."""
        self._counted: tuple[object, tuple[int, int, int]] | None = None

    def carry_out(self, changed: frozenset[str], *, final: bool) -> WorkDone:
        """Do it. `changed`: movies that have another result; `final`: all that there is to do. Raises what the store
        raises; what was not done then is done the next time."""
        for movie_id in changed:
            self._links.changed(movie_id)
            self._outcomes.changed(movie_id)
            self._beam_shift.changed()
            self._ice.changed(movie_id)
        if not self._remembered:
            self._book.remember(known_targets(self._store))
            self._reader.remember()
            self._remembered = True
        all_read = self._read(final=final)
        self._keep()
        if all_read:
            self._beam_shift.step(self._book, everything=final)
            self._links.use_beam_shift(self._beam_shift.um_per_shift)
        column = ColumnSigns.of((*self._reader.signs, *signs_of_movies(self._store)))
        around = GridsAround(column, self._reader.names.grids_of_sessions())
        all_linked = self._links.link(self._book, around, everything=final)
        self._keep()  # names of movies may tell of the grid
        all_seen = self._look(final=True) if final else False
        row, judged = None, True
        if self._book.known:
            row, judged = self._judge(final=final, all_read=all_read)
        if not final:
            all_seen = self._look(final=False)  # a round does not wait for images: the next one knows them
        _, square_id, grid_id = stage_at(self._store)
        here_id = square_id if row is not None and grid_id == row.grid_id else None
        unknown = 0 if row is None else squares_without_holes(self._book, said(self._store), row.grid_id)
        problems, over = self._problems()
        contradictions, self._book.contradictions = tuple(self._book.contradictions), []
        nothing_left = all_read and all_linked and all_seen and judged
        decided = None if row is None or not self._decides else self._decisions(row)
        shift, self._beam_shift.notices = tuple(self._beam_shift.notices), []
        return WorkDone(
            row, here_id, unknown, self._counts(), all_read, nothing_left, over, problems, contradictions,
            decisions=decided, beam_shift=shift,
        )  # fmt: skip

    def _decisions(self, row: TargetRoundRow) -> RoundDecisions:
        return decisions_of(
            self._book.of_grid(row.grid_id),
            row,
            avoided_ids=said(self._store).avoided_ids,
            taken_ids=self._taken,
            whole_list=len(row.answer.ranked) < RANKED,
            session_names=self._reader.session_names(row.grid_id),
        )

    def _read(self, *, final: bool) -> bool:
        ends_s = self._clock() + _READ_S

        def until() -> bool:
            return self._stop() or (not final and self._clock() > ends_s)

        atlases: list[Path] = []
        while True:
            all_read = self._reader.read(self._files.look(atlases, now_ns=self._now_ns()), until=until)
            before, atlases = atlases, self._reader.atlases(self._files.roots, self._files.changes)
            if atlases == before or not all_read:
                return all_read

    def _look(self, *, final: bool) -> bool:
        """Measure images and what ice they show; whether nothing is left."""
        ends_s = self._clock() + _LOOK_S

        def until() -> bool:
            return self._stop() or (not final and self._clock() > ends_s)

        measured = self._images.measure(self._book, self._reader.pictures, until=until)
        return self._ice.calibrate(self._images.version, everything=final) and measured

    def _problems(self) -> tuple[tuple[FileProblem, ...], frozenset[str]]:
        """Of files, since they were taken out, and alerts of which nothing is left."""
        problems = (*self._reader.problems, *self._images.problems)
        over = frozenset(self._reader.over | self._images.over)
        self._reader.problems, self._images.problems = [], []
        self._reader.over, self._images.over = set(), set()
        return problems, over

    def _keep(self) -> None:
        if self._reader.renamed and not self._stop():
            self._store.write(WritePolicy.DURABLE, target_writes.rename_grids, tuple(self._reader.renamed))
            self._reader.renamed.clear()
        for rows in self._book.to_write(target_writes.AT_ONCE):
            if self._stop():
                return
            self._store.write(WritePolicy.DURABLE, target_writes.record_targets, rows, utc_us=self._utc_us())
            self._book.written(rows)

    def _judge(self, *, final: bool, all_read: bool) -> tuple[TargetRoundRow | None, bool]:
        """A round, if it is time; and whether all that is known has been judged."""
        wanted, known = said(self._store), self._outcomes.read()
        self._taken = frozenset(one.target_id for one in known)
        column = ColumnSigns.of((*self._reader.signs, *signs_of_movies(self._store)))
        now = (
            self._book.version,
            wanted,
            tuple(known),
            self._images.version,
            self._ice.version,
            column.newest_of(set(column.grid_ids)),
        )
        if now == self._judged:
            return None, True
        if not (final or (all_read and self._is_time(wanted, known))):
            return None, False
        found = self._judge_of_all.judge(self._book, wanted, known, column, utc_us=self._utc_us())
        if self._stop():
            return None, False
        if found is not None:
            self._judge_of_all.write(found)
        self._judged, self._judged_outcomes, self._judged_s = now, results_among(known), self._clock()
        self._here = self._here if found is None else found.here.grid_id
        return None if found is None else found.here, True

    def _is_time(self, wanted: Said, known: list[Outcome]) -> bool:
        heard = bool(self._judged) and self._judged[1] == wanted
        many = abs(results_among(known) - self._judged_outcomes) >= _ROUND_OUTCOMES
        return not heard or many or self._clock() - self._judged_s >= _ROUND_S

    def _counts(self) -> tuple[int, int, int]:
        wanted = self._judged[1] if self._judged else Said()
        assert isinstance(wanted, Said)
        key = (self._book.version, self._taken, wanted, self._here)
        if self._counted is None or self._counted[0] != key:
            self._counted = key, self._count(wanted)
        return self._counted[1]

    def _count(self, wanted: Said) -> tuple[int, int, int]:
        """Of the grid in the microscope; of the first one while nobody knows which that is."""
        here = self._here or min(self._book.versions, default="")
        rows = self._book.of_grid(here)
        squares = sum(row.target.level == "square" and not row.gone for row in rows.values())
        places = places_of(rows, [Outcome(target_id) for target_id in self._taken], wanted)
        holes = [target for target in places if is_shot_at(target, self._book)]
        exposed = sum(one.state in _EXPOSED or one.target_id in self._taken for one in holes)
        return squares, len(holes), exposed
