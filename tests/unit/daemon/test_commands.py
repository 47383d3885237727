"""What people order of the daemon: each order does what it says, and a refused one says why."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "processing"))

from shell_doubles import Shells

from frazil.config.errors import NotThereError, UsageError
from frazil.daemon.commands import Commands, StandingRequests
from frazil.daemon.session.inbox import Order
from frazil.daemon.transport.messages import Command


class Desk:
    def __init__(self) -> None:
        self.shells, self.requests = Shells(), StandingRequests()
        self.told: list[str] = []
        self.commands = Commands(
            self.requests, self.shells.context, movies=self.shells.movies, results=self.shells.results,
            check_workers=lambda settings: None, classes_spoken_of=lambda: self.told.append("classes"),
        )  # fmt: skip

    def order(self, name: str, **args: Any) -> str:
        order = Order(Command(name=name, args=args, who="anna"), Future())
        self.commands.take(order)
        return str(order.done.result(timeout=0))


def test_pause_resume_and_finish_stand_until_something_else_is_ordered() -> None:
    desk = Desk()
    desk.order("pause")
    assert desk.requests.paused
    desk.order("resume")
    assert not desk.requests.paused
    desk.order("finish")
    assert desk.requests.finishing
    assert desk.requests.end is None


def test_stop_says_who_stopped_it() -> None:
    desk = Desk()
    desk.order("stop")
    assert desk.requests.end is not None
    assert (desk.requests.end.sentence, desk.requests.end.stopped) == ("stopped by anna", True)


def test_a_refused_order_is_answered_with_the_reason() -> None:
    desk = Desk()
    with pytest.raises(NotThereError):
        desk.order("requeue", movie_id="nobody")
    with pytest.raises(UsageError, match="not an order"):
        desk.order("dance")


def test_an_order_that_nobody_waits_for_any_more_is_not_carried_out() -> None:
    desk = Desk()
    order = Order(Command(name="pause", who="anna"), Future())
    assert order.done.cancel()
    desk.commands.take(order)
    assert not desk.requests.paused
