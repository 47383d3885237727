"""Where HTTP's answers come from when nobody runs the session any more: its database, opened read-only, and its files.

Nothing is written into the folder. What was asked once is kept until somebody else writes into the session.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from frazil.config.errors import RetryLaterError, SessionLockedError, UsageError
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
from frazil.daemon.store.reading import FileReader
from frazil.daemon.store.resting_file import RestingFile
from frazil.daemon.store.table import Table
from frazil.daemon.transport.messages import LiveState, Rows, Scalar

_CACHE_BYTES = 64 << 20
_ALWAYS_S = 1e12
AtRest = Callable[[FileReader, Path], LiveState]
"""The state of a session on which no daemon runs."""


class FileSource:
    """Implements `frazil.daemon.http.api.SessionSource` for a session that is over. Thread-safe.

    Raises `RetryLaterError` while a daemon has the session.
    """

    def __init__(self, session_dir: Path, file: RestingFile, at_rest: AtRest) -> None:
        """`at_rest`: `daemon.status.finished.state_at_rest`."""
        self._session_dir, self._file, self._at_rest = session_dir, file, at_rest
        self._answers: AnswerCache[bytes] = AnswerCache(_CACHE_BYTES, clock=time.monotonic, size_bytes=len)
        self._pictures = PictureDesk(session_dir, lambda movie_id: movie_row(self, movie_id))
        self._summing_up = threading.Lock()
        self._summary: SessionSummary | None = None
        self._state: LiveState | None = None

    def rest(self) -> None:
        """Let go of the file until the next question, and forget what somebody has changed since."""
        self._file.rest()
        if self._file.changed():
            self._answers.clear()
            self._pictures.clear()
            with self._summing_up:
                self._summary = self._state = None

    @contextlib.contextmanager
    def _open(self) -> Iterator[FileReader]:
        with contextlib.ExitStack() as stack:
            try:
                reader = stack.enter_context(self._file.open())
            except SessionLockedError as error:
                raise RetryLaterError(
                    "the session is running again",
                    path=self._session_dir,
                    remedy="its own page: `frazil watch ... --http PORT`; this one goes on when it has ended",
                ) from error
            yield reader

    def state(self) -> bytes:
        return msgspec.json.encode(self.live())

    def metrics(self) -> bytes:
        return metrics_text(self.live())

    def live(self) -> LiveState:
        """As `frazil status` has it, with the rates of the whole session."""
        told = self.told()
        with self._summing_up:
            if self._state is None:
                with self._open() as reader:
                    at_rest = self._at_rest(reader, self._session_dir)
                self._state = msgspec.structs.replace(
                    at_rest, found_per_hour=told.found_per_hour, ready_per_hour=told.finished_per_hour
                )
            return self._state

    def summary(self) -> bytes:
        return self._answers.get("summary", _ALWAYS_S, lambda: to_json(self._sum_up(each_hole=True)).encode())

    def told(self) -> SessionSummary:
        with self._summing_up:
            if self._summary is None:
                self._summary = self._sum_up(each_hole=False)
            return self._summary

    def _sum_up(self, *, each_hole: bool) -> SessionSummary:
        with self._open() as reader:
            raw = raw_folder(reader)
            return summarise(
                reader,
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
        with self._open() as reader:
            found: Table = reader.named(name, params)
        return Rows(found.columns, found.rows, found.truncated, found.total)

    def plan(self, experiment_id: str) -> bytes:
        with self._open() as reader:
            return plan_csv(plan_rows(reader, experiment_id)).encode()

    def next(self, limit: int, grid: str) -> bytes:
        with self._open() as reader:
            return msgspec.json.encode(next_answer(reader, limit=limit, grid=grid))

    def next_text(self, limit: int, grid: str) -> bytes:
        with self._open() as reader:
            return next_text(next_answer(reader, limit=limit, grid=grid)).encode()

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
