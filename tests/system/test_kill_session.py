"""kill -9 of daemon and workers at random moments: the tables in the end are those of an undisturbed run.

Real processes and a real Ray. Times, lags, and which worker did it are not compared; everything that was measured is,
to the last bit.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from frazil.config.loading import load_settings, settings_to_yaml
from frazil.daemon.client import connect
from frazil.daemon.store.reading import open_session
from frazil.daemon.transport.endpoints import find_endpoints

pytestmark = pytest.mark.ray

TABLES = {
    "movies": "SELECT relative_path, generation, state, attempts, stem, sequence, failure_stage, failure_reason, "
    "rejection_reason, frame_count, height_px, width_px, pixel_size_angstrom, dose_per_frame_e_per_a2, flags "
    "FROM movies ORDER BY sequence, generation",
    "stages": "SELECT movie_id, stage, parameter_hash, code_version FROM stages ORDER BY ALL",
    "ctf": "SELECT * FROM ctf ORDER BY movie_id",
    "frame_shifts": "SELECT * FROM frame_shifts ORDER BY movie_id, frame",
    "local_motion": "SELECT * FROM local_motion ORDER BY movie_id, axis, coefficient",
    "quality": "SELECT * FROM quality ORDER BY movie_id",
    "spectra": "SELECT * FROM spectra ORDER BY movie_id, frequency_per_angstrom",
    "causal_losses": "SELECT * FROM causal_losses ORDER BY movie_id, factor, frequency_per_angstrom",
    "named_causes": "SELECT * FROM named_causes ORDER BY movie_id",
    "change_points": "SELECT * FROM change_points ORDER BY number",
    "change_alerts": "SELECT alert_id, severity, text, remedy FROM alerts WHERE subject = 'change' ORDER BY alert_id",
    "interventions": "SELECT * EXCLUDE (created_utc_us) FROM interventions ORDER BY place",
    "causal_shares": "SELECT * FROM causal_shares ORDER BY factor",
    "priors": "SELECT * EXCLUDE (created_utc_us) FROM priors ORDER BY version",
    "restorations": "SELECT * FROM restorations ORDER BY movie_id",
    "restoration_rounds": "SELECT * EXCLUDE (created_utc_us) FROM restoration_rounds ORDER BY round",
    "particles": "SELECT movie_id, particle, x_px, y_px, score, half_set FROM particles ORDER BY movie_id, particle",
}


def our_processes(session_dir: Path) -> dict[int, str]:
    """Living processes whose environment carries this session's mark: the daemon, its Ray, its workers."""
    mark = f"FRAZIL_TEST_MARK={session_dir}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    found[int(entry.name)] = (
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
        except OSError:
            continue  # ended while we looked
    return found


def listening(pids: Iterable[int]) -> dict[str, str]:
    """Local address (hexadecimal, as the kernel writes it) of every TCP socket on which these processes listen."""
    inodes = {}
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                inodes[os.readlink(link)] = pid
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and (pid := inodes.get(f"socket:[{fields[9]}]")) is not None:
                found[fields[1]] = Path(f"/proc/{pid}/comm").read_text().strip()
    return found


def is_loopback(address: str) -> bool:
    host = address.split(":")[0]
    if len(host) == 8:
        return host.endswith("7F")  # 127.0.0.0/8, least significant byte first
    return host in ("00000000000000000000000001000000", "0000000000000000FFFF00000100007F")


