"""Pictures of the screen for the README and docs/tui.md: SVG from Textual, PNG with a browser.

    python benchmarks/screenshots.py OUT [--session DIR]

Without `--session` a synthetic session is shown. PNG needs `chromium` on PATH (a development tool, not a dependency).
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

from synthetic_session import SyntheticService, make_rows

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


async def settled(app: FrazilApp) -> None:
    """Until nothing is being fetched any more."""
    quiet = 0
    while quiet < 8:
        await asyncio.sleep(0.1)
        quiet = quiet + 1 if all(worker.name == "watch" or worker.is_finished for worker in app.workers) else 0


async def tour(session: Path, out: Path) -> None:
    """The live screen in three sizes; the panes and dialogs of the smallest."""
    for width, height in SIZES:
        app = FrazilApp(session)
        async with app.run_test(size=(width, height)) as pilot:
            await asyncio.sleep(1.0)
            await settled(app)
            await take(app, out, f"live-{width}x{height}")
            if width == 80:
                for key, pane in zip("234", ("movie", "trends", "workers"), strict=True):
                    await pilot.press(key)
                    await settled(app)
                    await take(app, out, f"{pane}-80x24")
                await pilot.press("1", "c")
                await settled(app)
                for key, pane in zip("123", ("causes", "advice", "loss-spectrum"), strict=True):
                    await pilot.press(key)
                    await settled(app)
                    await take(app, out, f"{pane}-80x24")
                await pilot.press("m")
                await settled(app)
                for key, pane in zip("1234", ("map-words", "map-fsc", "map-picture", "map-growth"), strict=True):
                    await pilot.press(key)
                    await settled(app)
                    await take(app, out, f"{pane}-80x24")
                await pilot.press("m", "r")
                await settled(app)
                await take(app, out, "reject-80x24")
            else:
                await pilot.press("enter")
                await settled(app)
                await take(app, out, f"movie-{width}x{height}")
                await pilot.press("escape", "c")
                await settled(app)
                await take(app, out, f"causes-{width}x{height}")
                await pilot.press("m")
                await settled(app)
                await take(app, out, f"map-{width}x{height}")
                await pilot.press("m", "question_mark")
                await settled(app)
                await take(app, out, f"help-{width}x{height}")


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
    service = SyntheticService(make_rows(1200, 1), blocked=given.blocked)
    with tempfile.TemporaryDirectory(prefix="fz") as place:
        os.environ["XDG_RUNTIME_DIR"] = place
        with QueryServer(Path(place), service) as server:
            server.publish(service.snapshot())
            asyncio.run(tour(Path(place), given.out))


if __name__ == "__main__":
    main()
