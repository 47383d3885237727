"""What lives from one change of settings to the next: everything that is built with them, and the loop that carries
movies between the rooms.

A run is made from the store alone, as a restart makes it (docs/decisions/0027). The rooms decide: intake when a movie
is complete, the gain gate whether movies may pass, the scheduler who works on what, the store what is durable. The loop
only carries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, replace
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
from frazil.daemon.processing.arrivals import Arrivals, hold_s
from frazil.daemon.processing.dispatch import Dispatcher
from frazil.daemon.processing.gain import GAIN_BLOCKS, GainGate
from frazil.daemon.processing.lifecycle import Lifecycle
from frazil.daemon.processing.movies import VALUES_MISSING, Movies
from frazil.daemon.processing.results import DiskResultFolder, ResultWriter
from frazil.daemon.processing.scheduler import Scheduler
from frazil.daemon.processing.workers import WorkerCalls
from frazil.daemon.session import epochs, folder
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.session.inbox import FailedWrite, Inbox, Item, Order
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.options import DaemonOptions, ExitReport
from frazil.daemon.session.redo_progress import redo_summary
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.status.live_state import LiveStateBuilder
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import causal_writes, movie_writes
from frazil.daemon.transport.messages import LiveState
from frazil.models.causal.structural_model import structural_model
from frazil.models.formats.sidecar import read_sidecar, sidecar_candidates
from frazil.models.formats.structure import check_structure
from frazil.models.formats.symmetry_model import read_symmetry_model

_LOOP_WAIT_S = 0.1
_QUIET_S = 30.0
"""After so long without anything new there is time for what concerns movies that are done."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What outlives a change of settings."""

    store: Store
    inbox: Inbox
    notices: Notices
    requests: StandingRequests
    clock: Callable[[], float]
    utc_us: Callable[[], int]


@dataclass(frozen=True, slots=True)
class SessionStart:
    """What is known of a session before its workers are there, as a restart knows it."""

    options: DaemonOptions
    surroundings: Surroundings
    context: SessionContext
    learnt_with: MadeWith
    """What the prior is filed under: not that of the context while results are made again."""
    registry: MovieRegistry
    gate: GainGate
    intake: IntakeService
    disk: DiskWatch

    def state(self, builder: LiveStateBuilder) -> LiveState:
        """What the screen shows."""
        return builder.build(status="starting", workers=(), gate=self.gate.state(), queue_depth=0, analysis=None)


def session_start(options: DaemonOptions, surroundings: Surroundings) -> SessionStart:
    """Take up a session with the settings of `options`.

    Raises
    ------
    UsageError
        If a file that the settings name cannot be read.
    """
    settings, store = options.settings, surroundings.store
    # First of all: a graph or a model that is wrong stops the start, not the session in the middle.
    model = structural_model(None if settings.causal.graph is None else Path(settings.causal.graph))
    if settings.evaluation.model is not None:
        read_symmetry_model(Path(settings.evaluation.model))
    store.write(WritePolicy.DURABLE, causal_writes.replace_graph, model.graph)
    made_with = MadeWith(folder.made_with(settings), version("frazil"))
    store.write(WritePolicy.DURABLE, judge_again, settings.thresholds)  # they may be others than before
    store.write(WritePolicy.DURABLE, movie_writes.mark_results, *astuple(made_with))
    registry = MovieRegistry.restore(store, **asdict(made_with))
    learnt_with = made_with
    if registry.redo_stages:
        learnt_with = replace(made_with, parameter_hash=epochs.OUTDATED)
        store.write(WritePolicy.DURABLE, causal_writes.rename_versions, *astuple(learnt_with))
    for movie_id in registry.interrupted:
        store.write(WritePolicy.RETRIED, movie_writes.give_attempt_back, movie_id)
    gate = GainGate(settings, stored=_stored_gain_verdict(store))
    tools = DiskTools(check_structure, read_sidecar, sidecar_candidates)
    intake = IntakeService(
        options.raw_root, _intake_settings(options), tools, surroundings.inbox, exclude_folders=(options.session_dir,)
    )
    intake.restore(registry.for_intake())
    notices = surroundings.notices
    notices.over(ROOT_LOST)  # the folder has been seen
    if not gate.blocked:
        notices.over(GAIN_BLOCKS)
    notices.over(VALUES_MISSING)  # they are tried again
    context = SessionContext(
        store, options.session_dir, settings, notices, surroundings.clock, surroundings.utc_us, made_with, model
    )
    disk = DiskWatch(options.session_dir, settings.store.min_free_disk_gb, notices, intake.post)
    return SessionStart(options, surroundings, context, learnt_with, registry, gate, intake, disk)


