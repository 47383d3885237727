"""The shell on real files: a clock that is moved by hand, a pool that works at once, a reader that is simple."""

from __future__ import annotations

import os
import shutil
import threading
import time
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

import pytest

from frazil.config.errors import FormatError, RetryLaterError
from frazil.config.settings import IntakeSettings
from frazil.daemon.intake import events as ev
from frazil.daemon.intake import instructions as do
from frazil.daemon.intake.service import DiskTools, IntakeService
from frazil.daemon.intake.watcher import EventWatcher
from frazil.models.formats.sidecar import sidecar_candidates
from frazil.models.records import AcquisitionMetadata, MovieHeader, MovieState

FRAME = b"frame..."


class AtOnce(Executor):
    def submit(self, fn, /, *args, **kwargs):
        done = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class HandClock:
    def __init__(self):
        self.now_s = 1000.0

    def monotonic_s(self):
        return self.now_s

    def utc_us(self):
        return 1_700_000_000_000_000


@dataclass(frozen=True)
class Report:
    complete: bool
    reason: str
    header: MovieHeader | None
    frames_present: int
    zero_trailing_frames: int = 0
    damaged: bool = False


def check(path):
    """First byte: frames promised; then frames of eight bytes."""
    data = path.read_bytes()
    if data.startswith(b"?"):
        raise RuntimeError("the parser has a bug")
    if data.startswith(b"!"):
        raise FormatError("not a movie", path=path)
    if data.startswith(b"~"):
        raise RetryLaterError("the server is busy", path=path)
    frames = (len(data) - 1) // len(FRAME)
    header = MovieHeader(str(path), "tiff", frames, 2, 4, "uint8")
    return Report(frames == data[0], f"{frames} of {data[0]} frames", header, frames)


def movie(frames=4, promised=None):
    return bytes([promised or frames]) + FRAME * frames


class Listener:
    def __init__(self):
        self.said = []

    def _take(self, what):
        self.said.append(what)

    found = settling = replaced = revived = vanished = quarantined = late_sidecar = alert = _take

    def complete(self, movie):
        self._take(movie)
        self.taken.append((movie.relative_path, movie.generation))

    @property
    def taken(self):
        if not hasattr(self, "_taken"):
            self._taken = []
        return self._taken

    def of(self, kind):
        return [said for said in self.said if isinstance(said, kind)]


class Bench:
    def __init__(self, root, settings=None, **more):
        self.root = root
        self.clock = HandClock()
        self.listener = Listener()
        self.settings = settings or IntakeSettings(settle_s=1.0, sidecar="ignore", scan_interval_s=2.0)
        tools = more.pop("tools", DiskTools(check))
        self.watcher = more.pop("watcher", FakeWatcher())
        self.service = IntakeService(
            root,
            self.settings,
            tools,
            self.listener,
            clock=self.clock,
            executor=AtOnce(),
            watcher=self.watcher,
            mount_table="rootfs / ext4 rw 0 0",
            **more,
        )
        self.service.arm()

    def later(self, seconds):
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.clock.now_s += 0.5
            for _ in range(3):
                self.service.turn()

    def write(self, name, data):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


class FakeWatcher:
    def __init__(self):
        self.starts = 0
        self.cannot = None
        self.trouble = None

    def start(self):
        self.starts += 1
        return self.cannot

    def problem(self):
        return self.trouble or self.cannot

    def stop(self):
        pass


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "raw").mkdir()
    return Bench(tmp_path / "raw")


def test_whole_movies_are_taken_once(bench):
    bench.write("square1/a.tif", movie())
    bench.write("square2/a.tif", movie())
    bench.later(30)
    assert sorted(bench.listener.taken) == [("square1/a.tif", 1), ("square2/a.tif", 1)]
    status = bench.service.status()
    assert status.phases == {"announced": 2}
    assert status.unfinished == 0
    assert status.failures == 0


def test_growing_file_is_taken_when_it_is_whole(bench):
    bench.write("a.tif", movie(2, promised=4))
    bench.later(100)
    assert bench.listener.taken == []
    assert bench.service.status().unfinished == 1
    bench.write("a.tif", movie(4))
    bench.later(40)
    assert bench.listener.taken == [("a.tif", 1)]


