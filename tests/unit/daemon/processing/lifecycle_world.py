"""A world for the lifecycle of movies: a table of states that does as it is told, and workers that are names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from frazil.daemon.intake.identity import CompleteMovie, FileStat, movie_id
from frazil.daemon.intake.instructions import Found as FoundFile
from frazil.daemon.processing import events
from frazil.daemon.processing import instructions as do
from frazil.daemon.processing.lifecycle import Lifecycle, MovieLife
from frazil.daemon.processing.places import STATES_IN_STORE, Place
from frazil.daemon.processing.scheduler import Dispatch, FailureKind, Scheduler
from frazil.daemon.session.registry import EarlierMovie
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.records import MovieHeader, MovieState

STAT = FileStat(10, 1, 1)
HEADER = MovieHeader("m.tiff", "tiff", 40, 64, 64, "uint8")


def acquisition(pixel_size_angstrom: float = 1.0) -> AcquisitionParameters:
    return AcquisitionParameters(pixel_size_angstrom, 300.0, 2.7, 0.1, 1.0, 0.0, False, ())


class RecordedLifecycle(Lifecycle):
    """Keeps every move."""

    moves: set[tuple[type, Place, Place]]

    def _move(self, life: MovieLife, event: Any, to: Place, *, as_first: bool = False) -> None:
        before = life.place
        super()._move(life, event, to, as_first=as_first)
        self.moves.add((type(event), before, life.place))


class World:
    """Events go in by short words; what the store would say afterwards is kept in `states`."""

    def __init__(self, earlier: Iterable[EarlierMovie] = (), *, workers: int = 2, max_attempts: int = 2) -> None:
        earlier = list(earlier)
        self.life = RecordedLifecycle(Scheduler(max_attempts=max_attempts), earlier)
        self.life.moves = set()
        self.states = {movie.movie_id: movie.state for movie in earlier}
        for movie in earlier:
            if movie.redo or movie.given_up:
                self.states[movie.movie_id] = MovieState.READY
        self.attempts = dict.fromkeys(self.states, 0)
        self.asked: list[str] = []
        self.told: list[str] = []
        self.waiting_for: set[int] = set()
        """Numbers of movies that the analysis waits for."""
        self.restarts: list[str] = []
        self.now_s = 0.0
        for number in range(workers):
            self.life.worker_available(f"w{number}")

    # --- events ----------------------------------------------------------------------------------------------------

    def happens(self, event: events.Event) -> list[do.Instruction]:
        instructions = self.life.handle(event)
        for instruction in instructions:
            self._perform(instruction)
        self.life.validate()
        if not isinstance(event, events.Started):  # the row of the attempt follows
            self._check_states()
        return instructions

    def _lives(self) -> list[tuple[str, Any]]:
        return [(name, self.life.life(name)) for name in self.states if name in self.life]

    def found(self, path: str, generation: int = 1) -> str:
        name = movie_id(path, generation)
        self.states.setdefault(name, MovieState.FOUND)
        self.attempts.setdefault(name, 0)
        self.happens(events.Found(FoundFile(path, generation, name, STAT, 0.0, 0)))
        return name

    def movie(self, path: str, generation: int = 1) -> CompleteMovie:
        return CompleteMovie(
            path, Path("/raw") / path, generation, movie_id(path, generation), STAT, HEADER, None, None, (), 0.0, 0, 0.0
        )

    def completes(self, path: str, generation: int = 1, *, gain: bool = False, pixel: float = 1.0) -> str:
        movie = self.movie(path, generation)
        self.happens(events.Completed(movie, acquisition(pixel), self.life.row_of(movie, 5), gain))
        return movie.movie_id

    def values_change(self, path: str, generation: int = 1, *, pixel: float) -> None:
        movie = self.movie(path, generation)
        self.happens(events.ValuesChanged(movie, acquisition(pixel), self.life.row_of(movie, 5)))

    def start(self) -> list[Dispatch]:
        dispatches = self.life.dispatches(self.now_s, eligible_below=None)
        for dispatch in dispatches:
            self.happens(events.Started(dispatch.movie_id))
            if not self.life.is_redo(dispatch.movie_id):
                self.states[dispatch.movie_id] = MovieState.PROCESSING
                self.attempts[dispatch.movie_id] += 1
        self._check_states()
        return dispatches

    def not_started(self, worker: str, name: str) -> None:
        self.happens(events.NotStarted(worker, name, self.now_s))

    def fails(self, worker: str, name: str, kind: FailureKind, *, gone: bool = False) -> None:
        self.happens(events.Failed(worker, name, kind, "read", "it was so", {}, self.now_s, gone))
        self._come_back(worker)

    def answers(self, worker: str, name: str) -> None:
        self.happens(events.Answered(worker, name))
        self._come_back(worker)

    def _come_back(self, worker: str) -> None:
        if worker in self.restarts:
            self.restarts.remove(worker)
            self.life.worker_available(worker)

    # --- what follows ----------------------------------------------------------------------------------------------

    def _perform(self, instruction: do.Instruction) -> None:
        match instruction:
            case do.LookAgain(path):
                self.asked.append(path)
            case do.Expect(sequence) | do.Begin(sequence):
                self.waiting_for.add(sequence)
            case do.End(sequence):
                self.waiting_for.discard(sequence)
            case do.RestartWorker(worker):
                self.life.worker_busy(worker)
                self.restarts.append(worker)
            case do.Tell(text=text):
                self.told.append(text)
            case _:
                self._store(instruction)

    def _store(self, instruction: do.Instruction) -> None:
        """As the statements of the store do it."""
        match instruction:
            case do.Register(row):
                self.states.setdefault(row.movie_id, MovieState.FOUND)
            case do.StoreState(name, state) | do.RecordFailure(name, _, _, state):
                self.states[name] = state
            case do.SetAside(name):
                self.states[name] = MovieState.QUARANTINED
            case do.OutdateOlder(path, than):
                older = {movie_id(path, generation) for generation in range(1, than)}
                self.states |= dict.fromkeys(older & self.states.keys(), MovieState.OUTDATED)
            case do.GiveAttemptBack(name):
                self.attempts[name] = max(self.attempts[name] - 1, 0)
                if self.states[name] not in (MovieState.OUTDATED, MovieState.QUARANTINED):
                    self.states[name] = MovieState.QUEUED
            case do.QueueAgain(name):
                self.states[name], self.attempts[name] = MovieState.QUEUED, 0
            case do.KeepResult(name):
                assert self.states[name] in (MovieState.READY, MovieState.REJECTED)
            case _:
                raise AssertionError(f"nobody performs {instruction}")

    def written(self, name: str) -> None:
        """As the result's writer does it: its rows, then the event."""
        self.states[name] = MovieState.READY
        life = self.life.life(name)
        assert life is not None
        self.waiting_for.discard(life.sequence)
        self.happens(events.Written(name))

    def overtaken(self, name: str) -> None:
        self.states[name] = MovieState.OUTDATED
        self.happens(events.Overtaken(name))

    def _check_states(self) -> None:
        """What the store says of each movie is what it says in that place."""
        for name, life in self._lives():
            assert self.states[name] in STATES_IN_STORE[life.place], (life, self.states[name])
            if life.place.in_process and not life.place.redo:
                assert life.sequence in self.waiting_for, f"nobody waits for {life}"
