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
from frazil.daemon.intake.record import (
    UNFINISHED,
    UNKNOWN_STAT,
    MovieRecord,
    Phase,
    SidecarState,
    restored_record,
    what_changed,
)
from frazil.daemon.intake.sidecar_rules import RETRY_S, SidecarRules, no_candidates
from frazil.daemon.intake.surroundings import Surroundings
from frazil.daemon.intake.verdict import CountVerdict, incomplete_reason, judge_count, norm_key, structure_evidence
from frazil.models.formats.file_bytes import COPY_AGAIN, WAIT
from frazil.models.records import ACCEPTED_AS_IS, AcquisitionMetadata

MAX_RECHECK_S = 30.0
MAX_CRASHES = 3
CLOSED_SETTLE_S = 0.25
"""A copying program may set the file's time just after it closed it; that must not look like a second generation."""
SIBLING_WAIT_S = 10.0
SIBLING_PAUSE_S = 0.5
REFUSED_REMEDY = "Give frazil the folder that holds the files themselves"
UNREADABLE_REMEDY = "Check permissions and mount; frazil keeps trying"


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
        candidates: Callable[[str], Sequence[str]] = no_candidates,
    ) -> None:
        self._settings = settings
        self._root = root
        self._sidecars = SidecarRules(settings, candidates)
        self._around = Surroundings(root)
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
        self._next_order = 0
        self._now_s = 0.0
        self._utc_us = 0
        self._out: list[do.Instruction] = []

    # ---------------------------------------------------------------- in and out

    def handle(self, event: ev.Event, now_s: float, utc_us: int = 0) -> list[do.Instruction]:
        """Take in one event at monotonic time `now_s`; `utc_us` is only written down, never compared."""
        self._now_s = max(self._now_s, now_s)
        self._utc_us = utc_us
        self._take_in(event)
        self._norm_may_have_moved()
        for path in self._agenda.pop_due(self._now_s):
            self._on_due(self._movies[path])
        out, self._out = self._out, []
        return out

    def _take_in(self, event: ev.Event) -> None:
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
            case ev.SpaceLow() | ev.SpaceOk():
                self._around.space(event)
                self._unblock()
            case _:
                self._on_order(event)

    def _on_order(self, event: ev.RestoredMovie | ev.Reconsider) -> None:
        """What comes from the store or a person, not from the disk."""
        match event:
            case ev.RestoredMovie():
                self._on_restored(event)
            case ev.Reconsider():
                self._on_reconsider(event)
            case _:
                assert_never(event)

    def next_due_s(self) -> float | None:
        """When a `Tick` will have something to do."""
        return self._agenda.next_s()

    @property
    def root_lost(self) -> bool:
        """The last look found no raw folder."""
        return self._around.root_lost

    def quiet_paths(self) -> frozenset[str]:
        """Movies that a quick scan need not stat: they wait for nothing. Full scans still see them change."""
        return frozenset(self._quiet)

    def quiet_sidecars(self) -> frozenset[str]:
        return self._sidecars.quiet_paths()

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
            elif record.phase in (Phase.CHECKING, Phase.GONE):
                assert path not in self._agenda, path

    # ---------------------------------------------------------------- observing the disk

    def _on_scan(self, event: ev.ScanFinished) -> None:
        snapshot, started_s = event.snapshot, event.started_s
        if not snapshot.root_present:
            self._out.extend(self._around.root_gone())
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
        for path in self._sidecars.observe(snapshot.sidecars, self._now_s):
            self._seek_sidecar(self._movies[path])
        self._out.extend(self._around.problems(snapshot.refused, "Not taken", REFUSED_REMEDY))
        self._out.extend(self._around.problems(snapshot.unreadable, "Cannot be read", UNREADABLE_REMEDY))

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
        self._sidecars.expect(path)
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
        record.present = True
        self._present.add(record.path)
        if record.stat == UNKNOWN_STAT:
            record.stat = stat  # the store did not know; what is there now is what was meant
        if stat != record.stat and (record.claimed or record.phase is not Phase.GONE):
            self._change(record, stat)
        elif record.phase is Phase.GONE:
            record.stat = stat
            self._start_over(record)
            self._say_found(record)

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
                do.Replaced(record.path, old_generation, movie_id(record.path, old_generation), what_changed(old, stat))
            )
            if self._same_file.get(old) == record.path:
                del self._same_file[old]
            record.generation += 1
            record.claimed = record.resumed = False
            record.order = self._take_order()
            record.found_s, record.found_utc_us = self._now_s, self._utc_us
            record.reason = ""
            record.sidecar = SidecarState()
            self._start_over(record)
            self._say_found(record)
            self._seek_sidecar(record)
            return
        if record.phase is Phase.QUARANTINED:
            self._revive(record, what_changed(old, stat))
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

    def _root_is_there(self, identity: tuple[int, int] | None) -> None:
        was_lost = self._around.root_lost
        alerts = self._around.root_there(identity)
        if alerts:
            self._out.extend([*alerts, do.RearmWatcher()])
        if was_lost:
            for record in self._movies.values():
                if record.phase in UNFINISHED:
                    self._start_over(record)
            self._unblock()

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
        if event.closed and record.phase is Phase.SETTLING and record.stat == event.stat:
            self._agenda.set(record.path, record.still_since_s + min(CLOSED_SETTLE_S, self._settings.settle_s))

    # ---------------------------------------------------------------- checking

    def _on_due(self, record: MovieRecord) -> None:
        if record.phase not in UNFINISHED:
            self._seek_sidecar_again(record)
        elif self._around.blocked:
            self._blocked[record.path] = None
        elif record.phase is Phase.WAITING:
            self._try_announce(record)
        elif record.phase is not Phase.CHECKING:
            # Due before the settle time is over: a `closed` hint brought it forward.
            self._begin_check(record, quick=self._now_s < record.still_since_s + self._settings.settle_s)

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
        elif not report.damaged:
            self._take_report(record, report)
        elif record.quick:
            self._wait_to_settle(record)
        else:
            record.report = report
            self._quarantine(record, f"Damaged: {report.reason}")

    def _take_report(self, record: MovieRecord, report: ev.Structure) -> None:
        """The file that was checked is the one that is there, and not damaged: is it all?"""
        record.report = report
        if reason := incomplete_reason(report):
            if record.quick:
                self._wait_to_settle(record)  # the hint came too early
            else:
                self._not_yet(record, reason)
            return
        file_format, count = norm_key(report)
        self._norm.add(record.path, record.order, file_format, count)
        verdict = self._judge_count(record)
        if record.quick and not (verdict.enough and verdict.vouched):
            self._wait_to_settle(record)  # too early, or nobody can say whether this is all
        elif not verdict.enough:
            self._not_yet(record, verdict.reason, held_by_count=True)
        else:
            self._enter(record, Phase.WAITING)
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
            return CountVerdict(True, True, flags=(ACCEPTED_AS_IS,))
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
            if record.present:
                self._start_over(record)
                self._out.append(do.Rescan())
            else:
                self._miss(record)
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
            # It has been waited for.
            what = reason.removesuffix(f"; {WAIT}")
            copy = f"; {COPY_AGAIN}" if what != reason else ""
            unchanged = f"the file has not changed for {_duration(timeout_s)}"
            self._quarantine(record, f"Truncated: {what}; {unchanged}{copy}")
            return
        self._enter(record, Phase.INCOMPLETE)
        self._say_settling(
            record, f"incomplete: {reason}; set aside as truncated after {_duration(timeout_s)} without a change"
        )
        pause_s = min(MAX_RECHECK_S, max(self._settings.settle_s, 1.0) * 2.0 ** min(record.checks, 10))
        self._agenda.set(record.path, min(self._now_s + pause_s, deadline_s))

    def _quarantine(self, record: MovieRecord, reason: str, traceback: str = "") -> None:
        evidence = {
            "size_bytes": record.stat.size_bytes,
            "mtime_ns": record.stat.mtime_ns,
            "still_for_s": round(self._now_s - record.still_since_s, 3),
            "checks": record.checks,
            **structure_evidence(record.report),
            **({"traceback": traceback} if traceback else {}),
        }
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
                text = f"{path} was taken before the session's frame count was known; it has {verdict.reason}"
                remedy = "Reject it if it is not meant to be shorter"
                self._out.append(do.Alert(do.Severity.WARNING, "intake", text, remedy, (path,)))

    def _rejudge(self, record: MovieRecord) -> None:
        if record.report is None or not record.held_by_count or not self._judge_count(record).enough:
            return
        if record.phase is Phase.QUARANTINED:
            self._revive(record, "it has the frames that it should have after all")
        elif record.phase is Phase.INCOMPLETE:
            self._agenda.set(record.path, self._now_s)

    # ---------------------------------------------------------------- sidecars

    def _seek_sidecar(self, record: MovieRecord) -> None:
        question = self._sidecars.seek(record, self._now_s)
        if question is not None:
            self._out.append(question)

    def _seek_sidecar_again(self, record: MovieRecord) -> None:
        question = self._sidecars.seek_again(record, self._now_s)
        if question is not None:
            self._out.append(question)

    def _on_sidecar(
        self, path: str, sidecar_path: str, metadata: AcquisitionMetadata | None, failure: str | None
    ) -> None:
        record = self._movies.get(path)
        if record is None or record.sidecar.reading is None or record.sidecar.reading[0] != sidecar_path:
            return
        late = self._sidecars.take(record, sidecar_path, metadata, failure, self._now_s)
        if late is not None:
            self._out.append(late)
        self._seek_sidecar(record)
        if record.phase is Phase.WAITING:
            self._agenda.set(path, self._now_s + (0.0 if failure is None else RETRY_S))
        elif record.phase in (Phase.ANNOUNCED, Phase.QUARANTINED) and self._sidecars.wants_retry(record):
            self._agenda.set(path, self._now_s + max(self._settings.settle_s, RETRY_S))
        if record.held_by_count:
            self._rejudge(record)

    # ---------------------------------------------------------------- handing on

    def _try_announce(self, record: MovieRecord) -> None:
        if self._around.blocked:
            self._blocked[record.path] = None
            return
        verdict = self._judge_count(record)
        if not verdict.enough:  # its sidecar came meanwhile and promises more
            self._not_yet(record, verdict.reason, held_by_count=True)
            return
        wait = self._sidecars.wait(record, self._now_s)
        if wait.until_s is not None:
            self._say_settling(record, f"complete; {wait.reason}")
            self._seek_sidecar_again(record)
            self._agenda.set(record.path, wait.until_s)
            return
        if not verdict.vouched and self._siblings_may_tell(record):
            self._say_settling(
                record, "complete as far as it can tell; its siblings will show how many frames it needs"
            )
            self._agenda.set(record.path, self._now_s + SIBLING_PAUSE_S)
            return
        self._sidecars.note_gone_on(wait.flag)
        if not verdict.vouched:
            self._unvouched[record.path] = None
        self._announce(record, tuple(flag for flag in (*verdict.flags, wait.flag) if flag))

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

    def _unblock(self) -> None:
        if self._around.blocked:
            return
        held, self._blocked = self._blocked, {}
        for path in held:
            if self._movies[path].phase is Phase.WAITING:
                self._agenda.set(path, self._now_s)
            elif self._movies[path].phase in UNFINISHED:
                self._agenda.set(path, self._movies[path].still_since_s + self._settings.settle_s)

    def _on_restored(self, event: ev.RestoredMovie) -> None:
        """Know again what the store knows. Only the newest generation of a path lives on."""
        known = self._movies.get(event.path)
        if known is not None and known.generation >= event.generation:
            return
        record = restored_record(event, self._take_order(), self._now_s)
        if known is None:
            self._sidecars.expect(event.path)
        else:
            self._counts[known.phase] -= 1
            self._norm.remove(event.path)
        self._movies[event.path] = record
        self._counts[record.phase] += 1
        self._present.add(event.path)
        self._enter(record, record.phase)
        if record.phase is Phase.SETTLING:
            self._start_over(record)
        elif record.phase is Phase.ANNOUNCED:
            if record.stat.inode > 0:
                self._same_file.setdefault(record.stat, event.path)
            if event.frame_count and event.file_format:
                self._norm.add(event.path, record.order, event.file_format, event.frame_count)
        self._norm_version = self._norm.version

    def _on_reconsider(self, event: ev.Reconsider) -> None:
        record = self._movies.get(event.path)
        if record is None or record.phase not in (Phase.QUARANTINED, Phase.ANNOUNCED):
            return
        if record.phase is Phase.QUARANTINED:
            self._revive(record, "it is to be looked at again")
        self._start_over(record)
        record.reason = ""
        if event.accept_as_is is not None:
            record.accept_as_is = event.accept_as_is
        record.sidecar = SidecarState()
        self._seek_sidecar(record)


def _is_below(path: str, folders: Mapping[str, str]) -> bool:
    return any(not folder or path.startswith(f"{folder}/") for folder in folders)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:g} s"
