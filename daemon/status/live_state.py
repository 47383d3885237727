"""The one record that the screen shows at a glance, put together about once a second."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from frazil.config.errors import QueryError
from frazil.config.settings import Settings
from frazil.daemon.analysis.summary import AnalysisSummary
from frazil.daemon.session.redo_progress import NO_REDO, RedoSummary
from frazil.daemon.status.disk_use import DiskMeter, DiskUse
from frazil.daemon.status.verdict_board import VerdictBoard
from frazil.daemon.store.queries.named_query import RATE_IDLE_US
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.store import Store
from frazil.daemon.store.table import Scalar
from frazil.daemon.transport.messages import ALERTS_OF_A_RUN, GateState, LiveState, WorkerState

_Row = dict[str, Scalar]
_log = logging.getLogger(__name__)
_TOLD_ALERTS = 3
_RECENT_MOVIES = 25


class SessionPlace(Protocol):
    """Where a session lies, and the settings in force."""

    @property
    def raw_root(self) -> Path: ...
    @property
    def session_dir(self) -> Path: ...
    @property
    def settings(self) -> Settings: ...


class LiveStateBuilder:
    """Keeps what needs a memory (disk use, sequence number); everything else is asked of the store each time."""

    def __init__(
        self,
        options: SessionPlace,
        store: SessionReader,
        utc_us: Callable[[], int],
        clock: Callable[[], float],
        disk: DiskMeter | None = None,
    ) -> None:
        """`disk` None: of a session on which nothing runs, nothing is said of the disk."""
        self._options = options
        self._store = store
        self._utc_us, self._clock = utc_us, clock
        self._started_utc_us = utc_us()
        self._sequence = 0
        self._disk = disk
        self._verdict = VerdictBoard(store, options.settings, clock)
        self.last_movie_id = _newest_movie(store)
        self.newest = LiveState(session_dir=str(options.session_dir), status="starting")

    def use(self, options: SessionPlace) -> None:
        """From now on: the settings have changed."""
        self._options = options
        self._verdict.use(options.settings)

    def build(
        self,
        *,
        status: str,
        workers: tuple[WorkerState, ...],
        gate: GateState,
        queue_depth: int,
        analysis: AnalysisSummary | None,
        redo: RedoSummary = NO_REDO,
        message: str = "",
    ) -> LiveState:
        """Ask the store and make the next state. When the store or the disk does not answer (a query that ran too long
        on a busy machine), the numbers stay as they were: a screen must never end a night's run."""
        self._sequence += 1
        try:
            state = self.read(analysis)
        except (QueryError, OSError) as error:
            _log.warning("the screen shows older numbers: %s", error)
            state = self.newest
        state = msgspec.structs.replace(
            state,
            sequence=self._sequence,
            utc_us=self._utc_us(),
            status=status,
            workers=workers,
            gate=gate,
            queue_depth=queue_depth,
            redo_stage=redo.stage,
            redo_done=redo.done,
            redo_total=redo.total,
            message=message,
        )
        try:
            verdict = self._verdict.judge(state)
        except QueryError as error:
            _log.warning("the verdict is as it was: %s", error)
            verdict = self.newest.verdict
        self.newest = msgspec.structs.replace(state, verdict=verdict)
        return self.newest

    def read(self, analysis: AnalysisSummary | None) -> LiveState:
        """All but what the daemon itself is doing, and the verdict. Raises what store and disk raise."""
        options, settings = self._options, self._options.settings
        session = self._one("session")
        span = self._one("time_span")
        rates = self._rates(_int(span.get("last_utc_us")))
        lag = self._one("lag_percentiles")
        recent = self._one("recent_verdicts", last=_RECENT_MOVIES)
        urgent = self._urgent_alerts()
        errors_first = sorted(urgent, key=lambda alert: alert["severity"] != "error")
        error_openings = (_int(alert["opened_utc_us"]) or 0 for alert in urgent if alert["severity"] == "error")
        counts = {str(row["state"]): int(row["movies"] or 0) for row in self._store.named("counts_by_state").as_dicts()}
        floor_gb = settings.store.min_free_disk_gb
        disk = self._disk.look(self._clock(), self._utc_us(), floor_gb=floor_gb) if self._disk else DiskUse()
        return LiveState(
            daemon_started_utc_us=self._started_utc_us,
            session_name=str(session.get("name", "")),
            session_dir=str(options.session_dir.resolve()),
            raw_root=str(options.raw_root.resolve()),
            session_started_utc_us=_int(session.get("created_utc_us")) or 0,
            preset=settings.preset or "",
            instrument=" ".join(part for part in (settings.microscope.name, settings.camera.name) if part),
            voltage_kv=_float(session.get("voltage_kv")),
            pixel_size_angstrom=_float(session.get("pixel_size_angstrom")),
            dose_per_frame_e_per_a2=_float(session.get("dose_per_frame_e_per_a2")),
            total_dose_e_per_a2=_float(recent.get("total_dose_e_per_a2")),
            counts=counts,
            found_per_hour=_float(rates.get("found_per_hour")),
            ready_per_hour=_float(rates.get("ready_per_hour")),
            last_found_utc_us=_int(span.get("last_found_utc_us")),
            lag_p50_s=_float(lag.get("p50_s")),
            lag_p95_s=_float(lag.get("p95_s")),
            free_disk_bytes=disk.free_bytes,
            written_bytes_per_s=disk.session_bytes_per_s,
            disk_full_in_h=disk.full_in_h,
            disk_shrinks_bytes_per_s=disk.shrinks_bytes_per_s,
            last_movie_id=self.last_movie_id,
            alerts_open=len(urgent),
            newest_alert=str(urgent[0]["text"]) if urgent else None,
            urgent_alerts=tuple(str(alert["text"]) for alert in errors_first[:_TOLD_ALERTS]),
            error_opened_utc_us=max(error_openings, default=None),
            bell=settings.alerts.bell,
            recent_kept=_int(recent.get("kept")) or 0,
            recent_total=_int(recent.get("finished")) or 0,
            prior_version=None if analysis is None else analysis.prior_version,
            particle_count=None if analysis is None else analysis.particle_count,
            **_map(self._one("newest_map"), settings.particles.initial_map),
            **_grid(analysis),
        )

    def _rates(self, last_utc_us: int | None) -> _Row:
        """While nothing happens there is no rate: the last one stays, and the screen says since when nothing came."""
        now_utc_us = self._utc_us()
        until_utc_us = now_utc_us if last_utc_us is None else min(now_utc_us, last_utc_us + RATE_IDLE_US)
        return self._one("rate_per_hour", now_utc_us=until_utc_us)

    def _urgent_alerts(self) -> list[_Row]:
        """Open ones that are more than a note, newest first."""
        alerts = self._store.named("alerts", {"open_only": True, "limit": 100}).as_dicts()
        over = ALERTS_OF_A_RUN if self._disk is None else ()
        return [alert for alert in alerts if alert["severity"] != "info" and alert["alert_id"] not in over]

    def _one(self, name: str, **params: int) -> _Row:
        rows = self._store.named(name, params).as_dicts()
        return rows[0] if rows else {}


