"""Server-sent events for open pages: one look a second at the newest state for all of them, sent when it says something
new; a beat in between, so that a page knows that it is not forgotten."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor

from frazil.config.errors import FrazilError
from frazil.daemon.page.live_words import live_event
from frazil.daemon.transport.messages import LiveState

_log = logging.getLogger(__name__)
MOST_STREAMS = 64
"""Pages that are told of news; more are told to come back later."""
_BEAT_S = 10.0
_RETRY_MS = 3000
"""After so long a browser asks again when a stream was lost."""


async def events(
    look: Callable[[], LiveState],
    threads: Executor,
    *,
    every_s: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[bytes]:
    """A stream for one page: the newest state at once, then again whenever its words have changed, at most once in
    `every_s`. Each event is whole: who was away needs nothing of what was missed.

    It ends when the state is not to be had (the daemon has ended): the page says so, and asks again.
    """
    yield f"retry: {_RETRY_MS}\n\n".encode()
    loop = asyncio.get_running_loop()
    last, told_s = "", clock()
    while True:
        try:
            state = await loop.run_in_executor(threads, look)
        except FrazilError as error:
            _log.info("a page's stream ends: %s", error.what)
            return
        said = live_event(state)
        if said != last:
            last, told_s = said, clock()
            yield _event("state", said, f"{state.daemon_started_utc_us}-{state.sequence}")
        elif clock() - told_s >= _BEAT_S:
            told_s = clock()
            yield _event("beat", json.dumps({}), "")
        await asyncio.sleep(every_s)


def _event(kind: str, data: str, number: str) -> bytes:
    named = f"id: {number}\n" if number else ""
    return f"event: {kind}\n{named}data: {data}\n\n".encode()
