"""Real movie files with real faults through the real intake: each ends in the right state with a reason, and the run
goes on.

The clock is moved by hand and the pool works at once, so minutes of waiting cost nothing; the disk, the readers and
their verdicts are real.
"""

from __future__ import annotations

import os
import struct
import zlib
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
import pytest
import tifffile

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake.service import DiskTools, IntakeService
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.sidecar import read_sidecar, sidecar_candidates
from frazil.models.formats.structure import check_structure
from frazil.models.formats.tiff_write import write_movie_tiff

FRAMES = 8
SIDE_PX = 64


class AtOnce(Executor):
    def submit(self, fn, /, *args, **kwargs):
        done = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class HandClock:
    now_s = 1000.0

    def monotonic_s(self):
        return self.now_s

    def utc_us(self):
        return 1_700_000_000_000_000


class Listener:
    def __init__(self):
        self.taken = {}
        self.quarantined_for = {}
        self.alerts = []
        self.late = []
        self.replaced_ones = []

    def complete(self, movie):
        assert (movie.relative_path, movie.generation) not in self.taken
        self.taken[movie.relative_path, movie.generation] = movie

    def quarantined(self, movie):
        self.quarantined_for[movie.path] = movie.reason

    def revived(self, movie):
        del self.quarantined_for[movie.path]

    def alert(self, alert):
        self.alerts.append(alert.text)

    def late_sidecar(self, movie):
        self.late.append(movie)

    def replaced(self, movie):
        self.replaced_ones.append(movie)

    def found(self, movie):
        pass

    settling = vanished = found


class Session:
    def __init__(self, root: Path, **changes):
        self.root = root
        self.clock = HandClock()
        self.listener = Listener()
        settings = IntakeSettings(**{"settle_s": 1.0, "sidecar": "ignore", **changes})
        self.service = IntakeService(
            root,
            settings,
            DiskTools(check_structure, read_sidecar, sidecar_candidates),
            self.listener,
            clock=self.clock,
            executor=AtOnce(),
            mount_table="server:/ / nfs rw 0 0",
        )

    def later(self, seconds: float) -> None:
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.clock.now_s += 1.0
            for _ in range(3):
                self.service.turn()

    @property
    def taken(self) -> list[str]:
        return sorted(path for path, _ in self.listener.taken)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(1).poisson(1.0, (FRAMES, SIDE_PX, SIDE_PX)).astype(np.uint8)


@pytest.fixture
def session(tmp_path, frames):
    """With four good movies, so that the session has a norm."""
    session = Session(tmp_path)
    for index in range(4):
        write_movie_tiff(tmp_path / f"good{index}.tif", frames)
    session.later(5)
    assert len(session.taken) == 4
    return session


def test_tiff_cut_at_every_frame_boundary(session, frames, tmp_path):
    """Cut in bytes behind each page, as a copy that stopped; and with a valid end there, as a writer leaves it."""
    whole = tmp_path / "good0.tif"
    data = whole.read_bytes()
    with tifffile.TiffFile(whole) as tiff:
        ends = [max(page.dataoffsets[0] + page.databytecounts[0], page.offset) for page in tiff.pages]
    cuts = {f"cut{index}.tif": data[:end] for index, end in enumerate(ends) if end < len(data)}
    assert len(cuts) >= FRAMES - 1
    for name, content in cuts.items():
        (tmp_path / name).write_bytes(content)
    for count in range(1, FRAMES):
        write_movie_tiff(tmp_path / f"short{count}.tif", frames[:count])
    session.later(590)
    assert len(session.taken) == 4
    assert not session.listener.quarantined_for
    session.later(30)
    assert len(session.taken) == 4
    reasons = session.listener.quarantined_for
    assert sorted(reasons) == sorted([*cuts, *(f"short{count}.tif" for count in range(1, FRAMES))])
    assert all(reason.startswith("Truncated: ") for reason in reasons.values())
    for count in range(1, FRAMES):
        assert f"{count} of {FRAMES} frames" in reasons[f"short{count}.tif"]


@pytest.mark.parametrize("pause_s", [3.0, 100.0, 700.0])
def test_tiff_growing_in_place_with_pauses(session, frames, tmp_path, pause_s):
    """After each page the file is a valid TIFF; with the longest pause it is even quarantined and comes back."""
    path = tmp_path / "grow.tif"
    for frame in frames:
        tifffile.imwrite(path, frame[::-1], append=path.exists(), compression="lzw")
        assert "grow.tif" not in session.taken
        session.later(pause_s if frame is not frames[-1] else 40)
    [movie] = [movie for (name, _), movie in session.listener.taken.items() if name == "grow.tif"]
    assert movie.header.frame_count == FRAMES
    assert movie.generation == 1
    assert not session.listener.quarantined_for


