"""What the intake remembers of one path."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from frazil.daemon.intake.events import RestoredMovie, Structure
from frazil.daemon.intake.identity import FileStat, movie_id
from frazil.models.records import AcquisitionMetadata, MovieState

UNKNOWN_STAT = FileStat(-1, -1, -1)
_BEFORE = frozenset({MovieState.FOUND, MovieState.SETTLING})
_TO_DO_AGAIN = frozenset({MovieState.QUEUED, MovieState.PROCESSING, MovieState.FAILED, MovieState.OUTDATED})
"""Handed on and without a result that counts. Outdated: as the newest generation of its path it has no successor."""


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
    reading_settled: bool = False
    """The last reading was of a file that had stood still."""
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
    """A person takes it with the frames that it has; until the file changes."""

    @property
    def movie_id(self) -> str:
        return movie_id(self.path, self.generation)


def restored_record(event: RestoredMovie, order: int, now_s: float) -> MovieRecord:
    """What an earlier run left: to be looked at again (`SETTLING`), set aside, or done (`ANNOUNCED`).

    Sidecars of unfinished movies are read again: what the store holds is merged from several sources. Those of
    finished ones are only known by their path, so that a restart does not read thousands.
    """
    before = event.state in _BEFORE
    by_intake = event.state is MovieState.QUARANTINED and event.quarantined_by_intake
    if before or event.state in _TO_DO_AGAIN:
        phase = Phase.SETTLING
    else:
        phase = Phase.QUARANTINED if by_intake else Phase.ANNOUNCED
    finished = phase is Phase.ANNOUNCED
    return MovieRecord(
        path=event.path,
        order=order,
        generation=event.generation,
        stat=UNKNOWN_STAT if event.stat is None else event.stat,
        found_s=now_s,
        found_utc_us=event.found_utc_us,
        looked_s=float("-inf"),
        still_since_s=now_s,
        sidecar=SidecarState(metadata=event.metadata, adopted_path=event.sidecar_path) if finished else SidecarState(),
        phase=phase,
        claimed=finished or (not (before or by_intake) if event.announced is None else event.announced),
        resumed=True,
        accept_as_is=event.accept_as_is,
    )


def what_changed(old: FileStat, new: FileStat) -> str:
    """For a person: why this is not the file that it was."""
    if old.inode != new.inode:
        return "the file was replaced by another one"
    if old.size_bytes != new.size_bytes:
        return f"its size changed from {old.size_bytes} to {new.size_bytes} bytes"
    return "it was written to again"
