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
from pathlib import Path, PurePosixPath
from typing import TypeVar

import imagecodecs
import msgspec
import numpy as np

from frazil.config.errors import DaemonGoneError, NotThereError
from frazil.daemon.client import Client, connect
from frazil.daemon.http.api import FullError
from frazil.daemon.http.cache import AnswerCache, TimeBudget
from frazil.daemon.http.metrics import metrics_text
from frazil.daemon.http.orders import (
    Accept,
    Acknowledge,
    Avoid,
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
from frazil.daemon.report.experiments import plan_csv, plan_rows
from frazil.daemon.report.next_targets import NextAnswer, next_answer, next_text
from frazil.daemon.report.pictures import load_picture
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.report.summary.text import to_json
from frazil.daemon.store.reading import LiveReader
from frazil.daemon.transport.messages import Command, CommandName, LiveState, Scalar, experiment_args

T = TypeVar("T")

_STATE_S, _ROWS_S, _SUMMARY_S, _PICTURE_S = 1.0, 1.0, 10.0, 10.0
"""How old an answer may be; the daemon makes a new state once a second."""
_CACHE_BYTES = 64 << 20
_SHARE_OF_CORES = 0.05
_BURST_S = 3.0
_COLUMNS = {"sum": "micrograph_path", "restored": "restored_path", "power_spectrum": "power_spectrum_path"}


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
        self._files: AnswerCache[dict[str, Scalar]] = AnswerCache(_CACHE_BYTES, clock=clock, size_bytes=lambda _: 1024)
        self._drawing = threading.Lock()

    def state(self) -> bytes:
        return msgspec.json.encode(self._state())

    def metrics(self) -> bytes:
        return metrics_text(self._state())

    def _state(self) -> LiveState:
        return self._states.get("state", _STATE_S, lambda: self._state_line.ask(lambda daemon: daemon.snapshot()))

    def summary(self) -> bytes:
        def make(daemon: Client) -> bytes:
            now_utc_us = time.time_ns() // 1000
            reader = LiveReader(daemon)
            found = summarise(reader, self._session_dir, now_utc_us=now_utc_us, live=True, verdict=reader.verdict())
            return to_json(found).encode()

        return self._answers.get("summary", _SUMMARY_S, lambda: self._line.ask(make))

    def query(self, name: str, params: Mapping[str, Value]) -> bytes:
        def make(daemon: Client) -> bytes:
            return msgspec.json.encode(daemon.named(name, **params))

        question = (name, *sorted(params.items()))
        return self._answers.get(question, _ROWS_S, lambda: self._line.ask(make))

    def plan(self, experiment_id: str) -> bytes:
        def make(daemon: Client) -> bytes:
            return plan_csv(plan_rows(LiveReader(daemon), experiment_id)).encode()

        return self._answers.get(("plan", experiment_id), _ROWS_S, lambda: self._line.ask(make))

    def next(self, limit: int) -> bytes:
        return self._answers.get(
            ("next", limit), _ROWS_S, lambda: self._line.ask(lambda daemon: msgspec.json.encode(_next(daemon, limit)))
        )

    def next_text(self, limit: int) -> bytes:
        return self._answers.get(
            ("next.txt", limit),
            _ROWS_S,
            lambda: self._line.ask(lambda daemon: next_text(_next(daemon, limit)).encode()),
        )

    def picture(self, movie_id: str, kind: str, *, small: bool, width_px: int) -> bytes:
        def make() -> bytes:
            movie = self._movie(movie_id)
            path = self._small(movie, kind) if small else self._file(movie, _COLUMNS[kind])
            with self._drawing:  # a 6k micrograph takes 100 MB while it is reduced
                drawn = load_picture(path, max_width_px=width_px, max_height_px=width_px, pixel_size=0.0)
            gray = np.frombuffer(drawn.gray, dtype=np.uint8).reshape(drawn.height_px, drawn.width_px)
            return bytes(imagecodecs.png_encode(gray))

        return self._answers.get((movie_id, kind, small, width_px), _PICTURE_S, make)

    def micrograph_file(self, movie_id: str, kind: str) -> Path:
        return self._file(self._movie(movie_id), _COLUMNS[kind])

    def order(self, order: Order, key: str) -> str:
        name, args = _command(order)
        command = Command(name, args, command_id(key, name, args, order.who), order.who)
        try:
            return self._order_line.ask(lambda daemon: daemon.order(command)).message
        finally:
            for cache in (self._states, self._answers, self._files):
                cache.clear()  # who has written wants to read it

    def close(self) -> None:
        """Leave the daemon."""
        for line in (self._state_line, self._order_line, self._line):
            line.close()

    def _movie(self, movie_id: str) -> dict[str, Scalar]:
        def make(daemon: Client) -> dict[str, Scalar]:
            rows = daemon.named("movie", movie_id=movie_id).as_dicts()
            if not rows:
                raise NotThereError(f"no movie {movie_id[:80]} in this session")
            return rows[0]

        return self._files.get(movie_id, _ROWS_S, lambda: self._line.ask(make))

    def _small(self, movie: Mapping[str, Scalar], kind: str) -> Path:
        if kind == "power_spectrum":
            return self._file(movie, _COLUMNS[kind])
        thumbnail = self._file(movie, "thumbnail_path")
        return thumbnail if kind == "sum" else thumbnail.with_name(f"{thumbnail.stem}_restored.png")

    def _file(self, movie: Mapping[str, Scalar], column: str) -> Path:
        relative = movie.get(column)
        if not isinstance(relative, str):
            raise NotThereError("this movie has no such picture yet", remedy="wait until it is ready")
        inside = PurePosixPath(relative)
        path = self._session_dir / inside
        if inside.is_absolute() or ".." in inside.parts or not path.is_file():
            raise NotThereError(f"{relative} is not in the session's folder", remedy="re-queue the movie")
        return path


def _next(daemon: Client, limit: int) -> NextAnswer:
    return next_answer(LiveReader(daemon), limit=limit)


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
                return question(self._daemon())
            finally:
                if self._budget is not None:
                    self._budget.spend(self._clock() - began_s)

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


def _command(order: Order) -> tuple[CommandName, dict[str, Scalar]]:
    match order:
        case Accept(movie_id=movie_id, note=note):
            return "accept", {"movie_id": movie_id, "reason": note or None}
        case Reject(movie_id=movie_id, note=note):
            return "reject", {"movie_id": movie_id, "reason": note or None}
        case Note(movie_id=movie_id, note=note):
            return "note", {"movie_id": movie_id, "text": note}
        case Intervention(sentence=sentence, factor=factor):
            return "intervention", {"sentence": sentence, "factor": factor}
        case Acknowledge(alert_id=alert_id):
            return "acknowledge", {"alert_id": alert_id}
        case Experiment():
            return "experiment-plan", experiment_args(order)
        case ExperimentStop(experiment_id=experiment_id):
            return "experiment-stop", {"experiment_id": experiment_id}
        case Pick() | Avoid() | Forget() | HoursLeft():
            return _of_target(order)
        case Pause():
            return "pause", {}
        case _:
            return "resume", {}


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
