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
class _Life:
    state: str = "starting"
    since_s: float = 0.0
    report: DeviceReport | None = None
    starts: int = 1
    done: int = 0
    failed: int = 0
    subject_text: str | None = None


class WorkerCalls:
    """One entry per worker; `collect` is called in a loop by the daemon and never waits long."""

    def __init__(self, pool: WorkerPool, *, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._clock = clock
        self._calls: dict[Any, Call] = {}
        self._lives = {name: _Life(since_s=clock()) for name in pool.names}
        for name in pool.names:
            self._calls[pool.describe(name)] = Call(name, "start", "", clock(), _START_TIMEOUT_S)

    def call(
        self, worker: str, kind: str, method: str, argument: object, *, subject: str, text: str, limit_s: float
    ) -> None:
        """Start a call on an idle worker; `text` is what the screen shows."""
        self._calls[self._pool.call(worker, method, argument)] = Call(worker, kind, subject, self._clock(), limit_s)
        life = self._lives[worker]
        life.state, life.since_s, life.subject_text = "working", self._clock(), text

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
                late = FrazilError(f"no answer after {call.limit_s:.0f} s")
                outcomes.append(Outcome(call, None, late, timed_out=True))
        for outcome in outcomes:
            self._note(outcome, now)
        return outcomes

    def _note(self, outcome: Outcome, now_s: float) -> None:
        life = self._lives[outcome.call.worker]
        life.subject_text = None
        life.since_s = now_s
        if outcome.error is None:
            life.state = "idle"
            if isinstance(outcome.value, DeviceReport):
                life.report = outcome.value
            elif not isinstance(outcome.value, MovieFailure):
                life.starts = 0  # it has really done something
        else:
            life.state = "failed"

    def count(self, worker: str, *, failed: bool) -> None:
        """One movie more that this worker has done or failed on."""
        life = self._lives[worker]
        life.failed, life.done = life.failed + failed, life.done + (not failed)

    def restart(self, worker: str) -> bool:
        """Replace the worker's process. False: it was restarted too often without doing anything, and stays away."""
        life = self._lives[worker]
        life.starts += 1
        life.since_s = self._clock()
        if life.starts > _MAX_STARTS_IN_A_ROW:
            life.state = "gone"
            self._pool.stop(worker)  # a worker that only hangs would keep its GPU and write on
            return False
        life.state = "starting"
        self._calls[self._pool.restart(worker)] = Call(worker, "start", "", self._clock(), _START_TIMEOUT_S)
        return True

    @property
    def names(self) -> list[str]:
        """All there are, at work or gone."""
        return list(self._lives)

    @property
    def calling(self) -> bool:
        """At least one call is under way."""
        return bool(self._calls)

    def idle(self) -> list[str]:
        """Workers that have started and have nothing in hand."""
        return [name for name, life in self._lives.items() if life.state == "idle"]

    @property
    def all_gone(self) -> bool:
        return all(life.state == "gone" for life in self._lives.values())

    def states(self) -> tuple[WorkerState, ...]:
        """For the screen."""
        now = self._clock()
        return tuple(
            WorkerState(
                name=name,
                node="" if life.report is None else life.report.node,
                device="" if life.report is None else life.report.device,
                device_name="" if life.report is None else life.report.device_name,
                state=life.state,
                movie=life.subject_text,
                since_s=now - life.since_s,
                done=life.done,
                failed=life.failed,
            )
            for name, life in self._lives.items()
        )


__all__ = ["Call", "Outcome", "WorkerCalls", "WorkerDiedError"]
