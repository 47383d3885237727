"""The session's page in real Chromium: on desktop and phone, live, cut off and back, without a script, in one file."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from page_session import fill_session, free_port, served

from frazil.daemon.http.api import HttpRules
from frazil.daemon.http.app import HttpApp, make_api
from frazil.daemon.http.cache import TimeBudget
from frazil.daemon.http.example_session import HEIGHT_PX, SPOT_PX, WIDTH_PX, add_movie
from frazil.daemon.http.file_source import FileSource
from frazil.daemon.http.source import DaemonSource
from frazil.daemon.page.asset_files import asset
from frazil.daemon.page.one_file import one_file
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.status.finished import state_at_rest
from frazil.daemon.store.resting_file import RestingFile
from frazil.daemon.store.store import Store
from frazil.daemon.transport.messages import LiveState
from frazil.daemon.transport.server import QueryServer

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install -e '.[dev]')")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"),
]

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
PAGES = ("/", "/movies", "/movies/m0003", "/grid", "/nothing/here")
WAIT_MS = 60_000


class Live:
    """A running session whose state the test sets, and its page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changes: dict[str, Any] = {}
        self.sequence = 0
        self.store: Store | None = None

    def state(self) -> LiveState:
        self.sequence += 1
        found = LiveState(
            sequence=self.sequence, utc_us=1_700_000_000_000_000 + 1_000_000 * self.sequence, session_name="grid <4>",
            status="running", counts={"ready": 27, "rejected": 3}, ready_per_hour=120.0, alerts_open=1,
        )  # fmt: skip
        return type(found)(**({name: getattr(found, name) for name in found.__struct_fields__} | self.changes))

    @contextlib.contextmanager
    def served(self, port: int, *, fast: float = 1.0) -> Iterator[str]:
        """`fast`: so many times a second's worth of news in a second."""
        source = DaemonSource(
            self.folder, TimeBudget(1e9, 1e9, clock=lambda: 0.0), clock=lambda: fast * time.monotonic()
        )
        app = HttpApp(make_api(source, HttpRules()), event_every_s=1.0 / fast)
        try:
            with served(app, port) as number:
                yield f"http://127.0.0.1:{number}"
        finally:
            app.close()
            source.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    found = Live(tmp_path_factory.mktemp("s"))
    with Store.open(found.folder, now_utc_us=1) as store:
        fill_session(found.folder, store)
        found.store = store
        service = DaemonService(store, found.folder, lambda command: "", found.state)
        with QueryServer(found.folder, service, version="0"):
            yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*root, "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture
def base(live: Live) -> Iterator[str]:
    live.changes = {}
    with live.served(free_port()) as address:
        yield address


@pytest.fixture
def tab(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens tabs; what they ask for and what goes wrong in them is kept at them."""
    contexts = []

    def open_one(size: str = "desktop", **options: Any) -> Any:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.wrong = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("console", lambda line: page.wrong.append(line.text) if line.type == "error" else None)
        page.set_default_timeout(WAIT_MS)
        return page

    yield open_one
    for context in contexts:
        context.close()


def until(page: Any, truth: str) -> None:
    """Asked from outside: the page's policy lets nobody evaluate words within it."""
    end_s = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(truth):
        assert time.monotonic() < end_s, truth
        page.wait_for_timeout(50)


def grave(page: Any) -> list[str]:
    """What axe-core says keeps people out, and all else that it finds against WCAG A and AA."""
    found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    return [f"{one['impact']}: {one['help']}: {one['nodes'][0]['target']}" for one in found.response["violations"]]


@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits_is_usable_by_all_and_asks_nobody_else(base: str, tab: Callable[..., Any], size: str) -> None:
    page = tab(size)
    for path in PAGES[:-1]:
        page.goto(base + path)
        if path == "/":
            page.wait_for_selector(".uplot canvas")
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0], path
        assert grave(page) == [], path
    assert page.wrong == []
    assert {url[: len(base) + 1] for url in page.asked} == {base + "/"}


def test_the_first_screen_of_a_phone_has_the_verdict_and_the_numbers(base: str, tab: Callable[..., Any]) -> None:
    page = tab("phone")
    page.goto(base + "/")
    for place in ("#verdict-lines", "[data-word=kept]", "[data-word=map]", "[data-word=rate]"):
        box = page.locator(place).first.bounding_box()
        assert box["y"] + box["height"] <= SIZES["phone"][1], place
    order = page.eval_on_selector_all("[data-part]", "parts => parts.map(part => part.dataset.part)")
    assert [name for name in order if name in ("verdict", "quality", "advice", "alerts", "machinery")] == [
        "verdict", "quality", "advice", "alerts", "machinery",
    ]  # fmt: skip
    assert order[-1] == "machinery"


