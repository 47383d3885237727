"""Where HTTP's answers come from: a client of the daemon's socket like any other, and the session's files.

It runs in a process of its own. The daemon is asked one thing at a time, for a share of its time, and the same thing
not twice a second; pictures are drawn here.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from frazil.config.errors import DaemonGoneError, FrazilError
from frazil.daemon.client import Client, connect
from frazil.daemon.http.api import FullError
from frazil.daemon.http.cache import AnswerCache, TimeBudget
from frazil.daemon.http.metrics import metrics_text
from frazil.daemon.http.orders import (
    Accept,
    Acknowledge,
    Avoid,
    ClassVerdict,
    Experiment,
    ExperimentStop,
    Forget,
    HoursLeft,
    Intervention,
    Note,
    Order,
    Pause,
    Pick,
    Reject,
    TargetWord,
)
from frazil.daemon.http.parameters import Value
from frazil.daemon.http.pictures import PictureDesk
from frazil.daemon.page.source import movie_row
from frazil.daemon.report.experiments import plan_csv, plan_rows
from frazil.daemon.report.next_targets import NextAnswer, next_answer, next_text
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.report.summary.records import SessionSummary
from frazil.daemon.report.summary.text import to_json
from frazil.daemon.store.reading import LiveReader
from frazil.daemon.transport.messages import Command, CommandName, LiveState, Rows, Scalar, experiment_args

T = TypeVar("T")

_STATE_S, _ROWS_S, _SUMMARY_S = 1.0, 1.0, 10.0
"""How old an answer may be; the daemon makes a new state once a second."""
_CACHE_BYTES = 64 << 20
_SHARE_OF_CORES = 0.05
_BURST_S = 3.0
_TABLE_BYTES = 256 << 10
"""What rows are taken to weigh."""


def time_budget() -> TimeBudget:
    """What HTTP may take of the daemon's time: a twentieth of what the machine has, so that no crowd of readers holds
    the movies up."""
    return TimeBudget(_SHARE_OF_CORES * (os.cpu_count() or 1), _BURST_S, clock=time.monotonic)


class DaemonSource:
    """Implements `frazil.daemon.http.api.SessionSource`. Thread-safe."""

    def __init__(self, session_dir: Path, budget: TimeBudget, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._session_dir, self._clock = session_dir, clock
        # A line each: a slow question does not hold up the state or an order.
        self._state_line, self._order_line = _Line(session_dir), _Line(session_dir)
        self._line = _Line(session_dir, budget, clock)
        self._states: AnswerCache[LiveState] = AnswerCache(_CACHE_BYTES, clock=clock, size_bytes=lambda _: 1)
        self._answers: AnswerCache[bytes] = AnswerCache(_CACHE_BYTES, clock=clock, size_bytes=len)
        self._summaries: AnswerCache[SessionSummary] = AnswerCache(_CACHE_BYTES, clock=clock, size_bytes=lambda _: 1)
        self._tables: AnswerCache[Rows] = AnswerCache(_CACHE_BYTES, clock=clock, size_bytes=lambda _: _TABLE_BYTES)
        self._pictures = PictureDesk(session_dir, lambda movie_id: movie_row(self, movie_id), clock=clock)
        self._summary_took_s = 0.0
        self._last_told: SessionSummary | None = None

    def state(self) -> bytes:
        return msgspec.json.encode(self.live())

    def metrics(self) -> bytes:
        return metrics_text(self.live())

    def live(self) -> LiveState:
        return self._states.get("state", _STATE_S, lambda: self._state_line.ask(lambda daemon: daemon.snapshot()))

    def summary(self) -> bytes:
        return self._answers.get("summary", _SUMMARY_S, lambda: to_json(self._summed_up(each_hole=True)).encode())

    def told(self) -> SessionSummary:
        """At most ten seconds old; older where it takes long, so that it takes a twentieth of the time at most, and
        where others have used up what may be asked."""

        def make() -> SessionSummary:
            began_s = self._clock()
            self._last_told = self._summed_up(each_hole=False)
            self._summary_took_s = self._clock() - began_s
            return self._last_told

        age_s = max(_SUMMARY_S, self._summary_took_s / _SHARE_OF_CORES)
        try:
            return self._summaries.get("summary", age_s, make)
        except FullError:
            if self._last_told is None:
                raise
            return self._last_told

    def _summed_up(self, *, each_hole: bool) -> SessionSummary:
        def make(daemon: Client) -> SessionSummary:
            now_utc_us, reader = time.time_ns() // 1000, LiveReader(daemon)
            return summarise(
                reader,
                self._session_dir,
                now_utc_us=now_utc_us,
                live=True,
                verdict=reader.verdict(),
                each_hole=each_hole,
            )

        return self._line.ask(make)

    def query(self, name: str, params: Mapping[str, Value]) -> bytes:
        def make(daemon: Client) -> bytes:
            return msgspec.json.encode(daemon.named(name, **params))

        return self._answers.get((name, *sorted(params.items())), _ROWS_S, lambda: self._line.ask(make))

    def table(self, name: str, params: Mapping[str, Value]) -> Rows:
        def make(daemon: Client) -> Rows:
            return daemon.named(name, **params)

        return self._tables.get((name, *sorted(params.items())), _ROWS_S, lambda: self._line.ask(make))

    def plan(self, experiment_id: str) -> bytes:
        def make(daemon: Client) -> bytes:
            return plan_csv(plan_rows(LiveReader(daemon), experiment_id)).encode()

        return self._answers.get(("plan", experiment_id), _ROWS_S, lambda: self._line.ask(make))

    def next(self, limit: int, grid: str) -> bytes:
        return self._answers.get(
            ("next", limit, grid),
            _ROWS_S,
            lambda: self._line.ask(lambda daemon: msgspec.json.encode(_next(daemon, limit, grid))),
        )

    def next_text(self, limit: int, grid: str) -> bytes:
        return self._answers.get(
            ("next.txt", limit, grid),
            _ROWS_S,
            lambda: self._line.ask(lambda daemon: next_text(_next(daemon, limit, grid)).encode()),
        )

    def picture(self, movie_id: str, kind: str, *, small: bool, width_px: int) -> bytes:
        return self._pictures.picture(movie_id, kind, small=small, width_px=width_px)

    def map_picture(self, kind: str) -> bytes:
        return self._pictures.map_picture(kind)

    def map_pictures(self) -> list[str]:
        return self._pictures.map_pictures()

    def micrograph_file(self, movie_id: str, kind: str) -> Path:
        return self._pictures.micrograph_file(movie_id, kind)

    def order(self, order: Order, key: str) -> str:
        name, args = as_command(order)
        command = Command(name, args, command_id(key, name, args, order.who), order.who)
        try:
            return self._order_line.ask(lambda daemon: daemon.order(command)).message
        finally:
            # Who has written wants to read it.
            for cache in (self._states, self._answers, self._summaries, self._tables, self._pictures):
                cache.clear()

    def close(self) -> None:
        """Leave the daemon."""
        for line in (self._state_line, self._order_line, self._line):
            line.close()


def _next(daemon: Client, limit: int, grid: str) -> NextAnswer:
    return next_answer(LiveReader(daemon), limit=limit, grid=grid)


class _Line:
    """One connection to the daemon, found again when it was lost; one question at a time, within a budget."""

    def __init__(
        self, session_dir: Path, budget: TimeBudget | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session_dir, self._budget, self._clock = session_dir, budget, clock
        self._client: Client | None = None
        self._lock = threading.Lock()

    def ask(self, question: Callable[[Client], T]) -> T:
        """Raises `FullError` when the budget is used up, `DaemonGoneError`, and what the daemon says."""
        with self._lock:
            if self._budget is not None and (wait_s := self._budget.wait_s()) > 0:
                raise FullError("too much is asked of this session", retry_after_s=math.ceil(wait_s))
            began_s = self._clock()
            try:
                answer = question(self._daemon())
            except DaemonGoneError:
                raise  # nobody's time was taken
            except FrazilError:
                self._spend(began_s)
                raise
            self._spend(began_s)
            return answer

    def _spend(self, began_s: float) -> None:
        """At most what can be saved up: who waits longer on a busy machine has not had the daemon's time meanwhile, and
        would be told for minutes to come back later."""
        if self._budget is not None:
            self._budget.spend(min(self._clock() - began_s, _BURST_S))

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _daemon(self) -> Client:
        if self._client is None:
            self._client = connect(self._session_dir)
        if self._client is None:
            raise DaemonGoneError("the session's daemon does not answer", remedy="try again in a moment")
        return self._client


def command_id(key: str, name: str, args: Mapping[str, Scalar], who: str) -> str:
    """Under which an order counts once. The same key with another order, or of another person, is another order."""
    if not key:
        return uuid.uuid4().hex
    said = repr((key, name, sorted(args.items()), who))
    return f"http-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def as_command(order: Order) -> tuple[CommandName, dict[str, Scalar]]:
    """The order as the daemon takes it: its name and arguments."""
    match order:
        case Accept(movie_id=movie_id, note=note):
            return "accept", {"movie_id": movie_id, "reason": note or None}
        case Reject(movie_id=movie_id, note=note):
            return "reject", {"movie_id": movie_id, "reason": note or None}
        case Note(movie_id=movie_id, note=note):
            return "note", {"movie_id": movie_id, "text": note}
        case Intervention(sentence=sentence, factor=factor, at=at):
            when: dict[str, Scalar] = {} if at is None else {"at_utc_us": round(at.timestamp() * 1e6)}
            return "intervention", {"sentence": sentence, "factor": factor, **when}
        case Acknowledge(alert_id=alert_id):
            return "acknowledge", {"alert_id": alert_id}
        case Experiment():
            return "experiment-plan", experiment_args(order)
        case ExperimentStop(experiment_id=experiment_id):
            return "experiment-stop", {"experiment_id": experiment_id}
        case Pick() | Avoid() | Forget() | HoursLeft():
            return _of_target(order)
        case ClassVerdict():
            numbers = {name: ",".join(map(str, getattr(order, name))) for name in ("keep", "reject", "undecided")}
            return "class-verdict", {**numbers, "undo": order.undo}
        case _:
            return ("pause" if isinstance(order, Pause) else "resume"), {}


def _of_target(order: TargetWord) -> tuple[CommandName, dict[str, Scalar]]:
    match order:
        case Pick(target_id=target_id):
            return "target-pick", {"target_id": target_id}
        case Avoid(target_id=target_id):
            return "target-avoid", {"target_id": target_id}
        case Forget(target_id=target_id):
            return "target-forget", {"target_id": target_id}
        case _:
            return "target-hours", {"hours": order.hours}
