"""The intake's shell: does what the machine asks for, and tells it what came of it.

One thread owns the machine. Everything that touches the disk runs in a small pool, so that a hanging mount delays
movies and not the daemon. What the machine decides is delivered to an `IntakeListener`, in order and at least once.
"""

from __future__ import annotations

import logging
import queue
import threading
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake import events as ev
from frazil.daemon.intake import instructions as do
from frazil.daemon.intake.clock import Clock, SystemClock
from frazil.daemon.intake.delivery import Deliveries, IntakeListener
from frazil.daemon.intake.disk_answers import DiskAnswers, DiskTools
from frazil.daemon.intake.machine import IntakeMachine
from frazil.daemon.intake.mounts import file_system_type, is_remote, read_mount_table, trusts_inodes
from frazil.daemon.intake.record import Phase
from frazil.daemon.intake.scan import PathFilter, Tree
from frazil.daemon.intake.watcher import EventWatcher, NoWatcher, Watcher

__all__ = ["DiskTools", "IntakeListener", "IntakeService", "IntakeStatus"]

log = logging.getLogger(__name__)
MAX_WAIT_S = 0.5
SCAN_SHARE = 0.05
"""A look at the tree may take this share of the time; when it is slower, it comes less often."""
FULL_SCAN_FACTOR = 5.0
"""Full scans (stat of finished movies too, to see replaced ones) are this much rarer than quick ones."""
REARM_PAUSE_S = 10.0
REARM_MAX_S = 600.0
FULL_SCAN_MAX_S = 600.0
RESCAN_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class IntakeStatus:
    """For the screen, for `--once` and for `--exit-when-idle`."""

    phases: dict[str, int] = field(default_factory=dict)
    """Phase -> number of paths."""
    scans: int = 0
    """Finished looks at the tree."""
    last_scan_s: float | None = None
    """How long the last one took."""
    watching: str = "polling"
    """`events` or `polling`."""
    file_system: str = "unknown"
    root_lost: bool = False
    """The raw folder is not there: nothing in it can be read, and nothing of it is given up."""
    undelivered: int = 0
    failures: int = 0
    """Unforeseen exceptions that were recorded and survived."""
    last_failure: str = ""
    last_found_monotonic_s: float | None = None

    @property
    def unfinished(self) -> int:
        """Paths that are on their way to `complete` or to quarantine."""
        return sum(self.phases.get(phase, 0) for phase in ("settling", "checking", "incomplete", "waiting"))


@dataclass(frozen=True, slots=True)
class _ScanDone:
    started_s: float
    ended_s: float
    full: bool
    snapshot: ev.Snapshot | None
    """`None`: it failed."""


