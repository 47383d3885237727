"""The OpenAPI 3.1 document of a session, made of the table that routes its requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from frazil.daemon.http.orders import body_schemas
from frazil.daemon.http.routes import HTML, JSON, Route

_TOKEN = "token"
ALWAYS = (400, 401, 403, 405, 429, 500, 503)
WHEN = {
    400: "A parameter or the body is not what this document says.",
    401: "The token is missing or wrong.",
    403: "The session is read-only, or was called by a name that is not this machine's.",
    404: "There is no such thing, or not yet.",
    405: "This path has no such method.",
    409: "What is asked for cannot be done; the message says why.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "Too much is asked of the session at once: ask again after `Retry-After` seconds.",
    500: "The daemon could not do it; its log says why.",
    503: "The daemon does not answer: ask again after `Retry-After` seconds.",
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    405: {"Allow": {"schema": {"type": "string"}, "required": True}},
    429: {"Retry-After": {"schema": {"type": "string"}, "required": True}},
    503: {"Retry-After": {"schema": {"type": "string"}, "required": True}},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key twice is carried out once.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "Why there is no answer, and what to do.",
    "properties": {"error": {"type": "string"}, "remedy": {"type": ["string", "null"]}},
    "required": ["error", "remedy"],
    "additionalProperties": False,
}
_DONE: dict[str, Any] = {
    "type": "object",
    "properties": {"message": {"type": "string", "description": "What became of it."}},
    "required": ["message"],
    "additionalProperties": False,
}


def make_document(
    routes: Sequence[Route], schemas: Mapping[str, Any], *, version: str, writing: bool, reading_needs_token: bool
) -> dict[str, Any]:
    """The document. `schemas` describes what the session's source returns (`State`, `Rows`, `Summary`).

    `writing`: there is a token; without one no header helps, and none is asked for.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(
            route, guarded=writing if route.method == "POST" else reading_needs_token and not route.open
        )
        paths.setdefault("/" + "/".join(route.path), {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "frazil session",
            "version": version,
            "description": "A cryo-EM session while it runs. Times are UTC microseconds, units end the names.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {
                **schemas,
                **body_schemas(),
                "Problem": PROBLEM,
                "Done": _DONE,
                "Document": {"type": "object", "required": ["openapi", "info", "paths"]},
                "Text": {"type": "string"},
            },
            "responses": {
                **{str(status): _failure(status) for status in WHEN},
                **{f"page{status}": _failure(status, page=True) for status in WHEN},
            },
            "securitySchemes": {_TOKEN: {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, *, guarded: bool) -> dict[str, Any]:
    good = {
        "description": "The answer.",
        "content": {
            kind: {"schema": {} if name is None else {"$ref": f"#/components/schemas/{name}"}}
            for kind, name in route.answers.items()
        },
    }
    failures = sorted({*ALWAYS, *route.failures})
    found: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.words,
        "parameters": [one.document() for one in route.parameters],
        "responses": {
            "200": good,
            **{
                str(status): {"$ref": f"#/components/responses/{'page' if route.page else ''}{status}"}
                for status in failures
            },
        },
    }
    if route.body is not None:
        schema = {"$ref": f"#/components/schemas/{route.body}"}
        found["requestBody"] = {"required": route.body_required, "content": {JSON: {"schema": schema}}}
        found["parameters"].append(_KEY)
    if guarded:
        found["security"] = [{_TOKEN: []}]
    return found


def _failure(status: int, *, page: bool = False) -> dict[str, Any]:
    """`page`: it is told as a page to a person, but where it is refused before anybody knows what was asked for."""
    content: dict[str, Any] = {JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if page:
        content[HTML] = {"schema": {}}
    found: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}. {WHEN[status]}",
        "content": content,
    }
    if status in _HEADERS:
        found["headers"] = _HEADERS[status]
    return found