def test_truncated_file_is_quarantined_with_a_reason(bench):
    bench.write("a.tif", movie(2, promised=4))
    bench.later(620)
    [said] = bench.listener.of(do.Quarantine)
    assert said.reason == "Truncated: 2 of 4 frames; the file has not changed for 10 min"


def test_replaced_by_rename_is_a_new_generation(bench):
    bench.write("a.tif", movie())
    bench.later(10)
    os.replace(bench.write("a.tmp", movie()), bench.root / "a.tif")
    bench.later(20)
    assert bench.listener.taken == [("a.tif", 1), ("a.tif", 2)]


def test_deleted_and_recreated_root(bench, tmp_path):
    for name in "abc":
        bench.write(f"{name}.tif", movie())
    bench.later(10)
    bench.root.rename(tmp_path / "aside")
    bench.later(10)
    (tmp_path / "aside").rename(bench.root)
    bench.write("d.tif", movie())
    bench.later(20)
    assert sorted(name for name, _ in bench.listener.taken) == ["a.tif", "b.tif", "c.tif", "d.tif"]
    assert [alert.severity for alert in bench.listener.of(do.Alert)] == [do.Severity.ERROR, do.Severity.INFO]
    assert bench.watcher.starts == 2


def test_root_that_is_not_there_yet(tmp_path):
    bench = Bench(tmp_path / "raw")
    bench.later(5)
    bench.write("a.tif", movie())
    bench.later(10)
    assert bench.listener.taken == [("a.tif", 1)]


def test_link_out_of_the_root_is_alerted_and_never_opened(bench, tmp_path):
    outside = tmp_path / "outside.tif"
    outside.write_bytes(movie())
    (bench.root / "a.tif").symlink_to(outside)
    bench.later(10)
    assert bench.listener.taken == []
    [alert] = bench.listener.of(do.Alert)
    assert "leads out of the raw folder" in alert.text


def test_bug_in_the_parser_costs_one_movie_and_not_the_session(bench):
    bench.write("bad.tif", b"?")
    bench.write("good.tif", movie())
    bench.later(60)
    assert bench.listener.taken == [("good.tif", 1)]
    [said] = bench.listener.of(do.Quarantine)
    assert "the parser has a bug" in str(said.evidence["traceback"])
    assert bench.service.status().failures > 0


def test_reader_that_refuses_the_file_quarantines_it(bench):
    bench.write("bad.tif", b"!")
    bench.later(60)
    [said] = bench.listener.of(do.Quarantine)
    assert "not a movie" in said.reason
    assert bench.service.status().failures == 0


def test_reader_that_says_later_is_asked_later(bench):
    bench.write("a.tif", b"~")
    bench.later(100)
    assert not bench.listener.of(do.Quarantine)
    bench.write("a.tif", movie())
    bench.later(40)
    assert bench.listener.taken == [("a.tif", 1)]


def test_watcher_that_cannot_start_is_told_and_scanning_goes_on(tmp_path):
    watcher = FakeWatcher()
    watcher.cannot = "the kernel's limit on watched folders is reached"
    bench = Bench(tmp_path, watcher=watcher)
    bench.write("a.tif", movie())
    bench.later(60)
    assert bench.listener.taken == [("a.tif", 1)]
    [alert] = bench.listener.of(do.Alert)
    assert "by scanning only" in alert.text
    assert watcher.starts > 2, "it is tried again"
    assert bench.service.status().watching == "polling"
    watcher.cannot = None
    bench.later(100)
    assert bench.service.status().watching == "events"


def test_dead_watcher_is_armed_again(bench):
    bench.watcher.trouble = "the thread that reads the events ended"
    bench.later(11)
    assert bench.watcher.starts >= 2


def test_space_and_reconsider_come_from_the_daemon(bench):
    bench.service.post(ev.SpaceLow(1, 2))
    bench.write("a.tif", movie())
    bench.later(20)
    assert bench.listener.taken == []
    bench.service.post(ev.SpaceOk(3))
    bench.later(5)
    assert bench.listener.taken == [("a.tif", 1)]
    bench.service.post(ev.Reconsider("a.tif"))
    bench.later(5)
    assert bench.listener.taken == [("a.tif", 1)] * 2, "the same generation, for a movie that is to be done again"


