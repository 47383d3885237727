"""Pictures of a session's web page for docs/page.md, with the Chromium of this machine.

    ./run bench page_screenshots OUT --page http://127.0.0.1:8265

The page is one that `frazil watch --http` or `frazil page --serve` shows. PNG files are made small by `pngquant` if
that is there (a development tool, not a dependency).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

DESKTOP, PHONE = (1440, 900), (390, 844)
_SETTLED_MS = 2500


def one_exposure(base: str) -> str:
    """The newest kept movie."""
    with urllib.request.urlopen(f"{base}/query/movies?state=ready&sort=ready_utc_us&order=desc&limit=1") as reply:
        table = json.load(reply)
    return str(table["rows"][0][table["columns"].index("movie_id")])


def take(browser: Any, address: str, size: tuple[int, int], target: Path, at: str = "") -> None:
    """`at`: what is scrolled to the top."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(address)
    page.wait_for_function("[...document.images].every(one => one.complete || one.loading === 'lazy')")
    page.wait_for_timeout(_SETTLED_MS)
    if at:
        page.locator(at).evaluate("place => place.scrollIntoView()")
        page.wait_for_timeout(_SETTLED_MS // 2)
    page.screenshot(path=target)
    page.close()
    quantizer = shutil.which("pngquant")
    if quantizer is not None:
        subprocess.run([quantizer, "--force", "--speed", "8", "--output", target, "64", target], check=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


def take_all(page: str, out: Path, chromium: str) -> None:
    """Of the page at this address."""
    from playwright.sync_api import sync_playwright

    exposure = f"{page}/movies/{one_exposure(page)}"
    with sync_playwright() as playwright:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=root)
        take(browser, page + "/", DESKTOP, out / "page-desktop.png")
        take(browser, page + "/", PHONE, out / "page-phone.png")
        take(browser, exposure, DESKTOP, out / "page-movie.png")
        take(browser, page + "/grid", DESKTOP, out / "page-grid.png")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--page", required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    take_all(given.page, given.out, chromium)


if __name__ == "__main__":
    main()
