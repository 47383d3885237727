"""What can happen to a movie after the intake has found it: the only things that `Lifecycle.handle` understands.

Every event says what was observed or ordered; none says what to do. Times are seconds of the daemon's monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from frazil.daemon.intake.identity import CompleteMovie
from frazil.daemon.intake.instructions import Found as FoundFile
from frazil.daemon.processing.scheduler import FailureKind
from frazil.daemon.store.rows import MovieRow
from frazil.models.formats.acquisition import AcquisitionParameters


@dataclass(frozen=True, slots=True)
class Found:
    """The intake has found a file that may become a movie."""

    file: FoundFile


@dataclass(frozen=True, slots=True)
class Settling:
    """The intake waits for the file: it grows, or came back."""

    movie_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The file is a whole movie, and everything that its processing needs is known."""

    movie: CompleteMovie
    acquisition: AcquisitionParameters
    row: MovieRow
    needs_gain: bool
    """It waits for the gain gate, which has not answered yet."""


@dataclass(frozen=True, slots=True)
class ValuesMissing:
    """The file is a whole movie; a value that processing needs is given by nobody, or contradicted."""

    movie_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another file has taken this movie's place."""

    movie_id: str
    path: str
    older_than_generation: int


@dataclass(frozen=True, slots=True)
class Vanished:
    """The file went away. (Of a redo whose stored sums are enough the shell says `Completed` instead.)"""

    movie_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The intake has set the file aside."""

    movie_id: str
    path: str
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ValuesChanged:
    """A sidecar came late, for a movie that is being processed."""

    movie: CompleteMovie
    acquisition: AcquisitionParameters
    row: MovieRow


@dataclass(frozen=True, slots=True)
class ResultOutdated:
    """A sidecar came late, for a movie that is not being processed, and says something that changes a result."""

    movie_id: str
    now_s: float


@dataclass(frozen=True, slots=True)
class GainKnown:
    """The gain gate lets movies pass."""


@dataclass(frozen=True, slots=True)
class Started:
    """A worker is given the movie."""

    movie_id: str


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The store could not keep that a worker is given the movie: it goes to none."""

    worker: str
    movie_id: str
    now_s: float


@dataclass(frozen=True, slots=True)
class MadeAlready:
    """The result's file is there and of the settings in force: the daemon ended before its row was written."""

    worker: str
    movie_id: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A worker brought a result."""

    worker: str
    movie_id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker did not bring a result."""

    worker: str
    movie_id: str
    kind: FailureKind
    stage: str
    reason: str
    evidence: Mapping[str, object]
    now_s: float
    file_gone: bool = False


@dataclass(frozen=True, slots=True)
class WorkerFree:
    """A worker has let go of a movie, whatever became of it: follows by itself from those that name a worker."""

    movie_id: str


@dataclass(frozen=True, slots=True)
class Written:
    """The result is durable."""

    movie_id: str


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The store would not take the result: a newer file has taken the movie's place."""

    movie_id: str


@dataclass(frozen=True, slots=True)
class Unstorable:
    """The session's database does not take the result, now or later."""

    movie_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Requeued:
    """A person wants the movie processed again."""

    movie_id: str
    accept_as_is: bool
    now_s: float


Event = (
    Found
    | Settling
    | Completed
    | ValuesMissing
    | Replaced
    | Vanished
    | Refused
    | ValuesChanged
    | ResultOutdated
    | GainKnown
    | Started
    | NotStarted
    | MadeAlready
    | Answered
    | Failed
    | Written
    | Overtaken
    | Unstorable
    | Requeued
)
LetGo = Answered | MadeAlready | NotStarted | Failed
"""After these a worker has the movie no more."""
