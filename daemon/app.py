"""The daemon: puts intake, workers, store and sockets together and carries each movie from one to the next.

One thread (`run`) owns all the state here; intake and sockets put what they have into its inbox. The rooms decide:
intake when a movie is complete, the gain gate whether movies may pass, the scheduler who works on what, the store what
is durable. This file only carries.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from frazil.actors.api import HttpRules
from frazil.actors.frame_worker import WorkerConfig
from frazil.actors.gpu_pool import WorkerPool, plan_workers, usable_cpu_count
from frazil.actors.ray_runtime import RayRuntime
from frazil.config.errors import FrazilError, QueryError, RetryLaterError, SettingsError, StopDaemonError, UsageError
from frazil.config.loading import settings_to_yaml
from frazil.config.settings import Settings
from frazil.config.stages import Stage
from frazil.daemon import prior_epochs, session_folder
from frazil.daemon.alert_channels import About, Channel, channels_of, environment
from frazil.daemon.alert_courier import AlertCourier
from frazil.daemon.alert_desk import AlertDesk
from frazil.daemon.alert_plan import SendingRules
from frazil.daemon.analysis_desk import AnalysisDesk
from frazil.daemon.change_desk import origin_of
from frazil.daemon.change_desk import put_in_force as put_settings_in_force
from frazil.daemon.change_plan import plan_change
from frazil.daemon.disk_watch import DiskWatch
from frazil.daemon.dispatch_desk import DispatchDesk
from frazil.daemon.gain_desk import GainDesk
from frazil.daemon.http_desk import HttpDesk, http_rules, serve_environment
from frazil.daemon.inbox import FailedWrite, Inbox, Item, Order
from frazil.daemon.intake.instructions import ROOT_LOST
from frazil.daemon.intake.service import DiskTools, IntakeService
from frazil.daemon.lesson_desk import taught_with
from frazil.daemon.live_state import LiveStateBuilder
from frazil.daemon.movie_book import MovieBook
from frazil.daemon.movie_desk import MovieDesk
from frazil.daemon.notices import Notices
from frazil.daemon.options import DaemonOptions, ExitReport
from frazil.daemon.prior_epochs import MadeWith
from frazil.daemon.result_desk import ResultDesk
from frazil.daemon.scheduler import Scheduler
from frazil.daemon.service import DaemonService
from frazil.daemon.store import causal_writes, rebuild, session_writes, writes
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.threshold_desk import judge_again, put_in_force
from frazil.daemon.transport.messages import LiveState
from frazil.daemon.transport.server import QueryServer
from frazil.daemon.what_if import changed
from frazil.daemon.worker_desk import WorkerDesk
from frazil.models.causal.graph import causal_graph
from frazil.models.formats.sidecar import read_sidecar, sidecar_candidates
from frazil.models.formats.structure import check_structure
from frazil.models.formats.symmetry_model import read_symmetry_model

_log = logging.getLogger(__name__)

_LOOP_WAIT_S = 0.1
_PUBLISH_INTERVAL_S = 1.0
_QUIET_S = 30.0
"""After so long without anything new there is time for what concerns movies that are done."""
_BYTES_PER_GB = 1 << 30


def _last_status(report: ExitReport) -> str:
    if not report.ok:
        return "blocked"
    return "stopping" if report.stopped else "finished"


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
        self._finishing = False
        """A person wants the session to end as `--once` does: when all is done, map and losses too."""
        self._stopping: ExitReport | None = None
        self._last_activity_s = clock()
        self._last_publish_s = float("-inf")
        self._workers: WorkerDesk | None = None
        self._http_rules = HttpRules()
        self._first_turn = True
        """Nothing that a person has not said at this start is in force yet."""
        self._turning = False
        """The settings are others than those that everything was built with: nothing new is begun with these."""

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
            settings_before = session_folder.read_settings_text(options.session_dir)
            channels = self._alert_channels()
            if options.http_port is not None:
                self._http_rules = http_rules(self._settings.http, environment())
            self._open_store()
            self._start_courier(channels)
            try:
                return self._run_locked()
            except FrazilError as error:
                if self._first_turn and isinstance(error, UsageError) and not isinstance(error, QueryError):
                    # A flag that was refused must not be remembered with the session.
                    session_folder.restore_settings_text(options.session_dir, settings_before)
                    self._store.submit(session_writes.take_back_start, self._session_before).result()
                else:
                    self._notices.alert("error", "daemon", f"the daemon ends: {error.what}", error.remedy)
                _log.error("the daemon ends: %s", error)  # for whoever reads the log the next morning
                raise
            finally:
                self._courier.close()
                self._store.close()

    def _alert_channels(self) -> list[Channel]:
        folder = self._options.session_dir.resolve()
        about = About(folder.name, str(folder))
        return channels_of(self._settings.alerts, about, environ=environment(), utc_us=self._utc_us)

    def _start_courier(self, channels: list[Channel]) -> None:
        alerts = self._settings.alerts
        rules = SendingRules(alerts.least_severity, alerts.mute, int(alerts.quiet_minutes * 60e6))
        self._courier = AlertCourier(self._store, channels, rules, utc_us=self._utc_us)
        self._courier.start()

    def stop(self, sentence: str = "stopped as asked") -> None:
        """End soon; what is under way is done again when the session is resumed. Callable from a signal handler."""
        self._stopping = ExitReport(True, sentence, stopped=True)

    def _open_store(self) -> None:
        options, settings = self._options, self._settings
        now = self._utc_us()
        self._store = Store.open(
            options.session_dir,
            now_utc_us=now,
            on_fatal=self._inbox.fatal,
            on_failed_write=self._inbox.failed_write,
            min_free_bytes=int(settings.store.min_free_disk_gb * _BYTES_PER_GB),
            query_timeout_s=settings.store.query_timeout_s,
            query_max_rows=settings.store.query_max_rows,
        )
        self._notices = Notices(self._store, utc_us=self._utc_us, quiet_s=60.0 * settings.alerts.quiet_minutes)
        self._session_before = self._store.named("session").as_dicts()
        session_folder.write_settings(options.session_dir, settings)
        self._write_session(now)

    def _write_session(self, now_utc_us: int) -> None:
        """The session's row says what is in force."""
        options, settings = self._options, self._settings
        microscope = settings.microscope
        self._store.submit(
            session_writes.create_session,
            SessionRow(
                session_id=options.session_dir.resolve().name,
                name=options.session_dir.resolve().name,
                raw_root=str(options.raw_root.resolve()),
                created_utc_us=now_utc_us,
                settings_yaml=settings_to_yaml(settings),
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
        rebuilt = rebuild.adopt_missing(self._store, options.session_dir, now_utc_us=self._utc_us())
        if rebuilt.adopted:
            self._notices.alert("info", "store", f"{len(rebuilt.adopted)} results were read back from their files")
        service = DaemonService(self._store, options.session_dir, self._inbox.order, lambda: self._builder.newest)
        self._builder = LiveStateBuilder(options, self._store, self._utc_us, self._clock)
        with contextlib.ExitStack() as held:
            self._open_turn()
            self._server = held.enter_context(QueryServer(options.session_dir, service, version=version("frazil")))
            self._publish(force=True)
            self._runtime = RayRuntime(
                address=settings.workers.ray_address,
                gpu_count=options.gpu_count,
                environment=serve_environment(options.http_port),
            )
            held.callback(self._runtime.close)
            http = HttpDesk(
                options.session_dir,
                options.http_port,
                own_ray=settings.workers.ray_address is None,
                alert=lambda text: self._notices.alert("warning", "http", text),
                address=settings.http.address,
                rules=self._http_rules,
            )
            held.callback(http.close)
            while (report := self._turn(self._runtime, self._worker_plan(self._settings))) is None:
                self._first_turn = False
                self._next_turn()
            self._store.submit(session_writes.finish_session, self._utc_us()).result()
            self._publish(force=True, status=_last_status(report))
            return report

    def _next_turn(self) -> None:
        """With the changed settings; where they cannot be taken up after all, with those of before."""
        before = self._options.settings
        try:
            self._take_up_settings()
            self._open_turn()
            self._worker_plan(self._settings)
        except (UsageError, OSError) as error:
            if self._settings == before:
                raise
            what = error.what if isinstance(error, FrazilError) else str(error)
            self._notices.alert("error", "daemon", f"settings are as they were before the last change: {what}")
            self._settings = before
            session_folder.write_settings(self._options.session_dir, before)
            self._take_up_settings()
            self._open_turn()

    def _worker_plan(self, settings: Settings) -> list[WorkerConfig]:
        """Raises `UsageError` if this machine does not have what the settings want."""
        return plan_workers(
            settings,
            self._options.session_dir.resolve(),
            gpu_total=self._runtime.gpu_total(),
            accelerator_types=self._runtime.accelerator_types(),
            cpu_count=usable_cpu_count(),
        )

    def _take_up_settings(self) -> None:
        """Between two turns: what the session remembers of its settings, and what was built with them for its life."""
        alerts_before = self._options.settings.alerts
        self._options = replace(self._options, settings=self._settings)
        self._builder.use(self._options)
        self._write_session(self._utc_us())
        if self._settings.alerts != alerts_before:
            self._courier.close()
            self._start_courier(self._alert_channels())
        self._notices.use(quiet_s=60.0 * self._settings.alerts.quiet_minutes)

    def _open_turn(self) -> None:
        """What is known of the session, as a restart knows it: from the store alone."""
        options, settings = self._options, self._settings
        # First of all: a graph or a model that is wrong stops the start, not the session in the middle.
        graph = causal_graph(None if settings.causal.graph is None else Path(settings.causal.graph))
        if settings.evaluation.model is not None:
            read_symmetry_model(Path(settings.evaluation.model))
        self._store.submit(causal_writes.replace_graph, graph).result()
        self._made_with = MadeWith(session_folder.made_with(settings), version("frazil"))
        self._store.submit(judge_again, settings.thresholds).result()  # they may be others than before
        self._store.submit(writes.mark_results, *astuple(self._made_with)).result()
        self._book = MovieBook.restore(self._store, **asdict(self._made_with))
        self._learnt_with = self._made_with
        if self._book.redo_left:
            self._learnt_with = replace(self._made_with, parameter_hash=prior_epochs.OUTDATED)
            self._store.submit(causal_writes.rename_versions, *astuple(self._learnt_with)).result()
        for movie_id in self._book.interrupted:
            self._store.submit(writes.give_attempt_back, movie_id)
        self._gate = GainDesk(settings, stored=self._stored_gain_verdict())
        self._scheduler = Scheduler(max_attempts=settings.workers.max_attempts)
        self._intake = IntakeService(
            options.raw_root,
            self._intake_settings(),
            DiskTools(check_structure, read_sidecar, sidecar_candidates),
            self._inbox,
            exclude_folders=(options.session_dir,),
        )
        self._intake.restore(self._book.for_intake())
        self._notices.over(ROOT_LOST)  # `prepare` has seen the folder
        self._disk = DiskWatch(options.session_dir, settings.store.min_free_disk_gb, self._notices, self._intake.post)

    def _turn(self, runtime: RayRuntime, configs: list[WorkerConfig]) -> ExitReport | None:
        """Work with one state of the settings. None: they have changed, or what they touch is through, and another
        turn begins as a restart does, only that sockets and Ray stay."""
        options, settings = self._options, self._settings
        pool = WorkerPool(runtime, configs)
        workers = WorkerDesk(pool, clock=self._clock)
        self._analysis = AnalysisDesk(
            runtime,
            self._store,
            options.session_dir,
            settings,
            self._book,
            made_with=self._learnt_with,
            taught_with=taught_with(self._store, self._made_with),
            utc_us=self._utc_us,
        )
        self._movies = MovieDesk(
            store=self._store,
            book=self._book,
            gate=self._gate,
            scheduler=self._scheduler,
            analysis=self._analysis,
            notices=self._notices,
            settings=settings,
            ask_when_unknown=options.once,
            reconsider=self._intake.post,
            clock=self._clock,
            utc_us=self._utc_us,
        )
        self._alerts = AlertDesk(settings.alerts, self._store, self._notices, late_sidecars=self._movies.late_sidecars)
        self._results = ResultDesk(
            store=self._store,
            book=self._book,
            movies=self._movies,
            analysis=self._analysis,
            notices=self._notices,
            session_dir=options.session_dir,
            thresholds=settings.thresholds,
            clock=self._clock,
            utc_us=self._utc_us,
        )
        self._dispatch = DispatchDesk(
            store=self._store,
            book=self._book,
            gate=self._gate,
            scheduler=self._scheduler,
            workers=workers,
            movies=self._movies,
            results=self._results,
            analysis=self._analysis,
            notices=self._notices,
            settings=settings,
            session_dir=options.session_dir,
            made_with=self._made_with,
            clock=self._clock,
        )
        self._workers = workers
        self._turning = False
        self._intake.start()
        try:
            return self._loop(workers)
        finally:
            self._intake.stop()
            self._inbox.forget_intake()
            self._analysis.close()
            pool.close()

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

    def _loop(self, workers: WorkerDesk) -> ExitReport | None:
        while self._stopping is None:
            for item in self._inbox.take_all():
                self._take(item)
            self._disk.look()
            for outcome in workers.collect(_LOOP_WAIT_S):
                self._last_activity_s = self._clock()
                self._dispatch.take(outcome)
            self._results.step()
            self._analysis.step(quiet=self._clock() - self._last_activity_s > _QUIET_S)
            if not self._turning:
                self._dispatch.ask_gate(nothing_more_comes=self._intake_idle() and self._inbox.empty)
            self._turning = self._turning or self._redo_is_through()
            calm = not (self._scheduler.in_flight() or self._results.busy or self._gate.asking or self._disk.low)
            if self._turning and calm:
                return None
            if not (self._turning or self._paused or self._disk.low or self._intake.status().root_lost):
                self._dispatch.start_movies()
            self._publish()
            reason = self._reason_to_end(workers)
            if reason is not None:
                self._stopping = self._stopping or reason  # never take back what a signal said meanwhile
            if not workers.calling:
                self._inbox.wait(_LOOP_WAIT_S)  # with calls under way, `collect` has waited
        self._inbox.refuse_orders("the daemon is ending")
        return self._stopping

    def _redo_is_through(self) -> bool:
        """Every result is one of the settings in force, or stays for good: what was learnt from the old ones is learnt
        anew (docs/decisions/0027)."""
        return self._learnt_with != self._made_with and self._book.redo_left == 0 and not self._results.busy

    def _take(self, item: Item) -> None:
        self._last_activity_s = self._clock()
        if isinstance(item, FrazilError):
            raise item
        if isinstance(item, FailedWrite):
            self._notices.alert("error", "store", f"a row could not be written: {item.error}", "see logs/daemon.log")
        elif isinstance(item, Order):
            self._on_order(item)
        else:
            self._movies.take(item)

    def _reason_to_end(self, workers: WorkerDesk) -> ExitReport | None:
        if workers.all_gone:
            raise StopDaemonError(
                "no worker is left", remedy="see logs/daemon.log and `frazil doctor`, then start again"
            )
        if self._turning:
            return None
        idle = self._is_idle()
        if not idle:
            self._last_activity_s = self._clock()
        quiet_s = self._clock() - self._last_activity_s
        done = (self._options.once or self._finishing) and idle
        limit_s = self._options.exit_when_idle_s
        if not done and not (limit_s is not None and quiet_s >= limit_s):
            return None
        if waiting := len(self._movies.waiting_for_gate):
            state = self._gate.state()
            return ExitReport(False, f"{waiting} movies wait for the gain gate: {state.evidence}", state.remedy)
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
            and not self._results.busy
            and not self._movies.busy
            and not self._gate.busy()
        )

    # --- disk, people, screen --------------------------------------------------------------------------------------

    def _on_order(self, order: Order) -> None:
        command = order.command
        if not order.done.set_running_or_notify_cancel():
            return  # whoever asked has been told that it was not done
        match command.name:
            case "pause":
                self._paused = True
                order.done.set_result("paused: movies are still found, none is started")
            case "resume":
                self._paused = False
                order.done.set_result("going on")
            case "finish":
                self._finishing = True
                order.done.set_result("ends when all that is there is processed")
            case "stop":
                order.done.set_result("stopping")
                self.stop(f"stopped by {command.who or 'a client'}")
            case "requeue":
                try:
                    answer = self._movies.requeue(
                        str(command.args.get("movie_id")), accept_as_is=bool(command.args.get("accept_as_is", False))
                    )
                except UsageError as error:
                    order.done.set_exception(error)
                else:
                    order.done.set_result(answer)
            case "thresholds":
                try:
                    order.done.set_result(self._set_thresholds(command.args, command.who))
                except (SettingsError, RetryLaterError, OSError) as error:
                    order.done.set_exception(error)
            case "settings":
                try:
                    order.done.set_result(self._set_settings(command.args, command.who))
                except (FrazilError, OSError) as error:
                    order.done.set_exception(error)
            case _:
                order.done.set_exception(UsageError(f"not an order for the daemon: {command.name}"))

    def _set_thresholds(self, changes: Mapping[str, object], who: str) -> str:
        """A person changes thresholds while the session runs; kept with it. The map follows before its next round."""
        thresholds = changed(self._settings.thresholds, changes)
        origin = f"set by {who or 'a client'} while the session ran"
        origins = {**self._settings.origins, **{f"thresholds.{name}": origin for name in changes}}
        settings = self._settings.model_copy(update={"thresholds": thresholds, "origins": origins})
        rejected, again = put_in_force(self._store, self._options.session_dir, settings, before=self._settings)
        self._settings = settings
        self._results.use(thresholds)
        _log.info("thresholds are %s (%s)", thresholds, origin)
        return f"{rejected} movies set aside, {again} kept again"

    def _set_settings(self, changes: Mapping[str, object], who: str) -> str:
        """A person changes settings while the session runs; kept with it, and taken up when the movies in the workers'
        hands are through."""
        now_utc_us = self._utc_us()
        plan = plan_change(self._store, self._settings, changes, origin=origin_of(who, now_utc_us))
        if not plan.changed:
            return plan.sentence()
        self._worker_plan(plan.settings)
        put_settings_in_force(
            self._store, self._options.session_dir, plan, before=self._settings, who=who, now_utc_us=now_utc_us
        )
        self._settings = plan.settings
        _log.info("settings by %s: %s", who or "a client", "; ".join(plan.lines()))
        if {one.stage for one in plan.changed} == {Stage.THRESHOLDS}:
            self._results.use(plan.settings.thresholds)
        else:
            self._turning = True
        return plan.sentence()

    def _publish(self, *, force: bool = False, status: str | None = None) -> None:
        now = self._clock()
        if not force and now - self._last_publish_s < _PUBLISH_INTERVAL_S:
            return
        self._last_publish_s = now
        if self._workers is None:
            state = self._builder.build(
                status="starting", workers=(), gate=self._gate.state(), queue_depth=0, analysis=None
            )
        else:
            self._builder.last_movie_id = self._results.last_movie_id
            state = self._builder.build(
                status=status or self._status(),
                workers=self._workers.states(),
                gate=self._gate.state(),
                queue_depth=self._scheduler.queue_depth + len(self._movies.waiting_for_gate),
                analysis=self._analysis.summary(),
                redo=self._book.redo,
            )
            self._alerts.step(state, expecting=not (self._options.once or self._finishing or status is not None))
        self._server.publish(state)
        if self._on_state is not None:
            self._on_state(state)

    def _status(self) -> str:
        if self._paused:
            return "paused"
        return "blocked" if self._disk.low or (self._gate.blocked and self._movies.waiting_for_gate) else "running"
