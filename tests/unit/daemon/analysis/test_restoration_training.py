"""Which weights restore which movie depends on movies and their order alone, and no trouble stops the daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from frazil.actors.movie_output import lessons_path, network_path
from frazil.actors.restoration_teacher import RestorationTeacher
from frazil.daemon.analysis.restoration_training import (
    TRAINING_ROUND_MOVIES,
    RestorationTraining,
    is_check,
    makes_lessons,
)
from frazil.daemon.session.epochs import MadeWith
from frazil.models.deconvolution.lessons import LearningReport

BETTER, NO_BETTER = LearningReport(0.02, 0.004, True), LearningReport(0.001, 0.004, False)
FIRST_TAUGHT = 2 * TRAINING_ROUND_MOVIES
"""The first movie that version 1 can restore."""


@pytest.fixture
def open_desk(runtime, context):
    def make(parameter_hash="h", enabled=True):
        return RestorationTraining(runtime, context(made_with=MadeWith(parameter_hash, "1")), enabled=enabled)

    return make


@pytest.fixture
def taught(put, ray, tmp_path):
    """A session of three rounds; the actor writes weights and says they are better."""
    for sequence in filter(makes_lessons, range(3 * TRAINING_ROUND_MOVIES)):
        put(sequence)

    def teach(session, before, version, lessons, checks):
        path = Path(session) / network_path(version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
        return BETTER

    ray.answers["teach"] = teach


def run(desk, ended_movies):
    for _ in range(20):
        desk.step(ended_movies)
    assert not desk.step(ended_movies)


def test_a_round_is_learnt_when_its_movies_have_ended(open_desk, taught, ray, store):
    desk = open_desk()
    run(desk, TRAINING_ROUND_MOVIES - 5)
    assert (desk.rounds, desk.eligible_below) == (0, FIRST_TAUGHT)
    run(desk, TRAINING_ROUND_MOVIES)
    assert (desk.rounds, desk.eligible_below) == (1, FIRST_TAUGHT + TRAINING_ROUND_MOVIES)
    assert [desk.version_for(n) for n in (0, FIRST_TAUGHT - 1, FIRST_TAUGHT)] == [0, 0, 1]
    _, (_, before, version, lessons, checks) = ray.calls[0]
    assert (before, version) == (0, 1)
    assert len(lessons) == sum(makes_lessons(n) and not is_check(n) for n in range(TRAINING_ROUND_MOVIES))
    assert len(checks) == sum(makes_lessons(n) and is_check(n) for n in range(TRAINING_ROUND_MOVIES))
    assert not set(lessons) & set(checks)
    row = store.named("restoration_rounds").as_dicts()[0]
    assert (row["round"], row["network_version"], row["accepted"], row["improvement"]) == (1, 1, True, 0.02)


def test_weights_that_are_no_better_are_not_taken(open_desk, taught, ray):
    desk = open_desk()
    run(desk, TRAINING_ROUND_MOVIES)
    ray.answers["teach"] = lambda *_: NO_BETTER
    run(desk, 2 * TRAINING_ROUND_MOVIES)
    assert desk.rounds == 2
    assert desk.version_for(3 * TRAINING_ROUND_MOVIES) == 1, "those of the round before stay"


def test_a_restart_goes_on_where_it_was(open_desk, taught, tmp_path, ray):
    run(open_desk(), 2 * TRAINING_ROUND_MOVIES)
    again = open_desk()
    assert (again.rounds, again.version_for(3 * TRAINING_ROUND_MOVIES)) == (2, 2)
    (tmp_path / network_path(2)).unlink()
    assert open_desk().rounds == 1, "weights that are gone are made again"
    assert open_desk("other settings").rounds == 0


def test_trouble_teaches_nothing_and_is_told(open_desk, taught, ray, store):
    def fails(*_):
        raise ray.exceptions.RayActorError("killed")

    ray.answers["teach"] = fails
    desk = open_desk()
    run(desk, TRAINING_ROUND_MOVIES)
    assert (desk.rounds, desk.version_for(FIRST_TAUGHT)) == (1, 0), "movies that wait for the round can start"
    store.flush()
    assert [alert["subject"] for alert in store.named("alerts").as_dicts()] == ["restoration"]


def test_lessons_that_nobody_will_look_at_are_deleted(open_desk, put, ray, tmp_path):
    ray.answers["teach"] = lambda *_: NO_BETTER
    folder = (tmp_path / lessons_path("0")).parent
    folder.mkdir(parents=True)
    for sequence in filter(makes_lessons, range(5 * TRAINING_ROUND_MOVIES)):
        put(sequence)
        (tmp_path / lessons_path(str(sequence))).touch()
    run(open_desk(), 5 * TRAINING_ROUND_MOVIES)
    left = {int(path.stem) for path in folder.iterdir()}
    # The sixth round will look at movies 50 to 149.
    assert left == {sequence for sequence in range(50, 5 * TRAINING_ROUND_MOVIES) if makes_lessons(sequence)}


def test_switched_off_nobody_waits_and_nothing_is_learnt(open_desk, taught, ray):
    desk = open_desk(enabled=False)
    run(desk, 3 * TRAINING_ROUND_MOVIES)
    assert desk.eligible_below is None
    assert desk.version_for(10 * TRAINING_ROUND_MOVIES) == 0
    assert not desk.makes_lessons(0)
    assert ray.calls == []


def test_the_teacher_skips_what_is_missing_or_damaged(tmp_path):
    path = tmp_path / lessons_path("b")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no lessons")
    report = RestorationTeacher().teach(str(tmp_path), 0, 1, ["a", "b"], ["c"])
    assert not report.accepted
    assert not (tmp_path / network_path(1)).exists()
