"""What the daemon remembers of each movie between its discovery and its result, and what it restores at a restart."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from frazil.config.settings import Settings
from frazil.config.stages import Stage, first_stage, outdated_from
from frazil.daemon.intake import instructions as intake
from frazil.daemon.intake.events import RestoredMovie
from frazil.daemon.intake.identity import CompleteMovie, FileStat
from frazil.daemon.session.folder import output_stem
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.rows import MovieRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes
from frazil.models.formats.acquisition import AcquisitionParameters, merge_metadata, resolve
from frazil.models.records import ACCEPTED_AS_IS, AcquisitionMetadata, MovieState

LIVE_PRIORITY = 0
INTERRUPTED_PRIORITY = 5
"""Movies that a worker had in hand when the daemon ended come behind the others: one that takes the whole machine down
with it must not be the first thing that every restart tries."""
REPROCESS_PRIORITY = 10
"""Movies that were done with other settings wait behind those that come from the microscope now, and behind those that
a worker had in hand."""

_RESTORE_SQL = """
SELECT movie_id, relative_path, generation, state, size_bytes, mtime_ns, inode, frame_count, file_format, sidecar_path,
       metadata_json, failure_stage, found_utc_us, complete_utc_us, sequence, stem, attempts,
       list_contains(string_split(coalesce(flags, ''), ','), $accepted_as_is) AS accept_as_is,
       (SELECT any_value(parameter_hash) FROM stages s WHERE s.movie_id = movies.movie_id) AS parameter_hash,
       (SELECT any_value(code_version) FROM stages s WHERE s.movie_id = movies.movie_id) AS code_version
FROM movies ORDER BY sequence
"""


@dataclass(frozen=True, slots=True)
class RedoSummary:
    """How far results are made again with changed settings; `stage` is empty where none are."""

    stage: str = ""
    done: int = 0
    total: int = 0


NO_REDO = RedoSummary()


@dataclass(slots=True)
class _Entry:
    relative_path: str
    sequence: int
    stem: str
    priority: int = LIVE_PRIORITY
    attempts: int = 0
    """Of an earlier run, failed for reasons of the movie's own; the scheduler counts on from here."""
    row: MovieRow | None = None
    redo: bool = False
    """It has a result, which counts until the one that is made with the present settings takes its place."""