def test_restart_from_the_store(bench, tmp_path):
    for name in ("ready", "queued", "replaced"):
        bench.write(f"{name}.tif", movie())
    bench.later(10)
    rows = [
        ev.RestoredMovie(
            said.relative_path,
            said.generation,
            MovieState.QUEUED if said.relative_path == "queued.tif" else MovieState.READY,
            said.stat,
            said.found_utc_us,
            frame_count=4,
            file_format="tiff",
        )
        for said in bench.listener.said
        if hasattr(said, "header")
    ]
    os.replace(bench.write("x.tmp", movie()), bench.root / "replaced.tif")
    again = Bench(bench.root)
    again.service.restore(rows)
    again.later(20)
    assert sorted(again.listener.taken) == [("queued.tif", 1), ("replaced.tif", 2)]


def sidecar_tools():
    def read(path, *, settled=False):
        text = path.read_text()
        if not text.endswith("\n") and not settled:
            raise RetryLaterError("not fully written yet", path=path)
        return AcquisitionMetadata(voltage_kv=float(text))

    return DiskTools(check, read, sidecar_candidates)


@pytest.mark.parametrize("where", ["raw/square/a.mdoc", "raw/square/a.tif.mdoc", "meta/square/a.xml"])
def test_sidecars_are_found_where_they_lie(tmp_path, where):
    (tmp_path / "raw").mkdir()
    settings = IntakeSettings(settle_s=1.0, sidecar_roots=(str(tmp_path / "meta"),))
    bench = Bench(tmp_path / "raw", settings, tools=sidecar_tools())
    bench.write("square/a.tif", movie())
    sidecar = tmp_path / where
    sidecar.parent.mkdir(parents=True, exist_ok=True)
    sidecar.write_text("300\n")
    bench.later(10)
    [taken] = [said for said in bench.listener.said if hasattr(said, "header")]
    assert taken.sidecar == AcquisitionMetadata(voltage_kv=300.0)
    assert taken.sidecar_path == str(sidecar)


def test_sidecar_five_minutes_late_and_half_written(tmp_path):
    settings = IntakeSettings(settle_s=1.0, sidecar_wait_s=5.0)
    bench = Bench(tmp_path, settings, tools=sidecar_tools())
    bench.write("a.tif", movie())
    bench.later(300)
    [taken] = [said for said in bench.listener.said if hasattr(said, "header")]
    assert taken.flags == ("no-sidecar",)
    (tmp_path / "a.tif.mdoc").write_text("300")  # its end looks unfinished: taken when it has stood still
    bench.later(20)
    [late] = bench.listener.of(do.LateSidecar)
    assert late.metadata.voltage_kv == 300.0


def test_a_thousand_files_at_once_on_the_disk(tmp_path):
    for index in range(1000):
        (tmp_path / f"{index:04}.tif").write_bytes(b"\1" + FRAME)
    bench = Bench(tmp_path)
    bench.later(8)
    assert len(set(bench.listener.taken)) == len(bench.listener.taken) == 1000


def test_network_mount_is_polled(tmp_path):
    service = IntakeService(
        tmp_path, IntakeSettings(), DiskTools(check), Listener(), executor=AtOnce(), mount_table="s:/ / nfs4 rw 0 0"
    )
    service.arm()
    assert service.status().file_system == "nfs4"
    service.turn()
    assert service.status().watching == "polling"


# ---- with the real threads and the real watcher; waiting is for events, never for time


class Collected(Listener):
    """Lets a test wait until so many movies were taken."""

    def __init__(self):
        super().__init__()
        self.changed = threading.Condition()

    def _take(self, what):
        with self.changed:
            self.said.append(what)
            self.changed.notify_all()

    found = settling = replaced = revived = vanished = quarantined = late_sidecar = alert = complete = _take

    def wait_for(self, count, timeout_s=30.0):
        with self.changed:
            done = self.changed.wait_for(lambda: len(self.names()) >= count, timeout_s)
        assert done, (count, self.names(), self.said)

    def names(self):
        return sorted(said.relative_path for said in self.said if hasattr(said, "header"))


