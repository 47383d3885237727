"""`frazil demo`: a simulated microscope, the daemon and, in a terminal, the live screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import UsageError

_MARKER = ".frazil-demo"
_QUIET_LOOKS = 4
_SETTINGS = {
    # Nobody waits ten minutes in a demo for the rest of a truncated file.
    "FRAZIL_INTAKE__INCOMPLETE_TIMEOUT_S": "20",
    # The simulated microscope shares the cores with what it feeds.
    "OMP_NUM_THREADS": "1",
    # So that feasibility has something to say.
    "FRAZIL_EVALUATION__GOAL_RESOLUTION_ANGSTROM": "7.5",
    "FRAZIL_EVALUATION__MICROSCOPE_HOURS_LEFT": "1",
}
_VERB = "import sys; from frazil.daemon.cli.main import main; sys.argv[0] = 'frazil'; main()"
"""A namespace package cannot be run with -m, and the script may not be on the PATH."""


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything is written")] = Path("frazil-demo"),
    movies: Annotated[int, typer.Option(min=1, help="How many movies the simulated microscope takes")] = 26,
    pace: Annotated[float, typer.Option(min=0.0, help="Seconds from exposure to exposure")] = 3.0,
    screen: Annotated[
        bool | None, typer.Option("--screen/--no-screen", help="Show the live screen [default: in a terminal]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same session")] = 1,
) -> None:
    """Watch frazil work for a few minutes, without a microscope or a GPU.

    A simulated microscope writes movies of 20S proteasomes with known motion, defocus and damage, among them a
    truncated file, a drift burst and thick ice; the daemon processes them as they come; a summary follows at the end.

    Example: frazil demo --movies 40
    """
    screen = sys.stdout.isatty() and sys.stdin.isatty() if screen is None else screen
    _fresh(folder)
    simulated, session = folder / "microscope", folder / "session"
    faults = [f"truncated:{movies // 3}", f"drift-burst:{movies // 2}", f"thick-ice:{2 * movies // 3}"]
    log = (folder / "demo.log").open("ab")
    typer.echo(f"simulated microscope -> {simulated / 'raw'}\ndaemon               -> {session}", err=True)
    microscope = _start(
        [
            *("simulate", str(simulated), "--movies", str(movies), "--pace", str(pace), "--seed", str(seed)),
            *(word for fault in faults for word in ("--fault", fault)),
        ],
        log,
    )
    daemon: subprocess.Popen[bytes] | None = None
    stopped = False
    try:
        _wait_for_raw(simulated, microscope)
        daemon = _start(
            [
                *("watch", str(simulated / "raw"), "--session", str(session), "--preset", "simulated"),
                *("--gain", str(simulated / "gain.mrc"), "--defects", str(simulated / "defects.mrc")),
                *("--particle-diameter-angstrom", "180", "--symmetry", "D7"),
                *("--initial-map", str(simulated / "truth" / "map.mrc")),
            ],
            log,
            show_progress=not screen,
        )
        ending = threading.Thread(target=_end_when_done, args=(session, microscope, daemon), daemon=True)
        ending.start()
        if screen:
            _show_screen(session, daemon)
        code = daemon.wait()
        if microscope.wait() != 0 or code != 0:
            raise UsageError("the demo failed", path=folder / "demo.log", remedy="read this log for the reason")
    except KeyboardInterrupt:
        stopped = True
    finally:
        for process in (daemon, microscope):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait()
        log.close()
    if stopped:
        typer.echo(
            f"\nstopped. What there is: frazil summary {session}\n"
            f"To go on with it: frazil watch {simulated / 'raw'} --session {session} --once",
            err=True,
        )
        return
    _print_summary(session)


def _fresh(folder: Path) -> None:
    """An empty demo folder; one that an earlier demo made is kept beside it, as the one before."""
    if folder.exists():
        if not (folder / _MARKER).exists():
            raise UsageError("this folder exists and is not a demo's", path=folder, remedy="name another with --folder")
        before = folder.with_name(f"{folder.name}-before")
        if before.exists() and not (before / _MARKER).exists():
            raise UsageError("this folder exists and is not a demo's", path=before, remedy="name another with --folder")
        shutil.rmtree(before, ignore_errors=True)
        folder.rename(before)
        typer.echo(f"the demo that was in {folder} is in {before} now", err=True)
    folder.mkdir(parents=True)
    (folder / _MARKER).touch()


def _start(arguments: list[str], log: object, *, show_progress: bool = False) -> subprocess.Popen[bytes]:
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [sys.executable, "-c", _VERB, *arguments],
        stdout=log,  # type: ignore[call-overload]
        stderr=None if show_progress else subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=_SETTINGS | dict(os.environ),
    )
    return process


def _wait_for_raw(simulated: Path, microscope: subprocess.Popen[bytes]) -> None:
    """The microscope makes its specimen and gain first; movies come after that."""
    while not ((simulated / "raw").is_dir() and (simulated / "gain.mrc").exists()):
        if microscope.poll() is not None:
            raise UsageError("the simulated microscope did not start", remedy="read demo.log for the reason")
        time.sleep(0.2)


def _end_when_done(session: Path, microscope: subprocess.Popen[bytes], daemon: subprocess.Popen[bytes]) -> None:
    """When the microscope has finished and nothing is left to do, tell the daemon to end, map and losses included."""
    from frazil.config.errors import FrazilError
    from frazil.daemon.client import connect

    microscope.wait()
    quiet = 0
    while daemon.poll() is None:
        time.sleep(1.0)
        client = connect(session, timeout_s=2.0)
        if client is None:
            continue
        try:
            state = client.snapshot()
            waiting = sum(state.counts.get(name, 0) for name in ("found", "settling", "queued", "processing", "failed"))
            quiet = quiet + 1 if state.counts and waiting == 0 and state.queue_depth == 0 else 0
            if quiet >= _QUIET_LOOKS:
                client.command("finish")
                return
        except FrazilError:
            continue  # it is starting or ending; poll() will tell
        finally:
            client.close()


def _show_screen(session: Path, daemon: subprocess.Popen[bytes]) -> None:
    from frazil.daemon.client import connect

    while daemon.poll() is None:
        client = connect(session, timeout_s=1.0) if session.is_dir() else None
        if client is not None:
            client.close()
            subprocess.run([sys.executable, "-c", _VERB, "tui", "--session", str(session)], check=False)
            if daemon.poll() is None:
                typer.echo(
                    "the screen is detached; waiting for the last movies and verdicts (Ctrl-C ends it) ...",
                    err=True,
                )
            return
        time.sleep(0.3)


def _print_summary(session: Path) -> None:
    subprocess.run([sys.executable, "-c", _VERB, "summary", str(session)], check=True)
    typer.echo(
        f"\nLook further:  frazil summary {session} --html report.html     "
        f"frazil query {session} 'select * from movies'     (./run VERB ... where frazil is not on the PATH)"
    )