def disk_meter(options: SessionPlace, store: Store) -> DiskMeter:
    """Of the disk that a running session writes to."""
    return DiskMeter(store, options.session_dir, options.raw_root, free_bytes=free_bytes)


def free_bytes(folder: Path) -> int:
    """Of the disk that a folder lies on. Raises OSError."""
    return shutil.disk_usage(folder).free


def _map(newest: _Row, initial_map: str | None) -> dict[str, Any]:
    """The newest round by the fields of the state; a resolution never goes without its own particles."""
    if not newest or newest["map_path"] is None:
        return {}
    return {
        "map_resolution_angstrom": _float(newest["resolution_0143_angstrom"]),
        "map_round": _int(newest["round"]),
        "map_particle_count": _int(newest["particle_count"]),
        "map_start": "" if initial_map is None else Path(initial_map).name,
        "map_at_pixel_limit": bool(newest["at_pixel_limit"]),
    }


def _grid(analysis: AnalysisSummary | None) -> dict[str, Any]:
    """Where to shoot next, by the fields of the state."""
    if analysis is None:
        return {}
    grid = analysis.grid
    return {
        "next_line": grid.line,
        "next_round": grid.round,
        "next_square_id": grid.square_id,
        "grid_squares": grid.squares,
        "grid_holes": grid.holes,
        "grid_exposed": grid.exposed,
    }


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _int(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _newest_movie(store: SessionReader) -> str | None:
    """With a result, also of an earlier run."""
    try:
        rows = store.named("trend", {"metrics": "ctf_fit_angstrom", "last": 1}).as_dicts()
    except QueryError as error:
        _log.warning("the newest movie is not known yet: %s", error)
        return None
    return str(rows[0]["movie_id"]) if rows else None
