"""A fault that begins in a running session: how many movies later the screen says what it is, and who is told.

    ./run bench planted_faults [--faults drift thick-ice gain coma disk worker sidecars] [--seed 3201]
        [--before 16] [--movies 10] [--keep DIR] [--pictures DIR] [--json OUT]

Movies of `causal_sessions.py` (1024 x 1024, physics that shares no code with frazil) come one after the other to a
`frazil watch` of their own: `--before` in order, then with the fault. The mode *Live* is what a person has at hand:
the real screen at 120 x 40 stands beside it and nobody touches a key. After each movie with the fault its text is read;
what counts is an alert on it in which the cause stands. A mail server and a webhook on loopback count how often they
are told.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from textual.pilot import Pilot

from benchmarks.causal_world.draws import Wanted
from benchmarks.causal_world.sessions import make_session
from benchmarks.operation.alert_sinks import Sinks, alert_sinks
from benchmarks.real_data import shared_data
from frazil.tui.app import FrazilApp

SIZE = (120, 40)
_LOOK_S = 12.0
"""A movie's causes come a few seconds after its result."""
_RESULT_S = 300.0
_ONCE_S = 8.0
"""A second message would come in this time."""
_GB = 1 << 30


@dataclass(frozen=True, slots=True)
class Fault:
    """What is planted, and the words by which a person knows it: one of them must stand in an alert on the screen."""

    words: tuple[str, ...]
    change: str | None = None
    """Of `causal_draws.CHANGES`."""


FAULTS = {
    "drift": Fault(("motion inside frames", "motion before correction", "drift"), "drift_burst"),
    "thick-ice": Fault(("ice thickness", "rings and ice changed"), "thick_ice"),
    "gain": Fault(("gain",), "gain"),
    "coma": Fault(("coma and astigmatism",), "coma"),
    "disk": Fault(("GB are free", "fills its disk")),
    "worker": Fault(("worker",)),
    "sidecars": Fault(("sidecars",)),
    "nothing": Fault(()),
}
"""With `nothing` what counts are false alarms."""


class Surroundings:
    """The faults that are not in the movies."""

    def __init__(self, fault: str, work: Path) -> None:
        self._fault, self._work = fault, work
        self.ballast = work / "ballast"
        free = shutil.disk_usage(work).free
        self.floor_gb = (free - 4 * _GB) / _GB if fault == "disk" else None

    def fill_disk(self) -> None:
        if self._fault == "disk":
            with self.ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, 6 * _GB)

    async def kill_worker(self, daemon_pid: int) -> None:
        """In the middle of a movie."""
        while self._fault == "worker":
            if busy := _busy_workers(daemon_pid):
                os.kill(busy[0], signal.SIGKILL)
                return
            await asyncio.sleep(0.2)

    def end(self) -> None:
        self.ballast.unlink(missing_ok=True)


def _busy_workers(daemon_pid: int) -> list[int]:
    """Process ids of the daemon's frame workers that have a movie in hand; they are grandchildren of it."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                names[int(entry.name)] = (entry / "cmdline").read_text()
    found = []
    for pid in (pid for pid, name in names.items() if name.startswith("ray::FrameWorker.process")):
        above = pid
        while above in parents and above != daemon_pid:
            above = parents[above]
        if above == daemon_pid:
            found.append(pid)
    return sorted(found)


class Delivery:
    """Movies one at a time, as a transfer that ends with a rename."""

    def __init__(self, made: Path, raw: Path, late_sidecars_from: int | None) -> None:
        self._made, self._raw, self._late_from = made, raw, late_sidecars_from
        self._movies = json.loads((made / "truth.json").read_text())["movies"]

    def deliver(self, index: int) -> str:
        """The movie's file and, unless it is to be late, its sidecar before it."""
        row = self._movies[index]
        if self._late_from is None or index < self._late_from:
            self._move(row["sidecar"])
        self._move(row["file"])
        return str(row["file"])

    def late(self, index: int) -> None:
        """The sidecar that comes when its movie has been taken."""
        if self._late_from is not None and index >= self._late_from:
            self._move(self._movies[index]["sidecar"])

    def _move(self, name: str) -> None:
        target = self._raw / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        shutil.copyfile(self._made / "raw" / name, partial)
        partial.rename(target)


@dataclass(frozen=True, slots=True)
class Played:
    """How long a session goes on before the fault and with it."""

    fault: str
    before: int
    movies: int
    seed: int

    @property
    def end(self) -> int:
        return self.before + self.movies


async def play(played: Played, work: Path, sinks: Sinks, picture: Path | None) -> dict[str, object]:
    """One session; what the screen said and when."""
    planted, made, raw = FAULTS[played.fault], work / "made", work / "raw"
    _make(played, made)
    raw.mkdir()
    surroundings = Surroundings(played.fault, work)
    watch = _watch(work, sinks, surroundings)
    delivery = Delivery(made, raw, played.before if played.fault == "sidecars" else None)
    app = FrazilApp(work / "session")
    said: dict[str, object] = {"named_after_movies": None, "words": "", "alert": None, "mails_and_posts": None}
    try:
        watch.wait(bool, 60.0)
        async with app.run_test(size=SIZE) as pilot:
            said |= await _until_named(played, pilot, app, watch, delivery, surroundings)
            told = _alert_in_store(work / "session", planted)
            if told is not None:
                await _until(pilot, lambda: min(sinks.times_told(str(told["alert"]))) > 0, 30.0)
                await asyncio.sleep(_ONCE_S)
            if picture is not None:
                picture.write_text(app.export_screenshot(title=f"frazil: {played.fault}"))
    finally:
        surroundings.end()
        watch.stop()
    if told is not None:
        said |= told | {"mails_and_posts": sinks.times_told(str(told["alert"]))}
    rows = shared_data.rows(work / "session", "SELECT text FROM alerts WHERE severity <> 'info' ORDER BY opened_utc_us")
    said["other_alerts"] = [row["text"] for row in rows if not any(word in row["text"] for word in planted.words)]
    return said


