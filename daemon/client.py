"""How everything outside the daemon talks to it: `connect` for scripts and the command line, `AsyncClient` for the
screen. Imports only ZeroMQ, msgspec, the standard library and frazil's errors.

Both know only the session's folder; where the sockets lie is `frazil.daemon.transport.endpoints`' business.
"""

from __future__ import annotations

import asyncio
import getpass
import itertools
import threading
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import msgspec
import zmq
import zmq.asyncio

from frazil.config.errors import (
    DaemonGoneError,
    FrazilError,
    NotThereError,
    QueryError,
    RemoteError,
    RetryLaterError,
    UsageError,
)
from frazil.daemon.transport.endpoints import CurveClientKeys, Endpoints, find_endpoints
from frazil.daemon.transport.file_line import FileLine, OpenFile
from frazil.daemon.transport.messages import (
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    PROTOCOL,
    WHOLE,
    AnyRequest,
    Command,
    CommandName,
    Done,
    Failure,
    LiveState,
    NamedQuery,
    Part,
    Picture,
    PictureKind,
    PictureReply,
    Ping,
    Pong,
    Reply,
    Request,
    Rows,
    Scalar,
    Snapshot,
    Sql,
    decode_reply,
    open_envelope,
    open_state,
    pack,
)

R = TypeVar("R")

_FAILURES: dict[str, type[FrazilError]] = {
    "query": QueryError,
    "usage": UsageError,
    "not_found": NotThereError,
    "protocol": UsageError,
    "malformed": UsageError,
    "busy": RetryLaterError,
    "stopping": DaemonGoneError,
    "internal": RemoteError,
}


def connect(session_dir: Path, timeout_s: float = 2.0) -> Client | None:
    """A client of the daemon of this session; None when none answers. Raises `EndpointError` when the place of its
    sockets is unsafe."""
    endpoints = find_endpoints(session_dir)
    if endpoints is None:
        return None
    client = Client(endpoints)
    try:
        client.ping(timeout_s=timeout_s)
    except DaemonGoneError:
        client.close()
        return None
    return client


def connected(session_dir: Path, *, remedy: str) -> Client:
    """The same, for what cannot be done without a daemon.

    Raises
    ------
    DaemonGoneError
        None is running, and `remedy` is what to do then; and what `connect` raises.
    """
    client = connect(session_dir)
    if client is None:
        raise DaemonGoneError("no daemon is running on this session", path=session_dir, remedy=remedy)
    return client


class Client:
    """Asks and waits. Thread-safe: one request at a time.

    Every method raises `DaemonGoneError` when no answer comes within its time limit, and the error that the daemon
    named (`QueryError`, `NotThereError`, `UsageError`, `RetryLaterError`, `RemoteError`).
    """

    def __init__(self, endpoints: Endpoints, *, timeout_s: float = 15.0, curve: CurveClientKeys | None = None) -> None:
        self._timeout_s = timeout_s
        self._endpoints = endpoints
        self._curve = curve
        self._context = zmq.Context()
        self._socket = self._new_socket()
        self._lock = threading.Lock()
        self._ids = itertools.count(1)

    def ping(self, *, timeout_s: float | None = None) -> Pong:
        return self._ask(Ping(), Pong, timeout_s)

    def snapshot(self) -> LiveState:
        return self._ask(Snapshot(), LiveState)

    def named(self, name: str, /, **params: Scalar) -> Rows:
        """One of the store's named queries."""
        return self._ask(NamedQuery(name, params), Rows)

    def sql(self, text: str, *, timeout_s: float | None = None) -> Rows:
        """One read-only statement; `timeout_s` limits it on the daemon's side."""
        return self._ask(Sql(text, timeout_s), Rows)

    def picture(
        self, movie_id: str, kind: PictureKind, max_width_px: int, max_height_px: int, part: Part = WHOLE
    ) -> PictureReply:
        return self._ask(Picture(movie_id, kind, max_width_px, max_height_px, part), PictureReply)

    def command(self, name: CommandName, /, **args: Scalar) -> Done:
        return self._ask(make_command(name, args), Done)

    def order(self, command: Command) -> Done:
        """A command whose identity and author are known already (`command` makes them)."""
        return self._ask(command, Done)

    def _ask(self, request: Request, expected: type[R], timeout_s: float | None = None) -> R:
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        deadline_s = time.monotonic() + wait_s
        with self._lock:
            request_id = next(self._ids)
            data = _pack_checked(request_id, request)
            self._socket.send(data)
            while self._socket.poll(_ms_until(deadline_s), zmq.POLLIN):
                reply_id, reply = _open_reply(self._socket.recv_multipart()[-1])
                if reply_id == request_id:  # else: the late answer to a request that was given up
                    return _unwrap(reply, expected)
            # What was not sent must not be sent to a later daemon: an order an hour late is no order.
            self._socket.close(linger=0)
            self._socket = self._new_socket()
            raise _gone(wait_s)

    def _new_socket(self) -> zmq.Socket[bytes]:
        sock: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        _prepare(sock, self._curve)
        sock.connect(self._endpoints.query)
        return sock

    def close(self) -> None:
        self._socket.close(linger=0)
        self._context.term()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Gone(msgspec.Struct, frozen=True):
    """Nothing has been heard from the daemon for `silent_s`, and the session cannot be read without it."""

    silent_s: float
    why: str = ""
    """Why the session's file is not read instead; empty: this client does not read files."""


