"""`frazil serve` with sessions that weigh nothing: each takes its session's lock, as `frazil watch` does, and waits.

Run as a script: `serve ROOT SESSIONS RULES` is serve itself with such sessions; `session DIR ...` is one of them. In a
session's folder `starts` has a line for each start; `end-CODE` there ends the session with that exit code.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

from frazil.daemon.store.lock import SessionLock


def command(order) -> list[str]:
    """For `Children`."""
    words = [order.session_dir, order.acquisition, order.settings or "-", order.http_port or "-", order.quiet_s]
    return [sys.executable, __file__, "session", *map(str, words)]


def session(session_dir: Path, *told: str) -> int:
    """Its exit code."""
    asked = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    with SessionLock(session_dir):
        with (session_dir / "starts").open("a") as file:
            gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "-")
            print(os.getpid(), gpus, *told, sep="\t", file=file, flush=True)
        (session_dir / "settings.yaml").touch()
        (session_dir / "motion").mkdir(exist_ok=True)
        while not asked:
            for ending in session_dir.glob("end-*"):
                ending.unlink()
                print(f"frazil: was told to end with {ending.name}", flush=True)
                return int(ending.name.removeprefix("end-"))
            time.sleep(0.02)
    print("stopped by SIGTERM; start again to go on", flush=True)
    return 0


def serve(root: str, sessions: str, rules: str) -> int:
    """Serve in the foreground."""
    from frazil.daemon.serve import supervisor
    from frazil.daemon.serve.children import Children

    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    supervisor._STEP_S = 0.05
    options = supervisor.ServeOptions(Path(root), Path(sessions), Path(rules))
    served = supervisor.Supervisor(options, children=Children(command))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: served.stop())
    served.run()
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "session":
        sys.exit(session(Path(sys.argv[2]), *sys.argv[3:]))
    sys.exit(serve(*sys.argv[2:]))
