"""The screen's client: many requests at once, states that may be missed, a daemon that goes and comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frazil.config.errors import DaemonGoneError, NotThereError, QueryError, UsageError
from frazil.daemon.client import AsyncClient, Gone
from frazil.daemon.transport.messages import AnyRequest, Command, Failure, LiveState, Reply, Rows, Snapshot
from frazil.daemon.transport.server import QueryServer

if TYPE_CHECKING:
    from conftest import RecordingService


@pytest.fixture
async def client(runtime: Path, tmp_path: Path) -> AsyncIterator[AsyncClient]:
    client = AsyncClient(tmp_path, timeout_s=10, silence_s=0.2)
    yield client
    client.close()


async def test_many_requests_at_once(client: AsyncClient, tmp_path: Path, service: RecordingService) -> None:
    with QueryServer(tmp_path, service):
        first = await client.open()
        assert first is not None
        assert first.session_name == "from the service"
        answers = await asyncio.gather(*(client.named("q", n=n) for n in range(15)))
        assert [answer.rows[0][1] for answer in answers] == list(range(15))
        with pytest.raises(QueryError):
            await client.named("huge")
        with pytest.raises(NotThereError, match=r"none\.png"):
            await client.picture("none", "thumbnail", 10, 10)
        done = await client.command("note", movie_id="m", text="hello")
        assert done.message == "note 1"


async def test_a_slow_answer_does_not_hold_up_others(
    client: AsyncClient, tmp_path: Path, service: RecordingService
) -> None:
    with QueryServer(tmp_path, service):
        await client.open()
        slow = asyncio.create_task(client.named("wait"))
        assert (await client.named("fast")).rows == (("fast",),)
        assert not slow.done()
        service.may_go_on.set()
        assert (await slow).rows == (("wait",),)


async def test_no_daemon(client: AsyncClient) -> None:
    assert await client.open() is None
    with pytest.raises(DaemonGoneError, match="no daemon is running"):
        await client.named("q")


async def test_a_request_that_is_not_answered_fails_and_leaves_nothing_behind(
    client: AsyncClient, tmp_path: Path, service: RecordingService
) -> None:
    with QueryServer(tmp_path, service):
        await client.open()
        client._timeout_s = 0.1
        with pytest.raises(DaemonGoneError, match=r"did not answer within 0.1 s"):
            await client.named("wait")
        assert client._waiting == {}
        service.may_go_on.set()
        client._timeout_s = 10
        assert (await client.named("next")).rows == (("next",),)


async def test_states_go_and_come_with_the_daemon(
    client: AsyncClient, tmp_path: Path, service: RecordingService
) -> None:
    events = client.watch()
    assert isinstance(await anext(events), Gone), "nobody there yet"

    async def next_state(server: QueryServer, sequence: int) -> LiveState:
        """Publishes until the subscription has arrived and this state with it."""
        while True:
            server.publish(LiveState(sequence=sequence))
            event = await anext(events)
            if isinstance(event, LiveState) and event.sequence == sequence:
                return event

    server = QueryServer(tmp_path, service)
    server.start()
    await next_state(server, 3)
    await next_state(server, 900)  # a gap: harmless
    pending = asyncio.create_task(client.named("wait"))
    await asyncio.to_thread(service.waiting.acquire)
    service.may_go_on.set()
    server.close()
    await pending
    gone = await anext(events)
    while not isinstance(gone, Gone):
        gone = await anext(events)
    assert gone.silent_s > 0
    assert not client.connected
    with QueryServer(tmp_path, service) as again:
        await next_state(again, 1)  # the new daemon counts anew
        assert client.connected
        assert (await client.named("q")).rows == (("q",),)


async def test_a_silent_daemon_is_asked_before_it_is_called_gone(
    client: AsyncClient, tmp_path: Path, service: RecordingService
) -> None:
    with QueryServer(tmp_path, service):  # publishes nothing
        await client.open()
        events = client.watch()
        for _ in range(2):
            event = await anext(events)
            assert isinstance(event, LiveState)
            assert event.session_name == "from the service"


class FileOfSession:
    """A session at rest, as `FinishedSession` answers."""

    def __init__(self) -> None:
        self.rests, self.closed, self.written = 0, False, False

    def answer(self, request: AnyRequest) -> Reply:
        if isinstance(request, Snapshot):
            return LiveState(status="finished", ended_utc_us=7)
        if isinstance(request, Command):
            return Failure("usage", "only a running daemon can do this")
        return Rows(("from",), (("the file",),))

    def changed(self) -> bool:
        before, self.written = self.written, False
        return before

    def rest(self) -> None:
        self.rests += 1

    def close(self) -> None:
        self.closed = True


async def closed(file: FileOfSession) -> None:
    """It is closed beside the event loop."""
    while not file.closed:
        await asyncio.sleep(0.01)


async def test_without_a_daemon_the_file_answers_and_with_one_it_is_left(
    runtime: Path, tmp_path: Path, service: RecordingService
) -> None:
    opened: list[FileOfSession] = []

    def open_file(_: Path) -> FileOfSession:
        opened.append(FileOfSession())
        return opened[-1]

    client = AsyncClient(tmp_path, timeout_s=10, silence_s=0.05, open_file=open_file)
    events = client.watch()
    state = await anext(events)
    assert isinstance(state, LiveState)
    assert state.ended_utc_us == 7
    assert not client.connected
    assert (await client.named("q")).rows == (("the file",),)
    with pytest.raises(UsageError, match="only a running daemon"):
        await client.command("pause")
    with pytest.raises(DaemonGoneError):
        await client.ping()
    opened[0].written = True
    assert isinstance(await anext(events), LiveState), "again, because somebody has written to it"
    opened[0].written = True
    assert isinstance(await anext(events), LiveState)
    assert opened[0].rests > 0, "it is let go of between questions"
    with QueryServer(tmp_path, service) as server:
        while not client.connected:
            server.publish(LiveState(sequence=5))
            await anext(events)
        await closed(opened[0])
        while not isinstance(live := await anext(events), LiveState) or live.ended_utc_us is not None:
            server.publish(LiveState(sequence=6))
    while not isinstance(ended := await anext(events), LiveState) or ended.ended_utc_us is None:
        pass
    assert len(opened) == 2, "the daemon has ended: its file is read again"
    client.close()
    await closed(opened[1])


async def test_why_a_file_is_not_read_is_told(runtime: Path, tmp_path: Path) -> None:
    def open_file(_: Path) -> FileOfSession:
        raise UsageError("there is no frazil session here")

    client = AsyncClient(tmp_path, silence_s=0.05, open_file=open_file)
    gone = await anext(client.watch())
    assert isinstance(gone, Gone)
    assert gone.why == "there is no frazil session here"
    client.close()
