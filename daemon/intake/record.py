"""What the intake remembers of one path."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from frazil.daemon.intake.events import Structure
from frazil.daemon.intake.identity import FileStat, movie_id
from frazil.models.records import AcquisitionMetadata


class Phase(StrEnum):
    SETTLING = "settling"
    """Has not stood still for long enough."""
    CHECKING = "checking"
    """A structure check is under way."""
    INCOMPLETE = "incomplete"
    """Stands still, but the format or the number of frames says that there is more to come."""
    WAITING = "waiting"
    """Complete; its sidecar is not here yet."""
    ANNOUNCED = "announced"
    """Handed on. Whatever changes now is a new generation."""
    QUARANTINED = "quarantined"
    """Set aside before it was ever handed on."""
    GONE = "gone"
    """Went away before it was complete."""


UNFINISHED = frozenset({Phase.SETTLING, Phase.CHECKING, Phase.INCOMPLETE, Phase.WAITING})


@dataclass(slots=True)
class SidecarState:
    reading: tuple[str, FileStat] | None = None
    """(path, stat) of the sidecar that is being read."""
    known: tuple[str, FileStat] | None = None
    """The one that was read last, with success or not."""
    since_s: float = 0.0
    """When that stat was first seen."""
    adopted_path: str | None = None
    """From the store: this sidecar was read in an earlier run; its stat is taken as it is found."""
    metadata: AcquisitionMetadata | None = None
    failure: str | None = None


@dataclass(slots=True)
class MovieRecord:
    path: str
    order: int
    """Of finding, in the session."""
    generation: int
    stat: FileStat
    found_s: float
    found_utc_us: int
    looked_s: float
    """When `stat` was last seen to be true; anything observed before that is stale."""
    still_since_s: float
    sidecar: SidecarState
    phase: Phase = Phase.SETTLING
    present: bool = True
    claimed: bool = False
    """This generation was handed on, now or before a restart: a change makes a new one."""
    resumed: bool = False
    checks: int = 0
    """Since the last change; the pause between them grows with it."""
    crashes: int = 0
    """Checks that failed in an unforeseen way since the last change."""
    quick: bool = False
    """The check under way was begun by a `closed` hint, before the settle time was over."""
    report: Structure | None = None
    """Of the current stat."""
    complete_s: float | None = None
    reason: str = ""
    """Why it is not handed on yet, as last said."""
    held_by_count: bool = False
    accept_as_is: bool = False
    frame_count_flags: tuple[str, ...] = ()
    look_pending: bool = False

    @property
    def movie_id(self) -> str:
        return movie_id(self.path, self.generation)
