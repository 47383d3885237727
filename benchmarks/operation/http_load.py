"""Fifty clients over HTTP beside a stream of movies: how much slower do the movies become?

    ./run bench http_load [--rounds 3] [--phase-s 60] [--clients 50] [--size 768] [--json OUT.json]

One session of `frazil watch --http`, fed so that each worker always has one movie in hand and one more waits. Phases
without clients, with dashboards (each client asks for the state, a page of movies and a thumbnail once a second) and
with greedy clients (other pages, trends and micrographs every time, as fast as they are answered) follow each other in
rounds, so that what drifts, drifts for all. A rate is the number of movies a phase has finished by the time from its
first to its last; a lag is from found to ready; beside it: how many cores the daemon, Serve and all others used. The
clients run with niceness 19: they stand for other machines.
The claim: with dashboards the stream has 95 % of its rate and at most 105 % of its lag (exit 1 if not).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.own_process import command_of
from benchmarks.real_data import shared_data
from benchmarks.throughput.scaling import DOSE_E_PER_PX, PIXEL_SIZE_ANGSTROM, write_movies
from frazil.daemon.client import Client, connect

KINDS = ("without", "dashboards", "greedy")
LIMIT = 1.05
_DIFFERENT = 4
_START_S = 300.0


# --- the clients, in a process of their own ------------------------------------------------------------------------


def _paths(kind: str, movie_ids: list[str], number: int) -> Iterator[str]:
    draw = random.Random(number)
    while True:
        movie_id = draw.choice(movie_ids)
        if kind == "dashboards":
            yield from ("/state", "/query/movies?limit=50", f"/thumbnail/{movie_id}")
        else:
            yield f"/query/movies?limit=50&offset={draw.randrange(1000)}"
            yield f"/query/trend?metrics=defocus_um,ctf_fit_angstrom&last={draw.randrange(1, 1000)}"
            yield f"/micrograph/{movie_id}?width_px={draw.randrange(256, 1024)}"


async def _client(port: int, kind: str, movie_ids: list[str], number: int, end_s: float, log: list[Any]) -> None:
    paths = _paths(kind, movie_ids, number)
    if kind == "dashboards":
        await asyncio.sleep(number % 50 / 50)
    while time.monotonic() < end_s:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while time.monotonic() < end_s:
                turn_s = time.monotonic()
                for path in itertools.islice(paths, 3):
                    asked_s = time.monotonic()
                    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = next(
                        int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
                    )
                    await reader.readexactly(length)
                    log.append((int(head[9:12]), time.monotonic() - asked_s))
                if kind == "dashboards":
                    await asyncio.sleep(max(0.0, turn_s + 1.0 - time.monotonic()))
        except (asyncio.IncompleteReadError, ConnectionError):
            log.append((0, 0.0))
        finally:
            writer.close()


async def _crowd(port: int, kind: str, movie_ids: list[str], clients: int, for_s: float) -> dict[str, Any]:
    log: list[tuple[int, float]] = []
    end_s = time.monotonic() + for_s
    tasks = [asyncio.create_task(_client(port, kind, movie_ids, n, end_s, log)) for n in range(clients)]
    # A client may be waiting for an answer when the phase ends.
    _, waiting = await asyncio.wait(tasks, timeout=for_s + 1.0)
    for task in waiting:
        task.cancel()
    waits_s = sorted(seconds for status, seconds in log if status == 200) or [float("nan")]
    return {
        "requests_per_s": round(len(log) / for_s, 1),
        "statuses": dict(sorted(Counter(status for status, _ in log).items())),
        "answer_p50_s": round(waits_s[len(waits_s) // 2], 3),
        "answer_p95_s": round(waits_s[int(0.95 * (len(waits_s) - 1))], 3),
    }


def crowd_process(port: int, kind: str, movie_ids: list[str], clients: int, for_s: float) -> dict[str, Any]:
    """A phase's clients, at the lowest priority."""
    given = json.dumps([port, kind, movie_ids, clients, for_s])
    command = ["nice", "-n", "19", *command_of("operation.http_load", "--crowd", given)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- who uses the cores --------------------------------------------------------------------------------------------


def cpu_s(root: int) -> dict[str, float]:
    """Processor seconds so far of the daemon, of Serve's processes and of all others below the daemon."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
            used[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    found = {"daemon": used.get(root, 0.0), "serve": 0.0, "others": 0.0}
    todo = list(parents.get(root, []))
    while todo:
        pid = todo.pop()
        todo += parents.get(pid, [])
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue
        serve = any(name in words for name in ("ServeReplica", "ProxyActor", "ServeController"))
        found["serve" if serve else "others"] += used.get(pid, 0.0)
    return found


# --- the stream ----------------------------------------------------------------------------------------------------


class Feeder:
    """Copies movies into the raw folder as others become ready; so many are always under way."""

    def __init__(self, templates: Path, raw: Path, client: Client, under_way: int) -> None:
        self._sources = sorted(templates.iterdir())
        self._raw, self._client, self._under_way = raw, client, under_way
        self._stop = threading.Event()
        self._put = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            counts = {row["state"]: row["movies"] for row in self._client.named("counts_by_state").as_dicts()}
            done = sum(int(counts.get(state) or 0) for state in ("ready", "rejected", "quarantined"))
            while self._put < done + self._under_way:
                name = f"movie_{self._put:05d}.tiff"
                whole = self._raw / f".{name}.tmp"
                shutil.copyfile(self._sources[self._put % len(self._sources)], whole)
                whole.rename(self._raw / name)
                self._put += 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def free_port() -> int:
    """Of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def wait_for_http(port: int, watch: subprocess.Popen[bytes], client: Client) -> list[str]:
    """Until there is an answer and at least eight movies are ready; their ids."""
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and watch.poll() is None:
        found = client.sql("SELECT movie_id FROM movies WHERE ready_utc_us IS NOT NULL LIMIT 8")
        ids = [str(row[0]) for row in found.rows]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/state", timeout=5) as reply:
                if reply.status == 200 and len(ids) >= 8:
                    return ids
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.5)
    raise SystemExit(f"the session did not come up: {client.snapshot()}")


