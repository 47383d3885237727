"""Which rounds are run again, what the others keep, and that nothing waits for it."""

from __future__ import annotations

import json

import pytest

from frazil.actors.sandbox_rerun import Rerun
from frazil.config.errors import SettingsError
from frazil.config.settings import EvaluationSettings, MicroscopeSettings, Settings
from frazil.daemon.analysis.evaluation.reruns import MovieReruns
from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.store.rows import ScoreRow
from frazil.daemon.store.writes import session_writes
from frazil.models.evaluation.verdict import Verdict
from frazil.models.records import AcquisitionMetadata


@pytest.fixture
def known(monkeypatch):
    """The made-up movies know their voltage alone; these know all that a rerun needs."""
    complete = AcquisitionMetadata(voltage_kv=300.0, cs_mm=2.7, amplitude_contrast=0.1, pixel_size_angstrom=1.0)
    from frazil.daemon.analysis.evaluation import reruns

    resolve = reruns.resolve
    monkeypatch.setattr(reruns, "resolve", lambda _, settings: resolve(complete, settings=settings))


@pytest.fixture
def now_s():
    return [0.0]


@pytest.fixture
def make(runtime, context, put, now_s):
    def desk(rounds=4, every=2, movies=None, **settings):
        for sequence in range(rounds * EPOCH_MOVIES if movies is None else movies):
            put(sequence)
        chosen = Settings(
            microscope=MicroscopeSettings(), evaluation=EvaluationSettings(sandbox_every_rounds=every, **settings)
        )
        return MovieReruns(runtime, context(settings=chosen, clock=lambda: now_s[0]))

    return desk


def judge(store, desk, round_number):
    store.submit(session_writes.record_score, ScoreRow(round_number, "logic", 1, "{}", verdict=1.0)).result()
    desk.judged(round_number)


def finish(desk):
    for _ in range(100):
        if not desk.step():
            return
    raise AssertionError("it does not come to an end")


def rows(store):
    return [
        (number, verdict, json.loads(evidence))
        for number, verdict, evidence in store.rows(
            "SELECT round, verdict, evidence_json FROM scores WHERE evaluator = 'sandbox' ORDER BY round"
        )
    ]


def answers(ray):
    jobs = []

    def rerun(job):
        jobs.append(job)
        return Rerun(
            Verdict("sandbox", 0.5 + 0.1 * len(jobs), evidence={"movie_id": job.result.movie_id}), 9.0, {"cpu": 8.0}
        )

    ray.answers["rerun"] = rerun
    return jobs


def test_a_movie_in_every_so_many_rounds_is_run_again_and_the_others_keep_its_verdict(make, ray, store, known):
    desk = make()
    jobs = answers(ray)
    for number in range(4):
        judge(store, desk, number)
    finish(desk)
    assert [job.result.movie_id for job in jobs] == ["m000", "m010"]
    assert len(jobs[0].movies) == EPOCH_MOVIES
    assert [(number, verdict) for number, verdict, _ in rows(store)] == [(0, 0.6), (1, 0.6), (2, 0.7), (3, 0.7)]
    assert [evidence["rerun_round"] for *_, evidence in rows(store)] == [0, 0, 2, 2]
    assert rows(store)[0][2]["seconds"] == {"cpu": 8.0}


def test_a_restart_does_what_is_missing_and_nothing_twice(make, ray, store, known):
    desk = make()
    jobs = answers(ray)
    judge(store, desk, 0)
    finish(desk)
    for number in (1, 2):
        store.submit(session_writes.record_score, ScoreRow(number, "logic", 1, "{}", verdict=1.0)).result()
    again = make()
    finish(again)
    assert [job.result.movie_id for job in jobs] == ["m000", "m010"]
    assert [number for number, *_ in rows(store)] == [0, 1, 2]
    again.judged(2)
    finish(again)
    assert len(jobs) == 2


def test_a_round_without_a_movie_to_start_from_is_told_and_the_next_is_tried(make, ray, store, monkeypatch):
    desk = make()
    jobs = answers(ray)
    for number in range(2):
        judge(store, desk, number)
    finish(desk)
    assert jobs == []
    assert [verdict for _, verdict, _ in rows(store)] == [None, None]
    assert "no movie of this round has a defocus" in rows(store)[0][2]["does_not_know"][0]


def test_trouble_is_an_alert_and_a_process_that_keeps_ending_is_given_up(make, ray, store, alerts, known):
    desk = make()

    def die(_):
        raise ray.exceptions.RayActorError("killed")

    ray.answers["rerun"] = die
    for number in range(3):
        judge(store, desk, number)
    finish(desk)
    assert len(ray.calls) == 3
    assert alerts() == ["round 0 could not be run again: killed"]
    assert [verdict for _, verdict, _ in rows(store)] == [None]


def test_switched_off_it_does_nothing(make, ray, store, known):
    desk = make(sandbox=False)
    judge(store, desk, 0)
    assert not desk.step()
    assert ray.started == 0


def test_a_formula_that_is_none_is_told_at_the_start(make):
    with pytest.raises(SettingsError, match=r"evaluation\.formulas\.tilt names tilt_deg"):
        make(formulas={"tilt": "tilt_deg * 2"})


def test_a_session_ends_without_a_rerun_that_never_does(make, ray, store, known, now_s):
    desk = make()
    ray.wait = lambda calls, timeout: ([], calls)
    judge(store, desk, 0)
    assert not desk.drained()
    now_s[0] = 299.0
    assert not desk.drained()
    now_s[0] = 301.0
    assert desk.drained()
    assert rows(store) == []


def test_a_round_that_is_judged_again_meanwhile_is_not_run_twice(make, ray, store, known):
    desk = make()
    jobs = answers(ray)
    judge(store, desk, 0)
    desk.step()
    judge(store, desk, 0)
    finish(desk)
    judge(store, desk, 0)
    finish(desk)
    assert len(jobs) == 1
    assert len(rows(store)) == 1
