"""A durable copy of every result beside the database: `SESSION/results/<movie_id>.msgpack`.

The database can be lost (a damaged file, a full disk at the wrong moment); what a worker found out cannot be had
again without computing it again. One small file a movie, written under a temporary name, synced and renamed, before
the database sees the result. `rebuild.py` fills the tables from them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from frazil.config.errors import FormatError
from frazil.daemon.store.experiment_rows import ExperimentRow, ExperimentStopRow
from frazil.daemon.store.rows import ClassVerdictRow, FeedbackRow, InterventionRow, MovieRow
from frazil.daemon.store.target_rows import TargetWordRow
from frazil.models.records import MovieResult

R = TypeVar("R")

RESULTS_NAME = "results"
FEEDBACK_NAME = "feedback.jsonl"
INTERVENTIONS_NAME = "interventions.jsonl"
EXPERIMENTS_NAME = "experiments.jsonl"
EXPERIMENT_STOPS_NAME = "experiment_stops.jsonl"
TARGET_WORDS_NAME = "targets.jsonl"
CLASS_VERDICTS_NAME = "classes.jsonl"
_FORMAT = 1
_SUFFIX = ".msgpack"
MAX_RESULT_BYTES = 64 << 20
"""A result is tens of kilobytes; anything larger than this is not one of ours."""


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result with what the store was told beside it."""

    movie: MovieRow
    result: MovieResult
    ready_utc_us: int
    lag_s: float | None
    rejection_reason: str | None = None
    format_version: int = _FORMAT


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A result file that cannot be read: the movie has to be computed again."""

    path: Path
    reason: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(StoredResult)


def result_path(session_dir: Path, movie_id: str) -> Path:
    """Raises ValueError for an id that is not a plain file name."""
    if not movie_id or Path(movie_id).name != movie_id or movie_id.startswith("."):
        raise ValueError(f"{movie_id!r} is not a movie id")
    return session_dir / RESULTS_NAME / (movie_id + _SUFFIX)


def encode(stored: StoredResult) -> bytes:
    """As it lies in the file. NaN and infinity survive."""
    return _encoder.encode(stored)


def decode(data: bytes, path: Path) -> StoredResult:
    """Raises `FormatError` naming the file."""
    try:
        stored = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(
            f"this result file is damaged ({error})", path=path, remedy="delete it; the movie is computed again"
        ) from error
    if stored.format_version != _FORMAT:
        raise FormatError(
            f"this result file has format {stored.format_version}; this frazil reads {_FORMAT}",
            path=path,
            remedy="update frazil, or delete the file; the movie is computed again",
        )
    return stored


def write_result(session_dir: Path, stored: StoredResult) -> Path:
    """Write atomically and durably; again replaces. Raises OSError (disk full: nothing of it is left)."""
    path = result_path(session_dir, stored.result.movie_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(encode(stored))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return path


def read_result(path: Path) -> StoredResult:
    """Raises `FormatError` for a damaged file, OSError for one that cannot be read."""
    if path.stat().st_size > MAX_RESULT_BYTES:
        raise FormatError("this is too large to be a result file", path=path, remedy="delete it")
    stored = decode(path.read_bytes(), path)
    if path.name != stored.result.movie_id + _SUFFIX or stored.movie.movie_id != stored.result.movie_id:
        raise FormatError("this result file is of another movie than its name says", path=path, remedy="delete it")
    return stored


def result_ids(session_dir: Path) -> set[str]:
    """Movies with a result file, by name only (fast for tens of thousands)."""
    try:
        names = os.listdir(session_dir / RESULTS_NAME)
    except FileNotFoundError:
        return set()
    return {name[: -len(_SUFFIX)] for name in names if name.endswith(_SUFFIX) and not name.startswith(".")}


def read_results(session_dir: Path, movie_ids: set[str] | None = None) -> Iterator[StoredResult | DamagedFile]:
    """All results (or those of some movies), by id; a damaged file is told and does not end the reading."""
    wanted = result_ids(session_dir) if movie_ids is None else movie_ids
    for movie_id in sorted(wanted):
        path = result_path(session_dir, movie_id)
        try:
            yield read_result(path)
        except (FormatError, OSError) as error:
            yield DamagedFile(path, str(error))


def append_feedback(session_dir: Path, row: FeedbackRow) -> None:
    """Keep a person's verdict where the database's loss does not take it. Raises OSError."""
    _append(session_dir / RESULTS_NAME / FEEDBACK_NAME, row)


def read_feedback(session_dir: Path) -> list[FeedbackRow]:
    """All verdicts in the order in which they were given; a torn line is passed over."""
    return _read_lines(session_dir / RESULTS_NAME / FEEDBACK_NAME, FeedbackRow)


def append_intervention(session_dir: Path, row: InterventionRow) -> None:
    """Keep what a person changed at the microscope, likewise. Raises OSError."""
    _append(session_dir / RESULTS_NAME / INTERVENTIONS_NAME, row)


def read_interventions(session_dir: Path) -> list[InterventionRow]:
    """What people changed, in that order; a torn line is passed over."""
    return _read_lines(session_dir / RESULTS_NAME / INTERVENTIONS_NAME, InterventionRow)


def append_experiment(session_dir: Path, row: ExperimentRow) -> None:
    """Keep the plan of an experiment, likewise. Raises OSError."""
    _append(session_dir / RESULTS_NAME / EXPERIMENTS_NAME, row)


def read_experiments(session_dir: Path) -> list[ExperimentRow]:
    """All plans in their order; a torn line is passed over."""
    return _read_lines(session_dir / RESULTS_NAME / EXPERIMENTS_NAME, ExperimentRow)


def append_experiment_stop(session_dir: Path, row: ExperimentStopRow) -> None:
    """Keep the word that ended an experiment. Raises OSError."""
    _append(session_dir / RESULTS_NAME / EXPERIMENT_STOPS_NAME, row)


def read_experiment_stops(session_dir: Path) -> list[ExperimentStopRow]:
    """All ends, in their order; a torn line is passed over."""
    return _read_lines(session_dir / RESULTS_NAME / EXPERIMENT_STOPS_NAME, ExperimentStopRow)


def append_target_word(session_dir: Path, row: TargetWordRow) -> None:
    """Keep what a person said of a place on the grid. Raises OSError."""
    _append(session_dir / RESULTS_NAME / TARGET_WORDS_NAME, row)


def read_target_words(session_dir: Path) -> list[TargetWordRow]:
    """What people said of places on the grid, in that order; a torn line is passed over."""
    return _read_lines(session_dir / RESULTS_NAME / TARGET_WORDS_NAME, TargetWordRow)


def append_class_verdict(session_dir: Path, row: ClassVerdictRow) -> None:
    """Keep what a person said of a 2D class. Raises OSError."""
    _append(session_dir / RESULTS_NAME / CLASS_VERDICTS_NAME, row)


def read_class_verdicts(session_dir: Path) -> list[ClassVerdictRow]:
    """What people said of 2D classes, in that order; a torn line is passed over."""
    return _read_lines(session_dir / RESULTS_NAME / CLASS_VERDICTS_NAME, ClassVerdictRow)


def _append(
    path: Path,
    row: FeedbackRow | InterventionRow | ExperimentRow | ExperimentStopRow | TargetWordRow | ClassVerdictRow,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        # A line cut by a crash is closed first, so that it spoils only itself.
        torn = file.tell() > 0 and not _ends_with_newline(path)
        file.write((b"\n" if torn else b"") + msgspec.json.encode(row) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _read_lines(path: Path, kind: type[R]) -> list[R]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    rows = []
    for line in lines:
        try:
            rows.append(msgspec.json.decode(line, type=kind))
        except msgspec.DecodeError:
            continue
    return rows


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
