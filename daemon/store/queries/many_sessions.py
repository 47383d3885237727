"""One question to many sessions: each is read on its own, by its daemon where one runs, and the answers put together.

A session that cannot be asked (held by a daemon that does not answer, of another version, damaged, or without what the
question names) is named with its remedy and left out: one of them must not spoil the answer of the others. That is also
why they are not attached to one database: DuckDB refuses a file of another process, and the schema of each may differ.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FrazilError, UsageError
from frazil.daemon.store.reading import SessionReader, open_session
from frazil.daemon.store.session_files import DATABASE_NAME, is_session
from frazil.daemon.store.table import Scalar, Table

SESSION_COLUMN = "session"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A session that could not be asked, and why (with what to do)."""

    folder: Path
    why: str


def find_sessions(pattern: str) -> list[Path]:
    """Folders that hold a session: those that the pattern names (`*` and `?` as in a shell, `**` for any depth), else
    those directly below. In the order of their names.

    Raises `UsageError` where there is none.
    """
    path = Path(pattern).expanduser()
    root = Path(path.anchor or ".")
    parts = path.parts[1:] if path.anchor else path.parts
    named = sorted(root.glob(str(Path(*parts)))) if any(c in pattern for c in "*?[") else [path]
    folders = [folder for folder in named if is_session(folder)]
    if not folders:
        folders = [folder for parent in named if parent.is_dir() for folder in sorted(parent.iterdir())]
        folders = [folder for folder in folders if is_session(folder)]
    if not folders:
        raise UsageError(
            "there is no frazil session among these folders",
            path=path,
            remedy="give a pattern in quotes, such as --sessions '/data/*', whose folders hold a session.duckdb",
        )
    return folders


@dataclass(frozen=True, slots=True)
class SessionsBelow:
    """Sessions that this account may read, in the order of their names."""

    folders: tuple[Path, ...]
    not_readable: int = 0
    """Folders and sessions that it may not look into, so that nobody can tell it more of them."""


def sessions_below(root: Path) -> SessionsBelow:
    """`root` where it is a session itself, else the sessions in it and in its folders.

    Raises `UsageError` where there is none that this account may read.
    """
    if is_session(root):
        return SessionsBelow((root,))
    if root.is_dir() and not _may_look(root):
        raise UsageError(
            "this folder may not be read by this account", path=root, remedy="ask whom it belongs to, or give another"
        )
    inside, hidden = _folders(root), 0
    found = [folder for folder in inside if is_session(folder)]
    for folder in inside:
        if folder not in found:
            hidden += not _may_look(folder)
            found += [below for below in _folders(folder) if is_session(below) or not _may_look(below)]
    readable = [folder for folder in found if _may_look(folder) and os.access(folder / DATABASE_NAME, os.R_OK)]
    hidden += len(found) - len(readable)
    if not readable:
        raise UsageError(
            f"{hidden} folders here may not be read by this account, and none of the others holds a session"
            if hidden
            else "there is no frazil session here, nor in the folders in it",
            path=root,
            remedy="give the folder that `frazil watch --session` was given, or one that holds such folders",
        )
    return SessionsBelow(tuple(sorted(readable)), hidden)


def hidden_words(count: int) -> str:
    """Of sessions that were left out.

    >>> hidden_words(3)
    '3 more may not be read by this account'
    """
    return f"{count} more may not be read by this account"


def _may_look(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def _folders(folder: Path) -> list[Path]:
    """Those in a folder; none where this account may not look."""
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir()]
    except OSError:
        return []


def ask_all(folders: Iterable[Path], ask: Callable[[SessionReader], Table]) -> tuple[Table, list[Skipped]]:
    """The answers of all sessions one below the other, with the session's name in the first column.

    Columns are those of all answers, in the order in which they first come; what an answer lacks is null there.
    Sessions of the same name are told apart by as much of their path as that needs.
    """
    folders = list(folders)
    names = session_names(folders)
    answers: list[tuple[str, Table]] = []
    skipped: list[Skipped] = []
    for folder, name in zip(folders, names, strict=True):
        try:
            with open_session(folder) as reader:
                answers.append((name, ask(reader)))
        except FrazilError as error:
            skipped.append(Skipped(folder, str(error)))
    columns = tuple(
        dict.fromkeys(column for _, table in answers for column in table.columns if column != SESSION_COLUMN)
    )
    rows: list[tuple[Scalar, ...]] = []
    for name, table in answers:
        rows += [(name, *(row.get(column) for column in columns)) for row in table.as_dicts()]
    return Table((SESSION_COLUMN, *columns), tuple(rows), any(table.truncated for _, table in answers)), skipped


def session_names(folders: Iterable[Path]) -> list[str]:
    """The last parts of their paths, as many as tell all of them apart."""
    parts = [folder.absolute().parts for folder in folders]
    for count in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names
