"""Server-sent events: what is new, once; a beat in between; an end when there is nothing to tell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from frazil.config.errors import DaemonGoneError
from frazil.daemon.http.event_stream import events
from frazil.daemon.transport.messages import LiveState


async def heard(states: Sequence[LiveState], *, step_s: float = 1.0) -> list[str]:
    """All events of a session with these states, one a look, whose daemon then ends; looks are `step_s` apart."""
    left = list(states)
    now_s = 0.0

    def look() -> LiveState:
        nonlocal now_s
        now_s += step_s
        if not left:
            raise DaemonGoneError("gone")
        return left.pop(0)

    with ThreadPoolExecutor(1) as threads:
        return [part.decode() async for part in events(look, threads, every_s=0.0, clock=lambda: now_s)]


def state(ready: int, sequence: int = 1) -> LiveState:
    return LiveState(sequence=sequence, daemon_started_utc_us=7, utc_us=10**15, counts={"ready": ready})


async def test_each_new_state_is_one_whole_event() -> None:
    first, *told = await heard([state(1, 1), state(2, 2)])
    assert first == "retry: 3000\n\n"
    assert [event.split("\n")[:2] for event in told] == [["event: state", "id: 7-1"], ["event: state", "id: 7-2"]]
    words = json.loads(told[1].split("data: ", 1)[1])["words"]
    assert words["kept_of"] == "2 of 2 finished: within the thresholds"
    assert all(event.endswith("\n\n") and event.count("\n") == 4 for event in told)


async def test_what_is_not_new_is_not_sent_again() -> None:
    assert len(await heard([state(1)] * 5, step_s=0.1)) == 2


async def test_a_quiet_session_still_beats() -> None:
    told = await heard([state(1)] * 25)
    assert [event.split("\n")[0] for event in told[1:]] == ["event: state", "event: beat", "event: beat"]
