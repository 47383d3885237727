"""Makes results durable: first their file, from which the database can be rebuilt, then their rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from frazil.config.errors import FormatError, RetryLaterError
from frazil.config.settings import ThresholdSettings
from frazil.daemon.analysis.coordinator import AnalysisCoordinator
from frazil.daemon.intake.identity import CompleteMovie
from frazil.daemon.processing import redo_files
from frazil.daemon.processing.movies import MovieProcessing
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.session.thresholds import rejection_reason
from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.store import Store
from frazil.models.records import ACCEPTED_AS_IS, MovieResult

_FIXED_PATTERN_LIMIT = 0.25
"""Above this share of the gain pattern is left in a corrected movie: the gain changed, or was wrong from the start."""
_PAUSE_AFTER_FAILURE_S = 10.0


class ResultWriter:
    """See the module."""

    def __init__(
        self,
        *,
        store: Store,
        book: MovieRegistry,
        movies: MovieProcessing,
        analysis: AnalysisCoordinator,
        notices: Notices,
        session_dir: Path,
        thresholds: ThresholdSettings,
        clock: Callable[[], float],
        utc_us: Callable[[], int],
    ) -> None:
        self._store, self._book, self._movies = store, book, movies
        self._analysis, self._notices = analysis, notices
        self._session_dir, self._thresholds = session_dir, thresholds
        self._clock, self._utc_us = clock, utc_us
        self._pending: list[tuple[MovieResult, float, result_files.StoredResult | None]] = []
        self._not_before_s = float("-inf")
        self.last_movie_id: str | None = None

    @property
    def busy(self) -> bool:
        """Results wait to be written."""
        return bool(self._pending)

    def add(self, result: MovieResult) -> None:
        """A worker brought a result."""
        self._pending.append((result, self._clock(), None))

    def add_stored(self, stored: result_files.StoredResult) -> None:
        """A result is in its file and has no row yet: we ended in between."""
        self._pending.append((stored.result, self._clock(), stored))

    def use(self, thresholds: ThresholdSettings) -> None:
        """From the next result on."""
        self._thresholds = thresholds

    def step(self) -> None:
        """Write what waits; when the disk refuses, keep it and try again after a pause."""
        if not self._pending or self._clock() < self._not_before_s:
            return
        pending, self._pending = self._pending, []
        for position, (result, came_s, there) in enumerate(pending):
            known = self._movies.in_hand.get(result.movie_id)
            if known is None:
                redo_files.discard(self._session_dir, result.movie_id)
                continue  # replaced while it was being processed
            reason = rejection_reason(result, self._thresholds)
            lag_s = came_s - known.movie.found_monotonic_s
            row = self._book.row(result.movie_id)
            kept = _with_what_was_said(result, known.movie)
            stored = result_files.StoredResult(row, kept, self._utc_us(), lag_s, reason)
            try:
                if there is None:
                    self._write(stored := self._with_first_times(stored))
                else:
                    stored = replace(there, rejection_reason=reason)
                written = self._store.submit(rebuild.adopt, stored).result()
            except (RetryLaterError, OSError) as error:
                self._notices.alert("error", "disk", f"results cannot be written: {error}", "free disk space")
                self._pending = pending[position:] + self._pending
                self._not_before_s = self._clock() + _PAUSE_AFTER_FAILURE_S
                return
            redo_files.discard(self._session_dir, result.movie_id)
            if written is None:
                self._movies.forget(result.movie_id)  # its row says that a newer file has taken its place
            else:
                self._finish(result)

    def _write(self, stored: result_files.StoredResult) -> None:
        if self._book.is_redo(stored.result.movie_id):
            redo_files.put_in_place(self._session_dir, stored)
        else:
            result_files.write_result(self._session_dir, stored)

    def _with_first_times(self, stored: result_files.StoredResult) -> result_files.StoredResult:
        """A result that was made again keeps the time and the lag of the first one: lag and pace are about movies that
        come from the microscope. Raises OSError."""
        movie_id = stored.result.movie_id
        if not self._book.is_redo(movie_id):
            return stored
        try:
            first = result_files.read_result(result_files.result_path(self._session_dir, movie_id))
        except (FormatError, FileNotFoundError):
            return stored
        return replace(stored, ready_utc_us=first.ready_utc_us, lag_s=first.lag_s)

    def _finish(self, result: MovieResult) -> None:
        self.last_movie_id = result.movie_id
        self._analysis.movie_ended(self._book.sequence(result.movie_id), result)
        self._movies.finished(result.movie_id)
        if abs(result.quality.fixed_pattern) > _FIXED_PATTERN_LIMIT:
            self._notices.alert(
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
