"""Keeps the verdicts of randomised experiments up to date: which movie belongs to which hole, and what that says.

A verdict costs a tenth of a second for two hundred holes, so it is made in the daemon's own process, and no more often
than that it takes a fiftieth of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from frazil.config.errors import FormatError
from frazil.daemon.session.context import SessionContext
from frazil.daemon.store import result_files
from frazil.daemon.store.experiment_rows import ExperimentRow, HoleRow, unit_columns, verdict_columns
from frazil.daemon.store.movie_states import FINISHED, current, finished
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import experiment_writes
from frazil.models.causal.experiments.blocks import unit_of
from frazil.models.causal.experiments.design import Design
from frazil.models.causal.experiments.matching import Matched, TakenMovie, in_order, match, microscope_seconds
from frazil.models.causal.experiments.outcomes import RingReference, ring_reference
from frazil.models.causal.experiments.verdict import judge
from frazil.models.causal.settle import with_settle_times
from frazil.models.records import MovieEvidence, MovieState

_BEFORE = 50
"""Newest movies before an experiment, of which the bands of its outcome are made."""
_FIRST = 8
_SHARE_OF_TIME = 0.02
_LEAST_PAUSE_S = 2.0
_OWN_FAULT = ("intake", "metadata", "store", "read", "gain")
"""Stages at which a movie fails for its file's sake, whatever its setting was."""
_OVER = (MovieState.FAILED, MovieState.QUARANTINED)
_OPEN_SQL = """
SELECT experiment_id, created_utc_us, who, quantity, arm_a, arm_b, outcome, seed, first_sequence,
       coalesce(stopped_sequence, 2147483647) FROM experiments WHERE state <> 'decided' ORDER BY created_utc_us
"""
_HOLES_SQL = """
SELECT place, block, arm, target, grid_square, stage_group, ice, defocus_um FROM experiment_assignments
WHERE experiment_id = ? ORDER BY place
"""
# One movie more than the experiment's own: the settle clock of the first begins there.
_MOVIES_SQL = f"""
SELECT m.movie_id, m.relative_path, m.sequence, m.state, m.failure_stage, m.grid_square, m.hole, m.acquired_utc_us,
       q.particle_count FROM movies m LEFT JOIN quality q USING (movie_id)
WHERE {current("m")} AND m.sequence >= ? AND m.sequence < ? ORDER BY m.sequence
"""
_BEFORE_SQL = f"SELECT movie_id FROM movies WHERE {finished()} AND sequence < ? ORDER BY sequence DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class _Open:
    """An experiment that is not decided, and where its movies end."""

    row: ExperimentRow
    end_sequence: int


class ExperimentVerdicts:
    """See the module. `step` never waits for anything but its own computing."""

    def __init__(self, context: SessionContext) -> None:
        self._store, self._session_dir, self._clock = context.store, context.session_dir, context.clock
        self._evidence: dict[str, MovieEvidence | None] = {}
        """Of the movies of open experiments; None: the result cannot be read."""
        self._due = True
        self._not_before_s = float("-inf")

    def movie_ended(self, movie_id: str | None) -> None:
        """A movie has a result, for the first time or again, or (None) will never have one."""
        self._evidence.pop(movie_id or "", None)
        self._due = True

    def step(self) -> None:
        """Judge what is open, if a movie has ended since and it is time."""
        if self._due and self._clock() >= self._not_before_s:
            self._judge_all()

    def drained(self) -> bool:
        """Whether what there is has been judged; does so first."""
        if self._due:
            self._judge_all()
        return True

    def _judge_all(self) -> None:
        began_s = self._clock()
        self._due = False
        try:
            experiments = self._open()
            for one in experiments:
                self._judge(one)
        except BaseException:
            self._due = True  # what the step wanted is wanted still
            raise
        if not experiments:
            self._evidence.clear()
        spent_s = self._clock() - began_s
        self._not_before_s = self._clock() + max(_LEAST_PAUSE_S, spent_s / _SHARE_OF_TIME)

    def _open(self) -> list[_Open]:
        found = []
        for values in self._store.rows(_OPEN_SQL):
            holes = tuple(HoleRow(*hole) for hole in self._store.rows(_HOLES_SQL, values[0]))
            *plan, end_sequence = values
            found.append(_Open(_plan(plan, holes), int(end_sequence)))
        return found

    def _judge(self, one: _Open) -> None:
        design = one.row.design()
        matched = match(design, self._taken(one, design))
        reference = self._reference(one.row.first_sequence, matched, design)
        units = {place: unit_of(movies, design, reference) for place, movies in matched.by_place.items()}
        verdict = judge(design, units)
        self._store.write(
            WritePolicy.DURABLE,
            experiment_writes.record_verdict,
            one.row.experiment_id,
            verdict_columns(design, verdict, len(matched.strangers)),
            unit_columns(design, units),
        )

    def _taken(self, one: _Open, design: Design) -> list[TakenMovie]:
        """The movies of the experiment's time, with what was measured of its quantity."""
        first = one.row.first_sequence
        rows = self._store.rows(_MOVIES_SQL, first - 1, one.end_sequence)
        known = [self._of(row[0]) if row[3] in FINISHED else None for row in rows]
        with_evidence = [evidence for evidence in known if evidence is not None]
        settled = iter(with_settle_times(with_evidence, None, None)[0])
        movies = [
            _movie(row, None if evidence is None else next(settled), design.quantity.name)
            for row, evidence in zip(rows, known, strict=True)
        ]
        seconds = microscope_seconds(movies)
        return [replace(movie, seconds=seconds.get(movie.name)) for movie in movies if movie.sequence >= first]

    def _reference(self, first_sequence: int, matched: Matched, design: Design) -> RingReference | None:
        if design.outcome != "ln_ssnr":
            return None
        before = [self._of(row[0]) for row in self._store.rows(_BEFORE_SQL, first_sequence, _BEFORE)]
        known = [evidence for evidence in before if evidence is not None]
        return ring_reference(known) or ring_reference(_first_with_rings(matched))

    def _of(self, movie_id: str) -> MovieEvidence | None:
        if movie_id not in self._evidence:
            path = result_files.result_path(self._session_dir, movie_id)
            try:
                self._evidence[movie_id] = result_files.read_result(path).result.evidence
            except (FormatError, OSError):
                self._evidence[movie_id] = None  # the prior has said so to a person
        return self._evidence[movie_id]


