"""A stand-in for EPU's decision service on loopback, built from its public description and stricter than it has to be.

"Decision Service API" v1 (OpenAPI 3.0.1, DiamondLightSource/smartem-devtools, docs/api/athena/original-swagger.json):
schemas with `additionalProperties: false`, enums, UUIDs, int32; 404 where a session is not registered, 409 where a
decision's session or area is not, 400 for an empty collection.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PREFIX = "/smartepu"
SESSION_NAME = "Supervisor 20260101 grid-3"
SESSION_ID = "b5cdbfb9-bd0f-414e-93f8-0abca3331f8e"
_DECISION_TYPES = (
    *("include", "focus", "stageWaitingTime", "acquisitionOrder", "foilHoleSelection", "gridSquareSelection"),
    *("iceThicknessFoilHolePrediction", "automaticFoilHoleFinding"),
)
_DECISION_FIELDS = {
    "id": str,
    "sessionId": str,
    "areaId": int,
    "decisionType": str,
    "pluginType": str,
    "decisionValue": str,
    "decidedBy": str,
    "details": str,
    "timestamp": str,
}
_AREA_TYPES = ("gridsquare", "foilhole", "atlas", "particle")


class _RefusedError(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class StandIn:
    """The service's memory; `serve` puts it on a port, again and again if need be."""

    def __init__(self) -> None:
        self.sessions: dict[str, str] = {SESSION_ID: SESSION_NAME}
        """Names by id."""
        self.areas: dict[int, tuple[str, int | None]] = {}
        """Type and parent by id."""
        self.decisions: list[dict[str, Any]] = []
        """As they came."""
        self.complaints: list[str] = []
        """What was refused, and why: a client that keeps to the description leaves it empty."""
        self.requests: list[str] = []
        self.token: str | None = None
        self.broken: Callable[[], int | None] = lambda: None
        """A status to answer with instead of all else."""
        self.delay_s = 0.0
        self.port = _free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    def register(self, squares: dict[int, list[int]]) -> None:
        """Squares with their holes, as EPU does."""
        for square, holes in squares.items():
            self.areas[square] = "gridsquare", None
            self.areas.update(dict.fromkeys(holes, ("foilhole", square)))

    def latest(self, decision_type: str) -> dict[int, str]:
        """What `LatestDecision` would answer, by area."""
        found = {}
        for one in self.decisions:
            if one["decisionType"] == decision_type:
                found[one["areaId"]] = one["decisionValue"]
        return found

    @contextmanager
    def serve(self) -> Iterator[StandIn]:
        server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="stand-in")
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, object]:
        parts = urlsplit(target)
        path = unquote(parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append(f"{method} {path}")
        if self.token is not None and headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {"title": "Unauthorized", "status": 401}
        try:
            return self._answer(method, path, query, headers, body)
        except _RefusedError as error:
            if error.status != 404:
                self.complaints.append(f"{method} {path}: {error}")
            return error.status, {"title": str(error), "status": error.status}

    def _answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> tuple[int, object]:
        if not path.startswith(f"{PREFIX}/api/v1/"):
            raise _RefusedError(400, "not of this service")
        words = path.removeprefix(f"{PREFIX}/api/v1/").split("/")
        match method, words:
            case "GET", ["Session"]:
                _only(query, "sessionName")
                for session_id, name in self.sessions.items():
                    if name == query.get("sessionName"):
                        return 200, self._session(session_id)
                raise _RefusedError(404, "session has not been registered")
            case "GET", ["Session", session_id]:
                return 200, self._session(self._known(session_id))
            case "GET", ["Session", session_id, "Areas"]:
                _only(query, "areaType", "parentAreaId")
                return 200, self._areas(self._known(session_id), query)
            case "POST", ["Decisions"]:
                if headers.get("Content-Type") != "application/json":
                    raise _RefusedError(415, "not JSON")
                return 201, self._take(json.loads(body))
        raise _RefusedError(405, "no such call in the description")

    def _session(self, session_id: str) -> dict[str, object]:
        return {
            "sessionId": session_id,
            "sessionName": self.sessions[session_id],
            "athenaId": None,
            "timestamp": "2026-01-01T09:00:00Z",
            "gridType": "HoleyCarbon",
        }

    def _areas(self, session_id: str, query: dict[str, str]) -> list[dict[str, object]]:
        return [
            {"id": area_id, "sessionId": session_id, "areaType": area_type, "parentId": parent}
            for area_id, (area_type, parent) in self.areas.items()
            if query.get("areaType") in (None, area_type)
        ]

    def _known(self, session_id: str, status: int = 404) -> str:
        try:
            uuid.UUID(session_id)
        except ValueError:
            raise _RefusedError(400, f"{session_id!r} is no UUID") from None
        if session_id not in self.sessions:
            raise _RefusedError(status, "session has not been registered")
        return session_id

    def _take(self, posted: Any) -> list[dict[str, Any]]:
        if not isinstance(posted, list) or not posted:
            raise _RefusedError(400, "the provided decision collection is empty")
        for one in posted:
            self._check(one)
        taken = [{**one, "id": str(uuid.uuid4()), "timestamp": "2026-01-01T10:00:00Z"} for one in posted]
        self.decisions += taken
        return taken

    def _check(self, one: Any) -> None:
        if not isinstance(one, dict) or (strange := set(one) - set(_DECISION_FIELDS)):
            raise _RefusedError(
                400, f"no DecisionRecord: {one!r} has {strange if isinstance(one, dict) else 'no fields'}"
            )
        for name, value in one.items():
            if type(value) is not _DECISION_FIELDS[name]:
                raise _RefusedError(400, f"{name} is {value!r}")
        if {"id", "timestamp"} & set(one):
            raise _RefusedError(400, "id and timestamp are the service's")
        missing = {"sessionId", "areaId", "decisionType", "decisionValue"} - set(one)
        if missing:
            raise _RefusedError(400, f"{missing} missing")
        self._known(one["sessionId"], status=409)
        if not 0 < one["areaId"] < 2**31:
            raise _RefusedError(400, f"{one['areaId']} is no int32 of an area")
        if one["areaId"] not in self.areas:
            raise _RefusedError(409, f"area {one['areaId']} has not been registered")
        if one["decisionType"] not in _DECISION_TYPES or one.get("pluginType") not in ("default", "custom", "dummy"):
            raise _RefusedError(400, f"{one['decisionType']} by {one.get('pluginType')} is unknown")
        self._check_value(one)

    def _check_value(self, one: dict[str, Any]) -> None:
        """As the samples in the description have them; of an order there is none."""
        value, area_type = one["decisionValue"], self.areas[one["areaId"]][0]
        right_place = "foilhole", one["areaId"]  # of a hole, where EPU has registered it by now
        match one["decisionType"]:
            case "include":
                right = value in ("true", "false")
            case "acquisitionOrder":
                right = value.isdecimal() and int(value) >= 1
            case "foilHoleSelection":
                right = area_type == "gridsquare" and all(
                    set(hole) == {"areaId", "result"}
                    and self.areas.get(hole["areaId"], right_place) == right_place
                    and hole["result"] in ("true", "false")
                    for hole in json.loads(value)
                )
            case _:
                right = False
        if not right:
            raise _RefusedError(400, f"{one['decisionType']} of a {area_type} is {value!r}")


def _only(query: dict[str, str], *names: str) -> None:
    if set(query) - set(names):
        raise _RefusedError(400, f"unknown parameters {set(query) - set(names)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _handler(service: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(service.delay_s)
            broken = service.broken()
            if broken is not None:
                service.requests.append(f"{self.command} answered {broken}")
                status, answer = broken, {"status": broken}
            else:
                status, answer = service.answer(self.command, self.path, self.headers, body)
            text = json.dumps(answer).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            except OSError:  # whoever asked has gone
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _do  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler
