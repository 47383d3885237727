"""The daemon: puts intake, workers, store and sockets together and carries each movie from one to the next.

One thread (`run`) owns all the state here; intake and sockets put what they have into its inbox. The rooms decide:
intake when a movie is complete, the gain gate whether movies may pass, the scheduler who works on what, the store what
is durable. This file only carries.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

from frazil.actors.gpu_pool import WorkerDiedError, WorkerPool, plan_workers, usable_cpu_count
from frazil.actors.messages import MovieFailure, MovieTask
from frazil.actors.ray_runtime import RayRuntime
from frazil.config.errors import FrazilError, NotThereError, RetryLaterError, SettingsError, StopDaemonError, UsageError
from frazil.config.loading import parameter_hash
from frazil.daemon import prior_epochs, session_folder
from frazil.daemon.analysis_desk import AnalysisDesk
from frazil.daemon.gain_desk import GainDesk
from frazil.daemon.http_desk import HttpDesk
from frazil.daemon.inbox import Inbox, Order
from frazil.daemon.intake import instructions as intake
from frazil.daemon.intake.events import Reconsider, SpaceLow, SpaceOk
from frazil.daemon.intake.identity import CompleteMovie
from frazil.daemon.intake.service import DiskTools, IntakeService
from frazil.daemon.live_state import LiveStateBuilder
from frazil.daemon.movie_book import MovieBook
from frazil.daemon.options import DaemonOptions, ExitReport
from frazil.daemon.scheduler import FailureKind, Scheduler
from frazil.daemon.service import DaemonService
from frazil.daemon.store import rebuild, result_files, session_writes, writes
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.rows import AlertRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.thresholds import rejection_reason
from frazil.daemon.transport.messages import LiveState
from frazil.daemon.transport.server import QueryServer
from frazil.daemon.worker_desk import Outcome, WorkerDesk
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.formats.sidecar import read_sidecar, sidecar_candidates
from frazil.models.formats.structure import check_structure
from frazil.models.gain_gate import GainDecision
from frazil.models.records import AcquisitionMetadata, MovieResult, MovieState

_log = logging.getLogger(__name__)

_LOOP_WAIT_S = 0.1
_PUBLISH_INTERVAL_S = 1.0
_FIXED_PATTERN_LIMIT = 0.25
"""Above this share of the gain pattern is left in a corrected movie: the gain changed, or was wrong from the start."""
_BYTES_PER_GB = 1 << 30
_RESULT_FIELDS = ("pixel_size_angstrom", "voltage_kv", "cs_mm", "dose_per_frame_e_per_a2", "phase_plate")
"""What a late sidecar can say that changes the result of a movie."""


class Daemon:
    """See the module. `run` returns when the work is done or `stop` was called; the session can be resumed then."""

    def __init__(
        self,
        options: DaemonOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        utc_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        on_state: Callable[[LiveState], None] | None = None,
    ) -> None:
        self._options = options
        self._settings = options.settings
        self._clock, self._utc_us = clock, utc_us
        self._on_state = on_state
        self._inbox = Inbox()
        self._paused = False
        self._stopping: ExitReport | None = None
        self._space_low = False
        self._last_activity_s = clock()
        self._last_publish_s = float("-inf")

    # --- life ------------------------------------------------------------------------------------------------------

    def run(self) -> ExitReport:
        """Run the session to its end.

        Raises
        ------
        SessionLockedError
            If another daemon has this session.
        FrazilError
            What stops a daemon: a missing setting, a lost database, no worker left.
        """
        options = self._options
        session_folder.prepare(options.session_dir, options.raw_root)
        with SessionLock(options.session_dir):
            self._open_store()
            try:
                return self._run_locked()
            finally:
                self._store.close()

    def stop(self, sentence: str = "stopped as asked") -> None:
        """End soon; what is under way is done again when the session is resumed. Callable from a signal handler."""
        self._stopping = ExitReport(True, sentence)

    def _open_store(self) -> None:
        options, settings = self._options, self._settings
        now = self._utc_us()
        self._store = Store.open(
            options.session_dir,
            now_utc_us=now,
            on_fatal=self._inbox.fatal,
            query_timeout_s=settings.store.query_timeout_s,
            query_max_rows=settings.store.query_max_rows,
        )
        settings_yaml = session_folder.write_settings(options.session_dir, settings)
        microscope = settings.microscope
        self._store.submit(
            session_writes.create_session,
            SessionRow(
                session_id=options.session_dir.resolve().name,
                name=options.session_dir.resolve().name,
                raw_root=str(options.raw_root.resolve()),
                created_utc_us=now,
                settings_yaml=settings_yaml,
                code_version=version("frazil"),
                preset=settings.preset,
                microscope=microscope.name,
                camera=settings.camera.name,
                voltage_kv=microscope.voltage_kv,
                cs_mm=microscope.cs_mm,
                amplitude_contrast=microscope.amplitude_contrast,
                pixel_size_angstrom=microscope.pixel_size_angstrom,
                dose_per_frame_e_per_a2=microscope.dose_per_frame_e_per_a2,
                gain_path=settings.camera.gain,
            ),
        ).result()

    def _run_locked(self) -> ExitReport:
        options, settings = self._options, self._settings
        self._hash = parameter_hash(
            settings,
            inputs={
                "gain": session_folder.file_digest(settings.camera.gain),
                "defects": session_folder.file_digest(settings.camera.defects),
            },
        )
        rebuilt = rebuild.adopt_missing(self._store, options.session_dir, now_utc_us=self._utc_us())
        self._book = MovieBook.restore(self._store, parameter_hash=self._hash, code_version=version("frazil"))
        for movie_id in self._book.interrupted:
            self._store.submit(writes.give_attempt_back, movie_id)
        self._gate = GainDesk(settings, stored=self._stored_gain_verdict())
        self._scheduler = Scheduler(max_attempts=settings.workers.max_attempts)
        self._waiting_for_gate: list[str] = []
        self._complete: dict[str, CompleteMovie] = {}
        self._acquisition: dict[str, AcquisitionParameters] = {}
        self._stale: set[str] = set()
        self._behind: dict[str, str] = {}
        self._results_pending: list[tuple[MovieResult, float]] = []
        service = DaemonService(self._store, options.session_dir, self._inbox.order, lambda: self._builder.newest)
        self._builder = LiveStateBuilder(options, self._store, self._utc_us, self._clock)
        self._intake = IntakeService(
            options.raw_root,
            self._intake_settings(),
            DiskTools(check_structure, read_sidecar, sidecar_candidates),
            self._inbox,
            exclude_folders=(options.session_dir,),
        )
        self._intake.restore(self._book.for_intake())
        with QueryServer(options.session_dir, service, version=version("frazil")) as self._server:
            self._publish(force=True)
            runtime = RayRuntime(address=settings.workers.ray_address, gpu_count=options.gpu_count)
            try:
                configs = plan_workers(
                    settings,
                    options.session_dir.resolve(),
                    gpu_total=runtime.gpu_total(),
                    accelerator_types=runtime.accelerator_types(),
                    cpu_count=usable_cpu_count(),
                )
                pool = WorkerPool(runtime, configs)
                self._workers = WorkerDesk(pool, clock=self._clock)
                self._analysis = AnalysisDesk(
                    runtime, self._store, options.session_dir, settings, self._book, utc_us=self._utc_us
                )
                http = HttpDesk(
                    options.session_dir,
                    options.http_port,
                    own_ray=settings.workers.ray_address is None,
                    alert=lambda text: self._alert("warning", "http", text),
                )
                if rebuilt.adopted:
                    self._alert("info", "store", f"{len(rebuilt.adopted)} results were read back from their files")
                self._intake.start()
                try:
                    report = self._loop()
                finally:
                    self._intake.stop()
                    http.close()
                    self._analysis.close()
                    pool.close()
                self._store.submit(session_writes.finish_session, self._utc_us()).result()
                self._publish(force=True, status="finished")
                return report
            finally:
                runtime.close()

    def _intake_settings(self) -> Any:
        settings = self._settings.intake
        if not self._options.once:
            return settings
        # Nothing more is going to arrive: what is incomplete now is incomplete for good.
        return settings.model_copy(
            update={
                "incomplete_timeout_s": min(settings.incomplete_timeout_s, 5.0),
                "sidecar_wait_s": 0.0 if settings.sidecar != "required" else min(settings.sidecar_wait_s, 5.0),
            }
        )

    def _stored_gain_verdict(self) -> str | None:
        table = self._store.named("session")
        row = dict(zip(table.columns, table.rows[0], strict=True))
        verdict = row.get("gain_verdict")
        return None if verdict is None else str(verdict)

    # --- the loop --------------------------------------------------------------------------------------------------

    def _loop(self) -> ExitReport:
        while self._stopping is None:
            self._read_inbox()
            self._watch_disk()
            for outcome in self._workers.collect(_LOOP_WAIT_S):
                self._on_outcome(outcome)
            self._record_pending()
            self._analysis.step()
            self._ask_gate()
            self._dispatch()
            self._publish()
            self._stopping = self._stopping or self._reason_to_end()
        return self._stopping

    def _read_inbox(self) -> None:
        for item in self._inbox.take_all():
            self._last_activity_s = self._clock()
            if isinstance(item, FrazilError):
                raise item
            if isinstance(item, Order):
                self._on_order(item)
            else:
                self._on_intake(item)

    def _reason_to_end(self) -> ExitReport | None:
        if self._workers.all_gone:
            raise StopDaemonError(
                "no worker is left", remedy="see logs/daemon.log and `frazil doctor`, then start again"
            )
        idle = self._is_idle()
        if not idle:
            self._last_activity_s = self._clock()
        quiet_s = self._clock() - self._last_activity_s
        done = self._options.once and idle
        limit_s = self._options.exit_when_idle_s
        if not done and not (limit_s is not None and quiet_s >= limit_s):
            return None
        if self._waiting_for_gate:
            state = self._gate.state()
            return ExitReport(
                False, f"{len(self._waiting_for_gate)} movies wait for the gain gate: {state.evidence}", state.remedy
            )
        if not self._analysis.drained(final=True):
            return None
        return ExitReport(True, "everything that was there is processed")

    def _intake_idle(self) -> bool:
        """Every path that was seen is on its way to a worker or set aside."""
        status = self._intake.status()
        return status.scans > 0 and status.unfinished == 0 and status.undelivered == 0

    def _is_idle(self) -> bool:
        """Nothing to do now, and nothing that will be by itself. A closed gate does not count as work."""
        return (
            self._intake_idle()
            and self._inbox.empty
            and not self._scheduler.in_flight()
            and self._scheduler.queue_depth == 0
            and not self._results_pending
            and not self._behind
            and not self._gate.busy()
        )

    # --- from intake -----------------------------------------------------------------------------------------------

    def _on_intake(self, item: intake.Instruction) -> None:
        now = self._utc_us()
        match item:
            case intake.Found():
                self._store.submit(writes.register_movie, self._book.found(item))
            case intake.Settling(movie_id=movie_id, reason=reason):
                self._store.submit(
                    writes.record_failure, movie_id, stage="intake", reason=reason, state=MovieState.SETTLING
                )
            case intake.Announce(movie=movie):
                self._on_complete(movie, now)
            case intake.Replaced(path=path, old_generation=old_generation, old_movie_id=movie_id):
                self._store.submit(writes.mark_outdated, path, old_generation + 1)
                self._forget(movie_id)
            case intake.Revived(movie_id=movie_id, reason=reason):
                self._store.submit(
                    writes.record_failure, movie_id, stage="intake", reason=reason, state=MovieState.SETTLING
                )
            case intake.Vanished(movie_id=movie_id):
                # Outdated, not quarantined: if the file comes back, it is taken up again.
                self._forget(movie_id)
                self._store.submit(
                    writes.record_failure,
                    movie_id,
                    stage="intake",
                    reason="the file went away before it was processed",
                    state=MovieState.OUTDATED,
                )
            case intake.Quarantine(movie_id=movie_id, reason=reason, evidence=evidence):
                self._forget(movie_id)
                self._alert("warning", "movie", f"{item.path} is set aside: {reason}")
                self._store.submit(writes.quarantine, movie_id, stage="intake", reason=reason, evidence=evidence)
            case intake.LateSidecar():
                self._on_late_sidecar(item, now)
            case intake.Alert():
                self._alert(item.severity.value, item.subject, item.text, item.remedy)
            case _:
                raise AssertionError(f"the intake's own business: {item}")

    def _on_complete(self, movie: CompleteMovie, now_utc_us: int) -> None:
        row = self._book.complete(movie, now_utc_us)
        try:
            metadata, acquisition = self._book.resolve(movie, self._settings)
        except SettingsError as error:
            self._store.submit(writes.register_movie, row).result()
            if not self._book.any_resolved and (self._options.once or movie.sidecar is not None):
                # Nobody ever said it, and the person who has just started this is still there to be asked.
                raise
            # Its sidecar may still come (then it is taken up again), or a person may start frazil with the value.
            self._alert("error", "metadata", error.what, error.remedy)
            self._store.submit(writes.quarantine, movie.movie_id, stage="metadata", reason=str(error))
            self._forget(movie.movie_id)
            return
        row = replace(
            row,
            metadata=metadata,
            pixel_size_angstrom=acquisition.pixel_size_angstrom,
            voltage_kv=acquisition.voltage_kv,
            dose_per_frame_e_per_a2=acquisition.dose_per_frame_e_per_a2,
        )
        self._book.set_row(movie.movie_id, row)
        self._store.submit(writes.register_movie, row)
        self._store.submit(writes.set_state, movie.movie_id, MovieState.QUEUED, complete_utc_us=now_utc_us)
        self._complete[movie.movie_id] = movie
        self._acquisition[movie.movie_id] = acquisition
        self._analysis.movie_begins(self._book.sequence(movie.movie_id))
        if self._gate.needs_gate(movie) and not self._gate.open:
            self._gate.offer(movie)
            self._waiting_for_gate.append(movie.movie_id)
        else:
            self._queue(movie.movie_id)

    def _queue(self, movie_id: str) -> None:
        path = self._book.path(movie_id)
        for held in self._scheduler.in_flight().values():
            if held != movie_id and self._book.path(held) == path:
                # An older generation of the same file is still in a worker's hands; both write the same pictures, and
                # those of the newer one must be the last.
                self._behind[held] = movie_id
                return
        self._scheduler.add(
            movie_id,
            sequence=self._book.sequence(movie_id),
            priority=self._book.priority(movie_id),
            attempts=self._book.take_attempts(movie_id),
        )

    def _on_late_sidecar(self, item: intake.LateSidecar, now_utc_us: int) -> None:
        """A sidecar came after its movie was taken: what it says is stored; a changed result is computed again."""
        movie = self._complete.get(item.movie_id)
        path = self._book.path(item.movie_id)
        if movie is None:
            previous = item.previous or AcquisitionMetadata()
            changes = any(
                getattr(item.metadata, name) not in (None, getattr(previous, name)) for name in _RESULT_FIELDS
            )
            self._store.submit(writes.update_metadata, item.movie_id, item.metadata, item.sidecar_path)
            if changes:
                self._alert("info", "metadata", f"the sidecar of {path} came late: it is processed again with it")
                self._store.submit(writes.requeue, item.movie_id)
                self._intake.post(Reconsider(item.path))
            return
        self._complete_again(replace(movie, sidecar=item.metadata, sidecar_path=item.sidecar_path), now_utc_us)

    def _complete_again(self, movie: CompleteMovie, now_utc_us: int) -> None:
        try:
            metadata, acquisition = self._book.resolve(movie, self._settings)
        except SettingsError as error:
            self._alert("warning", "metadata", str(error))
            return
        if movie.movie_id in self._scheduler.in_flight().values() and acquisition != self._acquisition[movie.movie_id]:
            self._stale.add(movie.movie_id)  # what its worker is computing is made with the values of before
        self._complete[movie.movie_id], self._acquisition[movie.movie_id] = movie, acquisition
        row = replace(
            self._book.complete(movie, now_utc_us),
            metadata=metadata,
            pixel_size_angstrom=acquisition.pixel_size_angstrom,
            voltage_kv=acquisition.voltage_kv,
            dose_per_frame_e_per_a2=acquisition.dose_per_frame_e_per_a2,
        )
        self._book.set_row(movie.movie_id, row)
        self._store.submit(writes.register_movie, row)

    def _forget(self, movie_id: str) -> None:
        self._scheduler.remove(movie_id)
        self._stale.discard(movie_id)
        self._complete.pop(movie_id, None)
        self._acquisition.pop(movie_id, None)
        if movie_id in self._waiting_for_gate:
            self._waiting_for_gate.remove(movie_id)
        self._analysis.movie_ended(self._book.sequence(movie_id), None)

    # --- to and from workers ---------------------------------------------------------------------------------------

    def _ask_gate(self) -> None:
        nothing_more = self._intake_idle() and self._inbox.empty
        idle = [name for name in self._workers.idle() if name not in self._scheduler.in_flight()]
        if not idle or (question := self._gate.next_question(nothing_more_comes=nothing_more)) is None:
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

    def _dispatch(self) -> None:
        if self._paused or self._space_low:
            return
        eligible = prior_epochs.eligible_below(self._analysis.newest_version)
        for dispatch in self._scheduler.dispatches(self._clock(), eligible_below=eligible):
            movie = self._complete[dispatch.movie_id]
            self._stale.discard(dispatch.movie_id)
            self._store.submit(writes.start_attempt, dispatch.movie_id)
            coming = [self._complete[movie_id] for movie_id in self._scheduler.peek(1) if movie_id in self._complete]
            sequence = self._book.sequence(dispatch.movie_id)
            task = MovieTask(
                movie_id=dispatch.movie_id,
                movie_path=str(movie.path),
                stem=self._book.stem(dispatch.movie_id),
                attempt=dispatch.attempt,
                acquisition=self._acquisition[dispatch.movie_id],
                gain=self._gate.decision_for(movie),
                parameter_hash=self._hash,
                prior=self._analysis.prior_for(sequence),
                reference_counts_per_px=self._analysis.prior_for(sequence).empty_counts_per_px,
                next_movie_path=str(coming[0].path) if coming else None,
            )
            self._workers.call(
                dispatch.worker,
                "movie",
                "process",
                task,
                subject=dispatch.movie_id,
                text=movie.relative_path,
                limit_s=self._settings.workers.movie_timeout_s,
            )

    def _on_outcome(self, outcome: Outcome) -> None:
        self._last_activity_s = self._clock()
        worker = outcome.call.worker
        match outcome.call.kind:
            case "start":
                if outcome.error is None:
                    self._scheduler.worker_available(worker)
                else:
                    self._restart(worker, str(outcome.error))
            case "gain":
                self._on_gain(outcome)
            case _ if isinstance(outcome.value, MovieResult):
                attempt = self._scheduler.finished(worker)
                self._workers.count(worker, failed=False)
                if outcome.call.subject in self._stale:
                    self._stale.discard(outcome.call.subject)
                    self._store.submit(writes.give_attempt_back, outcome.call.subject)
                    self._queue(outcome.call.subject)
                elif attempt:
                    self._results_pending.append((outcome.value, self._clock()))
            case _:
                self._on_failure(outcome)
        if (successor := self._behind.pop(outcome.call.subject, None)) in self._complete and successor is not None:
            self._queue(successor)

    def _on_gain(self, outcome: Outcome) -> None:
        worker = outcome.call.worker
        if outcome.error is not None:
            self._gate.ask_again()
            self._restart(worker, str(outcome.error))
            return
        self._scheduler.worker_available(worker)
        if isinstance(outcome.value, MovieFailure):
            # Movies that cannot be read are left out by the worker: this is about the reference or the defects.
            raise StopDaemonError(outcome.value.reason, remedy="correct --gain or --defects, then start again")
        assert isinstance(outcome.value, GainDecision)
        decision = outcome.value
        self._store.submit(session_writes.record_gain_verdict, self._gate.decided(decision)).result()
        severity = "info" if decision.passes else "error"
        self._alert(severity, "gain", decision.sentence, decision.remedy)
        if self._gate.open:
            waiting, self._waiting_for_gate = self._waiting_for_gate, []
            for movie_id in waiting:
                self._queue(movie_id)

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
        if kind in (FailureKind.DEATH, FailureKind.DEVICE, FailureKind.WORLD):
            self._store.submit(writes.give_attempt_back, movie_id)
        if after.quarantine:
            self._store.submit(writes.quarantine, movie_id, stage=stage, reason=reason, evidence=evidence)
            self._alert("warning", "movie", f"{self._book.path(movie_id)} is set aside: {reason}")
            self._forget(movie_id)
        elif movie_id in self._complete:
            self._store.submit(writes.record_failure, movie_id, stage=stage, reason=reason, evidence=evidence)
        if after.restart_worker:
            self._restart(worker, reason)

    def _restart(self, worker: str, why: str) -> None:
        self._scheduler.worker_gone(worker)
        if self._workers.restart(worker):
            self._alert("warning", "worker", f"worker {worker} was restarted: {why}")
        else:
            self._alert(
                "error", "worker", f"worker {worker} does not come back: {why}", "look at logs/ and `frazil doctor`"
            )

    def _record_pending(self) -> None:
        """Make results durable: first their file, from which the database can be rebuilt, then their rows."""
        pending, self._results_pending = self._results_pending, []
        for result, came_s in pending:
            movie = self._complete.get(result.movie_id)
            if movie is None:
                continue  # replaced while it was being processed
            lag_s = came_s - movie.found_monotonic_s
            reason = rejection_reason(result, self._settings.thresholds)
            try:
                stored = result_files.StoredResult(
                    self._book.row(result.movie_id), result, self._utc_us(), lag_s, reason
                )
                result_files.write_result(self._options.session_dir, stored)
                self._store.submit(rebuild.adopt, stored).result()
            except (RetryLaterError, OSError) as error:
                self._alert("error", "disk", f"results cannot be written: {error}", "free disk space")
                self._results_pending.append((result, came_s))
                continue
            self._after_result(result)

    def _after_result(self, result: MovieResult) -> None:
        del self._complete[result.movie_id]
        del self._acquisition[result.movie_id]
        self._builder.last_movie_id = result.movie_id
        self._analysis.movie_ended(self._book.sequence(result.movie_id), result)
        self._book.done(result.movie_id)
        if abs(result.quality.fixed_pattern) > _FIXED_PATTERN_LIMIT:
            self._alert(
                "warning",
                "gain",
                "the corrected movies still carry the gain pattern: the camera's gain has changed",
                "take a new gain reference and start a new session with it",
            )

    # --- disk, people, screen --------------------------------------------------------------------------------------

    def _watch_disk(self) -> None:
        free = shutil.disk_usage(self._options.session_dir).free
        floor = int(self._settings.store.min_free_disk_gb * _BYTES_PER_GB)
        low = free < floor * (1.1 if self._space_low else 1.0)  # a little hysteresis
        if low == self._space_low:
            return
        self._space_low = low
        self._intake.post(SpaceLow(free, floor) if low else SpaceOk(free))
        if low:
            self._alert(
                "error",
                "disk",
                f"less than {self._settings.store.min_free_disk_gb:g} GB are free: no new movie is started",
                "free disk space; processing goes on by itself",
            )
        else:
            self._alert("info", "disk", "there is disk space again: processing goes on")

    def _alert(self, severity: str, subject: str, text: str, remedy: str | None = None) -> None:
        getattr(_log, severity)("%s: %s", subject, text)
        self._store.submit(
            session_writes.record_alert, AlertRow(severity, subject, text, self._utc_us(), remedy=remedy)
        )

    def _on_order(self, order: Order) -> None:
        command = order.command
        match command.name:
            case "pause":
                self._paused = True
                order.done.set_result("paused: movies are still found, none is started")
            case "resume":
                self._paused = False
                order.done.set_result("going on")
            case "stop":
                order.done.set_result("stopping")
                self.stop(f"stopped by {command.who or 'a client'}")
            case "requeue":
                movie_id = str(command.args.get("movie_id"))
                path = self._book.path(movie_id)
                if path is None:
                    order.done.set_exception(NotThereError(f"no movie {movie_id} in this session"))
                    return
                self._store.submit(writes.requeue, movie_id).result()
                self._intake.post(Reconsider(path, accept_as_is=bool(command.args.get("accept_as_is", False))))
                order.done.set_result(f"{path} is queued again")
            case _:
                order.done.set_exception(UsageError(f"not an order for the daemon: {command.name}"))

    def _publish(self, *, force: bool = False, status: str | None = None) -> None:
        now = self._clock()
        if not force and now - self._last_publish_s < _PUBLISH_INTERVAL_S:
            return
        self._last_publish_s = now
        started = hasattr(self, "_workers")
        status = status or ("starting" if not started else self._status())
        state = self._builder.build(
            status=status,
            workers=self._workers.states() if started else (),
            gate=self._gate.state(),
            queue_depth=self._scheduler.queue_depth + len(self._waiting_for_gate),
            analysis=self._analysis.summary() if started else None,
        )
        self._server.publish(state)
        if self._on_state is not None:
            self._on_state(state)

    def _status(self) -> str:
        if self._paused:
            return "paused"
        return "blocked" if self._space_low or (self._gate.blocked and self._waiting_for_gate) else "running"
