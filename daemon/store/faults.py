"""DuckDB's errors as types of ours: nothing outside of `store/` ever sees one of DuckDB's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from frazil.config.errors import QueryError, RetryLaterError, StopDaemonError, WriteError

_NOT_NOW = (duckdb.IOException, duckdb.OutOfMemoryException)
"""What the world refuses: the same statement may succeed when there is space again."""
_FATAL = (duckdb.FatalException, duckdb.InternalException)
"""After these a database of DuckDB takes nothing more, in this process."""


def is_fatal(error: BaseException) -> bool:
    """Whether the database is lost for this process."""
    return isinstance(error, _FATAL)


def lost_database(error: BaseException, path: Path) -> StopDaemonError:
    """The database can no longer be used in this process."""
    return StopDaemonError(
        f"the session's database can no longer be written ({error})",
        path=path,
        remedy="look at free disk space and disk errors, then start again: all acknowledged results are there",
    )


def write_fault(error: Exception, path: Path) -> Exception:
    """Why a write failed: `RetryLaterError` when disk or memory refused it, `WriteError` when the database did not take
    these rows; what is not DuckDB's comes back as it is."""
    if isinstance(error, _NOT_NOW):
        return RetryLaterError(
            f"the result could not be written to the session's database ({error})",
            path=path,
            remedy="free disk space or memory; it is tried again",
        )
    if isinstance(error, duckdb.Error):
        return WriteError(
            f"the session's database does not take these rows ({error})",
            path=path,
            remedy="see logs/daemon.log, and report it: it is a fault of frazil's own",
        )
    return error


@contextmanager
def read_faults(path: Path) -> Iterator[None]:
    """Around a read.

    Raises
    ------
    RetryLaterError
        Disk or memory refused it; the same read may succeed later.
    QueryError
        The database does not understand it, or was closed meanwhile.
    StopDaemonError
        The database is lost for this process.
    """
    try:
        yield
    except _FATAL as error:
        raise lost_database(error, path) from error
    except _NOT_NOW as error:
        raise RetryLaterError(
            f"the session's database could not be read ({error})",
            path=path,
            remedy="free disk space or memory; it is tried again",
        ) from error
    except duckdb.Error as error:
        raise QueryError(f"the session's database could not be read ({error})", path=path) from error
