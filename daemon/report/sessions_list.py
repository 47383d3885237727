"""Sessions below a folder, one record each: what they are, how they ended, what came of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from frazil.config.errors import FrazilError, SessionLockedError
from frazil.daemon.store.queries.many_sessions import sessions_below
from frazil.daemon.transport.messages import LiveState, Row


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session. What is not known is None."""

    folder: str
    name: str
    state: str
    """`finished`, `stopped` (in good order, movies were left), `ended` (nobody closed it), `running` (also while it is
    paused or blocked), `unreadable`."""
    why: str = ""
    """Of one that cannot be read, or is read through a copy."""
    began_utc_us: int | None = None
    ended_utc_us: int | None = None
    """None: it runs."""
    movies: int | None = None
    kept: int | None = None
    kept_share: float | None = None
    """Of the movies that have a result."""
    resolution_angstrom: float | None = None
    """Of the newest map."""
    size_bytes: int | None = None
    """Of all that lies in its folder; None: it was not asked for."""

    def as_row(self) -> Row:
        """For a socket, a screen or JSON."""
        return asdict(self)


def sessions_list(
    root: Path, state_of: Callable[[Path], LiveState], *, with_size: bool = False
) -> Iterator[SessionLine]:
    """The sessions at, in or one level further below `root`, each as soon as it was asked, in the order of their names.
    Those that this account may not read are left out (`sessions_below` counts them).

    `state_of` asks a session's daemon or reads its file. Raises `UsageError` where there is no session.
    """
    for folder in sessions_below(root).folders:
        yield _line(folder, state_of, with_size=with_size)


def _line(folder: Path, state_of: Callable[[Path], LiveState], *, with_size: bool) -> SessionLine:
    size_bytes = _size_bytes(folder) if with_size else None
    try:
        state = state_of(folder)
    except SessionLockedError as error:
        return SessionLine(str(folder), folder.name, "running", error.what, size_bytes=size_bytes)
    except FrazilError as error:
        return SessionLine(str(folder), folder.name, "unreadable", error.what, size_bytes=size_bytes)
    kept, rejected = state.counts.get("ready", 0), state.counts.get("rejected", 0)
    return SessionLine(
        str(folder),
        state.session_name or folder.name,
        "running" if state.ended_utc_us is None else state.status,
        state.message,
        state.session_started_utc_us or None,
        state.ended_utc_us,
        sum(number for name, number in state.counts.items() if name != "outdated"),
        kept,
        kept / (kept + rejected) if kept + rejected else None,
        state.map_resolution_angstrom,
        size_bytes,
    )


def _size_bytes(folder: Path) -> int:
    """Links are not followed; what goes away meanwhile is left out."""
    total, waiting = 0, [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
