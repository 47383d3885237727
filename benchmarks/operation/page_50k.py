"""The page of a finished session of 50,000 movies in Chromium: how long it takes to stand there.

    ./run bench page_50k --session DIR [--json OUT.json]

DIR is a session that `./run bench store_50k --keep DIR` has made. `frazil page DIR --serve` is started in a process of
its own; then the session's page, the list of movies in its middle, and one exposure are opened three times each, every
time in a fresh profile (nothing is kept from before), until all their requests are answered and the plots stand there.
Beside it: what the start takes until the first answer, and seconds and bytes of the one file. The claim: no page takes
more than 2 s (exit 1 if one does).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LIMIT_S = 2.0
_START_S = 300.0
_VERB = "from frazil.daemon.cli.main import main; main()"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


def wait_for(base: str, server: subprocess.Popen[bytes]) -> None:
    end_s = time.monotonic() + _START_S
    while time.monotonic() < end_s and server.poll() is None:
        try:
            urllib.request.urlopen(base + "/state", timeout=5).close()
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the session is not served")


def opened_s(browser: Any, address: str, ready: str) -> float:
    """Seconds until a page stands there, in a profile that knows nothing; `ready`: what it then has."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = context.new_page()
        began_s = time.perf_counter()
        page.goto(address, wait_until="load")
        page.wait_for_selector(ready, state="attached")
        return time.perf_counter() - began_s
    finally:
        context.close()


def measure(session: Path) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    port = free_port()
    base = f"http://127.0.0.1:{port}"
    began_s = time.perf_counter()
    server = subprocess.Popen([sys.executable, "-c", _VERB, "page", str(session), "--serve", str(port)])
    try:
        wait_for(base, server)
        found: dict[str, Any] = {"start_s": round(time.perf_counter() - began_s, 2)}
        with urllib.request.urlopen(base + "/query/movies?limit=1&offset=20000", timeout=30) as reply:
            table = json.load(reply)
        found["movies"] = table["total"]
        movie_id = table["rows"][0][table["columns"].index("movie_id")]
        pages = {
            "session": ("/", ".uplot canvas"),
            "movies": ("/movies?sort=ctf_fit_angstrom&offset=24000", ".cards li"),
            "exposure": (f"/movies/{movie_id}", ".facts"),
        }
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        with sync_playwright() as playwright:
            root = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=chromium, args=root)
            opened_s(browser, base + "/grid", "h1")  # the browser itself is warm then
            for name, (path, ready) in pages.items():
                found[f"{name}_s"] = [round(opened_s(browser, base + path, ready), 2) for _ in range(3)]
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return found | one_file(session)


def one_file(session: Path) -> dict[str, Any]:
    target = Path(f"{session.resolve()}.html")
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", _VERB, "page", str(session), "--out", str(target)], check=True)
    found = {"one_file_s": round(time.perf_counter() - began_s, 2), "one_file_bytes": target.stat().st_size}
    target.unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--session", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.session)
    worst_s = max(max(found[name]) for name in ("session_s", "movies_s", "exposure_s"))
    found |= {"limit_s": LIMIT_S, "worst_s": worst_s, "load_average": round(os.getloadavg()[0], 1)}
    print(json.dumps(found, indent=1))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if worst_s <= LIMIT_S else 1)


if __name__ == "__main__":
    main()
