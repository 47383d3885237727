"""A session's answers as an ASGI application: between Starlette's requests and `frazil.daemon.http.api`."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from frazil.daemon.http.api import HttpRules, SessionApi, SessionSource
from frazil.daemon.http.documents import answer_schemas, named_queries
from frazil.daemon.http.event_stream import MOST_STREAMS, events
from frazil.daemon.http.exchange import HttpReply, HttpRequest
from frazil.daemon.http.orders import MAX_BODY_BYTES
from frazil.daemon.http.routes import EVENTS, JSON
from frazil.daemon.transport.messages import LiveState

_log = logging.getLogger(__name__)
_THREADS = 16
_MOST_AT_ONCE = 96
"""Requests under way; more are told to come back later, so that none waits for ever."""
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_FULL = {"error": "too many requests at once", "remedy": "ask again later, or less often"}
_BROKEN = {"error": "this could not be answered", "remedy": "see the daemon's log for the details"}


def make_api(source: SessionSource, rules: HttpRules) -> SessionApi:
    """All that this release answers."""
    return SessionApi(source, queries=named_queries(), schemas=answer_schemas(), rules=rules, version=version("frazil"))


class HttpApp:
    """Answers in threads of its own, at most so many requests at once."""

    def __init__(self, api: SessionApi, *, event_every_s: float = 1.0) -> None:
        self._api, self._every_s = api, event_every_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="frazil-http")
        self._under_way = 0
        self._streams = 0

    def close(self) -> None:
        """Waits for what is under way."""
        self._threads.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3, HTTP alone."""
        if scope["type"] == "http":
            response = await self.respond(Request(scope, receive))
            await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Never raises, but when the client has gone."""
        if self._under_way >= _MOST_AT_ONCE:
            return Response(json.dumps(_FULL), 429, {**_ALWAYS, "Retry-After": "1"}, JSON)
        self._under_way += 1
        try:
            asked = await _read(request)
            reply = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, asked)
        finally:
            self._under_way -= 1
        if reply.events is not None and request.method != "HEAD":
            return self._stream(reply.events)
        return _response(reply, with_body=request.method != "HEAD")

    def _stream(self, look: Callable[[], LiveState]) -> Response:
        if self._streams >= MOST_STREAMS:
            return Response(json.dumps(_FULL), 429, {**_ALWAYS, "Retry-After": "30"}, JSON)

        async def told() -> AsyncIterator[bytes]:
            self._streams += 1
            try:
                async for event in events(look, self._threads, every_s=self._every_s):
                    yield event
            finally:
                self._streams -= 1

        return StreamingResponse(told(), 200, _ALWAYS, EVENTS)

    def _answer(self, asked: HttpRequest) -> HttpReply:
        try:
            return self._api.answer(asked)
        except Exception:  # thread boundary: one request's fault is told to its caller and to the log
            _log.exception("%s %s", asked.method, asked.path)
            return HttpReply(500, JSON, json.dumps(_BROKEN).encode())


async def _read(request: Request) -> HttpRequest:
    headers = request.headers
    return HttpRequest(
        request.method,
        request.url.path,
        headers.get("host", ""),
        tuple(request.query_params.multi_items()),
        headers.get("authorization", ""),
        headers.get("content-type", ""),
        headers.get("idempotency-key"),
        await _body(request) if request.method == "POST" else b"",
    )


async def _body(request: Request) -> bytes:
    """At most one byte more than is allowed; the rest is not read."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                break
    except ClientDisconnect:
        return b""
    return body[: MAX_BODY_BYTES + 1]


def _response(reply: HttpReply, *, with_body: bool) -> Response:
    headers = {**_ALWAYS, **reply.headers}
    if reply.file is not None:
        path = Path(reply.file)
        return FileResponse(path, reply.status, headers, reply.content_type, filename=path.name)
    response = Response(reply.body, reply.status, headers, reply.content_type)
    if not with_body:
        response.body = b""  # its length stays that of the answer to a GET
    return response