def _arrivals(start: SessionStart) -> Arrivals:
    registry = start.registry
    return Arrivals(
        hold_s(start.context.settings.intake.sidecar_wait_s),
        registry.settling_sequences,
        complete=(*registry.open_sequences, *registry.ended_sequences),
        now_s=start.context.clock(),
    )


class SessionRun:
    """See the module. All methods are called from the daemon's own thread. Made by `started`."""

    def __init__(
        self,
        start: SessionStart,
        pool: WorkerPool,
        analysis: AnalysisCoordinator,
        *,
        check_workers: Callable[[Settings], object],
    ) -> None:
        """`check_workers` raises `UsageError` if this machine does not have what settings want."""
        options, context = start.options, start.context
        self._start, self._context, self._requests = start, context, start.surroundings.requests
        self._inbox, self._intake, self._disk, self._gate = (
            start.surroundings.inbox,
            start.intake,
            start.disk,
            start.gate,
        )
        self._analysis, self._pool = analysis, pool
        self._last_activity_s = context.clock()
        self._finishing = False
        """All movies are through, and what is told of them is being finished."""
        self._redo_over = False
        """Once true it stays so, whatever comes while the workers finish what they have."""
        scheduler = Scheduler(max_attempts=context.settings.workers.max_attempts)
        self._lifecycle = Lifecycle(scheduler, start.registry.movies)
        self._movies = Movies(
            context,
            self._lifecycle,
            gate=start.gate,
            listener=analysis,
            look_again=start.intake.post,
            ask_when_unknown=options.once,
            any_resolved=start.registry.any_resolved,
            arrivals=_arrivals(start),
        )
        self._alerts = RuleCheck(
            context.settings.alerts, context.store, context.notices, late_sidecars=self._late_sidecars
        )
        result_folder = DiskResultFolder(options.session_dir)
        self._results = ResultWriter(context, self._lifecycle, self._movies, analysis, result_folder)
        self._workers = WorkerCalls(pool, clock=context.clock)
        self._dispatch = Dispatcher(
            context, self._lifecycle, self._workers, self._movies, self._results, start.gate, analysis
        )
        self._commands = Commands(
            self._requests,
            context,
            movies=self._movies,
            results=self._results,
            check_workers=check_workers,
            classes_spoken_of=analysis.classes_spoken_of,
        )

    @classmethod
    def started(
        cls,
        start: SessionStart,
        runtime: RayRuntime,
        configs: list[WorkerConfig],
        *,
        check_workers: Callable[[Settings], object],
    ) -> SessionRun:
        """With workers and the actors of the analysis, which are starting."""
        context = start.context
        pool = WorkerPool(runtime, [replace(config, causal_model=context.causal_model) for config in configs])
        analysis = AnalysisCoordinator(
            runtime,
            replace(context, made_with=start.learnt_with),
            start.registry,
            taught_with=taught_with(context.store, context.made_with),
        )
        return cls(start, pool, analysis, check_workers=check_workers)

    @property
    def settings(self) -> Settings:
        """As people want them now, for the next run."""
        return self._commands.settings

    def run(self, publish: Callable[[], None]) -> ExitReport | None:
        """Work with one state of the settings; `publish` is called in each round of the loop.

        None: they have changed (`settings`), or what they touch is through, and another run begins as a restart does,
        only that sockets and Ray stay.

        Raises
        ------
        FrazilError
            What stops a daemon: a missing setting, a lost database, no worker left.
        """
        self._intake.start()
        try:
            return self._loop(publish)
        finally:
            self._intake.stop()
            self._inbox.forget_intake()
            self._analysis.close()
            self._pool.close()

    # --- the loop --------------------------------------------------------------------------------------------------

    def _loop(self, publish: Callable[[], None]) -> ExitReport | None:
        while self._requests.end is None:
            for item in self._inbox.take_all():
                self._take(item)
            self._disk.look()
            for outcome in self._workers.collect(_LOOP_WAIT_S):
                self._last_activity_s = self._context.clock()
                self._dispatch.take(outcome)
            self._movies.step()
            self._results.step()
            self._analysis.step(quiet=self._context.clock() - self._last_activity_s > _QUIET_S)
            if not self._over:
                self._dispatch.ask_gate(nothing_more_comes=self._intake_idle() and self._inbox.empty)
            self._redo_over = self._redo_over or self._redo_is_through()
            if self._over and self._calm:
                return None
            if self._may_start:
                self._dispatch.start_movies()
            publish()
            reason = self._reason_to_end()
            if reason is not None:
                self._requests.end = self._requests.end or reason  # never take back what a signal said meanwhile
            if not self._workers.calling:
                self._inbox.wait(_LOOP_WAIT_S)  # with calls under way, `collect` has waited
        self._inbox.refuse_orders("the daemon is ending")
        return self._requests.end

    @property
    def _over(self) -> bool:
        """The settings are others than those that everything was built with, or what they touch is through: nothing
        new is begun in this run."""
        return self._redo_over or self._commands.another_run_wanted

    @property
    def _calm(self) -> bool:
        """No call is under way, and no result waits to be written."""
        return not (self._lifecycle.at_workers() or self._results.busy or self._gate.asking or self._disk.low)

    @property
    def _may_start(self) -> bool:
        return not (self._over or self._requests.paused or self._disk.low or self._intake.status().root_lost)

    def _redo_is_through(self) -> bool:
        """Every result is one of the settings in force, or stays for good: what was learnt from the old ones is learnt
        anew (docs/decisions/0027)."""
        outdated = self._start.learnt_with != self._context.made_with
        return outdated and self._lifecycle.redo_left == 0 and not self._results.busy

    def _take(self, item: Item) -> None:
        self._last_activity_s = self._context.clock()
        if isinstance(item, FrazilError):
            raise item
        if isinstance(item, FailedWrite):
            text = f"a row could not be written: {item.error}"
            self._context.notices.alert("error", "store", text, "see logs/daemon.log")
        elif isinstance(item, Order):
            self._commands.take(item)
        else:
            self._movies.take(item)

    def _reason_to_end(self) -> ExitReport | None:
        if self._workers.all_gone:
            raise StopDaemonError(
                "no worker is left", remedy="see logs/daemon.log and `frazil doctor`, then start again"
            )
        if self._over:
            return None
        idle = self._is_idle()
        if not idle:
            self._last_activity_s = self._context.clock()
        quiet_s = self._context.clock() - self._last_activity_s
        done = (self._start.options.once or self._requests.finishing) and idle
        limit_s = self._start.options.exit_when_idle_s
        if not done and not (limit_s is not None and quiet_s >= limit_s):
            return None
        if waiting := self._lifecycle.awaiting_gain:
            state = self._gate.state()
            return ExitReport(False, f"{waiting} movies wait for the gain gate: {state.evidence}", state.remedy)
        self._finishing = not self._analysis.drained(final=True)
        if self._finishing:
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
            and not self._lifecycle.at_workers()
            and self._lifecycle.queue_depth == 0
            and not self._results.busy
            and not self._movies.waiting
            and not self._gate.busy()
        )

    def _late_sidecars(self, last: int) -> int | None:
        return self._movies.late_sidecars.among(self._lifecycle.newest_sequence, last)

    # --- the screen ------------------------------------------------------------------------------------------------

    def state(self, builder: LiveStateBuilder, *, status: str | None) -> LiveState:
        """What the screen shows, after which the alert rules look at it too. `status`: how the session has ended."""
        builder.last_movie_id = self._results.last_movie_id or builder.last_movie_id
        state = builder.build(
            status=status or self._status(),
            workers=self._workers.states(),
            gate=self._gate.state(),
            queue_depth=self._lifecycle.queue_depth + self._lifecycle.awaiting_gain,
            analysis=self._analysis.summary(),
            redo=redo_summary(self._start.registry.redo_stages, self._lifecycle.redo_left),
            message=f"finishing: {self._analysis.waits_for}" if self._finishing and status is None else "",
        )
        nobody_ends_it = not (self._start.options.once or self._requests.finishing or status is not None)
        self._alerts.step(state, expecting=nobody_ends_it)
        return state

    def _status(self) -> str:
        if self._requests.paused:
            return "paused"
        return "blocked" if self._disk.low or (self._gate.blocked and self._lifecycle.awaiting_gain) else "running"


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
