"""What `Lifecycle` wants done. `movies.MovieShell` performs each; every state in the table `movies` comes from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from frazil.daemon.store.rows import MovieRow
from frazil.models.records import MovieState


@dataclass(frozen=True, slots=True)
class Register:
    """Keep what is known of the file."""

    row: MovieRow


@dataclass(frozen=True, slots=True)
class StoreState:
    """The movie is in this state now."""

    movie_id: str
    state: MovieState
    complete_utc_us: int | None = None


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """What went wrong; another attempt may follow."""

    movie_id: str
    stage: str
    reason: str
    state: MovieState
    evidence: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """The movie failed for good, and why."""

    movie_id: str
    stage: str
    reason: str
    evidence: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class OutdateOlder:
    """Movies of this path with a smaller generation are outdated."""

    path: str
    than_generation: int


@dataclass(frozen=True, slots=True)
class GiveAttemptBack:
    """The last attempt does not count."""

    movie_id: str


@dataclass(frozen=True, slots=True)
class KeepResult:
    """The result of earlier settings stays, and why."""

    movie_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class QueueAgain:
    """Attempts from zero, the old failure forgotten. `accept_as_is`: None, as was said before."""

    movie_id: str
    accept_as_is: bool | None = None


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The intake is to look at the file once more."""

    path: str
    accept_as_is: bool | None = None
    """With the frames that it has; None: as was said before."""


@dataclass(frozen=True, slots=True)
class Expect:
    """A new movie: the session's analysis waits for it, within reason, before it is complete."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Begin:
    """The movie is complete, and the session's analysis waits for its end."""

    sequence: int


@dataclass(frozen=True, slots=True)
class End:
    """The movie will have no result (now): nobody waits for it any more."""

    sequence: int


@dataclass(frozen=True, slots=True)
class RestartWorker:
    """The worker is sick, or gone."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tell:
    """A person should know."""

    severity: str
    subject: str
    text: str
    remedy: str | None = None
    about: str = ""
    """The movie that is set aside: when it is taken up again this is over by itself."""


Instruction = (
    Register
    | StoreState
    | RecordFailure
    | SetAside
    | OutdateOlder
    | GiveAttemptBack
    | KeepResult
    | QueueAgain
    | LookAgain
    | Expect
    | Begin
    | End
    | RestartWorker
    | Tell
)
