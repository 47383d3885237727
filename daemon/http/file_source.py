"""Where HTTP's answers come from when nobody runs the session any more: its database, opened read-only, and its files.

Nothing is written into the folder, and nothing changes: what was asked once is kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from frazil.config.errors import UsageError
from frazil.daemon.http.cache import AnswerCache
from frazil.daemon.http.metrics import metrics_text
from frazil.daemon.http.orders import Order
from frazil.daemon.http.parameters import Value
from frazil.daemon.http.pictures import PictureDesk
from frazil.daemon.page.source import movie_row
from frazil.daemon.report.experiments import plan_csv, plan_rows
from frazil.daemon.report.next_targets import next_answer, next_text
from frazil.daemon.report.summary.collect import raw_folder, summarise
from frazil.daemon.report.summary.records import SessionSummary
from frazil.daemon.report.summary.text import to_json
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.table import Table
from frazil.daemon.transport.messages import LiveState, Rows, Scalar

_CACHE_BYTES = 64 << 20
_ALWAYS_S = 1e12


class FileSource:
    """Implements `frazil.daemon.http.api.SessionSource` for a session that is over. Thread-safe as its reader is."""

    def __init__(self, session_dir: Path, reader: SessionReader) -> None:
        self._session_dir, self._reader = session_dir, reader
        self._answers: AnswerCache[bytes] = AnswerCache(_CACHE_BYTES, clock=time.monotonic, size_bytes=len)
        self._pictures = PictureDesk(session_dir, lambda movie_id: movie_row(self, movie_id))
        self._summing_up = threading.Lock()
        self._summary: SessionSummary | None = None

    def state(self) -> bytes:
        return msgspec.json.encode(self.live())

    def metrics(self) -> bytes:
        return metrics_text(self.live())

    def live(self) -> LiveState:
        return last_state(self.told())

    def summary(self) -> bytes:
        return self._answers.get("summary", _ALWAYS_S, lambda: to_json(self._sum_up(each_hole=True)).encode())

    def told(self) -> SessionSummary:
        with self._summing_up:
            if self._summary is None:
                self._summary = self._sum_up(each_hole=False)
            return self._summary

    def _sum_up(self, *, each_hole: bool) -> SessionSummary:
        raw = raw_folder(self._reader)
        return summarise(
            self._reader,
            self._session_dir,
            now_utc_us=time.time_ns() // 1000,
            live=False,
            raw_is_there=raw is None or raw.is_dir(),
            each_hole=each_hole,
        )

    def query(self, name: str, params: Mapping[str, Value]) -> bytes:
        question = (name, *sorted(params.items()))
        return self._answers.get(question, _ALWAYS_S, lambda: msgspec.json.encode(self.table(name, params)))

    def table(self, name: str, params: Mapping[str, Scalar]) -> Rows:
        found: Table = self._reader.named(name, params)
        return Rows(found.columns, found.rows, found.truncated, found.total)

    def plan(self, experiment_id: str) -> bytes:
        return plan_csv(plan_rows(self._reader, experiment_id)).encode()

    def next(self, limit: int, grid: str) -> bytes:
        return msgspec.json.encode(next_answer(self._reader, limit=limit, grid=grid))

    def next_text(self, limit: int, grid: str) -> bytes:
        return next_text(next_answer(self._reader, limit=limit, grid=grid)).encode()

    def picture(self, movie_id: str, kind: str, *, small: bool, width_px: int) -> bytes:
        return self._pictures.picture(movie_id, kind, small=small, width_px=width_px)

    def map_picture(self, kind: str) -> bytes:
        return self._pictures.map_picture(kind)

    def map_pictures(self) -> list[str]:
        return self._pictures.map_pictures()

    def micrograph_file(self, movie_id: str, kind: str) -> Path:
        return self._pictures.micrograph_file(movie_id, kind)

    def order(self, order: Order, key: str) -> str:
        raise UsageError("nobody runs this session any more", remedy="start `frazil watch` on it to change anything")


def last_state(told: SessionSummary) -> LiveState:
    """The state that a session of which only the summary is known was left in."""
    state = told.map
    return LiveState(
        utc_us=told.last_utc_us or 0,
        session_name=told.name,
        session_dir=told.session_dir,
        raw_root=told.raw_root,
        session_started_utc_us=told.first_utc_us or 0,
        status="finished",
        preset=told.preset or "",
        instrument=" ".join(part for part in (told.microscope, told.camera) if part),
        voltage_kv=told.voltage_kv,
        pixel_size_angstrom=told.pixel_size_angstrom,
        dose_per_frame_e_per_a2=told.dose_per_frame_e_per_a2,
        counts=dict(told.counts),
        found_per_hour=told.found_per_hour,
        ready_per_hour=told.finished_per_hour,
        lag_p50_s=told.lag_p50_s,
        lag_p95_s=told.lag_p95_s,
        alerts_open=len([alert for alert in told.alerts if alert.severity != "info"]),
        map_resolution_angstrom=None if state is None else state.resolution_0143_angstrom,
        particle_count=None if state is None else state.particle_count,
        verdict=told.verdict,
    )
