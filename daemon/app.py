"""The daemon: holds the session's lock, store and sockets for its whole life, and works in turns, one for each state of
the settings (`run.py`).

One thread (`run`) owns all the state here; intake and sockets put what they have into its inbox.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version

from frazil.actors.frame_worker import WorkerConfig
from frazil.actors.gpu_pool import plan_workers, usable_cpu_count
from frazil.actors.ray_runtime import RayRuntime
from frazil.config.errors import FrazilError, QueryError, UsageError
from frazil.config.settings import Settings
from frazil.daemon.alerts.channels import About, Channel, channels_of, environment
from frazil.daemon.alerts.courier import AlertCourier
from frazil.daemon.alerts.sending import SendingRules
from frazil.daemon.commands import StandingRequests
from frazil.daemon.http.api import HttpRules
from frazil.daemon.http.server import HttpServer, http_rules, serve_environment
from frazil.daemon.processing import redo_files
from frazil.daemon.run import SessionRun
from frazil.daemon.session import folder as session_folder
from frazil.daemon.session.inbox import Inbox
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.options import DaemonOptions, ExitReport, session_row
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.status.live_state import LiveStateBuilder
from frazil.daemon.store import rebuild
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.daemon.transport.messages import LiveState
from frazil.daemon.transport.server import QueryServer

_log = logging.getLogger(__name__)

_PUBLISH_INTERVAL_S = 1.0
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
        """With the settings in force; what a person has set since, the turn knows."""
        self._clock, self._utc_us = clock, utc_us
        self._on_state = on_state
        self._inbox = Inbox()
        self._requests = StandingRequests()
        self._last_publish_s = float("-inf")
        self._http_rules = HttpRules()
        self._first_turn = True
        """Nothing that a person has not said at this start is in force yet."""

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
                self._http_rules = http_rules(self._options.settings.http, environment())
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
        return channels_of(self._options.settings.alerts, about, environ=environment(), utc_us=self._utc_us)

    def _start_courier(self, channels: list[Channel]) -> None:
        alerts = self._options.settings.alerts
        rules = SendingRules(alerts.least_severity, alerts.mute, int(alerts.quiet_minutes * 60e6))
        self._courier = AlertCourier(self._store, channels, rules, utc_us=self._utc_us)
        self._courier.start()

    def stop(self, sentence: str = "stopped as asked") -> None:
        """End soon; what is under way is done again when the session is resumed. Callable from a signal handler."""
        self._requests.stop(sentence)

    def _open_store(self) -> None:
        options, settings = self._options, self._options.settings
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
        self._store.submit(session_writes.create_session, session_row(options, now)).result()

    def _run_locked(self) -> ExitReport:
        options = self._options
        redo_files.settle(self._store, options.session_dir)
        rebuilt = rebuild.adopt_missing(self._store, options.session_dir, now_utc_us=self._utc_us())
        if rebuilt.adopted:
            self._notices.alert("info", "store", f"{len(rebuilt.adopted)} results were read back from their files")
        service = DaemonService(self._store, options.session_dir, self._inbox.order, lambda: self._builder.newest)
        self._builder = LiveStateBuilder(options, self._store, self._utc_us, self._clock)
        with contextlib.ExitStack() as held:
            self._turn = self._new_turn()
            self._server = held.enter_context(QueryServer(options.session_dir, service, version=version("frazil")))
            self._publish(force=True)
            self._runtime = RayRuntime(
                address=options.settings.workers.ray_address,
                gpu_count=options.gpu_count,
                environment=serve_environment(options.http_port),
            )
            held.callback(self._runtime.close)
            http = HttpServer(
                options.session_dir,
                options.http_port,
                own_ray=options.settings.workers.ray_address is None,
                alert=lambda text: self._notices.alert("warning", "http", text),
                address=options.settings.http.address,
                rules=self._http_rules,
            )
            held.callback(http.close)
            configs = self._worker_plan(options.settings)
            while (report := self._run_turn(configs)) is None:
                self._first_turn = False
                configs = self._next_turn()
            self._store.submit(session_writes.finish_session, self._utc_us()).result()
            self._publish(force=True, status=_last_status(report))
            return report

    # --- turns -----------------------------------------------------------------------------------------------------

    def _new_turn(self) -> SessionRun:
        return SessionRun(
            self._options,
            self._requests,
            store=self._store,
            inbox=self._inbox,
            notices=self._notices,
            clock=self._clock,
            utc_us=self._utc_us,
        )

    def _run_turn(self, configs: list[WorkerConfig]) -> ExitReport | None:
        return self._turn.run(self._runtime, configs, check_workers=self._worker_plan, publish=self._publish)

    def _next_turn(self) -> list[WorkerConfig]:
        """With the changed settings; where they cannot be taken up after all, with those of before. Its workers."""
        before = self._options.settings
        try:
            return self._take_up(self._turn.settings)
        except (UsageError, OSError) as error:
            if self._turn.settings == before:
                raise
            what = error.what if isinstance(error, FrazilError) else str(error)
            self._notices.alert("error", "daemon", f"settings are as they were before the last change: {what}")
            session_folder.write_settings(self._options.session_dir, before)
            return self._take_up(before)

    def _take_up(self, settings: Settings) -> list[WorkerConfig]:
        """What the session remembers of its settings, what was built with them for its life, and a turn with them.

        Raises
        ------
        UsageError, OSError
            If they ask for something that is not there.
        """
        alerts_before = self._options.settings.alerts
        self._options = replace(self._options, settings=settings)
        self._builder.use(self._options)
        self._store.submit(session_writes.create_session, session_row(self._options, self._utc_us())).result()
        if settings.alerts != alerts_before:
            self._courier.close()
            self._start_courier(self._alert_channels())
        self._notices.use(quiet_s=60.0 * settings.alerts.quiet_minutes)
        turn = self._new_turn()
        configs = self._worker_plan(settings)
        self._turn = turn
        return configs

    def _worker_plan(self, settings: Settings) -> list[WorkerConfig]:
        """Raises `UsageError` if this machine does not have what the settings want."""
        return plan_workers(
            settings,
            self._options.session_dir.resolve(),
            gpu_total=self._runtime.gpu_total(),
            accelerator_types=self._runtime.accelerator_types(),
            cpu_count=usable_cpu_count(),
        )

    def _publish(self, *, force: bool = False, status: str | None = None) -> None:
        now = self._clock()
        if not force and now - self._last_publish_s < _PUBLISH_INTERVAL_S:
            return
        self._last_publish_s = now
        state = self._turn.state(self._builder, status=status)
        self._server.publish(state)
        if self._on_state is not None:
            self._on_state(state)
