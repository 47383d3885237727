"""The owner of a session's database: one writer thread, readers on cursors of their own.

`write` takes a policy and a function of a connection (`writer.py` says what becomes of it). Such a function may run
twice, and must have no effect but on the connection it is given.

Reads see the last commit, never wait for the writer, and run in read-only transactions. No error of DuckDB's own gets
out: see `faults.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Self, TypeVar, overload

from frazil.config.errors import StopDaemonError
from frazil.daemon.store import engine, faults, sql_guard
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.queries import catalogue
from frazil.daemon.store.table import Scalar, Table
from frazil.daemon.store.writer import Job, WritePolicy, Writer

P = ParamSpec("P")
R = TypeVar("R")


class Store:
    """See the module. Made by `Store.open`; `close` (or the `with` block) drains the queue first."""

    def __init__(
        self,
        session_dir: Path,
        opened: engine.Opened,
        *,
        on_fatal: Callable[[StopDaemonError], None] | None,
        on_failed_write: Callable[[Exception], None] | None,
        query_timeout_s: float,
        query_max_rows: int,
        min_free_bytes: int,
    ) -> None:
        self.session_dir = session_dir
        self.set_aside = opened.set_aside
        self._root = opened.connection
        self._limits = sql_guard.QueryLimits(timeout_s=query_timeout_s, max_rows=query_max_rows)
        self._database = session_dir / engine.DATABASE_NAME
        self._writer = Writer(
            opened.connection.cursor(),
            session_dir,
            on_fatal=on_fatal,
            on_failed_write=on_failed_write,
            min_free_bytes=min_free_bytes,
        )

    @classmethod
    def open(
        cls,
        session_dir: Path,
        *,
        now_utc_us: int,
        on_fatal: Callable[[StopDaemonError], None] | None = None,
        on_failed_write: Callable[[Exception], None] | None = None,
        query_timeout_s: float = 10.0,
        query_max_rows: int = 100_000,
        min_free_bytes: int = 1 << 30,
        memory_limit_mb: int = 512,
    ) -> Self:
        """Open or make `session_dir/session.duckdb`. The caller holds the `SessionLock`.

        Parameters
        ----------
        now_utc_us:
            Names files that are put aside; the store has no clock of its own.
        on_fatal:
            Called once, from the writer thread, when the database can no longer be written: the daemon must end. It
            may only give notice: closing the store from there would wait for itself.
        on_failed_write:
            Told, from the writer thread, of every write that failed and that nobody waits for, and once when the disk
            begins to refuse those that are tried again.
        min_free_bytes:
            No CHECKPOINT below this much free disk.

        Raises what `engine.open_database` raises.
        """
        opened = engine.open_database(session_dir, now_utc_us=now_utc_us, memory_limit_mb=memory_limit_mb)
        return cls(
            session_dir,
            opened,
            on_fatal=on_fatal,
            on_failed_write=on_failed_write,
            query_timeout_s=query_timeout_s,
            query_max_rows=query_max_rows,
            min_free_bytes=min_free_bytes,
        )

    @property
    def needs_rebuild(self) -> bool:
        """True: a damaged file was put aside (`set_aside`), so rows are missing; see `rebuild.rebuild_from`."""
        return bool(self.set_aside)

    # Not at run time: `typing` keeps what is overloaded, torch keeps `typing`, and duckdb complains at the end of the
    # process that its objects are still there.
    if TYPE_CHECKING:

        @overload
        def write(
            self,
            policy: Literal[WritePolicy.DURABLE],
            work: Callable[Concatenate[Connection, P], R],
            *args: P.args,
            **kwargs: P.kwargs,
        ) -> R: ...
        @overload
        def write(
            self,
            policy: Literal[WritePolicy.RETRIED],
            work: Callable[Concatenate[Connection, P], object],
            *args: P.args,
            **kwargs: P.kwargs,
        ) -> None: ...

    def write(
        self, policy: WritePolicy, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R | None:
        """Have `work(connection, *args, **kwargs)` written.

        `DURABLE`: returns what `work` returned when it is durable. `RETRIED`: returns at once; what the disk refuses is
        tried again in its order, what fails otherwise is told to `on_failed_write`.

        Raises
        ------
        RetryLaterError
            (`DURABLE`) The disk refused it, or still refuses earlier ones; nothing of it is kept.
        WriteError
            (`DURABLE`) The database does not take these rows. Also whatever `work` raised of its own.
        StopDaemonError
            The database is gone for this process, or was closed.
        """
        job = Job(
            lambda connection: work(connection, *args, **kwargs),
            retried=policy is WritePolicy.RETRIED,
            watched=policy is WritePolicy.DURABLE,
        )
        self._writer.put(job)
        if policy is WritePolicy.RETRIED:
            return None
        result: R = job.future.result()
        return result

    def submit(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Like `write` with `DURABLE`, for many at once: the Future is done when it is durable, and raises the same."""
        job = Job(lambda connection: work(connection, *args, **kwargs))
        self._writer.put(job)
        return job.future

    def read(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What one of the daemon's own functions reads on a connection of its own. Raises what `rows` raises."""
        with faults.read_faults(self._database):
            connection = self._root.cursor()
            try:
                return work(connection, *args, **kwargs)
            finally:
                connection.close()

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of one of the daemon's own statements.

        Raises
        ------
        RetryLaterError
            Disk or memory refused the read.
        QueryError
            The statement is wrong, or the store was closed.
        StopDaemonError
            The database is gone for this process.
        """
        return self.read(lambda connection: connection.execute(statement, list(values)).fetchall())

    def named(self, name: str, params: Mapping[str, Scalar] | None = None) -> Table:
        """Run one of `queries.NAMED`. Raises `QueryError` for unknown names, bad parameters and time-outs."""
        return catalogue.run_named(self._cursor, name, params or {}, self._limits)

    def sql(self, text: str, *, timeout_s: float | None = None) -> Table:
        """Run one read-only statement of a person's. Raises `QueryError`; see `sql_guard`."""
        limits = self._limits if timeout_s is None else self._limits.shorter(timeout_s)
        return sql_guard.run_guarded(self._cursor, text, limits)

    def flush(self) -> None:
        """Wait until everything that was given before is durable. Raises `RetryLaterError` where some is not."""
        self.write(WritePolicy.DURABLE, lambda connection: None)

    def close(self) -> None:
        """Finish what was given, checkpoint if there is space, close. Harmless when called twice."""
        self._writer.close()
        self._root.close()

    def _cursor(self) -> Connection:
        with faults.read_faults(self._database):
            return self._root.cursor()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
