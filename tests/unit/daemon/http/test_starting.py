"""HTTP is started until it is up, and people are told in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from frazil.daemon.http.starting import PATIENCE_S, NotUpError, keep_starting


class World:
    """A clock that pauses move, and attempts with known ends: an error, up (True), or not wanted any more (False)."""

    def __init__(self, ends: Sequence[bool | Exception], *, attempt_s: float = 0.0, closed_after: int = 10**9) -> None:
        self.ends, self.attempt_s, self.closed_after = list(ends), attempt_s, closed_after
        self.now_s = 0.0
        self.pauses: list[float] = []
        self.told: list[str | None] = []

    def attempt(self) -> bool:
        self.now_s += self.attempt_s
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.now_s += seconds
        return len(self.pauses) >= self.closed_after

    def run(self) -> bool:
        return keep_starting(self.attempt, pause=self.pause, tell=self.told.append, clock=lambda: self.now_s)


def failing(count: int, make: Callable[[], Exception] = lambda: NotUpError("the machine is busy")) -> list[Exception]:
    return [make() for _ in range(count)]


def test_it_is_attempted_until_it_is_up_with_longer_pauses() -> None:
    world = World([*failing(8), True])
    assert world.run()
    assert world.pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(world.pauses) == 60.0


def test_nobody_is_told_of_what_comes_up_soon() -> None:
    world = World([*failing(3), True])
    assert world.run()
    assert world.told == []


def test_people_are_told_once_in_a_sentence_and_when_it_is_over() -> None:
    trace = RuntimeError("\x1b[36mray::ServeReplica\x1b[39m ╭─ Traceback\nline 2")
    world = World([*failing(6, lambda: trace), True], attempt_s=PATIENCE_S / 2)
    assert world.run()
    sentence, over = world.told
    assert sentence is not None
    assert "goes on trying" in sentence
    assert sentence.isprintable()
    assert "Traceback" not in sentence
    assert over is None


def test_the_reason_that_is_known_is_told() -> None:
    world = World([*failing(3), True], attempt_s=PATIENCE_S)
    assert world.run()
    assert world.told[0] is not None
    assert world.told[0].endswith("the machine is busy")


@pytest.mark.parametrize("world", [World([False]), World(failing(5), closed_after=2)])
def test_a_session_that_ends_attempts_no_more(world: World) -> None:
    assert not world.run()
    assert len(world.pauses) in (0, 2)
