"""Between scheduler and workers: asks the gate's question, starts movies, judges how calls end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from frazil.actors.messages import MovieFailure, MovieTask
from frazil.config.errors import FormatError, StopDaemonError
from frazil.config.settings import Settings
from frazil.config.stages import Stage
from frazil.daemon.analysis.coordinator import AnalysisCoordinator
from frazil.daemon.processing import redo_files
from frazil.daemon.processing.gain import GainGate
from frazil.daemon.processing.movies import InHand, MovieProcessing
from frazil.daemon.processing.results import ResultWriter
from frazil.daemon.processing.scheduler import FailureKind, Scheduler
from frazil.daemon.processing.workers import Outcome, WorkerCalls, WorkerDiedError
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store import result_files
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.gain.gate import GainDecision
from frazil.models.records import MovieResult
from frazil.models.redo import stage_again

_log = logging.getLogger(__name__)
_STEADY_MOVIES = 10
"""After so many results a worker that was restarted is as good as any."""
_RESTARTED_SQL = "SELECT alert_id FROM alerts WHERE starts_with(alert_id, ?) AND cleared_utc_us IS NULL"


@dataclass(frozen=True, slots=True)
class _Again:
    """A result that is to be made again."""

    stored: result_files.StoredResult
    written_ns: int
    stage: Stage | None
    """From which on; None: its file says that it has been made again."""


class Dispatcher:
    """See the module."""

    def __init__(
        self,
        *,
        store: Store,
        book: MovieRegistry,
        gate: GainGate,
        scheduler: Scheduler,
        workers: WorkerCalls,
        movies: MovieProcessing,
        results: ResultWriter,
        analysis: AnalysisCoordinator,
        notices: Notices,
        settings: Settings,
        session_dir: Path,
        made_with: MadeWith,
        clock: Callable[[], float],
    ) -> None:
        self._session_dir, self._made_with = session_dir, made_with
        self._store, self._book, self._gate, self._scheduler = store, book, gate, scheduler
        self._workers, self._movies, self._results = workers, movies, results
        self._analysis, self._notices, self._settings = analysis, notices, settings
        self._clock = clock
        self._results_since_start: dict[str, int] = {}
        """Of each worker's process."""

    def end_alerts_of_workers_that_are_no_more(self) -> None:
        """Other settings may want fewer of them; nobody is left to show that one works again."""
        there = {_restart_alert(name) for name in self._workers.names}
        for (alert_id,) in self._store.rows(_RESTARTED_SQL, _restart_alert("")):
            if alert_id not in there:
                self._notices.over(str(alert_id))

    def ask_gate(self, *, nothing_more_comes: bool) -> None:
        """Give the gate's question, if it has one, to an idle worker."""
        idle = [name for name in self._workers.idle() if name not in self._scheduler.in_flight()]
        if not idle or (question := self._gate.next_question(nothing_more_comes=nothing_more_comes)) is None:
            return
        self._scheduler.worker_gone(idle[0])  # not for movies while it answers
        self._workers.call(
            idle[0],
            "gain",
            "decide_gain",
            question,
            subject="",
            text="looking at the gain",
            limit_s=self._settings.workers.movie_timeout_s,
        )

    def start_movies(self) -> None:
        """Give waiting movies to idle workers, as far as the prior that they are to use exists."""
        for dispatch in self._scheduler.dispatches(self._clock(), eligible_below=self._analysis.eligible_below):
            known = self._movies.in_hand[dispatch.movie_id]
            known.stale = False
            again: _Again | None = None
            redo = self._book.is_redo(dispatch.movie_id)
            if redo:
                again = self._earlier(dispatch.movie_id, known)
                if again is not None and again.stage is None:
                    # We ended between its file and its row: there is nothing to do but to write the row.
                    self._scheduler.finished(dispatch.worker)
                    self._results.add_stored(again.stored)
                    continue
            else:
                # Durable before the worker has it: a movie that takes us down with it is not tried for ever.
                self._store.submit(movie_writes.start_attempt, dispatch.movie_id).result()
            coming = [movie_id for movie_id in self._scheduler.peek(1) if movie_id in self._movies.in_hand]
            sequence = self._book.sequence(dispatch.movie_id)
            task = MovieTask(
                movie_id=dispatch.movie_id,
                movie_path=str(known.movie.path),
                stem=self._book.stem(dispatch.movie_id),
                attempt=dispatch.attempt,
                acquisition=known.acquisition,
                gain=self._gate.decision_for(known.movie),
                parameter_hash=self._made_with.parameter_hash,
                prior=self._analysis.prior_for(sequence),
                network_version=self._analysis.network_version_for(sequence),
                make_lessons=again is None and self._analysis.makes_lessons(sequence),
                earlier=None if again is None else again.stored.result,
                earlier_written_ns=0 if again is None else again.written_ns,
                from_stage=Stage.MOTION if again is None or again.stage is None else again.stage,
                output=redo_files.folder_of(dispatch.movie_id) if redo else "",
                next_movie_path=str(self._movies.in_hand[coming[0]].movie.path) if coming else None,
            )
            self._workers.call(
                dispatch.worker,
                "movie",
                "process",
                task,
                subject=dispatch.movie_id,
                text=known.movie.relative_path,
                limit_s=self._settings.workers.movie_timeout_s,
            )

    def _earlier(self, movie_id: str, known: InHand) -> _Again | None:
        """The result that a movie has; None: it cannot be read, and the movie is processed as a whole."""
        path = result_files.result_path(self._session_dir, movie_id)
        try:
            written_ns, stored = path.stat().st_mtime_ns, result_files.read_result(path)
        except (FormatError, OSError):
            return None
        stage = stage_again(stored.result, known.acquisition, **asdict(self._made_with))
        return _Again(stored, written_ns, stage)

    def take(self, outcome: Outcome) -> None:
        """A call has ended, one way or another."""
        worker, movie_id = outcome.call.worker, outcome.call.subject
        match outcome.call.kind:
            case "start":
                if outcome.error is None:
                    self._scheduler.worker_available(worker)
                else:
                    self._restart(worker, str(outcome.error))
            case "gain":
                self._on_gain(outcome)
            case _ if isinstance(outcome.value, MovieResult):
                known = self._movies.in_hand.get(movie_id)
                attempt = self._scheduler.finished(worker)
                self._workers.count(worker, failed=False)
                self._works_again(worker)
                if known is not None and known.stale:
                    known.stale = False
                    if not self._book.is_redo(movie_id):
                        self._store.submit(movie_writes.give_attempt_back, movie_id)
                    self._movies.queue(movie_id)
                elif attempt:
                    self._results.add(outcome.value)
            case _:
                self._on_failure(outcome)
        self._movies.worker_answered(movie_id)

    def _on_gain(self, outcome: Outcome) -> None:
        worker = outcome.call.worker
        if outcome.error is not None:
            if (said := self._gate.ask_again()) is not None:
                self._notices.alert("warning", "gain", said, "wait for more movies, or say --gain or --no-gain")
            self._restart(worker, str(outcome.error))
            return
        self._scheduler.worker_available(worker)
        if isinstance(outcome.value, MovieFailure):
            # Movies that cannot be read are left out by the worker: this is about the reference or the defects.
            raise StopDaemonError(outcome.value.reason, remedy="correct --gain or --defects, then start again")
        assert isinstance(outcome.value, GainDecision)
        decision = outcome.value
        self._store.submit(session_writes.record_gain_verdict, self._gate.decided(decision)).result()
        decision = self._gate.decision or decision
        self._notices.alert("info" if decision.passes else "error", "gain", decision.sentence, decision.remedy)
        if self._gate.open:
            self._movies.release_gate()

    def _on_failure(self, outcome: Outcome) -> None:
        worker, movie_id = outcome.call.worker, outcome.call.subject
        failure = outcome.value
        if isinstance(failure, MovieFailure):
            kind = FailureKind(failure.kind) if failure.device_ok else FailureKind.DEVICE
            stage, reason, evidence = failure.stage, failure.reason, asdict(failure)
        elif outcome.timed_out:
            kind, stage, reason = FailureKind.TIMEOUT, "worker", str(outcome.error)
            evidence = {"error": reason}
        elif isinstance(outcome.error, WorkerDiedError):
            kind, stage = FailureKind.DEATH, "worker"
            reason, evidence = "the worker's process ended while it had this movie", {"error": str(outcome.error)}
        else:
            kind, stage, reason = FailureKind.ERROR, "worker", str(outcome.error)
            evidence = {"error": repr(outcome.error)}
        _log.warning("movie %s failed on %s (%s): %s", movie_id, worker, kind.value, reason)
        self._workers.count(worker, failed=True)
        after = self._scheduler.failed(worker, kind, self._clock())
        if self._book.is_redo(movie_id) and movie_id in self._movies.in_hand:
            gone = kind is FailureKind.WORLD and not self._movies.in_hand[movie_id].movie.path.exists()
            if after.quarantine or gone:
                self._movies.keep_result(movie_id, "the movie's file is gone" if gone else reason)
        elif movie_id in self._movies.in_hand:  # else it was replaced or set aside meanwhile: its row stays as it is
            if kind in (FailureKind.DEATH, FailureKind.DEVICE, FailureKind.WORLD):
                self._store.submit(movie_writes.give_attempt_back, movie_id)
            if after.quarantine:
                self._store.submit(movie_writes.quarantine, movie_id, stage=stage, reason=reason, evidence=evidence)
                self._notices.alert("warning", "movie", f"{self._book.path(movie_id)} is set aside: {reason}")
                self._movies.forget(movie_id)
            else:
                self._store.submit(movie_writes.record_failure, movie_id, stage=stage, reason=reason, evidence=evidence)
        if after.restart_worker:
            self._restart(worker, reason)

    def _works_again(self, worker: str) -> None:
        self._results_since_start[worker] = self._results_since_start.get(worker, 0) + 1
        if self._results_since_start[worker] == _STEADY_MOVIES:
            self._notices.over(_restart_alert(worker))

    def _restart(self, worker: str, why: str) -> None:
        self._scheduler.worker_gone(worker)
        self._results_since_start[worker] = 0
        if self._workers.restart(worker):
            text = f"worker {worker} was restarted: {why}"
            remedy = f"nothing, if it was once: this is over after {_STEADY_MOVIES} movies; else `frazil doctor`"
            self._notices.alert("warning", "worker", text, remedy, _restart_alert(worker))
        else:
            self._notices.alert(
                "error",
                "worker",
                f"worker {worker} does not come back: {why}",
                "look at logs/ and `frazil doctor`",
                _restart_alert(worker),
            )


def _restart_alert(worker: str) -> str:
    return f"worker-restart:{worker}"
