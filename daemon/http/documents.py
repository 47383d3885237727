"""How what the daemon returns is described in the OpenAPI document: made from the very types that are returned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from frazil.daemon.http.parameters import Parameter
from frazil.daemon.http.routes import QueryDoc
from frazil.daemon.report.next_targets import NextAnswer
from frazil.daemon.report.summary.records import SessionSummary
from frazil.daemon.report.summary.text import SUMMARY_COUNTS, SUMMARY_MOVIE_BY_MOVIE
from frazil.daemon.store.queries.catalogue import NAMED
from frazil.daemon.transport.messages import LiveState, Rows

_REFERENCE = "#/components/schemas/{name}"


def named_queries() -> dict[str, QueryDoc]:
    """All named queries of the store."""
    return {
        name: QueryDoc(
            query.doc,
            tuple(
                Parameter(
                    key,
                    param.kind,
                    param.default,
                    param.required,
                    param.choices,
                    param.several,
                    param.least,
                    param.most,
                )
                for key, param in query.params.items()
            ),
        )
        for name, query in NAMED.items()
    }


def answer_schemas() -> dict[str, Any]:
    """`State`, `Rows`, `Summary`, `Next` and what they refer to."""
    kinds = {"State": LiveState, "Rows": Rows, "Summary": SessionSummary, "Next": NextAnswer}
    roots, parts = msgspec.json.schema_components(kinds.values(), ref_template=_REFERENCE)
    found: dict[str, Any] = dict(parts)
    for name, root in zip(kinds, roots, strict=True):
        own = root["$ref"].rsplit("/", 1)[1]
        if own != name:
            found[name] = found.pop(own)
    _as_written(found["Summary"])
    kept = _reachable(found, tuple(kinds))
    return {
        name: _nullable_numbers(schema) if name in _summary_parts(kept) else schema for name, schema in kept.items()
    }


def _as_written(summary: dict[str, Any]) -> None:
    """`to_json` leaves the curves out and counts movies."""
    for name in SUMMARY_MOVIE_BY_MOVIE:
        del summary["properties"][name]
    summary["properties"] |= {name: {"type": "integer"} for name in SUMMARY_COUNTS}
    # A dataclass is written whole, also what has a default.
    summary["required"] = [f.name for f in fields(SessionSummary) if f.name not in SUMMARY_MOVIE_BY_MOVIE] + list(
        SUMMARY_COUNTS
    )


def _summary_parts(schemas: Mapping[str, Any]) -> set[str]:
    return set(_reachable(schemas, ("Summary",)))


def _reachable(schemas: Mapping[str, Any], roots: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = schemas[name]
            todo += _references(schemas[name])
    return found


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        here = [schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else []
        return here + [name for value in schema.values() for name in _references(value)]
    if isinstance(schema, list):
        return [name for value in schema for name in _references(value)]
    return []


def _nullable_numbers(schema: Any) -> Any:
    """JSON has no NaN: where the summary has one it says null."""
    if isinstance(schema, list):
        return [_nullable_numbers(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _nullable_numbers(value) for key, value in schema.items()}
    if found.get("type") == "number":
        found["type"] = ["number", "null"]
    return found
