"""docs/api.md, its answers made by running every route on a small session: `python -m frazil.daemon.cli.api_page`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from frazil.daemon.http.api import HttpRules, SessionApi, SessionSource, digest_of
from frazil.daemon.http.app import make_api
from frazil.daemon.http.documents import named_queries
from frazil.daemon.http.example_session import fill_session
from frazil.daemon.http.exchange import HttpRequest
from frazil.daemon.http.file_source import FileSource
from frazil.daemon.http.orders import body_schemas
from frazil.daemon.http.reference import Example, api_page
from frazil.daemon.http.routes import Route, make_routes
from frazil.daemon.http.source import DaemonSource, time_budget
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.status.finished import state_at_rest
from frazil.daemon.store.reading import FileReader
from frazil.daemon.store.resting_file import RestingFile
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import KnownTarget
from frazil.daemon.store.writes import target_writes
from frazil.daemon.transport.messages import Command, LiveState
from frazil.daemon.transport.server import QueryServer
from frazil.models.grid_target import GridTarget

_MOVIES = 3
_FIRST_UTC_US = 1_790_000_000_000_000
_TOKEN = "TOKEN"
_SHOWN_AS = "/data/session1"
_GIVEN: Mapping[str, str] = {
    "movie_id": "m0001",
    "target_id": "epu:square:7",
    "square_id": "epu:square:7",
    "kind": "sections",
    "metric": "ctf_fit_angstrom",
    "evaluator": "logic",
    "path": "FoilHole_1.tif",
    "utc_us": str(_FIRST_UTC_US + 120_000_000),
    "now_utc_us": str(_FIRST_UTC_US + 300_000_000),
    "upto": "m0002",
}
"""Values of parameters that have to be given."""
_ASKED: Mapping[str, Mapping[str, str]] = {
    "/query/movies": {"sort": "ctf_fit_angstrom", "order": "asc", "limit": "1"},
    "/query/targets_called": {"name": "7"},
    "/query/stated_exposures": {"name": "pixel_size_angstrom"},
    "/next": {"limit": "2"},
    "/thumbnail/{movie_id}": {"width_px": "64"},
    "/micrograph/{movie_id}": {"width_px": "64"},
}
"""Query parameters of examples."""
_SENT: Mapping[str, Mapping[str, Any]] = {
    "feedback": {"verdict": "reject", "movie_id": "m0001", "note": "crack", "who": "anna"},
    "intervention": {"sentence": "waiting 20 s after stage moves", "factor": "motion", "who": "anna"},
    "acknowledge": {"alert_id": "disk", "who": "anna"},
    "experiment": {"comparison": "settle=5,20", "movies": 40, "squares": ["7", "9"], "seed": 1},
    "next/pick": {"target_id": "epu:square:7", "who": "anna"},
    "next/avoid": {"target_id": "epu:square:7", "who": "anna"},
    "next/forget": {"target_id": "all"},
    "next/hours": {"hours": 6},
    "experiment_stop": {},
}
"""What is sent. `pause` and `resume` need a daemon with workers."""


class Asker:
    """Answers of `frazil.daemon.http.api` to one request of each route."""

    def __init__(self, source: SessionSource, session_dir: Path, *, experiment_id: str = "") -> None:
        self._given = {**_GIVEN, "experiment_id": experiment_id}
        self._api: SessionApi = make_api(source, HttpRules(digest_of(_TOKEN)))
        self._session_dir = str(session_dir).encode()

    def ask(self, route: Route) -> Example:
        """The request of `_ASKED` or `_SENT`, with values for whatever has to be given."""
        path = "/" + "/".join(self._given[part[1:-1]] if part.startswith("{") else part for part in route.path)
        params = {
            one.name: self._given[one.name] for one in route.parameters if one.required and one.name in self._given
        }
        params |= _ASKED.get("/" + "/".join(route.path), {})
        sent = json.dumps(_SENT["/".join(route.path)]).encode() if route.method == "POST" else b""
        reply = self._api.answer(
            HttpRequest(
                route.method,
                path,
                "127.0.0.1",
                tuple(params.items()),
                authorization=f"Bearer {_TOKEN}",
                content_type="application/json",
                idempotency_key="1" if sent else None,
                body=sent,
            )
        )
        body = reply.body.replace(self._session_dir, _SHOWN_AS.encode())
        address = path + (f"?{urlencode(params, safe=',:')}" if params else "")
        return Example(address, reply.status, reply.content_type, body, sent)


def make_page() -> str:
    """The whole page."""
    routes = make_routes(named_queries())
    examples: dict[tuple[str, tuple[str, ...]], Example] = {}

    def run(asker: Asker, chosen: list[Route]) -> None:
        examples.update({(route.method, route.path): asker.ask(route) for route in chosen})

    with tempfile.TemporaryDirectory(prefix="fz") as place, _own_sockets(Path(place)):
        session_dir = Path(place).resolve() / "session"
        session_dir.mkdir()
        with Store.open(session_dir, now_utc_us=_FIRST_UTC_US) as store:
            _fill(session_dir, store)
        with RestingFile(session_dir) as file:
            asker = Asker(FileSource(session_dir, file, _at_rest), session_dir)
            run(asker, [route for route in routes if route.method == "GET" and route.answer in _READ])
        with Store.open(session_dir, now_utc_us=_FIRST_UTC_US) as store, _daemon(session_dir, store) as source:
            asker = Asker(source, session_dir)
            run(asker, [route for route in routes if "/".join(route.path) in _SENT])
            planned = examples["POST", ("experiment",)]
            experiment_id = json.loads(json.loads(planned.body)["message"])["experiment_id"]
            asker = Asker(source, session_dir, experiment_id=experiment_id)
            run(asker, [route for route in routes if route.answer == "plan"])
    return api_page(routes, body_schemas(), lambda route: examples.get((route.method, route.path)))


_READ = ("state", "summary", "query", "next", "next_text", "metrics", "thumbnail", "micrograph", "document")


def _at_rest(reader: FileReader, session_dir: Path) -> LiveState:
    """Looked at an hour after its beginning."""
    return state_at_rest(reader, session_dir, utc_us=lambda: _FIRST_UTC_US + 3_600_000_000)


def _fill(session_dir: Path, store: Store) -> None:
    alert = "19.2 GB are free on the session's disk, the limit is 20 GB"
    fill_session(session_dir, store, _MOVIES, name="apoferritin", alert=alert, first_utc_us=_FIRST_UTC_US)
    square = GridTarget("epu:square:7", "square", "epu", "7", state="chosen", stage_x_um=12.0, stage_y_um=-40.0)
    hole = GridTarget("epu:hole:71", "hole", "epu", "71", "epu:square:7", "chosen", stage_x_um=13.5, stage_y_um=-41.0)
    known = [KnownTarget(one, "epu:square:7", grid_id="epu:grid:1") for one in (square, hole)]
    store.submit(target_writes.record_targets, known, utc_us=_FIRST_UTC_US).result()


@contextmanager
def _daemon(session_dir: Path, store: Store) -> Iterator[DaemonSource]:
    """What carries orders out, as in a daemon, and a client of it."""
    service = DaemonService(store, session_dir, _no_workers, LiveState)
    with QueryServer(session_dir, service, version="0"):
        source = DaemonSource(session_dir, time_budget())
        try:
            yield source
        finally:
            source.close()


def _no_workers(command: Command) -> str:
    raise AssertionError(f"{command.name} needs a daemon with workers")


@contextmanager
def _own_sockets(place: Path) -> Iterator[None]:
    """Sockets lie beside the session, not among those of running daemons."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(place)
    try:
        yield
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before


if __name__ == "__main__":
    print(make_page(), end="")
