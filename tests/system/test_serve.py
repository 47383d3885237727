"""`frazil serve` over a night: acquisitions appear, sessions die, serve is killed, rules break.

Sessions are light (tests/common/serve_stand_in.py) but for the last test, where they are `frazil watch` on movies.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import serve_stand_in
import yaml

from frazil.daemon.serve.children import process_began
from frazil.daemon.serve.records import Acquisition, State
from frazil.daemon.serve.status import serve_status
from frazil.daemon.store.lock import is_locked
from frazil.daemon.store.reading import open_session

EPU_XML = """<?xml version="1.0"?>
<MicroscopeImage xmlns="http://schemas.datacontract.org/2004/07/Fei.SharedObjects">
  <microscopeData>
    <gun><AccelerationVoltage>{volts}</AccelerationVoltage></gun>
    <instrument><InstrumentModel>TITAN52338</InstrumentModel></instrument>
  </microscopeData>
</MicroscopeImage>
"""
MDOC = """PixelSpacing = 1.3
Voltage = {kv}

[T = SerialEM: Talos Arctica]

[FrameSet = 0]
PixelSpacing = 1.3
NumSubFrames = 3
SubFramePath = D:\\frames\\{name}
DateTime = 25-Nov-2026  03:00:00
"""
RULES = """
max_sessions: 2
scan_interval_s: 0.1
metadata_wait_s: 3600
rules:
  - name: krios
    match: {program: [epu], voltage_kv: 300}
    preset: krios-falcon4i
    http_ports: [38200, 38299]
  - name: arctica
    match: {program: [serialem], voltage_kv: [190, 210]}
    preset: simulated
    quiet_minutes: 5
    settings:
      camera: {no_gain: true}
