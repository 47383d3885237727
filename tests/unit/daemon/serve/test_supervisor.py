"""Serve's turns, with processes that are only told of: what is started, taken up, finished, and when nothing is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from frazil.config.errors import SettingsError, UsageError
from frazil.daemon.serve import supervisor
from frazil.daemon.serve.children import Children, Order
from frazil.daemon.serve.foresee import foresee
from frazil.daemon.serve.records import Acquisition, Records, State
from frazil.daemon.serve.supervisor import ServeOptions, Supervisor
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.models.formats.tiff_write import write_movie_tiff

NOW = 2_000_000_000.0
RULES = "scan_interval_s: 1\ndefault: {preset: simulated}\n"


@dataclass
class ToldChildren(Children):
    """Remembers what it was told to start; a test says which has ended, and how."""

    orders: list[Order] = field(default_factory=list)
    aside: list[list[str]] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    refuse: bool = False

    def start(self, order: Order) -> tuple[int, int | None]:
        if self.refuse:
            raise OSError(12, "Cannot allocate memory")
        self.orders.append(order)
        return 1000 + len(self.orders), 1

    def start_aside(self, words, log: Path) -> None:
        self.aside.append(list(words))

    def alive(self, pid: int, began: int | None) -> bool:
        return 1000 < pid <= 1000 + len(self.orders) and pid not in self.ends

    def exit_code(self, pid: int) -> int | None:
        return self.ends.get(pid)


@dataclass
class Facility:
    folder: Path
    now_utc_s: float = NOW
    children: ToldChildren = field(default_factory=ToldChildren)

    def __post_init__(self) -> None:
        self.root, self.sessions, self.rules = (self.folder / name for name in ("data", "sessions", "serve.yaml"))
        for folder in (self.root, self.sessions):
            folder.mkdir(exist_ok=True)
        self.rules.write_text(RULES)

    def acquisition(self, name: str, *, age_s: float = 0.0, movie: bool = True) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        if movie:
            import numpy as np

            frames = np.random.default_rng(1).poisson(1.0, (2, 32, 32)).astype(np.uint8)
            write_movie_tiff(folder / "m1.tiff", frames, pixel_size_angstrom=1.0)
        else:
            (folder / "EpuSession.dm").touch()
        self.touch(folder, age_s)
        return folder

    def touch(self, folder: Path, age_s: float = 0.0) -> None:
        os.utime(folder, (self.now_utc_s - age_s, self.now_utc_s - age_s))

    def serve(self) -> Supervisor:
        made = Supervisor(
            ServeOptions(self.root, self.sessions, self.rules), children=self.children, utc_s=lambda: self.now_utc_s
        )
        made.take_up()
        return made

    def turn(self, served: Supervisor, *, later_s: float = 2.0) -> dict[str, State]:
        self.now_utc_s += later_s
        served.step()
        return {one.session: one.state for one in served.acquisitions.values()}


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    return Facility(tmp_path)


def the_only(served: Supervisor) -> Acquisition:
    (one,) = served.acquisitions.values()
    return one


def test_what_is_on_disk_is_what_a_next_serve_knows(facility: Facility) -> None:
    facility.acquisition("apo")
    served = facility.serve()
    assert facility.turn(served) == {"apo": State.RUNNING}
    (order,) = facility.children.orders
    assert (order.acquisition, order.session_dir) == (facility.root / "apo", facility.sessions / "apo")
    (stored,) = Records(facility.sessions).acquisitions()
    assert stored == the_only(served)
    again = facility.serve()
    assert facility.turn(again) == {"apo": State.RUNNING}
    assert len(facility.children.orders) == 1


def test_the_old_is_left_alone_until_somebody_goes_on_with_it(facility: Facility) -> None:
    folder = facility.acquisition("apo", age_s=49 * 3600)
    served = facility.serve()
    assert facility.turn(served) == {"apo": State.OLD}
    facility.touch(folder)
    assert facility.turn(served) == {"apo": State.OLD}  # not looked at every second
    assert facility.turn(served, later_s=700) == {"apo": State.RUNNING}


def session_of(folder: Path, raw: Path, *, closed: bool) -> None:
    folder.mkdir()
    row = SessionRow(folder.name, folder.name, str(raw), 1, "", "0.1.0")
    with Store.open(folder, now_utc_us=1) as store:
        store.submit(session_writes.create_session, row).result()
        if closed:
            store.submit(session_writes.finish_session, 2).result()


def test_sessions_that_persons_have_made_are_not_made_again(facility: Facility) -> None:
    for name in ("apo", "ribo", "vps4"):
        facility.acquisition(name)
    session_of(facility.sessions / "by-hand", facility.root / "apo", closed=True)
    session_of(facility.sessions / "killed", facility.root / "ribo", closed=False)
    served = facility.serve()
    states = facility.turn(served)
    assert states == {"by-hand": State.FINISHED, "killed": State.RUNNING, "vps4": State.RUNNING}
    assert {order.session_dir.name for order in facility.children.orders} == {"killed", "vps4"}


def test_a_session_that_somebody_else_runs_is_watched_and_not_started(facility: Facility) -> None:
    facility.acquisition("apo")
    facility.rules.write_text("scan_interval_s: 1\n")
    served = facility.serve()
    assert facility.turn(served) == {"apo": State.WAITS}
    (facility.sessions / "apo").mkdir()
    with SessionLock(facility.sessions / "apo"):
        facility.rules.write_text(RULES)
        assert facility.turn(served) == {"apo": State.RUNNING}
        assert the_only(served).why == "started by somebody else"
    facility.turn(served)
    assert facility.children.orders == []
    assert the_only(served).state is State.QUEUED
    assert the_only(served).why.startswith("died while serve was away")


def test_a_session_without_a_movie_begins_again_with_the_first(facility: Facility) -> None:
    facility.acquisition("apo", movie=False)
    served = facility.serve()
    assert facility.turn(served) == {"apo": State.RUNNING}
    facility.children.ends[1001] = 0
    assert facility.turn(served) == {"apo": State.SEEN}
    assert facility.turn(served) == {"apo": State.SEEN}
    facility.acquisition("apo")
    assert facility.turn(served) == {"apo": State.RUNNING}
    facility.children.ends[1002] = 0
    assert facility.turn(served) == {"apo": State.FINISHED}


@pytest.mark.parametrize("go_on", [False, True])
def test_a_finished_session_goes_on_only_where_the_rules_say_so(facility: Facility, go_on: bool) -> None:
    facility.rules.write_text(RULES + f"go_on: {str(go_on).lower()}\n")
    folder = facility.acquisition("apo")
    served = facility.serve()
    facility.turn(served)
    facility.children.ends[1001] = 0
    assert facility.turn(served, later_s=7200) == {"apo": State.FINISHED}
    assert facility.turn(served, later_s=100) == {"apo": State.FINISHED}
    facility.now_utc_s += 100
    facility.touch(folder)
    assert facility.turn(served) == {"apo": State.RUNNING if go_on else State.FINISHED}


def test_a_process_that_cannot_be_started_is_tried_again(facility: Facility) -> None:
    facility.acquisition("apo")
    facility.children.refuse = True
    served = facility.serve()
    assert facility.turn(served) == {"apo": State.QUEUED}
    assert "Cannot allocate memory" in the_only(served).why
    facility.children.refuse = False
    assert facility.turn(served, later_s=9) == {"apo": State.QUEUED}
    assert facility.turn(served) == {"apo": State.RUNNING}


def test_a_root_that_is_gone_is_said_and_ends_nothing(facility: Facility) -> None:
    facility.acquisition("apo")
    served = facility.serve()
    facility.turn(served)
    facility.root.rename(facility.folder / "unmounted")
    assert facility.turn(served) == {"apo": State.RUNNING}
    assert "is not there: mount or make it" in served.status_line()
    (facility.folder / "unmounted").rename(facility.root)
    facility.turn(served)
    assert served.status_line() == "1 running"


def test_a_gain_that_is_not_there_yet_is_waited_for(facility: Facility) -> None:
    folder = facility.acquisition("apo")
    facility.rules.write_text("scan_interval_s: 1\ndefault: {gain: '*_gain.mrc'}\n")
    served = facility.serve()
    assert facility.turn(served) == {"apo": State.SEEN}
    assert the_only(served).why == "rule default: there is no gain reference *_gain.mrc yet"
    (folder / "k3_gain.mrc").touch()
    facility.touch(folder)
    assert facility.turn(served) == {"apo": State.RUNNING}


@pytest.mark.parametrize("daily", [False, True])
def test_finished_sessions_are_cleared_once_a_day_where_the_rules_say_so(facility: Facility, daily: bool) -> None:
    facility.rules.write_text(RULES + f"retention: {{restored_days: 30, daily: {str(daily).lower()}}}\n")
    served = facility.serve()
    for _ in range(3):
        facility.turn(served)
    told = [words[-5:] for words in facility.children.aside]
    expected = ["retain", str(facility.sessions), "--rules", str(facility.rules), "--remove"]
    assert told == ([expected] if daily else [])
    again = facility.serve()
    facility.turn(again, later_s=80_000)
    assert len(facility.children.aside) == daily
    facility.turn(again, later_s=80_000)
    assert len(facility.children.aside) == 2 * daily


def test_a_turn_that_comes_to_nothing_is_not_the_end(facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
    served = facility.serve()
    turns = []

    def step() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise OSError(28, "No space left on device")
        served.stop()

    monkeypatch.setattr(served, "step", step)
    monkeypatch.setattr(supervisor, "_STEP_S", 0.01)
    served.run()
    assert len(turns) == 2


def test_folders_that_would_mix_are_refused(facility: Facility) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        Supervisor(ServeOptions(facility.root / "none", facility.sessions, facility.rules))
    with pytest.raises(UsageError, match="among the sessions"):
        Supervisor(ServeOptions(facility.root, facility.folder, facility.rules))
    with pytest.raises(SettingsError, match="cannot be read"):
        Supervisor(ServeOptions(facility.root, facility.sessions, facility.folder / "none.yaml"))


def test_what_would_become_of_each_writes_nothing(facility: Facility) -> None:
    facility.acquisition("apo")
    facility.now_utc_s = os.stat(facility.rules).st_mtime
    facility.touch(facility.root / "apo")
    rules = supervisor.load_rules(facility.rules)
    told = list(foresee(facility.root, facility.sessions, rules))
    assert told[0] == f"{facility.root / 'apo'} (a folder of movies): a session by rule default"
    assert told[-1].startswith("1 acquisitions below")
    assert list(facility.sessions.iterdir()) == []
