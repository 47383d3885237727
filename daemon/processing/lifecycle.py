"""A movie between the intake and its result, as a pure state machine: events in, instructions out.

Everything that the daemon knows of a movie on its way is here and nowhere else: its place (`places`), its number and
stem, what the intake and the sidecars said of it. The table in `transitions` is the machine's whole freedom of move;
which of the waiting movies a worker gets, and who is to blame for a failure, `scheduler` decides, which is part of it.
No disk, no clock, no thread: `movies.MovieShell` performs the instructions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from frazil.daemon.intake.identity import CompleteMovie
from frazil.daemon.processing import events, transitions
from frazil.daemon.processing import instructions as do
from frazil.daemon.processing.places import AT_WORKER, IN_PROCESS, WITH_SCHEDULER, Place
from frazil.daemon.processing.scheduler import Dispatch, FailureKind, Scheduler
from frazil.daemon.session.folder import output_stem
from frazil.daemon.session.registry import LIVE_PRIORITY, EarlierMovie
from frazil.daemon.store.rows import MovieRow
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.records import AcquisitionMetadata, MovieState

_log = logging.getLogger(__name__)
_LOOK_TIMEOUT_S = 60.0
"""So long the session counts as busy with a file that the intake was asked to look at again."""
_ATTEMPT_DOES_NOT_COUNT = (FailureKind.DEATH, FailureKind.DEVICE, FailureKind.WORLD)
_KEPT = "results of movies that cannot be processed again stay as they were (flag outdated)"
_KEPT_REMEDY = (
    "`frazil query SESSION \"SELECT relative_path, failure_reason FROM movies WHERE failure_stage = 'redo'\"`"
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a movie in process is processed with."""

    movie: CompleteMovie
    acquisition: AcquisitionParameters
    row: MovieRow


@dataclass(slots=True)
class MovieLife:
    """One movie. Those that are not in process keep only what names them."""

    movie_id: str
    path: str
    """Below the raw root."""
    sequence: int
    """Its number in the session, from 0."""
    stem: str
    """Of all its output files."""
    place: Place = Place.SETTLING
    priority: int = LIVE_PRIORITY
    attempts: int = 0
    """Failed ones of an earlier run; the scheduler counts on from here."""
    exposure: Exposure | None = None
    """Of a movie in process, and of no other."""


