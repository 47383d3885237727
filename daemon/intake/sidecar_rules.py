"""What a movie's sidecar means for its life: when to read it, how long to wait for it, what to do when it is late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake.identity import FileStat
from frazil.daemon.intake.instructions import LateSidecar, ReadSidecar
from frazil.daemon.intake.record import MovieRecord, Phase
from frazil.daemon.intake.sidecar_book import SidecarBook
from frazil.models.records import AcquisitionMetadata

RETRY_S = 2.0
REQUIRED_PAUSE_S = 30.0
MAX_CHANGING_S = 10.0
VAIN_WAITS = 3
"""After so many movies waited for a sidecar in a session that has none at all, the others do not wait."""


def no_candidates(movie_path: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Whether a complete movie still waits for its sidecar."""

    until_s: float | None
    """`None`: it goes on."""
    reason: str = ""
    flag: str = ""
    """What it goes on with: `no-sidecar`, `bad-sidecar` or nothing."""


class SidecarRules:
    """Part of the intake machine, and as pure."""

    def __init__(self, settings: IntakeSettings, candidates: Callable[[str], Sequence[str]]) -> None:
        self._settings = settings
        self._book = SidecarBook(no_candidates if settings.sidecar == "ignore" else candidates)
        self._vain_waits = 0

    def expect(self, movie_path: str) -> None:
        self._book.expect(movie_path)

    def observe(self, sidecars: Mapping[str, FileStat | None], now_s: float) -> list[str]:
        """Movies for which a sidecar came or changed."""
        return self._book.observe(sidecars, now_s)

    def quiet_paths(self) -> frozenset[str]:
        return self._book.quiet_paths()

    def seek(self, record: MovieRecord, now_s: float) -> ReadSidecar | None:
        """Read the best sidecar that exists, unless just that one was read."""
        best = self._book.best(record.path)
        state = record.sidecar
        if best is None or state.reading is not None:
            return None
        path, stat, since_s = best
        if state.adopted_path == path:
            state.adopted_path = None
            state.known, state.since_s = (path, stat), since_s
        if state.known == (path, stat):
            return None
        state.reading, state.since_s = (path, stat), since_s
        state.reading_settled = now_s >= since_s + self._settings.settle_s
        return ReadSidecar(record.path, path, now_s >= since_s + max(self._settings.settle_s, RETRY_S))

    def seek_again(self, record: MovieRecord, now_s: float) -> ReadSidecar | None:
        """A second look: the last reading failed, or was made before the sidecar had stood still."""
        state = record.sidecar
        early = not state.reading_settled and now_s >= state.since_s + self._settings.settle_s
        if state.reading is not None or (state.failure is None and not (state.metadata is not None and early)):
            return None
        state.known = None
        return self.seek(record, now_s)

    def take(
        self,
        record: MovieRecord,
        sidecar_path: str,
        metadata: AcquisitionMetadata | None,
        failure: str | None,
        now_s: float,
    ) -> LateSidecar | None:
        """Note what was read; says whether that is news for a movie that was handed on already."""
        state = record.sidecar
        state.known, state.reading = state.reading, None
        state.failure = failure
        previous = state.metadata
        if metadata is None or metadata == previous:
            return None
        state.metadata = metadata
        if record.phase is Phase.ANNOUNCED:
            return LateSidecar(record.path, record.generation, record.movie_id, sidecar_path, metadata, previous)
        if previous is not None:
            state.since_s, state.reading_settled = now_s, False  # no scan has told us yet that it changed
        return None

    def wants_retry(self, record: MovieRecord) -> bool:
        """A late sidecar failed before it had stood still: once more, when it has."""
        state = record.sidecar
        return state.failure is not None and state.reading is None and not state.reading_settled

    def wait(self, record: MovieRecord, now_s: float) -> Wait:
        mode, state = self._settings.sidecar, record.sidecar
        if mode == "ignore":
            return Wait(None)
        if state.reading is not None:
            return Wait(now_s + RETRY_S, "its sidecar is being read")
        complete_s = now_s if record.complete_s is None else record.complete_s
        if state.metadata is not None and state.failure is None:
            # The first half of a sidecar may parse, too: it has to stand still over two looks, as its movie has. One
            # that never does (an mdoc that grows with each exposure) is taken as it was last read.
            if state.reading_settled or now_s >= complete_s + max(self._settings.sidecar_wait_s, MAX_CHANGING_S):
                return Wait(None)
            settled_s = state.since_s + self._settings.settle_s
            return Wait(settled_s if now_s < settled_s else now_s + RETRY_S, "its sidecar is still changing")
        found = state.known is not None
        if mode == "auto" and not found and not self._book.ever_saw_one and self._vain_waits >= VAIN_WAITS:
            return Wait(None, flag="no-sidecar")
        deadline_s = complete_s + self._settings.sidecar_wait_s
        reason = f"its sidecar cannot be read: {state.failure}" if state.failure else "it waits for its sidecar"
        if now_s < deadline_s:
            return Wait(min(deadline_s, now_s + RETRY_S) if state.failure else deadline_s, reason)
        if mode == "required":
            return Wait(now_s + REQUIRED_PAUSE_S, f"{reason} (intake.sidecar is 'required')")
        return Wait(None, flag="bad-sidecar" if found else "no-sidecar")

    def note_gone_on(self, flag: str) -> None:
        """A movie was handed on with this flag."""
        if flag == "no-sidecar":
            self._vain_waits += 1
