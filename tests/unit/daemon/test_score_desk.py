"""A round that cannot be judged is told, and the next one is judged."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from frazil.config.settings import Settings
from frazil.daemon.prior_epochs import EPOCH_MOVIES
from frazil.daemon.score_desk import ScoreDesk


@pytest.fixture
def desk(runtime, store, put, tmp_path):
    for sequence in range(2 * EPOCH_MOVIES):
        put(sequence)
    book = SimpleNamespace(open_sequences=[], ended_sequences=list(range(2 * EPOCH_MOVIES)))
    return ScoreDesk(
        runtime, store, tmp_path, Settings(), book, utc_us=lambda: 1, map_idle=lambda: True
    )  # fmt: skip


def finish(desk):
    for _ in range(20):
        desk.step()


def rounds(ray):
    return [arguments[0].round for _, arguments in ray.calls]


@pytest.mark.parametrize("kind", ["RayTaskError", "RayError"])
def test_an_error_in_judging_is_that_rounds_alone(desk, ray, alerts, kind):
    def judge(facts):
        if facts.round == 0:
            raise getattr(ray.exceptions, kind)(ValueError("no variance"))
        return ()

    ray.answers["score"] = judge
    finish(desk)
    assert rounds(ray) == [0, 1]
    assert alerts() == ["round 0 could not be judged: no variance"]


def test_a_process_that_dies_is_asked_about_the_same_round_and_given_up_in_the_end(desk, ray, alerts):
    def die(_):
        raise ray.exceptions.RayActorError("killed")

    ray.answers["score"] = die
    finish(desk)
    assert rounds(ray) == [0, 0, 0]
    assert desk.drained(final=True)
    assert "there are no more verdicts" in alerts()[0]
