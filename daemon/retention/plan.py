"""What could be removed from sessions below a folder: files by their kind and the days since their session ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FrazilError
from frazil.config.serving import RetentionRules
from frazil.daemon.report.sessions_list import SessionLine, sessions_list
from frazil.daemon.store.reading import FileReader
from frazil.daemon.store.removed import KIND_FOLDERS
from frazil.daemon.store.session_files import DATABASE_NAME
from frazil.daemon.transport.messages import LiveState

_US_PER_DAY = 86_400_000_000
_ENDINGS = (".mrc", ".mrcs", ".npz")
"""Of what is removed: pictures, stacks, and what the restoration was taught by. All else in these folders stays."""
_SUMS_SQL = """
SELECT movie_id, relative_path, micrograph_path, micrograph_no_dose_weighting_path, even_path, odd_path
FROM movies JOIN quality USING (movie_id) WHERE movie_id > '{after}' ORDER BY movie_id LIMIT 10000
"""
"""Of every movie, whatever became of it."""
_NETWORKS = "networks"
"""Small, and what restored pictures were made with."""


@dataclass(frozen=True, slots=True)
class Removable:
    """Files of one kind in one session."""

    kind: str
    after_days: float
    """By the rule."""
    files: tuple[Path, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """Of one session."""

    folder: Path
    removable: tuple[Removable, ...] = ()
    ended_days: float | None = None
    why_not: str = ""
    """Why nothing, or not everything, may be removed."""
    stamp: tuple[tuple[int, int] | None, ...] = ()
    """Of the database when this was planned."""

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.removable)


def plan_retention(
    root: Path, rules: RetentionRules, state_of: Callable[[Path], LiveState], *, now_utc_us: int
) -> Iterator[SessionPlan]:
    """One plan a session, in the order of their names. Raises `UsageError` where there is no session.

    `state_of` asks a session's daemon or reads its file.
    """
    raw_roots: dict[str, str] = {}

    def heard(folder: Path) -> LiveState:
        state = state_of(folder)
        raw_roots[str(folder)] = state.raw_root
        return state

    for line in sessions_list(root, heard):
        yield _plan(line, rules, raw_roots.get(line.folder, ""), now_utc_us)


def stamp_of(session_dir: Path) -> tuple[tuple[int, int] | None, ...]:
    """Of the database and its log: another one when somebody has gone on with the session."""
    return tuple(_file_stamp(session_dir / name) for name in (DATABASE_NAME, f"{DATABASE_NAME}.wal"))


def _file_stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _plan(line: SessionLine, rules: RetentionRules, raw_root: str, now_utc_us: int) -> SessionPlan:
    folder = Path(line.folder)
    if line.state != "finished" or line.ended_utc_us is None:
        why_not = {
            "running": "it runs",
            "stopped": "it was stopped with movies left, and may go on",
            "ended": "nobody closed it: `frazil watch` on it finishes it",
        }.get(line.state, line.why or "it cannot be read")
        return SessionPlan(folder, why_not=why_not)
    days = (now_utc_us - line.ended_utc_us) / _US_PER_DAY
    removable, why_not = [], ""
    for kind, after_days in _limits(rules).items():
        if after_days is None or days < after_days:
            continue
        files = tuple(_files(folder / KIND_FOLDERS[kind], Path(raw_root)))
        if kind == "sums" and files:
            files, why_not = _with_movie(files, folder, raw_root)
        if files:
            removable.append(Removable(kind, after_days, files, sum(map(_size, files))))
    return SessionPlan(folder, tuple(removable), days, why_not, stamp_of(folder))


def _limits(rules: RetentionRules) -> dict[str, float | None]:
    return {"restored": rules.restored_days, "particles": rules.particles_days, "sums": rules.sums_days}


def _files(folder: Path, raw_root: Path) -> Iterator[Path]:
    """Real files with the endings of pictures; no link is followed, and none of a folder with raw movies is told."""
    if folder.is_symlink() or raw_root.resolve().is_relative_to(folder.resolve()):
        return
    for place, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if name != _NETWORKS)
        for name in sorted(files):
            path = Path(place, name)
            if name.endswith(_ENDINGS) and not path.is_symlink():
                yield path


def _with_movie(files: tuple[Path, ...], folder: Path, raw_root: str) -> tuple[tuple[Path, ...], str]:
    """Those sums whose raw movie is there now, and why others stay. A sum of which no movie is known stays, too."""
    if not raw_root or not os.path.isdir(raw_root):
        return (), "its sums stay: the movies are not there any more"
    there: set[Path] = set()
    try:
        with FileReader(folder) as reader:
            after = ""
            while rows := reader.sql(_SUMS_SQL.format(after=after.replace("'", "''"))).rows:
                for _, relative_path, *names in rows:
                    if os.path.isfile(os.path.join(raw_root, str(relative_path))):
                        there.update(folder / str(name) for name in names if name is not None)
                after = str(rows[-1][0])
    except FrazilError as error:
        return (), f"its sums stay: {error}"
    kept = tuple(path for path in files if path in there)
    stay = len(files) - len(kept)
    return kept, f"{stay} of its sums stay: their movies are not there any more, or not known" if stay else ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
