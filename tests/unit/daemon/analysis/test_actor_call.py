"""An actor is supervised in one place: what it answers is taken in once, whatever its process and the store do."""

from __future__ import annotations

import pytest

from frazil.config.errors import RetryLaterError
from frazil.daemon.analysis.actor_call import (
    ONCE,
    ActorCall,
    Answer,
    BadAnswerError,
    ProcessEndedError,
    Retry,
    is_a,
    tuple_of,
)


class Asker:
    """Takes answers in; raises what is put into `errors` first."""

    def __init__(self):
        self.answers: list[Answer] = []
        self.errors: list[Exception] = []

    def __call__(self, answer):
        if self.errors:
            raise self.errors.pop(0)
        self.answers.append(answer)


@pytest.fixture
def asker():
    return Asker()


def call(ray, **options):
    return ActorCall(ray, object, "the actor", **options)


def dies(ray):
    def die(*_):
        raise ray.exceptions.RayActorError("killed")

    return die


def test_an_answer_is_handed_over_once(ray, asker):
    ray.answers["count"] = lambda number: number + 1
    actor = call(ray)
    actor.ask(asker, "count", 4, accepts=is_a(int))
    assert actor.busy
    assert not actor.step()
    assert not actor.busy
    assert not actor.step()
    assert asker.answers == [Answer(5)]


def test_a_process_that_nobody_asks_is_ended_and_the_next_question_starts_another(ray, asker):
    now_s = 0.0
    ray.answers["count"] = lambda number: number + 1
    actor = call(ray, rest_s=60.0, clock=lambda: now_s)
    for number in range(3):
        actor.ask(asker, "count", number, accepts=is_a(int))
        now_s += 100.0  # over which it works: no rest
        actor.step()
        now_s += 59.0
        actor.step()
        assert (ray.started, ray.ended) == (number + 1, number)
        now_s += 2.0
        for _ in range(3):
            actor.step()
        assert (ray.started, ray.ended) == (number + 1, number + 1)
    assert asker.answers == [Answer(1), Answer(2), Answer(3)]
    kept = call(ray, rest_s=None, clock=lambda: now_s)
    kept.ask(asker, "count", 1, accepts=is_a(int))
    kept.step()
    now_s += 1e9
    kept.step()
    assert ray.ended == 3, "what it keeps between calls would be lost"


def test_nothing_waits_for_an_answer(ray, asker):
    ray.wait = lambda calls, timeout: ([], calls)
    actor = call(ray)
    actor.ask(asker, "count", accepts=is_a(int))
    assert actor.step()
    assert asker.answers == []


def test_an_answer_that_could_not_be_taken_in_is_handed_over_again(ray, asker):
    ray.answers["count"] = lambda: 7
    asker.errors = [RetryLaterError("the disk is full")] * 20 + [ValueError("no")] * 20
    actor = call(ray)
    actor.ask(asker, "count", accepts=is_a(int))
    for error in list(asker.errors):
        with pytest.raises(type(error)):
            actor.step()
        assert actor.busy
    actor.step()
    assert asker.answers == [Answer(7)]
    assert len(ray.calls) == 1, "nothing is computed twice"


def test_an_optional_answer_stands_in_nobodys_way(ray, asker):
    ray.answers["count"] = lambda: 7
    wrong = ValueError("NaN in a column that takes none")
    asker.errors = [RetryLaterError("the disk is full")] * 20 + [wrong] * 3
    actor = call(ray, retry=Retry(most_refusals=3))
    actor.ask(asker, "count", accepts=is_a(int), optional=True)
    for _ in range(23):
        with pytest.raises((RetryLaterError, ValueError)):
            actor.step()
    actor.step()
    assert asker.answers == [Answer(error=wrong)]


@pytest.mark.parametrize("most_ends", [1, 3])
def test_a_process_that_ends_is_asked_again_as_often_as_the_policy_says(ray, asker, most_ends):
    ray.answers["count"] = dies(ray)
    actor = call(ray, retry=Retry(most_ends=most_ends))
    actor.ask(asker, "count", accepts=is_a(int))
    while actor.busy:
        actor.step()
    (answer,) = asker.answers
    assert isinstance(answer.error, ProcessEndedError)
    assert (str(answer.error), answer.error.ends) == ("killed", most_ends)
    assert len(ray.calls) == most_ends
    assert ray.started == most_ends
    ray.answers["count"] = lambda: 7
    actor.ask(asker, "count", accepts=is_a(int))
    assert not actor.step()
    assert (asker.answers[-1], ray.started) == (Answer(7), most_ends + 1), "the next question has a process"


def test_the_first_question_starts_the_process_and_a_restart_ends_it(ray, asker):
    ray.answers["count"] = lambda: 7
    actor = call(ray)
    actor.restart()
    assert ray.started == 0
    for started in (1, 2):
        actor.ask(asker, "count", accepts=is_a(int))
        assert ray.started == started
        actor.restart()


def test_a_process_that_ends_once_answers_the_second_time(ray, asker):
    answers = iter([dies(ray), lambda: 7])
    ray.answers["count"] = lambda: next(answers)()
    actor = call(ray)
    actor.ask(asker, "count", accepts=is_a(int))
    assert actor.step()
    assert not actor.step()
    assert asker.answers == [Answer(7)]


def test_the_type_of_an_error_survives(ray, asker):
    def fail():
        raise ray.exceptions.RayTaskError(OSError(28, "No space left on device"))

    ray.answers["count"] = fail
    actor = call(ray)
    actor.ask(asker, "count", accepts=is_a(int))
    actor.step()
    assert isinstance(asker.answers[0].error, OSError)


@pytest.mark.parametrize("garbage", [None, "7", {"count": 7}])
def test_garbage_is_an_error(ray, asker, garbage):
    ray.answers["count"] = lambda: garbage
    actor = call(ray)
    actor.ask(asker, "count", accepts=is_a(int))
    actor.step()
    assert isinstance(asker.answers[0].error, BadAnswerError)


def test_tuples_are_looked_through():
    accepts = tuple_of(int, 2)
    assert accepts((1, 2))
    assert not any(accepts(value) for value in ((1,), (1, "2"), (1, 2, 3), 12, None))
    assert tuple_of(int)(())


def test_after_a_restart_the_next_question_can_be_asked_while_an_answer_is_taken_in(ray, asker):
    ray.answers |= {"add": dies(ray), "resume": lambda: 3}
    actor = call(ray, retry=ONCE)

    def resume(answer):
        actor.restart()
        actor.ask(asker, "resume", accepts=is_a(int))

    actor.ask(resume, "add", accepts=is_a(int))
    actor.step()
    assert actor.busy
    assert ray.started == 2, "the process that has just been started is asked"
    actor.step()
    assert asker.answers == [Answer(3)]
