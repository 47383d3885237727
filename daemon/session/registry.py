"""What an earlier run left of each movie: where the next one goes on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from frazil.config.stages import Stage, outdated_from
from frazil.daemon.intake.events import RestoredMovie
from frazil.daemon.intake.identity import FileStat
from frazil.daemon.session.folder import output_stem
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes
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


def _earlier_movies(connection: Connection) -> tuple[list[str], list[tuple[Any, ...]]]:
    cursor = connection.execute(_RESTORE_SQL, {"accepted_as_is": ACCEPTED_AS_IS})
    return [column[0] for column in cursor.description or ()], cursor.fetchall()


@dataclass(frozen=True, slots=True)
class EarlierMovie:
    """A movie of an earlier run, as its row knows it."""

    movie_id: str
    relative_path: str
    sequence: int
    stem: str
    state: MovieState
    priority: int = LIVE_PRIORITY
    attempts: int = 0
    """Failed for reasons of the movie's own."""
    redo: bool = False
    """It has a result, which counts until the one that is made with the present settings takes its place."""
    given_up: bool = False
    """Its result was to be made again and could not be."""


@dataclass(slots=True)
class MovieRegistry:
    """See the module."""

    movies: list[EarlierMovie] = field(default_factory=list)
    """In the order of their numbers."""
    ended_sequences: list[int] = field(default_factory=list)
    """Of movies that had ended when the session was resumed."""
    open_sequences: list[int] = field(default_factory=list)
    """Of movies that were complete and had no result."""
    settling_sequences: list[int] = field(default_factory=list)
    """Of movies that were found and not complete."""
    interrupted: list[str] = field(default_factory=list)
    """Ids of movies that were in a worker's hands when the earlier run ended: that attempt does not count."""
    redo_stages: Counter[Stage] = field(default_factory=Counter)
    """Movies whose results are to be made again, by the stage from which on."""
    any_resolved: bool = False
    """At least one movie's acquisition parameters were complete: what is missing later is that movie's fault."""
    _restored: list[RestoredMovie] = field(default_factory=list)
    _stems: dict[str, str] = field(default_factory=dict)
    _next_sequence: int = 0

    @classmethod
    def restore(cls, store: Store, *, parameter_hash: str, code_version: str) -> MovieRegistry:
        """The movies of an earlier run. Those done with other settings are to be done again, and count as done until
        then; those of another frazil are to be done as if they never had been."""
        registry = cls()
        columns, rows = store.read(_earlier_movies)
        for values in rows:
            registry._restore_one(dict(zip(columns, values, strict=True)), parameter_hash, code_version)
        return registry

    def _restore_one(self, row: dict[str, Any], parameter_hash: str, code_version: str) -> None:
        sequence = row["sequence"] if row["sequence"] is not None else self._next_sequence
        stem = row["stem"] or output_stem(row["relative_path"], self._stems)
        self._next_sequence = max(self._next_sequence, sequence + 1)
        self._stems[stem] = row["relative_path"]
        movie = EarlierMovie(
            row["movie_id"], row["relative_path"], sequence, stem, MovieState(row["state"]),
            given_up=row["failure_stage"] == movie_writes.REDO_STAGE and row["state"] in ("ready", "rejected"),
        )  # fmt: skip
        done = movie.state in (MovieState.READY, MovieState.REJECTED)
        if done:
            movie, done = self._judged(movie, row, parameter_hash, code_version)
        else:
            movie = self._unfinished(movie, row)
        self.any_resolved = self.any_resolved or done
        self.movies.append(movie)
        if done or movie.state in (MovieState.QUARANTINED, MovieState.OUTDATED):
            self.ended_sequences.append(sequence)
        else:
            complete = row["complete_utc_us"] is not None
            (self.open_sequences if complete else self.settling_sequences).append(sequence)
        self._restored.append(_for_intake(row, movie.state))

    def _judged(
        self, movie: EarlierMovie, row: dict[str, Any], parameter_hash: str, code_version: str
    ) -> tuple[EarlierMovie, bool]:
        """A movie that has a result, as the settings in force see it; and whether it counts as done."""
        if row["code_version"] != code_version:
            return replace(movie, state=MovieState.FAILED, priority=REPROCESS_PRIORITY, given_up=False), False
        stage = None if movie.given_up else outdated_from(row["parameter_hash"], parameter_hash)
        if stage is None:
            return movie, True
        # The intake looks at the file again. For its epoch and for the map it has ended.
        self.redo_stages[stage] += 1
        return replace(movie, state=MovieState.FAILED, priority=REPROCESS_PRIORITY, redo=True), True

    def _unfinished(self, movie: EarlierMovie, row: dict[str, Any]) -> EarlierMovie:
        if movie.state is MovieState.QUARANTINED and row["failure_stage"] == "metadata":
            # What was missing or contradicted may have been said since.
            movie = replace(movie, state=MovieState.FAILED)
        if movie.state is MovieState.PROCESSING:
            self.interrupted.append(movie.movie_id)
            return replace(movie, priority=INTERRUPTED_PRIORITY, attempts=max(row["attempts"] - 1, 0))
        if movie.state in (MovieState.QUEUED, MovieState.FAILED):
            return replace(movie, attempts=row["attempts"])
        return movie

    def for_intake(self) -> list[RestoredMovie]:
        """What the intake starts from; handed over once."""
        restored, self._restored = self._restored, []
        return restored


def _for_intake(row: dict[str, Any], state: MovieState) -> RestoredMovie:
    stat = None
    if row["size_bytes"] is not None and row["mtime_ns"] is not None:
        stat = FileStat(row["size_bytes"], row["mtime_ns"], row["inode"] or 0)
    metadata = None
    if row["metadata_json"]:
        known = json.loads(row["metadata_json"])
        for name in ("sources", "not_used"):
            known[name] = tuple((field, text) for field, text in known.get(name, ()))
        metadata = AcquisitionMetadata(**known)
    return RestoredMovie(
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
