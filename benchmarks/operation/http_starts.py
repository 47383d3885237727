"""Is a session's page up in time on a machine whose cores are all busy?

    ./run bench http_starts [--starts 30] [--busy 20] [--json OUT.json]

Each start is a process of its own with its own Ray: a session's store and sockets, and HTTP as `frazil watch --http`
starts it, beside busy loops that give way to nobody. Measured from the start of HTTP, when Ray is
up, to the first answer. The claim: every start is up within 90 s (exit 1 if not).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.own_process import command_of
from frazil.actors.ray_runtime import RayRuntime
from frazil.daemon.http.ray_start import serve_environment
from frazil.daemon.http.server import HttpServer
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.daemon.transport.messages import LiveState
from frazil.daemon.transport.server import QueryServer

LIMIT_S = 90.0
_GIVE_UP_S = 400.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/state", timeout=10) as reply:
            return int(reply.status) == 200
    except (OSError, urllib.error.URLError):
        return False


def one_start() -> dict[str, Any]:
    """In a process of its own."""
    port = free_port()
    told: list[str | None] = []
    with tempfile.TemporaryDirectory(prefix="frazil-starts-") as folder:
        session = Path(folder)
        with Store.open(session, now_utc_us=1) as store:
            store.submit(session_writes.create_session, SessionRow("s", "s", "/raw", 1, "{}", "0")).result()
            service = DaemonService(store, session, lambda command: "", lambda: LiveState(session_name="s"))
            with QueryServer(session, service, version="0"):
                runtime = RayRuntime(cpu_count=os.cpu_count(), environment=serve_environment(port))
                began_s = time.monotonic()
                server = HttpServer(session, port, own_ray=True, tell=told.append)
                try:
                    while not (up := answers(port)) and time.monotonic() - began_s < _GIVE_UP_S:
                        time.sleep(0.25)
                    taken_s = time.monotonic() - began_s
                finally:
                    server.close()
                    runtime.close()
    return {"up": up, "s": round(taken_s, 1), "told": [text for text in told if text]}


_LOOP = "while True: sum(range(100_000))"


def measure(starts: int, busy: int) -> dict[str, Any]:
    """`starts` of them, one after the other, beside `busy` loops."""
    loops = [subprocess.Popen([sys.executable, "-c", _LOOP]) for _ in range(busy)]
    found = []
    try:
        for number in range(starts):
            done = subprocess.run(
                command_of("operation.http_starts", "--one"), capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                found.append(json.loads(done.stdout.splitlines()[-1]))
            else:  # it did not even come to HTTP: a start that was not up
                found.append({"up": False, "s": _GIVE_UP_S, "told": done.stderr.splitlines()[-1:]})
            print(f"start {number + 1}: {found[-1]}", flush=True)
    finally:
        for one in loops:
            one.kill()
            one.wait()
    taken_s = sorted(one["s"] for one in found)
    return {
        "starts": starts,
        "busy_loops": busy,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[2], 1),
        "up": sum(one["up"] for one in found),
        "within_limit": sum(one["up"] and one["s"] <= LIMIT_S for one in found),
        "told": sum(bool(one["told"]) for one in found),
        "median_s": taken_s[len(taken_s) // 2],
        "longest_s": taken_s[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=30)
    parser.add_argument("--busy", type=int, default=10 * (os.cpu_count() or 1))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one_start()))
        return
    result = measure(given.starts, given.busy)
    print(json.dumps(result, indent=1))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if result["within_limit"] == given.starts else 1)


if __name__ == "__main__":
    main()
