"""What lives from one change of settings to the next: all desks, and the loop that carries movies between them.

A turn is made from the store alone, as a restart makes it (docs/decisions/0027). The rooms decide: intake when a movie
is complete, the gain gate whether movies may pass, the scheduler who works on what, the store what is durable. The loop
only carries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, astuple, replace
from importlib.metadata import version
from pathlib import Path

from frazil.actors.frame_worker import WorkerConfig
from frazil.actors.gpu_pool import WorkerPool
from frazil.actors.ray_runtime import RayRuntime
from frazil.config.errors import FrazilError, StopDaemonError
from frazil.config.settings import IntakeSettings, Settings
from frazil.daemon.alerts.disk import DiskWatch
from frazil.daemon.alerts.rule_check import RuleCheck
from frazil.daemon.analysis.coordinator import AnalysisCoordinator
from frazil.daemon.analysis.restoration_training import taught_with
from frazil.daemon.changes.thresholds import judge_again
from frazil.daemon.commands import Commands, StandingRequests
from frazil.daemon.intake.instructions import ROOT_LOST
from frazil.daemon.intake.service import DiskTools, IntakeService
from frazil.daemon.processing.dispatch import Dispatcher
from frazil.daemon.processing.gain import GainGate
from frazil.daemon.processing.movies import MovieProcessing
from frazil.daemon.processing.results import ResultWriter
from frazil.daemon.processing.scheduler import Scheduler
from frazil.daemon.processing.workers import WorkerCalls
from frazil.daemon.session import epochs, folder
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.session.inbox import FailedWrite, Inbox, Item, Order
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.options import DaemonOptions, ExitReport
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.status.live_state import LiveStateBuilder
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import causal_writes, movie_writes
from frazil.daemon.transport.messages import LiveState
from frazil.models.causal.graph import causal_graph
from frazil.models.formats.sidecar import read_sidecar, sidecar_candidates
from frazil.models.formats.structure import check_structure
from frazil.models.formats.symmetry_model import read_symmetry_model

_LOOP_WAIT_S = 0.1
_QUIET_S = 30.0
"""After so long without anything new there is time for what concerns movies that are done."""


class SessionRun:
    """See the module. All methods are called from the daemon's own thread."""

    def __init__(
        self,
        options: DaemonOptions,
        requests: StandingRequests,
        *,
        store: Store,
        inbox: Inbox,
        notices: Notices,
        clock: Callable[[], float],
        utc_us: Callable[[], int],
    ) -> None:
        """What is known of the session, as a restart knows it.

        Raises
        ------
        UsageError
            If a file that the settings name cannot be read.
        """
        self._options, self._requests = options, requests
        self._store, self._inbox, self._notices = store, inbox, notices
        self._clock, self._utc_us = clock, utc_us
        self._last_activity_s = clock()
        self._redo_over = False
        """Once true it stays so, whatever comes while the workers finish what they have."""
        settings = options.settings
        # First of all: a graph or a model that is wrong stops the start, not the session in the middle.
        graph = causal_graph(None if settings.causal.graph is None else Path(settings.causal.graph))
        if settings.evaluation.model is not None:
            read_symmetry_model(Path(settings.evaluation.model))
        store.submit(causal_writes.replace_graph, graph).result()
        self._made_with = MadeWith(folder.made_with(settings), version("frazil"))
        store.submit(judge_again, settings.thresholds).result()  # they may be others than before
        store.submit(movie_writes.mark_results, *astuple(self._made_with)).result()
        self._book = MovieRegistry.restore(store, **asdict(self._made_with))
        self._learnt_with = self._made_with
        if self._book.redo_left:
            self._learnt_with = replace(self._made_with, parameter_hash=epochs.OUTDATED)
            store.submit(causal_writes.rename_versions, *astuple(self._learnt_with)).result()
        for movie_id in self._book.interrupted:
            store.submit(movie_writes.give_attempt_back, movie_id)
        self.gate = GainGate(settings, stored=_stored_gain_verdict(store))
        self._scheduler = Scheduler(max_attempts=settings.workers.max_attempts)
        self._intake = IntakeService(
            options.raw_root,
            _intake_settings(options),
            DiskTools(check_structure, read_sidecar, sidecar_candidates),
            inbox,
            exclude_folders=(options.session_dir,),
        )
        self._intake.restore(self._book.for_intake())
        notices.over(ROOT_LOST)  # the folder has been seen
        self._disk = DiskWatch(options.session_dir, settings.store.min_free_disk_gb, notices, self._intake.post)
        self.workers: WorkerCalls | None = None
        """None: they are not started yet, nor is any desk that follows."""

    def run(
        self,
        runtime: RayRuntime,
        configs: list[WorkerConfig],
        *,
        check_workers: Callable[[Settings], object],
        publish: Callable[[], None],
    ) -> ExitReport | None:
        """Start the workers and work with one state of the settings.

        None: they have changed (`settings`), or what they touch is through, and another turn begins as a restart does,
        only that sockets and Ray stay. `publish` is called in each round.

        Raises
        ------
        FrazilError
            What stops a daemon: a missing setting, a lost database, no worker left.
        """
        pool = WorkerPool(runtime, configs)
        workers = WorkerCalls(pool, clock=self._clock)
        self._put_desks_up(runtime, workers, check_workers)
        self._intake.start()
        try:
            return self._loop(workers, publish)
        finally:
            self._intake.stop()
            self._inbox.forget_intake()
            self._analysis.close()
            pool.close()

    def _put_desks_up(
        self, runtime: RayRuntime, workers: WorkerCalls, check_workers: Callable[[Settings], object]
    ) -> None:
        options, settings = self._options, self._options.settings
        context = SessionContext(
            self._store,
            options.session_dir,
            settings,
            self._notices,
            clock=self._clock,
            utc_us=self._utc_us,
            made_with=self._learnt_with,
        )
        self._analysis = AnalysisCoordinator(
            runtime, context, self._book, taught_with=taught_with(self._store, self._made_with)
        )
        self.movies = MovieProcessing(
            store=self._store,
            book=self._book,
            gate=self.gate,
            scheduler=self._scheduler,
            analysis=self._analysis,
            notices=self._notices,
            settings=settings,
            ask_when_unknown=options.once,
            reconsider=self._intake.post,
            clock=self._clock,
            utc_us=self._utc_us,
        )
        self._alerts = RuleCheck(settings.alerts, self._store, self._notices, late_sidecars=self.movies.late_sidecars)
        self._results = ResultWriter(
            store=self._store,
            book=self._book,
            movies=self.movies,
            analysis=self._analysis,
            notices=self._notices,
            session_dir=options.session_dir,
            thresholds=settings.thresholds,
            clock=self._clock,
            utc_us=self._utc_us,
        )
        self._dispatch = Dispatcher(
            store=self._store,
            book=self._book,
            gate=self.gate,
            scheduler=self._scheduler,
            workers=workers,
            movies=self.movies,
            results=self._results,
            analysis=self._analysis,
            notices=self._notices,
            settings=settings,
            session_dir=options.session_dir,
            made_with=self._made_with,
            clock=self._clock,
        )
        self._dispatch.end_alerts_of_workers_that_are_no_more()
        self._orders = Commands(
            self._requests,
            store=self._store,
            session_dir=options.session_dir,
            settings=settings,
            movies=self.movies,
            results=self._results,
            check_workers=check_workers,
            utc_us=self._utc_us,
        )
        self.workers = workers

    @property
    def settings(self) -> Settings:
        """As people want them now, for the next turn."""
        return self._orders.settings

    # --- the loop --------------------------------------------------------------------------------------------------

    def _loop(self, workers: WorkerCalls, publish: Callable[[], None]) -> ExitReport | None:
        while self._requests.end is None:
            for item in self._inbox.take_all():
                self._take(item)
            self._disk.look()
            for outcome in workers.collect(_LOOP_WAIT_S):
                self._last_activity_s = self._clock()
                self._dispatch.take(outcome)
            self._results.step()
            self._analysis.step(quiet=self._clock() - self._last_activity_s > _QUIET_S)
            if not self._over:
                self._dispatch.ask_gate(nothing_more_comes=self._intake_idle() and self._inbox.empty)
            self._redo_over = self._redo_over or self._redo_is_through()
            calm = not (self._scheduler.in_flight() or self._results.busy or self.gate.asking or self._disk.low)
            if self._over and calm:
                return None
            if not (self._over or self._requests.paused or self._disk.low or self._intake.status().root_lost):
                self._dispatch.start_movies()
            publish()
            reason = self._reason_to_end(workers)
            if reason is not None:
                self._requests.end = self._requests.end or reason  # never take back what a signal said meanwhile
            if not workers.calling:
                self._inbox.wait(_LOOP_WAIT_S)  # with calls under way, `collect` has waited
        self._inbox.refuse_orders("the daemon is ending")
        return self._requests.end

    @property
    def _over(self) -> bool:
        """The settings are others than those that everything was built with, or what they touch is through: nothing
        new is begun in this turn."""
        return self._redo_over or self._orders.turn_wanted

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
            self._orders.take(item)
        else:
            self.movies.take(item)

    def _reason_to_end(self, workers: WorkerCalls) -> ExitReport | None:
        if workers.all_gone:
            raise StopDaemonError(
                "no worker is left", remedy="see logs/daemon.log and `frazil doctor`, then start again"
            )
        if self._over:
            return None
        idle = self._is_idle()
        if not idle:
            self._last_activity_s = self._clock()
        quiet_s = self._clock() - self._last_activity_s
        done = (self._options.once or self._requests.finishing) and idle
        limit_s = self._options.exit_when_idle_s
        if not done and not (limit_s is not None and quiet_s >= limit_s):
            return None
        if waiting := len(self.movies.waiting_for_gate):
            state = self.gate.state()
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
            and not self.movies.busy
            and not self.gate.busy()
        )

    # --- the screen ------------------------------------------------------------------------------------------------

    def state(self, builder: LiveStateBuilder, *, status: str | None) -> LiveState:
        """What the screen shows, after which the alert rules look at it too. `status`: how the session has ended."""
        if self.workers is None:
            return builder.build(status="starting", workers=(), gate=self.gate.state(), queue_depth=0, analysis=None)
        builder.last_movie_id = self._results.last_movie_id
        state = builder.build(
            status=status or self._status(),
            workers=self.workers.states(),
            gate=self.gate.state(),
            queue_depth=self._scheduler.queue_depth + len(self.movies.waiting_for_gate),
            analysis=self._analysis.summary(),
            redo=self._book.redo,
        )
        self._alerts.step(state, expecting=not (self._options.once or self._requests.finishing or status is not None))
        return state

    def _status(self) -> str:
        if self._requests.paused:
            return "paused"
        return "blocked" if self._disk.low or (self.gate.blocked and self.movies.waiting_for_gate) else "running"


def _intake_settings(options: DaemonOptions) -> IntakeSettings:
    settings = options.settings.intake
    if not options.once:
        return settings
    # Nothing more is going to arrive: what is incomplete now is incomplete for good.
    return settings.model_copy(
        update={
            "incomplete_timeout_s": min(settings.incomplete_timeout_s, 5.0),
            "sidecar_wait_s": 0.0 if settings.sidecar != "required" else min(settings.sidecar_wait_s, 5.0),
        }
    )


def _stored_gain_verdict(store: Store) -> str | None:
    table = store.named("session")
    row = dict(zip(table.columns, table.rows[0], strict=True))
    verdict = row.get("gain_verdict")
    return None if verdict is None else str(verdict)