def test_without_a_script_the_page_says_the_same(base: str, tab: Callable[..., Any]) -> None:
    page = tab(java_script_enabled=False)
    page.goto(base + "/")
    assert page.locator("[data-word=kept]").inner_text() == "90\u00a0%"
    assert page.locator("figure.plot svg").count() >= 2
    assert "nearly <b>full</b>" in page.locator("#alerts").inner_text()


def test_words_and_parts_follow_the_session(base: str, tab: Callable[..., Any], live: Live) -> None:
    page = tab()
    page.goto(base + "/")
    until(page, "document.querySelector('[data-word=kept]').textContent === '90\u00a0%'")
    # What is refreshed with the parts comes at the next change after a quarter of a minute: here at once.
    page.evaluate("document.body.dataset.here = 'still'")
    live.changes = {"counts": {"ready": 15, "rejected": 15}, "ready_per_hour": 77.0}
    until(page, "document.querySelector('[data-word=kept]').textContent === '50\u00a0%'")
    until(page, "document.querySelector('[data-word=rate]').textContent === '77'")
    assert live.store is not None
    add_movie(live.folder, live.store, 100)
    live.changes = {"counts": {"ready": 16, "rejected": 15}}
    page.wait_for_selector("#newest code:has-text('FoilHole_100')", timeout=WAIT_MS)
    assert page.evaluate("document.body.dataset.here") == "still"  # it was not loaded anew
    assert page.wrong == []


def test_a_lost_connection_is_said_and_comes_back(tab: Callable[..., Any], live: Live) -> None:
    live.changes = {}
    port = free_port()
    page = tab()
    with live.served(port) as base:
        page.goto(base + "/")
        until(page, "document.getElementById('connection').textContent.startsWith('live')")
    until(page, "/^connection lost since \\d\\d:\\d\\d/.test(document.getElementById('connection').textContent)")
    live.changes = {"ready_per_hour": 55.0}
    with live.served(port):
        until(page, "document.getElementById('connection').textContent.startsWith('live')")
        until(page, "document.querySelector('[data-word=rate]').textContent === '55'")
        page.close()


def test_picks_lie_on_what_was_picked(base: str, tab: Callable[..., Any]) -> None:
    page = tab()
    page.goto(base + "/movies/m0003?kind=sum&size=full")
    image, circle = page.locator(".layers img").bounding_box(), page.locator(".picks circle").bounding_box()
    x, y = SPOT_PX
    scale = image["width"] / WIDTH_PX
    assert circle["x"] + circle["width"] / 2 - image["x"] == pytest.approx((x + 0.5) * scale, abs=1.5)
    assert circle["y"] + circle["height"] / 2 - image["y"] == pytest.approx((HEIGHT_PX - y - 0.5) * scale, abs=1.5)
    brightest = page.evaluate(
        """() => {
            const image = document.querySelector('.layers img');
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            const drawing = canvas.getContext('2d');
            drawing.drawImage(image, 0, 0);
            const gray = drawing.getImageData(0, 0, canvas.width, canvas.height).data;
            const bright = [];
            for (let at = 0; at < canvas.width * canvas.height; at++) if (gray[4 * at] > 200) bright.push(at);
            const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
            const [xs, ys] = [(at) => at % canvas.width, (at) => Math.floor(at / canvas.width)];
            return [mean(bright.map(xs)), mean(bright.map(ys))];
        }"""
    )
    assert brightest == pytest.approx([x, HEIGHT_PX - 1 - y], abs=0.6)
    page.locator("#picks").uncheck()
    assert not page.locator(".picks").is_visible()