class Lifecycle:
    """See the module."""

    def __init__(self, scheduler: Scheduler, earlier: Iterable[EarlierMovie] = ()) -> None:
        """`earlier`: the movies of earlier runs, in the order of their numbers."""
        self._scheduler = scheduler
        self._movies: dict[str, MovieLife] = {}
        self._stems: dict[str, str] = {}
        self._next_sequence = 0
        self._looked_at: dict[str, float] = {}
        """Path -> until when the intake's answer is waited for."""
        self._redo_left = 0
        self._awaiting_gain: dict[str, None] = {}
        """In the order in which they came."""
        self._behind: dict[str, str] = {}
        """Movie -> the older generation of its file that a worker still has."""
        for movie in earlier:
            self._remember(movie)
        self._redo_total = self._redo_left
        self._handlers: dict[type, Callable[[Any], Iterator[do.Instruction]]] = {
            events.Found: self._found,
            events.Settling: self._settling,
            events.Completed: self._completed,
            events.ValuesMissing: self._values_missing,
            events.Replaced: self._replaced,
            events.Vanished: self._vanished,
            events.Refused: self._refused,
            events.ValuesChanged: self._values_changed,
            events.ResultOutdated: self._result_outdated,
            events.GainKnown: self._gain_known,
            events.Started: self._started,
            events.NotStarted: self._not_started,
            events.MadeAlready: self._answered,
            events.Answered: self._answered,
            events.Failed: self._failed,
            events.Written: self._written,
            events.Overtaken: self._overtaken,
            events.Unstorable: self._unstorable,
            events.Requeued: self._requeued,
        }

    def _remember(self, movie: EarlierMovie) -> None:
        life = MovieLife(
            movie.movie_id, movie.relative_path, movie.sequence, movie.stem,
            _place_of(movie), movie.priority, movie.attempts,
        )  # fmt: skip
        self._movies[movie.movie_id] = life
        self._stems[movie.stem] = movie.relative_path
        self._next_sequence = max(self._next_sequence, movie.sequence + 1)
        self._redo_left += life.place.redo

    # --- questions -------------------------------------------------------------------------------------------------

    def __contains__(self, movie_id: str) -> bool:
        return movie_id in self._movies

    def life(self, movie_id: str) -> MovieLife | None:
        """What is known of a movie; not to be changed."""
        return self._movies.get(movie_id)

    def place(self, movie_id: str) -> Place | None:
        life = self._movies.get(movie_id)
        return None if life is None else life.place

    def in_process(self, movie_id: str) -> tuple[MovieLife, Exposure] | None:
        """A movie that is complete and has not the result that it is processed for."""
        life = self._movies.get(movie_id)
        return None if life is None or life.exposure is None else (life, life.exposure)

    def is_redo(self, movie_id: str) -> bool:
        """It has a result that is being made again."""
        life = self._movies.get(movie_id)
        return life is not None and life.place.redo

    @property
    def redo_left(self) -> int:
        """Results that are still to be made again."""
        return self._redo_left

    @property
    def redo_total(self) -> int:
        """Results that were to be made again when the run began."""
        return self._redo_total

    @property
    def newest_sequence(self) -> int:
        """Of the movie that was found last; -1: none was."""
        return self._next_sequence - 1

    @property
    def awaiting_gain(self) -> int:
        """Movies that wait for the gain gate."""
        return len(self._awaiting_gain)

    @property
    def queue_depth(self) -> int:
        """Movies that wait for a worker."""
        return self._scheduler.queue_depth

    def at_workers(self) -> dict[str, str]:
        """Worker -> movie in its hands."""
        return self._scheduler.in_flight()

    def next_in_queue(self) -> Exposure | None:
        """The movie that comes next, for reading ahead."""
        coming = [life for movie_id in self._scheduler.peek(1) if (life := self._movies.get(movie_id)) is not None]
        return coming[0].exposure if coming else None

    def waits(self, now_s: float) -> bool:
        """A movie waits for an older generation of itself, or for the intake to look at it again."""
        self._looked_at = {path: until for path, until in self._looked_at.items() if until > now_s}
        return bool(self._looked_at or self._behind)

    def row_of(self, movie: CompleteMovie, complete_utc_us: int) -> MovieRow:
        """The row of a movie that may be processed, as far as file and sidecar tell."""
        life, header = self._movies[movie.movie_id], movie.header
        return MovieRow(
            movie_id=movie.movie_id,
            relative_path=movie.relative_path,
            generation=movie.generation,
            found_utc_us=movie.found_utc_us,
            sequence=life.sequence,
            stem=life.stem,
            file_format=header.file_format,
            size_bytes=movie.stat.size_bytes,
            mtime_ns=movie.stat.mtime_ns,
            inode=movie.stat.inode,
            frame_count=header.frame_count,
            height_px=header.height_px,
            width_px=header.width_px,
            sidecar_path=movie.sidecar_path,
            metadata=movie.sidecar or AcquisitionMetadata(),
            complete_utc_us=complete_utc_us,
        )

    # --- what happens ----------------------------------------------------------------------------------------------

    def handle(self, event: events.Event) -> list[do.Instruction]:
        """What follows from an event; to be performed in this order."""
        instructions = list(self._handlers[type(event)](event))
        if isinstance(event, events.LetGo):
            self._worker_free(events.WorkerFree(event.movie_id))
        return instructions

    def dispatches(self, now_s: float, *, eligible_below: int | None) -> list[Dispatch]:
        """Movies that idle workers may have now; `Started`, `NotStarted` or `MadeAlready` follows for each.

        `eligible_below`: only movies with a smaller number, because the prior that later ones use is not there yet.
        """
        return self._scheduler.dispatches(now_s, eligible_below=eligible_below)

    def worker_available(self, worker: str) -> None:
        """A worker has started and waits for a movie."""
        self._scheduler.worker_available(worker)

    def worker_busy(self, worker: str) -> None:
        """A worker does something else, or is being restarted: it gets no movie."""
        self._scheduler.worker_gone(worker)

    def _life(self, event: Any) -> MovieLife | None:
        """The movie that an event is about, if the table has a move for it there."""
        life = self._movies.get(event.movie_id)
        if life is None or not transitions.targets(type(event), life.place):
            _log.debug("nothing follows from %s", event)
            return None
        return life

    def _move(
        self, life: MovieLife, event: events.Event | events.WorkerFree, to: Place, *, as_first: bool = False
    ) -> None:
        """`as_first`: as a movie that never had a result."""
        to = to if as_first else to.like(life.place)
        assert to in transitions.targets(type(event), life.place), f"{event} takes no {life.place} movie to {to}"
        self._redo_left += to.redo - life.place.redo
        life.place = to
        if to not in WITH_SCHEDULER:
            self._scheduler.remove(life.movie_id)
        self._behind.pop(life.movie_id, None)
        if to is Place.AWAITING_GAIN.like(to):
            self._awaiting_gain[life.movie_id] = None
        else:
            self._awaiting_gain.pop(life.movie_id, None)
        if to not in IN_PROCESS:
            life.exposure = None
        if to in (Place.DONE, Place.GIVEN_UP):
            life.priority = LIVE_PRIORITY

    def _queue(self, life: MovieLife, event: events.Event | events.WorkerFree) -> None:
        """For the scheduler; a newer generation waits until the worker of the older one has answered."""
        may_wait = Place.BEHIND.like(life.place) in transitions.targets(type(event), life.place)
        for held in self._scheduler.in_flight().values() if may_wait else ():
            older = self._movies.get(held)
            if held != life.movie_id and older is not None and older.path == life.path:
                self._move(life, event, Place.BEHIND)
                self._behind[life.movie_id] = held
                return
        self._move(life, event, Place.QUEUED)
        attempts, life.attempts = life.attempts, 0  # once: a person who queues it again begins from zero
        self._scheduler.add(life.movie_id, sequence=life.sequence, priority=life.priority, attempts=attempts)

    # --- from the intake -------------------------------------------------------------------------------------------

    def _found(self, event: events.Found) -> Iterator[do.Instruction]:
        file = event.file
        life = self._movies.get(file.movie_id)
        if life is None:
            life = MovieLife(file.movie_id, file.path, self._next_sequence, output_stem(file.path, self._stems))
            self._next_sequence += 1
            self._movies[file.movie_id] = life
            self._stems[life.stem] = file.path
            yield do.Expect(life.sequence)
        yield do.Register(
            MovieRow(
                movie_id=file.movie_id,
                relative_path=file.path,
                generation=file.generation,
                found_utc_us=file.found_utc_us,
                sequence=life.sequence,
                stem=life.stem,
                size_bytes=file.stat.size_bytes,
                mtime_ns=file.stat.mtime_ns,
                inode=file.stat.inode,
            )
        )

    def _settling(self, event: events.Settling) -> Iterator[do.Instruction]:
        life = self._life(event)
        if life is None:
            return
        self._looked_at.pop(life.path, None)
        if life.place.redo or life.place.in_process:
            return  # its result counts, or it is on its way with what was whole when it was announced
        self._move(life, event, Place.SETTLING)
        yield do.RecordFailure(life.movie_id, "intake", event.reason, MovieState.SETTLING)

    def _completed(self, event: events.Completed) -> Iterator[do.Instruction]:
        life = self._movies[event.movie.movie_id]
        self._looked_at.pop(event.movie.relative_path, None)
        exposure = Exposure(event.movie, event.acquisition, event.row)
        redo = life.place.redo
        if life.place.in_process:
            yield from self._use_from_now_on(life, event, exposure)
            return
        life.exposure = exposure
        if not redo:  # else its result counts until the new one is there, and holds nobody up
            yield do.Register(event.row)
            yield do.StoreState(life.movie_id, MovieState.QUEUED, event.row.complete_utc_us)
            yield do.Begin(life.sequence)
        if event.needs_gain:
            self._move(life, event, Place.AWAITING_GAIN)
        else:
            self._queue(life, event)

    def _values_missing(self, event: events.ValuesMissing) -> Iterator[do.Instruction]:
        life = self._life(event)
        if life is None:
            return
        self._looked_at.pop(life.path, None)
        if life.place.redo:
            yield from self._give_up(life, event, event.reason)
            return
        yield do.SetAside(life.movie_id, "metadata", event.reason)
        self._move(life, event, Place.SET_ASIDE)
        yield do.End(life.sequence)

    def _replaced(self, event: events.Replaced) -> Iterator[do.Instruction]:
        yield do.OutdateOlder(event.path, event.older_than_generation)
        life = self._life(event)
        if life is not None:
            self._move(life, event, Place.OUTDATED)
            yield do.End(life.sequence)

    def _vanished(self, event: events.Vanished) -> Iterator[do.Instruction]:
        life = self._life(event)
        if life is None:
            return
        if life.place.redo:
            yield from self._give_up(life, event, "the movie's file is gone")
            return
        # Outdated, not set aside: if the file comes back, it is taken up again.
        self._move(life, event, Place.OUTDATED)
        yield do.End(life.sequence)
        reason = "the file went away before it was processed"
        yield do.RecordFailure(life.movie_id, "intake", reason, MovieState.OUTDATED)

    def _refused(self, event: events.Refused) -> Iterator[do.Instruction]:
        self._looked_at.pop(event.path, None)
        life = self._life(event)
        if life is None:
            return
        if life.place.redo:
            yield from self._give_up(life, event, event.reason)
            return
        self._move(life, event, Place.SET_ASIDE)
        yield do.End(life.sequence)
        yield do.Tell("warning", "movie", f"{event.path} is set aside: {event.reason}", about=event.movie_id)
        yield do.SetAside(event.movie_id, "intake", event.reason, event.evidence)

    # --- late sidecars, orders -------------------------------------------------------------------------------------

    def _values_changed(self, event: events.ValuesChanged) -> Iterator[do.Instruction]:
        life = self._movies[event.movie.movie_id]
        if life.exposure is None:
            return
        yield from self._use_from_now_on(life, event, Exposure(event.movie, event.acquisition, event.row))

    def _use_from_now_on(self, life: MovieLife, event: events.Event, exposure: Exposure) -> Iterator[do.Instruction]:
        """A movie in process has other values: what was made with those of before does not count."""
        others = life.exposure is not None and exposure.acquisition != life.exposure.acquisition
        life.exposure = exposure
        redo = life.place.redo
        if not redo:
            yield do.Register(exposure.row)
        if others and life.place is Place.IN_HAND.like(life.place):
            self._move(life, event, Place.STALE)
        elif others and life.place is Place.WRITING.like(life.place):
            if not redo:
                yield do.GiveAttemptBack(life.movie_id)
            self._queue(life, event)

    def _result_outdated(self, event: events.ResultOutdated) -> Iterator[do.Instruction]:
        life = self._life(event)
        if life is None or life.place.redo or life.place is Place.OUTDATED:
            return  # it is done again in any case, with what the store says then; or is no concern any more
        self._move(life, event, Place.SETTLING)
        self._looked_at[life.path] = event.now_s + _LOOK_TIMEOUT_S
        text = f"the sidecar of {life.path} came late: it is processed again with it"
        yield do.Tell("info", "metadata", text)
        yield do.QueueAgain(life.movie_id)
        yield do.LookAgain(life.path, None)

    def _requeued(self, event: events.Requeued) -> Iterator[do.Instruction]:
        life = self._life(event)
        if life is None:
            return
        self._move(life, event, Place.SETTLING, as_first=True)
        self._looked_at[life.path] = event.now_s + _LOOK_TIMEOUT_S
        yield do.QueueAgain(life.movie_id, event.accept_as_is)
        yield do.LookAgain(life.path, event.accept_as_is)

    # --- workers and results ---------------------------------------------------------------------------------------

    def _gain_known(self, event: events.GainKnown) -> Iterator[do.Instruction]:
        for movie_id in list(self._awaiting_gain):
            self._queue(self._movies[movie_id], event)
        yield from ()

    def _started(self, event: events.Started) -> Iterator[do.Instruction]:
        if (life := self._life(event)) is not None:
            self._move(life, event, Place.IN_HAND)
        yield from ()

    def _not_started(self, event: events.NotStarted) -> Iterator[do.Instruction]:
        self._scheduler.put_back(event.worker, event.now_s)
        if (life := self._life(event)) is not None:
            self._move(life, event, Place.QUEUED)
        yield from ()

    def _answered(self, event: events.Answered | events.MadeAlready) -> Iterator[do.Instruction]:
        attempt = self._scheduler.finished(event.worker)
        life = self._life(event)
        if life is None or not attempt:
            return  # it was forgotten meanwhile, or this is of an earlier life
        if life.place is not Place.STALE.like(life.place):
            self._move(life, event, Place.WRITING)
            return
        if not life.place.redo:
            yield do.GiveAttemptBack(life.movie_id)
        self._queue(life, event)

    def _failed(self, event: events.Failed) -> Iterator[do.Instruction]:
        after = self._scheduler.failed(event.worker, event.kind, event.now_s)
        life = self._life(event)
        if life is not None and (after.quarantine or after.retry_at_s is not None):
            if life.place.redo:
                gone = event.kind is FailureKind.WORLD and event.file_gone
                if after.quarantine or gone:
                    yield from self._give_up(life, event, "the movie's file is gone" if gone else event.reason)
                else:
                    self._move(life, event, Place.QUEUED)
            else:
                yield from self._failed_first(life, event, last=after.quarantine)
        if after.restart_worker:
            yield do.RestartWorker(event.worker, event.reason)

    def _failed_first(self, life: MovieLife, event: events.Failed, *, last: bool) -> Iterator[do.Instruction]:
        if event.kind in _ATTEMPT_DOES_NOT_COUNT:
            yield do.GiveAttemptBack(life.movie_id)
        if not last:
            yield do.RecordFailure(life.movie_id, event.stage, event.reason, MovieState.FAILED, event.evidence)
            self._move(life, event, Place.QUEUED)
            return
        yield do.SetAside(life.movie_id, event.stage, event.reason, event.evidence)
        yield do.Tell("warning", "movie", f"{life.path} is set aside: {event.reason}", about=life.movie_id)
        self._move(life, event, Place.SET_ASIDE)
        yield do.End(life.sequence)

    def _give_up(self, life: MovieLife, event: events.Event, why: str) -> Iterator[do.Instruction]:
        """A result that was to be made again with other settings stays, because it cannot be."""
        self._move(life, event, Place.GIVEN_UP)
        yield do.KeepResult(life.movie_id, f"the result of the earlier settings stays: {why}")
        yield do.Tell("warning", "movie", _KEPT, _KEPT_REMEDY)

    def _worker_free(self, event: events.WorkerFree) -> None:
        for movie_id in [movie_id for movie_id, older in self._behind.items() if older == event.movie_id]:
            self._queue(self._movies[movie_id], event)

    def _written(self, event: events.Written) -> Iterator[do.Instruction]:
        if (life := self._life(event)) is not None:
            self._move(life, event, Place.DONE)
        yield from ()

    def _overtaken(self, event: events.Overtaken) -> Iterator[do.Instruction]:
        if (life := self._life(event)) is not None:
            self._move(life, event, Place.OUTDATED)
            yield do.End(life.sequence)

    def _unstorable(self, event: events.Unstorable) -> Iterator[do.Instruction]:
        life = self._life(event)
        if life is not None:  # also of a redo: its pictures are those of the new result already
            yield do.SetAside(life.movie_id, "store", event.reason)
            yield do.Tell("warning", "movie", f"{life.path} is set aside: {event.reason}", about=life.movie_id)
            self._move(life, event, Place.SET_ASIDE)
            yield do.End(life.sequence)

    # --- invariants ------------------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Raise AssertionError where what is known contradicts itself."""
        held = self._scheduler.in_flight()
        assert self._redo_left == sum(life.place.redo for life in self._movies.values())
        assert set(self._awaiting_gain) == {
            life.movie_id for life in self._movies.values() if life.place is Place.AWAITING_GAIN.like(life.place)
        }
        assert len({life.sequence for life in self._movies.values()}) == len(self._movies)
        assert len({life.stem for life in self._movies.values()}) == len(self._movies) or _generations(self._movies)
        for life in self._movies.values():
            assert (life.exposure is not None) == life.place.in_process, life
            assert (life.movie_id in self._scheduler) == (life.place in WITH_SCHEDULER), life
            assert (life.movie_id in self._behind) == (life.place is Place.BEHIND.like(life.place)), life
            if life.place in AT_WORKER:
                assert life.movie_id in held.values(), life
        assert set(self._behind.values()) <= set(held.values()), "a movie waits for a worker that has let go"


def _generations(movies: dict[str, MovieLife]) -> bool:
    """Stems are shared by generations of one path only."""
    owners: dict[str, str] = {}
    return all(owners.setdefault(life.stem, life.path) == life.path for life in movies.values())


def _place_of(movie: EarlierMovie) -> Place:
    if movie.redo:
        return Place.REDO_SETTLING
    if movie.given_up:
        return Place.GIVEN_UP
    match movie.state:
        case MovieState.READY | MovieState.REJECTED:
            return Place.DONE
        case MovieState.QUARANTINED:
            return Place.SET_ASIDE
        case MovieState.OUTDATED:
            return Place.OUTDATED
    return Place.SETTLING
