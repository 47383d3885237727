"""A finished session over HTTP in this process, on loopback: the same answers, without Ray and without a daemon."""

from __future__ import annotations

from pathlib import Path

import uvicorn

from frazil.config.errors import UsageError
from frazil.daemon.http.api import HttpRules
from frazil.daemon.http.app import HttpApp, make_api
from frazil.daemon.http.file_source import FileSource
from frazil.daemon.store.reading import FileReader

_LOOPBACK = "127.0.0.1"


def serve_session(session_dir: Path, port: int) -> None:
    """Until Ctrl-C. Raises `UsageError` when the port is taken or there is no finished session here."""
    with FileReader(session_dir) as reader:
        source = FileSource(session_dir.resolve(), reader)
        source.told()  # the first page is then as quick as all others
        app = HttpApp(make_api(source, HttpRules()))
        try:
            config = uvicorn.Config(
                app, host=_LOOPBACK, port=port, log_level="warning", lifespan="off", server_header=False
            )
            uvicorn.Server(config).run()
        except SystemExit as error:  # uvicorn's own word for a port that it cannot have
            raise UsageError(
                f"port {port} of {_LOOPBACK} cannot be used for HTTP", remedy="choose another with --serve"
            ) from error
        finally:
            app.close()