def figures_of(times: list[tuple[float, float]], phases: list[tuple[float, float]]) -> dict[str, float]:
    """Of (found, ready) of all movies and (begin, end) of the phases of one kind."""
    seconds = count = 0.0
    lags: list[float] = []
    for begin, end in phases:
        ready = sorted(r for _, r in times if begin <= r <= end)
        if len(ready) > 1:
            seconds, count = seconds + ready[-1] - ready[0], count + len(ready) - 1
        lags += [r - f for f, r in times if begin <= f and r <= end]
    return {
        "movies": int(count),
        "movies_per_h": round(3600.0 * count / seconds, 1) if seconds else float("nan"),
        "lag_mean_s": round(statistics.fmean(lags), 2) if lags else float("nan"),
        "lag_p95_s": round(sorted(lags)[int(0.95 * (len(lags) - 1))], 2) if lags else float("nan"),
    }


@dataclass(slots=True)
class _Phases:
    """What was seen in each phase, by its kind."""

    times: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    crowds: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    cores: dict[str, list[dict[str, float]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The session and its phases."""
    raw, templates, session = folder / "raw", folder / "templates", folder / "session"
    raw.mkdir()
    write_movies(templates, args.size, _DIFFERENT)
    port = free_port()
    watch = _watch(args, raw, session, port, folder / "watch.log")
    try:
        client = None
        while client is None and watch.poll() is None:
            client = connect(session)
            time.sleep(0.2)
        if client is None:
            raise SystemExit((folder / "watch.log").read_text())
        feeder = Feeder(templates, raw, client, under_way=args.workers + 1)
        with connect(session) or client as asking:
            phases = _run_phases(args, watch, port, wait_for_http(port, watch, asking))
            feeder.close()
            rows = asking.sql("SELECT found_utc_us, ready_utc_us FROM movies WHERE ready_utc_us IS NOT NULL").rows
        client.close()
    finally:
        watch.send_signal(signal.SIGINT)
        watch.wait(120)
    return _figures(args, phases, [(int(found or 0) / 1e6, int(ready or 0) / 1e6) for found, ready in rows])


def _watch(args: argparse.Namespace, raw: Path, session: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    command = shared_data.frazil(
        "watch", raw, "--session", session, "--preset", "simulated", "--no-gain", "--workers", args.workers, "--device",
        "cpu", "--pixel-size-angstrom", PIXEL_SIZE_ANGSTROM, "--dose-per-frame-e-per-a2",
        DOSE_E_PER_PX / PIXEL_SIZE_ANGSTROM**2, "--http", port,
    )  # fmt: skip
    environment = {
        **shared_data.environment(), "FRAZIL_WORKERS__THREADS": "1", "FRAZIL_INTAKE__SIDECAR": "ignore",
        "FRAZIL_INTAKE__SETTLE_S": "0.2", "FRAZIL_INTAKE__SCAN_INTERVAL_S": "0.5",
        "FRAZIL_EVALUATION__SANDBOX": "false",
    }  # fmt: skip
    with log.open("wb") as sink:
        return subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)


def _run_phases(args: argparse.Namespace, watch: subprocess.Popen[bytes], port: int, movie_ids: list[str]) -> _Phases:
    phases = _Phases()
    for number, kind in itertools.product(range(args.rounds), KINDS):
        begin, used = time.time(), cpu_s(watch.pid)
        if kind == "without":
            time.sleep(args.phase_s)
        else:
            phases.crowds[kind].append(crowd_process(port, kind, movie_ids, args.clients, args.phase_s))
        end = time.time()
        phases.times[kind].append((begin, end))
        phases.cores[kind].append({who: (s - used[who]) / (end - begin) for who, s in cpu_s(watch.pid).items()})
        shares = " ".join(f"{who} {share:.2f}" for who, share in phases.cores[kind][-1].items())
        crowd = phases.crowds[kind][-1] if phases.crowds[kind] else ""
        print(f"round {number + 1}: {kind}: cores: {shares} {crowd}", flush=True)
    return phases


def _figures(args: argparse.Namespace, phases: _Phases, times: list[tuple[float, float]]) -> dict[str, Any]:
    """`times`: when each movie was found and ready, s."""
    figures = {kind: figures_of(times, phases.times[kind]) for kind in KINDS}
    base, cores = figures["without"], phases.cores
    return {
        "cores": os.cpu_count(), "workers": args.workers, "clients": args.clients, "size_px": args.size,
        "rounds": args.rounds, "phase_s": args.phase_s, "phases": figures, "crowds": phases.crowds,
        "cores_used": {
            kind: {who: round(statistics.fmean(one[who] for one in cores[kind]), 3) for who in cores[kind][0]}
            for kind in KINDS
        },
        "rate_ratio": {kind: round(figures[kind]["movies_per_h"] / base["movies_per_h"], 3) for kind in KINDS},
        "lag_ratio": {kind: round(figures[kind]["lag_mean_s"] / base["lag_mean_s"], 3) for kind in KINDS},
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--phase-s", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--size", type=int, default=768, help="side of a movie in px")
    parser.add_argument("--crowd", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.crowd is not None:
        print(json.dumps(asyncio.run(_crowd(*json.loads(args.crowd)))))
        return 0
    with tempfile.TemporaryDirectory() as name:
        figures = measure(args, Path(name))
    for kind in KINDS:
        line, rate, lag = figures["phases"][kind], figures["rate_ratio"][kind], figures["lag_ratio"][kind]
        print(
            f"{kind:11s} {line['movies_per_h']:7.1f} movies/h (x{rate:.3f})  lag {line['lag_mean_s']:6.2f} s "
            f"(x{lag:.3f}), "
            f"95 % within {line['lag_p95_s']:.2f} s  ({line['movies']} movies)"
        )
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    kept = figures["rate_ratio"]["dashboards"] >= 1 / LIMIT and figures["lag_ratio"]["dashboards"] <= LIMIT
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
