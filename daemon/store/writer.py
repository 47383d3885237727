"""The writer thread: the only one that changes a session's database.

Writes that wait together are committed together, so that fifty small ones cost one commit; if one of them fails, each
is run again alone, in order, and only the bad one fails.

A write of policy `RETRIED` that the disk refuses is held, and with it every later write of that policy: the order in
which they were given is the order in which they become durable, so that no row of a movie overtakes an earlier one. The
first one is tried again every second, and before any other write. As long as it is refused, writes whose callers wait
(`DURABLE`) are refused at once, for the same reason.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from pathlib import Path
from typing import Any

import duckdb

from frazil.config.errors import RetryLaterError, StopDaemonError
from frazil.daemon.store import engine, faults
from frazil.daemon.store.engine import Connection

_log = logging.getLogger(__name__)
_BATCH = 64
_CHECKPOINT_WAL_BYTES = 32 << 20
_MAX_WAITING = 10_000
"""Submitters wait when so many writes are pending: back-pressure instead of memory."""
_MAX_HELD = 10_000
"""When the disk has refused so many writes, the daemon ends: the next start finds these movies anew."""
_RETRY_PAUSE_S = 1.0


class WritePolicy(Enum):
    """What becomes of a write that the disk refuses."""

    DURABLE = "durable"
    """The caller waits until it is durable; refused, it gets a `RetryLaterError` and nothing of the write is kept."""
    RETRIED = "retried"
    """The caller goes on; refused, the write is held and tried again, in its order, until it is durable."""


class Job:
    """One write. `retried`: by its policy; `watched`: somebody waits for its future, and is told of a failure by it."""

    __slots__ = ("future", "retried", "watched", "work")

    def __init__(self, work: Callable[[Connection], Any], *, retried: bool = False, watched: bool = False) -> None:
        self.work, self.retried, self.watched = work, retried, watched
        self.future: Future[Any] = Future()


class Writer:
    """See the module. `put` from any thread; `close` ends the thread when all that was put has been dealt with."""

    def __init__(
        self,
        connection: Connection,
        session_dir: Path,
        *,
        on_fatal: Callable[[StopDaemonError], None] | None,
        on_failed_write: Callable[[Exception], None] | None,
        min_free_bytes: int,
    ) -> None:
        self._connection, self._session_dir = connection, session_dir
        self._on_fatal, self._on_failed_write = on_fatal, on_failed_write
        self._min_free_bytes = min_free_bytes
        self._jobs: queue.Queue[Job | None] = queue.Queue(_MAX_WAITING)
        self._held: deque[Job] = deque()
        """Writes to try again, the oldest first."""
        self._refusing = False
        """The disk refuses writes, and that has been told."""
        self._database = session_dir / engine.DATABASE_NAME
        self._fatal: StopDaemonError | None = None
        self._closed = False
        self._gate = threading.Lock()  # between `put` and `close`: nothing is put behind the end mark
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Queue a write. Raises `StopDaemonError` after `close`."""
        with self._gate:
            if self._closed:
                raise StopDaemonError("the store is closed", path=self._session_dir)
            self._jobs.put(job)

    def close(self) -> None:
        """Finish what was put, checkpoint if there is space. Harmless when called twice."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            self._write(batch)
            self._checkpoint_when_due(_CHECKPOINT_WAL_BYTES)
        if self._held:
            self._write([])
        if self._held:
            _log.error(
                "the disk refused %d writes to the end; their movies are found anew at the next start", len(self._held)
            )
        self._checkpoint_when_due(1)
        self._connection.close()

    def _next_batch(self) -> tuple[list[Job], bool]:
        """The writes that wait, and whether the end mark has come; none when it is time to try held ones again."""
        batch: list[Job] = []
        try:
            job = self._jobs.get(timeout=_RETRY_PAUSE_S if self._held else None)
            while job is not None:
                if job.future.set_running_or_notify_cancel():
                    batch.append(job)
                if len(batch) >= _BATCH:
                    break
                job = self._jobs.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, job is None

    def _write(self, batch: list[Job]) -> None:
        """In the order in which they were given: held writes first."""
        waiting, retrying = deque([*self._held, *batch]), bool(self._held)
        self._held.clear()
        # The oldest of the held alone shows whether the disk takes writes again.
        size = 1 if retrying else _BATCH
        while waiting:
            group = [waiting.popleft() for _ in range(min(size, len(waiting)))]
            size = _BATCH
            error = None if self._held else self._transaction(group)
            if error is None and not self._held:
                continue
            for job in group:
                if self._held:
                    self._hold_back(job)
                elif (fault := error if len(group) == 1 else self._transaction([job])) is not None:
                    self._refused(job, fault)
        if retrying and not self._held:
            _log.info("the disk takes writes again")
            self._refusing = False
        if len(self._held) > _MAX_HELD and self._fatal is None:
            self._end(
                StopDaemonError(
                    f"the disk has refused more than {_MAX_HELD} writes to the session's database",
                    path=self._database,
                    remedy="free disk space, then start again: what was not written is found anew",
                )
            )

    def _refused(self, job: Job, error: Exception) -> None:
        if not (job.retried and isinstance(error, RetryLaterError)):
            self._fail(job, error)
            return
        if not self._refusing:
            self._tell(error)
        self._refusing = True
        self._held.append(job)

    def _hold_back(self, job: Job) -> None:
        """Nothing overtakes a write that is tried again."""
        if job.retried:
            self._held.append(job)
            return
        error = RetryLaterError(
            "the disk refuses earlier writes to the session's database",
            path=self._database,
            remedy="free disk space; it is tried again",
        )
        self._fail(job, error)

    def _fail(self, job: Job, error: Exception) -> None:
        job.future.set_exception(error)
        if not job.watched and error is not self._fatal:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        if self._on_failed_write is not None:
            self._on_failed_write(error)

    def _transaction(self, batch: list[Job]) -> Exception | None:
        """All of them or none; why none."""
        if self._fatal is not None:
            return self._fatal
        try:
            self._connection.execute("BEGIN TRANSACTION")
            results = [job.work(self._connection) for job in batch]
            self._connection.execute("COMMIT")
        except Exception as error:  # boundary of the writer thread: the error goes to whoever gave the work
            self._roll_back(error)
            return self._fatal or faults.write_fault(error, self._database)
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)
        return None

    def _roll_back(self, error: Exception) -> None:
        if faults.is_fatal(error):
            self._end(faults.lost_database(error, self._database))
            return
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.TransactionException:
            pass  # the failed COMMIT has already rolled back
        except duckdb.Error as second:
            self._end(faults.lost_database(second, self._database))

    def _end(self, fatal: StopDaemonError) -> None:
        self._fatal = fatal
        if self._on_fatal is not None:
            self._on_fatal(fatal)

    def _checkpoint_when_due(self, threshold_bytes: int) -> None:
        if self._fatal is not None or engine.wal_size_bytes(self._session_dir) < threshold_bytes:
            return
        if shutil.disk_usage(self._session_dir).free < self._min_free_bytes:
            return
        try:
            self._connection.execute("CHECKPOINT")
        except duckdb.TransactionException:
            pass  # a reader stands in the way; the next commit tries again
        except duckdb.Error as error:
            self._end(faults.lost_database(error, self._database))
