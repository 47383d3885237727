"""A session on which no daemon runs, read by this process again and again: its file is open while it is asked, and let
go of in between, because a daemon that starts waits two seconds for readers to leave and no longer (`lock.py`)."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from frazil.daemon.store import engine
from frazil.daemon.store.reading import FileReader
from frazil.daemon.store.sql_guard import QueryLimits

_AWAY_S = 0.15
"""So long the file stays closed at least: a daemon that starts looks every 0.05 s whether readers have left."""


class RestingFile:
    """See the module. Thread-safe. Nothing is opened before it is asked for."""

    def __init__(self, session_dir: Path, limits: QueryLimits | None = None) -> None:
        self._session_dir, self._limits = session_dir, limits
        self._lock = threading.Lock()
        self._reader: FileReader | None = None
        self._asking = 0
        """Questions that have the file in hand."""
        self._closed_s = float("-inf")
        self._stamp = self._file_stamp()

    @contextlib.contextmanager
    def open(self) -> Iterator[FileReader]:
        """The file for one question. Raises what `FileReader` raises."""
        with self._lock:
            if self._reader is None:
                time.sleep(max(0.0, self._closed_s + _AWAY_S - time.monotonic()))
                self._reader = FileReader(self._session_dir, self._limits)
            reader = self._reader
            self._asking += 1
        try:
            yield reader
        finally:
            with self._lock:
                self._asking -= 1

    def changed(self) -> bool:
        """Whether somebody has written into the session since this was asked last."""
        before, self._stamp = self._stamp, self._file_stamp()
        if before != self._stamp:
            with self._lock:
                if self._reader is not None and self._reader.is_copy and not self._asking:
                    self._close()  # a copy of what it was before
        return before != self._stamp

    def rest(self) -> None:
        """Close the file unless a question has it in hand, so that a daemon may start; the next question opens it."""
        with self._lock:
            if self._reader is not None and not self._asking and not self._reader.is_copy:
                self._close()

    def close(self) -> None:
        """Harmless when called twice."""
        with self._lock:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
            self._closed_s = time.monotonic()

    def _file_stamp(self) -> tuple[tuple[int, int] | None, ...]:
        """Of the database and its log."""
        stamps: list[tuple[int, int] | None] = []
        for name in (engine.DATABASE_NAME, engine.DATABASE_NAME + ".wal"):
            try:
                found = (self._session_dir / name).stat()
                stamps.append((found.st_size, found.st_mtime_ns))
            except OSError:
                stamps.append(None)
        return tuple(stamps)