@dataclass
class Run:
    """One session folder, and the daemons that work on it one after the other."""

    kit: Any
    raw: Path
    session_dir: Path
    process: subprocess.Popen[bytes] | None = None
    kills: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.session_dir.with_suffix(".log")

    def start(self) -> None:
        environ = self.kit.child_environment(FRAZIL_TEST_MARK=str(self.session_dir))
        config = self.session_dir.with_suffix(".yaml")
        if not config.exists():
            flags = self.kit.quick | {"workers.count": 2, "camera.no_gain": True}
            config.write_text(
                settings_to_yaml(load_settings(preset="simulated", yaml_path=None, environ={}, flags=flags))
            )
        words = ("--config", str(config), "--dose-per-frame-e-per-a2", "1.0", "--once")
        self.process = self.kit.start_watch(self.raw, self.session_dir, *words, log=self.log, environ=environ)

    def finished_movies(self) -> int:
        """By result files: needs nobody to answer."""
        folder = self.session_dir / "results"
        return sum(not name.startswith(".") for name in os.listdir(folder)) if folder.is_dir() else 0

    def kill_daemon(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None
        self.kills.append("daemon")

    def kill_worker(self, rng: random.Random) -> None:
        """A frame worker in the middle of a movie, if there is one."""
        working = [pid for pid, command in our_processes(self.session_dir).items() if "FrameWorker." in command]
        if working:
            os.kill(rng.choice(sorted(working)), signal.SIGKILL)
            self.kills.append("worker")

    def let_finish(self, timeout_s: float) -> None:
        assert self.process is not None
        assert self.process.wait(timeout_s) == 0, self.log.read_text()[-3000:]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        with open_session(self.session_dir) as session:
            return {name: [tuple(row) for row in session.sql(text).rows] for name, text in TABLES.items()}


@pytest.fixture
def run(kit, tmp_path):
    runs: list[Run] = []

    def make(raw: Path, name: str) -> Run:
        runs.append(Run(kit, raw, tmp_path / name))
        return runs[-1]

    yield make
    for one in runs:
        for pid in our_processes(one.session_dir):
            os.kill(pid, signal.SIGKILL)


def same(first: dict[str, list[Any]], second: dict[str, list[Any]]) -> None:
    for name in TABLES:
        # As text: NaN is equal to itself there.
        one, other = [repr(row) for row in first[name]], [repr(row) for row in second[name]]
        missing, extra = sorted(set(one) - set(other)), sorted(set(other) - set(one))
        assert (len(one), missing[:2], extra[:2]) == (len(other), [], []), name
        assert one == other, name


def disturbed_session(run: Run, movies: int, moments: list[tuple[float, str, float]], rng: random.Random) -> None:
    """Kill when a share of the movies is done and a little later; then let it finish."""
    run.start()
    for share, who, pause_s in sorted(moments):
        deadline = time.monotonic() + 240
        while run.finished_movies() < min(share * movies, movies - 1):
            assert run.process is not None
            assert run.process.poll() is None, run.log.read_text()[-3000:]
            assert time.monotonic() < deadline, run.log.read_text()[-3000:]
            time.sleep(0.02)
        time.sleep(pause_s)  # the random moment itself
        if run.process is not None and run.process.poll() is not None:
            break
        if who == "daemon":
            run.kill_daemon()
            run.start()
        else:
            run.kill_worker(rng)
    run.let_finish(300)


def nothing_is_left_of(run: Run) -> None:
    """Ray's processes end with the daemon that started them, also when that one is killed."""
    deadline = time.monotonic() + 60  # Ray's dashboard agent looks for its parent now and then only
    while left := our_processes(run.session_dir):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def sockets_are_private(run: Run) -> None:
    """Of the daemon, its Ray and its workers, while they work."""
    sockets = listening(our_processes(run.session_dir))
    assert "raylet" in sockets.values(), sockets  # else this audit looks at nothing
    assert {address: name for address, name in sockets.items() if not is_loopback(address)} == {}
    endpoints = find_endpoints(run.session_dir)
    assert endpoints is not None
    assert endpoints.directory is not None
    assert endpoints.query.startswith("ipc://")
    assert endpoints.directory.stat().st_mode & 0o777 == 0o700


def compare(kit, run, tmp_path, movies: int, moments: list[tuple[float, str, float]], seed: int) -> Run:
    raw = tmp_path / "raw"
    for index in range(movies):
        # Particles and rings are not the point; two squares make the order of finding interesting.
        kit.put_movie(raw / f"square{index % 2}" / f"m{index // 2:02d}.tiff", index, count=4)
    undisturbed = run(raw, "undisturbed")
    undisturbed.start()
    kit.wait_for(undisturbed.finished_movies, "the first movie", 240.0)
    sockets_are_private(undisturbed)
    undisturbed.let_finish(400)
    disturbed = run(raw, "disturbed")
    disturbed_session(disturbed, movies, moments, random.Random(seed))
    expected, found = undisturbed.tables(), disturbed.tables()
    assert len(expected["movies"]) == movies
    assert {row[3] for row in expected["movies"]} == {1}  # attempts
    same(expected, found)
    nothing_is_left_of(disturbed)
    assert connect(disturbed.session_dir) is None
    return disturbed


@pytest.mark.timeout(900)
def test_three_kills_leave_no_trace_and_nothing_listens_to_the_network(kit, run, tmp_path):
    moments = [(0.0, "daemon", 3.0), (0.25, "worker", 0.1), (0.5, "daemon", 0.2)]
    disturbed = compare(kit, run, tmp_path, 8, moments, seed=1)
    assert disturbed.kills.count("daemon") == 2
    assert "(raylet)" not in disturbed.log.read_text()  # Ray's own words belong into the daemon's log


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_kills_of_daemon_and_workers_in_a_session_of_thirty_movies(kit, run, tmp_path):
    rng = random.Random(20)
    moments = [(rng.random(), rng.choice(["daemon", "worker"]), rng.uniform(0.0, 1.5)) for _ in range(18)]
    # Two more while the daemon and its Ray are still starting.
    moments += [(0.0, "daemon", 0.3), (0.0, "daemon", 2.5)]
    disturbed = compare(kit, run, tmp_path, 30, moments, seed=2)
    assert len(disturbed.kills) >= 15, disturbed.kills
