"""Which call goes to which worker, and what its end means, with workers that are lists."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shell_doubles import SETTINGS, Shells

from frazil.actors.messages import MovieFailure, MovieTask
from frazil.config.errors import FrazilError, QueryError, RetryLaterError, StopDaemonError, WriteError
from frazil.daemon.intake import instructions as intake
from frazil.daemon.processing.dispatch import Dispatcher
from frazil.daemon.processing.places import Place
from frazil.daemon.processing.workers import Call, Outcome, WorkerCalls, WorkerDiedError
from frazil.daemon.session.registry import REPROCESS_PRIORITY, EarlierMovie
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.rows import MovieRow
from frazil.models.causal.prior import physics_prior
from frazil.models.gain.decision import GainDecision, GainVerdict
from frazil.models.gain.gate import GainOrientation
from frazil.models.records import MovieEvidence, MovieResult, MovieState

PATH = "sq1/a.tiff"
MakeResult = Callable[..., MovieResult]


class FakeWorkers:
    def __init__(self) -> None:
        self.names = ["w0"]
        self.calls: list[tuple[str, str, Any]] = []
        self.restarted: list[str] = []
        self.comes_back = True
        self.counts: list[bool] = []

    def idle(self) -> list[str]:
        return ["w0"]

    def call(self, worker: str, kind: str, method: str, argument: Any, **words: Any) -> None:
        self.calls.append((worker, kind, argument))

    def restart(self, worker: str) -> bool:
        self.restarted.append(worker)
        return self.comes_back

    def count(self, worker: str, *, failed: bool) -> None:
        self.counts.append(failed)


class FakeVersions:
    eligible_below = 100

    def prior_for(self, sequence: int) -> Any:
        return physics_prior()

    def network_version_for(self, sequence: int) -> int:
        return 3

    def makes_lessons(self, sequence: int) -> bool:
        return True


class Bench:
    def __init__(self, shells: Shells | None = None, earlier: Any = None) -> None:
        self.shells = shells or Shells()
        self.workers = FakeWorkers()
        self.dispatcher = Dispatcher(
            self.shells.context, self.shells.lifecycle, cast("WorkerCalls", self.workers), self.shells.movies,
            self.shells.results, self.shells.gate, FakeVersions(), read_earlier=earlier or (lambda path: None),
        )  # fmt: skip

    def announce(self) -> str:
        name = self.shells.found(PATH)
        self.shells.movies.take(intake.Announce(self.shells.movie(PATH)))
        return name

    def ends(
        self, kind: str, value: object, error: Exception | None = None, *, subject: str = "", late: bool = False
    ) -> None:
        self.dispatcher.take(Outcome(Call("w0", kind, subject, 0.0, 9.0), value, error, timed_out=late))

    def start(self) -> str:
        name = self.announce()
        self.ends("start", object())
        self.dispatcher.start_movies()
        return name


def failure(**words: Any) -> MovieFailure:
    plain = MovieFailure("m", "quarantine", "read", "FormatError", "bad bytes", "", None, True)
    return replace(plain, **words)


def test_a_worker_that_has_started_gets_a_movie_whose_attempt_is_stored_first() -> None:
    bench = Bench()
    name = bench.start()
    assert "start_attempt" in bench.shells.store.names()
    ((worker, kind, task),) = bench.workers.calls
    assert isinstance(task, MovieTask)
    assert (worker, kind, task.movie_id, task.attempt, task.network_version, task.output) == (
        "w0",
        "movie",
        name,
        1,
        3,
        "",
    )
    assert bench.shells.lifecycle.place(name) is Place.IN_HAND


def test_a_store_that_is_busy_keeps_the_movie_from_the_worker_and_the_daemon_goes_on() -> None:
    bench = Bench()
    bench.shells.store.refuses = [RetryLaterError("the disk is full")]
    name = bench.start()
    assert bench.workers.calls == []
    assert bench.shells.lifecycle.place(name) is Place.QUEUED
    assert [(severity, subject) for severity, subject, _ in bench.shells.notices.told] == [("error", "disk")]
    bench.dispatcher.start_movies()  # too early: it waits for a moment
    assert bench.workers.calls == []
    bench.shells.clock.now_s += 3.0
    bench.dispatcher.start_movies()
    assert [task.attempt for _, _, task in bench.workers.calls] == [1]


def test_that_nothing_could_be_started_is_over_when_something_is() -> None:
    bench = Bench()
    bench.shells.store.refuses = [RetryLaterError("the disk is full")]
    bench.start()
    bench.shells.clock.now_s += 3.0
    bench.dispatcher.start_movies()
    assert bench.shells.notices.ended == ["attempt-not-stored"]


def prior_is_refused(monkeypatch: pytest.MonkeyPatch, error: FrazilError) -> None:
    def refuse(self: FakeVersions, sequence: int) -> Any:
        raise error

    monkeypatch.setattr(FakeVersions, "prior_for", refuse)


def test_a_question_that_the_database_does_not_understand_ends_the_run_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prior_is_refused(monkeypatch, QueryError("the database was closed"))
    bench = Bench()
    name = bench.start()
    assert bench.shells.lifecycle.place(name) is Place.QUEUED
    bench.shells.clock.now_s += 61.0
    with pytest.raises(StopDaemonError, match="the database was closed"):
        bench.dispatcher.start_movies()


def test_an_alert_of_an_earlier_run_ends_with_the_first_movie_that_is_started() -> None:
    bench = Bench()
    bench.start()
    assert bench.shells.notices.ended == ["attempt-not-stored"]


@pytest.mark.parametrize("error", [WriteError("no such column"), LookupError("no movie in the session")])
def test_an_attempt_that_can_never_be_stored_sets_its_movie_aside(error: Exception) -> None:
    bench = Bench()
    bench.shells.store.refuses = [error]
    name = bench.start()
    assert bench.shells.lifecycle.place(name) is Place.SET_ASIDE
    assert bench.workers.calls == []
    assert bench.workers.restarted == []


def test_a_prior_that_cannot_be_read_makes_the_movie_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    prior_is_refused(monkeypatch, RetryLaterError("the database is busy"))
    bench = Bench()
    name = bench.start()
    assert bench.shells.lifecycle.place(name) is Place.QUEUED
    assert "start_attempt" not in bench.shells.store.names()


def test_a_result_goes_to_whoever_writes_it(make_result: MakeResult) -> None:
    bench = Bench()
    name = bench.start()
    bench.ends("movie", replace(make_result(1), movie_id=name), subject=name)
    assert bench.shells.lifecycle.place(name) is Place.WRITING
    assert bench.shells.results.busy
    assert bench.workers.counts == [False]


def test_a_bad_file_is_set_aside_with_its_evidence_and_the_worker_goes_on() -> None:
    bench = Bench()
    name = bench.start()
    bench.ends("movie", failure(movie_id=name), subject=name)
    assert bench.shells.lifecycle.place(name) is Place.SET_ASIDE
    function, _, words = bench.shells.store.written[-1]
    assert (function, words["reason"]) == ("quarantine", "bad bytes")
    assert bench.workers.restarted == []


@pytest.mark.parametrize(
    ("value", "error", "late"),
    [
        (None, WorkerDiedError("gone"), False),
        (None, FrazilError("no answer after 9 s"), True),
        (failure(kind="unknown", device_ok=False), None, False),
    ],
)
def test_a_worker_that_dies_hangs_or_is_sick_is_restarted_and_its_movie_queued_again(
    value: object, error: Exception | None, late: bool
) -> None:
    bench = Bench()
    name = bench.start()
    bench.ends("movie", value, error, subject=name, late=late)
    assert bench.shells.lifecycle.place(name) is Place.QUEUED
    assert bench.workers.restarted == ["w0"]
    assert bench.shells.notices.told[-1][:2] == ("warning", "worker")


def test_a_worker_that_does_not_come_back_is_an_error() -> None:
    bench = Bench()
    bench.workers.comes_back = False
    bench.ends("start", None, FrazilError("no device"))
    assert bench.shells.notices.told == [("error", "worker", "worker w0 does not come back: no device")]


def test_that_a_worker_was_restarted_is_over_after_ten_results(make_result: MakeResult) -> None:
    bench = Bench()
    bench.ends("start", object())
    for _ in range(10):
        bench.ends("movie", make_result(1), subject="m001")
    assert bench.shells.notices.ended == ["worker-restart:w0"]


def test_a_redo_is_given_its_earlier_result_and_a_folder_of_its_own(make_result: MakeResult) -> None:
    redo = EarlierMovie("m1", PATH, 0, "a", MovieState.FAILED, REPROCESS_PRIORITY, redo=True)
    stored = StoredResult(MovieRow("m1", PATH, 1, 1), replace(make_result(1), movie_id="m1"), 3, 2.5, None)
    bench = Bench(Shells(earlier=[redo]), earlier=lambda path: (stored, 11))
    bench.shells.movies.take(intake.Announce(replace(bench.shells.movie(PATH), movie_id="m1")))
    bench.ends("start", object())
    bench.dispatcher.start_movies()
    assert "start_attempt" not in bench.shells.store.names()
    ((_, _, task),) = bench.workers.calls
    assert (task.earlier, task.earlier_written_ns, task.output) == (stored.result, 11, ".redo/m1")


def test_a_redo_that_was_made_before_the_daemon_ended_only_gets_its_row(make_result: MakeResult) -> None:
    redo = EarlierMovie("m1", PATH, 0, "a", MovieState.FAILED, REPROCESS_PRIORITY, redo=True)
    evidence = MovieEvidence(
        (), (), (), 0.0, 40, 1.0, 0.0, 1.0, pixel_size_angstrom=1.0, voltage_kv=300.0, cs_mm=2.7, defocus_angstrom=None,
        relative_ice_thickness=None, log_ssnr=(), log_ssnr_sd=0.1,
    )  # fmt: skip
    made = replace(make_result(1), movie_id="m1", parameter_hash="h", code_version="v", evidence=evidence)
    stored = StoredResult(MovieRow("m1", PATH, 1, 1), made, 3, 2.5, None)
    bench = Bench(Shells(earlier=[redo]), earlier=lambda path: (stored, 11))
    bench.shells.movies.take(intake.Announce(replace(bench.shells.movie(PATH), movie_id="m1")))
    bench.ends("start", object())
    bench.dispatcher.start_movies()
    assert bench.workers.calls == []
    assert bench.shells.lifecycle.place("m1") is Place.REDO_WRITING
    assert bench.shells.results.busy


def test_the_gates_question_keeps_a_worker_from_movies_and_its_answer_lets_them_pass() -> None:
    settings = SETTINGS.model_copy(update={"camera": SETTINGS.camera.model_copy(update={"no_gain": False})})
    bench = Bench(Shells(settings))
    name = bench.announce()
    bench.ends("start", object())
    bench.dispatcher.ask_gate(nothing_more_comes=True)
    assert [kind for _, kind, _ in bench.workers.calls] == ["gain"]
    bench.dispatcher.start_movies()
    assert len(bench.workers.calls) == 1
    decision = GainDecision(
        GainVerdict.NOT_NEEDED, "counts are even: no gain is needed", None, None, None, GainOrientation.AUTO, "none", 1,
        None, None,
    )  # fmt: skip
    bench.ends("gain", decision)
    assert bench.shells.notices.told == [("info", "gain", decision.sentence)]
    assert "record_gain_verdict" in bench.shells.store.names()
    assert bench.shells.lifecycle.place(name) is Place.QUEUED


def test_a_reference_that_cannot_be_read_stops_the_daemon_with_the_remedy() -> None:
    bench = Bench()
    with pytest.raises(StopDaemonError, match="bad bytes"):
        bench.ends("gain", failure())
