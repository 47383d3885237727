"""Orders of people: each is answered, and one that was given up is not carried out."""

from __future__ import annotations

import threading

import pytest

from frazil.config.errors import RetryLaterError
from frazil.daemon.session import inbox
from frazil.daemon.session.inbox import Inbox
from frazil.daemon.transport.messages import Command


def test_an_order_that_nobody_waits_for_any_more_is_neither_done_nor_in_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbox, "_ORDER_TIMEOUT_S", 0.01)
    box = Inbox()
    with pytest.raises(RetryLaterError, match="nothing was done"):
        box.order(Command("pause", {}, "c1", "ann"))
    box.refuse_orders("the daemon is ending")
    assert box.empty


def test_a_waiting_order_is_refused_at_the_end() -> None:
    box, said = Inbox(), []

    def ask() -> None:
        try:
            box.order(Command("pause", {}, "c1", "ann"))
        except RetryLaterError as error:
            said.append(error.what)

    asking = threading.Thread(target=ask)
    asking.start()
    box.wait(10.0)
    box.refuse_orders("the daemon is ending")
    asking.join(10)
    assert said == ["the daemon is ending"]