@pytest.fixture
def running(tmp_path):
    """A service with a scan interval so long that only hints can be quick."""
    started = []

    def run(root: Path, **changes):
        settings = IntakeSettings(settle_s=0.05, sidecar="ignore", **changes)
        listener = Collected()
        service = IntakeService(root, settings, DiskTools(check), listener)
        started.append(service)
        service.start()
        return service, listener

    yield run
    for service in started:
        assert service.stop()


def test_real_threads_take_what_is_there_and_what_comes(tmp_path, running):
    (tmp_path / "a.tif").write_bytes(movie())
    service, listener = running(tmp_path, scan_interval_s=0.05)
    listener.wait_for(1)
    (tmp_path / "square").mkdir()
    (tmp_path / "square/b.tif").write_bytes(movie())
    listener.wait_for(2)
    assert listener.names() == ["a.tif", "square/b.tif"]
    assert service.status().failures == 0


def test_hints_find_a_file_long_before_the_next_scan(tmp_path, running):
    (tmp_path / "a.tif").write_bytes(movie())
    service, listener = running(tmp_path, scan_interval_s=3600.0, watch="events")
    listener.wait_for(1)  # by the first scan
    (tmp_path / "b.tif").write_bytes(movie())
    listener.wait_for(2)
    (tmp_path / "c.tmp").write_bytes(movie())
    os.rename(tmp_path / "c.tmp", tmp_path / "c.tif")
    listener.wait_for(3)
    (tmp_path / "new").mkdir()
    (tmp_path / "new/d.tif").write_bytes(movie())
    listener.wait_for(4)
    assert service.status().scans < 5


def test_a_handler_that_raises_does_not_end_the_watching(tmp_path):
    heard = []
    arrived = threading.Event()

    def on_hint(path, kind):
        heard.append(path)
        if len(heard) == 1:
            raise RuntimeError("first hint")
        if path == "b.tif":
            arrived.set()

    watcher = EventWatcher(tmp_path, on_hint)
    assert watcher.start() is None
    try:
        (tmp_path / "a.tif").write_bytes(b"x")
        (tmp_path / "b.tif").write_bytes(b"x")
        assert arrived.wait(10)
        assert watcher.problem() is None
    finally:
        watcher.stop()


def test_deleted_root_kills_the_real_watcher_and_that_is_seen(tmp_path):
    root = tmp_path / "raw"
    root.mkdir()
    watcher = EventWatcher(root, lambda path, kind: None)
    assert watcher.start() is None
    assert watcher.problem() is None
    shutil.rmtree(root)
    # The new folder may get the old one's number: only the end of the reading thread tells then, after a moment.
    root.mkdir()
    deadline_s = time.monotonic() + 30.0
    try:
        while watcher.problem() is None and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert watcher.problem() is not None
        assert watcher.start() is None
        assert watcher.problem() is None
    finally:
        watcher.stop()


def test_real_root_deleted_and_made_again(tmp_path, running):
    root = tmp_path / "raw"
    root.mkdir()
    (root / "a.tif").write_bytes(movie())
    _, listener = running(root, scan_interval_s=0.05)
    listener.wait_for(1)
    shutil.rmtree(root)
    root.mkdir()
    (root / "b.tif").write_bytes(movie())
    listener.wait_for(2)
    (root / "c.tif").write_bytes(movie())
    listener.wait_for(3)
    assert listener.names() == ["a.tif", "b.tif", "c.tif"]


def test_a_full_kernel_falls_back_to_scanning(tmp_path, running, monkeypatch):
    from frazil.daemon.intake import watcher as module

    class Full(module.Observer):
        def start(self):
            raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(module, "Observer", Full)
    (tmp_path / "a.tif").write_bytes(movie())
    service, listener = running(tmp_path, scan_interval_s=0.05)
    listener.wait_for(1)
    assert any("max_user_watches" in said.text for said in listener.of(do.Alert))
    assert service.status().watching == "polling"