def test_one_file_needs_nothing_else(
    tab: Callable[..., Any], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("finished")
    with Store.open(folder, now_utc_us=1) as store:
        fill_session(folder, store)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with RestingFile(folder) as reader:
        text = one_file(FileSource(folder, reader, state_at_rest))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    target = tmp_path / "page.html"
    target.write_text(text, encoding="utf-8")
    page = tab()
    page.goto(target.as_uri())
    page.wait_for_selector(".uplot canvas")
    assert page.locator("[data-word=kept]").inner_text() == "90\u00a0%"
    assert page.locator(".cards img").first.evaluate("image => image.naturalWidth") == WIDTH_PX
    page.wait_for_selector(".all-movies.drawn")
    names = page.locator(".all-movies tbody td:nth-child(2)")
    assert names.first.inner_text() == "FoilHole_29.tif"  # fits worst
    page.locator(".all-movies th[data-column=name] button").click()
    assert names.first.inner_text() == "FoilHole_0.tif"
    page.locator("#all-search").fill("rejected")
    until(page, "document.getElementById('all-said').textContent === '3 of 30 movies.'")
    assert names.all_inner_texts() == ["FoilHole_9.tif", "FoilHole_19.tif", "FoilHole_29.tif"]
    assert grave(page) == []
    assert page.wrong == []
    assert [url for url in page.asked if not url.startswith(("data:", target.as_uri()))] == []


def test_of_very_many_movies_only_those_are_drawn_that_are_seen(tab: Callable[..., Any], tmp_path: Path) -> None:
    count = 5000
    columns: dict[str, list[Any]] = {name: [""] * count for name in ("state", "reason")}
    columns |= {name: [None] * count for name in ("time", "defocus", "motion", "particles")}
    columns |= {"name": [f"m{at:05d}.tif" for at in range(count)], "fit": [10.0 - at / 1000 for at in range(count)]}
    packed = base64.b64encode(zlib.compress(json.dumps({"columns": columns}).encode())).decode()
    heads = "".join(f"<th data-column={name} data-digits=2>{name}</th>" for name in columns)
    script = asset("movies.js").replace("export ", "") + "\ndrawMovies();"
    (tmp_path / "page.html").write_text(
        f"<!doctype html><style>{asset('page.css')}</style><p id=all-said></p><div class=all-movies id=all-movies>"
        f"<table><thead><tr>{heads}</tr></thead><tbody></tbody></table></div>"
        f"<script type='text/plain' id=movie-data>{packed}</script><script>{script}</script>"
    )
    page = tab()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".all-movies.drawn")
    rows = page.locator(".all-movies tbody tr:not(.space)")
    assert rows.count() < 60
    assert page.evaluate("document.querySelector('.all-movies').scrollHeight") == pytest.approx(30 * count, rel=0.01)
    page.evaluate("document.querySelector('.all-movies').scrollTop = 1e9")
    until(page, f"document.querySelector('.all-movies').textContent.includes('m{count - 1:05d}.tif')")
    assert rows.count() < 60
    assert rows.last.inner_text().split()[-1] != ""
    seen = page.evaluate(
        "(() => { const region = document.querySelector('.all-movies').getBoundingClientRect();"
        "const last = [...document.querySelectorAll('.all-movies tbody tr')].at(-1).getBoundingClientRect();"
        "return last.bottom - region.bottom })()"
    )
    assert abs(seen) < 40  # the end of the list is where its last row is


def held(page: Any) -> tuple[float, float]:
    """Bytes and nodes of a page after its rubbish was collected."""
    talk = page.context.new_cdp_session(page)
    talk.send("HeapProfiler.collectGarbage")
    talk.send("Performance.enable")
    values = {one["name"]: one["value"] for one in talk.send("Performance.getMetrics")["metrics"]}
    talk.detach()
    return values["JSHeapUsedSize"], values["Nodes"]


@pytest.mark.slow
def test_two_thousand_events_take_no_memory(tab: Callable[..., Any], live: Live) -> None:
    live.changes = {}
    page = tab()
    with live.served(free_port(), fast=50.0) as base:
        page.goto(base + "/")
        page.wait_for_selector(".uplot canvas")
        until(page, "Number(document.body.dataset.events) >= 300")
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        early_bytes, early_nodes = held(page)
        for number in range(1, 18):
            live.changes = {"counts": {"ready": 27 + number, "rejected": 3}}
            until(page, f"Number(document.body.dataset.events) >= {300 + 100 * number}")
        assert page.locator("[data-word=kept]").inner_text() == "94\u00a0%"
        late_bytes, late_nodes = held(page)
        assert page.evaluate("Number(document.body.dataset.events)") >= 2000
        page.close()
    assert late_bytes < 1.2 * early_bytes + 300_000
    assert late_nodes < 1.5 * early_nodes
