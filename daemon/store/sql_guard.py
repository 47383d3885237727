"""Read-only SQL of a person's, on the live database, that can neither write nor run away.

Four fences, each tried out: the statement must be one SELECT (or EXPLAIN of one) by DuckDB's own parser; its syntax
tree may call only table functions from a list (some of DuckDB's take raw memory addresses or checkpoint); it runs in a
read-only transaction on a connection whose configuration is locked without access to files; and a timer interrupts
it. Untrusted people are not the case that this is for: it keeps a colleague's typo from hurting a night's session.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from frazil.config.errors import QueryError
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.table import Table, make_table

_TABLE_FUNCTIONS = frozenset(
    {
        "database_size",
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_functions",
        "duckdb_indexes",
        "duckdb_keywords",
        "duckdb_memory",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "histogram",
        "histogram_values",
        "json_each",
        "json_tree",
        "pragma_database_size",
        "pragma_show",
        "pragma_table_info",
        "pragma_version",
        "range",
        "repeat",
        "show_tables",
        "summary",
        "table_info",
        "unnest",
        "version",
    }
)
_REFUSED_FUNCTIONS = frozenset(
    {
        "invoke",
        "json_execute_serialized_sql",
        "nextval",
        "setval",
        "sleep_ms",
        "write_log",
    }
)
_EXPLAIN = re.compile(r"\s*explain\s+(?:analyze\s+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """How long a query may run and how many rows it may return (one more is fetched, to tell that it was cut)."""

    timeout_s: float = 10.0
    max_rows: int = 100_000

    def shorter(self, timeout_s: float) -> QueryLimits:
        """The same with at most this time."""
        return replace(self, timeout_s=min(self.timeout_s, max(timeout_s, 0.001)))


def run_guarded(new_cursor: Callable[[], Connection], text: str, limits: QueryLimits) -> Table:
    """Check `text`, run it, return its rows. Raises `QueryError`."""
    connection = new_cursor()
    try:
        _check(connection, text)
        return run_read_only(connection, text, None, limits)
    finally:
        connection.close()


def run_read_only(
    connection: Connection, text: str, values: Mapping[str, object] | Sequence[object] | None, limits: QueryLimits
) -> Table:
    """Run in a read-only transaction, interrupted after the time limit. Raises `QueryError`."""
    timed_out = threading.Event()

    def stop() -> None:
        timed_out.set()
        connection.interrupt()

    timer = threading.Timer(limits.timeout_s, stop)
    timer.daemon = True
    timer.start()
    try:
        connection.execute("BEGIN TRANSACTION READ ONLY")
        result = connection.execute(text) if values is None else connection.execute(text, values)
        columns = [str(column[0]) for column in result.description or ()]
        rows = result.fetchmany(limits.max_rows + 1)
    except duckdb.Error as error:
        raise _as_query_error(error, timed_out.is_set(), limits) from error
    finally:
        timer.cancel()
        timer.join()  # or a late interrupt would hit this connection's next statement
        _roll_back(connection)
    return make_table(columns, rows[: limits.max_rows], truncated=len(rows) > limits.max_rows)


def _roll_back(connection: Connection) -> None:
    try:
        connection.execute("ROLLBACK")
    except duckdb.Error:
        return  # BEGIN itself failed, or the interrupt already ended the transaction


def _as_query_error(error: duckdb.Error, timed_out: bool, limits: QueryLimits) -> QueryError:
    if isinstance(error, duckdb.InterruptException) and timed_out:
        return QueryError(
            f"the query was stopped after {limits.timeout_s:g} s",
            remedy="ask for less at once (a WHERE or a LIMIT), or raise store.query_timeout_s",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryError("the query needs more memory than the store allows", remedy="ask for less at once")
    first = str(error).strip().split("\n\nLINE")[0].strip()
    return QueryError(f"the query failed: {first}", remedy="`frazil query SESSION --tables` lists tables and columns")


def _check(connection: Connection, text: str) -> None:
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise _as_query_error(error, False, QueryLimits()) from error
    if len(statements) != 1:
        raise QueryError(
            f"a query is one statement; this text holds {len(statements)}", remedy="send the statements one by one"
        )
    kind = statements[0].type
    if kind == duckdb.StatementType.EXPLAIN:
        inner = _EXPLAIN.match(text)
        if inner is None:
            raise _refusal("this form of EXPLAIN")
        _check(connection, text[inner.end() :])
        return
    if kind != duckdb.StatementType.SELECT:
        raise _refusal(str(kind).rpartition(".")[2])
    row = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise _refusal("a statement that cannot be inspected")
    for table_function, name in _calls(tree["statements"], False):
        if name in _REFUSED_FUNCTIONS or (table_function and name not in _TABLE_FUNCTIONS):
            raise _refusal(f"the function {name}()")


def _calls(node: Any, table_function: bool) -> Iterator[tuple[bool, str]]:
    """(is a table function, lower-case name) of every call in a serialized syntax tree."""
    if isinstance(node, list):
        for item in node:
            yield from _calls(item, False)
    elif isinstance(node, dict):
        if isinstance(node.get("function_name"), str):
            yield table_function, node["function_name"].lower()
        is_table_function = node.get("type") == "TABLE_FUNCTION"
        for key, value in node.items():
            yield from _calls(value, is_table_function and key == "function")


def _refusal(what: str) -> QueryError:
    return QueryError(
        f"{what} is refused: a session is open to reading only",
        remedy="use SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN",
    )
