"""Fill the tables from the result files, after the database was lost or for results that never reached it.

A worker's result is on disk before the database knows it. So at every start the files are compared with the tables,
and what is missing is written again: after a kill between the two, after a damaged log, after a deleted database.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from frazil.config.errors import UsageError, WriteError
from frazil.daemon.store import result_files
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.result_files import DamagedFile, StoredResult
from frazil.daemon.store.rows import AlertRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import class_writes, experiment_writes, movie_writes, session_writes, target_writes
from frazil.models.records import MovieState

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """`adopted`: movie ids whose result came from its file. `damaged`: files that have to be computed again."""

    adopted: tuple[str, ...]
    damaged: tuple[DamagedFile, ...]


def rebuild_from(store: Store, results: Iterable[StoredResult | DamagedFile], *, now_utc_us: int) -> RebuildReport:
    """Write every result that the tables do not have; tell of damaged files in `alerts`. Doing it twice is harmless."""
    newest = _newest_generations(store)
    kept: list[tuple[str, Future[Any]]] = []
    damaged: list[DamagedFile] = []
    pending: list[Future[Any]] = []
    for item in results:
        if isinstance(item, DamagedFile):
            damaged.append(item)
            alert = AlertRow(
                "warning",
                "store",
                f"the kept result {item.path.name} cannot be read: {item.reason}",
                now_utc_us,
                remedy="nothing: the movie is processed again",
            )
            pending.append(store.submit(session_writes.record_alert, alert))
        else:
            path, generation = item.movie.relative_path, item.movie.generation
            newest[path] = max(newest.get(path, 0), generation)
            kept.append((item.movie.movie_id, store.submit(adopt, item)))
    # Results lie in the order of their ids: only now is it known which of a file's results is of its newest version.
    pending += [
        store.submit(movie_writes.mark_outdated, path, generation) for path, generation in newest.items() if generation
    ]
    adopted: list[str] = []
    for movie_id, future in kept:
        try:
            future.result()
            adopted.append(movie_id)
        except WriteError as error:  # one result that the database does not take keeps no session from starting
            _log.error("the kept result of movie %s could not be stored: %s", movie_id, error)
    for future in pending:
        future.result()
    return RebuildReport(tuple(adopted), tuple(damaged))


def _newest_generations(store: Store) -> dict[str, int]:
    rows = store.rows("SELECT relative_path, max(generation) FROM movies GROUP BY relative_path")
    return {str(path): int(generation) for path, generation in rows}


def adopt_missing(
    store: Store, session_dir: Path, *, now_utc_us: int, parameter_hashes: Collection[str] | None = None
) -> RebuildReport:
    """Compare the result files with the tables and write what is missing.

    With `parameter_hashes`, only results made with these settings are taken; others are left to be computed again.
    """
    known = store.read(movie_writes.known_movies)
    done = {movie.movie_id for movie in known if movie.parameter_hash is not None or movie.state == MovieState.OUTDATED}
    missing = result_files.read_results(session_dir, result_files.result_ids(session_dir) - done)
    wanted = (
        item
        for item in missing
        if parameter_hashes is None or isinstance(item, DamagedFile) or item.result.parameter_hash in parameter_hashes
    )
    report = rebuild_from(store, wanted, now_utc_us=now_utc_us)
    _adopt_feedback(store, session_dir)
    for row in result_files.read_interventions(session_dir):
        store.write(WritePolicy.DURABLE, session_writes.record_intervention, row)
    for plan in result_files.read_experiments(session_dir):
        store.write(WritePolicy.DURABLE, experiment_writes.record_experiment, plan)
    for stop in result_files.read_experiment_stops(session_dir):
        store.write(WritePolicy.DURABLE, experiment_writes.stop_experiment, stop)
    for word in result_files.read_target_words(session_dir):
        store.write(WritePolicy.DURABLE, target_writes.record_word, word)
    verdicts = result_files.read_class_verdicts(session_dir)
    if verdicts:
        store.write(WritePolicy.DURABLE, class_writes.record_verdicts, verdicts)
    return report


def _adopt_feedback(store: Store, session_dir: Path) -> None:
    rows = result_files.read_feedback(session_dir)
    if not rows:
        return
    known = {row["feedback_id"] for row in store.named("feedback", {"limit": 1_000_000}).as_dicts()}
    for row in rows:
        if row.feedback_id not in known:
            try:
                store.write(WritePolicy.DURABLE, session_writes.record_feedback, row)
            except UsageError:
                continue  # of a movie that has not come back yet: the verdict stays in the file


def adopt(connection: Connection, stored: StoredResult) -> MovieState | None:
    """Registration and result of one movie in one transaction."""
    movie_writes.register_movie(connection, replace(stored.movie, state=MovieState.QUEUED))
    return movie_writes.record_result(
        connection,
        stored.result,
        ready_utc_us=stored.ready_utc_us,
        lag_s=stored.lag_s,
        rejection_reason=stored.rejection_reason,
    )
