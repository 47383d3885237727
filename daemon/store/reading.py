"""One way to read a session for the command line: by asking its daemon, or from the file when no daemon has it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import duckdb

from frazil.config.errors import FrazilError, QueryError, StopDaemonError
from frazil.daemon.store import engine, sql_guard
from frazil.daemon.store.lock import ReadersLock
from frazil.daemon.store.queries import catalogue
from frazil.daemon.store.session_copy import SessionCopy
from frazil.daemon.store.session_files import check_is_session
from frazil.daemon.store.table import Scalar, Table
from frazil.daemon.transport.messages import VerdictState

if TYPE_CHECKING:
    from frazil.daemon.client import Client

_log = logging.getLogger(__name__)


class SessionReader(Protocol):
    """What `summary`, `query` and `export` need of a session, live or finished."""

    def sql(self, text: str) -> Table:
        """One read-only statement."""

    def named(self, name: str, params: Mapping[str, Scalar] | None = None) -> Table:
        """One of `queries.NAMED`."""


class FileReader:
    """A session that no daemon has, opened read-only under a shared lock, so that none starts meanwhile. Nothing is
    written into its folder, which may be closed to writing, on another disk, or somebody else's.

    What an older frazil wrote, and what a damaged log hides, is read from a temporary copy that is brought up to date
    (`session_copy.py`); `note` says so, and what would do it for good.

    Raises `UsageError` when there is no session or it may not be read, `SessionLockedError` when a daemon has it,
    `QueryError` when the database cannot be opened, `RetryLaterError` when there is no room for a copy.
    """

    def __init__(self, session_dir: Path, limits: sql_guard.QueryLimits | None = None) -> None:
        self._path = session_dir / engine.DATABASE_NAME
        check_is_session(session_dir)
        self._limits = limits or sql_guard.QueryLimits(timeout_s=60.0, max_rows=1_000_000)
        self._copy: SessionCopy | None = None
        self._root: engine.Connection | None = None
        self.note = ""
        self._lock = ReadersLock(session_dir)
        try:
            self._open(session_dir)
        except FrazilError:
            self.close()
            raise

    @property
    def is_copy(self) -> bool:
        """The session itself is not held: a daemon may start on it."""
        return self._copy is not None

    def _open(self, session_dir: Path) -> None:
        try:
            self._root = engine.open_read_only(session_dir)
            version = engine.schema_version(self._root)
        except duckdb.Error as error:
            engine.refuse_foreign_writer(self._path)
            self._read_copy(session_dir, error)
            self.note = "its log is damaged: read through a copy that was repaired; `frazil watch` repairs it"
            return
        if version > engine.SCHEMA_VERSION:
            raise QueryError(
                f"this session was written by a newer frazil (schema {version}, this one knows "
                f"{engine.SCHEMA_VERSION})",
                path=self._path,
                remedy="update frazil",
            )
        if version < engine.SCHEMA_VERSION:
            self._root.close()
            self._read_copy(session_dir, None)
            self.note = (
                f"of an older frazil (schema {version}, this one has {engine.SCHEMA_VERSION}): read through a copy; "
                "`frazil watch` converts it"
            )

    def _read_copy(self, session_dir: Path, error: duckdb.Error | None) -> None:
        """`error`: why the session itself cannot be opened."""
        broken = QueryError(
            f"the session's database cannot be opened ({error})",
            path=self._path,
            remedy="start `frazil watch` on this session once: it repairs the database from the result files",
        )
        try:
            self._copy = SessionCopy(session_dir)
            self._root = engine.open_read_only(self._copy.folder)
            # A database that is lost as a whole takes the session's own row with it, which no other file has.
            if error is not None and not self.named("session").rows:
                raise broken from error
        except (duckdb.Error, StopDaemonError) as second:
            raise broken from (error or second)
        self._lock.release()

    def sql(self, text: str, *, timeout_s: float | None = None) -> Table:
        """One read-only statement; `timeout_s` may only shorten the limit. Raises `QueryError`."""
        limits = self._limits if timeout_s is None else self._limits.shorter(timeout_s)
        return sql_guard.run_guarded(self._cursor, text, limits)

    def named(self, name: str, params: Mapping[str, Scalar] | None = None) -> Table:
        """One of `queries.NAMED`. Raises `QueryError`."""
        return catalogue.run_named(self._cursor, name, params or {}, self._limits)

    def _cursor(self) -> engine.Connection:
        assert self._root is not None
        return self._root.cursor()

    def close(self) -> None:
        """Harmless when called twice."""
        if self._root is not None:
            self._root.close()
        if self._copy is not None:
            self._copy.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LiveReader:
    """A session whose daemon is running: every question goes over its socket. Raises what the client raises."""

    def __init__(self, daemon: Client) -> None:
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
    from frazil.daemon import client  # ZeroMQ: a file alone is read without

    daemon = client.connect(session_dir)
    if daemon is not None:
        with daemon:
            yield LiveReader(daemon)
    else:
        with FileReader(session_dir) as reader:
            if reader.note:
                _log.warning("%s: %s", session_dir, reader.note)
            yield reader
