"""docs/api.md from the table of routes: every one with its parameters, a good answer, and how it fails. Pure.

`python -m frazil.daemon.cli.api_page > docs/api.md` runs it on a small session; a test compares.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frazil.daemon.http.openapi import ALWAYS, WHEN
from frazil.daemon.http.parameters import INT64_MAX, Parameter
from frazil.daemon.http.routes import JSON, Route

_LONGEST_LIST, _LONGEST_OBJECT, _LONGEST_TEXT, _MOST_LINES = 2, 12, 300, 12
_DEPTH = 3
_PNG_SIZE = slice(16, 24)
"""Where a PNG file says how wide and high it is (PNG specification, IHDR)."""
_WANTED = "has to be given"
_KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Example:
    """A request and what came of it."""

    path: str
    """With its query."""
    status: int
    content_type: str
    body: bytes
    sent: bytes = b""
    """The request's own body."""


Ask = Callable[[Route], Example | None]
"""Runs a route; None: there is no example of it."""

_INTRODUCTION = """# The HTTP API

<!-- Made by `python -m frazil.daemon.cli.api_page > docs/api.md` from daemon/http/routes.py; edit that. -->

Served by `frazil watch RAW --session SESSION --http 8265`, and of a finished session by `frazil page SESSION --serve
8265` (reading only). How to switch it on, who may read and write, and how it keeps out of the movies' way:
[http.md](http.md). The same as an OpenAPI document for client generators: `GET /openapi.json`. What the numbers mean:
[numbers.md](numbers.md).

- Times are UTC microseconds (`_utc_us`); units end the names; `null` means not known, never zero.
- **Token.** Reading needs none on this machine. Orders (POST) need the one of `--http-token-file`, as the header
  `Authorization: Bearer TOKEN`; without `--http-token-file` all of them are refused (403). Where `http.address` is
  not this machine's own 127.0.0.1, reading needs it, too.
- **Body of a POST**: JSON, with `Content-Type: application/json`. `who` stands beside it in the session's tables
  (default `http`). With the header `Idempotency-Key` (1 to 64 letters, digits, `_`, `-`) the same key twice is
  carried out once: send it again when an answer was lost.
- **HEAD** is answered like GET without the body, **OPTIONS** with what a path allows.
- Every failure is `{"error": ..., "remedy": ...}`; of the web page the same two sentences as a page. A parameter that
  is not listed is refused, not ignored.

Answers below were made by running each request on a session of three movies; `...` stands for what was left out.
"""


def api_page(routes: Sequence[Route], bodies: Mapping[str, Any], ask: Ask) -> str:
    """The page. `bodies`: JSON Schemas of what is sent, by the name that a route has for its body."""
    pages = [route for route in routes if route.page or route.answer in ("asset", "events")]
    queries = [route for route in routes if route.query is not None]
    orders = [route for route in routes if route.method == "POST"]
    others = [route for route in routes if route not in pages and route not in queries and route not in orders]
    lines = [_INTRODUCTION, *_glance(others, queries, orders, pages), *_failures()]
    lines += ["## Reading\n"]
    for route in others:
        lines += [*_head(route), *_parameters(route.parameters), *_answer(route, ask(route)), *_own_failures(route)]
    lines += ["## Named queries\n", *_queries(queries, ask)]
    lines += ["## Orders\n", 'Each needs the token. All answer `{"message": ...}`: what became of it.\n']
    for route in orders:
        lines += [*_title(route), *_fields(bodies, route), *_answer(route, ask(route)), *_own_failures(route)]
    lines += [
        "## The web page\n",
        "For a browser ([page.md](page.md)): HTML, its style and scripts, and a stream of events.\n",
    ]
    for route in pages:
        lines += [*_head(route), *_parameters(route.parameters), *_own_failures(route)]
    return "\n".join(lines).rstrip() + "\n"


def path_of(route: Route) -> str:
    return "/" + "/".join(route.path)


def _glance(*groups: Sequence[Route]) -> Iterator[str]:
    yield "## All paths\n"
    yield "| request | answers | token |\n|---|---|---|"
    for route in (route for group in groups for route in group if route.query is None):
        token = "yes" if route.method == "POST" else ""
        yield f"| `{route.method} {path_of(route)}` | {_cell(route.words)} | {token} |"
    yield "| `GET /query/NAME` | Rows of a named query; each has a path with its own parameters: below. | |\n"


def _failures() -> Iterator[str]:
    yield "## How requests fail\n"
    yield "| status | when | of |\n|---|---|---|"
    for status, words in WHEN.items():
        yield f"| {status} | {words} | {'every path' if status in ALWAYS else 'where it is named'} |"
    yield ""


def _title(route: Route) -> Iterator[str]:
    yield f"### {route.method} {path_of(route)}\n"


def _head(route: Route) -> Iterator[str]:
    yield from _title(route)
    yield f"{route.words}\n"


def _parameters(parameters: Sequence[Parameter]) -> Iterator[str]:
    if not parameters:
        return
    yield "| parameter | is | default | |\n|---|---|---|---|"
    for one in parameters:
        default = _WANTED if one.required or one.where == "path" else "" if one.default is None else f"`{one.default}`"
        yield f"| `{one.name}` | {_kind(one)} | {default} | {_cell(one.words)} |"
    yield ""


