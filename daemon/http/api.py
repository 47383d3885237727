"""What a session answers over HTTP: from a request to a status, a type and a body.

No server lives here: `frazil.daemon.http.server` puts it behind Ray Serve. What there is stands in
`frazil.daemon.http.routes`. Reading is free on loopback; writing needs a token, and without one nothing can be written.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from frazil.config.errors import FrazilError, NotThereError, RetryLaterError, UsageError
from frazil.daemon.http.exchange import HttpReply, HttpRequest
from frazil.daemon.http.openapi import make_document
from frazil.daemon.http.orders import MAX_BODY_BYTES, Order, read_order
from frazil.daemon.http.page_answers import PageAnswers, as_page
from frazil.daemon.http.parameters import Parameter, Value
from frazil.daemon.http.routes import CSV, JSON, METRICS, MRC, PNG, QueryDoc, Route, make_routes
from frazil.daemon.page.source import PageSource

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RETRY_AFTER_S = "1"


class FullError(RetryLaterError):
    """More is asked than may be answered; ask again after `retry_after_s`."""

    def __init__(self, what: str, *, retry_after_s: float) -> None:
        super().__init__(what, remedy="ask again later, or less often")
        self.retry_after_s = retry_after_s


class SessionSource(PageSource, Protocol):
    """Where the answers come from; raises `frazil.config.errors` types. Values have been checked against the table."""

    def state(self) -> bytes:
        """The newest state as JSON."""
        ...

    def summary(self) -> bytes:
        """The session's summary as JSON."""
        ...

    def metrics(self) -> bytes:
        """The newest state in Prometheus' text format."""
        ...

    def query(self, name: str, params: Mapping[str, Value]) -> bytes:
        """Rows of a named query as JSON."""
        ...

    def picture(self, movie_id: str, kind: str, *, small: bool, width_px: int) -> bytes:
        """A movie's picture as PNG, at most `width_px` along its longer side; `small`: from its thumbnail."""
        ...

    def plan(self, experiment_id: str) -> bytes:
        """An experiment's order as CSV. Raises `NotThereError`."""
        ...

    def next(self, limit: int, grid: str) -> bytes:
        """Where to shoot next, as JSON."""
        ...

    def next_text(self, limit: int, grid: str) -> bytes:
        """The same as lines for a script."""
        ...

    def map_picture(self, kind: str) -> bytes:
        """A picture of the running map as PNG."""
        ...

    def micrograph_file(self, movie_id: str, kind: str) -> Path:
        """The MRC file itself."""
        ...

    def order(self, order: Order, key: str) -> str:
        """Carries an order out, the same `key` (if not empty) only once; returns what became of it."""
        ...


@dataclass(frozen=True, slots=True)
class HttpRules:
    """Who may do what.

    `token_digest` is `digest_of` the token that writing needs (None: nothing can be written). `host_names` are names
    of this machine beside `localhost` and 127.0.0.1. `reading_needs_token` is for what listens beyond loopback.
    """

    token_digest: bytes | None = None
    reading_needs_token: bool = False
    host_names: tuple[str, ...] = ()


def digest_of(token: str) -> bytes:
    """What is kept of a token: enough to know it again."""
    return hashlib.sha256(token.encode()).digest()


