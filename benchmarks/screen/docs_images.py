"""All pictures of the screen, the web page and the summary in docs/images, of one simulated session that is running.

    ./run bench docs_images docs/images            # some minutes on two cores; needs chromium and playwright

A microscope is simulated on a grid of which half is bad, frazil processes its movies, and the pictures are taken while
it runs: what they show is the screen and the page as they are today.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textual.pilot import Pilot

from benchmarks.screen import page_screenshots
from benchmarks.screen.operators_card import browser
from benchmarks.screen.screenshots import press, settled, take
from frazil.config.errors import FrazilError
from frazil.daemon.client import connect
from frazil.daemon.transport.messages import LiveState
from frazil.tui.app import FrazilApp

_MOVIES, _SEED = 40, 1
_PORT = 8266
_LONGEST_S, _QUIET_S = 3600.0, 60.0
"""So long at most; and so long the map stands still when it has taken in what there is."""
_LOOK_S = 6.0
_FRAZIL = (sys.executable, "-c", "import sys; from frazil.daemon.cli.main import main; sys.argv[0] = 'frazil'; main()")
PICTURES = (
    ("tui-live", 200, 60, ""),
    ("tui-live", 120, 40, ""),
    ("tui-live", 80, 24, ""),
    ("tui-movie", 120, 40, "\r"),
    ("tui-movie", 80, 24, "2"),
    ("tui-causes", 120, 40, "c"),
    ("tui-grid", 120, 40, "g"),
    ("tui-map", 120, 40, "m"),
    ("tui-scores", 120, 40, "e"),
)
"""Name, cells, and the keys that lead there."""


def frazil(*words: str, log: Path) -> subprocess.Popen[bytes]:
    """A verb in a process of its own."""
    with log.open("ab") as out:
        return subprocess.Popen([*_FRAZIL, *words], stdout=out, stderr=subprocess.STDOUT)


@contextmanager
def running(place: Path) -> Iterator[Path]:
    """The session's folder, when all of its movies are done and its map and verdicts are there."""
    microscope, start, session, log = (place / name for name in ("microscope", "start", "apoferritin", "log"))
    specimen = ("--structure", "apoferritin", "--seed", str(_SEED))
    grid = ("--grid", "--kind", "half-bad", "--order", "random", "--squares", "6", "--movies", str(_MOVIES))
    for folder, words in ((microscope, grid), (start, ("--movies", "1"))):
        if not folder.exists() and frazil("simulate", str(folder), *words, *specimen, log=log).wait() != 0:
            sys.exit(f"the simulated microscope failed: {log.read_text()[-2000:]}")
    daemon = frazil(
        *("watch", str(microscope / "raw"), "--session", str(session), "--preset", "simulated", "--http", str(_PORT)),
        *("--gain", str(microscope / "gain.mrc"), "--particle-diameter-angstrom", "130", "--symmetry", "O"),
        *("--initial-map", str(start / "truth" / "map.mrc")),
        log=log,
    )
    try:
        _wait(session, daemon, log)
        yield session
    finally:
        daemon.terminate()
        daemon.wait()


def _wait(session: Path, daemon: subprocess.Popen[bytes], log: Path) -> None:
    began_s = changed_s = time.monotonic()
    before: tuple[object, ...] = ()
    while time.monotonic() - began_s < _LONGEST_S:
        if daemon.poll() is not None:
            sys.exit(f"frazil ended: {log.read_text()[-2000:]}")
        state = _state(session)
        if state is not None:
            now = (state.counts, state.particle_count, state.map_round)
            changed_s = changed_s if now == before else time.monotonic()
            before = now
            if _complete(state) and time.monotonic() - changed_s > _QUIET_S:
                return
        time.sleep(3.0)
    sys.exit(f"the session did not come to its end within {_LONGEST_S:.0f} s")


def _state(session: Path) -> LiveState | None:
    try:
        client = connect(session, timeout_s=5.0)
        if client is None:
            return None
        with client:
            return client.snapshot()
    except FrazilError:
        return None  # it is starting, or busy


def _complete(state: LiveState) -> bool:
    ended = sum(state.counts.get(name, 0) for name in ("ready", "rejected", "quarantined"))
    return ended >= _MOVIES and state.map_resolution_angstrom is not None


async def _ready(app: FrazilApp, pilot: Pilot[None]) -> None:
    """Until a movie is shown and nothing is fetched any more, on a machine that has much else to do, too."""
    await asyncio.sleep(_LOOK_S)
    if app.movie_id is None:  # no movie was finished since frazil was started
        await pilot.press("down", "up")
        await asyncio.sleep(_LOOK_S)
    await settled(app)


async def screens(session: Path, out: Path) -> None:
    """Each from a fresh screen."""
    for name, width, height, keys in PICTURES:
        app = FrazilApp(session)
        async with app.run_test(size=(width, height)) as pilot:
            await _ready(app, pilot)
            await press(app, pilot, keys)
            await _ready(app, pilot)
            await take(app, out, f"{name}-{width}x{height}")
            (out / f"{name}-{width}x{height}.svg").unlink()


def summary(session: Path, out: Path, program: str) -> None:
    """The top of the summary's page."""
    with tempfile.TemporaryDirectory(prefix="fz") as place:
        report = Path(place) / "report.html"
        subprocess.run([*_FRAZIL, "summary", str(session), "--html", str(report)], check=True)
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={place}/profile", "--window-size=1100,1400"]
        subprocess.run(
            [*command, f"--screenshot={(out / 'summary-page.png').resolve()}", report.as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--keep", type=Path, help="make the session in this folder, or go on with the one that is there"
    )
    given = parser.parse_args()
    program = browser()
    if program is None:
        sys.exit("no chromium on PATH")
    os.environ |= {"COLORTERM": "truecolor", "OMP_NUM_THREADS": "1"}
    place = given.keep or Path(tempfile.mkdtemp(prefix="fz"))
    place.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        with running(place) as session:
            asyncio.run(screens(session, given.out))
            summary(session, given.out, program)
            page_screenshots.take_all(f"http://127.0.0.1:{_PORT}", given.out, program)
    finally:
        if given.keep is None:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
