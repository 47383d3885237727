"""Makes results durable: first their file, from which the database can be rebuilt, then their rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from frazil.config.errors import FormatError, RetryLaterError, WriteError
from frazil.config.settings import ThresholdSettings
from frazil.daemon.intake.identity import CompleteMovie
from frazil.daemon.processing import events, redo_files
from frazil.daemon.processing.lifecycle import Exposure, Lifecycle
from frazil.daemon.processing.movies import MovieListener, Movies
from frazil.daemon.processing.places import Place
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.thresholds import rejection_reason
from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.writer import WritePolicy
from frazil.models.records import ACCEPTED_AS_IS, MovieResult

_FIXED_PATTERN_LIMIT = 0.25
"""Above this share of the gain pattern is left in a corrected movie: the gain changed, or was wrong from the start."""
_PAUSE_AFTER_FAILURE_S = 10.0
_NOT_WRITTEN = "results-not-written"


class ResultFolder(Protocol):
    """The session's folder, as far as results are concerned."""

    def write(self, stored: StoredResult, *, redo: bool) -> None:
        """Put a result where it can be found again. Raises OSError."""

    def earlier(self, movie_id: str) -> StoredResult | None:
        """The result that a movie has; None: none that can be read. Raises OSError."""

    def discard(self, movie_id: str) -> None:
        """Nothing of an unfinished redo is wanted any more."""


class DiskResultFolder:
    """See `ResultFolder`."""

    def __init__(self, session_dir: Path) -> None:
        self._session_dir = session_dir

    def write(self, stored: StoredResult, *, redo: bool) -> None:
        if redo:
            redo_files.put_in_place(self._session_dir, stored)
        else:
            result_files.write_result(self._session_dir, stored)

    def earlier(self, movie_id: str) -> StoredResult | None:
        try:
            return result_files.read_result(result_files.result_path(self._session_dir, movie_id))
        except (FormatError, FileNotFoundError):
            return None

    def discard(self, movie_id: str) -> None:
        redo_files.discard(self._session_dir, movie_id)


@dataclass(frozen=True, slots=True)
class _Pending:
    result: MovieResult
    came_s: float
    in_file: StoredResult | None
    """It is in its file already, and has no row yet."""


class ResultWriter:
    """See the module."""

    def __init__(
        self,
        context: SessionContext,
        lifecycle: Lifecycle,
        movies: Movies,
        listener: MovieListener,
        folder: ResultFolder,
    ) -> None:
        self._context, self._lifecycle, self._movies = context, lifecycle, movies
        self._listener, self._folder = listener, folder
        self._thresholds = context.settings.thresholds
        self._pending: dict[str, _Pending] = {}
        """By movie: a result that came again takes the place of the one before."""
        self._not_before_s = float("-inf")
        self._refused = True
        """The disk refused a result, by what is known: perhaps an earlier run's."""
        self.last_movie_id: str | None = None

    @property
    def busy(self) -> bool:
        """Results wait to be written."""
        return bool(self._pending)

    def add(self, result: MovieResult) -> None:
        """A worker brought a result."""
        self._pending.pop(result.movie_id, None)
        self._pending[result.movie_id] = _Pending(result, self._context.clock(), None)

    def add_stored(self, stored: StoredResult) -> None:
        """A result is in its file and has no row yet: we ended in between."""
        self._pending[stored.result.movie_id] = _Pending(stored.result, self._context.clock(), stored)

    def use(self, thresholds: ThresholdSettings) -> None:
        """From the next result on."""
        self._thresholds = thresholds

    def step(self) -> None:
        """Write what waits; when the disk refuses, keep it and try again after a pause."""
        if not self._pending or self._context.clock() < self._not_before_s:
            return
        for movie_id, pending in list(self._pending.items()):
            try:
                self._write(movie_id, pending)
            except (RetryLaterError, OSError) as error:
                text = f"results cannot be written: {error}"
                self._context.notices.alert("error", "disk", text, "free disk space", _NOT_WRITTEN)
                self._refused = True
                self._not_before_s = self._context.clock() + _PAUSE_AFTER_FAILURE_S
                return
            if self._refused:
                self._refused = False
                self._context.notices.over(_NOT_WRITTEN)
            del self._pending[movie_id]
            if self._lifecycle.in_process(movie_id) is None:
                self._folder.discard(movie_id)  # else a worker may be writing into it again

    def _write(self, movie_id: str, pending: _Pending) -> None:
        """Raises RetryLaterError or OSError where the disk refuses it."""
        known = self._lifecycle.in_process(movie_id)
        if known is None or known[0].place not in (Place.WRITING, Place.REDO_WRITING):
            return  # replaced while it was being processed, or queued again with other values
        life, exposure = known
        stored = self._stored(pending, exposure, redo=life.place.redo)
        if pending.in_file is None:
            self._folder.write(stored, redo=life.place.redo)
        try:
            state = self._context.store.write(WritePolicy.DURABLE, rebuild.adopt, stored)
        except WriteError as error:
            self._movies.happened(events.Unstorable(movie_id, str(error)))
            return
        if state is None:
            self._movies.happened(events.Overtaken(movie_id))
            return
        self.last_movie_id = movie_id
        self._listener.movie_ended(life.sequence, pending.result)
        self._movies.happened(events.Written(movie_id))
        self._tell_of_gain(pending.result)

    def _stored(self, pending: _Pending, exposure: Exposure, *, redo: bool) -> StoredResult:
        """A result as it is kept. One that was made again keeps the time and the lag of the first one: lag and pace are
        about movies that come from the microscope."""
        reason = rejection_reason(pending.result, self._thresholds)
        if pending.in_file is not None:
            return replace(pending.in_file, rejection_reason=reason)
        lag_s = pending.came_s - exposure.movie.found_monotonic_s
        result = _with_what_was_said(pending.result, exposure.movie)
        stored = StoredResult(exposure.row, result, self._context.utc_us(), lag_s, reason)
        first = self._folder.earlier(result.movie_id) if redo else None
        return stored if first is None else replace(stored, ready_utc_us=first.ready_utc_us, lag_s=first.lag_s)

    def _tell_of_gain(self, result: MovieResult) -> None:
        if abs(result.quality.fixed_pattern) > _FIXED_PATTERN_LIMIT:
            self._context.notices.alert(
                "warning",
                "gain",
                "the corrected movies still carry the gain pattern: the camera's gain has changed",
                "take a new gain reference and start a new session with it",
            )


def _with_what_was_said(result: MovieResult, movie: CompleteMovie) -> MovieResult:
    """A person's word on the movie goes with its result: the same file is taken as it is whenever it is looked at
    again."""
    flags = tuple(flag for flag in result.quality.flags if flag != ACCEPTED_AS_IS)
    if ACCEPTED_AS_IS in movie.flags:
        flags = (*flags, ACCEPTED_AS_IS)
    return replace(result, quality=replace(result.quality, flags=flags))
