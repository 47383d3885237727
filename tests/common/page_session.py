"""A small session whose names would be markup if they were not escaped, and a server for its page in this process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from frazil.daemon.http import example_session
from frazil.daemon.store.store import Store


def fill_session(folder: Path, store: Store, movies: int = 30) -> None:
    """Movies, of which every tenth is rejected, with pictures, losses, an alert and a verdict."""
    example_session.fill_session(folder, store, movies, name="grid <4>", alert="nearly <b>full</b>")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


@contextlib.contextmanager
def served(app: Any, port: int | None = None) -> Iterator[int]:
    """An ASGI application on loopback; its port."""
    chosen = port if port is not None else free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=chosen, log_level="error", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()
    try:
        deadline_s = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        yield chosen
    finally:
        server.should_exit = True
        thread.join()