"""


@dataclass
class Facility:
    """Folders of a facility, and a serve in a process of its own."""

    folder: Path
    kit: Any
    root: Path = field(init=False)
    sessions: Path = field(init=False)
    rules: Path = field(init=False)
    process: subprocess.Popen | None = None

    def __post_init__(self) -> None:
        self.root, self.sessions = self.folder / "data", self.folder / "sessions"
        self.rules = self.folder / "serve.yaml"
        self.root.mkdir()
        self.sessions.mkdir()
        self.rules.write_text(RULES)

    # --- the microscopes -------------------------------------------------------------------------------------------

    def epu(self, name: str, *, kv: int = 300, square: int = 1, seed: int = 1, sidecar: bool = True) -> Path:
        """One more movie of an EPU session, with its XML."""
        data = self.root / name / "Images-Disc1" / f"GridSquare_{square}" / "Data"
        stem = f"FoilHole_{seed}_Data_1_2_20261125_{seed:06d}"
        self.kit.put_movie(data / f"{stem}_Fractions.tiff", seed, count=3, size_px=64)
        if sidecar:
            (data / f"{stem}.xml").write_text(EPU_XML.format(volts=1000 * kv))
        return self.root / name

    def serialem(self, name: str, *, seed: int = 1) -> Path:
        """One more movie of SerialEM, in its folder of frames."""
        movie = self.root / name / "frames" / f"g1_{seed:04d}.tif"
        self.kit.put_movie(movie, seed, count=3, size_px=64)
        Path(f"{movie}.mdoc").write_text(MDOC.format(kv=200, name=movie.name))
        return self.root / name

    # --- serve -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        with (self.folder / "serve.out").open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, serve_stand_in.__file__, "serve", str(self.root), str(self.sessions), str(self.rules)],
                stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, env=self.kit.child_environment(),
            )  # fmt: skip

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)

    def told(self) -> dict[str, Acquisition]:
        """By the name of the session."""
        if not (self.sessions / ".serve" / "serve.json").exists():
            return {}
        return {one.session: one for one in serve_status(self.sessions).acquisitions}

    def said(self) -> str:
        return (self.folder / "serve.out").read_text()

    def wait(self, session: str, state: State, *, words: str = "") -> Acquisition:
        """Until it is in this state."""

        def look() -> Acquisition | None:
            assert self.process is None or self.process.poll() is None, self.said()
            one = self.told().get(session)
            there = one is not None and one.state is state and words in one.why
            if there and state is State.RUNNING and not (self.sessions / session / "starts").exists():
                return None
            return one if there else None

        return self.kit.wait_for(look, lambda: f"{session} {state}; {self.told().get(session)}\n{self.said()}")

    def starts(self, session: str) -> list[list[str]]:
        """What its process was told, at each start: number, GPUs, acquisition, settings, port, quiet seconds."""
        return [line.split("\t") for line in (self.sessions / session / "starts").read_text().splitlines()]

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for one in self.told().values():
            if one.pid is not None and process_began(one.pid) == one.pid_began:
                os.kill(one.pid, signal.SIGKILL)


@pytest.fixture
def facility(tmp_path, kit):
    made = Facility(tmp_path, kit)
    yield made
    made.end()


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")


def test_three_acquisitions_of_two_programs_appear_while_serve_runs(facility, two_gpus, kit):
    facility.start()
    kit.wait_for(facility.sessions.joinpath(".serve/serve.json").exists, facility.said)
    first = facility.epu("krios/2026-11-25_apo")
    one = facility.wait("2026-11-25_apo", State.RUNNING)
    second = facility.epu("krios/2026-11-25_ribo")
    two = facility.wait("2026-11-25_ribo", State.RUNNING)
    facility.serialem("arctica/2026-11-25_apo")
    # The name is taken by another microscope's; there is no place for a third.
    facility.wait("arctica_2026-11-25_apo", State.QUEUED)
    assert [one.rule, two.rule] == ["krios", "krios"]
    ((pid, gpus, acquisition, settings, port, quiet_s),) = facility.starts("2026-11-25_apo")
    assert (int(pid), gpus, acquisition, quiet_s) == (one.pid, "4", str(first), "7200.0")
    assert "krios-falcon4i" in Path(settings).read_text()
    assert 38200 <= int(port) == one.http_port
    ((_, gpus, acquisition, _, other_port, _),) = facility.starts("2026-11-25_ribo")
    assert (gpus, acquisition) == ("5", str(second))
    assert other_port != port
    # One is quiet for long: its session ends in good order, and the third has its place and its GPU.
    (facility.sessions / "2026-11-25_apo" / "end-0").touch()
    third = facility.wait("arctica_2026-11-25_apo", State.RUNNING)
    assert third.rule == "arctica"
    ((_, gpus, acquisition, _, port, quiet_s),) = facility.starts("arctica_2026-11-25_apo")
    assert (gpus, acquisition, port, quiet_s) == ("4", str(facility.root / "arctica/2026-11-25_apo"), "-", "300.0")
    assert facility.told()["2026-11-25_apo"].state is State.FINISHED
    assert len(facility.starts("2026-11-25_apo")) == 1


def test_a_serve_that_was_killed_takes_up_what_runs_and_starts_nothing_twice(facility):
    facility.epu("apo")
    facility.epu("ribo")
    facility.start()
    before = {name: facility.wait(name, State.RUNNING).pid for name in ("apo", "ribo")}
    facility.kill()
    # While nobody watches: one session dies, and another acquisition appears.
    os.kill(before["ribo"], signal.SIGKILL)
    facility.start()
    facility.wait("ribo", State.QUEUED, words="died while serve was away")
    assert process_began(before["apo"]) is not None
    assert facility.told()["apo"].pid == before["apo"]
    assert facility.told()["apo"].state is State.RUNNING
    assert len(facility.starts("apo")) == 1
    assert is_locked(facility.sessions / "apo")
    assert "taken up again" in facility.said()
    # Asked to end, serve ends its sessions; the next one goes on with them, and with those that were queued.
    facility.kill(signal.SIGTERM)
    assert facility.process.returncode == 0, facility.said()
    assert process_began(before["apo"]) is None
    assert facility.told()["apo"].state is State.STOPPED
    facility.start()
    facility.wait("apo", State.RUNNING)
    facility.kit.wait_for(lambda: len(facility.starts("apo")) == 2, "the second start")


def test_two_serves_never_have_the_same_sessions(facility):
    facility.start()
    facility.kit.wait_for(facility.sessions.joinpath(".serve/serve.json").exists, facility.said)
    words = ["serve", facility.root, "--sessions", facility.sessions, "--rules", facility.rules]
    second = subprocess.run(facility.kit.frazil_command(*words), capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    assert "another `frazil serve` has these sessions" in second.stderr


def test_a_child_that_dies_is_started_again_and_serve_says_why(facility):
    facility.epu("apo")
    facility.start()
    one = facility.wait("apo", State.RUNNING)
    os.kill(one.pid, signal.SIGKILL)
    dead = facility.wait("apo", State.QUEUED, words="died of SIGKILL: started again in 10 s")
    assert dead.deaths == 1
    assert dead.not_before_utc_s > time.time() + 5
    assert "apo: queued: died of SIGKILL: started again in 10 s" in facility.said()
    # A session that refuses is not asked again in the same way, until somebody has changed the rules.
    facility.epu("ribo")
    facility.wait("ribo", State.RUNNING)
    (facility.sessions / "ribo" / "end-2").touch()
    facility.wait("ribo", State.WAITS, words="refused: was told to end with end-2")
    facility.rules.write_text(RULES + "# mended\n")
    facility.kit.wait_for(lambda: len(facility.starts("ribo")) == 2, facility.said)


def test_broken_rules_leave_those_of_before_and_name_file_line_and_remedy(facility):
    facility.start()
    facility.epu("apo")
    facility.wait("apo", State.RUNNING)
    facility.rules.write_text(RULES.replace("voltage_kv: 300", "voltage_kw: 300"))
    facility.kit.wait_for(lambda: serve_status(facility.sessions).own.problem, facility.said)
    problem = serve_status(facility.sessions).own.problem
    assert f"{facility.rules}: line 7: there is no key rules.match.voltage_kw" in problem
    assert "those of before hold" in problem
    assert "docs/serve.md" in problem
    facility.epu("ribo")
    facility.wait("ribo", State.RUNNING)
    facility.rules.write_text(RULES)
    facility.kit.wait_for(lambda: not serve_status(facility.sessions).own.problem, facility.said)
    # At its start there are no rules of before.
    facility.kill(signal.SIGTERM)
    facility.rules.write_text("rules: {}\n")
    facility.start()
    assert facility.process.wait(60) == 1
    assert "SettingsError" in facility.said()


def test_what_no_rule_holds_for_waits_for_a_person_and_what_is_not_complete_is_not_taken(facility):
    facility.start()
    facility.epu("tundra", kv=100)
    waits = facility.wait("tundra", State.WAITS, words="no rule holds for it (EPU, TITAN52338, 100 kV")
    assert "add a rule for it" in waits.why
    assert not (facility.sessions / "tundra").exists()
    assert f"tundra ({facility.root / 'tundra'}): waits: no rule holds" in facility.said()
    # A movie that is half there, then whole, whose XML comes later still.
    acquisition = facility.epu("apo", sidecar=False)
    movie = next(acquisition.rglob("*.tiff"))
    whole = movie.read_bytes()
    movie.write_bytes(whole[: len(whole) // 2])
    seen = facility.wait("apo", State.SEEN, words=" ")  # said why, a moment later
    assert seen.why in ("no movie is complete yet", "rule krios asks for what its sidecar will tell")
    movie.write_bytes(whole)
    facility.wait("apo", State.SEEN, words="rule krios asks for what its sidecar will tell")
    facility.epu("apo")
    facility.wait("apo", State.RUNNING)


def test_the_service_manager_hears_of_its_state_and_sessions_do_not_speak_to_it(facility, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(facility.folder / "notify"))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(facility.folder / "notify"))
        facility.epu("apo")
        facility.start()
        assert manager.recv(500) == b"READY=1\nSTATUS=no acquisition yet"
        while b"1 running" not in manager.recv(500):
            pass
        one = facility.wait("apo", State.RUNNING)
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{one.pid}/environ").read_bytes()
        assert facility.process is not None
        facility.process.send_signal(signal.SIGINT)
        while manager.recv(500) != b"STOPPING=1\nSTATUS=sessions end":
            pass
        assert facility.process.wait(60) == 0, facility.said()


# --- with real sessions --------------------------------------------------------------------------------------------


def serve_itself(facility: Facility) -> None:
    """`frazil serve` as it is called at a facility."""
    kit = facility.kit
    words = kit.frazil_command("serve", facility.root, "--sessions", facility.sessions, "--rules", facility.rules)
    with (facility.folder / "serve.out").open("ab") as sink:
        facility.process = subprocess.Popen(
            words, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, env=kit.child_environment()
        )


def quick_rules(kit) -> str:
    """Settings that make minutes of a session seconds of a test, in a rule."""
    sections: dict[str, dict[str, object]] = {"camera": {"no_gain": True}}
    for name, value in kit.quick.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    rule = {"name": "arctica", "match": {"program": ["serialem"], "voltage_kv": 200}, "preset": "simulated"}
    return yaml.safe_dump(
        {"scan_interval_s": 0.2, "quiet_minutes": 0.05, "rules": [rule | {"settings": sections}]}, sort_keys=False
    )


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_real_session_from_its_first_movie_to_its_end_over_a_killed_serve(facility, kit):
    """Two movies by SerialEM, quiet then."""
    group = 4242 if os.geteuid() == 0 else os.getegid()
    acquisition = facility.serialem("apo", seed=1)
    facility.serialem("apo", seed=2)
    os.chown(acquisition, -1, group)
    acquisition.chmod(0o750)
    facility.rules.write_text(quick_rules(kit))
    serve_itself(facility)
    kit.wait_for(lambda: is_locked(facility.sessions / "apo"), facility.said, 120.0)
    facility.kill()
    serve_itself(facility)
    session, log = facility.sessions / "apo", facility.sessions / ".serve" / "logs" / "apo.log"

    def ended() -> bool:
        one = facility.told().get("apo")
        return one is not None and one.state is State.FINISHED

    kit.wait_for(ended, lambda: f"the end; {facility.told()}\n{facility.said()}\n{log.read_text()}", 400.0)
    facility.kill(signal.SIGTERM)
    assert facility.process.returncode == 0, facility.said()
    with open_session(session) as reader:
        states = {row["state"]: row["movies"] for row in reader.named("counts_by_state").as_dicts()}
        row = reader.named("session").as_dicts()[0]
    assert sum(states.values()) == 2
    assert set(states) <= {"ready", "rejected"}, states
    assert row["raw_root"] == str(acquisition)
    assert row["finished_utc_us"] is not None
    assert facility.told()["apo"].why == "everything that was there is processed"
    assert "taken up again" in facility.said()
    assert facility.said().count("started by rule arctica") == 1
    # Whoever may look into the acquisition may look into the session, and nobody else.
    for path in (session, session / "session.duckdb", session / "motion", *session.glob("motion/*.mrc"), log):
        found = path.stat()
        assert (found.st_gid, found.st_mode & 0o007) == (group, 0), path
        assert found.st_mode & 0o040, path
