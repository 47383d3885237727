"""Any schedule of disk events, late answers, lost hints and kills: each finally complete file is taken once per
generation, and nothing incomplete ever is.

Every change of a file gives it a stat that no other content ever had, so the stat tells what was really taken.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake import events as ev
from frazil.daemon.intake import instructions as do
from frazil.models.records import AcquisitionMetadata, MovieState

FRAMES = 4
PATHS = st.sampled_from(["a.tif", "b.tif", "square/a.tif"])
INDEX = st.integers(0, 10_000)


class Rules(RuleBasedStateMachine):
    """`mode`: `expected`, the settings promise 4 frames; `sidecar`, each movie's own sidecar promises its number;
    `header`, the file itself does."""

    kit: Any
    mode: str
    intake: IntakeSettings

    @initialize()
    def begin(self) -> None:
        self.world = self.kit.World(self.intake)
        self.scans: list[tuple[float, ev.Snapshot]] = []
        self.checked = 0
        self.parked: dict[str, object] | None = None

    # ---- the disk

    def content(self, frames: int, final: int, torn: bool):
        return self.kit.Content(
            frames=frames,
            final_frames=final,
            torn=torn,
            self_describing=self.mode == "header",
            empty=frames == 0 and not torn,
        )

    def final(self, data: st.DataObject) -> int:
        return data.draw(st.integers(1, FRAMES)) if self.mode == "sidecar" else FRAMES

    def promise(self, path: str) -> None:
        if self.mode == "sidecar":
            content = self.world.names[path].content
            self.world.put_sidecar(path, AcquisitionMetadata(frame_count=content.final_frames))

    def pick(self, index: int) -> str:
        names = sorted(self.world.names)
        return names[index % len(names)]

    @rule(path=PATHS, data=st.data(), started=st.booleans(), sidecar=st.booleans())
    def create_or_replace(self, path: str, data: st.DataObject, started: bool, sidecar: bool) -> None:
        final = self.final(data)
        self.world.put(path, self.content(0 if started else final, final, torn=False))
        # A new exposure of the same name brings its own sidecar; the old one would be a lie about it.
        self.world.sidecars.pop(f"/side/{path}.xml", None)
        if sidecar:
            self.promise(path)

    @precondition(lambda self: self.world.names and self.world.root)
    @rule(index=INDEX)
    def sidecar_arrives(self, index: int) -> None:
        self.promise(self.pick(index))

    @precondition(lambda self: self.world.names and self.world.root)
    @rule(index=INDEX, torn=st.booleans(), hinted=st.booleans())
    def append(self, index: int, torn: bool, hinted: bool) -> None:
        path = self.pick(index)
        content = self.world.names[path].content
        if content.frames < content.final_frames:
            self.world.write(path, self.content(content.frames + 1, content.final_frames, torn))
        elif content.torn:
            self.world.write(path, self.content(content.frames, content.final_frames, torn=False))
        if hinted and self.world.root:
            self.world.tell(ev.Hint(path, ev.HintKind.CHANGED))

    @precondition(lambda self: self.world.names and self.world.root)
    @rule(index=INDEX)
    def truncate(self, index: int) -> None:
        path = self.pick(index)
        content = self.world.names[path].content
        self.world.write(path, self.content(max(0, content.frames - 1), content.final_frames, torn=False))

    @precondition(lambda self: self.world.names and self.world.root)
    @rule(index=INDEX, to=PATHS)
    def rename(self, index: int, to: str) -> None:
        path = self.pick(index)
        self.world.names[to] = self.world.names.pop(path)
        if f"/side/{path}.xml" in self.world.sidecars:
            self.promise(to)

    @precondition(lambda self: self.world.names and self.world.root)
    @rule(index=INDEX, to=PATHS)
    def hard_link(self, index: int, to: str) -> None:
        self.world.names[to] = self.world.names[self.pick(index)]
        self.promise(to)

    @precondition(lambda self: self.world.names and self.world.root)
    @rule(index=INDEX)
    def delete(self, index: int) -> None:
        del self.world.names[self.pick(index)]

    @rule()
    def root_goes_or_comes(self) -> None:
        self.world.root = not self.world.root
        self.world.root_inode += 1

    # ---- time and messages

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.6, 1.1, 5.0, 40.0, 700.0]))
    def pause(self, seconds: float) -> None:
        self.world.now_s += seconds
        self.world.tell(ev.Tick())

    @rule(jump_s=st.sampled_from([-86_400, -7, 7, 86_400]))
    def wall_clock_jumps(self, jump_s: int) -> None:
        self.world.utc_us += jump_s * 1_000_000

    @rule(quick=st.booleans())
    def scan_looks(self, quick: bool) -> None:
        self.scans.append((self.world.now_s, self.world.snapshot(quick=quick)))

    @precondition(lambda self: self.scans)
    @rule()
    def scan_arrives(self) -> None:
        started_s, snapshot = self.scans.pop(0)
        self.world.tell(ev.ScanFinished(started_s, snapshot))

    @precondition(lambda self: self.world.names and self.world.root)
    @rule(index=INDEX, kind=st.sampled_from([ev.HintKind.CHANGED, ev.HintKind.CLOSED]))
    def hint(self, index: int, kind: ev.HintKind) -> None:
        self.world.tell(ev.Hint(self.pick(index), kind))

    @rule()
    def overflow(self) -> None:
        self.world.tell(ev.Hint("", ev.HintKind.TREE))

    @precondition(lambda self: self.world.asked)
    @rule(index=INDEX)
    def disk_answers(self, index: int) -> None:
        self.world.ask(index % len(self.world.asked))

    @precondition(lambda self: self.world.answers)
    @rule(index=INDEX)
    def answer_arrives(self, index: int) -> None:
        self.world.answer(index % len(self.world.answers))

    @rule()
    def a_while_of_normal_life(self) -> None:
        self.world.later(2.5)

    @rule(low=st.booleans())
    def space(self, low: bool) -> None:
        self.world.tell(ev.SpaceLow(1, 2) if low else ev.SpaceOk(3))

    # ---- the daemon

    @rule(index=INDEX)
    def worker_finishes(self, index: int) -> None:
        queued = [row for row in self.world.rows.values() if row.state is MovieState.QUEUED]
        if queued:
            queued[index % len(queued)].state = MovieState.READY

    @rule()
    def killed_and_restarted(self) -> None:
        self.scans.clear()
        self.world.restart()

    # ---- what must hold

    @invariant()
    def nothing_incomplete_was_taken(self) -> None:
        if not hasattr(self, "world"):
            return
        for said in self.world.announced[self.checked :]:
            assert self.world.truth[said.movie.stat].whole, said.movie
            assert said.movie.header.frame_count == self.world.truth[said.movie.stat].final_frames
        self.checked = len(self.world.announced)

    @invariant()
    def a_generation_is_one_content(self) -> None:
        if not hasattr(self, "world"):
            return
        contents: dict[tuple[str, int], object] = {}
        for said in self.world.announced:
            key = (said.movie.relative_path, said.movie.generation)
            assert contents.setdefault(key, said.movie.stat) == said.movie.stat

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.root = True
        world.tell(ev.SpaceOk(3))
        for path in world.names:
            self.promise(path)
        self.scans.clear()  # a lost scan is no harm
        world.later(100)
        self.nothing_incomplete_was_taken()
        for path, file in world.names.items():
            newest = max(generation for name, generation in world.rows if name == path)
            row = world.rows[path, newest]
            if file.content.whole:
                assert row.state in (MovieState.QUEUED, MovieState.READY), (path, row)
                assert row.stat == file.stat
            else:
                assert row.state in (MovieState.FOUND, MovieState.SETTLING, MovieState.QUARANTINED), (path, row)
                assert (path, newest) not in world.taken()
        # Whatever was taken and is not the newest generation is marked as outdated.
        for (path, generation), row in world.rows.items():
            if (path, generation + 1) in world.rows:
                assert row.state is MovieState.OUTDATED, (path, generation, row)
        said = len(world.said)
        world.later(30)
        quiet = (do.Announce, do.Found, do.Replaced, do.Quarantine, do.Vanished)
        if all(file.content.whole for file in world.names.values()):
            assert not [what for what in world.said[said:] if isinstance(what, quiet)], "no rest"


def rules_for(kit: Any, mode: str) -> type[Rules]:
    expected = FRAMES if mode == "expected" else None
    intake = IntakeSettings(
        settle_s=1.0, expected_frames=expected, sidecar="required" if mode == "sidecar" else "ignore"
    )
    return type("RulesOfMode", (Rules,), {"kit": kit, "mode": mode, "intake": intake})


@pytest.mark.parametrize("mode", ["expected", "sidecar", "header"])
def test_any_schedule(kit, mode):
    run_state_machine_as_test(
        rules_for(kit, mode),
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
