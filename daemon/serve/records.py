"""What `frazil serve` knows, on disk: a file for each acquisition and one for itself, in `.serve` beside the sessions.

Each acquisition's file may be read by whom its session may be read by, so that `--status` tells a person of his own
sessions without asking the process. Only the process that holds the folder's lock writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from frazil.models.formats.atomic import atomic_path

FOLDER = ".serve"
_ENDING = ".json"


class State(StrEnum):
    """Of an acquisition."""

    SEEN = "seen"
    """No complete movie, or what rules ask for is not known yet."""
    WAITS = "waits"
    """For a person: `why` says for what. Looked at again when the rules change and when serve starts."""
    OLD = "old"
    """Nothing has come for long."""
    QUEUED = "queued"
    """For a place among those that run at once; also when one that died is to be started again."""
    RUNNING = "running"
    STOPPED = "stopped"
    """Ended because serve ended: it goes on when serve starts."""
    FINISHED = "finished"
    """In good order: not started again."""


class Acquisition(msgspec.Struct, kw_only=True):
    """One acquisition and its session."""

    folder: str
    program: str
    session: str
    """Name of the session's folder."""
    state: State = State.SEEN
    why: str = ""
    """In one sentence, of the state."""
    rule: str = ""
    changed_utc_s: float = 0.0
    """When the state became this one."""
    needs_movie: bool = False
    """A session has ended without one: EPU's session file alone begins it no more."""
    first_movie_utc_s: float | None = None
    """When its first complete movie was seen."""
    pid: int | None = None
    """Of the process that runs the session."""
    pid_began: int | None = None
    """Its start by the kernel's clock: numbers of processes are used again."""
    started_utc_s: float | None = None
    stopping: bool = False
    """Serve has asked it to end."""
    place: int | None = None
    """Of those that run at once: decides which GPUs it has."""
    gpus: tuple[int, ...] = ()
    http_port: int | None = None
    deaths: int = 0
    """In a row, each soon after its start."""
    not_before_utc_s: float = 0.0
    """Not started again before."""


class ServeRecord(msgspec.Struct, kw_only=True):
    """Of serve itself; names no acquisition, because everybody may read it."""

    root: str
    rules: str
    pid: int
    version: str
    began_utc_s: float
    looked_utc_s: float = 0.0
    """At the root, last."""
    max_sessions: int = 0
    problem: str = ""
    """What a person should mend: the rules, a folder that is gone."""
    retained_utc_s: float = 0.0
    """When finished sessions were cleared last."""


class Records:
    """The files. `sessions_dir`: where sessions lie."""

    def __init__(self, sessions_dir: Path) -> None:
        self.folder = sessions_dir / FOLDER
        self._acquisitions = self.folder / "acquisitions"
        self._own = self.folder / f"serve{_ENDING}"

    def prepare(self) -> None:
        """Raises OSError."""
        for folder in (self._acquisitions, self.folder / "logs", self.folder / "settings"):
            folder.mkdir(parents=True, exist_ok=True)

    def log_path(self, session: str) -> Path:
        """What the session's process says on its standard output and error."""
        return self.folder / "logs" / f"{session}.log"

    def settings_path(self, session: str) -> Path:
        """With what the session was begun."""
        return self.folder / "settings" / f"{session}.yaml"

    def path(self, session: str) -> Path:
        """Of an acquisition's file."""
        return self._acquisitions / f"{session}{_ENDING}"

    def write(self, acquisition: Acquisition, *, mode: int = 0o644, group: int | None = None) -> None:
        """`mode` and `group` of the file. Raises OSError."""
        write_private(self.path(acquisition.session), msgspec.json.encode(acquisition), mode, group)

    def write_own(self, record: ServeRecord) -> None:
        """Raises OSError."""
        write_private(self._own, msgspec.json.encode(record), 0o644, None)

    def own(self) -> ServeRecord | None:
        """None: serve has never run here, or this account may not know."""
        try:
            return msgspec.json.decode(self._own.read_bytes(), type=ServeRecord)
        except (OSError, msgspec.DecodeError):
            return None

    def acquisitions(self) -> Iterator[Acquisition | None]:
        """By name; None for each that this account may not read, or that is damaged."""
        try:
            paths = sorted(self._acquisitions.glob(f"*{_ENDING}"))
        except OSError:
            return
        for path in paths:
            try:
                yield msgspec.json.decode(path.read_bytes(), type=Acquisition)
            except FileNotFoundError:
                continue
            except (OSError, msgspec.DecodeError):
                yield None


def write_private(path: Path, data: bytes, mode: int, group: int | None) -> None:
    """Whole or not at all, never for a moment open to others. `group` None: as this process's. Raises OSError."""
    with atomic_path(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            if group is not None:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), mode)
            file.write(data)