class IntakeService:
    """Watches one raw folder.

    Parameters
    ----------
    root:
        The raw folder. Nothing below it is ever written to.
    settings, tools, listener:
        Rules, readers, and who gets the movies.
    exclude_folders:
        Folders below the root that hold no raw data (the session's own).
    clock, executor, watcher:
        Replaceable for tests; by default the real clock, two threads, and events or polling by file system.
    """

    def __init__(
        self,
        root: Path,
        settings: IntakeSettings,
        tools: DiskTools,
        listener: IntakeListener,
        *,
        exclude_folders: Sequence[Path] = (),
        clock: Clock | None = None,
        executor: Executor | None = None,
        watcher: Watcher | None = None,
        mount_table: str | None = None,
    ) -> None:
        self._root = root.absolute()
        self._settings = settings
        self._tools = tools
        self._clock = clock if clock is not None else SystemClock()
        table = read_mount_table() if mount_table is None else mount_table
        self._file_system = file_system_type(self._root.resolve(), table)
        sidecar_roots = tuple(Path(folder).absolute() for folder in settings.sidecar_roots)
        self._tree = Tree(
            root=self._root,
            filter=PathFilter(settings),
            sidecar_roots=sidecar_roots,
            exclude_folders=tuple(exclude_folders),
            use_inodes=trusts_inodes(self._file_system),
        )
        self._machine = IntakeMachine(settings, root=self._root, candidates=self._candidates)
        self._events = settings.watch == "events" or (settings.watch == "auto" and not is_remote(self._file_system))
        if watcher is None:
            watcher = (
                EventWatcher(self._root.resolve(), self._on_hint, recursive=settings.recursive)
                if self._events
                else NoWatcher()
            )
        self._watcher = watcher
        self._inbox: queue.SimpleQueue[ev.Event | _ScanDone | None] = queue.SimpleQueue()
        self._disk = DiskAnswers(self._tree, tools, self._clock, self._inbox.put, self._record_failure)
        self._hints: dict[tuple[str, ev.HintKind], None] = {}
        self._hint_lock = threading.Lock()
        self._owns_executor = executor is None
        self._executor = executor or ThreadPoolExecutor(max_workers=2, thread_name_prefix="frazil-intake-disk")
        self._scanner: Executor = executor or ThreadPoolExecutor(max_workers=1, thread_name_prefix="frazil-intake-scan")
        self._deliveries = Deliveries(listener)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._scan_running = False
        self._rescan_wanted = False
        self._scans = 0
        self._last_scan_s: float | None = None
        self._next_scan_s = float("-inf")
        self._next_full_scan_s = float("-inf")
        self._next_rearm_s = float("-inf")
        self._rearm_pause_s = REARM_PAUSE_S
        self._watch_problem: str | None = None
        self._failures = 0
        self._last_failure = ""
        self._last_found_s: float | None = None
        self._status = IntakeStatus(file_system=self._file_system)

    # ---------------------------------------------------------------- for the daemon

    def restore(self, movies: Iterable[ev.RestoredMovie]) -> None:
        """Tell what the store knows, before `start`."""
        for movie in sorted(movies, key=lambda movie: (movie.found_utc_us, movie.path, movie.generation)):
            self._handle(movie)

    def start(self) -> None:
        """Begin; movies that are there already are found by the first scan."""
        self._thread = threading.Thread(target=self._run, name="frazil-intake", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Stop after what is being delivered now; True if the thread ended in time."""
        self._stopping.set()
        self._inbox.put(None)
        if self._thread is not None:
            self._thread.join(timeout_s)
        ended = self._thread is None or not self._thread.is_alive()
        self._watcher.stop()
        if self._owns_executor:
            for executor in (self._executor, self._scanner):
                executor.shutdown(wait=ended, cancel_futures=True)
        return ended

    def post(self, event: ev.SpaceLow | ev.SpaceOk | ev.Reconsider) -> None:
        """Tell the machine something that the daemon knows. Any thread."""
        self._inbox.put(event)

    def status(self) -> IntakeStatus:
        """The state after the last turn. Any thread."""
        return self._status

    def describe(self, relative_path: str) -> tuple[Phase, str] | None:
        """(phase, what it waits for) of one path, as of now. Any thread."""
        return self._machine.describe(relative_path)

    # ---------------------------------------------------------------- the loop

    def _run(self) -> None:
        self.arm()
        while not self._stopping.is_set():
            try:
                self.turn(wait_s=self._wait_s())
            except Exception:  # a named boundary: the intake must outlive its own mistakes
                self._record_failure("the intake loop failed and goes on")
                self._stopping.wait(1.0)

    def arm(self) -> None:
        """Start the watcher; when it cannot, scanning goes on alone and a person is told."""
        try:
            problem = self._watcher.start()
        except Exception as error:  # a named boundary: watchdog raises what it likes
            self._record_failure("the file watcher could not be started")
            problem = str(error)
        self._report_watcher(problem)
        if problem is None:
            # What came between the last scan and the new watches was reported by nobody.
            self._next_scan_s = self._next_full_scan_s = float("-inf")
            self._rearm_pause_s = REARM_PAUSE_S
        else:
            self._rearm_pause_s = min(REARM_MAX_S, 2.0 * self._rearm_pause_s)
        self._next_rearm_s = self._clock.monotonic_s() + self._rearm_pause_s

    def _report_watcher(self, problem: str | None) -> None:
        if problem == self._watch_problem:
            return
        self._watch_problem = problem
        if problem is None:
            alert = do.Alert(do.Severity.INFO, "intake", "The file watcher works again", None)
        else:
            alert = do.Alert(
                do.Severity.WARNING,
                "intake",
                f"Files are found by scanning only, every {self._settings.scan_interval_s:g} s or more: {problem}",
                "Nothing is lost; `frazil doctor` shows the limits and how to raise them",
            )
        self._deliveries.add(alert)

    def turn(self, wait_s: float = 0.0) -> None:
        """One round of the loop: hear, think, do."""
        for event in self._hear(wait_s):
            if isinstance(event, _ScanDone):
                self._end_scan(event)
            else:
                self._handle(event)
        self._handle(ev.Tick())
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_rearm_s and self._events:
            self._next_rearm_s = now_s + REARM_PAUSE_S
            if self._watch_problem is not None or self._watcher.problem() is not None:
                self.arm()
        if now_s >= self._next_scan_s and not self._scan_running:
            self._begin_scan(now_s)
        self._deliveries.deliver()
        self._publish_status()

    def _wait_s(self) -> float:
        now_s = self._clock.monotonic_s()
        times = [now_s + MAX_WAIT_S]
        if not self._scan_running:
            times.append(self._next_scan_s)
        due_s = self._machine.next_due_s()
        if due_s is not None:
            times.append(due_s)
        return max(0.0, min(times) - now_s)

    def _hear(self, wait_s: float) -> list[ev.Event | _ScanDone]:
        heard: list[ev.Event | _ScanDone] = []
        try:
            first = self._inbox.get(timeout=wait_s) if wait_s > 0 else self._inbox.get_nowait()
            if first is not None:
                heard.append(first)
            while True:
                event = self._inbox.get_nowait()
                if event is not None:
                    heard.append(event)
        except queue.Empty:
            pass
        with self._hint_lock:
            hints, self._hints = self._hints, {}
        heard.extend(ev.Hint(path, kind) for path, kind in hints)
        return heard

    def _on_hint(self, path: str, kind: ev.HintKind) -> None:
        """From the watcher's thread. A thousand writes to one file are one hint."""
        if kind is not ev.HintKind.TREE and not self._tree.filter.takes(path):
            return
        with self._hint_lock:
            wake = not self._hints
            self._hints[path, kind] = None
        if wake:
            self._inbox.put(None)

    def _handle(self, event: ev.Event) -> None:
        for instruction in self._machine.handle(event, self._clock.monotonic_s(), self._clock.utc_us()):
            self._perform(instruction)

    def _perform(self, instruction: do.Instruction) -> None:
        match instruction:
            case do.LookAt():
                self._executor.submit(self._disk.look, instruction)
            case do.CheckStructure():
                self._executor.submit(self._disk.check, instruction)
            case do.ReadSidecar():
                self._executor.submit(self._disk.read_sidecar, instruction)
            case do.Rescan():
                self._rescan_wanted = self._scan_running
                self._next_scan_s = min(self._next_scan_s, self._clock.monotonic_s() + RESCAN_PAUSE_S)
            case do.RearmWatcher():
                if self._events:
                    self.arm()
            case (
                do.Found()
                | do.Settling()
                | do.Announce()
                | do.Replaced()
                | do.Revived()
                | do.Vanished()
                | do.Quarantine()
                | do.LateSidecar()
                | do.Alert()
            ):
                if isinstance(instruction, do.Found):
                    self._last_found_s = instruction.found_monotonic_s
                self._deliveries.add(instruction)
            case _:
                assert_never(instruction)

    def _publish_status(self) -> None:
        self._status = IntakeStatus(
            phases={str(phase): count for phase, count in self._machine.counts().items()},
            scans=self._scans,
            last_scan_s=self._last_scan_s,
            watching="events" if self._events and self._watch_problem is None else "polling",
            file_system=self._file_system,
            root_lost=self._machine.root_lost,
            undelivered=len(self._deliveries),
            failures=self._failures,
            last_failure=self._last_failure,
            last_found_monotonic_s=self._last_found_s,
        )

    def _record_failure(self, what: str) -> None:
        self._failures += 1
        self._last_failure = traceback.format_exc()
        log.exception(what)

    # ---------------------------------------------------------------- scanning

    def _begin_scan(self, now_s: float) -> None:
        full = now_s >= self._next_full_scan_s
        quiet = frozenset[str]() if full else self._machine.quiet_paths()
        quiet_sidecars = frozenset[str]() if full else self._machine.quiet_sidecars()
        self._scan_running = True
        self._scanner.submit(self._scan, quiet, quiet_sidecars, full)

    def _scan(self, quiet: frozenset[str], quiet_sidecars: frozenset[str], full: bool) -> None:
        started_s = self._clock.monotonic_s()
        snapshot = None
        try:
            snapshot = self._tree.scan(quiet=quiet, quiet_sidecars=quiet_sidecars)
        except Exception:  # a named boundary: the pool would swallow it, and scanning would end for ever
            self._record_failure("a look at the raw folder failed; the next one is made as usual")
        self._inbox.put(_ScanDone(started_s, self._clock.monotonic_s(), full, snapshot))

    def _end_scan(self, done: _ScanDone) -> None:
        self._scan_running = False
        took_s = done.ended_s - done.started_s
        self._last_scan_s = took_s
        owed_s = took_s * (1.0 / SCAN_SHARE - 1.0)
        interval_s = self._settings.scan_interval_s
        if done.full:
            pause_s = min(FULL_SCAN_MAX_S, max(FULL_SCAN_FACTOR * interval_s, owed_s))
            self._next_full_scan_s = done.ended_s + pause_s
            owed_s = took_s  # the rest is not owed by the quick scans
        self._next_scan_s = done.ended_s + max(interval_s, owed_s)
        if self._rescan_wanted:
            self._rescan_wanted = False
            self._next_scan_s = done.ended_s + RESCAN_PAUSE_S
        if done.snapshot is not None:
            self._scans += 1
            self._handle(ev.ScanFinished(done.started_s, done.snapshot))

    def _candidates(self, movie_path: str) -> tuple[str, ...]:
        if self._tools.sidecar_candidates is None:
            return ()
        roots = (self._tree.root.resolve(), *(root.resolve() for root in self._tree.sidecar_roots))
        return tuple(str(path) for path in self._tools.sidecar_candidates(movie_path, roots))
