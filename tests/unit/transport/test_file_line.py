"""Questions to a session's file never hold up the event loop, not even when it is left."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from frazil.daemon.transport.file_line import FileLine
from frazil.daemon.transport.messages import AnyRequest, Done, LiveState, Ping, Reply, Snapshot


class SlowFile:
    """Answers a ping when it is let go."""

    def __init__(self) -> None:
        self.asked, self.go_on, self.closed = threading.Event(), threading.Event(), threading.Event()

    def answer(self, request: AnyRequest) -> Reply:
        if isinstance(request, Snapshot):
            return LiveState()
        self.asked.set()
        assert self.go_on.wait(30)
        assert not self.closed.is_set(), "a question that is under way has its file"
        return Done("slow")

    def changed(self) -> bool:
        return False

    def rest(self) -> None: ...

    def close(self) -> None:
        self.closed.set()


async def test_leaving_waits_for_no_question_and_takes_none_its_file(tmp_path: Path) -> None:
    file = SlowFile()
    line = FileLine(tmp_path, lambda folder: file)
    assert isinstance(await line.news(), LiveState)
    question = asyncio.create_task(line.ask(Ping()))
    while not file.asked.is_set():
        await asyncio.sleep(0)
    # Where leaving waits, the question ends while it does.
    fallback = threading.Timer(5.0, file.go_on.set)
    fallback.start()
    line.leave()
    assert not file.go_on.is_set()
    assert not line.is_open
    line.leave()
    assert not file.closed.is_set()
    file.go_on.set()
    fallback.cancel()
    assert await question == Done("slow")
    assert await asyncio.to_thread(file.closed.wait, 30)


async def test_it_can_be_opened_again_at_once(tmp_path: Path) -> None:
    files = [SlowFile(), SlowFile()]
    line = FileLine(tmp_path, lambda folder: files[0] if not files[0].asked.is_set() else files[1])
    await line.news()
    first = asyncio.create_task(line.ask(Ping()))
    while not files[0].asked.is_set():
        await asyncio.sleep(0)
    line.leave()
    assert isinstance(await line.news(), LiveState)
    assert line.is_open
    files[0].go_on.set()
    await first
    assert await asyncio.to_thread(files[0].closed.wait, 30)
    assert not files[1].closed.is_set()
    line.leave()
    assert await asyncio.to_thread(files[1].closed.wait, 30)
