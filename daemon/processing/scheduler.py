"""Which movie goes to which worker next: pure bookkeeping, no clock, no threads, no Ray.

The daemon tells it what happened and asks what to do. Rules, each from an accident somebody had (reliability notes in
docs/decisions/0005):

- One movie in flight per worker; the queue is here, never inside Ray.
- A movie is given up only for failures that are its own. A file that cannot be read is quarantined at once; an error
  on a healthy device counts as an attempt, preferably repeated on another worker; a worker that dies with a movie in
  hand makes the movie a suspect, which goes to the end of the queue, and the third death convicts it (random kills hit
  the same movie three times far more rarely than a poisonous file does).
- A worker that fails on several different movies in a row is to blame itself and is restarted.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import StrEnum

_DEATHS_TO_CONVICT = 3
_FAILURES_TO_RESTART_WORKER = 2
_RETRY_DELAYS_S = (2.0, 5.0, 15.0, 60.0)
_MAX_WORLD_RETRIES = 20
"""A movie whose surroundings fail (disk full, file being replaced) is tried this often before a person is asked."""
_SUSPECT_PRIORITY = 1_000_000


class FailureKind(StrEnum):
    BAD_FILE = "quarantine"
    WORLD = "retry"
    """The world was not ready; nobody is to blame."""
    ERROR = "unknown"
    """An error on a device that still works: the movie is to blame until another worker shows otherwise."""
    DEVICE = "device"
    """The device failed its probe: the worker is restarted, and the movie is a suspect as after a death."""
    DEATH = "death"
    """The worker's process ended with the movie in hand."""
    TIMEOUT = "timeout"
    """The worker did not answer in time and was killed."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    worker: str
    movie_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AfterFailure:
    """What follows from a failure: exactly one of `quarantine` and `retry_at_s`; and perhaps a worker's restart."""

    quarantine: bool
    retry_at_s: float | None
    restart_worker: bool


@dataclass(slots=True)
class _Movie:
    sequence: int
    priority: int
    attempts: int = 0
    world_retries: int = 0
    deaths: int = 0
    not_before_s: float = 0.0
    token: int = 0
    """Of its only valid entry in the heap."""
    failed_on: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Worker:
    movie_id: str | None = None
    token: int = 0
    available: bool = False
    failed_movies: set[str] = field(default_factory=set)


