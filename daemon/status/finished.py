"""A session on which no daemon runs, answered from its file by this process: the same questions as over the daemon's
socket, answered by the same code.

The file is opened for a question and closed again when `rest` is called (`store/resting_file.py`). Nothing is ever
written into the session's folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from frazil.config.errors import SettingsError, UsageError
from frazil.config.loading import settings_of
from frazil.config.settings import Settings
from frazil.daemon.analysis.summary import AnalysisSummary, GridSummary
from frazil.daemon.report.verdict_seen import verdict_on_the_end
from frazil.daemon.status.live_state import LiveStateBuilder
from frazil.daemon.status.reads import NamedQueries, as_rows, picture_of
from frazil.daemon.status.verdict_board import map_words
from frazil.daemon.store.movie_states import UNDER_WAY, WAITING
from frazil.daemon.store.reading import FileReader
from frazil.daemon.store.resting_file import RestingFile
from frazil.daemon.store.session_files import check_is_session
from frazil.daemon.store.sql_guard import QueryLimits
from frazil.daemon.store.table import Scalar
from frazil.daemon.transport.answering import Answerer
from frazil.daemon.transport.messages import (
    AnyRequest,
    Command,
    Done,
    LiveState,
    NamedQuery,
    Picture,
    PictureReply,
    Reply,
    Rows,
    Sql,
)

_LIMITS = QueryLimits(timeout_s=10.0, max_rows=100_000)
_Row = dict[str, Scalar]


def now_utc_us() -> int:
    """By this machine's clock."""
    return time.time_ns() // 1000


def open_finished(session_dir: Path, *, utc_us: Callable[[], int] = now_utc_us) -> FinishedSession:
    """For clients (`frazil.daemon.transport.file_line.OpenFile`). Raises what `FileReader` raises: among others
    `UsageError` where there is no session and `SessionLockedError` while a daemon has it."""
    check_is_session(session_dir)
    session = FinishedSession(session_dir, utc_us=utc_us)
    session.snapshot()  # so that what cannot be read is said now
    return session


class FinishedSession:
    """See the module. Implements `frazil.daemon.transport.service.QueryService`; thread-safe."""

    def __init__(self, session_dir: Path, *, utc_us: Callable[[], int] = now_utc_us) -> None:
        self._session_dir, self._utc_us = session_dir.resolve(), utc_us
        self._answerer = Answerer(self)
        self._file = RestingFile(self._session_dir, _LIMITS)
        self._state: LiveState | None = None

    # --- for a client ----------------------------------------------------------------------------------------------

    def answer(self, request: AnyRequest) -> Reply:
        """As it would come over the socket. Never raises."""
        return self._answerer.answer(request)

    def changed(self) -> bool:
        """Whether somebody has written into the session since it was looked at last."""
        changed = self._file.changed()
        if changed:
            self._state = None
        return changed

    def rest(self) -> None:
        """Close the file unless a question has it in hand, so that a daemon may start; the next question opens it."""
        self._file.rest()

    def close(self) -> None:
        """Harmless when called twice."""
        self._file.close()

    # --- QueryService ----------------------------------------------------------------------------------------------

    def named(self, request: NamedQuery) -> Rows:
        with self._file.open() as reader:
            return as_rows(reader.named(request.name, request.params))

    def sql(self, request: Sql) -> Rows:
        with self._file.open() as reader:
            return as_rows(reader.sql(request.text, timeout_s=request.timeout_s))

    def picture(self, request: Picture) -> PictureReply:
        with self._file.open() as reader:
            return picture_of(reader, self._session_dir, request)

    def command(self, request: Command) -> Done:
        """What changes nothing is answered. Raises `UsageError` for everything else: only a daemon writes."""
        if request.name != "what-if":
            raise UsageError(
                "the session has ended, and only a running daemon can do this",
                remedy="start `frazil watch` on it, and it goes on from here",
            )
        from frazil.daemon.changes.thresholds import what_if_answer  # slow, and seldom asked

        with self._file.open() as reader:
            settings = settings_of(str(_one(reader, "session")["settings_yaml"]))
            return Done(what_if_answer(reader, settings, request.args))

    def snapshot(self) -> LiveState:
        state = self._state
        if state is None:
            with self._file.open() as reader:
                state = self._state = state_at_rest(reader, self._session_dir, utc_us=self._utc_us)
        return state