@dataclass(slots=True)
class MovieRegistry:
    """See the module. Finished movies keep only their path, number and stem."""

    _entries: dict[str, _Entry] = field(default_factory=dict)
    _stems: dict[str, str] = field(default_factory=dict)
    _restored: list[RestoredMovie] = field(default_factory=list)
    _next_sequence: int = 0
    ended_sequences: list[int] = field(default_factory=list)
    """Of movies that had ended when the session was resumed."""
    open_sequences: list[int] = field(default_factory=list)
    """Of movies that were complete and had no result."""
    interrupted: list[str] = field(default_factory=list)
    """Ids of movies that were in a worker's hands when the earlier run ended: that attempt does not count."""
    redo_stages: Counter[Stage] = field(default_factory=Counter)
    """Movies whose results were to be made again when the session was resumed, by the stage from which on."""
    redo_left: int = 0
    """How many of them still are."""
    any_resolved: bool = False
    """At least one movie's acquisition parameters were complete: what is missing later is that movie's fault."""

    # --- restoring -------------------------------------------------------------------------------------------------

    @classmethod
    def restore(cls, store: Store, *, parameter_hash: str, code_version: str) -> MovieRegistry:
        """The movies of an earlier run. Those done with other settings are to be done again, and count as done until
        then; those of another frazil are to be done as if they never had been."""
        book = cls()
        for row in store.read(_stored_movies):
            book._restore_one(row, parameter_hash, code_version)
        return book

    def _restore_one(self, row: dict[str, Any], parameter_hash: str, code_version: str) -> None:
        state = MovieState(row["state"])
        sequence = row["sequence"] if row["sequence"] is not None else self._next_sequence
        stem = row["stem"] or output_stem(row["relative_path"], self._stems)
        entry = _Entry(row["relative_path"], sequence, stem)
        self._entries[row["movie_id"]] = entry
        self._next_sequence = max(self._next_sequence, sequence + 1)
        self._stems[stem] = row["relative_path"]
        done = state in (MovieState.READY, MovieState.REJECTED)
        if done and row["code_version"] != code_version:
            state, entry.priority = MovieState.FAILED, REPROCESS_PRIORITY
            done = False
        elif done and row["failure_stage"] != movie_writes.REDO_STAGE:
            stage = outdated_from(row["parameter_hash"], parameter_hash)
            if stage is not None:
                # The intake looks at the file again. For its epoch and for the map it has ended.
                state, entry.priority, entry.redo = MovieState.FAILED, REPROCESS_PRIORITY, True
                self.redo_stages[stage] += 1
                self.redo_left += 1
        self.any_resolved = self.any_resolved or done
        if state is MovieState.QUARANTINED and row["failure_stage"] == "metadata":
            state = MovieState.FAILED  # what was missing or contradicted may have been said since
        if state is MovieState.PROCESSING:
            self.interrupted.append(row["movie_id"])
            entry.priority = INTERRUPTED_PRIORITY
            entry.attempts = max(row["attempts"] - 1, 0)
        elif state in (MovieState.QUEUED, MovieState.FAILED) and entry.priority == LIVE_PRIORITY:
            entry.attempts = row["attempts"]
        if done or state in (MovieState.QUARANTINED, MovieState.OUTDATED):
            self.ended_sequences.append(sequence)
        elif row["complete_utc_us"] is not None:
            # One that is still growing does not hold up its epoch, neither now nor in a run without a restart.
            self.open_sequences.append(sequence)
        stat = None
        if row["size_bytes"] is not None and row["mtime_ns"] is not None:
            stat = FileStat(row["size_bytes"], row["mtime_ns"], row["inode"] or 0)
        metadata = None
        if row["metadata_json"]:
            known = json.loads(row["metadata_json"])
            known["sources"] = tuple((name, source) for name, source in known.get("sources", ()))
            metadata = AcquisitionMetadata(**known)
        self._restored.append(
            RestoredMovie(
                path=row["relative_path"],
                generation=row["generation"],
                state=state,
                stat=stat,
                found_utc_us=row["found_utc_us"],
                frame_count=row["frame_count"],
                file_format=row["file_format"],
                sidecar_path=row["sidecar_path"],
                metadata=metadata,
                quarantined_by_intake=state is MovieState.QUARANTINED and row["failure_stage"] == "intake",
                announced=row["complete_utc_us"] is not None,
                accept_as_is=row["accept_as_is"],
            )
        )

    def for_intake(self) -> list[RestoredMovie]:
        """What the intake starts from; handed over once."""
        restored, self._restored = self._restored, []
        return restored

    @property
    def redo(self) -> RedoSummary:
        """How far it is with what is made again."""
        if not self.redo_left:
            return NO_REDO
        total = self.redo_stages.total()
        return RedoSummary(first_stage(self.redo_stages).value, total - self.redo_left, total)

    # --- a movie's life --------------------------------------------------------------------------------------------

    def found(self, item: intake.Found) -> MovieRow:
        """Give a new movie its place and its stem; the row to store."""
        entry = self._entries.get(item.movie_id)
        if entry is None:
            entry = _Entry(item.path, self._next_sequence, output_stem(item.path, self._stems))
            self._next_sequence += 1
            self._entries[item.movie_id] = entry
            self._stems[entry.stem] = item.path
        entry.row = MovieRow(
            movie_id=item.movie_id,
            relative_path=item.path,
            generation=item.generation,
            found_utc_us=item.found_utc_us,
            sequence=entry.sequence,
            stem=entry.stem,
            size_bytes=item.stat.size_bytes,
            mtime_ns=item.stat.mtime_ns,
            inode=item.stat.inode,
        )
        return entry.row

    def complete(self, movie: CompleteMovie, now_utc_us: int) -> MovieRow:
        """The row of a movie that may be processed, as far as file and sidecar tell."""
        entry = self._entries[movie.movie_id]
        header = movie.header
        entry.row = MovieRow(
            movie_id=movie.movie_id,
            relative_path=movie.relative_path,
            generation=movie.generation,
            found_utc_us=movie.found_utc_us,
            sequence=entry.sequence,
            stem=entry.stem,
            file_format=header.file_format,
            size_bytes=movie.stat.size_bytes,
            mtime_ns=movie.stat.mtime_ns,
            inode=movie.stat.inode,
            frame_count=header.frame_count,
            height_px=header.height_px,
            width_px=header.width_px,
            sidecar_path=movie.sidecar_path,
            metadata=movie.sidecar or AcquisitionMetadata(),
            complete_utc_us=now_utc_us,
        )
        return entry.row

    def resolve(self, movie: CompleteMovie, settings: Settings) -> tuple[AcquisitionMetadata, AcquisitionParameters]:
        """What is known of the exposure, and the numbers that processing needs.

        Raises
        ------
        SettingsError
            If a needed value is given by nobody, or two sources contradict each other.
        """
        metadata = merge_metadata(settings=settings, header=movie.header, sidecar=movie.sidecar)
        parameters = resolve(metadata, settings=settings)
        self.any_resolved = True
        return metadata, parameters

    def set_row(self, movie_id: str, row: MovieRow) -> None:
        self._entries[movie_id].row = row

    def row(self, movie_id: str) -> MovieRow:
        row = self._entries[movie_id].row
        assert row is not None, f"movie {movie_id} was never complete"
        return row

    def done(self, movie_id: str) -> None:
        """The result is durable: forget what only processing needed."""
        entry = self._entries[movie_id]
        entry.row, entry.priority = None, LIVE_PRIORITY
        self.no_redo(movie_id)

    def is_redo(self, movie_id: str) -> bool:
        """It has a result that is to be made again with other settings."""
        entry = self._entries.get(movie_id)
        return entry is not None and entry.redo

    def no_redo(self, movie_id: str) -> None:
        """Its result was made again, or stays, or is no concern any more."""
        entry = self._entries.get(movie_id)
        if entry is not None and entry.redo:
            entry.redo = False
            self.redo_left -= 1

    @property
    def newest_sequence(self) -> int:
        """Of the movie that was found last; -1: none was."""
        return self._next_sequence - 1

    def sequence(self, movie_id: str) -> int:
        return self._entries[movie_id].sequence

    def stem(self, movie_id: str) -> str:
        return self._entries[movie_id].stem

    def priority(self, movie_id: str) -> int:
        return self._entries[movie_id].priority

    def take_attempts(self, movie_id: str) -> int:
        """Failed attempts of an earlier run; asked for once, because a person who re-queues begins from zero."""
        entry = self._entries[movie_id]
        attempts, entry.attempts = entry.attempts, 0
        return attempts

    def path(self, movie_id: str) -> str | None:
        entry = self._entries.get(movie_id)
        return None if entry is None else entry.relative_path

    def __contains__(self, movie_id: str) -> bool:
        return movie_id in self._entries


def _stored_movies(connection: Connection) -> list[dict[str, Any]]:
    cursor = connection.execute(_RESTORE_SQL, {"accepted_as_is": ACCEPTED_AS_IS})
    columns = [column[0] for column in cursor.description or ()]
    return [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
