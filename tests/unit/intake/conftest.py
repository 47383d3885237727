"""A world for the intake machine: files that are pure data, a store, and messages that may be late."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake import events as ev
from frazil.daemon.intake import instructions as do
from frazil.daemon.intake.identity import FileStat
from frazil.daemon.intake.machine import IntakeMachine
from frazil.models.records import AcquisitionMetadata, MovieHeader, MovieState


@dataclass(frozen=True)
class Report:
    complete: bool
    reason: str
    header: MovieHeader | None
    frames_present: int
    zero_trailing_frames: int = 0
    damaged: bool = False


@dataclass(frozen=True)
class Content:
    """What a file holds. `self_describing`: its header promises the number of frames (MRC), else it does not (TIFF)."""

    frames: int
    final_frames: int
    self_describing: bool = False
    torn: bool = False
    zero_frames: int = 0
    damaged: bool = False
    empty: bool = False
    file_format: str = "tiff"

    @property
    def whole(self) -> bool:
        return self.frames == self.final_frames and not (self.torn or self.zero_frames or self.damaged or self.empty)

    def report(self, path: str) -> Report:
        if self.damaged:
            return Report(False, "the header claims 100000 x 100000 pixels", None, 0, damaged=True)
        header = MovieHeader(path, self.file_format, self.frames, 512, 512, "uint8")
        if self.torn:
            return Report(False, "a strip lies beyond the end of the file", header, self.frames)
        if self.self_describing and self.frames < self.final_frames:
            return Report(False, f"{self.frames} of {self.final_frames} frames are there", header, self.frames)
        if self.zero_frames:
            return Report(False, f"the last {self.zero_frames} are zero", header, self.frames, self.zero_frames)
        return Report(True, "", header, self.frames)


@dataclass
class File:
    """An inode; several names may lead to it."""

    content: Content
    stat: FileStat


@dataclass
class Row:
    state: MovieState
    stat: FileStat
    found_utc_us: int
    by_intake: bool = False
    announced: bool = False


class World:
    """Disk, store, clock and the machine between them.

    Questions of the machine are *asked* (the disk is read now) and *answered* (the machine hears it) at two different
    moments, so that tests can put anything in between.
    """

    def __init__(self, settings: IntakeSettings | None = None) -> None:
        self.settings = settings or IntakeSettings(settle_s=1.0, sidecar="ignore")
        self.now_s = 1000.0
        self.utc_us = 1_700_000_000_000_000
        self.counter = itertools.count(1)
        self.root = True
        self.root_inode = 1
        self.names: dict[str, File] = {}
        self.sidecars: dict[str, tuple[FileStat, AcquisitionMetadata | None]] = {}
        self.rows: dict[tuple[str, int], Row] = {}
        self.unreadable: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.truth: dict[FileStat, Content] = {}
        self.said: list[do.Instruction] = []
        self.announced: list[do.Announce] = []
        self.asked: list[do.LookAt | do.CheckStructure | do.ReadSidecar] = []
        self.answers: list[ev.Event] = []
        self.rescan_wanted = False
        self.machine = self._machine()

    def _machine(self) -> IntakeMachine:
        return IntakeMachine(self.settings, root=Path("/raw"), candidates=lambda path: (f"/side/{path}.xml",))

    # ---- disk

    def _stat(self, content: Content, inode: int) -> FileStat:
        # mtime is any number that differs: it comes from a server whose clock means nothing here.
        size = 0 if content.empty else 100 + 50 * content.frames + (7 if content.torn else 0)
        stat = FileStat(size, 5_000_000_000_000 + next(self.counter), inode)
        self.truth[stat] = content
        return stat

    def put(self, path: str, content: Content) -> None:
        """Create, or replace by rename."""
        self.names[path] = File(content, self._stat(content, next(self.counter) + 10_000))

    def write(self, path: str, content: Content) -> None:
        """Change in place: every name of the file sees it."""
        file = self.names[path]
        file.content, file.stat = content, self._stat(content, file.stat.inode)

    def put_sidecar(self, movie: str, metadata: AcquisitionMetadata | None) -> None:
        """`None`: a file that cannot be read as a sidecar."""
        self.sidecars[f"/side/{movie}.xml"] = (FileStat(9, next(self.counter), 1), metadata)

    # ---- talking to the machine

    def tell(self, event: ev.Event) -> list[do.Instruction]:
        said = self.machine.handle(event, self.now_s, self.utc_us)
        for instruction in said:
            self._hear(instruction)
        self.machine.validate()
        return said

    def _hear(self, instruction: do.Instruction) -> None:
        self.said.append(instruction)
        match instruction:
            case do.LookAt() | do.CheckStructure() | do.ReadSidecar():
                self.asked.append(instruction)
            case do.Rescan():
                self.rescan_wanted = True
            case do.Found(path, generation, _, stat, _, utc_us):
                known = self.rows.get((path, generation))
                announced = known is not None and known.announced
                self.rows[path, generation] = Row(MovieState.FOUND, stat, utc_us, announced=announced)
            case do.Announce(movie):
                self.announced.append(instruction)
                row = self.rows[movie.relative_path, movie.generation]
                row.state, row.stat, row.announced = MovieState.QUEUED, movie.stat, True
            case _:
                self._keep(instruction)

    def _keep(self, instruction: do.Instruction) -> None:
        """What becomes of a row that is there."""
        match instruction:
            case do.Settling(path, generation) | do.Revived(path, generation):
                self.rows[path, generation].state = MovieState.SETTLING
            case do.Replaced(path, generation):
                self.rows[path, generation].state = MovieState.OUTDATED
            case do.Vanished(path, generation):
                if self.rows[path, generation].announced:
                    self.rows[path, generation].state = MovieState.OUTDATED
                else:
                    del self.rows[path, generation]
            case do.Quarantine(path, generation, _, stat):
                row = self.rows[path, generation]
                row.state, row.stat, row.by_intake = MovieState.QUARANTINED, stat, True

    def ask(self, index: int = 0) -> None:
        """Let the disk answer one question; the machine does not hear it yet."""
        question = self.asked.pop(index)
        file = self.names.get(question.path) if self.root else None
        match question:
            case do.LookAt(path, closed):
                self.answers.append(ev.Looked(path, self.now_s, None if file is None else file.stat, closed))
            case do.CheckStructure(path):
                if file is None:
                    self.answers.append(ev.CheckFailed(path, "it is gone", gone=True))
                else:
                    self.answers.append(ev.StructureChecked(path, self.now_s, file.stat, file.content.report(path)))
            case do.ReadSidecar(path, sidecar):
                metadata = self.sidecars[sidecar][1] if sidecar in self.sidecars else None
                if metadata is None:
                    self.answers.append(ev.SidecarFailed(path, sidecar, "not an EPU XML"))
                else:
                    self.answers.append(ev.SidecarRead(path, sidecar, metadata))

    def answer(self, index: int = 0) -> None:
        self.tell(self.answers.pop(index))

    def work(self) -> None:
        """Answer everything at once, until nothing is asked."""
        while self.asked or self.answers:
            while self.asked:
                self.ask()
            while self.answers:
                self.answer()

    def snapshot(self, *, quick: bool = False) -> ev.Snapshot:
        if not self.root:
            return ev.Snapshot(root_present=False)
        quiet = self.machine.quiet_paths() if quick else frozenset()
        files = {path: None if path in quiet else file.stat for path, file in sorted(self.names.items())}
        return ev.Snapshot(
            root_present=True,
            root_identity=(1, self.root_inode),
            files={path: stat for path, stat in files.items() if path not in self.refused},
            sidecars={path: stat for path, (stat, _) in self.sidecars.items()},
            refused=dict(self.refused),
            unreadable=dict(self.unreadable),
        )

    def scan(self, *, quick: bool = False) -> list[do.Instruction]:
        return self.tell(ev.ScanFinished(self.now_s, self.snapshot(quick=quick)))

    def later(self, seconds: float, *, scan_every_s: float = 2.0) -> None:
        """Let time pass as in life: scans, ticks, answers."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            due_s = self.machine.next_due_s()
            step_s = min(end_s, self.now_s + scan_every_s, max(due_s, self.now_s + 1e-3) if due_s else end_s)
            self.utc_us += int((step_s - self.now_s) * 1e6)
            self.now_s = step_s
            self.tell(ev.Tick())
            self.work()
            self.scan()
            self.work()

    def restart(self) -> None:
        """kill -9 and start again from the store."""
        self.asked.clear()
        self.answers.clear()
        self.machine = self._machine()
        for (path, generation), row in sorted(self.rows.items(), key=lambda item: item[1].found_utc_us):
            self.tell(
                ev.RestoredMovie(
                    path,
                    generation,
                    row.state,
                    row.stat,
                    row.found_utc_us,
                    quarantined_by_intake=row.by_intake,
                    announced=row.announced,
                )
            )

    # ---- reading the outcome

    def row(self, path: str, generation: int = 1) -> Row:
        return self.rows[path, generation]

    def taken(self) -> list[tuple[str, int]]:
        return [(said.movie.relative_path, said.movie.generation) for said in self.announced]

    def of(self, kind: type) -> list:  # type: ignore[type-arg]
        return [said for said in self.said if isinstance(said, kind)]


@dataclass
class Kit:
    """What tests need by name (test modules cannot import one another)."""

    World: type[World] = World
    Row: type[Row] = Row
    Content: type[Content] = Content
    replace: Callable[..., Content] = field(default=replace)


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()


@pytest.fixture
def world() -> World:
    return World()
