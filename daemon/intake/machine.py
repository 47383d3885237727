"""The intake as a pure state machine: observations in, instructions out. No disk, no clock, no thread.

A movie is handed on when it stood still over two looks *and* its format says that it is complete *and* it has the
frames that its sidecar, the settings or its siblings promise. The directory is the truth; hints only shorten waits.
(Shape: dask.distributed's worker state machine. Rules: Murfey's settle time, and the structure test that the timers
of all others lack.)

Time is our own monotonic clock, given with each event. A file's mtime comes from another clock: it is compared with
itself and never with now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import assert_never

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake import events as ev
from frazil.daemon.intake import instructions as do
from frazil.daemon.intake.agenda import Agenda
from frazil.daemon.intake.identity import CompleteMovie, FileStat, movie_id
from frazil.daemon.intake.norm import FrameNorm
from frazil.daemon.intake.record import UNFINISHED, MovieRecord, Phase, SidecarState
from frazil.daemon.intake.sidecar_book import SidecarBook
from frazil.daemon.intake.verdict import CountVerdict, incomplete_reason, judge_count, norm_key
from frazil.models.records import AcquisitionMetadata, MovieState

MAX_RECHECK_S = 30.0
MAX_CRASHES = 3
MAX_NAMED = 20
SIDECAR_RETRY_S = 2.0
SIBLING_WAIT_S = 10.0
SIBLING_PAUSE_S = 0.5
VAIN_WAITS = 3
"""After so many movies waited for a sidecar in a session that has none at all, the others do not wait."""
_TO_DO_AGAIN = frozenset({MovieState.QUEUED, MovieState.PROCESSING, MovieState.FAILED, MovieState.OUTDATED})
"""Handed on and without a result that counts. Outdated: as the newest generation of its path it has no successor."""
UNKNOWN_STAT = FileStat(-1, -1, -1)
_BEFORE = frozenset({MovieState.FOUND, MovieState.SETTLING})


def _no_sidecars(movie_path: str) -> Sequence[str]:
    return ()


class IntakeMachine:
    """All that the intake knows, changed by `handle` alone.

    Parameters
    ----------
    settings:
        Times and rules.
    root:
        The raw root; only used to build the paths that are handed on.
    candidates:
        Movie's relative path -> absolute paths where its sidecar may lie, the best first.
    """

    def __init__(
        self,
        settings: IntakeSettings,
        *,
        root: Path = Path(),
        candidates: Callable[[str], Sequence[str]] = _no_sidecars,
    ) -> None:
        self._settings = settings
        self._root = root
        self._book = SidecarBook(_no_sidecars if settings.sidecar == "ignore" else candidates)
        self._movies: dict[str, MovieRecord] = {}
        self._present: set[str] = set()
        self._quiet: set[str] = set()
        self._counts: Counter[Phase] = Counter()
        self._agenda = Agenda()
        self._norm = FrameNorm()
        self._norm_version = 0
        self._held_by_count: dict[str, None] = {}
        self._unvouched: dict[str, None] = {}
        self._blocked: dict[str, None] = {}
        self._same_file: dict[FileStat, str] = {}
        self._looks: set[str] = set()
        self._told: dict[str, set[str]] = {}
        self._root_lost = False
        self._root_identity: tuple[int, int] | None = None
        self._space_low = False
        self._vain_waits = 0
        self._next_order = 0
        self._now_s = 0.0
        self._utc_us = 0
        self._out: list[do.Instruction] = []

    # ---------------------------------------------------------------- in and out

    def handle(self, event: ev.Event, now_s: float, utc_us: int = 0) -> list[do.Instruction]:
        """Take in one event at monotonic time `now_s`; `utc_us` is only written down, never compared."""
        self._now_s = max(self._now_s, now_s)
        self._utc_us = utc_us
        match event:
            case ev.Tick():
                pass
            case ev.ScanFinished():
                self._on_scan(event)
            case ev.Hint():
                self._on_hint(event)
            case ev.Looked():
                self._on_looked(event)
            case ev.StructureChecked():
                self._on_checked(event)
            case ev.CheckFailed():
                self._on_check_failed(event)
            case ev.SidecarRead():
                self._on_sidecar(event.path, event.sidecar_path, event.metadata, None)
            case ev.SidecarFailed():
                self._on_sidecar(event.path, event.sidecar_path, None, event.reason)
            case ev.SpaceLow():
                self._on_space_low(event)
            case ev.SpaceOk():
                self._on_space_ok(event)
            case ev.RestoredMovie():
                self._on_restored(event)
            case ev.Reconsider():
                self._on_reconsider(event)
            case _:
                assert_never(event)
        self._norm_may_have_moved()
        for path in self._agenda.pop_due(self._now_s):
            self._on_due(self._movies[path])
        out, self._out = self._out, []
        return out

    def next_due_s(self) -> float | None:
        """When a `Tick` will have something to do."""
        return self._agenda.next_s()

    def quiet_paths(self) -> frozenset[str]:
        """Movies that a quick scan need not stat: they wait for nothing. Full scans still see them change."""
        return frozenset(self._quiet)

    def quiet_sidecars(self) -> frozenset[str]:
        return self._book.quiet_paths()

    def counts(self) -> Counter[Phase]:
        """Paths in each phase."""
        return +self._counts

    def describe(self, path: str) -> tuple[Phase, str] | None:
        """(phase, what it waits for) of one path."""
        record = self._movies.get(path)
        return None if record is None else (record.phase, record.reason)

    def validate(self) -> None:
        """Raise `AssertionError` if the parts contradict one another (for tests, after each event)."""
        assert self.counts() == Counter(record.phase for record in self._movies.values())
        for path, record in self._movies.items():
            finished = record.phase in (Phase.ANNOUNCED, Phase.QUARANTINED)
            assert path == record.path
            assert (path in self._present) == record.present, path
            assert (path in self._quiet) == finished, path
            assert record.claimed or record.phase is not Phase.ANNOUNCED, path
            if record.phase in (Phase.SETTLING, Phase.INCOMPLETE, Phase.WAITING):
                # Nobody waits without an appointment: that would be a movie that is never taken.
                assert path in self._agenda or path in self._blocked, f"{path} is forgotten in {record.phase}"
            else:
                assert path not in self._agenda, path

    # ---------------------------------------------------------------- observing the disk

    def _on_scan(self, event: ev.ScanFinished) -> None:
        snapshot, started_s = event.snapshot, event.started_s
        if not snapshot.root_present:
            self._lose_root()
            return
        self._root_is_there(snapshot.root_identity)
        for path, stat in snapshot.files.items():
            record = self._movies.get(path)
            if stat is None:
                if record is None or not record.present:
                    self._look_at(path, closed=False)
            elif record is None:
                self._find(path, stat, started_s)
            elif record.present and stat == record.stat:
                record.looked_s = max(record.looked_s, started_s)
            else:
                self._observe(record, stat, started_s)
        for path in sorted(self._present.difference(snapshot.files)):
            record = self._movies[path]
            if record.looked_s <= started_s and not _is_below(path, snapshot.unreadable):
                record.looked_s = started_s
                self._miss(record)
        for path in self._book.observe(snapshot.sidecars, self._now_s):
            self._seek_sidecar(self._movies[path])
        self._tell_once(snapshot.refused, "Not taken", "Give frazil the folder that holds the files themselves")
        self._tell_once(snapshot.unreadable, "Cannot be read", "Check permissions and mount; frazil keeps trying")

    def _find(self, path: str, stat: FileStat, looked_s: float) -> MovieRecord:
        record = MovieRecord(
            path=path,
            order=self._take_order(),
            generation=1,
            stat=stat,
            found_s=self._now_s,
            found_utc_us=self._utc_us,
            looked_s=looked_s,
            still_since_s=self._now_s,
            sidecar=SidecarState(),
        )
        self._movies[path] = record
        self._counts[record.phase] += 1
        self._present.add(path)
        self._book.expect(path)
        self._say_found(record)
        self._seek_sidecar(record)
        self._agenda.set(path, self._now_s + self._settings.settle_s)
        return record

    def _enter(self, record: MovieRecord, phase: Phase) -> None:
        self._counts[record.phase] -= 1
        self._counts[phase] += 1
        record.phase = phase
        # Quick scans skip what waits for nothing; full ones still see it change.
        if phase in (Phase.ANNOUNCED, Phase.QUARANTINED):
            self._quiet.add(record.path)
            self._agenda.drop(record.path)
        else:
            self._quiet.discard(record.path)

    def _take_order(self) -> int:
        self._next_order += 1
        return self._next_order

    def _say_found(self, record: MovieRecord) -> None:
        self._out.append(
            do.Found(
                path=record.path,
                generation=record.generation,
                movie_id=record.movie_id,
                stat=record.stat,
                found_monotonic_s=record.found_s,
                found_utc_us=record.found_utc_us,
            )
        )

    def _observe(self, record: MovieRecord, stat: FileStat, looked_s: float) -> None:
        """Somebody looked at `looked_s`; a look older than the last one is stale and says nothing."""
        if looked_s < record.looked_s:
            return
        record.looked_s = looked_s
        was_present, record.present = record.present, True
        self._present.add(record.path)
        if record.stat == UNKNOWN_STAT:
            record.stat = stat  # the store did not know; what is there now is what was meant
        if stat != record.stat and (record.claimed or record.phase is not Phase.GONE):
            self._change(record, stat)
        elif record.phase is Phase.GONE:
            record.stat = stat
            self._start_over(record)
            self._say_found(record)
        elif not was_present and record.phase in UNFINISHED:
            self._start_over(record)

    def _change(self, record: MovieRecord, stat: FileStat) -> None:
        old = record.stat
        record.stat = stat
        self._norm.remove(record.path)
        self._held_by_count.pop(record.path, None)
        self._unvouched.pop(record.path, None)
        record.accept_as_is = False
        if record.claimed:
            old_generation = record.generation
            self._out.append(
                do.Replaced(
                    record.path, old_generation, movie_id(record.path, old_generation), _what_changed(old, stat)
                )
            )
            if self._same_file.get(old) == record.path:
                del self._same_file[old]
            record.generation += 1
            record.claimed = record.resumed = False
            record.order = self._take_order()
            record.found_s, record.found_utc_us = self._now_s, self._utc_us
            self._start_over(record)
            self._say_found(record)
            return
        if record.phase is Phase.QUARANTINED:
            self._revive(record, _what_changed(old, stat))
        self._start_over(record)
        self._say_settling(record, "the file is still changing")

    def _start_over(self, record: MovieRecord) -> None:
        """Not known to stand still: wait for two equal looks."""
        self._enter(record, Phase.SETTLING)
        record.still_since_s = self._now_s
        record.checks = record.crashes = 0
        record.quick = record.held_by_count = False
        record.report = None
        record.complete_s = None
        record.frame_count_flags = ()
        self._agenda.set(record.path, self._now_s + self._settings.settle_s)

    def _revive(self, record: MovieRecord, reason: str) -> None:
        self._out.append(do.Revived(record.path, record.generation, record.movie_id, reason))
        self._enter(record, Phase.SETTLING)
        record.reason = ""
        self._agenda.set(record.path, self._now_s)

    def _miss(self, record: MovieRecord) -> None:
        """A look at the whole tree did not see it. What is done stays done; what was under way is off."""
        record.present = False
        self._present.discard(record.path)
        if record.phase not in UNFINISHED:
            return
        self._enter(record, Phase.GONE)
        record.reason = "the file is gone"
        self._norm.remove(record.path)
        self._held_by_count.pop(record.path, None)
        self._blocked.pop(record.path, None)
        self._agenda.drop(record.path)
        self._out.append(do.Vanished(record.path, record.generation, record.movie_id))

    def _lose_root(self) -> None:
        if not self._root_lost:
            self._root_lost = True
            self._alert(
                do.Severity.ERROR,
                f"The raw folder {self._root} is not there: nothing new can be found",
                "Mount or create it again; frazil goes on by itself, and nothing done is lost.",
            )

    def _root_is_there(self, identity: tuple[int, int] | None) -> None:
        known, self._root_identity = self._root_identity, identity
        if self._root_lost:
            self._root_lost = False
            self._alert(do.Severity.INFO, f"The raw folder {self._root} is back", None)
            for record in self._movies.values():
                if record.phase in UNFINISHED:
                    self._start_over(record)
            self._unblock()
        elif known is None or identity is None or known == identity:
            return
        else:
            self._alert(do.Severity.WARNING, f"The raw folder {self._root} was replaced by another one", None)
        self._out.append(do.RearmWatcher())

    # ---------------------------------------------------------------- hints

    def _on_hint(self, event: ev.Hint) -> None:
        if event.kind is ev.HintKind.TREE:
            self._out.append(do.Rescan())
            return
        record = self._movies.get(event.path)
        closed = event.kind is ev.HintKind.CLOSED
        # While a file is being written the timer looks anyway; a hint per write would cost a stat per write.
        if record is None or closed or record.phase not in UNFINISHED:
            self._look_at(event.path, closed=closed)

    def _look_at(self, path: str, *, closed: bool) -> None:
        if path not in self._looks or closed:
            self._looks.add(path)
            self._out.append(do.LookAt(path, closed))

    def _on_looked(self, event: ev.Looked) -> None:
        self._looks.discard(event.path)
        if event.stat is None:
            return  # gone or refused: the next look at the whole tree says so
        record = self._movies.get(event.path)
        if record is None:
            record = self._find(event.path, event.stat, event.looked_s)
        else:
            self._observe(record, event.stat, event.looked_s)
        if event.closed and record.phase is Phase.SETTLING and record.stat == event.stat and not self._is_blocked:
            self._begin_check(record, quick=self._now_s < record.still_since_s + self._settings.settle_s)

    # ---------------------------------------------------------------- checking

    def _on_due(self, record: MovieRecord) -> None:
        if record.phase not in UNFINISHED:
            return
        if self._is_blocked:
            self._blocked[record.path] = None
        elif record.phase is Phase.WAITING:
            self._try_announce(record)
        elif record.phase is not Phase.CHECKING:
            self._begin_check(record, quick=False)

    def _begin_check(self, record: MovieRecord, *, quick: bool) -> None:
        if record.stat.size_bytes == 0:
            self._not_yet(record, "the file is empty")
            return
        self._enter(record, Phase.CHECKING)
        record.quick = quick
        record.checks += 1
        self._agenda.drop(record.path)
        self._out.append(do.CheckStructure(record.path, record.stat))

    def _on_checked(self, event: ev.StructureChecked) -> None:
        record = self._movies.get(event.path)
        if record is None:
            return
        self._observe(record, event.stat, event.looked_s)
        if record.phase is not Phase.CHECKING:
            return
        report = event.report
        if report is None or event.stat != record.stat:
            self._start_over(record)
            return
        if report.damaged:
            if record.quick:
                self._wait_to_settle(record)
            else:
                record.report = report
                self._quarantine(record, f"Damaged: {report.reason}")
            return
        reason = incomplete_reason(report)
        record.report = report
        verdict = None
        if reason is None:
            file_format, count = norm_key(report)
            self._norm.add(record.path, record.order, file_format, count)
            verdict = self._judge_count(record)
            if not verdict.enough:
                reason = verdict.reason
        if record.quick and (verdict is None or not verdict.enough or not verdict.vouched):
            # The hint came too early, or nobody can say whether this is all.
            self._wait_to_settle(record)
        elif reason is not None:
            self._not_yet(record, reason, held_by_count=verdict is not None)
        elif verdict is not None:
            self._enter(record, Phase.WAITING)
            record.frame_count_flags = verdict.flags
            record.complete_s = self._now_s
            self._held_by_count.pop(record.path, None)
            self._try_announce(record)

    def _wait_to_settle(self, record: MovieRecord) -> None:
        """The whole settle time, without the hint's shortcut."""
        self._enter(record, Phase.SETTLING)
        self._agenda.set(record.path, record.still_since_s + self._settings.settle_s)

    def _judge_count(self, record: MovieRecord) -> CountVerdict:
        if record.report is None:
            raise RuntimeError(f"{record.path}: judged without a report")
        if record.accept_as_is:
            return CountVerdict(True, True, flags=("accepted-as-is",))
        return judge_count(
            record.report,
            sidecar=record.sidecar.metadata,
            expected_frames=self._settings.expected_frames,
            norm=self._norm,
        )

    def _on_check_failed(self, event: ev.CheckFailed) -> None:
        record = self._movies.get(event.path)
        if record is None or record.phase is not Phase.CHECKING:
            return
        if event.gone:
            self._start_over(record)
            self._out.append(do.Rescan())
            return
        if event.evidence:
            record.crashes += 1
            if record.crashes >= MAX_CRASHES:
                self._quarantine(record, f"Its structure could not be examined: {event.reason}", event.evidence)
                return
        self._not_yet(record, f"the file cannot be read: {event.reason}")

    def _not_yet(self, record: MovieRecord, reason: str, *, held_by_count: bool = False) -> None:
        """It stands still and is not all there: look again, more and more rarely, until the time is up."""
        timeout_s = self._settings.incomplete_timeout_s
        deadline_s = record.still_since_s + timeout_s
        record.held_by_count = held_by_count
        if held_by_count:
            self._held_by_count[record.path] = None
        else:
            self._held_by_count.pop(record.path, None)
        if self._now_s >= deadline_s:
            self._quarantine(record, f"Truncated: {reason}; the file has not changed for {_duration(timeout_s)}")
            return
        self._enter(record, Phase.INCOMPLETE)
        self._say_settling(record, reason)
        pause_s = min(MAX_RECHECK_S, max(self._settings.settle_s, 1.0) * 2.0 ** min(record.checks, 10))
        self._agenda.set(record.path, min(self._now_s + pause_s, deadline_s))

    def _quarantine(self, record: MovieRecord, reason: str, traceback: str = "") -> None:
        report = record.report
        evidence: dict[str, str | int | float | bool | None] = {
            "size_bytes": record.stat.size_bytes,
            "mtime_ns": record.stat.mtime_ns,
            "still_for_s": round(self._now_s - record.still_since_s, 3),
            "checks": record.checks,
        }
        if report is not None:
            header = report.header
            evidence |= {
                "structure": report.reason,
                "damaged": report.damaged,
                "frames_present": report.frames_present,
                "zero_trailing_frames": report.zero_trailing_frames,
                "file_format": None if header is None else header.file_format,
                "header_frames": None if header is None else header.frame_count,
                "width_px": None if header is None else header.width_px,
                "height_px": None if header is None else header.height_px,
            }
        if traceback:
            evidence["traceback"] = traceback
        self._enter(record, Phase.QUARANTINED)
        record.reason = reason
        self._out.append(do.Quarantine(record.path, record.generation, record.movie_id, record.stat, reason, evidence))

    def _norm_may_have_moved(self) -> None:
        """More siblings are known: some that waited have enough frames after all, some that went on had too few."""
        if self._norm.version == self._norm_version:
            return
        self._norm_version = self._norm.version
        for path in list(self._held_by_count):
            self._rejudge(self._movies[path])
        for path in list(self._unvouched):
            record = self._movies[path]
            if record.phase is not Phase.ANNOUNCED or record.report is None:
                continue
            verdict = self._judge_count(record)
            if verdict.vouched:
                del self._unvouched[path]
                record.report = None
            if not verdict.enough:
                self._alert(
                    do.Severity.WARNING,
                    f"{path} was taken before the session's frame count was known; it has {verdict.reason}",
                    "Reject it if it is not meant to be shorter.",
                    (path,),
                )

    def _rejudge(self, record: MovieRecord) -> None:
        if record.report is None or not record.held_by_count or not self._judge_count(record).enough:
            return
        if record.phase is Phase.QUARANTINED:
            self._revive(record, "it has the frames that it should have after all")
        elif record.phase is Phase.INCOMPLETE:
            self._agenda.set(record.path, self._now_s)

    # ---------------------------------------------------------------- sidecars

    def _seek_sidecar(self, record: MovieRecord) -> None:
        """Read the best sidecar that exists, unless just that one was read."""
        best = self._book.best(record.path)
        state = record.sidecar
        if best is None or state.reading is not None:
            return
        path, stat, since_s = best
        if state.adopted_path == path:
            state.adopted_path = None
            state.known, state.since_s = (path, stat), since_s
        if state.known != (path, stat):
            state.reading, state.since_s = (path, stat), since_s
            self._out.append(do.ReadSidecar(record.path, path))

    def _on_sidecar(
        self, path: str, sidecar_path: str, metadata: AcquisitionMetadata | None, failure: str | None
    ) -> None:
        record = self._movies.get(path)
        if record is None or record.sidecar.reading is None or record.sidecar.reading[0] != sidecar_path:
            return
        state = record.sidecar
        state.known, state.reading = state.reading, None
        state.failure = failure
        previous = state.metadata
        if metadata is not None:
            state.metadata = metadata
            if record.phase is Phase.ANNOUNCED and metadata != previous:
                self._out.append(
                    do.LateSidecar(path, record.generation, record.movie_id, sidecar_path, metadata, previous)
                )
        self._seek_sidecar(record)
        if record.phase is Phase.WAITING:
            self._agenda.set(path, self._now_s + (0.0 if failure is None else SIDECAR_RETRY_S))
        elif record.held_by_count:
            self._rejudge(record)

    def _sidecar_wait(self, record: MovieRecord) -> tuple[float | None, str, str]:
        """(until when to wait, or `None` to go on; what for; flag to go on with)."""
        mode, state = self._settings.sidecar, record.sidecar
        if mode == "ignore":
            return None, "", ""
        settled_s = state.since_s + self._settings.settle_s
        if state.metadata is not None and state.reading is None and state.failure is None:
            # A sidecar that is being written may parse; let it stand still as the movie has to.
            return (settled_s, "its sidecar is still changing", "") if self._now_s < settled_s else (None, "", "")
        found = state.reading is not None or state.known is not None
        if mode == "auto" and not found and not self._book.ever_saw_one and self._vain_waits >= VAIN_WAITS:
            return None, "", "no-sidecar"
        deadline_s = (record.complete_s or self._now_s) + self._settings.sidecar_wait_s
        what = f"its sidecar cannot be read: {state.failure}" if state.failure else "it waits for its sidecar"
        if self._now_s < deadline_s:
            retry_s = min(deadline_s, self._now_s + SIDECAR_RETRY_S) if state.failure else deadline_s
            return retry_s, what, ""
        if mode == "required":
            return self._now_s + MAX_RECHECK_S, f"{what} (intake.sidecar is 'required')", ""
        return None, "", "bad-sidecar" if found else "no-sidecar"

    # ---------------------------------------------------------------- handing on

    def _try_announce(self, record: MovieRecord) -> None:
        if self._is_blocked:
            self._blocked[record.path] = None
            return
        verdict = self._judge_count(record)
        if not verdict.enough:  # its sidecar came meanwhile and promises more
            self._not_yet(record, verdict.reason, held_by_count=True)
            return
        until_s, what, sidecar_flag = self._sidecar_wait(record)
        if until_s is not None:
            self._say_settling(record, f"complete; {what}")
            state = record.sidecar
            if state.failure is not None and state.reading is None:
                state.known = None
                self._seek_sidecar(record)
            self._agenda.set(record.path, until_s)
            return
        if not verdict.vouched and self._siblings_may_tell(record):
            self._say_settling(
                record, "complete as far as it can tell; its siblings will show how many frames it needs"
            )
            self._agenda.set(record.path, self._now_s + SIBLING_PAUSE_S)
            return
        if sidecar_flag == "no-sidecar":
            self._vain_waits += 1
        if not verdict.vouched:
            self._unvouched[record.path] = None
        self._announce(record, tuple(flag for flag in (*verdict.flags, sidecar_flag) if flag))

    def _siblings_may_tell(self, record: MovieRecord) -> bool:
        """When many files are found at once, the first one checked might be the one that is cut."""
        if record.complete_s is None or self._now_s >= record.complete_s + SIBLING_WAIT_S:
            return False
        return self._counts[Phase.SETTLING] + self._counts[Phase.CHECKING] > 0

    def _announce(self, record: MovieRecord, flags: tuple[str, ...]) -> None:
        report = record.report
        if report is None or report.header is None or record.complete_s is None:
            raise RuntimeError(f"{record.path}: handed on without a structure check")
        other = self._same_file.setdefault(record.stat, record.path) if record.stat.inode else record.path
        duplicate_of = None if other == record.path else other
        extra = (*(("duplicate",) if duplicate_of else ()), *(("resumed",) if record.resumed else ()))
        known = record.sidecar.known
        self._enter(record, Phase.ANNOUNCED)
        record.claimed = True
        record.reason = ""
        record.held_by_count = False
        if record.path not in self._unvouched:
            record.report = None  # thousands of headers that nobody asks for again
        self._out.append(
            do.Announce(
                CompleteMovie(
                    relative_path=record.path,
                    path=self._root / record.path,
                    generation=record.generation,
                    movie_id=record.movie_id,
                    stat=record.stat,
                    header=report.header,
                    sidecar=record.sidecar.metadata,
                    sidecar_path=known[0] if known is not None and record.sidecar.metadata is not None else None,
                    flags=(*flags, *extra),
                    found_monotonic_s=record.found_s,
                    found_utc_us=record.found_utc_us,
                    complete_monotonic_s=record.complete_s,
                    duplicate_of=duplicate_of,
                )
            )
        )

    def _say_settling(self, record: MovieRecord, reason: str) -> None:
        if reason != record.reason:
            record.reason = reason
            self._out.append(do.Settling(record.path, record.generation, record.movie_id, reason))

    # ---------------------------------------------------------------- the rest of the world

    @property
    def _is_blocked(self) -> bool:
        return self._root_lost or self._space_low

    def _unblock(self) -> None:
        if self._is_blocked:
            return
        held, self._blocked = self._blocked, {}
        for path in held:
            if self._movies[path].phase is Phase.WAITING:
                self._agenda.set(path, self._now_s)
            elif self._movies[path].phase in UNFINISHED:
                self._agenda.set(path, self._movies[path].still_since_s + self._settings.settle_s)

    def _on_space_low(self, event: ev.SpaceLow) -> None:
        if not self._space_low:
            self._space_low = True
            self._alert(
                do.Severity.ERROR,
                f"Only {event.free_bytes / 1e9:.1f} GB are left on the disk of the session (floor "
                f"{event.floor_bytes / 1e9:.1f} GB): no new movies are taken",
                "Free some space; frazil goes on by itself, and movies on the disk are not lost.",
                subject="disk",
            )

    def _on_space_ok(self, event: ev.SpaceOk) -> None:
        if self._space_low:
            self._space_low = False
            text = f"{event.free_bytes / 1e9:.1f} GB are free again: movies are taken again"
            self._alert(do.Severity.INFO, text, None, subject="disk")
            self._unblock()

    def _on_restored(self, event: ev.RestoredMovie) -> None:
        """Know again what the store knows. Only the newest generation of a path lives on."""
        known = self._movies.get(event.path)
        if known is not None and known.generation >= event.generation:
            return
        stat = UNKNOWN_STAT if event.stat is None else event.stat
        record = MovieRecord(
            path=event.path,
            order=self._take_order(),
            generation=event.generation,
            stat=stat,
            found_s=self._now_s,
            found_utc_us=event.found_utc_us,
            looked_s=float("-inf"),
            still_since_s=self._now_s,
            sidecar=SidecarState(metadata=event.metadata, adopted_path=event.sidecar_path),
            resumed=True,
        )
        if known is None:
            self._book.expect(event.path)
        else:
            self._counts[known.phase] -= 1
            self._norm.remove(event.path)
        self._movies[event.path] = record
        self._counts[record.phase] += 1
        self._present.add(event.path)
        record.claimed = event.state not in _BEFORE and not event.quarantined_by_intake
        if event.state in _BEFORE or event.state in _TO_DO_AGAIN:
            self._start_over(record)
            return
        self._enter(record, Phase.QUARANTINED if event.quarantined_by_intake else Phase.ANNOUNCED)
        if record.phase is Phase.ANNOUNCED:
            if stat.inode > 0:
                self._same_file.setdefault(stat, event.path)
            if event.frame_count and event.file_format:
                self._norm.add(event.path, record.order, event.file_format, event.frame_count)
        self._norm_version = self._norm.version

    def _on_reconsider(self, event: ev.Reconsider) -> None:
        record = self._movies.get(event.path)
        if record is None or record.phase is not Phase.QUARANTINED:
            return
        self._revive(record, "a person asked for it")
        self._start_over(record)
        record.accept_as_is = event.accept_as_is

    def _tell_once(self, problems: Mapping[str, str], what: str, remedy: str) -> None:
        """One alert for all that is new, also when it is thousands."""
        new = sorted(problems.keys() - self._told.get(what, set()))
        self._told[what] = set(problems)
        if new:
            more = f" and {len(new) - 1} more" if len(new) > 1 else ""
            text = f"{what}: {new[0]}{more}: {problems[new[0]]}"
            self._alert(do.Severity.WARNING, text, remedy, tuple(new[:MAX_NAMED]))

    def _alert(
        self,
        severity: do.Severity,
        text: str,
        remedy: str | None,
        paths: tuple[str, ...] = (),
        *,
        subject: str = "intake",
    ) -> None:
        self._out.append(do.Alert(severity, subject, text, remedy, paths))


def _is_below(path: str, folders: Mapping[str, str]) -> bool:
    return any(not folder or path.startswith(f"{folder}/") for folder in folders)


def _what_changed(old: FileStat, new: FileStat) -> str:
    if old.inode != new.inode:
        return "the file was replaced by another one"
    if old.size_bytes != new.size_bytes:
        return f"its size changed from {old.size_bytes} to {new.size_bytes} bytes"
    return "it was written to again"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:g} s"
