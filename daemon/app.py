"""The daemon: holds the session's lock, store and sockets for its whole life, and works in runs, one for each state of
the settings (`run.py`).

One thread (`Daemon.run`) owns all the state here; intake and sockets put what they have into its inbox.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from frazil.actors.frame_worker import WorkerConfig
from frazil.actors.gpu_pool import plan_workers
from frazil.actors.ray_runtime import RayRuntime, RayStart
from frazil.actors.usable_cpus import usable_cpu_count
from frazil.config.errors import FrazilError, QueryError, RetryLaterError, UsageError
from frazil.config.settings import Settings
from frazil.daemon.alerts.channels import About, Channel, channels_of, environment
from frazil.daemon.alerts.courier import AlertCourier
from frazil.daemon.alerts.sending import SendingRules
from frazil.daemon.commands import StandingRequests, answer_between_runs
from frazil.daemon.http.api import HttpRules
from frazil.daemon.http.ray_start import ray_start
from frazil.daemon.http.server import HttpServer, http_rules
from frazil.daemon.processing import redo_files
from frazil.daemon.run import SessionRun, SessionStart, Surroundings, session_start
from frazil.daemon.session import folder as session_folder
from frazil.daemon.session.inbox import Inbox, Order
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.options import DaemonOptions, ExitReport, session_row
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.status.live_state import LiveStateBuilder, disk_meter
from frazil.daemon.store import rebuild
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.session_names import session_name
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes
from frazil.daemon.transport.messages import LiveState
from frazil.daemon.transport.server import QueryServer

_log = logging.getLogger(__name__)

_PUBLISH_INTERVAL_S = 1.0
_BYTES_PER_GB = 1 << 30
_WAITING = "settings-wait-for-the-database"
_ENDED = "the-daemon-ended"
_HTTP = "http-is-not-up"
_STORE_PAUSE_S = 2.0
"""Before a database that was not ready is asked again."""


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
        ray: RayStart | None = None,
        clock: Callable[[], float] = time.monotonic,
        utc_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        on_state: Callable[[LiveState], None] | None = None,
    ) -> None:
        """`ray`: one that is starting, of whoever calls; None: the daemon starts its own."""
        self._options, self._ray = options, ray
        self._clock, self._utc_us = clock, utc_us
        self._on_state = on_state
        self._inbox = Inbox()
        self._requests = StandingRequests()

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
            # What can be refused is looked at before anything is written.
            channels = alert_channels(options, self._utc_us)
            rules = HttpRules() if options.http_port is None else http_rules(options.settings.http, environment())
            with self._open_store() as store:
                row_before = store.named("session").as_dicts()
                surroundings = self._surroundings(store)
                tell_of_another_folder(options, surroundings.notices, row_before)
                remember(options, store, self._utc_us())
                builder = LiveStateBuilder(options, store, self._utc_us, self._clock, disk_meter(options, store))
                courier = started_courier(options, surroundings, builder, channels)
                session = _Session(options, surroundings, builder, courier, rules, on_state=self._on_state)
                try:
                    return session.run(self._ray)
                except FrazilError as error:
                    refused = isinstance(error, UsageError) and not isinstance(error, QueryError)
                    if refused and not session.any_run_ended:
                        # A flag that was refused must not be remembered with the session.
                        session_folder.restore_settings_text(options.session_dir, settings_before)
                        store.write(WritePolicy.DURABLE, session_writes.take_back_start, row_before)
                    else:
                        text = f"the daemon ends: {error.what}"
                        surroundings.notices.alert("error", "daemon", text, error.remedy, _ENDED)
                    _log.error("the daemon ends: %s", error)  # for whoever reads the log the next morning
                    raise
                finally:
                    session.close()

    def stop(self, sentence: str = "stopped as asked") -> None:
        """End soon; what is under way is done again when the session is resumed. Callable from a signal handler."""
        self._requests.stop(sentence)

    def _open_store(self) -> Store:
        settings = self._options.settings.store
        return Store.open(
            self._options.session_dir,
            now_utc_us=self._utc_us(),
            on_fatal=self._inbox.fatal,
            on_failed_write=self._inbox.failed_write,
            min_free_bytes=int(settings.min_free_disk_gb * _BYTES_PER_GB),
            query_timeout_s=settings.query_timeout_s,
            query_max_rows=settings.query_max_rows,
        )

    def _surroundings(self, store: Store) -> Surroundings:
        quiet_s = 60.0 * self._options.settings.alerts.quiet_minutes
        notices = Notices(store, utc_us=self._utc_us, quiet_s=quiet_s)
        return Surroundings(store, self._inbox, notices, self._requests, self._clock, self._utc_us)


def tell_of_another_folder(options: DaemonOptions, notices: Notices, before: Sequence[Mapping[str, object]]) -> None:
    """Movies are known by their names below the raw folder: another one is another place for the same, or a mistake."""
    raw_root = str(options.raw_root.resolve())
    for row in before:
        if row["raw_root"] != raw_root:
            notices.alert(
                "warning",
                "session",
                f"the session watches {raw_root} now; before it watched {row['raw_root']}",
                "nothing, if the movies were moved there; else stop, and start it with the folder of before",
            )


def remember(options: DaemonOptions, store: Store, now_utc_us: int) -> None:
    """The settings in force, with the session: in its folder and in its database."""
    session_folder.write_settings(options.session_dir, options.settings)
    store.write(WritePolicy.DURABLE, session_writes.create_session, session_row(options, now_utc_us))


def alert_channels(options: DaemonOptions, utc_us: Callable[[], int]) -> list[Channel]:
    """Where alerts go besides the screen. Raises `UsageError` where a secret is not there."""
    folder = options.session_dir.resolve()
    about = About(session_name(folder), str(folder))
    return channels_of(options.settings.alerts, about, environ=environment(), utc_us=utc_us)


def started_courier(
    options: DaemonOptions, surroundings: Surroundings, builder: LiveStateBuilder, channels: list[Channel]
) -> AlertCourier:
    """A courier at work; the caller closes it."""
    alerts = options.settings.alerts
    rules = SendingRules(alerts.least_severity, alerts.mute, int(alerts.quiet_minutes * 60e6))
    courier = AlertCourier(
        surroundings.store,
        channels,
        rules,
        utc_us=surroundings.utc_us,
        verdict=lambda: builder.newest.verdict.sentence,
    )
    courier.start()
    return courier


@dataclass(slots=True)
class _Publisher:
    """The newest state goes to the sockets, and to whoever else listens, about once a second."""

    server: QueryServer
    clock: Callable[[], float]
    on_state: Callable[[LiveState], None] | None
    last_s: float = float("-inf")

    def publish(self, state: Callable[[], LiveState], *, force: bool = False) -> None:
        now = self.clock()
        if not force and now - self.last_s < _PUBLISH_INTERVAL_S:
            return
        self.last_s = now
        newest = state()
        self.server.publish(newest)
        if self.on_state is not None:
            self.on_state(newest)


class _Session:
    """One session from an open store to its end: its sockets, its Ray, and one run after the other."""

    def __init__(
        self,
        options: DaemonOptions,
        surroundings: Surroundings,
        builder: LiveStateBuilder,
        courier: AlertCourier,
        http_rules: HttpRules,
        *,
        on_state: Callable[[LiveState], None] | None,
    ) -> None:
        self._options = options
        """With the settings in force; what a person has set since, the run knows."""
        self._surroundings, self._courier, self._http_rules = surroundings, courier, http_rules
        self._courier_settings = options.settings.alerts
        """With which the courier was built."""
        self._on_state = on_state
        self._builder = builder
        self.any_run_ended = False
        """Until then nothing that a person has not said at this start is in force."""

    def close(self) -> None:
        self._courier.close()

    def run(self, ray: RayStart | None) -> ExitReport:
        """Raises what `Daemon.run` does."""
        options, store, notices = self._options, self._surroundings.store, self._surroundings.notices
        redo_files.settle(store, options.session_dir)
        rebuilt = rebuild.adopt_missing(store, options.session_dir, now_utc_us=self._surroundings.utc_us())
        if rebuilt.adopted:
            notices.alert("info", "store", f"{len(rebuilt.adopted)} results were read back from their files")
        order = self._surroundings.inbox.order
        service = DaemonService(store, options.session_dir, order, lambda: self._builder.newest)
        with contextlib.ExitStack() as held:
            start = session_start(options, self._surroundings)
            notices.over(_ENDED)
            notices.over(_HTTP)  # of an earlier run; this one tells of its own
            server = held.enter_context(QueryServer(options.session_dir, service, version=version("frazil")))
            publisher = _Publisher(server, self._surroundings.clock, self._on_state)
            publisher.publish(lambda: start.state(self._builder), force=True)
            started = ray or held.enter_context(ray_start(options))
            runtime = started.runtime()
            held.callback(started.close)
            held.callback(self._http_server().close)
            return self._runs(start, runtime, publisher)

    def _http_server(self) -> HttpServer:
        return HttpServer(
            self._options.session_dir,
            self._options.http_port,
            own_ray=self._options.settings.workers.ray_address is None,
            tell=self._tell_of_http,
            address=self._options.settings.http.address,
            rules=self._http_rules,
        )

    def _tell_of_http(self, text: str | None) -> None:
        notices = self._surroundings.notices
        if text is None:
            notices.over(_HTTP)
        else:
            notices.alert("warning", "http", text, "nothing: movies go on; the log says more", _HTTP)

    # --- one run after the other -----------------------------------------------------------------------------------

    def _runs(self, start: SessionStart, runtime: RayRuntime, publisher: _Publisher) -> ExitReport:
        def check_workers(settings: Settings) -> list[WorkerConfig]:
            return self._worker_plan(settings, runtime)

        configs = check_workers(self._options.settings)
        while True:
            run = SessionRun.started(start, runtime, configs, check_workers=check_workers)
            report = run.run(lambda run=run: publisher.publish(lambda: run.state(self._builder, status=None)))  # type: ignore[misc]
            if report is not None:
                break
            self.any_run_ended = True
            following = self._next(run, runtime, publisher)
            if following is None:
                report = self._surroundings.requests.end
                assert report is not None, "only an end that was asked for ends the wait"
                break
            start, configs = following
        store, utc_us = self._surroundings.store, self._surroundings.utc_us()
        store.write(WritePolicy.DURABLE, session_writes.finish_session, utc_us)
        publisher.publish(lambda: run.state(self._builder, status=_last_status(report)), force=True)
        return report

    def _next(
        self, run: SessionRun, runtime: RayRuntime, publisher: _Publisher
    ) -> tuple[SessionStart, list[WorkerConfig]] | None:
        """A start with the changed settings; where they cannot be taken up after all, with those of before. A database
        that is not ready is waited for; None: somebody has ended the session meanwhile."""
        before, settings, requests = self._options.settings, run.settings, self._surroundings.requests
        while requests.end is None:
            try:
                following = self._with_settings(settings, before, runtime)
            except RetryLaterError as error:
                self._wait_for_database(error, run, publisher)
            else:
                self._surroundings.notices.over(_WAITING)
                return following
        return None

    def _wait_for_database(self, error: RetryLaterError, run: SessionRun, publisher: _Publisher) -> None:
        text = f"changed settings wait for the database: {error.what}"
        self._surroundings.notices.alert("error", "disk", text, error.remedy, _WAITING)
        publisher.publish(lambda: run.state(self._builder, status=None))
        self._surroundings.inbox.wait(_STORE_PAUSE_S)
        for item in self._surroundings.inbox.take_all():
            if isinstance(item, FrazilError):
                raise item
            if isinstance(item, Order):
                answer_between_runs(item, self._surroundings.requests, text)

    def _with_settings(
        self, settings: Settings, before: Settings, runtime: RayRuntime
    ) -> tuple[SessionStart, list[WorkerConfig]]:
        """Raises RetryLaterError while the database is not ready."""
        try:
            return self._take_up(settings, runtime)
        except (UsageError, OSError) as error:
            if settings == before:
                raise
            what = error.what if isinstance(error, FrazilError) else str(error)
            text = f"settings are as they were before the last change: {what}"
            self._surroundings.notices.alert("error", "daemon", text)
            session_folder.write_settings(self._options.session_dir, before)
            return self._take_up(before, runtime)

    def _take_up(self, settings: Settings, runtime: RayRuntime) -> tuple[SessionStart, list[WorkerConfig]]:
        """What the session remembers of its settings, what was built with them for its life, and a start with them.

        Raises
        ------
        UsageError, OSError
            If they ask for something that is not there.
        """
        surroundings = self._surroundings
        self._options = replace(self._options, settings=settings)
        self._builder.use(self._options)
        row = session_row(self._options, surroundings.utc_us())
        surroundings.store.write(WritePolicy.DURABLE, session_writes.create_session, row)
        if settings.alerts != self._courier_settings:
            channels = alert_channels(self._options, surroundings.utc_us)
            self._courier.close()
            self._courier = started_courier(self._options, surroundings, self._builder, channels)
            self._courier_settings = settings.alerts
        surroundings.notices.use(quiet_s=60.0 * settings.alerts.quiet_minutes)
        start = session_start(self._options, surroundings)
        return start, self._worker_plan(settings, runtime)

    def _worker_plan(self, settings: Settings, runtime: RayRuntime) -> list[WorkerConfig]:
        """Raises `UsageError` if this machine does not have what the settings want."""
        return plan_workers(
            settings,
            self._options.session_dir.resolve(),
            gpu_total=runtime.gpu_total(),
            accelerator_types=runtime.accelerator_types(),
            cpu_count=usable_cpu_count(),
        )
