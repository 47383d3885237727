"""`frazil watch --http PORT`: the session over HTTP on 127.0.0.1, read-only, by Ray Serve.

The one replica is a process of its own and a client of the daemon's socket like any other: a slow or hostile request
cannot hold up the daemon. Whoever has an account on this machine can read the port; the default is no HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import msgspec
import numpy as np

from frazil.actors.api import SessionApi
from frazil.config.errors import DaemonGoneError, QueryError, StopDaemonError, UsageError
from frazil.daemon.client import Client, connect
from frazil.daemon.store.queries import NAMED, Param
from frazil.daemon.store.reading import LiveReader
from frazil.daemon.store.summary import summarise
from frazil.daemon.store.summary_text import to_json
from frazil.daemon.store.table import Scalar

_log = logging.getLogger(__name__)
_HOST = "127.0.0.1"
_THUMBNAIL_PX = 1024


class HttpDesk:
    """Starts Serve beside the daemon (it takes seconds, and no movie waits for it) and ends it.

    Serve runs in the Ray that this process has joined.

    Parameters
    ----------
    port:
        None: no HTTP.
    own_ray:
        It is one that frazil has started, on loopback.
    alert:
        Told a sentence when HTTP cannot be served; the session goes on without it.

    Raises
    ------
    UsageError
        If the port is taken, or the Ray is not frazil's own.
    """

    def __init__(self, session_dir: Path, port: int | None, *, own_ray: bool, alert: Callable[[str], None]) -> None:
        self._session_dir, self._port, self._alert = session_dir.resolve(), port, alert
        self._closing = threading.Lock()
        self._closed = port is None
        if port is not None:
            if not own_ray:
                raise UsageError(
                    "--http is not for a Ray cluster that others use: its Serve listens where they chose",
                    remedy="leave --http out, or leave workers.ray_address out",
                )
            _refuse_taken_port(port)
            threading.Thread(target=self._start, name="frazil-http", daemon=True).start()

    def _start(self) -> None:
        try:
            from ray import serve  # late: it takes a second, and most sessions have no HTTP

            logging.getLogger("ray.serve").setLevel(logging.ERROR)
            quiet = {"enable_access_log": False, "log_level": "WARNING"}
            with self._closing:
                if self._closed:
                    return
                serve.start(
                    proxy_location="HeadOnly", http_options={"host": _HOST, "port": self._port}, logging_config=quiet
                )
                deployment = serve.deployment(
                    name="frazil", num_replicas=1, ray_actor_options={"num_cpus": 0}, max_ongoing_requests=16
                )(HttpReplica)
                serve.run(deployment.bind(str(self._session_dir)), name="frazil", logging_config=quiet)
            _log.info("HTTP on %s:%d", _HOST, self._port)
        except Exception as error:  # thread boundary: the session goes on without HTTP
            _log.exception("HTTP did not start")
            self._alert(f"the session is not served over HTTP: {error}")

    def close(self) -> None:
        """Start nothing any more; waits for a start that is under way. Serve itself ends with frazil's Ray."""
        with self._closing:
            self._closed = True


class HttpReplica:
    """The class behind Serve: lives in a worker process."""

    def __init__(self, session_dir: str) -> None:
        _keep_serve_on_loopback()
        self._api = SessionApi(DaemonSource(Path(session_dir)))

    async def __call__(self, request: Any) -> Any:
        """Starlette request in, Starlette response out."""
        from starlette.responses import Response

        reply = await asyncio.to_thread(
            self._api.answer,
            request.method,
            request.url.path,
            dict(request.query_params),
            request.headers.get("host", ""),
        )
        return Response(reply.body, status_code=reply.status, media_type=reply.content_type)


class DaemonSource:
    """Implements `frazil.actors.api.SessionSource` by asking the daemon's socket."""

    def __init__(self, session_dir: Path) -> None:
        self._session_dir = session_dir
        self._client: Client | None = None
        self._lock = threading.Lock()

    def state(self) -> bytes:
        return msgspec.json.encode(self._daemon().snapshot())

    def summary(self) -> bytes:
        reader = LiveReader(self._daemon())
        found = summarise(reader, self._session_dir, now_utc_us=time.time_ns() // 1000, live=True)
        return to_json(found).encode()

    def query(self, name: str, params: Mapping[str, str]) -> bytes:
        known = NAMED[name].params if name in NAMED else {}
        typed = {key: _typed(key, known.get(key), text) for key, text in params.items()}
        return msgspec.json.encode(self._daemon().named(name, **typed))

    def thumbnail(self, movie_id: str) -> bytes:
        picture = self._daemon().picture(movie_id, "thumbnail", _THUMBNAIL_PX, _THUMBNAIL_PX)
        gray = np.frombuffer(picture.gray, dtype=np.uint8).reshape(picture.height_px, picture.width_px)
        return bytes(imagecodecs.png_encode(gray))

    def _daemon(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = connect(self._session_dir)
            if self._client is None:
                raise DaemonGoneError("the session's daemon does not answer", remedy="try again in a moment")
            return self._client


def _typed(key: str, param: Param | None, text: str) -> Scalar:
    """A value of the address line as what the query wants; what cannot be is left to the query to refuse."""
    if param is None or param.kind is str:
        return text
    try:
        if param.kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return int(text) if param.kind is int else float(text)
    except (ValueError, KeyError):
        raise QueryError(
            f"{key} is {text!r}, and must be of type {param.kind.__name__}", remedy=f"correct {key}"
        ) from None


def _keep_serve_on_loopback() -> None:
    """Serve 2.60 opens a port for calls between replicas on every interface, and whoever reaches it can have pickles
    loaded (ray/serve/_private/replica.py, `_on_initialized`, which runs after the constructor of this class; no switch
    exists). Raises `StopDaemonError` in a Ray where this is done otherwise: better no HTTP than an open port."""
    from ray.serve._private import replica

    if not hasattr(replica, "add_port_to_grpc_server"):
        raise StopDaemonError(
            "this release of Ray Serve may open a port to the network", remedy="install ray[serve]>=2.60,<2.62"
        )
    add_port = replica.add_port_to_grpc_server

    def on_loopback(server: Any, address: str) -> Any:
        return add_port(server, f"{_HOST}:{address.rsplit(':', 1)[1]}")

    replica.add_port_to_grpc_server = on_loopback


def _refuse_taken_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"port {port} of {_HOST} cannot be used for HTTP ({error})", remedy="choose another with --http"
            ) from error