def _make(played: Played, made: Path) -> None:
    """The session's movies; a change that is not wanted comes after its end."""
    change = FAULTS[played.fault].change
    wanted = Wanted(
        seed=played.seed,
        kind="change",
        movies=played.end,
        change=change or "gain",
        change_at=played.end if change is None else played.before,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        make_session(made, wanted)


def _watch(work: Path, sinks: Sinks, surroundings: Surroundings) -> shared_data.Watch:
    config: dict[str, object] = {"alerts": sinks.settings()}
    if surroundings.floor_gb is not None:
        config["store"] = {"min_free_disk_gb": surroundings.floor_gb}
    (work / "config.yaml").write_text(yaml.safe_dump(config))
    instrument = json.loads((work / "made" / "truth.json").read_text())["session"]["instrument"]
    return shared_data.Watch(
        work / "raw", work / "session",
        "--config", work / "config.yaml", "--gain", work / "made" / "gain.mrc", "--workers", 2,
        "--pixel-size-angstrom", instrument["pixel_size_angstrom"], "--cs-mm", instrument["cs_mm"],
        "--voltage-kv", 300,
    )  # fmt: skip


async def _until_named(
    played: Played,
    pilot: Pilot[None],
    app: FrazilApp,
    watch: shared_data.Watch,
    delivery: Delivery,
    surroundings: Surroundings,
) -> dict[str, object]:
    """Movie by movie, until the screen names what was planted."""
    for index in range(played.end):
        if index == played.before:
            surroundings.fill_disk()
        delivery.deliver(index)
        if index == played.before:
            await surroundings.kill_worker(watch.process.pid)
        stops = played.fault == "disk" and index >= played.before
        if not stops:
            await _until(pilot, partial(_more_results, app, index), _RESULT_S)
            watch.wait(lambda state: True, 1.0)  # raises if the daemon has ended
        delivery.late(index)
        if index >= played.before and await _until(pilot, lambda: _named(app, FAULTS[played.fault]), _LOOK_S):
            return {"named_after_movies": index - played.before + 1, "words": _alert(app).strip()}
    return {}


def _alert_in_store(session_dir: Path, planted: Fault) -> dict[str, object] | None:
    any_of = " OR ".join(f"contains(text, '{word}')" for word in planted.words) or "false"
    which = f"({any_of}) AND severity <> 'info' ORDER BY opened_utc_us DESC LIMIT 1"
    return next(iter(shared_data.rows(session_dir, f"SELECT text AS alert, remedy FROM alerts WHERE {which}")), None)


def _alert(app: FrazilApp) -> str:
    """The screen's line about alerts, when one is open."""
    return next((line for line in _lines(app) if line.lstrip().startswith("! ") and "alert" in line), "")


def _named(app: FrazilApp, planted: Fault) -> bool:
    return any(word in _alert(app) for word in planted.words)


def _lines(app: FrazilApp) -> list[str]:
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def _results(app: FrazilApp) -> int:
    counts = {} if app.state is None else app.state.counts
    return sum(counts.get(state, 0) for state in ("ready", "rejected", "quarantined"))


def _more_results(app: FrazilApp, than: int) -> bool:
    return _results(app) > than


async def _until(pilot: Pilot[None], true: Callable[[], bool], limit_s: float) -> bool:
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        await asyncio.sleep(1.0)
        if true():
            await pilot.pause()
            return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--seed", type=int, default=3201)
    parser.add_argument("--before", type=int, default=16)
    parser.add_argument("--movies", type=int, default=10)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--pictures", type=Path, help="the screen as SVG, into this folder")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.pictures is not None:
        args.pictures.mkdir(parents=True, exist_ok=True)
    figures: dict[str, object] = {}
    base = args.keep or Path(tempfile.mkdtemp(prefix="frazil-faults-"))
    for number, fault in enumerate(args.faults):
        work = base / fault
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        picture = None if args.pictures is None else args.pictures / f"fault-{fault}.svg"
        with alert_sinks() as sinks:
            said = asyncio.run(play(Played(fault, args.before, args.movies, args.seed + number), work, sinks, picture))
        figures[fault] = said
        when = said["named_after_movies"]
        print(f"{fault:10s} {'not named' if when is None else f'named after {when} movies'}: {said['alert']}")
        print(f"{'':10s} mails, posts: {said['mails_and_posts']}; other alerts: {said['other_alerts']}", flush=True)
        if args.keep is None:
            shutil.rmtree(work)
    shared_data.write_json(args, figures)


if __name__ == "__main__":
    main()
