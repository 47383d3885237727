"""The two bound sockets of a daemon, and what to do when their files vanish."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator

from frazil.config.errors import EndpointError
from frazil.daemon.transport.endpoints import (
    EVENTS_SOCKET,
    QUERY_SOCKET,
    CurveServerKeys,
    Endpoints,
    create_endpoints,
)
from frazil.daemon.transport.messages import MAX_REQUEST_BYTES

log = logging.getLogger(__name__)


class BoundSockets:
    """A ROUTER and a PUB; used by one thread (ZeroMQ sockets are not thread-safe). ipc sockets are called
    `query.sock` and `events.sock` in the endpoints' directory, which is removed at the end.

    Raises `EndpointError` when the sockets cannot be bound.
    """

    def __init__(self, session_dir: Path, given: Endpoints | None, curve: CurveServerKeys | None) -> None:
        if given is not None and given.directory is None and curve is None:
            raise EndpointError("TCP endpoints without CURVE keys", remedy="give keys or use the local socket")
        self._session_dir = session_dir
        self._given = given
        self._context = zmq.Context()
        self._authenticator = None if curve is None else _authenticator(self._context, curve)
        self.router = self._socket(zmq.ROUTER, curve)
        self.pub = self._socket(zmq.PUB, curve)
        self._bound = False
        try:
            self._bind()
        except EndpointError:
            self.close()
            raise

    def _socket(self, kind: int, curve: CurveServerKeys | None) -> zmq.Socket[bytes]:
        sock: zmq.Socket[bytes] = self._context.socket(kind)
        sock.setsockopt(zmq.LINGER, 500)
        sock.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        sock.setsockopt(zmq.SNDHWM, 100)
        sock.setsockopt(zmq.RCVHWM, 100)
        if curve is not None:
            sock.setsockopt(zmq.HEARTBEAT_IVL, 5000)
            sock.setsockopt(zmq.CURVE_SERVER, 1)
            sock.setsockopt(zmq.CURVE_PUBLICKEY, curve.public.encode())
            sock.setsockopt(zmq.CURVE_SECRETKEY, curve.secret.encode())
        return sock

    def _bind(self) -> None:
        endpoints = self._given if self._given is not None else create_endpoints(self._session_dir)
        for sock, address in ((self.router, endpoints.query), (self.pub, endpoints.events)):
            try:
                sock.bind(address)
            except zmq.ZMQError as error:
                raise EndpointError(
                    f"cannot listen on {address}: {error}", remedy="look for another daemon on this session"
                ) from error
        self.endpoints = endpoints
        self._bound = True
        self._inodes = {} if endpoints.directory is None else self._files()

    def look_after(self) -> None:
        """Called about once a second. A login manager removes `$XDG_RUNTIME_DIR` at logout while the daemon goes on:
        connected clients stay, but new ones could never come. So: unbind now, bind again at the next look. (Not at
        once: ZeroMQ's own thread removes the socket file some time after `unbind`, and could hit the new one.)"""
        if not self._bound:
            try:
                self._bind()
            except EndpointError:
                log.exception("cannot make the socket files anew; trying again")
        elif self.endpoints.directory is not None and not self._inodes.keys() <= self._files().keys():
            log.warning("the socket files in %s were removed; making them anew", self.endpoints.directory)
            for sock, address in ((self.router, self.endpoints.query), (self.pub, self.endpoints.events)):
                with contextlib.suppress(zmq.ZMQError):
                    sock.unbind(address)
            self._bound = False

    def close(self) -> None:
        """Sends what is queued (at most 0.5 s) and removes the socket files."""
        self.router.close()
        self.pub.close()
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.term()
        if self._bound and self.endpoints.directory is not None:
            with contextlib.suppress(OSError):
                for path, inode in self._files().items():
                    if self._inodes.get(path) == inode:  # else: another daemon's by now
                        path.unlink()
                self.endpoints.directory.rmdir()

    def _files(self) -> dict[Path, int]:
        """The socket files that exist, with their inodes."""
        assert self.endpoints.directory is not None
        found: dict[Path, int] = {}
        for name in (QUERY_SOCKET, EVENTS_SOCKET):
            path = self.endpoints.directory / name
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.lstat().st_ino
        return found


class _KnownClients:
    """Lets in the listed public keys only."""

    def __init__(self, clients: tuple[str, ...]) -> None:
        self._clients = frozenset(clients)

    def callback(self, domain: str, key: bytes) -> bool:
        return key.decode() in self._clients  # pyzmq hands the key over in Z85


def _authenticator(context: zmq.Context[zmq.Socket[bytes]], curve: CurveServerKeys) -> ThreadAuthenticator:
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback(credentials_provider=_KnownClients(curve.clients))
    return authenticator
