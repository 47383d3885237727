"""What can happen to the intake: the only things that `IntakeMachine.handle` understands.

Every event says what was *observed*; none says what to do. Times are seconds of frazil's own monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from frazil.daemon.intake.identity import FileStat
from frazil.models.records import AcquisitionMetadata, MovieHeader, MovieState


class Structure(Protocol):
    """What a structure check says of a file (`frazil.models.formats.structure.StructureReport` is one)."""

    @property
    def complete(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def header(self) -> MovieHeader | None: ...
    @property
    def frames_present(self) -> int: ...
    @property
    def zero_trailing_frames(self) -> int: ...
    @property
    def damaged(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the whole tree."""

    root_present: bool
    root_identity: tuple[int, int] | None = None
    """(device, inode) of the root folder: another one under the same name means that watches are dead."""
    files: Mapping[str, FileStat | None] = field(default_factory=dict)
    """Relative path -> stat; `None`: it is there, but this quick look did not ask for its stat."""
    sidecars: Mapping[str, FileStat | None] = field(default_factory=dict)
    """Absolute path -> stat of each file that could be a sidecar, in the raw root and the sidecar roots."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Relative path -> why it is not followed or read."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Relative folder -> error. What lies below is unknown, which is not the same as gone."""


class HintKind(StrEnum):
    CLOSED = "closed"
    """A writer closed the file. It may open it again: this shortens a wait and proves nothing."""
    CHANGED = "changed"
    """Created, renamed to, or written to."""
    TREE = "tree"
    """A folder appeared, moved or went, or events were lost: look at everything."""


@dataclass(frozen=True, slots=True)
class ScanFinished:
    started_s: float
    """Nothing in the snapshot is older than this."""
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Hint:
    path: str
    kind: HintKind


@dataclass(frozen=True, slots=True)
class Looked:
    """Answer to `LookAt`."""

    path: str
    looked_s: float
    stat: FileStat | None
    """`None`: not there, not a regular file, or refused (the next scan says why)."""
    closed: bool = False


@dataclass(frozen=True, slots=True)
class StructureChecked:
    """Answer to `CheckStructure`. `stat` was the same before and after the check, unless `report` is `None`:
    then the file changed meanwhile and `stat` is the newer one."""

    path: str
    looked_s: float
    stat: FileStat
    report: Structure | None


@dataclass(frozen=True, slots=True)
class CheckFailed:
    """Answer to `CheckStructure` when the file could not be read at all."""

    path: str
    reason: str
    evidence: str = ""
    """Traceback, if the failure was not foreseen."""
    gone: bool = False
    """The file is not there any more."""


@dataclass(frozen=True, slots=True)
class SidecarRead:
    path: str
    """The movie that it was read for."""
    sidecar_path: str
    metadata: AcquisitionMetadata


@dataclass(frozen=True, slots=True)
class SidecarFailed:
    path: str
    sidecar_path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class SpaceLow:
    free_bytes: int
    floor_bytes: int


@dataclass(frozen=True, slots=True)
class SpaceOk:
    free_bytes: int


@dataclass(frozen=True, slots=True)
class RestoredMovie:
    """A row of the store, at start. Give all generations; the newest of each path counts."""

    path: str
    generation: int
    state: MovieState
    stat: FileStat | None
    found_utc_us: int
    frame_count: int | None = None
    file_format: str | None = None
    sidecar_path: str | None = None
    metadata: AcquisitionMetadata | None = None
    quarantined_by_intake: bool = False
    """Set aside as truncated or damaged: when the file changes, it is looked at again."""
    announced: bool | None = None
    """This generation was handed on at some time (`complete_utc_us` is set): a changed file is a new generation.
    `None`: guessed from the state."""
    accept_as_is: bool = False
    """A person has said so of this very file (`Reconsider`)."""


@dataclass(frozen=True, slots=True)
class Reconsider:
    """A file is to be looked at again; `accept_as_is`: with the frames that it has (`None`: as was said before)."""

    path: str
    accept_as_is: bool | None = None


Event = (
    ScanFinished
    | Hint
    | Looked
    | StructureChecked
    | CheckFailed
    | SidecarRead
    | SidecarFailed
    | Tick
    | SpaceLow
    | SpaceOk
    | RestoredMovie
    | Reconsider
)
