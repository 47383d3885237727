"""Faults at every place where the analysis waits for the store or for an actor: the daemon's loop goes on, a person is
told once, and when the fault is over nothing is missing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from frazil.actors.causal_prior import AdviceAndShares, CausalPriorActor
from frazil.actors.evaluator import TimedVerdict
from frazil.actors.reconstruction_records import Added, FinishedRound, Resumed
from frazil.actors.sandbox_rerun import Rerun
from frazil.config.settings import EvaluationSettings, RestorationSettings, Settings
from frazil.daemon.analysis.coordinator import AnalysisCoordinator
from frazil.daemon.session.epochs import EPOCH_MOVIES, MadeWith
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store.writes import causal_writes, session_writes
from frazil.models.causal.advice.record import Advice
from frazil.models.causal.attribution import attribute
from frazil.models.causal.prior import physics_prior
from frazil.models.deconvolution.lessons import LearningReport
from frazil.models.evaluation.verdict import Verdict
from frazil.models.records import MovieEvidence

MOVIES = 5 * EPOCH_MOVIES
"""Five versions of the prior, five rounds of verdicts, one round of the restoration, two of the map."""
QUIET_S = 120.0
_STEP_S = 1.0
SETTINGS = Settings(restoration=RestorationSettings(learn=True), evaluation=EvaluationSettings(sandbox_every_rounds=2))
EVIDENCE = MovieEvidence(
    *((0.0, 0.3), (0.0, 0.1), (0.1, 0.1), 0.2, 2, 5.0, 0.0, 3.5, 0.83, 300.0, 2.7, 15_000.0, None),
    log_ssnr=tuple(2 - 0.15 * band if band < 12 else None for band in range(24)),
    log_ssnr_sd=0.25,
    fit_resolution_angstrom=4.0,
)
ADVICE = Advice("motion", "settle+5s", "session", 0.2, 0.1, 0.3, 4.0, (3.8, 3.7, 3.9), None, None, 0.1, None, "wait")
WRITES: dict[str, tuple[Any, str]] = {
    "version": (causal_writes, "record_version"),
    "advice": (causal_writes, "replace_advice"),
    "losses": (causal_writes, "replace_losses"),
    "restoration": (session_writes, "record_learning"),
    "map": (session_writes, "record_reconstruction"),
    "verdicts": (session_writes, "record_scores"),
    "rerun": (session_writes, "record_score"),
}
"""By what is lost if the write is lost."""
METHODS = {
    "learn": "nothing was learnt from movies 1 to 5",
    "advise": "there is no new advice",
    "attribute": "losses of",
    "teach": "nothing was learnt in round 1",
    "score": "could not be judged",
    "rerun": "could not be run again",
    "add": "is not in the map",
}
"""By the actor's method, what a person is told when it gives garbage."""


