"""What the workers are doing: calls under way, their limits, starts, deaths and restarts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frazil.actors.gpu_pool import WorkerDiedError, WorkerPool
from frazil.actors.messages import MovieFailure
from frazil.config.errors import FrazilError
from frazil.daemon.transport.messages import WorkerState
from frazil.models.records import DeviceReport

_START_TIMEOUT_S = 180.0
_MAX_STARTS_IN_A_ROW = 5


@dataclass(frozen=True, slots=True)
class Call:
    """One call under way on a worker."""

    worker: str
    kind: str
    """`start`, `movie` or `gain`."""
    subject: str
    """Movie id, or empty."""
    started_s: float
    limit_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: exactly one of `value` and `error`."""

    call: Call
    value: object
    error: Exception | None
    timed_out: bool = False


@dataclass(slots=True)
class _WorkerRecord:
    """What is known of one worker, over all processes that it has had."""

    state: str = "starting"
    since_s: float = 0.0
    report: DeviceReport | None = None
    starts: int = 1
    """In a row without a result in between."""
    done: int = 0
    failed: int = 0
    shown_text: str | None = None
    """Of the call under way: a movie's path relative to the raw root, or a sentence. None: no call."""


class WorkerCalls:
    """One entry per worker; `collect` is called in a loop by the daemon and never waits long."""

    def __init__(self, pool: WorkerPool, *, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._clock = clock
        self._calls: dict[Any, Call] = {}
        self._records = {name: _WorkerRecord(since_s=clock()) for name in pool.names}
        for name in pool.names:
            self._calls[pool.describe(name)] = Call(name, "start", "", clock(), _START_TIMEOUT_S)

    def call(
        self, worker: str, kind: str, method: str, argument: object, *, subject: str, text: str, limit_s: float
    ) -> None:
        """Start a call on an idle worker; `text` is what the screen shows."""
        self._calls[self._pool.call(worker, method, argument)] = Call(worker, kind, subject, self._clock(), limit_s)
        record = self._records[worker]
        record.state, record.since_s, record.shown_text = "working", self._clock(), text

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Calls that ended or outran their limit, after waiting at most `timeout_s` for one."""
        outcomes = []
        for future in self._pool.finished(list(self._calls), timeout_s):
            call = self._calls.pop(future)
            try:
                outcomes.append(Outcome(call, self._pool.outcome(future), None))
            except Exception as error:  # boundary to the worker's process: judged by the daemon
                outcomes.append(Outcome(call, None, error))
        now = self._clock()
        for future, call in list(self._calls.items()):
            if now - call.started_s > call.limit_s:
                del self._calls[future]
                no_answer = FrazilError(f"no answer after {call.limit_s:.0f} s")
                outcomes.append(Outcome(call, None, no_answer, timed_out=True))
        for outcome in outcomes:
            self._record_outcome(outcome, now)
        return outcomes

    def _record_outcome(self, outcome: Outcome, now_s: float) -> None:
        record = self._records[outcome.call.worker]
        record.shown_text = None
        record.since_s = now_s
        if outcome.error is None:
            record.state = "idle"
            if isinstance(outcome.value, DeviceReport):
                record.report = outcome.value
            elif not isinstance(outcome.value, MovieFailure):
                record.starts = 0  # it has really done something
        else:
            record.state = "failed"

    def count(self, worker: str, *, failed: bool) -> None:
        """One movie more that this worker has done or failed on."""
        record = self._records[worker]
        record.failed, record.done = record.failed + failed, record.done + (not failed)

    def restart(self, worker: str) -> bool:
        """Replace the worker's process. False: it was restarted too often without doing anything, and stays away."""
        record = self._records[worker]
        record.starts += 1
        record.since_s = self._clock()
        if record.starts > _MAX_STARTS_IN_A_ROW:
            record.state = "gone"
            self._pool.stop(worker)  # a worker that only hangs would keep its GPU and write on
            return False
        record.state = "starting"
        self._calls[self._pool.restart(worker)] = Call(worker, "start", "", self._clock(), _START_TIMEOUT_S)
        return True

    @property
    def names(self) -> list[str]:
        """All there are, at work or gone."""
        return list(self._records)

    @property
    def calling(self) -> bool:
        """At least one call is under way."""
        return bool(self._calls)

    def idle(self) -> list[str]:
        """Workers that have started and have nothing in hand."""
        return [name for name, record in self._records.items() if record.state == "idle"]

    @property
    def all_gone(self) -> bool:
        return all(record.state == "gone" for record in self._records.values())

    def states(self) -> tuple[WorkerState, ...]:
        """For the screen."""
        now = self._clock()
        return tuple(
            WorkerState(
                name=name,
                node="" if record.report is None else record.report.node,
                device="" if record.report is None else record.report.device,
                device_name="" if record.report is None else record.report.device_name,
                state=record.state,
                movie=record.shown_text,
                since_s=now - record.since_s,
                done=record.done,
                failed=record.failed,
            )
            for name, record in self._records.items()
        )


__all__ = ["Call", "Outcome", "WorkerCalls", "WorkerDiedError"]
