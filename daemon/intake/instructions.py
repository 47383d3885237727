"""What the intake machine wants done. The shell performs each one and turns the outcome into an event.

Questions to the disk (`LookAt`, `CheckStructure`, `ReadSidecar`) are each answered by exactly one event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from frazil.daemon.intake.identity import CompleteMovie, FileStat
from frazil.models.records import AcquisitionMetadata

Evidence = Mapping[str, str | int | float | bool | None]


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LookAt:
    path: str
    closed: bool = False
    """Handed back in `Looked`."""


@dataclass(frozen=True, slots=True)
class CheckStructure:
    path: str
    stat: FileStat


@dataclass(frozen=True, slots=True)
class ReadSidecar:
    path: str
    sidecar_path: str
    settled: bool = False
    """It stood still: what looks like an unfinished end is its end."""


@dataclass(frozen=True, slots=True)
class Rescan:
    """Look at the whole tree soon."""


@dataclass(frozen=True, slots=True)
class RearmWatcher:
    """The watches of the root are dead or were never there."""


@dataclass(frozen=True, slots=True)
class Found:
    path: str
    generation: int
    movie_id: str
    stat: FileStat
    found_monotonic_s: float
    found_utc_us: int


@dataclass(frozen=True, slots=True)
class Settling:
    """What a movie waits for; said again only when it changes."""

    path: str
    generation: int
    movie_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Announce:
    movie: CompleteMovie


@dataclass(frozen=True, slots=True)
class Replaced:
    """The file changed after this generation was handed on; the next one follows as `Found`."""

    path: str
    old_generation: int
    old_movie_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Revived:
    """A quarantined file changed, or what was missing arrived: it is settling again, same generation."""

    path: str
    generation: int
    movie_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Vanished:
    """The file went away before it was processed."""

    path: str
    generation: int
    movie_id: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    path: str
    generation: int
    movie_id: str
    stat: FileStat
    reason: str
    """A sentence for a person."""
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class LateSidecar:
    """A sidecar arrived or changed after its movie was handed on."""

    path: str
    generation: int
    movie_id: str
    sidecar_path: str
    metadata: AcquisitionMetadata
    previous: AcquisitionMetadata | None


ROOT_LOST = "raw-folder-lost"
"""Id of the alert that the raw folder is not there."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know and that is not the fate of one movie."""

    severity: Severity
    subject: str
    text: str
    remedy: str | None = None
    paths: tuple[str, ...] = ()
    alert_id: str = ""
    """Of what lasts: told of once until it is over. Empty: the same text is the same alert."""
    over: str = ""
    """The id of an alert that this one ends."""


Instruction = (
    LookAt
    | CheckStructure
    | ReadSidecar
    | Rescan
    | RearmWatcher
    | Found
    | Settling
    | Announce
    | Replaced
    | Revived
    | Vanished
    | Quarantine
    | LateSidecar
    | Alert
)
