"""The daemon's sockets: one thread that never computes, and a few that answer.

A ROUTER takes requests and a PUB hands out the newest state. Both belong to one thread, which decodes, answers pings,
and gives the rest to a pool; replies come back through a queue and a socket pair that wakes the poll. So a slow query
never delays a ping, a command or the state. Commands have a thread of their own, which keeps them in order.

Nothing that arrives can stop the thread: what cannot be decoded is answered with a `Failure`, what is larger than
`MAX_REQUEST_BYTES` is dropped by ZeroMQ together with its connection, and each caller may have only so many requests
under way.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec
import zmq

from frazil.daemon.transport.answering import Answerer
from frazil.daemon.transport.binding import BoundSockets
from frazil.daemon.transport.endpoints import CurveServerKeys, Endpoints
from frazil.daemon.transport.messages import (
    MAX_REPLY_BYTES,
    PROTOCOL,
    AnyRequest,
    Command,
    Failure,
    LiveState,
    Ping,
    Pong,
    Reply,
    Snapshot,
    decode_request,
    open_envelope,
    pack,
    pack_state,
)
from frazil.daemon.transport.service import QueryService

_MAX_UNDER_WAY_PER_CALLER = 16
_LOOK_INTERVAL_S = 1.0


class _Outgoing(NamedTuple):
    caller: bytes
    request_id: int
    reply: Reply
    was_under_way: bool = False


class QueryServer:
    """Serves one session. `start()` binds, `close()` unbinds after answering what is under way; both are called from
    the daemon's main thread, `publish` from any.

    Parameters
    ----------
    session_dir:
        Names the ipc directory; also told to clients.
    service:
        Answers, see `QueryService`.
    endpoints:
        None: ipc in the runtime directory of this session.
    curve:
        Keys; TCP endpoints need them.
    version:
        Of the program, told to clients.
    """

    def __init__(
        self,
        session_dir: Path,
        service: QueryService,
        *,
        endpoints: Endpoints | None = None,
        curve: CurveServerKeys | None = None,
        query_threads: int = 3,
        version: str = "",
    ) -> None:
        self.session_dir = session_dir.resolve()
        self.started_utc_us = time.time_ns() // 1000
        self._given = endpoints
        self._curve = curve
        self._version = version
        self._answerer = Answerer(service)
        self._queries = ThreadPoolExecutor(query_threads, thread_name_prefix="frazil-query")
        self._commands = ThreadPoolExecutor(1, thread_name_prefix="frazil-command")
        self._outbox: deque[_Outgoing] = deque()
        self._under_way: Counter[bytes] = Counter()
        self._newest: LiveState | None = None
        self._unpublished: LiveState | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._thread: threading.Thread | None = None

    @property
    def endpoints(self) -> Endpoints:
        """Where it listens."""
        return self._sockets.endpoints

    def start(self) -> Endpoints:
        """Binds and serves. Raises `EndpointError`; the server is closed then."""
        try:
            self._sockets = BoundSockets(self.session_dir, self._given, self._curve)
        except BaseException:
            self.close()
            raise
        self._thread = threading.Thread(target=self._run, name="frazil-sockets", daemon=True)
        self._thread.start()
        return self.endpoints

    def publish(self, state: LiveState) -> None:
        """Hands the newest state to every subscriber; an older one that has not left yet is forgotten."""
        with self._lock:
            self._newest = self._unpublished = state
        self._wake()

    def close(self) -> None:
        """Safe to call twice."""
        if self._stopping.is_set():
            return
        self._queries.shutdown(wait=True, cancel_futures=True)
        self._commands.shutdown(wait=True)
        self._stopping.set()
        self._wake()
        if self._thread is not None:
            self._thread.join()
        self._wake_out.close()
        self._wake_in.close()

    def __enter__(self) -> QueryServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- the sockets' thread

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._sockets.router, zmq.POLLIN)
        poller.register(self._wake_in.fileno(), zmq.POLLIN)
        next_look_s = time.monotonic() + _LOOK_INTERVAL_S
        while not self._stopping.is_set():
            ready = dict(poller.poll(int(_LOOK_INTERVAL_S * 1000)))
            if self._wake_in.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    self._wake_in.recv(4096)
            if self._sockets.router in ready:
                self._receive()
            self._send_all()
            if time.monotonic() >= next_look_s:
                next_look_s = time.monotonic() + _LOOK_INTERVAL_S
                self._sockets.look_after()
        self._send_all()
        self._sockets.close()

    def _receive(self) -> None:
        for _ in range(100):  # bounded: replies and states must leave too
            try:
                frames = self._sockets.router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            caller, data = frames[0], frames[-1]
            if len(frames) == 2:
                self._take(caller, data)
            else:
                self._reply(caller, 0, Failure("malformed", f"{len(frames) - 1} frames instead of one"))

    def _take(self, caller: bytes, data: bytes) -> None:
        request_id = 0
        try:
            envelope = open_envelope(data)
            request_id = envelope.request_id
            if envelope.protocol != PROTOCOL:
                what = f"the client speaks protocol {envelope.protocol}, this daemon {PROTOCOL}"
                remedy = "use the frazil that the daemon was started with"
                self._reply(caller, request_id, Failure("protocol", what, remedy))
                return
            request = decode_request(envelope)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._reply(caller, request_id, Failure("malformed", f"not a request: {error}"))
            return
        self._dispatch(caller, request_id, request)

    def _dispatch(self, caller: bytes, request_id: int, request: AnyRequest) -> None:
        if isinstance(request, Ping):
            pong = Pong(self.started_utc_us, str(self.session_dir), os.getpid(), self._version)
            self._reply(caller, request_id, pong)
        elif isinstance(request, Snapshot) and self._newest is not None:
            self._reply(caller, request_id, self._newest)
        elif self._under_way[caller] >= _MAX_UNDER_WAY_PER_CALLER:
            self._reply(caller, request_id, Failure("busy", "too many requests under way", "wait a moment"))
        else:
            pool = self._commands if isinstance(request, Command) else self._queries
            try:
                future = pool.submit(self._answerer.answer, request)
            except RuntimeError:  # the pool is shut down
                self._reply(caller, request_id, Failure("stopping", "the daemon is stopping"))
                return
            self._under_way[caller] += 1
            future.add_done_callback(lambda done: self._finished(caller, request_id, done))

    def _reply(self, caller: bytes, request_id: int, reply: Reply) -> None:
        self._outbox.append(_Outgoing(caller, request_id, reply))

    def _send_all(self) -> None:
        while self._outbox:
            caller, request_id, reply, was_under_way = self._outbox.popleft()
            if was_under_way:
                self._under_way[caller] -= 1
                if not self._under_way[caller]:
                    del self._under_way[caller]
            data = pack(request_id, reply)
            if len(data) > MAX_REPLY_BYTES:
                data = pack(request_id, Failure("query", f"the answer has {len(data)} bytes", "ask for fewer rows"))
            # A caller that has gone or does not read loses its reply; its own timeout tells it.
            with contextlib.suppress(zmq.ZMQError):
                self._sockets.router.send_multipart([caller, data], zmq.NOBLOCK)
        with self._lock:
            state, self._unpublished = self._unpublished, None
        if state is not None:
            with contextlib.suppress(zmq.Again):
                self._sockets.pub.send(pack_state(state), zmq.NOBLOCK)

    # ---- any thread

    def _finished(self, caller: bytes, request_id: int, done: Future[Reply]) -> None:
        reply = Failure("stopping", "the daemon is stopping") if done.cancelled() else done.result()
        self._outbox.append(_Outgoing(caller, request_id, reply, True))
        self._wake()

    def _wake(self) -> None:
        # Full: the thread is about to wake up anyway. Closed: there is nobody to wake.
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")
