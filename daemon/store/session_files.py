"""Whether a folder holds a session, and whether it may be read. Imports nothing that takes time."""

from __future__ import annotations

import os
from pathlib import Path

from frazil.config.errors import UsageError

DATABASE_NAME = "session.duckdb"


def is_session(folder: Path) -> bool:
    """False also where this account may not look."""
    return os.path.isfile(folder / DATABASE_NAME)


def check_is_session(session_dir: Path) -> None:
    """Raises `UsageError` for a folder that holds no session, or one that may not be read."""
    path = session_dir / DATABASE_NAME
    try:
        there, readable = path.is_file(), os.access(path, os.R_OK)
    except PermissionError:
        there, readable = True, False
    if not there:
        raise UsageError(
            "there is no frazil session here",
            path=session_dir,
            remedy="give the folder that `frazil watch --session` was given",
        )
    if not readable:
        raise UsageError(
            "this session may not be read",
            path=path,
            remedy=f"ask whom it belongs to for `chmod -R a+rX {session_dir}`",
        )
