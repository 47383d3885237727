"""The one module that opens DuckDB: configuration, damaged logs, and errors as types of ours.

Everything here follows what was tried out about DuckDB (docs/decisions/store.md): it never checkpoints by itself (a
CHECKPOINT on a full disk invalidates the whole database), it may not touch any other file, and its configuration is
locked before the first statement of anyone else runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeAlias

import duckdb

from frazil.config.errors import RetryLaterError, SessionLockedError, StopDaemonError
from frazil.daemon.store import session_files

Connection: TypeAlias = duckdb.DuckDBPyConnection

DATABASE_NAME = session_files.DATABASE_NAME
SCHEMA_VERSION = 21
_MIN_FREE_BYTES_TO_JUDGE = 64 << 20
"""With less free space than this a failed opening says nothing about damage."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open database, and what had to be put aside to open it (empty: nothing)."""

    connection: Connection
    set_aside: tuple[Path, ...]
    """Damaged files, renamed and kept. Not empty: rows are missing and must be rebuilt from the result files."""


def open_database(session_dir: Path, *, now_utc_us: int, memory_limit_mb: int = 512, threads: int = 2) -> Opened:
    """Open for writing, bring the schema up to date, checkpoint.

    The caller holds the session's lock. A log (WAL) that cannot be replayed is renamed with a time stamp and the rest
    is opened; if that fails too the database itself is renamed and a new one begun: the result files rebuild it.

    Raises `SessionLockedError` if a foreign process has the file open, `RetryLaterError` if the disk is full,
    `StopDaemonError` if the database was written by a newer frazil or cannot be made.
    """
    path = session_dir / DATABASE_NAME
    wal = session_dir / (DATABASE_NAME + ".wal")
    _refuse_foreign_holder(path)
    set_aside: list[Path] = []
    connection: Connection | None = None
    while connection is None:
        try:
            connection = _connect(path, read_only=False, memory_limit_mb=memory_limit_mb, threads=threads)
        except duckdb.Error as error:
            if shutil.disk_usage(session_dir).free < _MIN_FREE_BYTES_TO_JUDGE:
                raise RetryLaterError(
                    f"the session's database cannot be opened on a full disk ({error})",
                    path=path,
                    remedy="free some disk space and start again; nothing is lost",
                ) from error
            damaged = next((p for p in (wal, path) if p.exists() and p.stat().st_size > 0), None)
            if damaged is None:
                raise StopDaemonError(
                    f"the session's database cannot be made ({error})",
                    path=path,
                    remedy="check that the session folder is writable and on a local disk",
                ) from error
            aside = damaged.with_name(f"{damaged.name}.damaged-{now_utc_us}")
            damaged.rename(aside)
            set_aside.append(aside)
    _apply_schema(connection, path, now_utc_us)
    return Opened(connection, tuple(set_aside))


def open_read_only(session_dir: Path, *, memory_limit_mb: int = 512, threads: int = 2) -> Connection:
    """Open a session that no daemon holds, without writing anything into its folder: a log (WAL) that is there is
    replayed in memory. Raises `duckdb.Error` subclasses as they are; see `reading.py`."""
    return _connect(session_dir / DATABASE_NAME, read_only=True, memory_limit_mb=memory_limit_mb, threads=threads)


def schema_version(connection: Connection) -> int:
    """Of an open session; 0: it has none."""
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    return 0 if row is None else int(row[0])


def open_for_files(*, memory_limit_mb: int = 2048, threads: int = 1) -> Connection:
    """An empty database in memory, to read a person's Parquet and CSV files with; it writes nothing anywhere."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_limit_mb}MB",
        "threads": threads,
        "temp_directory": "",
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET lock_configuration = true")
    return connection


def wal_size_bytes(session_dir: Path) -> int:
    """By name only: the live files are never opened a second time."""
    try:
        return (session_dir / (DATABASE_NAME + ".wal")).stat().st_size
    except FileNotFoundError:
        return 0


def _connect(path: Path, *, read_only: bool, memory_limit_mb: int, threads: int) -> Connection:
    # DuckDB makes this folder when a query needs it, and takes it away again.
    spill = path.with_name(".duckdb-tmp")
    if read_only:  # outside of the session, and of other sessions that this process reads
        name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
        spill = Path(tempfile.gettempdir()) / f"frazil-duckdb-{os.getpid()}-{name}"
    connection = duckdb.connect(
        str(path),
        read_only=read_only,
        config={
            "memory_limit": f"{memory_limit_mb}MB",
            "threads": threads,
            "temp_directory": str(spill),
            "max_temp_directory_size": "4GB",
            "python_enable_replacements": False,
            "checkpoint_threshold": "1TB",  # the writer thread checkpoints, when there is space to do it
        },
    )
    if not read_only:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    # Not in `config`: without external access the temporary folder above could no longer be set.
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions", "enable_external_access"):
        connection.execute(f"SET {setting} = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _refuse_foreign_holder(path: Path) -> None:
    """Before it is opened for writing."""
    if path.exists():
        _refuse_holder(path, os.O_RDWR, fcntl.LOCK_EX)


def refuse_foreign_writer(path: Path) -> None:
    """Raises `SessionLockedError` where another program writes to it; this process must not have it open."""
    _refuse_holder(path, os.O_RDONLY, fcntl.LOCK_SH)


def _refuse_holder(path: Path, mode: int, lock: int) -> None:
    # Before this process has the database open, looking at the file's POSIX lock cannot drop a lock of ours.
    descriptor = os.open(path, mode | os.O_CLOEXEC)
    try:
        fcntl.lockf(descriptor, lock | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise SessionLockedError(
            "another program has the session's database open",
            path=path,
            remedy="close it (look for a duckdb shell or a notebook), then start again",
        ) from error
    finally:
        os.close(descriptor)


def _apply_schema(connection: Connection, path: Path, now_utc_us: int) -> None:
    known = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'schema_version'").fetchone()
    if known is not None and known[0]:
        row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
        version = 0 if row is None or row[0] is None else int(row[0])
        if version > SCHEMA_VERSION:
            raise StopDaemonError(
                f"this session was written by a newer frazil (schema {version}, this one knows {SCHEMA_VERSION})",
                path=path,
                remedy="update frazil",
            )
        if version == SCHEMA_VERSION:
            return
    text = resources.files("frazil.daemon.store").joinpath("schema.sql").read_text(encoding="utf-8")
    connection.execute("BEGIN")
    for statement in connection.extract_statements(text):
        connection.execute(statement)
    connection.execute("INSERT INTO schema_version VALUES (?, ?)", [SCHEMA_VERSION, now_utc_us])
    connection.execute("COMMIT")
    # Replay bugs of DuckDB's log all have to do with schema changes: none may stay in the log.
    connection.execute("CHECKPOINT")
