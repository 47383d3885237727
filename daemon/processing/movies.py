"""What the intake says of files becomes events of the movies' lifecycle, and what follows from them is done.

The shell of `lifecycle`: it resolves what a movie was taken with, asks the gain gate, and performs instructions on the
store, the notices, the analysis and the intake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

from frazil.config.errors import FormatError, NotThereError, RetryLaterError, SettingsError, UsageError
from frazil.daemon.intake import instructions as intake
from frazil.daemon.intake.events import Reconsider
from frazil.daemon.intake.identity import CompleteMovie
from frazil.daemon.processing import events
from frazil.daemon.processing import instructions as do
from frazil.daemon.processing.arrivals import Arrivals, hold_s
from frazil.daemon.processing.aside import MoviesAside
from frazil.daemon.processing.gain import GainGate
from frazil.daemon.processing.late_sidecars import LateSidecars
from frazil.daemon.processing.lifecycle import Lifecycle
from frazil.daemon.processing.optics_groups import OpticsGroupsOfMovies
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.movie_from_store import movie_from_store
from frazil.daemon.store import result_files
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.rows import MovieRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import movie_writes
from frazil.models.formats.acquisition import AcquisitionParameters, merge_metadata, resolve
from frazil.models.records import AcquisitionMetadata, MovieResult, MovieState

VALUES_MISSING = "values-missing"
"""Id of the alert that says so; at each start such movies are tried again."""
_RESULT_FIELDS = ("pixel_size_angstrom", "voltage_kv", "cs_mm", "dose_per_frame_e_per_a2", "phase_plate")
"""What a late sidecar can say that changes the result of a movie."""
_REQUEUE_STATES = frozenset({MovieState.READY, MovieState.REJECTED, MovieState.QUARANTINED})


class MovieListener(Protocol):
    """Whoever waits for movies: the session's analysis."""

    def movie_begins(self, sequence: int) -> None:
        """A movie was found, or queued."""

    def movie_ended(self, sequence: int, result: MovieResult | None) -> None:
        """A movie has its result in the store, or (None) will never have one."""


