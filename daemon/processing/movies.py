"""Every movie between its discovery and its result: takes in what the intake says, keeps what is in hand.

The table of movies in hand is the only one; gate, scheduler and results look movies up here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from frazil.config.errors import FormatError, NotThereError, SettingsError, UsageError
from frazil.config.settings import Settings
from frazil.daemon.analysis.coordinator import AnalysisCoordinator
from frazil.daemon.intake import instructions as intake
from frazil.daemon.intake.events import Reconsider
from frazil.daemon.intake.identity import CompleteMovie
from frazil.daemon.processing.gain import GainGate
from frazil.daemon.processing.optics_groups import OpticsGroupsOfMovies
from frazil.daemon.processing.scheduler import Scheduler
from frazil.daemon.session.movie_from_store import movie_from_store
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store import result_files
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.records import AcquisitionMetadata, MovieState

_RESULT_FIELDS = ("pixel_size_angstrom", "voltage_kv", "cs_mm", "dose_per_frame_e_per_a2", "phase_plate")
"""What a late sidecar can say that changes the result of a movie."""
_REQUEUE_STATES = frozenset({MovieState.READY, MovieState.REJECTED, MovieState.QUARANTINED})
_ANSWER_TIMEOUT_S = 60.0


@dataclass(slots=True)
class InHand:
    """A complete movie without a result."""

    movie: CompleteMovie
    acquisition: AcquisitionParameters
    stale: bool = False
    """Its worker is computing with values that a late sidecar has changed since."""


class MovieProcessing:
    """See the module. All methods are called from the daemon's own thread."""

    def __init__(
        self,
        *,
        store: Store,
        book: MovieRegistry,
        gate: GainGate,
        scheduler: Scheduler,
        analysis: AnalysisCoordinator,
        notices: Notices,
        settings: Settings,
        ask_when_unknown: bool,
        reconsider: Callable[[Reconsider], None],
        clock: Callable[[], float],
        utc_us: Callable[[], int],
    ) -> None:
        self._store, self._book, self._gate, self._scheduler = store, book, gate, scheduler
        self._analysis, self._notices, self._settings = analysis, notices, settings
        self._ask_when_unknown = ask_when_unknown
        self._reconsider = reconsider
        self._clock, self._utc_us = clock, utc_us
        self.in_hand: dict[str, InHand] = {}
        self.waiting_for_gate: dict[str, None] = {}
        self._behind: dict[str, str] = {}
        self._asked_again: dict[str, float] = {}
        self._optics = OpticsGroupsOfMovies(store)
        self._newest_before = book.newest_sequence
        self._late: set[int] = set()
        """Sequences of movies whose sidecar came after they had been taken."""

    @property
    def busy(self) -> bool:
        """A movie waits for an older generation of itself, or for the intake to look at it again."""
        now = self._clock()
        self._asked_again = {path: until for path, until in self._asked_again.items() if until > now}
        return bool(self._behind or self._asked_again)

    # --- from the intake -------------------------------------------------------------------------------------------

    def take(self, item: intake.Instruction) -> None:
        """What the intake says of a movie.

        Raises
        ------
        SettingsError
            If a value that every movie needs was given by nobody, and a person is there to be asked.
        """
        match item:
            case intake.Found():
                self._store.submit(movie_writes.register_movie, self._book.found(item))
            case intake.Settling(movie_id=movie_id, reason=reason) | intake.Revived(movie_id=movie_id, reason=reason):
                self._asked_again.pop(item.path, None)
                if not self._book.is_redo(movie_id):
                    self._fail(movie_id, reason, MovieState.SETTLING)
            case intake.Announce(movie=movie):
                self._asked_again.pop(movie.relative_path, None)
                self._complete(movie)
            case intake.Replaced(path=path, old_generation=old_generation, old_movie_id=movie_id):
                self._store.submit(movie_writes.mark_outdated, path, old_generation + 1)
                self.forget(movie_id)
            case intake.Vanished(movie_id=movie_id) if self._book.is_redo(movie_id):
                self._redo_without_file(movie_id)
            case intake.Vanished(movie_id=movie_id):
                # Outdated, not quarantined: if the file comes back, it is taken up again.
                self.forget(movie_id)
                self._fail(movie_id, "the file went away before it was processed", MovieState.OUTDATED)
            case intake.Quarantine(path=path, movie_id=movie_id, reason=reason) if self._book.is_redo(movie_id):
                self._asked_again.pop(path, None)
                self.keep_result(movie_id, reason)
            case intake.Quarantine(path=path, movie_id=movie_id, reason=reason, evidence=evidence):
                self._asked_again.pop(path, None)
                self.forget(movie_id)
                self._notices.alert("warning", "movie", f"{path} is set aside: {reason}")
                self._store.submit(movie_writes.quarantine, movie_id, stage="intake", reason=reason, evidence=evidence)
            case intake.LateSidecar():
                self._late_sidecar(item)
            case intake.Alert():
                if item.over:
                    self._notices.over(item.over)
                self._notices.alert(item.severity.value, item.subject, item.text, item.remedy, item.alert_id)
            case _:
                raise AssertionError(f"the intake's own business: {item}")

    def _fail(self, movie_id: str, reason: str, state: MovieState) -> None:
        self._store.submit(movie_writes.record_failure, movie_id, stage="intake", reason=reason, state=state)

    def _complete(self, movie: CompleteMovie) -> None:
        now_utc_us = self._utc_us()
        redo = self._book.is_redo(movie.movie_id)
        try:
            acquisition = self._resolve_and_store(movie, now_utc_us, redo=redo)
        except SettingsError as error:
            if redo:
                self._notices.alert("error", "metadata", error.what, error.remedy)
                self.keep_result(movie.movie_id, str(error))
                return
            self._store.submit(movie_writes.register_movie, self._book.complete(movie, now_utc_us)).result()
            if not self._book.any_resolved and (self._ask_when_unknown or movie.sidecar is not None):
                # Nobody ever said it, and the person who has just started this is still there to be asked.
                raise
            # Its sidecar may still come (then it is taken up again), or a person may start frazil with the value.
            self._notices.alert("error", "metadata", error.what, error.remedy)
            self._store.submit(movie_writes.quarantine, movie.movie_id, stage="metadata", reason=str(error))
            self.forget(movie.movie_id)
            return
        self.in_hand[movie.movie_id] = InHand(movie, acquisition)
        if not redo:  # else its result counts until the new one is there, and holds nobody up
            self._store.submit(movie_writes.set_state, movie.movie_id, MovieState.QUEUED, complete_utc_us=now_utc_us)
            self._analysis.movie_begins(self._book.sequence(movie.movie_id))
        if self._gate.needs_gate(movie) and not self._gate.open:
            self._gate.offer(movie)
            self.waiting_for_gate[movie.movie_id] = None
        else:
            self.queue(movie.movie_id)

    def _resolve_and_store(self, movie: CompleteMovie, now_utc_us: int, *, redo: bool = False) -> AcquisitionParameters:
        """What a movie was taken with. Of a `redo` the store has what the old result was made with until the new one
        brings its own."""
        row = self._book.complete(movie, now_utc_us)
        metadata, acquisition = self._book.resolve(movie, self._settings)
        row = replace(
            row,
            metadata=metadata,
            pixel_size_angstrom=acquisition.pixel_size_angstrom,
            voltage_kv=acquisition.voltage_kv,
            dose_per_frame_e_per_a2=acquisition.dose_per_frame_e_per_a2,
        )
        self._book.set_row(movie.movie_id, row)
        if not redo:
            self._store.submit(movie_writes.register_movie, row)
        self._optics.add(movie.movie_id, movie.relative_path, metadata)
        return acquisition

    def _late_sidecar(self, item: intake.LateSidecar) -> None:
        """A sidecar came after its movie was taken: what it says is stored; a changed result is computed again."""
        self._late.add(self._book.sequence(item.movie_id))
        known = self.in_hand.get(item.movie_id)
        if known is None:
            previous = item.previous or AcquisitionMetadata()
            self._store.submit(movie_writes.update_metadata, item.movie_id, item.metadata, item.sidecar_path)
            self._optics.add(item.movie_id, item.path, item.metadata)
            if self._book.is_redo(item.movie_id):
                return  # it is done again in any case, with what the store says then
            if any(getattr(item.metadata, name) not in (None, getattr(previous, name)) for name in _RESULT_FIELDS):
                self._notices.alert(
                    "info", "metadata", f"the sidecar of {item.path} came late: it is processed again with it"
                )
                self._store.submit(movie_writes.requeue, item.movie_id)
                self._ask_again(Reconsider(item.path))
            return
        movie = replace(known.movie, sidecar=item.metadata, sidecar_path=item.sidecar_path)
        try:
            redo = self._book.is_redo(item.movie_id)
            acquisition = self._resolve_and_store(movie, self._utc_us(), redo=redo)
        except SettingsError as error:
            self._notices.alert("warning", "metadata", str(error))
            return
        in_flight = item.movie_id in self._scheduler.in_flight().values()
        known.stale = known.stale or (in_flight and acquisition != known.acquisition)
        known.movie, known.acquisition = movie, acquisition

    def late_sidecars(self, last: int) -> int | None:
        """How many of the newest movies had their sidecar late, in this run. None: so few have come in it that none
        being late says nothing."""
        first = self._book.newest_sequence - last + 1
        self._late = {sequence for sequence in self._late if sequence >= first}
        few = self._book.newest_sequence - self._newest_before < last
        return None if few and not self._late else len(self._late)

    # --- queueing and forgetting -----------------------------------------------------------------------------------

    def queue(self, movie_id: str) -> None:
        """Hand a movie to the scheduler; a newer generation waits until the older one's worker has answered."""
        path = self._book.path(movie_id)
        for held in self._scheduler.in_flight().values():
            if held != movie_id and self._book.path(held) == path:
                # Both write the same pictures, and those of the newer one must be the last.
                self._behind[held] = movie_id
                return
        self._scheduler.add(
            movie_id,
            sequence=self._book.sequence(movie_id),
            priority=self._book.priority(movie_id),
            attempts=self._book.take_attempts(movie_id),
        )

    def worker_answered(self, movie_id: str) -> None:
        """A worker has let go of a movie: what waited behind it may start."""
        successor = self._behind.pop(movie_id, None)
        if successor is not None and successor in self.in_hand:
            self.queue(successor)

    def release_gate(self) -> None:
        """The gain gate has opened."""
        waiting, self.waiting_for_gate = self.waiting_for_gate, {}
        for movie_id in waiting:
            self.queue(movie_id)

    def forget(self, movie_id: str) -> None:
        """The movie will have no result (now)."""
        self._scheduler.remove(movie_id)
        self.in_hand.pop(movie_id, None)
        self.waiting_for_gate.pop(movie_id, None)
        if movie_id in self._book:
            self._book.no_redo(movie_id)
            self._analysis.movie_ended(self._book.sequence(movie_id), None)

    def _redo_without_file(self, movie_id: str) -> None:
        """Its stored sums may be all that is needed; where they are not, the worker finds no movie and it stays."""
        try:
            stored = result_files.read_result(result_files.result_path(self._store.session_dir, movie_id))
        except (FormatError, OSError):
            self.keep_result(movie_id, "the movie's file is gone")
        else:
            self._complete(movie_from_store(stored, self._settings, now_s=self._clock()))

    def keep_result(self, movie_id: str, why: str) -> None:
        """A result that was to be made again with other settings stays, because it cannot be."""
        self._scheduler.remove(movie_id)
        self.in_hand.pop(movie_id, None)
        self.waiting_for_gate.pop(movie_id, None)
        reason = f"the result of the earlier settings stays: {why}"
        self._store.submit(movie_writes.keep_result, movie_id, reason).result()
        self._book.done(movie_id)
        self._notices.alert(
            "warning",
            "movie",
            "results of movies that cannot be processed again stay as they were (flag outdated)",
            "`frazil query SESSION \"SELECT relative_path, failure_reason FROM movies WHERE failure_stage = 'redo'\"`",
        )

    def finished(self, movie_id: str) -> None:
        """The result is durable."""
        del self.in_hand[movie_id]
        self._book.done(movie_id)

    def requeue(self, movie_id: str, *, accept_as_is: bool) -> str:
        """A person wants a movie processed again; the sentence to answer with.

        Raises
        ------
        NotThereError, UsageError
            If there is no such movie, or its file has been replaced since.
        """
        rows = self._store.named("movie", {"movie_id": movie_id}).as_dicts()
        path = self._book.path(movie_id)
        if not rows or path is None:
            raise NotThereError(f"no movie {movie_id} in this session")
        state = MovieState(str(rows[0]["state"]))
        if state is MovieState.OUTDATED:
            raise UsageError("this file was replaced by a newer one", path=path, remedy="re-queue the newer one")
        if movie_id in self.in_hand or state not in _REQUEUE_STATES:
            return f"{path} is on its way already ({state.value})"
        raw_root = str(self._store.named("session").as_dicts()[0]["raw_root"])
        if state in (MovieState.READY, MovieState.REJECTED) and not (Path(raw_root) / path).exists():
            raise UsageError("the movie's file is gone; its result stays", path=path, remedy="put the file back first")
        self._book.no_redo(movie_id)
        self._store.submit(movie_writes.requeue, movie_id, accept_as_is=accept_as_is).result()
        self._ask_again(Reconsider(path, accept_as_is=accept_as_is))
        return f"{path} is queued again"

    def _ask_again(self, question: Reconsider) -> None:
        self._asked_again[question.path] = self._clock() + _ANSWER_TIMEOUT_S
        self._reconsider(question)
