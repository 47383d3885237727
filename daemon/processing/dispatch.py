"""Between the movies' lifecycle and the workers: starts movies, asks the gain gate's question, judges how calls end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from frazil.actors.messages import MovieFailure, MovieTask
from frazil.config.errors import FormatError, FrazilError, QueryError, RetryLaterError, StopDaemonError, WriteError
from frazil.config.stages import Stage
from frazil.daemon.processing import events, redo_files
from frazil.daemon.processing.gain import GAIN_BLOCKS, GainGate
from frazil.daemon.processing.lifecycle import Exposure, Lifecycle, MovieLife
from frazil.daemon.processing.movies import Movies
from frazil.daemon.processing.places import Place
from frazil.daemon.processing.results import ResultWriter
from frazil.daemon.processing.scheduler import Dispatch, FailureKind
from frazil.daemon.processing.worker_restarts import WorkerRestarts
from frazil.daemon.processing.workers import Outcome, WorkerCalls, WorkerDiedError
from frazil.daemon.session.context import SessionContext
from frazil.daemon.store import result_files
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.gain.decision import GainDecision
from frazil.models.records import MovieResult
from frazil.models.redo import stage_again

_log = logging.getLogger(__name__)
_NOT_STARTED = "attempt-not-stored"
_QUERY_PATIENCE_S = 60.0
_ANY_TIME_NS = 1 << 62
"""In a hundred and forty years."""


class Versions(Protocol):
    """With which versions of what the session learns a movie is processed: the session's analysis knows."""

    @property
    def eligible_below(self) -> int:
        """Movies with a smaller number can start."""

    def prior_for(self, sequence: int) -> PriorSnapshot: ...
    def network_version_for(self, sequence: int) -> int: ...
    def makes_lessons(self, sequence: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """A result that is to be made again."""

    stored: result_files.StoredResult
    written_ns: int
    """Sums in the session's folders that are newer are of another attempt."""
    from_stage: Stage | None
    """None: its file says that it has been made again."""


def earlier_result(path: Path) -> tuple[result_files.StoredResult, int] | None:
    """A result file, and how new its sums may be; None: it cannot be read.

    Only while a result that was made again waits to take its place may the sums be of that one. Else they are its own
    whatever their times say, which a copied session has from the copying.
    """
    try:
        stored = result_files.read_result(path)
        waits = redo_files.result_waits(path.parent.parent, stored.result.movie_id)
        return stored, path.stat().st_mtime_ns if waits else _ANY_TIME_NS
    except (FormatError, OSError):
        return None


class Dispatcher:
    """See the module. `read_earlier` reads the result that a redo starts from."""

    def __init__(
        self,
        context: SessionContext,
        lifecycle: Lifecycle,
        workers: WorkerCalls,
        movies: Movies,
        results: ResultWriter,
        gate: GainGate,
        versions: Versions,
        *,
        read_earlier: Callable[[Path], tuple[result_files.StoredResult, int] | None] = earlier_result,
    ) -> None:
        self._context, self._lifecycle, self._workers = context, lifecycle, workers
        self._movies, self._results, self._gate, self._versions = movies, results, gate, versions
        self._read_earlier = read_earlier
        self._refused_since_s: float | None = None
        """The store keeps no attempt, and a person has been told."""
        self._alert_may_be_open = True
        """That it did not, perhaps by an earlier run."""
        self._restarts = WorkerRestarts(context)
        self._restarts.end_those_of_others(workers.names)

    # --- starting --------------------------------------------------------------------------------------------------

    def ask_gate(self, *, nothing_more_comes: bool) -> None:
        """Give the gate's question, if it has one, to an idle worker."""
        idle = [name for name in self._workers.idle() if name not in self._lifecycle.at_workers()]
        if not idle or (question := self._gate.next_question(nothing_more_comes=nothing_more_comes)) is None:
            return
        self._lifecycle.worker_busy(idle[0])  # not for movies while it answers
        self._workers.call(
            idle[0],
            "gain",
            "decide_gain",
            question,
            subject="",
            text="looking at the gain",
            limit_s=self._context.settings.workers.movie_timeout_s,
        )

    def start_movies(self) -> None:
        """Give waiting movies to idle workers, as far as the prior that they are to use exists."""
        now_s = self._context.clock()
        for dispatch in self._lifecycle.dispatches(now_s, eligible_below=self._versions.eligible_below):
            self._movies.happened(events.Started(dispatch.movie_id))
            self._start(dispatch)

    def _start(self, dispatch: Dispatch) -> None:
        known = self._lifecycle.in_process(dispatch.movie_id)
        assert known is not None, "only movies in process are queued"
        life, exposure = known
        earlier = self._earlier(life, exposure) if life.place.redo else None
        if earlier is not None and earlier.from_stage is None:
            # We ended between its file and its row: there is nothing to do but to write the row.
            self._movies.happened(events.MadeAlready(dispatch.worker, dispatch.movie_id))
            self._results.add_stored(earlier.stored)
            return
        try:
            task = self._task(dispatch, life, exposure, earlier)
        except (RetryLaterError, QueryError) as error:
            self._wait(dispatch, error)
            return
        if not life.place.redo and not self._attempt_is_stored(dispatch):
            return
        self._refused_since_s = None
        if self._alert_may_be_open:
            self._alert_may_be_open = False
            self._context.notices.over(_NOT_STARTED)
        self._workers.call(
            dispatch.worker,
            "movie",
            "process",
            task,
            subject=dispatch.movie_id,
            text=exposure.movie.relative_path,
            limit_s=self._context.settings.workers.movie_timeout_s,
        )

    def _attempt_is_stored(self, dispatch: Dispatch) -> bool:
        """Durable before the worker has it: a movie that takes us down with it is not tried for ever."""
        try:
            self._context.store.write(WritePolicy.DURABLE, movie_writes.start_attempt, dispatch.movie_id)
        except RetryLaterError as error:
            self._wait(dispatch, error)
            return False
        except (WriteError, LookupError) as error:
            self._cannot_be_started(dispatch, error)
            return False
        return True

    def _wait(self, dispatch: Dispatch, error: FrazilError) -> None:
        """The store is not ready: the movie is tried again after a moment.

        Raises
        ------
        StopDaemonError
            It does not understand a question for so long that it will not any more.
        """
        now_s = self._context.clock()
        self._refused_since_s = now_s if self._refused_since_s is None else self._refused_since_s
        if isinstance(error, QueryError) and now_s - self._refused_since_s > _QUERY_PATIENCE_S:
            raise StopDaemonError(f"no movie can be given to a worker: {error.what}", remedy=error.remedy) from error
        self._movies.happened(events.NotStarted(dispatch.worker, dispatch.movie_id, now_s))
        self._alert_may_be_open = True
        text = f"no movie can be given to a worker: {error.what}"
        self._context.notices.alert("error", "disk", text, error.remedy, _NOT_STARTED)

    def _cannot_be_started(self, dispatch: Dispatch, error: Exception) -> None:
        """The store does not take this movie's attempt, now or later: it holds no other movie up."""
        reason, now_s = f"its attempt cannot be stored: {error}", self._context.clock()
        self._movies.happened(
            events.Failed(dispatch.worker, dispatch.movie_id, FailureKind.BAD_FILE, "store", reason, {}, now_s)
        )

    def _task(
        self, dispatch: Dispatch, life: MovieLife, exposure: Exposure, earlier: EarlierResult | None
    ) -> MovieTask:
        coming = self._lifecycle.next_in_queue()
        stage = Stage.MOTION if earlier is None or earlier.from_stage is None else earlier.from_stage
        return MovieTask(
            movie_id=life.movie_id,
            movie_path=str(exposure.movie.path),
            stem=life.stem,
            attempt=dispatch.attempt,
            acquisition=exposure.acquisition,
            gain=self._gate.decision_for(exposure.movie),
            parameter_hash=self._context.made_with.parameter_hash,
            prior=self._versions.prior_for(life.sequence),
            network_version=self._versions.network_version_for(life.sequence),
            make_lessons=earlier is None and self._versions.makes_lessons(life.sequence),
            earlier=None if earlier is None else earlier.stored.result,
            earlier_written_ns=0 if earlier is None else earlier.written_ns,
            from_stage=stage,
            output=redo_files.folder_of(life.movie_id) if life.place.redo else "",
            next_movie_path=None if coming is None else str(coming.movie.path),
        )

    def _earlier(self, life: MovieLife, exposure: Exposure) -> EarlierResult | None:
        """The result that a movie has; None: it cannot be read, and the movie is processed as a whole."""
        read = self._read_earlier(result_files.result_path(self._context.session_dir, life.movie_id))
        if read is None:
            return None
        stored, written_ns = read
        stage = stage_again(stored.result, exposure.acquisition, **asdict(self._context.made_with))
        return EarlierResult(stored, written_ns, stage)

    # --- how calls end ---------------------------------------------------------------------------------------------

    def take(self, outcome: Outcome) -> None:
        """A call has ended, one way or another."""
        worker, movie_id = outcome.call.worker, outcome.call.subject
        match outcome.call.kind:
            case "start" if outcome.error is None:
                self._lifecycle.worker_available(worker)
            case "start":
                self._restart(worker, str(outcome.error))
            case "gain":
                self._gain_answered(outcome)
            case _ if isinstance(outcome.value, MovieResult):
                self._movie_answered(worker, movie_id, outcome.value)
            case _:
                self._movie_failed(outcome)

    def _movie_answered(self, worker: str, movie_id: str, result: MovieResult) -> None:
        self._workers.count(worker, failed=False)
        self._restarts.works(worker)
        self._movies.happened(events.Answered(worker, movie_id))
        if self._lifecycle.place(movie_id) in (Place.WRITING, Place.REDO_WRITING):
            self._results.add(result)

    def _gain_answered(self, outcome: Outcome) -> None:
        worker = outcome.call.worker
        if outcome.error is not None:
            if (doubt := self._gate.ask_again()) is not None:
                remedy = "wait for more movies, or say --gain or --no-gain"
                self._context.notices.alert("warning", "gain", doubt, remedy)
            self._restart(worker, str(outcome.error))
            return
        self._lifecycle.worker_available(worker)
        if isinstance(outcome.value, MovieFailure):
            # Movies that cannot be read are left out by the worker: this is about the reference or the defects.
            raise StopDaemonError(outcome.value.reason, remedy="correct --gain or --defects, then start again")
        assert isinstance(outcome.value, GainDecision)
        verdict = self._gate.decided(outcome.value)
        self._context.store.write(WritePolicy.RETRIED, session_writes.record_gain_verdict, verdict)
        decision = self._gate.decision or outcome.value
        severity = "info" if decision.passes else "error"
        if decision.passes:
            self._context.notices.over(GAIN_BLOCKS)
        alert_id = "" if decision.passes else GAIN_BLOCKS
        self._context.notices.alert(severity, "gain", decision.sentence, decision.remedy, alert_id)
        if self._gate.open:
            self._movies.happened(events.GainKnown())

    def _movie_failed(self, outcome: Outcome) -> None:
        worker, movie_id = outcome.call.worker, outcome.call.subject
        kind, stage, reason, evidence = _judged(outcome)
        _log.warning("movie %s failed on %s (%s): %s", movie_id, worker, kind.value, reason)
        self._workers.count(worker, failed=True)
        known = self._lifecycle.in_process(movie_id)
        gone = kind is FailureKind.WORLD and known is not None and not known[1].movie.path.exists()
        failed = events.Failed(worker, movie_id, kind, stage, reason, evidence, self._context.clock(), gone)
        for restart in self._movies.happened(failed):
            self._restart(restart.worker, restart.reason)

    def _restart(self, worker: str, why: str) -> None:
        self._lifecycle.worker_busy(worker)
        self._restarts.restarted(worker, why, comes_back=self._workers.restart(worker))


def _judged(outcome: Outcome) -> tuple[FailureKind, str, str, dict[str, object]]:
    """What kind of failure it was, in which stage, why in a sentence, and the evidence."""
    failure = outcome.value
    if isinstance(failure, MovieFailure):
        kind = FailureKind(failure.kind) if failure.device_ok else FailureKind.DEVICE
        return kind, failure.stage, failure.reason, asdict(failure)
    reason = str(outcome.error)
    if outcome.timed_out:
        return FailureKind.TIMEOUT, "worker", reason, {"error": reason}
    if isinstance(outcome.error, WorkerDiedError):
        return FailureKind.DEATH, "worker", "the worker's process ended while it had this movie", {"error": reason}
    return FailureKind.ERROR, "worker", reason, {"error": repr(outcome.error)}