class SessionApi:
    """See the module.

    Parameters
    ----------
    queries:
        The named queries that are answered.
    schemas:
        JSON Schemas of what `source` returns: `State`, `Rows`, `Summary` and what they refer to.
    """

    def __init__(
        self,
        source: SessionSource,
        *,
        queries: Mapping[str, QueryDoc],
        schemas: Mapping[str, Any],
        rules: HttpRules,
        version: str,
    ) -> None:
        self._source, self._rules = source, rules
        self._pages = PageAnswers(source)
        self._routes = make_routes(queries)
        self._names = frozenset({"127.0.0.1", "localhost", *(name.lower() for name in rules.host_names)})
        document = make_document(
            self._routes,
            schemas,
            version=version,
            writing=rules.token_digest is not None,
            reading_needs_token=rules.reading_needs_token,
        )
        self._document = json.dumps(document).encode()

    def answer(self, request: HttpRequest) -> HttpReply:
        """The reply to one request; a HEAD is answered like a GET (the server leaves the body out).

        The Host header has to be a name of this machine: another one means that a web page in someone's browser was
        led here (DNS rebinding).
        """
        if request.host.rsplit(":", 1)[0].lower() not in self._names:
            return _failure(403, f"not for the host name {request.host[:80]!r}", "use http://127.0.0.1")
        parts = request.path.strip("/").split("/")
        here = [(route, of_path) for route in self._routes if (of_path := route.takes(parts)) is not None]
        if not here:
            return _failure(404, f"there is nothing at {request.path[:200]}", "look into /openapi.json")
        allowed = {"Allow": ", ".join(_methods(route for route, _ in here))}
        if request.method == "OPTIONS":
            return HttpReply(204, JSON, b"", allowed)
        method = "GET" if request.method == "HEAD" else request.method
        for route, of_path in here:
            if route.method == method:
                return self._guarded(route, of_path, request)
        return _failure(405, f"{request.method[:20]} is not answered here", f"use {allowed['Allow']}", allowed)

    def _guarded(self, route: Route, of_path: Mapping[str, str], request: HttpRequest) -> HttpReply:
        reply = self._refused_access(route, request) or _refused_body(route, request)
        if reply is None:
            try:
                reply = self._called(route, of_path, request)
            except FrazilError as error:
                reply = _failure_of(error)
        return as_page(reply) if route.answer == "page" and reply.content_type == JSON else reply

    def _refused_access(self, route: Route, request: HttpRequest) -> HttpReply | None:
        """Why the caller may not do this; None: it may."""
        rules = self._rules
        if route.method == "POST" and rules.token_digest is None:
            return _failure(
                403, "this session is read-only: it was started without a token", "start it with --http-token-file"
            )
        if route.method != "POST" and (route.open or not rules.reading_needs_token):
            return None
        scheme, _, token = request.authorization.partition(" ")
        digest = digest_of(token.strip())
        if scheme.lower() == "bearer" and hmac.compare_digest(digest, rules.token_digest or b""):
            return None
        return _failure(
            401,
            "the token is missing or wrong",
            "send the header `Authorization: Bearer TOKEN`",
            {"WWW-Authenticate": 'Bearer realm="frazil"'},
        )

    def _called(self, route: Route, of_path: Mapping[str, str], request: HttpRequest) -> HttpReply:
        values = _values(route.parameters, of_path, request.params)
        source = self._source
        if (shown := self._pages.answer(route, values)) is not None:
            return shown
        match route.answer:
            case "document":
                return HttpReply(200, JSON, self._document)
            case "state":
                return HttpReply(200, JSON, source.state())
            case "summary":
                return HttpReply(200, JSON, source.summary())
            case "metrics":
                return HttpReply(200, f"{METRICS}; version=0.0.4; charset=utf-8", source.metrics())
            case "query":
                given = {key: value for key, value in values.items() if value is not None}
                return HttpReply(200, JSON, source.query(route.query or "", given))
            case "plan":
                return HttpReply(200, f"{CSV}; charset=utf-8", source.plan(str(values["experiment_id"])))
            case "next" | "next_text":
                return self._next(values, lines=route.answer == "next_text")
            case "thumbnail" | "micrograph":
                return self._picture(values, small=route.answer == "thumbnail")
            case _:
                return self._ordered(route, request)

    def _next(self, values: Mapping[str, Value], *, lines: bool) -> HttpReply:
        limit, grid = _whole(values["limit"]), str(values["grid"] or "")
        if lines:
            return HttpReply(200, f"{METRICS}; charset=utf-8", self._source.next_text(limit, grid))
        return HttpReply(200, JSON, self._source.next(limit, grid))

    def _picture(self, values: Mapping[str, Value], *, small: bool) -> HttpReply:
        movie_id, kind = str(values["movie_id"]), str(values["kind"])
        if values.get("format") == "mrc":
            path = self._source.micrograph_file(movie_id, kind)
            return HttpReply(200, MRC, b"", file=path)
        width_px = _whole(values["width_px"])
        return HttpReply(200, PNG, self._source.picture(movie_id, kind, small=small, width_px=width_px))

    def _ordered(self, route: Route, request: HttpRequest) -> HttpReply:
        key = request.idempotency_key
        if key is not None and not _KEY.fullmatch(key):
            raise UsageError(
                "Idempotency-Key is not a name", remedy="give 1 to 64 letters, digits, underscores or hyphens"
            )
        body = b"{}" if not request.body and not route.body_required else request.body
        order = read_order(route.body or "", body)
        try:
            message = self._source.order(order, key or "")
        except UsageError as error:
            # The body is as the document has it; what it asks for cannot be (an experiment of two holes).
            return _failure(409, error.what, error.remedy)
        return HttpReply(200, JSON, json.dumps({"message": message}).encode())