def _plan(values: Sequence[Any], holes: tuple[HoleRow, ...]) -> ExperimentRow:
    names = (
        "experiment_id",
        "created_utc_us",
        "who",
        "quantity",
        "arm_a",
        "arm_b",
        "outcome",
        "seed",
        "first_sequence",
    )
    return ExperimentRow(**dict(zip(names, values, strict=True)), holes=holes)


def _first_with_rings(matched: Matched) -> list[MovieEvidence]:
    """The experiment's first movies with rings, up to the first that is still being processed: the same ones at every
    look, whatever their settings."""
    found: list[MovieEvidence] = []
    for movie in in_order([movie for movies in matched.by_place.values() for movie in movies]):
        if not movie.finished or len(found) == _FIRST:
            break
        if movie.evidence is not None and any(value is not None for value in movie.evidence.log_ssnr):
            found.append(movie.evidence)
    return found


def _movie(row: Sequence[Any], evidence: MovieEvidence | None, quantity: str) -> TakenMovie:
    _, path, sequence, state, stage, square, hole, acquired_utc_us, particle_count = row
    over = state in _OVER
    exposure = None if evidence is None else evidence.exposure
    return TakenMovie(
        name=str(path),
        sequence=int(sequence),
        finished=state in FINISHED or over,
        evidence=evidence,
        # A result that cannot be read is as little the setting's fault as a movie that cannot.
        lost=(over and stage in _OWN_FAULT) or (state in FINISHED and evidence is None),
        particle_count=None if particle_count is None else int(particle_count),
        square=square,
        hole=hole,
        acquired_utc_us=acquired_utc_us,
        exposure_time_s=None if exposure is None else exposure.exposure_time_s,
        measured=None if evidence is None else _MEASURED[quantity](evidence),
    )


def _dose_rate_e_per_px_per_s(movie: MovieEvidence) -> float | None:
    time_s = movie.exposure.exposure_time_s
    return movie.dose_per_frame_e_per_px * movie.frame_count / time_s if time_s else None


def _image_shift_um(movie: MovieEvidence) -> float | None:
    x, y = movie.exposure.image_shift_x_um, movie.exposure.image_shift_y_um
    return None if x is None or y is None else float(np.hypot(x, y))


def _defocus_um(movie: MovieEvidence) -> float | None:
    return None if movie.defocus_angstrom is None else movie.defocus_angstrom / 1e4


_MEASURED: dict[str, Callable[[MovieEvidence], float | None]] = {
    "settle_time_s": lambda movie: movie.settle_time_s,
    "dose_rate_e_per_px_per_s": _dose_rate_e_per_px_per_s,
    "image_shift_um": _image_shift_um,
    "defocus_um": _defocus_um,
}
"""What sidecar or clock say of a quantity, in its unit."""