def test_mrc_growing_in_place_and_preallocated(session, frames, tmp_path):
    write_mrc(tmp_path / "whole.mrc.part", frames, 1.0)
    data = (tmp_path / "whole.mrc.part").read_bytes()
    frame_bytes = SIDE_PX * SIDE_PX
    half = len(data) - FRAMES // 2 * frame_bytes
    (tmp_path / "growing.mrc").write_bytes(data[:half])
    (tmp_path / "preallocated.mrc").write_bytes(data[:half] + bytes(len(data) - half))
    session.later(300)
    assert len(session.taken) == 4
    for name in ("growing.mrc", "preallocated.mrc"):
        with open(tmp_path / name, "r+b") as file:
            file.seek(half)
            file.write(data[half:])
    session.later(40)
    assert {"growing.mrc", "preallocated.mrc"} <= set(session.taken)


def test_absurd_header_deflate_bomb_rubbish_and_nothing(session, tmp_path):
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 100_000, 100_000, 100, 2)
    header[208:216] = b"MAP \x44\x44\0\0"
    (tmp_path / "huge.mrc").write_bytes(header)
    square = np.zeros((20_000, 20_000), np.uint8)
    tifffile.imwrite(tmp_path / "bomb.tif", square, compression="deflate")
    assert (tmp_path / "bomb.tif").stat().st_size < 2_000_000
    (tmp_path / "text.tif").write_bytes(b"this is no movie, but its name says so\n" * 100)
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "garbage.mrc").write_bytes(zlib.compress(os.urandom(5000)))
    session.later(620)
    assert len(session.taken) == 4
    reasons = session.listener.quarantined_for
    assert sorted(reasons) == ["bomb.tif", "empty.tif", "garbage.mrc", "huge.mrc", "text.tif"]
    assert all(len(reason) > 20 for reason in reasons.values())
    assert session.service.status().failures == 0


def test_same_name_in_two_squares_replaced_and_deleted_root(session, frames, tmp_path):
    for square in ("square1", "square2"):
        (tmp_path / square).mkdir()
        write_movie_tiff(tmp_path / square / "a.tif", frames)
    session.later(10)
    assert {"square1/a.tif", "square2/a.tif"} <= set(session.taken)
    write_movie_tiff(tmp_path / "square1/a.tif", frames[::-1])
    session.later(20)
    assert [(movie.path, movie.old_generation) for movie in session.listener.replaced_ones] == [("square1/a.tif", 1)]
    assert ("square1/a.tif", 2) in session.listener.taken
    aside = tmp_path.with_name(tmp_path.name + "-aside")
    tmp_path.rename(aside)
    session.later(10)
    aside.rename(tmp_path)
    write_movie_tiff(tmp_path / "new.tif", frames)
    session.later(20)
    assert len(session.listener.taken) == 8  # nothing twice (the listener would have refused it), nothing lost
    assert any("is not there" in text for text in session.listener.alerts)


MDOC = """PixelSpacing = 1.06
Voltage = 300
[ZValue = 0]
SubFramePath = X:\\frames\\a.tif
NumSubFrames = {frames}
ExposureTime = 1.6
TargetDefocus = -1.2
DateTime = 01-Jan-2026  10:00:00
"""


def test_mdoc_five_minutes_late(tmp_path, frames):
    session = Session(tmp_path, sidecar="auto")
    write_movie_tiff(tmp_path / "a.tif", frames)
    session.later(300)
    assert session.listener.taken["a.tif", 1].flags == ("no-sidecar",)
    (tmp_path / "a.tif.mdoc").write_text(MDOC.format(frames=FRAMES))
    session.later(20)
    [late] = session.listener.late
    assert late.metadata.voltage_kv == 300.0
    assert late.metadata.frame_count == FRAMES


def test_mdoc_promises_the_frames_from_the_first_movie_on(tmp_path, frames):
    session = Session(tmp_path, sidecar="auto")
    for name, count in (("whole", FRAMES), ("cut", FRAMES - 3)):
        (tmp_path / f"{name}.tif.mdoc").write_text(MDOC.format(frames=FRAMES))
        write_movie_tiff(tmp_path / f"{name}.tif", frames[:count])
    (tmp_path / "short.tif.mdoc").write_text(MDOC.format(frames=2))
    write_movie_tiff(tmp_path / "short.tif", frames[:2])
    session.later(620)
    assert session.taken == ["short.tif", "whole.tif"]
    assert f"{FRAMES - 3} of {FRAMES} frames (its sidecar promises" in session.listener.quarantined_for["cut.tif"]


def test_five_thousand_real_movies_at_once(tmp_path, frames):
    session = Session(tmp_path)
    write_movie_tiff(tmp_path / "first.tif", frames[:2])
    data = (tmp_path / "first.tif").read_bytes()
    for index in range(5000):
        (tmp_path / f"{index:04}.tif").write_bytes(data)
    session.later(6)
    assert len(session.taken) == 5001
    assert session.service.status().unfinished == 0
    assert not [text for text in session.listener.alerts if text]


def test_link_that_leaves_the_root(tmp_path, frames):
    outside = tmp_path.with_name(tmp_path.name + "-outside")
    outside.mkdir()
    write_movie_tiff(outside / "a.tif", frames)
    (tmp_path / "a.tif").symlink_to(outside / "a.tif")
    session = Session(tmp_path)
    session.later(10)
    assert session.taken == []
    [alert] = session.listener.alerts
    assert alert.startswith("Not taken: a.tif: the link leads out of the raw folder, to ")