def _whole(value: Value) -> int:
    assert isinstance(value, int), "the table says so"
    return value


def _methods(routes: Iterable[Route]) -> list[str]:
    methods = {route.method for route in routes}
    return sorted({*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())})


def _values(
    parameters: tuple[Parameter, ...], of_path: Mapping[str, str], given: tuple[tuple[str, str], ...]
) -> dict[str, Value]:
    """Each parameter's value, its default where it was left out. Raises `UsageError`."""
    known = {parameter.name: parameter for parameter in parameters}
    texts = dict(of_path)
    for name, text in given:
        if name not in known or known[name].where == "path":
            names = ", ".join(parameter.name for parameter in parameters if parameter.where == "query") or "none"
            raise UsageError(f"there is no parameter {name[:80]!r}", remedy=f"it takes: {names}")
        if name in texts:
            raise UsageError(f"{name} is given twice", remedy="give it once")
        texts[name] = text
    for name, parameter in known.items():
        if parameter.required and name not in texts:
            raise UsageError(f"the parameter {name} is missing", remedy=f"give {name}")
    return {
        name: parameter.read(texts[name]) if name in texts else parameter.default for name, parameter in known.items()
    }


def _refused_body(route: Route, request: HttpRequest) -> HttpReply | None:
    """Why the request's body is not read; None: it is, or none is wanted."""
    if route.body is None:
        return None
    if len(request.body) > MAX_BODY_BYTES:
        return _failure(413, f"the body is larger than {MAX_BODY_BYTES} bytes", "say it in fewer words")
    if request.body and request.content_type.partition(";")[0].strip().lower() != JSON:
        return _failure(415, "the body is not JSON", f"send the header `Content-Type: {JSON}`")
    return None


def _failure_of(error: FrazilError) -> HttpReply:
    """By its type: what cannot be answered as it was asked, what may be asked again, and the rest."""
    match error:
        case NotThereError():
            return _failure(404, error.what, error.remedy)
        case UsageError():
            return _failure(400, error.what, error.remedy)
        case FullError():
            retry_after_s = str(max(1, math.ceil(error.retry_after_s)))
            return _failure(429, error.what, error.remedy, {"Retry-After": retry_after_s})
        case RetryLaterError():
            return _failure(503, error.what, error.remedy, {"Retry-After": _RETRY_AFTER_S})
        case _:
            return _failure(500, error.what, error.remedy)


def _failure(status: int, what: str, remedy: str | None, headers: Mapping[str, str] | None = None) -> HttpReply:
    return HttpReply(status, JSON, json.dumps({"error": what, "remedy": remedy}).encode(), headers or {})