def _kind(one: Parameter) -> str:
    if one.choices:
        shown = ", ".join(f"`{choice}`" for choice in one.choices)
        return f"some of, with commas: {shown}" if one.several else shown
    most = f" to {one.most}" if one.most is not None and one.most < INT64_MAX else ""
    least = f" from {one.least}" if one.least is not None else ""
    return _KINDS[one.kind] + least + most


def _answer(route: Route, example: Example | None) -> Iterator[str]:
    kinds = ", ".join(f"`{kind}`" for kind in route.answers)
    yield f"Answers {kinds}." + ("" if example is not None else "\n")
    if example is None:
        return
    yield "\n```text"
    yield f"{route.method} {example.path}" + (f"\n{example.sent.decode()}" if example.sent else "")
    yield f"-> {example.status} {example.content_type}"
    yield from _shown(example)
    yield "```\n"


def _shown(example: Example) -> Iterator[str]:
    kind = example.content_type.partition(";")[0]
    if kind == JSON:
        yield json.dumps(shortened(json.loads(example.body)), ensure_ascii=False, indent=1)
    elif kind.startswith("text/"):
        lines = example.body.decode().splitlines()
        yield from (line[:_LONGEST_TEXT] for line in lines[:_MOST_LINES])
        if len(lines) > _MOST_LINES:
            yield "..."
    else:
        width_px, height_px = struct.unpack(">II", example.body[_PNG_SIZE])
        yield f"(a picture of {width_px} x {height_px} px)"


def shortened(value: Any, depth: int = _DEPTH) -> Any:
    """The beginning of a long list, text or inner object; what lies deeper than three is only hinted at.

    >>> shortened([[1], [2], [3], [4]])
    [[1], [2], '...']
    """
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + " ..."
    if not isinstance(value, list | dict) or not value:
        return value
    if depth == 0:
        return "..."
    if isinstance(value, list):
        if all(not isinstance(item, list | dict) for item in value):
            return [shortened(item) for item in value[:_LONGEST_OBJECT]] + (
                ["..."] if len(value) > _LONGEST_OBJECT else []
            )
        cut = ["..."] if len(value) > _LONGEST_LIST else []
        return [shortened(item, depth - 1) for item in value[:_LONGEST_LIST]] + cut
    most = len(value) if depth == _DEPTH else _LONGEST_OBJECT
    kept = {key: shortened(item, depth - 1) for key, item in list(value.items())[:most]}
    return kept | ({"...": f"{len(value) - most} more"} if len(value) > most else {})


def _own_failures(route: Route) -> Iterator[str]:
    if route.failures:
        yield f"Fails also with {', '.join(str(status) for status in route.failures)}.\n"


def _queries(routes: Sequence[Route], ask: Ask) -> Iterator[str]:
    """A table: all of them answer in one form."""
    yield "All answer `columns`, `rows` (a list of values each, in the order of the columns), `truncated` and `total`"
    yield "(rows without `limit`; `null`: not counted). `frazil query --list` has the same list; other names are 404.\n"
    first = next(route for route in routes if route.query == "movies")
    yield from _answer(first, ask(first))
    for route in routes:
        yield f"### GET {path_of(route)}\n"
        yield f"{route.words}\n"
        yield from _parameters(route.parameters)
        example = ask(route)
        if example is not None:
            columns = json.loads(example.body)["columns"]
            yield f"Columns: {', '.join(f'`{column}`' for column in columns)}.\n"


def _fields(bodies: Mapping[str, Any], route: Route) -> Iterator[str]:
    """Tables of what may be sent; where there are several forms, one each."""
    schema = bodies[str(route.body)]
    forms = schema.get("anyOf", [schema])
    if len(forms) > 1:
        yield f"{route.words}\n"
    for form in forms:
        found = bodies[form["$ref"].rsplit("/", 1)[1]] if "$ref" in form else form
        yield f"{' '.join(found.get('description', route.words).split())}\n"
        yield "| field | is | |\n|---|---|---|"
        for field, its in found["properties"].items():
            wanted = _WANTED if field in found.get("required", ()) else ""
            yield f"| `{field}` | {_schema_words(its)} | {wanted} |"
        yield ""


def _schema_words(its: Mapping[str, Any]) -> str:
    if "enum" in its:
        return ", ".join(f"`{choice}`" for choice in its["enum"] if choice is not None)
    if "anyOf" in its:
        return " or ".join(dict.fromkeys(_schema_words(one) for one in its["anyOf"]))
    if "$ref" in its:
        return f"`{its['$ref'].rsplit('/', 1)[1]}` of /openapi.json"
    if its.get("type") == "array":
        return f"list of {_schema_words(its['items'])}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    least, most = its.get("minimum", its.get("exclusiveMinimum")), its.get("maximum", its.get("exclusiveMaximum"))
    kind = words.get(str(its.get("type")), str(its.get("type")))
    return kind + (f" from {least:g}" if least is not None else "") + (f" to {most:g}" if most is not None else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