class Movies:
    """See the module. All methods are called from the daemon's own thread.

    Parameters
    ----------
    look_again:
        Asks the intake.
    ask_when_unknown:
        A person waits for the answer: a value that nobody gives stops the run instead of setting movies aside.
    any_resolved:
        At least one movie of an earlier run had all that it needs: what is missing now is that movie's fault.
    arrivals:
        With what an earlier run left.
    stored_result, exists:
        Read a movie's result file; say whether a movie is on the disk.
    """

    def __init__(
        self,
        context: SessionContext,
        lifecycle: Lifecycle,
        *,
        gate: GainGate,
        listener: MovieListener,
        look_again: Callable[[Reconsider], None],
        ask_when_unknown: bool,
        any_resolved: bool,
        arrivals: Arrivals | None = None,
        stored_result: Callable[[Path], StoredResult] = result_files.read_result,
        exists: Callable[[Path], bool] = Path.exists,
    ) -> None:
        self._context, self._lifecycle, self._gate, self._listener = context, lifecycle, gate, listener
        self._look_again, self._stored_result, self._exists = look_again, stored_result, exists
        self._ask_when_unknown, self._any_resolved = ask_when_unknown, any_resolved
        self._aside = MoviesAside(context)
        self._values_told = False
        self._optics = OpticsGroupsOfMovies(context.store)
        self._arrivals = arrivals or Arrivals(hold_s(context.settings.intake.sidecar_wait_s))
        for sequence in self._arrivals.awaited:
            listener.movie_begins(sequence)
        self._told_of: set[str] = set()
        """Fields of which a value was not used, and a person knows."""
        self.late_sidecars = LateSidecars(lifecycle.newest_sequence)

    @property
    def waiting(self) -> bool:
        """A movie waits for an older generation of itself, or for the intake to look at it again."""
        return self._lifecycle.waits(self._context.clock())

    def step(self) -> None:
        """Nobody waits any more for files that have not become complete for too long."""
        for sequence in self._arrivals.overdue(self._context.clock()):
            self._listener.movie_ended(sequence, None)

    # --- events and instructions -----------------------------------------------------------------------------------

    def happened(self, event: events.Event) -> list[do.RestartWorker]:
        """Do what follows from an event; what is left is for whoever has the workers."""
        restarts = []
        for instruction in self._lifecycle.handle(event):
            if isinstance(instruction, do.RestartWorker):
                restarts.append(instruction)
            else:
                self._perform(instruction)
        return restarts

    def _perform(self, instruction: do.Instruction) -> None:
        match instruction:
            case do.Expect(sequence):
                self._arrivals.found(sequence)
                self._listener.movie_begins(sequence)
            case do.Begin(sequence):
                self._arrivals.complete(sequence, self._context.clock())
                self._listener.movie_begins(sequence)
            case do.End(sequence):
                self._arrivals.ended(sequence)
                self._listener.movie_ended(sequence, None)
            case do.LookAgain(path, accept_as_is):
                self._look_again(Reconsider(path, accept_as_is=accept_as_is))
            case do.Tell(severity, subject, text, remedy, about):
                self._aside.told(severity, subject, text, remedy, movie_id=about)
            case _:
                self._store(instruction)

    def _store(self, instruction: do.Instruction) -> None:
        """Every one is kept until it is written, in this order, also where the disk refuses it for a while."""
        write = self._context.store.write
        kept: Literal[WritePolicy.RETRIED] = WritePolicy.RETRIED
        match instruction:
            case do.Register(row):
                write(kept, movie_writes.register_movie, row)
            case do.StoreState(movie_id, state, complete_utc_us):
                self._aside.taken_up(movie_id)
                write(kept, movie_writes.set_state, movie_id, state, complete_utc_us=complete_utc_us)
            case do.RecordFailure(movie_id, stage, reason, state, evidence):
                self._aside.taken_up(movie_id)
                write(
                    kept, movie_writes.record_failure, movie_id,
                    stage=stage, reason=reason, evidence=evidence, state=state,
                )  # fmt: skip
            case do.SetAside(movie_id, stage, reason, evidence):
                write(kept, movie_writes.quarantine, movie_id, stage=stage, reason=reason, evidence=evidence)
            case do.OutdateOlder(path, than_generation):
                write(kept, movie_writes.mark_outdated, path, than_generation)
            case do.GiveAttemptBack(movie_id):
                write(kept, movie_writes.give_attempt_back, movie_id)
            case do.KeepResult(movie_id, reason):
                write(kept, movie_writes.keep_result, movie_id, reason)
            case do.QueueAgain(movie_id, accept_as_is):
                self._aside.taken_up(movie_id)
                write(kept, movie_writes.requeue, movie_id, accept_as_is=accept_as_is)
            case _:
                raise AssertionError(f"nobody performs {instruction}")

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
                self.happened(events.Found(item))
            case intake.Settling(movie_id=movie_id, reason=reason) | intake.Revived(movie_id=movie_id, reason=reason):
                self.happened(events.Settling(movie_id, reason))
            case intake.Announce(movie=movie):
                self._complete(movie)
            case intake.Replaced(path=path, old_generation=generation, old_movie_id=movie_id):
                self.happened(events.Replaced(movie_id, path, generation + 1))
            case intake.Vanished(movie_id=movie_id):
                self._vanished(movie_id)
            case intake.Quarantine(path=path, movie_id=movie_id, reason=reason, evidence=evidence):
                self.happened(events.Refused(movie_id, path, reason, evidence))
            case intake.LateSidecar():
                self._late_sidecar(item)
            case intake.Alert():
                if item.over:
                    self._context.notices.over(item.over)
                severity, text = item.severity.value, item.text
                self._context.notices.alert(severity, item.subject, text, item.remedy, item.alert_id)
            case _:
                raise AssertionError(f"the intake's own business: {item}")

    def _complete(self, movie: CompleteMovie) -> None:
        try:
            acquisition, row = self._resolved(movie)
        except SettingsError as error:
            self._values_missing(movie, error)
            return
        needs_gain = self._gate.needs_gate(movie) and not self._gate.open
        if needs_gain:
            self._gate.offer(movie)
        self.happened(events.Completed(movie, acquisition, row, needs_gain))
        self._optics.add(movie.movie_id, movie.relative_path, row.metadata)

    def _resolved(self, movie: CompleteMovie) -> tuple[AcquisitionParameters, MovieRow]:
        """What a movie was taken with, and its row with it.

        Raises
        ------
        SettingsError
            A needed value is given by nobody, or two sources contradict each other.
        """
        settings = self._context.settings
        metadata = merge_metadata(settings=settings, header=movie.header, sidecar=movie.sidecar)
        self._tell_of_not_used(movie, metadata)
        acquisition = resolve(metadata, settings=settings)
        self._any_resolved = True
        if self._values_told:
            self._values_told = False
            self._context.notices.over(VALUES_MISSING)
        row = replace(
            self._lifecycle.row_of(movie, self._context.utc_us()),
            metadata=metadata,
            pixel_size_angstrom=acquisition.pixel_size_angstrom,
            voltage_kv=acquisition.voltage_kv,
            dose_per_frame_e_per_a2=acquisition.dose_per_frame_e_per_a2,
        )
        return acquisition, row

    def _tell_of_not_used(self, movie: CompleteMovie, metadata: AcquisitionMetadata) -> None:
        """Once for each value of a session: whoever wrote it wrongly does so in every file."""
        for name, reason in metadata.not_used:
            if name not in self._told_of:
                self._told_of.add(name)
                text = f"a value of {movie.relative_path} is not used, here and wherever it is so: {reason}"
                remedy = "correct what writes it; what is needed can be given as a setting"
                self._context.notices.alert("warning", "metadata", text, remedy, f"not-used-{name}")

    def _values_missing(self, movie: CompleteMovie, error: SettingsError) -> None:
        if not self._lifecycle.is_redo(movie.movie_id):
            self._perform(do.Register(self._lifecycle.row_of(movie, self._context.utc_us())))
            if not self._any_resolved and (self._ask_when_unknown or movie.sidecar is not None):
                # Nobody ever said it, and the person who has just started this is still there to be asked.
                self._context.store.flush()
                raise error
        # Its sidecar may still come (then it is taken up again), or a person may start frazil with the value.
        self._context.notices.alert("error", "metadata", error.what, error.remedy, VALUES_MISSING)
        self._values_told = True
        self.happened(events.ValuesMissing(movie.movie_id, str(error)))

    def _vanished(self, movie_id: str) -> None:
        """Of a result that is made again the stored sums may be all that is needed; where they are not, the worker
        finds no movie and the earlier result stays."""
        if self._lifecycle.is_redo(movie_id):
            try:
                stored = self._stored_result(result_files.result_path(self._context.session_dir, movie_id))
            except (FormatError, OSError):
                pass
            else:
                self._complete(movie_from_store(stored, self._context.settings, now_s=self._context.clock()))
                return
        self.happened(events.Vanished(movie_id))

    def _late_sidecar(self, item: intake.LateSidecar) -> None:
        """A sidecar came after its movie was taken: what it says is stored; a changed result is computed again."""
        life = self._lifecycle.life(item.movie_id)
        assert life is not None, "the intake found it first"
        self.late_sidecars.add(life.sequence)
        if (known := self._lifecycle.in_process(item.movie_id)) is None:
            self._context.store.write(
                WritePolicy.RETRIED, movie_writes.update_metadata, item.movie_id, item.metadata, item.sidecar_path
            )
            self._optics.add(item.movie_id, item.path, item.metadata)
            # A result whose movie has been moved away could not be made again: it stays.
            if _changes_result(item.metadata, item.previous or AcquisitionMetadata()) and self._is_there(item.path):
                self.happened(events.ResultOutdated(item.movie_id, self._context.clock()))
            return
        _, exposure = known
        movie = replace(exposure.movie, sidecar=item.metadata, sidecar_path=item.sidecar_path)
        try:
            acquisition, row = self._resolved(movie)
        except SettingsError as error:
            self._context.notices.alert("warning", "metadata", str(error))
            return
        self.happened(events.ValuesChanged(movie, acquisition, row))
        self._optics.add(movie.movie_id, movie.relative_path, row.metadata)

    def _is_there(self, path: str) -> bool:
        raw_root = Path(str(self._context.store.named("session").as_dicts()[0]["raw_root"]))
        return self._exists(raw_root / path)

    # --- orders ----------------------------------------------------------------------------------------------------

    def requeue(self, movie_id: str, *, accept_as_is: bool) -> str:
        """A person wants a movie processed again; the sentence to answer with.

        Raises
        ------
        NotThereError, UsageError
            If there is no such movie, or its file has been replaced since.
        RetryLaterError
            The database is not ready; nothing was done.
        """
        self._context.store.flush()  # what is known here and not there yet would be told wrongly
        rows = self._context.store.named("movie", {"movie_id": movie_id}).as_dicts()
        life = self._lifecycle.life(movie_id)
        if not rows or life is None:
            raise NotThereError(
                f"no movie {movie_id} in this session", remedy="`frazil query SESSION --named movies` lists their ids"
            )
        state = MovieState(str(rows[0]["state"]))
        if state is MovieState.OUTDATED:
            raise UsageError("this file was replaced by a newer one", path=life.path, remedy="re-queue the newer one")
        if life.place.in_process or state not in _REQUEUE_STATES:
            return f"{life.path} is on its way already ({state.value})"
        if state is not MovieState.QUARANTINED and not self._is_there(life.path):
            raise UsageError(
                "the movie's file is gone; its result stays", path=life.path, remedy="put the file back first"
            )
        self.happened(events.Requeued(movie_id, accept_as_is, self._context.clock()))
        try:
            self._context.store.flush()  # a person's word is durable before it is answered
        except RetryLaterError as error:
            return f"{life.path} is queued again; it is kept when the database is ready ({error.what})"
        return f"{life.path} is queued again"


def _changes_result(metadata: AcquisitionMetadata, previous: AcquisitionMetadata) -> bool:
    return any(getattr(metadata, name) not in (None, getattr(previous, name)) for name in _RESULT_FIELDS)
