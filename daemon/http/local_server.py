"""A finished session over HTTP in this process, on loopback: the same answers, without Ray and without a daemon."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from frazil.config.errors import UsageError
from frazil.daemon.http.api import HttpRules
from frazil.daemon.http.app import HttpApp, make_api
from frazil.daemon.http.file_source import AtRest, FileSource
from frazil.daemon.session.stepped_thread import SteppedThread
from frazil.daemon.store.resting_file import RestingFile
from frazil.daemon.store.session_files import check_is_session

_LOOPBACK = "127.0.0.1"
_log = logging.getLogger(__name__)
_END_S = 5.0
_WAITING = 128
"""Connections that are taken before anybody answers."""


def serve_session(session_dir: Path, port: int, at_rest: AtRest, *, announce: Callable[[str], None]) -> None:
    """Until Ctrl-C. `announce` is told the address when it answers there. Between questions the session's file is let
    go of, so that a daemon may start on it.

    Raises `UsageError` when the port is taken, and what `FileReader` raises when there is no finished session here.
    """
    check_is_session(session_dir)
    with _bound(port) as listening, RestingFile(session_dir) as file:
        source = FileSource(session_dir.resolve(), file, at_rest)
        source.told()  # the first page is then as quick as all others
        resting = SteppedThread("frazil-rest", source.rest, log=_log, cannot="the session's file is not let go of")
        resting.start()
        app = HttpApp(make_api(source, HttpRules()))
        config = uvicorn.Config(app, log_level="critical", lifespan="off", server_header=False)
        announce(f"http://{_LOOPBACK}:{port}")
        try:
            # uvicorn hands Ctrl-C on when it has ended.
            with contextlib.suppress(KeyboardInterrupt):
                uvicorn.Server(config).run(sockets=[listening])
        finally:
            app.close()
            resting.close(wait_s=_END_S)


@contextlib.contextmanager
def _bound(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_LOOPBACK, port))
            listening.listen(_WAITING)
        except OSError as error:
            raise UsageError(
                f"port {port} of {_LOOPBACK} cannot be used for HTTP ({error})", remedy="choose another with --serve"
            ) from error
        yield listening