class AsyncClient:
    """The same for an event loop, many requests at once, with the stream of states; finds the daemon again after a
    restart. Where none runs, the session's file answers, if the client is told how to open it. Use from one loop only.
    `watch()` must be running for reconnection to happen.

    Parameters
    ----------
    open_file:
        How a session is read that no daemon runs on; None: it is not.
    """

    def __init__(
        self,
        session_dir: Path,
        *,
        timeout_s: float = 15.0,
        silence_s: float = 3.0,
        open_file: OpenFile | None = None,
    ) -> None:
        self.session_dir = session_dir
        self._file = FileLine(session_dir, open_file)
        self._closed = False
        self._timeout_s = timeout_s
        self._silence_s = silence_s
        self._context = zmq.asyncio.Context()
        self._dealer: zmq.asyncio.Socket | None = None
        self._sub: zmq.asyncio.Socket | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._ids = itertools.count(1)
        self.sockets: tuple[str, ...] = ()
        """Addresses of the daemon that was found last: requests, states."""

    @property
    def connected(self) -> bool:
        return self._dealer is not None

    async def named(self, name: str, /, **params: Scalar) -> Rows:
        return await self._ask(NamedQuery(name, params), Rows)

    async def picture(
        self, movie_id: str, kind: PictureKind, max_width_px: int, max_height_px: int, part: Part = WHOLE
    ) -> PictureReply:
        return await self._ask(Picture(movie_id, kind, max_width_px, max_height_px, part), PictureReply)

    async def command(self, name: CommandName, /, **args: Scalar) -> Done:
        return await self._ask(make_command(name, args), Done)

    async def snapshot(self, *, timeout_s: float | None = None) -> LiveState:
        return await self._ask(Snapshot(), LiveState, timeout_s)

    async def ping(self, *, timeout_s: float | None = None) -> Pong:
        return await self._ask(Ping(), Pong, timeout_s)

    async def watch(self) -> AsyncIterator[LiveState | Gone]:
        """The newest state whenever there is one, and about once a second a `Gone` while there is neither a daemon nor
        a file to read. A file gives one state, and another one only when somebody has written to it.

        States that were missed do not matter: only the newest is kept. A daemon that is alive but silent (it may be
        busy) is pinged before it is called gone.
        """
        heard_s = time.monotonic()
        turn_s = min(1.0, self._silence_s)
        while not self._closed:
            if self._sub is None and not self._open():
                at_rest = await self._file.news()
                if self._file.is_open:
                    heard_s = time.monotonic()
                else:
                    yield Gone(time.monotonic() - heard_s, self._file.why_not)
                if at_rest is not None:
                    yield at_rest
                await asyncio.sleep(turn_s)
                continue
            assert self._sub is not None
            if await self._sub.poll(int(turn_s * 1000)):
                state = _newest_state(await self._sub.recv())
                heard_s = time.monotonic()
                if state is not None:
                    yield state
            elif time.monotonic() - heard_s > self._silence_s:
                state = await self._asked_how_it_is()
                if state is not None:
                    yield state
                if self._dealer is not None:
                    heard_s = time.monotonic()

    async def _asked_how_it_is(self) -> LiveState | None:
        """A daemon that has been silent: its state; None: it cannot say, or is gone, and the sockets are dropped."""
        if find_endpoints(self.session_dir) is None:  # nobody listens: no need to wait for an answer
            self._drop()
            return None
        try:
            return await self.snapshot(timeout_s=self._silence_s)
        except DaemonGoneError:
            self._drop()
        except FrazilError:  # alive, but cannot say how it is
            pass
        return None

    def _open(self) -> bool:
        endpoints = None if self._closed else find_endpoints(self.session_dir)
        if endpoints is None:
            return False
        self._file.leave()  # a daemon has taken the session up
        self.sockets = (endpoints.query, endpoints.events)
        self._dealer = self._context.socket(zmq.DEALER)
        self._sub = self._context.socket(zmq.SUB)
        for sock in (self._dealer, self._sub):
            _prepare(sock, None)
        self._sub.setsockopt(zmq.CONFLATE, 1)
        self._sub.setsockopt(zmq.SUBSCRIBE, b"")
        self._dealer.connect(endpoints.query)
        self._sub.connect(endpoints.events)
        self._reader = asyncio.create_task(self._read(self._dealer), name="frazil-replies")
        return True

    async def open(self, timeout_s: float = 2.0) -> LiveState | None:
        """Connects and returns the first state; None when no daemon answers and there is no file to read."""
        if self._dealer is None and not self._open():
            return await self._file.news()
        try:
            return await self.snapshot(timeout_s=timeout_s)
        except DaemonGoneError:
            self._drop()
            return None

    async def _read(self, dealer: zmq.asyncio.Socket) -> None:
        while True:
            frames = await dealer.recv_multipart()
            request_id, reply = _open_reply(frames[-1])
            waiting = self._waiting.pop(request_id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(reply)

    async def _ask(self, request: AnyRequest, expected: type[R], timeout_s: float | None = None) -> R:
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        if self._dealer is None:
            if not self._file.is_open or isinstance(request, Ping):
                raise _gone(0.0)
            return _unwrap(await self._file.ask(request), expected)
        request_id = next(self._ids)
        data = _pack_checked(request_id, request)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = reply
        try:
            async with asyncio.timeout(wait_s):
                await self._dealer.send(data)
                return _unwrap(await reply, expected)
        except TimeoutError:
            raise _gone(wait_s) from None
        finally:
            self._waiting.pop(request_id, None)

    def _drop(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
        for sock in (self._dealer, self._sub):
            if sock is not None:
                sock.close(linger=0)
        self._dealer = self._sub = self._reader = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_gone(0.0))

    def close(self) -> None:
        """`watch` ends with its next turn."""
        self._closed = True
        self._drop()
        self._file.leave()
        self._context.term()


def make_command(name: CommandName, args: dict[str, Scalar]) -> Command:
    """With an identity of its own, so that it counts once, and the name of the person's account."""
    return Command(name, args, uuid.uuid4().hex, user_name())


def user_name() -> str:
    """Of the person's account; empty: it has none (containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _prepare(sock: zmq.Socket[bytes] | zmq.asyncio.Socket, curve: CurveClientKeys | None) -> None:
    sock.setsockopt(zmq.LINGER, 0)
    sock.setsockopt(zmq.MAXMSGSIZE, MAX_REPLY_BYTES + 4096)
    # Not IMMEDIATE: with it, libzmq 4.3.5 throws away unread answers when the daemon closes right after them.
    sock.setsockopt(zmq.RECONNECT_IVL, 100)
    sock.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
    if curve is not None:
        sock.setsockopt(zmq.CURVE_SERVERKEY, curve.server.encode())
        sock.setsockopt(zmq.CURVE_PUBLICKEY, curve.public.encode())
        sock.setsockopt(zmq.CURVE_SECRETKEY, curve.secret.encode())


def _pack_checked(request_id: int, request: Request) -> bytes:
    data = pack(request_id, request)
    if len(data) > MAX_REQUEST_BYTES:
        raise UsageError(f"the request has {len(data)} bytes, at most {MAX_REQUEST_BYTES} are allowed")
    return data


def _open_reply(data: bytes) -> tuple[int, Reply]:
    request_id = 0
    try:
        envelope = open_envelope(data)
        request_id = envelope.request_id
        if envelope.protocol != PROTOCOL:
            what = f"the daemon speaks protocol {envelope.protocol}, this client {PROTOCOL}"
            return request_id, Failure("protocol", what, "use the frazil that the daemon was started with")
        return request_id, decode_reply(envelope)
    except msgspec.MsgspecError as error:
        return request_id, Failure("malformed", f"the daemon's answer cannot be read: {error}")


def _newest_state(data: bytes) -> LiveState | None:
    try:
        return open_state(data)
    except msgspec.MsgspecError:
        return None


def _unwrap(reply: Reply, expected: type[R]) -> R:
    if isinstance(reply, Failure):
        raise _FAILURES[reply.kind](reply.what, path=reply.path, remedy=reply.remedy)
    if not isinstance(reply, expected):
        raise RemoteError(f"the daemon answered with {type(reply).__name__} instead of {expected.__name__}")
    return reply


def _gone(wait_s: float) -> DaemonGoneError:
    what = f"the daemon did not answer within {wait_s:g} s" if wait_s else "no daemon is running on this session"
    return DaemonGoneError(what, remedy="look with `frazil status`, or start it with `frazil watch`")


def _ms_until(deadline_s: float) -> int:
    return max(0, int((deadline_s - time.monotonic()) * 1000))