class Scheduler:
    """See the module. Movies are served by priority (small first), then by sequence.

    >>> scheduler = Scheduler(max_attempts=3)
    >>> scheduler.add("later", sequence=2)
    >>> scheduler.add("earlier", sequence=1)
    >>> scheduler.worker_available("gpu-0")
    >>> scheduler.dispatches(now_s=0.0)
    [Dispatch(worker='gpu-0', movie_id='earlier', attempt=1)]
    >>> scheduler.failed("gpu-0", FailureKind.WORLD, now_s=10.0)  # a full disk is not the movie's fault: again in 2 s
    AfterFailure(quarantine=False, retry_at_s=12.0, restart_worker=False)
    >>> scheduler.dispatches(now_s=10.0)
    [Dispatch(worker='gpu-0', movie_id='later', attempt=1)]
    """

    def __init__(self, *, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self._movies: dict[str, _Movie] = {}
        self._queue: list[tuple[int, int, int, str]] = []
        self._tokens = 0
        self._workers: dict[str, _Worker] = {}

    @property
    def queue_depth(self) -> int:
        """Movies that wait (not those in flight)."""
        held = {(worker.movie_id, worker.token) for worker in self._workers.values()}
        return sum((movie_id, movie.token) not in held for movie_id, movie in self._movies.items())

    def in_flight(self) -> dict[str, str]:
        """Worker -> movie in its hands."""
        return {name: worker.movie_id for name, worker in self._workers.items() if worker.movie_id is not None}

    def __contains__(self, movie_id: str) -> bool:
        return movie_id in self._movies

    def add(self, movie_id: str, *, sequence: int, priority: int = 0, attempts: int = 0) -> None:
        """Queue a movie; one that is known already stays as it is."""
        if movie_id in self._movies:
            return
        self._movies[movie_id] = _Movie(sequence, priority, attempts)
        self._push(movie_id)

    def _push(self, movie_id: str) -> None:
        """Queue a known movie; an older entry of it in the heap is void from now on."""
        movie = self._movies[movie_id]
        self._tokens += 1
        movie.token = self._tokens
        heapq.heappush(self._queue, (movie.priority, movie.sequence, movie.token, movie_id))

    def remove(self, movie_id: str) -> None:
        """Forget a movie (replaced by a newer generation); one in flight is forgotten when its worker answers."""
        self._movies.pop(movie_id, None)

    def worker_available(self, name: str) -> None:
        """A worker has started (or restarted) and waits for work."""
        worker = self._workers.setdefault(name, _Worker())
        worker.available, worker.movie_id = True, None

    def worker_gone(self, name: str) -> None:
        """A worker is being restarted or is lost; what it held must be reported by `failed` first."""
        self._workers.setdefault(name, _Worker()).available = False

    def peek(self, count: int) -> list[str]:
        """The movies that come next, for reading ahead."""
        return [movie_id for *_, movie_id in heapq.nsmallest(count, self._queue) if movie_id in self._movies]

    def dispatches(self, now_s: float, *, eligible_below: int | None = None) -> list[Dispatch]:
        """Pair waiting movies with idle workers.

        `eligible_below`: only movies with a smaller sequence may start now (the prior that later ones are to use is
        not closed yet).
        """
        idle = [name for name, worker in self._workers.items() if worker.available and worker.movie_id is None]
        made: list[Dispatch] = []
        postponed: list[tuple[int, int, int, str]] = []
        held = set(self.in_flight().values())
        while idle and self._queue:
            entry = heapq.heappop(self._queue)
            movie_id = entry[3]
            movie = self._movies.get(movie_id)
            if movie is None or movie.token != entry[2]:
                continue  # removed, or queued again
            late = eligible_below is not None and movie.sequence >= eligible_below
            if movie.not_before_s > now_s or late or movie_id in held:
                postponed.append(entry)
                continue
            # A movie that failed here prefers a worker that it has not failed on.
            name = next((candidate for candidate in idle if candidate not in movie.failed_on), idle[0])
            idle.remove(name)
            self._workers[name].movie_id, self._workers[name].token = movie_id, movie.token
            made.append(Dispatch(name, movie_id, movie.attempts + 1))
        for entry in postponed:
            heapq.heappush(self._queue, entry)
        return made

    def finished(self, worker: str) -> int:
        """The worker brought a result; returns which attempt of the movie it was (0: the movie was forgotten)."""
        record = self._workers[worker]
        record.failed_movies.clear()
        movie_id, record.movie_id = record.movie_id or "", None
        movie = self._movies.get(movie_id)
        if movie is None or movie.token != record.token:
            return 0
        del self._movies[movie_id]
        return movie.attempts + 1

    def put_back(self, worker: str, now_s: float) -> None:
        """The worker was not given what it should have: the movie waits for a moment, nobody is to blame."""
        record = self._workers[worker]
        movie_id, record.movie_id = record.movie_id, None
        if movie_id is not None and movie_id in self._movies:
            self._movies[movie_id].not_before_s = now_s + _RETRY_DELAYS_S[0]
            self._push(movie_id)

    def failed(self, worker: str, kind: FailureKind, now_s: float) -> AfterFailure:
        """The worker failed on what it held. Decides who is to blame and what comes next."""
        record = self._workers[worker]
        movie_id, record.movie_id = record.movie_id, None
        movie = self._movies.get(movie_id or "")
        if movie is not None and movie.token != record.token:
            movie = None  # it was forgotten and queued anew meanwhile: this failure is of its earlier life
        restart = kind in (FailureKind.DEATH, FailureKind.TIMEOUT, FailureKind.DEVICE)
        if kind in (FailureKind.ERROR, FailureKind.TIMEOUT) and movie_id is not None:
            record.failed_movies.add(movie_id)
            if len(record.failed_movies) >= _FAILURES_TO_RESTART_WORKER:
                restart = True
                record.failed_movies.clear()
        if movie is None or movie_id is None:
            return AfterFailure(quarantine=False, retry_at_s=None, restart_worker=restart)

        quarantine, delay_s = False, 0.0
        match kind:
            case FailureKind.BAD_FILE:
                movie.attempts += 1
                quarantine = True
            case FailureKind.ERROR | FailureKind.TIMEOUT:
                movie.attempts += 1
                movie.failed_on.add(worker)
                quarantine = movie.attempts >= self._max_attempts
                delay_s = _RETRY_DELAYS_S[min(movie.attempts - 1, len(_RETRY_DELAYS_S) - 1)]
            case FailureKind.WORLD:
                movie.world_retries += 1
                quarantine = movie.world_retries >= _MAX_WORLD_RETRIES
                delay_s = _RETRY_DELAYS_S[min(movie.world_retries - 1, len(_RETRY_DELAYS_S) - 1)]
            case FailureKind.DEATH | FailureKind.DEVICE:
                # Perhaps the movie brought process or device down: behind all others it can do no more harm.
                movie.deaths += 1
                movie.priority = _SUSPECT_PRIORITY
                quarantine = movie.deaths >= _DEATHS_TO_CONVICT
        if quarantine:
            del self._movies[movie_id]
            return AfterFailure(quarantine=True, retry_at_s=None, restart_worker=restart)
        movie.not_before_s = now_s + delay_s
        self._push(movie_id)
        return AfterFailure(quarantine=False, retry_at_s=movie.not_before_s, restart_worker=restart)
