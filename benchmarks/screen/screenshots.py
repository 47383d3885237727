"""Pictures of the screen for the README and docs/tui.md: SVG from Textual, PNG with a browser.

    ./run bench screenshots OUT [--session DIR]

Without `--session` a synthetic session is shown. PNG needs `chromium` on PATH, and is made small by
`pngquant` if that is there (development tools, not dependencies).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from benchmarks.screen.synthetic_grid import SyntheticGrid
from benchmarks.screen.synthetic_session import SyntheticService, make_rows
from frazil.daemon.client import connect
from frazil.daemon.transport.server import QueryServer
from frazil.tui.app import FrazilApp

SIZES = ((80, 24), (120, 40), (200, 60))


async def take(app: FrazilApp, out: Path, name: str) -> None:
    """One picture of what is on the screen now."""
    svg = out / f"{name}.svg"
    svg.write_text(app.export_screenshot(title=f"frazil tui, {app.size.width} x {app.size.height}"))
    to_png(svg)


def to_png(svg: Path) -> None:
    """Renders with a headless browser, whose text layout is that of a terminal."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        print(f"{svg}: no chromium on PATH, no PNG")
        return
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg.read_text())
    assert box is not None
    width, height = (round(float(number)) for number in box.groups())
    page = svg.with_suffix(".html")
    page.write_text(f'<body style="margin:0;background:#000"><img src="{svg.name}" width="{width}"></body>')
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
        f"--window-size={width},{height}", f"--screenshot={svg.with_suffix('.png')}", page.resolve().as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page.unlink()
    quantizer = shutil.which("pngquant")
    if quantizer is not None:  # few colours: a third of the bytes
        png = str(svg.with_suffix(".png"))
        subprocess.run([quantizer, "--force", "--speed", "8", "--output", png, "64", png], check=True, timeout=120)


async def settled(app: FrazilApp) -> None:
    """Until nothing is being fetched any more."""
    quiet = 0
    while quiet < 8:
        await asyncio.sleep(0.1)
        quiet = quiet + 1 if all(worker.name == "watch" or worker.is_finished for worker in app.workers) else 0


SMALL = (
    ("live", ""), ("movie", "2"), ("trends", "3"), ("workers", "4"),
    ("causes", "1c"), ("advice", "2"), ("loss-spectrum", "3"),
    ("grid-squares", "g"), ("grid-holes", "2"), ("grid-next", "3"),
    ("map-words", "m"), ("map-fsc", "2"), ("map-picture", "3"), ("map-growth", "4"),
    ("scores", "e"), ("evidence", "2"), ("score-rounds", "3"),
    ("system", "y"), ("stages", "2"), ("quarantine", "3"), ("journal", "4"),
    ("reject", "yr"),
)  # fmt: skip
LARGE = (
    ("live", ""), ("movie", "\r"), ("causes", "\x1bc"), ("grid", "g"), ("map", "m"), ("scores", "e"),
    ("system", "y"), ("help", "?"),
)  # fmt: skip
"""Pictures and the keys that lead from one to the next."""
_KEYS = {"\r": "enter", "\x1b": "escape", "?": "question_mark"}


async def press(app: FrazilApp, pilot: Pilot[None], keys: str) -> None:
    """One key after the other, each when the one before has been followed."""
    for key in keys:
        await pilot.press(_KEYS.get(key, key))
        await settled(app)


async def tour(session: Path, out: Path) -> None:
    """All modes in three sizes; the panes and one dialog of the smallest."""
    for width, height in SIZES:
        app = FrazilApp(session)
        async with app.run_test(size=(width, height)) as pilot:
            await asyncio.sleep(1.0)
            await settled(app)
            for name, keys in SMALL if width == 80 else LARGE:
                await press(app, pilot, keys)
                await take(app, out, f"{name}-{width}x{height}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--session", type=Path, help="a session with a running daemon")
    parser.add_argument("--blocked", action="store_true", help="synthetic: the gain gate blocks")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    os.environ["COLORTERM"] = "truecolor"
    if given.session is not None:
        client = connect(given.session)
        if client is None:
            sys.exit(f"no daemon is running on {given.session}")
        client.close()
        asyncio.run(tour(given.session, given.out))
        return
    service = SyntheticService(make_rows(1200, 1), blocked=given.blocked, grid=SyntheticGrid())
    with tempfile.TemporaryDirectory(prefix="fz") as place:
        os.environ["XDG_RUNTIME_DIR"] = place
        with QueryServer(Path(place), service) as server:
            server.publish(service.snapshot())
            asyncio.run(tour(Path(place), given.out))


if __name__ == "__main__":
    main()
