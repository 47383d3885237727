"""Calls on workers: how they end, when they are too late, and how often a worker's process is started anew."""

from __future__ import annotations

import pytest

from frazil.config.errors import FrazilError
from frazil.daemon.processing.workers import WorkerCalls, WorkerDiedError
from frazil.models.records import DeviceReport

START_LIMIT_S = 180.0
MOST_STARTS_IN_A_ROW = 5


class FakePool:
    """Workers without processes. `answers[future]` is what a call brings; an exception is raised by `outcome`."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.answers: dict[str, object] = {}
        self.made: list[tuple[str, str, object]] = []
        self.stopped: list[str] = []
        self.waited_s: list[float] = []

    def describe(self, name: str) -> str:
        return self.call(name, "describe", None)

    def restart(self, name: str) -> str:
        return self.call(name, "restart", None)

    def call(self, name: str, method: str, argument: object) -> str:
        self.made.append((name, method, argument))
        return f"{name}:{method}:{len(self.made)}"

    def finished(self, futures: list[str], timeout_s: float) -> list[str]:
        self.waited_s.append(timeout_s)
        return [future for future in futures if future in self.answers]

    def outcome(self, future: str) -> object:
        answer = self.answers[future]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self, name: str) -> None:
        self.stopped.append(name)

    def answer_newest(self, name: str, answer: object) -> None:
        """To the call that was made last on this worker."""
        number, (_, method, _) = max((number, call) for number, call in enumerate(self.made, 1) if call[0] == name)
        self.answers[f"{name}:{method}:{number}"] = answer


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def report(name: str) -> DeviceReport:
    return DeviceReport(name, "node-1", "cuda:0", "a card", None, 7)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool() -> FakePool:
    return FakePool("a", "b")


@pytest.fixture
def workers(pool, clock) -> WorkerCalls:
    return WorkerCalls(pool, clock=clock)


def start(pool, workers, *names: str) -> None:
    for name in names:
        pool.answer_newest(name, report(name))
    workers.collect(0.0)


def work(workers, worker: str, *, movie: str = "m1", limit_s: float = 60.0) -> None:
    workers.call(worker, "movie", "process", "a task", subject=movie, text=f"sq/{movie}.tif", limit_s=limit_s)


def shown(workers, worker: str):
    return next(state for state in workers.states() if state.name == worker)


def test_a_worker_is_idle_only_when_it_has_told_what_it_runs_on(pool, workers):
    assert (workers.names, workers.idle(), workers.calling) == (["a", "b"], [], True)
    pool.answer_newest("a", report("a"))
    (outcome,) = workers.collect(0.1)
    assert (outcome.call.kind, outcome.call.worker, outcome.error) == ("start", "a", None)
    assert workers.idle() == ["a"]
    assert (shown(workers, "a").device, shown(workers, "a").node) == ("cuda:0", "node-1")
    assert (shown(workers, "b").state, shown(workers, "b").device) == ("starting", "")
    assert pool.waited_s == [0.1]


def test_a_call_is_shown_while_it_lasts_and_brings_what_the_worker_answered(pool, workers, clock):
    start(pool, workers, "a", "b")
    assert not workers.calling
    work(workers, "a")
    clock.now_s += 4.0
    assert pool.made[-1] == ("a", "process", "a task")
    assert workers.idle() == ["b"]
    state = shown(workers, "a")
    assert (state.state, state.movie, state.since_s) == ("working", "sq/m1.tif", 4.0)
    assert workers.collect(0.0) == []
    pool.answer_newest("a", "a result")
    (outcome,) = workers.collect(0.0)
    assert (outcome.call.subject, outcome.value, outcome.error, outcome.timed_out) == ("m1", "a result", None, False)
    assert workers.idle() == ["a", "b"]
    assert (shown(workers, "a").movie, shown(workers, "a").since_s) == (None, 0.0)


def test_what_the_worker_raised_comes_as_it_is_and_leaves_the_worker_failed(pool, workers):
    start(pool, workers, "a", "b")
    work(workers, "a")
    death = WorkerDiedError("its process ended")
    pool.answer_newest("a", death)
    (outcome,) = workers.collect(0.0)
    assert outcome.error is death
    assert (outcome.value, outcome.timed_out) == (None, False)
    assert workers.idle() == ["b"]
    assert shown(workers, "a").state == "failed"


def test_a_call_ends_when_it_outruns_its_limit_and_not_before(pool, workers, clock):
    start(pool, workers, "a", "b")
    work(workers, "a", limit_s=30.0)
    clock.now_s += 30.0
    assert workers.collect(0.0) == []
    clock.now_s += 0.5
    (outcome,) = workers.collect(0.0)
    assert outcome.timed_out
    assert isinstance(outcome.error, FrazilError)
    assert "30 s" in str(outcome.error)
    assert not workers.calling
    pool.answer_newest("a", "a result, too late")
    assert workers.collect(0.0) == [], "nobody waits for it any more"


def test_an_answer_that_is_there_counts_although_its_time_is_over(pool, workers, clock):
    start(pool, workers, "a", "b")
    work(workers, "a", limit_s=30.0)
    pool.answer_newest("a", "a result")
    clock.now_s += 100.0
    (outcome,) = workers.collect(0.0)
    assert (outcome.value, outcome.timed_out) == ("a result", False)


def test_a_start_that_takes_too_long_is_an_outcome_of_its_own(pool, workers, clock):
    start(pool, workers, "a")
    clock.now_s += START_LIMIT_S + 1.0
    (outcome,) = workers.collect(0.0)
    assert (outcome.call.worker, outcome.call.kind, outcome.timed_out) == ("b", "start", True)


def test_a_worker_that_never_does_anything_is_stopped_after_its_last_start_and_stays_away(pool, workers):
    for _ in range(MOST_STARTS_IN_A_ROW - 1):
        assert workers.restart("a")
        assert shown(workers, "a").state == "starting"
    assert not workers.restart("a")
    assert (pool.stopped, shown(workers, "a").state) == (["a"], "gone")
    assert not workers.all_gone
    for _ in range(MOST_STARTS_IN_A_ROW):
        workers.restart("b")
    assert workers.all_gone
    assert workers.names == ["a", "b"], "those that are gone are shown, too"


def test_starts_are_counted_anew_once_the_worker_has_done_something(pool, workers):
    for _ in range(3):
        for _ in range(MOST_STARTS_IN_A_ROW - 1):
            assert workers.restart("a")
        start(pool, workers, "a")
        work(workers, "a")
        pool.answer_newest("a", "a result")
        workers.collect(0.0)
    assert pool.stopped == []


def test_having_started_is_not_yet_having_done_something(pool, workers):
    for _ in range(MOST_STARTS_IN_A_ROW - 1):
        assert workers.restart("a")
        start(pool, workers, "a")
    assert not workers.restart("a")


def test_movies_are_counted_by_how_they_ended(workers):
    for failed in (False, False, True):
        workers.count("a", failed=failed)
    assert (shown(workers, "a").done, shown(workers, "a").failed) == (2, 1)
    assert (shown(workers, "b").done, shown(workers, "b").failed) == (0, 0)
