"""The verdict in the live record: what it is given of the state and the store, and what it remembers."""

from __future__ import annotations

from collections.abc import Callable

from frazil.config.settings import Settings
from frazil.daemon.report.verdict_seen import (
    QualitySeen,
    advice_seen,
    alerts_seen,
    map_told,
    quality_seen,
    told,
    verdict_limits,
)
from frazil.daemon.store.movie_states import WAITING
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.transport.messages import LiveState, VerdictState, WorkerState
from frazil.models.records import MovieState
from frazil.models.session_verdict.judge import Judge
from frazil.models.session_verdict.records import SessionSeen

_COUNTED_AGAIN_US = 10_000_000
"""Losses of movies, and with them their ice, are renewed without a new movie; counting all movies of a long session
costs too much to be done every second."""
_SHARE_OF_TIME = 0.02
"""That counting may take: some hundredths of a second at fifty thousand movies, one of which may come every second."""
_COMES_BACK_S = 60.0
"""A worker that is not back by then counts as dead."""


class VerdictBoard:
    """Of one session, from its daemon's start on."""

    def __init__(self, store: SessionReader, settings: Settings, clock: Callable[[], float]) -> None:
        """`clock`: monotonic, in seconds."""
        self._store, self._settings, self._clock = store, settings, clock
        self._not_before_s = float("-inf")
        """When the quality may be counted again."""
        self._judge = Judge(verdict_limits(settings.verdict))
        self._quality = QualitySeen()
        self._counted: tuple[dict[str, int], int] | None = None
        """Movies by state, and when, as of which the quality was counted."""

    def use(self, settings: Settings) -> None:
        """From now on; with other limits it begins anew."""
        if settings.verdict != self._settings.verdict:
            self._judge = Judge(verdict_limits(settings.verdict))
            self._counted = None
            self._not_before_s = float("-inf")
        self._settings = settings

    def judge(self, state: LiveState) -> VerdictState:
        """Raises `QueryError`."""
        return told(self._judge.step(self._seen(state)))

    def _seen(self, state: LiveState) -> SessionSeen:
        quality = self._quality_now(state)
        since = state.last_found_utc_us or state.daemon_started_utc_us
        return SessionSeen(
            status=state.status,
            ended=quality.ended,
            total=sum(number for name, number in state.counts.items() if name != MovieState.OUTDATED),
            waiting=sum(state.counts.get(name, 0) for name in WAITING),
            newest=quality.newest,
            good_before=quality.good_before,
            ended_before=quality.ended_before,
            ready_per_hour=state.ready_per_hour,
            free_bytes=state.free_disk_bytes,
            disk_full_in_h=state.disk_full_in_h,
            session_bytes_per_s=state.written_bytes_per_s,
            no_movie_for_s=(state.utc_us - since) / 1e6 if since else None,
            gate_blocks=state.gate.blocking,
            gate_evidence=state.gate.evidence,
            gate_remedy=state.gate.remedy,
            workers=len(state.workers),
            workers_dead=sum(_is_dead(worker) for worker in state.workers),
            alerts=alerts_seen(self._store),
            advised=advice_seen(self._store),
            map_words=map_words(state),
        )

    def _quality_now(self, state: LiveState) -> QualitySeen:
        counted, began_s = self._counted, self._clock()
        due = counted is None or counted[0] != state.counts or state.utc_us - counted[1] >= _COUNTED_AGAIN_US
        if due and began_s >= self._not_before_s:
            self._quality = quality_seen(self._store, self._settings.verdict)
            self._counted = dict(state.counts), state.utc_us
            now_s = self._clock()
            self._not_before_s = now_s + (now_s - began_s) / _SHARE_OF_TIME
        return self._quality


def map_words(state: LiveState) -> str:
    """`map 3.4 A`; empty: there is none."""
    return map_told(state.map_resolution_angstrom, at_pixel_limit=state.map_at_pixel_limit)


def _is_dead(worker: WorkerState) -> bool:
    """Given up; or its process ended in the middle of the session and none has taken its place."""
    missing = worker.state == "failed" or (worker.state == "starting" and worker.done + worker.failed > 0)
    return worker.state == "gone" or (missing and worker.since_s > _COMES_BACK_S)