class Session:
    """An analysis with all of its parts, stepped as the daemon's loop steps it, by its own clock."""

    def __init__(self, runtime, ray, store, context) -> None:
        self.store, self.ray, self.now_s = store, ray, 0.0
        self.utc_us = lambda: 1_790_000_000_000_000 + int(self.now_s * 1e6)
        self.book = MovieRegistry.restore(store, parameter_hash="h", code_version="1")
        self.context = context(
            settings=SETTINGS,
            notices=Notices(store, utc_us=self.utc_us, quiet_s=QUIET_S),
            clock=lambda: self.now_s,
            utc_us=self.utc_us,
        )
        self.analysis = AnalysisCoordinator(runtime, self.context, self.book, taught_with=MadeWith("h", "1"))

    def run_for(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now_s += _STEP_S
            self.analysis.step(quiet=True)

    def finish(self) -> None:
        for _ in range(2000):
            self.now_s += _STEP_S
            self.analysis.step(quiet=True)
            if self.analysis.drained(final=True):
                self.store.flush()
                return
        raise AssertionError("the session never ends")

    def count(self, table: str, where: str = "true") -> int:
        return int(self.store.rows(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])

    def alerts(self, where: str = "true") -> list[dict[str, Any]]:
        self.store.flush()
        return self.store.sql(f"SELECT * FROM alerts WHERE {where}").as_dicts()

    def is_whole(self) -> None:
        """Everything that an undisturbed session has is there."""
        newest = MOVIES // EPOCH_MOVIES
        versions = [row[0] for row in self.store.rows("SELECT version FROM priors ORDER BY version")]
        assert versions == list(range(newest + 1)), "no version is skipped"
        assert self.count("priors", f"version = {newest} AND movie_count = {MOVIES}") == 1
        assert self.count("interventions", f"who = 'frazil' AND prior_version = {newest}") == 1
        assert self.count("named_causes", f"prior_version = {newest}") == MOVIES
        assert self.count("restoration_rounds", "accepted") == 1
        assert self.count("scores", "evaluator = 'value'") == newest
        assert self.count("scores", "evaluator = 'sandbox' AND verdict IS NOT NULL") == newest
        assert self.store.rows("SELECT movie_count FROM reconstructions ORDER BY round") == [(10,), (20,), (25,)]


@pytest.fixture
def answers(ray):
    """Actors that know nothing, but the causal prior's attribution, which is the real one."""
    added: list[str] = []

    def add(movie, *_):
        added.append(movie.movie_id)
        return Added(len(added), 0, ())

    ray.answers |= {
        "learn": lambda prior, results, forgetting, announced, first, heard: replace(
            prior, version=prior.version + 1, movie_count=prior.movie_count + len(results)
        ),
        "advise": lambda *_: AdviceAndShares((ADVICE,), ()),
        "attribute": CausalPriorActor().attribute,
        "teach": lambda *_: LearningReport(0.02, 0.004, True),
        "score": lambda facts: (TimedVerdict(Verdict("value", 0.5), 1.0),),
        "rerun": lambda job: Rerun(Verdict("sandbox", 0.5, evidence={"movie_id": job.result.movie_id}), 9.0, {}),
        "resume": lambda *_: Resumed((), 0, 0, ""),
        "add": add,
        "finish_round": lambda *_: FinishedRound(-(-len(added) // 10), None, len(added), 0, "C1"),
    }
    return ray.answers


@pytest.fixture
def begin(runtime, ray, store, context, put, answers, monkeypatch):
    """A session whose movies are all done and of which nothing is known yet."""
    acquisition = SimpleNamespace(amplitude_contrast=0.1, phase_plate=False)
    monkeypatch.setattr("frazil.daemon.analysis.evaluation.reruns.resolve", lambda _, settings: acquisition)
    for sequence in range(MOVIES):
        put(sequence, evidence=EVIDENCE, losses=attribute(EVIDENCE, physics_prior()).losses)
    return lambda: Session(runtime, ray, store, context)


def broken(monkeypatch, place: str, error: Exception) -> list[int]:
    """Let a write fail while the list's number is above zero, which falls by one with each failure."""
    module, name = WRITES[place]
    right, failures = getattr(module, name), [1 << 30]

    def write(connection, *args, **kwargs):
        if failures[0] > 0:
            failures[0] -= 1
            raise error
        return right(connection, *args, **kwargs)

    monkeypatch.setattr(module, name, write)
    return failures


BUSY = duckdb.IOException("No space left on device")
FAILING = duckdb.ConstraintException("NOT NULL constraint failed")


def test_an_undisturbed_session_is_whole_and_silent(begin):
    session = begin()
    session.finish()
    session.is_whole()
    assert session.alerts() == []


@pytest.mark.parametrize("place", WRITES)
def test_a_store_that_is_busy_for_a_while_loses_nothing(begin, monkeypatch, place):
    session = begin()
    failures = broken(monkeypatch, place, BUSY)
    session.run_for(120.0)
    (alert,) = session.alerts("starts_with(alert_id, 'analysis-')")
    assert alert["severity"] == "warning"
    assert "free disk space" in str(alert["remedy"])
    tried = (1 << 30) - failures[0]
    assert tried <= 30, "twelve tries in two minutes, each together with other writes and alone"
    failures[0] = 0
    session.finish()
    session.is_whole()
    (alert,) = session.alerts("starts_with(alert_id, 'analysis-')")
    assert alert["cleared_utc_us"] is not None


@pytest.mark.parametrize("place", sorted(set(WRITES) - {"map"}))
def test_a_store_that_fails_twice_for_another_reason_loses_nothing(begin, monkeypatch, place):
    session = begin()
    broken(monkeypatch, place, FAILING)[0] = 2
    session.finish()
    session.is_whole()
    (alert,) = session.alerts("starts_with(alert_id, 'analysis-')")
    assert (alert["severity"], alert["cleared_utc_us"] is not None) == ("error", True)


def test_a_round_of_the_map_that_the_store_does_not_take_is_told_and_the_next_one_is_there(begin, monkeypatch):
    session = begin()
    broken(monkeypatch, "map", FAILING)[0] = 2
    session.finish()
    told = [str(alert["text"]) for alert in session.alerts("severity = 'warning'")]
    assert "the map's round after 10 movies is not in the store" in told[0] + told[-1]
    rounds = [row[0] for row in session.store.rows("SELECT movie_count FROM reconstructions ORDER BY round")]
    assert rounds[-1] == MOVIES
    assert len(rounds) + len(told) == 3, "each round is there, or is told of"


@pytest.mark.parametrize("place", ["version", "verdicts", "rerun"])
def test_what_a_person_has_seen_and_what_simply_goes_on_is_no_news(begin, store, monkeypatch, place):
    session = begin()
    broken(monkeypatch, place, BUSY)
    session.run_for(30.0)
    (alert,) = session.alerts("starts_with(alert_id, 'analysis-')")
    store.submit(session_writes.acknowledge_alert, str(alert["alert_id"]), who="anna", utc_us=session.utc_us()).result()
    session.run_for(1.5 * QUIET_S)
    (alert,) = session.alerts("starts_with(alert_id, 'analysis-')")
    assert alert["acknowledged_by"] == "anna", "it has been said all the time"


@pytest.mark.parametrize("place", ["advice", "losses"])
def test_what_can_never_be_written_and_nobody_waits_for_does_not_hold_up_the_prior(begin, monkeypatch, place):
    session = begin()
    broken(monkeypatch, place, FAILING)
    session.finish()
    assert session.count("priors") == 1 + MOVIES // EPOCH_MOVIES
    assert session.count("interventions" if place == "advice" else "named_causes", "prior_version = 5") == 0


def test_a_session_ends_without_verdicts_that_can_never_be_written(begin, monkeypatch):
    session = begin()
    broken(monkeypatch, "verdicts", FAILING)
    session.finish()
    assert session.count("scores") == 0
    (alert,) = session.alerts("starts_with(alert_id, 'analysis-')")
    assert alert["cleared_utc_us"] is None


@pytest.mark.parametrize("statement", ["FROM interventions i", "restoration_rounds", "FROM scores", "FROM movies"])
def test_reads_that_the_disk_refuses_lose_nothing(begin, store, monkeypatch, statement):
    session = begin()
    failing = [True]
    rows = store.rows

    def refused(text, *values):
        if failing[0] and statement in text:
            store.read(lambda _: (_ for _ in ()).throw(duckdb.IOException("Input/output error")))
        return rows(text, *values)

    monkeypatch.setattr(type(store), "rows", lambda self, text, *values: refused(text, *values))
    session.run_for(60.0)
    failing[0] = False
    session.finish()
    session.is_whole()


@pytest.mark.parametrize("method", METHODS)
def test_an_actor_whose_process_ends_once_loses_nothing(begin, ray, answers, method):
    right, ends = answers[method], [1]

    def answer(*arguments):
        if ends[0]:
            ends[0] -= 1
            raise ray.exceptions.RayActorError("killed")
        return right(*arguments)

    answers[method] = answer
    session = begin()
    session.finish()
    session.is_whole()
    assert session.alerts() == []


@pytest.mark.parametrize("method", METHODS)
def test_an_actor_that_is_dead_for_good_stops_nothing(begin, ray, answers, method):
    def die(*_):
        raise ray.exceptions.RayActorError("killed")

    answers[method] = die
    session = begin()
    session.finish()
    assert session.count("priors") == 1 + MOVIES // EPOCH_MOVIES
    told = [str(alert["text"]) for alert in session.alerts()]
    assert told
    assert len(told) == len(set(told))
    assert all("waits" not in text for text in told), "an actor's death is nobody's error"


@pytest.mark.parametrize("garbage", [None, "garbage", (1, 2), {"version": 1}])
@pytest.mark.parametrize("method", METHODS)
def test_garbage_is_no_answer(begin, answers, method, garbage):
    answers[method] = lambda *_: garbage
    session = begin()
    session.finish()
    versions = [row[0] for row in session.store.rows("SELECT version FROM priors ORDER BY version")]
    assert versions == list(range(1 + MOVIES // EPOCH_MOVIES))
    told = [str(alert["text"]) for alert in session.alerts()]
    assert any(METHODS[method] in text and "unknown form" in text for text in told), told
    assert len(told) == len(set(told))


def test_the_first_version_is_written_when_the_disk_takes_it(begin, monkeypatch, store):
    """The analysis of a session begins although the store is busy."""
    monkeypatch.setattr("frazil.daemon.store.writer._RETRY_PAUSE_S", 0.01)
    failures = broken(monkeypatch, "version", BUSY)
    session = begin()
    session.run_for(30.0)
    assert session.count("priors") == 0
    failures[0] = 0
    session.finish()
    session.is_whole()