@dataclass(frozen=True, slots=True)
class _Place:
    raw_root: Path
    session_dir: Path
    settings: Settings


def state_at_rest(reader: FileReader, session_dir: Path, *, utc_us: Callable[[], int] = now_utc_us) -> LiveState:
    """The record that the screen shows, of a session on which no daemon runs: how it ended and when. What only a
    running daemon has (rates, the disk, workers) is left out. Raises what the reader raises."""
    session = _one(reader, "session")
    settings = _settings(session)
    place = _Place(Path(str(session.get("raw_root") or session_dir)), session_dir, settings or Settings())
    builder = LiveStateBuilder(place, reader, utc_us, time.monotonic)
    status, ended_utc_us = _end(reader, session)
    state = builder.read(_analysis(reader))
    names = [str(session[name]) for name in ("microscope", "camera") if session.get(name)]
    waiting = sum(state.counts.get(name, 0) for name in WAITING)
    verdict = verdict_on_the_end(
        reader, place.settings.verdict, waiting=waiting, closed=status != "ended", map_words=map_words(state)
    )
    return msgspec.structs.replace(
        state,
        utc_us=utc_us(),
        status=status,
        counts=_nobody_works(state.counts),
        session_name=state.session_name or session_dir.name,
        daemon_started_utc_us=0,
        ended_utc_us=ended_utc_us,
        preset=str(session.get("preset") or ""),
        instrument=state.instrument if settings is not None else " ".join(names),
        found_per_hour=None,
        ready_per_hour=None,
        bell=False,
        message=reader.note,
        verdict=verdict,
    )


def _nobody_works(counts: Mapping[str, int]) -> dict[str, int]:
    """What was in hand when the daemon ended waits."""
    waiting = {name: number for name, number in counts.items() if name != "processing"}
    if in_hand := counts.get("processing", 0):
        waiting["queued"] = waiting.get("queued", 0) + in_hand
    return waiting


def _settings(session: _Row) -> Settings | None:
    """None: they are of another frazil, and this one does not read them."""
    try:
        return settings_of(str(session.get("settings_yaml") or ""))
    except SettingsError:
        return None


def _end(reader: NamedQueries, session: _Row) -> tuple[str, int]:
    """`finished`, `stopped` (movies were left) or `ended` (killed: nobody closed it), and when."""
    finished_utc_us = session.get("finished_utc_us")
    if not isinstance(finished_utc_us, int):
        last_utc_us = _one(reader, "time_span").get("last_utc_us") or session.get("created_utc_us")
        return "ended", int(last_utc_us or 0)
    left = any(row["state"] in UNDER_WAY for row in reader.named("counts_by_state").as_dicts())
    return ("stopped" if left else "finished"), finished_utc_us


def _analysis(reader: NamedQueries) -> AnalysisSummary:
    """As the analysis tells it while it runs."""
    versions = [int(row["version"] or 0) for row in reader.named("priors", {"limit": 1}).as_dicts()]
    rounds = reader.named("reconstructions").as_dicts()
    of_map = rounds[-1] if rounds else {}
    particles = of_map.get("particle_count")
    return AnalysisSummary(
        versions[0] if versions else None,
        int(particles) if isinstance(particles, int) else None,
        _grid(reader),
    )


def _grid(reader: NamedQueries) -> GridSummary:
    counts, said = _one(reader, "grid"), _one(reader, "next_rounds")
    number, square_id = said.get("round"), said.get("square_id")
    return GridSummary(
        str(said.get("line") or ""),
        int(number) if isinstance(number, int) else None,
        None if square_id is None else str(square_id),
        *(int(counts.get(name) or 0) for name in ("squares", "holes", "exposed")),
    )


def _one(reader: NamedQueries, name: str) -> _Row:
    rows = reader.named(name, {}).as_dicts()
    return rows[0] if rows else {}
