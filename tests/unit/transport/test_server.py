"""Round trips over real ipc sockets, and everything that must not take the server down."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import zmq

from frazil.config.errors import (
    DaemonGoneError,
    EndpointError,
    NotThereError,
    QueryError,
    RemoteError,
    RetryLaterError,
    UsageError,
)
from frazil.daemon.client import Client, connect
from frazil.daemon.transport.endpoints import (
    CurveClientKeys,
    CurveServerKeys,
    Endpoints,
    find_endpoints,
    tcp_endpoints,
)
from frazil.daemon.transport.messages import (
    MAX_REQUEST_BYTES,
    PROTOCOL,
    Command,
    Failure,
    LiveState,
    NamedQuery,
    Ping,
    Pong,
    Reply,
    decode_reply,
    open_envelope,
    open_state,
    pack,
)
from frazil.daemon.transport.server import QueryServer

if TYPE_CHECKING:
    from conftest import RecordingService


@pytest.fixture
def server(runtime: Path, tmp_path: Path, service: RecordingService) -> Iterator[QueryServer]:
    server = QueryServer(tmp_path, service)
    server.start()
    yield server
    service.may_go_on.set()
    server.close()


@pytest.fixture
def client(server: QueryServer, tmp_path: Path) -> Iterator[Client]:
    client = connect(tmp_path)
    assert client is not None
    with client:
        yield client


class Raw:
    """A peer that sends what it likes."""

    def __init__(self, address: str) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(address)

    def receive(self) -> tuple[int, Reply]:
        assert self.socket.poll(10_000)
        envelope = open_envelope(self.socket.recv())
        return envelope.request_id, decode_reply(envelope)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.context.term()


def test_every_request_has_its_answer(client: Client, service: RecordingService, tmp_path: Path) -> None:
    assert client.ping().session_dir == str(tmp_path)
    assert client.ping().pid == os.getpid()
    assert client.named("movies", limit=3, text=None).as_dicts() == [{"name": "movies", "limit": 3, "text": None}]
    picture = client.picture("m", "thumbnail", 5, 9)
    assert (picture.width_px, picture.height_px, picture.gray) == (5, 2, bytes(range(5)) * 2)
    assert client.snapshot().session_name == "from the service"
    assert client.command("reject", movie_id="m", reason="ice").message == "reject 1"
    assert service.commands[0].args == {"movie_id": "m", "reason": "ice"}
    assert service.commands[0].who


def test_errors_come_back_as_their_types(client: Client) -> None:
    with pytest.raises(QueryError, match=r"only reading is allowed. Write a select"):
        client.sql("drop table movies")
    with pytest.raises(NotThereError) as caught:
        client.picture("none", "thumbnail", 5, 9)
    assert (caught.value.what, caught.value.path, caught.value.remedy) == (
        "no thumbnail yet",
        "none.png",
        "wait for the movie",
    )
    with pytest.raises(UsageError, match="no picture can have 0 x 9 px"):
        client.picture("m", "thumbnail", 0, 9)
    with pytest.raises(RemoteError, match="ZeroDivisionError"):
        client.named("broken")
    with pytest.raises(QueryError, match="Ask for fewer rows"):
        client.named("huge")
    assert client.ping().pid == os.getpid()


def test_a_slow_query_delays_neither_ping_nor_state_nor_command(
    server: QueryServer, client: Client, service: RecordingService, tmp_path: Path
) -> None:
    with Raw(server.endpoints.query) as slow:
        for number in range(8):  # more than there are threads
            slow.socket.send(pack(number, NamedQuery("wait")))
        for _ in range(3):
            assert service.waiting.acquire(timeout=10)
        server.publish(LiveState(sequence=99))
        assert client.ping().pid == os.getpid()
        assert client.snapshot().sequence == 99
        assert client.command("pause").message == "pause 1"
        service.may_go_on.set()
        assert {slow.receive()[0] for _ in range(8)} == set(range(8))


def test_one_caller_cannot_fill_the_queue(server: QueryServer, service: RecordingService) -> None:
    with Raw(server.endpoints.query) as greedy:
        for number in range(20):
            greedy.socket.send(pack(number, NamedQuery("wait")))
        refused = dict(greedy.receive() for _ in range(4))
        assert sorted(refused) == [16, 17, 18, 19]
        assert all(isinstance(reply, Failure) and reply.kind == "busy" for reply in refused.values())
        service.may_go_on.set()
        assert {greedy.receive()[0] for _ in range(16)} == set(range(16))
        greedy.socket.send(pack(50, NamedQuery("again")))  # and its account is settled afterwards
        assert not isinstance(greedy.receive()[1], Failure)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        bytes(range(256)) * 4,
        b"\x91" * 5000,  # arrays in arrays in arrays
        b"\xdf\xff\xff\xff\xff",  # a map of 4 billion entries
        msgspec.msgpack.encode({"protocol": 1}),
        msgspec.msgpack.encode([PROTOCOL, "one", {"type": "ping"}]),
        msgspec.msgpack.encode([PROTOCOL, 1, {"type": "format disk"}]),
        msgspec.msgpack.encode([PROTOCOL, 1, {"type": "named", "name": 3}]),
        msgspec.msgpack.encode([PROTOCOL, 1, {"type": "named", "name": "x", "params": {"a": [1, 2]}}]),
        msgspec.msgpack.encode([PROTOCOL, 1, {"type": "command", "name": "format disk"}]),
    ],
    ids=range(11),
)
def test_malformed_bytes_are_answered(server: QueryServer, data: bytes) -> None:
    with Raw(server.endpoints.query) as raw:
        raw.socket.send(data)
        _, reply = raw.receive()
        assert isinstance(reply, Failure)
        assert reply.kind == "malformed"
        raw.socket.send_multipart([b"too", b"many"])
        _, reply = raw.receive()
        assert isinstance(reply, Failure)
        assert reply.kind == "malformed"
        raw.socket.send(pack(2, Ping()))
        assert isinstance(raw.receive()[1], Pong)


def test_another_protocol_is_told_so(server: QueryServer) -> None:
    with Raw(server.endpoints.query) as raw:
        raw.socket.send(pack(4, Ping(), protocol=PROTOCOL + 1))
        request_id, reply = raw.receive()
        assert request_id == 4
        assert isinstance(reply, Failure)
        assert reply.kind == "protocol"


def test_an_oversized_message_is_dropped_and_others_go_on(server: QueryServer, client: Client) -> None:
    with pytest.raises(UsageError, match="at most"):
        client.named("x", text="y" * MAX_REQUEST_BYTES)
    with Raw(server.endpoints.query) as raw:
        raw.socket.send(b"x" * (MAX_REQUEST_BYTES + 1))
        assert not raw.socket.poll(200)
    assert client.ping().pid == os.getpid()


def test_not_even_zeromq(server: QueryServer, client: Client) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(server.endpoints.query.removeprefix("ipc://"))
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
    assert client.ping().pid == os.getpid()


def test_a_command_sent_twice_counts_once(server: QueryServer, service: RecordingService) -> None:
    with Raw(server.endpoints.query) as raw:
        for number in range(2):
            raw.socket.send(pack(number, Command("accept", {"movie_id": "m"}, "the same")))
        replies = [raw.receive()[1] for _ in range(2)]
        raw.socket.send(pack(3, Command("accept", {"movie_id": "m"}, "another")))
        raw.receive()
    assert replies[0] == replies[1]
    assert len(service.commands) == 2


def test_subscribers_get_the_newest_state(server: QueryServer) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as sub:
        sub.setsockopt(zmq.CONFLATE, 1)
        sub.setsockopt(zmq.SUBSCRIBE, b"")
        sub.connect(server.endpoints.events)
        sequence = 0
        while not sub.poll(20):  # a subscription takes a moment to arrive
            sequence += 1
            assert sequence < 1000
            server.publish(LiveState(sequence=sequence))
        server.publish(LiveState(sequence=5000))
        seen = 0
        while seen != 5000:
            assert sub.poll(10_000)
            state = open_state(sub.recv())
            assert state is not None
            assert state.sequence > seen
            seen = state.sequence


def test_no_answer_is_an_error_after_the_time_limit(client: Client, service: RecordingService) -> None:
    client._timeout_s = 0.2
    with pytest.raises(DaemonGoneError, match="did not answer within"):
        client.named("wait")
    service.may_go_on.set()
    client._timeout_s = 10
    assert client.named("next").rows == (("next",),), "the late answer was not taken for this one"


def test_nobody_there(runtime: Path, tmp_path: Path) -> None:
    assert connect(tmp_path) is None


def test_a_dead_daemons_socket_file_is_recognised(runtime: Path, tmp_path: Path, service: RecordingService) -> None:
    server = QueryServer(tmp_path, service)
    endpoints = server.start()
    assert endpoints.directory is not None
    kept = runtime / "kept"
    kept.mkdir()
    for path in endpoints.directory.iterdir():
        os.link(path, kept / path.name)
    server.close()
    assert not endpoints.directory.exists(), "sockets are removed at the end"
    shutil.copytree(kept, endpoints.directory, copy_function=os.link)
    endpoints.directory.chmod(0o700)
    assert connect(tmp_path) is None
    with QueryServer(tmp_path, service):  # and is no obstacle to the next one
        client = connect(tmp_path)
        assert client is not None
        client.close()


def test_sockets_come_back_when_their_directory_is_removed(
    server: QueryServer, client: Client, runtime: Path, tmp_path: Path
) -> None:
    shutil.rmtree(runtime / "frazil")
    arrived = threading.Event()
    for _ in range(600):
        if find_endpoints(tmp_path) is not None and (late := connect(tmp_path)) is not None:
            break
        arrived.wait(0.05)
    else:
        raise AssertionError("never came back")
    assert late.ping() == client.ping(), "those that were connected stay connected"
    late.close()


def test_closing_answers_what_is_under_way(runtime: Path, tmp_path: Path, service: RecordingService) -> None:
    server = QueryServer(tmp_path, service, query_threads=1)
    server.start()
    with Raw(server.endpoints.query) as raw:
        raw.socket.send(pack(1, NamedQuery("wait")))
        assert service.waiting.acquire(timeout=10)
        raw.socket.send(pack(2, NamedQuery("wait")))
        raw.socket.send(pack(3, Ping()))
        assert raw.receive()[0] == 3  # so 2 has been queued
        closing = threading.Thread(target=server.close)
        closing.start()
        request_id, reply = raw.receive()
        assert (request_id, isinstance(reply, Failure)) == (2, True)
        service.may_go_on.set()
        assert raw.receive()[0] == 1
        closing.join()
    server.close()


def test_tcp_only_with_keys(tmp_path: Path, service: RecordingService) -> None:
    with pytest.raises(EndpointError, match="without CURVE keys"):
        QueryServer(tmp_path, service, endpoints=Endpoints("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")).start()


def test_curve_lets_in_the_listed_client_only(tmp_path: Path, service: RecordingService) -> None:
    (server_public, server_secret), (known_public, known_secret), (other_public, other_secret) = (
        tuple(key.decode() for key in zmq.curve_keypair()) for _ in range(3)
    )
    keys = CurveServerKeys(server_public, server_secret, (known_public,))
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = first.getsockname()[1], second.getsockname()[1]
    endpoints = tcp_endpoints("127.0.0.1", *ports, curve=keys)
    with QueryServer(tmp_path, service, endpoints=endpoints, curve=keys):
        known = CurveClientKeys(known_public, known_secret, server_public)
        with Client(endpoints, curve=known) as client:
            assert client.ping(timeout_s=10).pid == os.getpid()
        for intruder in (CurveClientKeys(other_public, other_secret, server_public), None):
            with Client(endpoints, curve=intruder) as client, pytest.raises(DaemonGoneError):
                client.ping(timeout_s=0.3)


def test_a_client_may_be_shared_by_threads(client: Client) -> None:
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(client.named("q", n=n).rows[0][1])) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, answers)) == sorted(map(str, range(20)))


def test_busy_is_worth_another_try() -> None:
    assert issubclass(DaemonGoneError, RetryLaterError)
