"""The owner of a session's database: one writer thread, readers on cursors of their own.

`submit` takes a function of a connection and returns a Future; when the Future is done the rows are durable (one write
and one fdatasync of the log). Functions that wait together are committed together, so that fifty small writes cost one
commit; if one of them fails, each is run again alone, and only the bad one fails. So a function may run twice, and
must have no effect but on the connection it is given.

Reads see the last commit, never wait for the writer, and run in read-only transactions.
"""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import duckdb

from frazil.config.errors import RetryLaterError, StopDaemonError
from frazil.daemon.store import engine, sql_guard
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.queries import catalogue
from frazil.daemon.store.table import Scalar, Table

P = ParamSpec("P")
R = TypeVar("R")

_BATCH = 64
_CHECKPOINT_WAL_BYTES = 32 << 20
_MAX_WAITING = 10_000
"""Submitters wait when so many writes are pending: back-pressure instead of memory."""


class _Job:
    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()


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
        self._on_fatal = on_fatal
        self._on_failed_write = on_failed_write
        self._limits = sql_guard.QueryLimits(timeout_s=query_timeout_s, max_rows=query_max_rows)
        self._min_free_bytes = min_free_bytes
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_MAX_WAITING)
        self._fatal: StopDaemonError | None = None
        self._closed = False
        self._gate = threading.Lock()  # between `submit` and `close`: nothing is put behind the end mark
        self._writer = threading.Thread(target=self._write_loop, name="store-writer", daemon=True)
        self._writer.start()

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
            Told of every write that failed, from the writer thread, so that one whose Future nobody looks at is not
            lost in silence.
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

    def submit(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Queue `work(connection, *args, **kwargs)` for the writer; the Future is done when it is durable.

        The Future raises what `work` raised; `RetryLaterError` when the disk refused the write (nothing of it is
        kept); `StopDaemonError` when the database is gone for this process, and from then on always.
        """
        job = _Job(lambda connection: work(connection, *args, **kwargs))
        with self._gate:
            if self._closed:
                raise StopDaemonError("the store is closed", path=self.session_dir)
            self._jobs.put(job)
        return job.future

    def cursor(self) -> Connection:
        """A reader's own connection; the caller closes it. For bulk reads inside the daemon."""
        return self._root.cursor()

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of one of the daemon's own statements."""
        cursor = self.cursor()
        try:
            return cursor.execute(statement, list(values)).fetchall()
        finally:
            cursor.close()

    def named(self, name: str, params: Mapping[str, Scalar] | None = None) -> Table:
        """Run one of `queries.NAMED`. Raises `QueryError` for unknown names, bad parameters and time-outs."""
        return catalogue.run_named(self._root.cursor, name, params or {}, self._limits)

    def sql(self, text: str, *, timeout_s: float | None = None) -> Table:
        """Run one read-only statement of a person's. Raises `QueryError`; see `sql_guard`."""
        limits = self._limits if timeout_s is None else self._limits.shorter(timeout_s)
        return sql_guard.run_guarded(self._root.cursor, text, limits)

    def flush(self) -> None:
        """Wait until everything that was submitted before is durable."""
        self.submit(lambda connection: None).result()

    def close(self) -> None:
        """Finish what was submitted, checkpoint if there is space, close. Harmless when called twice."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._writer.join()
        self._root.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- the writer thread ---

    def _write_loop(self) -> None:
        connection = self._root.cursor()
        ended = False
        while not ended:
            batch: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                if job.future.set_running_or_notify_cancel():
                    batch.append(job)
                if len(batch) >= _BATCH:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            ended = job is None
            if batch:
                self._commit_together(connection, batch)
                self._checkpoint_when_due(connection, _CHECKPOINT_WAL_BYTES)
        if self._fatal is None:
            self._checkpoint_when_due(connection, 1)
        connection.close()

    def _commit_together(self, connection: Connection, batch: list[_Job]) -> None:
        if self._fatal is not None:
            for job in batch:
                job.future.set_exception(self._fatal)
            return
        try:
            connection.execute("BEGIN TRANSACTION")
            results = [job.work(connection) for job in batch]
            connection.execute("COMMIT")
        except Exception as error:  # boundary of the writer thread: the error goes to whoever submitted the work
            self._roll_back(connection, error)
            if len(batch) > 1 and self._fatal is None:
                for job in batch:
                    self._commit_together(connection, [job])
                return
            for job in batch:
                ours = self._fatal or self._as_ours(error)
                job.future.set_exception(ours)
                if self._on_failed_write is not None:
                    self._on_failed_write(ours)
            return
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)

    def _roll_back(self, connection: Connection, error: Exception) -> None:
        if isinstance(error, duckdb.FatalException | duckdb.InternalException):
            self._die(error)
            return
        try:
            connection.execute("ROLLBACK")
        except duckdb.TransactionException:
            pass  # the failed COMMIT has already rolled back
        except duckdb.Error as second:
            self._die(second)

    def _die(self, error: duckdb.Error) -> None:
        self._fatal = StopDaemonError(
            f"the session's database can no longer be written ({error})",
            path=self.session_dir / engine.DATABASE_NAME,
            remedy="look at free disk space and disk errors, then start again: all acknowledged results are there",
        )
        if self._on_fatal is not None:
            self._on_fatal(self._fatal)

    def _as_ours(self, error: Exception) -> Exception:
        if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
            return RetryLaterError(
                f"the result could not be written to the session's database ({error})",
                path=self.session_dir / engine.DATABASE_NAME,
                remedy="free disk space or memory; it is tried again",
            )
        return error

    def _checkpoint_when_due(self, connection: Connection, threshold_bytes: int) -> None:
        if self._fatal is not None or engine.wal_size_bytes(self.session_dir) < threshold_bytes:
            return
        if shutil.disk_usage(self.session_dir).free < self._min_free_bytes:
            return
        try:
            connection.execute("CHECKPOINT")
        except duckdb.TransactionException:
            pass  # a reader stands in the way; the next commit tries again
        except duckdb.Error as error:
            self._die(error)
