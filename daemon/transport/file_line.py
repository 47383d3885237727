"""Questions to the file of a session that no daemon runs on, in threads beside an event loop: what the screen's client
asks in place of a socket. Knows neither the store nor ZeroMQ."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, Protocol, TypeAlias, TypeVar

from frazil.config.errors import FrazilError
from frazil.daemon.transport.messages import AnyRequest, Failure, LiveState, Reply, Snapshot

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 2
"""A slow question does not hold up a quick one."""


class SessionFile(Protocol):
    """A session read by this process (`frazil.daemon.status.finished`). Thread-safe."""

    def answer(self, request: AnyRequest) -> Reply:
        """As a daemon would answer. Never raises."""

    def changed(self) -> bool:
        """Whether the file has been written to since this was asked last."""

    def rest(self) -> None:
        """Let go of the file until the next question."""

    def close(self) -> None:
        """The end."""


OpenFile: TypeAlias = Callable[[Path], SessionFile]
"""Of a session's folder. Raises `FrazilError` where it cannot be read (now)."""


class FileLine:
    """See the module. Of one event loop.

    Parameters
    ----------
    open_file:
        None: files are not read, and `is_open` stays False.
    """

    def __init__(self, session_dir: Path, open_file: OpenFile | None) -> None:
        self._session_dir, self._open_file = session_dir, open_file
        self._file: SessionFile | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._first_questions = False
        """It has just been opened, and what the screen asks first is on its way."""
        self.why_not = ""
        """Why the file could not be opened when this was tried last."""

    @property
    def is_open(self) -> bool:
        return self._file is not None

    async def news(self) -> LiveState | None:
        """The session's state, once when the file is opened and when it has been written to since; else None. In
        between the file is let go of."""
        if self._file is not None:
            if not self._first_questions:
                await self._in_thread(self._file.rest)
            self._first_questions = False
            if not await self._in_thread(self._file.changed):
                return None
        elif not await self._opened():
            return None
        reply = await self.ask(Snapshot())
        if isinstance(reply, LiveState):
            return reply
        self.why_not = reply.what if isinstance(reply, Failure) else ""
        self.leave()
        return None

    async def _opened(self) -> bool:
        if self._open_file is None:
            return False
        try:
            self._file = await self._in_thread(self._open_file, self._session_dir)
        except FrazilError as error:  # no session, or a daemon that begins or ends has it
            self.why_not = error.what
        self._first_questions = self._file is not None
        return self._first_questions

    async def ask(self, request: AnyRequest) -> Reply:
        """Only while it is open."""
        assert self._file is not None
        return await self._in_thread(self._file.answer, request)

    async def _in_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "frazil-file")
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))

    def leave(self) -> None:
        """What is being asked gets to its end, beside the event loop, and then the file is closed. Harmless when called
        twice."""
        threads, file = self._threads, self._file
        self._threads = self._file = None
        if threads is not None or file is not None:
            threading.Thread(target=_close, args=(threads, file), name="frazil-file-end").start()


def _close(threads: ThreadPoolExecutor | None, file: SessionFile | None) -> None:
    if threads is not None:
        threads.shutdown(cancel_futures=True)
    if file is not None:
        file.close()
