"""How fast a disk fills, and whose doing that is: a disk with 100 MB/s of others, and one that the session fills."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from frazil.config.settings import AlertSettings, Settings
from frazil.daemon.alerts.rule_check import RuleCheck
from frazil.daemon.session.notices import Notices
from frazil.daemon.status import live_state
from frazil.daemon.status.disk_use import DiskMeter
from frazil.daemon.status.live_state import LiveStateBuilder
from frazil.daemon.transport.messages import GateState

GB = 1 << 30
PACE_S, LOOK_S = 60.0, 60.0
"""From movie to movie, from one state to the next."""


class Disk:
    """A session of a movie a minute on a simulated disk; `step` lets time go by as the daemon sees it."""

    def __init__(
        self, store, put, folder: Path, monkeypatch, *, free_gb: float, movie_gb: float, others_mb_per_s: float
    ):
        self.store, self.put = store, put
        self.now_s, self.free = 0.0, free_gb * GB
        self.movie_bytes, self.others = movie_gb * GB, others_mb_per_s * 1e6
        self.movies = 0
        monkeypatch.setattr(live_state.shutil, "disk_usage", lambda _: SimpleNamespace(free=int(self.free)))
        # What a movie's files take, without writing gigabytes.
        monkeypatch.setattr(live_state.DiskMeter, "_size", lambda *_: int(self.movie_bytes))
        settings = Settings(alerts=AlertSettings(disk_hours=6.0))
        options = SimpleNamespace(session_dir=folder, raw_root=folder / "raw", settings=settings)
        self.builder = LiveStateBuilder(
            options, store, self.utc_us, lambda: self.now_s, live_state.disk_meter(options, store)
        )
        notices = Notices(store, utc_us=self.utc_us)
        self.rules = RuleCheck(settings.alerts, store, notices, late_sidecars=lambda _: None)

    def utc_us(self) -> int:
        return int(1e15 + self.now_s * 1e6)

    def step(self, seconds: float, look_s: float = LOOK_S):
        """The states of so many seconds."""
        end_s, states = self.now_s + seconds, []
        while self.now_s < end_s:
            self.now_s += look_s
            self.free -= look_s * self.others
            while self.now_s >= self.movies * PACE_S:
                self.add()
            state = self.builder.build(status="running", workers=(), gate=GateState(), queue_depth=0, analysis=None)
            self.rules.step(state, expecting=True)
            states.append(state)
        return states

    def add(self) -> None:
        self.put(self.movies)
        self.store.submit(
            lambda c, number=self.movies: c.execute(
                "UPDATE movies SET found_utc_us = ?, ready_utc_us = ? WHERE movie_id = ?",
                [self.utc_us() - 5_000_000, self.utc_us(), f"m{number:03d}"],
            )
        ).result()
        self.free -= self.movie_bytes
        self.movies += 1

    def alarms(self) -> list[str]:
        self.store.flush()
        rows = self.store.named("alerts", {"open_only": True}).as_dicts()
        return [str(row["alert_id"]) for row in rows if row["subject"] == "disk"]


@pytest.fixture
def disk(store, put, tmp_path, monkeypatch):
    return lambda **how: Disk(store, put, tmp_path, monkeypatch, **how)


def test_others_who_write_100_mb_per_s_raise_no_alarm(disk):
    """The disk shrinks by 380 GB/h and lasts 5 h; the session's own 10 GB/h leave it a week."""
    shared = disk(free_gb=1900, movie_gb=10 / 60, others_mb_per_s=100)
    states = shared.step(3600, look_s=120)
    assert not shared.alarms()
    last = states[-1]
    assert last.written_bytes_per_s * 3600 / GB == pytest.approx(10.0, rel=0.08)
    assert last.disk_shrinks_bytes_per_s == pytest.approx(100e6 + 10 * GB / 3600, rel=0.08)
    assert last.disk_full_in_h > 100
    assert "disk" not in last.verdict.line
    known = [state.disk_full_in_h for state in states[8:]]
    assert max(known) < 1.6 * min(known), "it goes down with the disk and does not jump"


def test_the_alarm_comes_when_the_session_itself_fills_the_disk(disk):
    """120 GB/h on 650 GB: 5.4 h at its beginning. Told within a quarter of an hour."""
    alone = disk(free_gb=650, movie_gb=2.0, others_mb_per_s=0)
    alone.step(900, look_s=90)
    assert alone.alarms() == ["rule-disk-hours"]
    state = alone.step(60)[-1]
    assert state.verdict.word == "change"
    assert state.verdict.line.startswith("change: this session fills the disk in 4.")
    assert state.written_bytes_per_s * 3600 / GB == pytest.approx(120, rel=0.2), "by counts of a quarter of an hour"
    assert f"it writes {state.written_bytes_per_s * 3600 / 1e9:.0f} GB/h" in state.verdict.sentence


def test_a_session_that_has_paused_for_an_hour_fills_no_disk(disk):
    alone = disk(free_gb=650, movie_gb=2.0, others_mb_per_s=0)
    alone.step(900, look_s=90)
    assert alone.alarms() == ["rule-disk-hours"]
    alone.add = lambda: setattr(alone, "movies", alone.movies + 1)  # none comes any more
    assert alone.step(3900, look_s=650)[-1].written_bytes_per_s == 0.0
    assert alone.step(10)[-1].disk_full_in_h is None
    assert not alone.alarms(), "it closes by itself"


def test_a_disk_that_is_cleaned_up_does_not_shrink(disk):
    freed = disk(free_gb=650, movie_gb=0.0, others_mb_per_s=-50)
    assert freed.step(900, look_s=90)[-1].disk_shrinks_bytes_per_s == 0.0


@pytest.mark.parametrize(("written_s", "expected"), [(86_400, 0.0), (60, 80 * GB / 600)])
def test_movies_that_were_there_before_are_not_written_now(disk, monkeypatch, written_s, expected):
    """Forty movies of 2 GB found in one minute: written a day ago they take no space of the disk now."""
    found = disk(free_gb=1000, movie_gb=0.0, others_mb_per_s=0)
    monkeypatch.setattr(DiskMeter, "_size", lambda *_: 0)
    while found.movies < 40:
        found.add()
    now_us = found.utc_us() + 60_000_000
    written_ns = (now_us - written_s * 1_000_000) * 1000
    found.store.submit(
        lambda c: c.execute(
            "UPDATE movies SET size_bytes = ?, mtime_ns = ?, found_utc_us = ?", [2 * GB, written_ns, found.utc_us()]
        )
    ).result()
    meter = DiskMeter(found.store, Path(), Path(), free_bytes=lambda _: 1000 * GB, same_disk=lambda *_: True)
    assert meter.look(60.0, now_us, floor_gb=0.0).session_bytes_per_s == pytest.approx(expected)
