"""What the shells of processing/ are tried with: a store, a listener, workers and a folder that only remember."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from lifecycle_world import HEADER, STAT

from frazil.config.settings import Settings
from frazil.daemon.intake.events import Reconsider
from frazil.daemon.intake.identity import CompleteMovie, movie_id
from frazil.daemon.intake.instructions import Found as FoundFile
from frazil.daemon.processing.gain import GainGate
from frazil.daemon.processing.lifecycle import Lifecycle
from frazil.daemon.processing.movies import Movies
from frazil.daemon.processing.results import ResultWriter
from frazil.daemon.processing.scheduler import Scheduler
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.session.registry import EarlierMovie
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.store import Store
from frazil.daemon.store.table import Table
from frazil.daemon.store.writer import WritePolicy
from frazil.models.records import MovieResult

SETTINGS = Settings.model_validate(
    {"microscope": {"pixel_size_angstrom": 1.0, "voltage_kv": 300.0, "cs_mm": 2.7}, "camera": {"no_gain": True}}
)


@dataclass
class FakeStore:
    """Remembers what was written, by the name of the function; `refuses` is raised by durable writes."""

    written: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, object] = field(default_factory=dict)
    refuses: list[Exception] = field(default_factory=list)
    movie_rows: list[dict[str, object]] = field(default_factory=list)
    session_dir: Path = Path("/session")

    def write(self, policy: WritePolicy, work: Callable[..., object], *args: Any, **kwargs: Any) -> object:
        if policy is WritePolicy.DURABLE and self.refuses:
            raise self.refuses.pop(0)
        self.written.append((work.__name__, args, kwargs))
        return self.answers.get(work.__name__)

    def names(self) -> list[str]:
        return [name for name, _, _ in self.written]

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return []

    def named(self, name: str, params: dict[str, object] | None = None) -> Table:
        if name == "session":
            return Table(("raw_root",), (("/nowhere",),))
        rows = [row for row in self.movie_rows if params is None or row["movie_id"] == params["movie_id"]]
        return Table(("movie_id", "state"), tuple((row["movie_id"], row["state"]) for row in rows))  # type: ignore[arg-type]

    def flush(self) -> None:
        self.written.append(("flush", (), {}))


@dataclass
class FakeNotices:
    told: list[tuple[str, str, str]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def alert(self, severity: str, subject: str, text: str, remedy: str | None = None, alert_id: str = "") -> None:
        self.told.append((severity, subject, text))

    def over(self, alert_id: str) -> None:
        self.ended.append(alert_id)


@dataclass
class FakeListener:
    began: list[int] = field(default_factory=list)
    ended: list[tuple[int, str | None]] = field(default_factory=list)

    def movie_begins(self, sequence: int) -> None:
        self.began.append(sequence)

    def movie_ended(self, sequence: int, result: MovieResult | None) -> None:
        self.ended.append((sequence, None if result is None else result.movie_id))


@dataclass
class FakeFolder:
    written: list[tuple[StoredResult, bool]] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    first: StoredResult | None = None
    refuses: list[OSError] = field(default_factory=list)

    def write(self, stored: StoredResult, *, redo: bool) -> None:
        if self.refuses:
            raise self.refuses.pop(0)
        self.written.append((stored, redo))

    def earlier(self, movie_id: str) -> StoredResult | None:
        return self.first

    def discard(self, movie_id: str) -> None:
        self.discarded.append(movie_id)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Shells:
    """All shells around one lifecycle, without Ray and disk."""

    def __init__(self, settings: Settings = SETTINGS, earlier: list[EarlierMovie] | None = None, **movies: Any) -> None:
        self.store, self.notices, self.clock = FakeStore(), FakeNotices(), Clock()
        self.context = SessionContext(
            cast("Store", self.store),
            Path("/session"),
            settings,
            cast("Any", self.notices),
            self.clock,
            lambda: 7,
            MadeWith("h", "v"),
        )
        self.lifecycle = Lifecycle(Scheduler(max_attempts=2), earlier or [])
        self.listener, self.folder = FakeListener(), FakeFolder()
        self.gate = GainGate(settings, stored=None)
        self.asked: list[Reconsider] = []
        given = {"ask_when_unknown": False, "any_resolved": True} | movies
        self.movies = Movies(
            self.context, self.lifecycle, gate=self.gate, listener=self.listener, look_again=self.asked.append, **given
        )
        self.results = ResultWriter(self.context, self.lifecycle, self.movies, self.listener, self.folder)

    def found(self, path: str, generation: int = 1) -> str:
        name = movie_id(path, generation)
        self.movies.take(FoundFile(path, generation, name, STAT, 1.0, 1))
        return name

    def movie(self, path: str, generation: int = 1, **others: Any) -> CompleteMovie:
        plain = CompleteMovie(
            path,
            Path("/raw") / path,
            generation,
            movie_id(path, generation),
            STAT,
            HEADER,
            None,
            None,
            (),
            90.0,
            1,
            91.0,
        )
        return replace(plain, **others)
