"""One way to read a session for the command line: by asking its daemon, or from the file when no daemon has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import duckdb

from frazil.config.errors import QueryError, UsageError
from frazil.daemon import client
from frazil.daemon.store import engine, sql_guard
from frazil.daemon.store.lock import ReadersLock
from frazil.daemon.store.queries import catalogue
from frazil.daemon.store.table import Scalar, Table
from frazil.daemon.transport.messages import VerdictState


class SessionReader(Protocol):
    """What `summary`, `query` and `export` need of a session, live or finished."""

    def sql(self, text: str) -> Table:
        """One read-only statement."""

    def named(self, name: str, params: Mapping[str, Scalar] | None = None) -> Table:
        """One of `queries.NAMED`."""


class FileReader:
    """A finished session, opened read-only under a shared lock, so that no daemon starts meanwhile.

    Raises `UsageError` when there is no session, `SessionLockedError` when a daemon has it, `QueryError` when the
    database cannot be opened.
    """

    def __init__(self, session_dir: Path, limits: sql_guard.QueryLimits | None = None) -> None:
        path = session_dir / engine.DATABASE_NAME
        if not path.is_file():
            raise UsageError(
                "there is no frazil session here",
                path=session_dir,
                remedy="give the folder that `frazil watch --session` was given",
            )
        self._limits = limits or sql_guard.QueryLimits(timeout_s=60.0, max_rows=1_000_000)
        self._lock = ReadersLock(session_dir)
        try:
            self._root = engine.open_read_only(session_dir)
            version = engine.schema_version(self._root)
        except duckdb.Error as error:
            self._lock.release()
            raise QueryError(
                f"the session's database cannot be opened ({error})",
                path=path,
                remedy="start `frazil watch` on this session once: it repairs the database from the result files",
            ) from error
        if version != engine.SCHEMA_VERSION:
            self.close()
            older = version < engine.SCHEMA_VERSION
            raise QueryError(
                f"this session was written by {'an older' if older else 'a newer'} frazil (schema {version}, this one "
                f"knows {engine.SCHEMA_VERSION})",
                path=path,
                remedy="start `frazil watch ... --once` on this session once: it brings the database up to date"
                if older
                else "update frazil",
            )

    def sql(self, text: str) -> Table:
        """One read-only statement. Raises `QueryError`."""
        return sql_guard.run_guarded(self._root.cursor, text, self._limits)

    def named(self, name: str, params: Mapping[str, Scalar] | None = None) -> Table:
        """One of `queries.NAMED`. Raises `QueryError`."""
        return catalogue.run_named(self._root.cursor, name, params or {}, self._limits)

    def close(self) -> None:
        """Harmless when called twice."""
        self._root.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LiveReader:
    """A session whose daemon is running: every question goes over its socket. Raises what the client raises."""

    def __init__(self, daemon: client.Client) -> None:
        self._daemon = daemon

    def sql(self, text: str) -> Table:
        """One read-only statement."""
        rows = self._daemon.sql(text)
        return Table(rows.columns, rows.rows, rows.truncated, rows.total)

    def named(self, name: str, params: Mapping[str, Scalar] | None = None) -> Table:
        """One of `queries.NAMED`."""
        rows = self._daemon.named(name, **(params or {}))
        return Table(rows.columns, rows.rows, rows.truncated, rows.total)

    def verdict(self) -> VerdictState:
        """The daemon's on the session as it is now."""
        return self._daemon.snapshot().verdict


@contextmanager
def open_session(session_dir: Path) -> Iterator[SessionReader]:
    """Ask the daemon of this session, or, when none answers, read its file.

    Raises `UsageError` when there is no session, `SessionLockedError` when a daemon holds it but does not answer.
    """
    daemon = client.connect(session_dir)
    if daemon is not None:
        with daemon:
            yield LiveReader(daemon)
    else:
        with FileReader(session_dir) as reader:
            yield reader
