"""A synthetic session (seeded rows) behind the daemon's real sockets, and the screen as text."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from textual.pilot import Pilot

from benchmarks.screen.synthetic_session import SyntheticService, make_rows
from frazil.daemon.transport.server import QueryServer
from frazil.tui.app import FrazilApp

if TYPE_CHECKING:
    from benchmarks.screen.synthetic_session import Row


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sockets in a short private directory; clocks in UTC; many colours."""
    directory = Path(tempfile.mkdtemp(prefix="fz"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
    fallback = SimpleNamespace(gettempdir=lambda: str(directory))
    monkeypatch.setattr("frazil.daemon.transport.endpoints.tempfile", fallback)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLORTERM", "truecolor")
    time.tzset()
    yield directory
    monkeypatch.undo()
    time.tzset()
    shutil.rmtree(directory, ignore_errors=True)


class Session:
    """A daemon that a test may stop, start and change."""

    def __init__(self, directory: Path, movies: int) -> None:
        self.directory = directory
        self.service = SyntheticService(make_rows(movies, seed=1))
        self.server: QueryServer | None = None

    def start(self) -> None:
        self.server = QueryServer(self.directory, self.service)
        self.server.start()
        self.publish()

    def stop(self) -> None:
        if self.server is not None:
            self.server.close()
        self.server = None

    def publish(self) -> None:
        assert self.server is not None
        self.server.publish(self.service.snapshot())

    def add(self, rows: list[Row]) -> None:
        """New movies are found."""
        self.service.rows.extend(rows)
        self.service.__post_init__()
        self.publish()

    def app(self) -> FrazilApp:
        return FrazilApp(self.directory, silence_s=0.3)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path, 320)
    session.start()
    yield session
    session.stop()


async def until(pilot: Pilot[None], true: Callable[[], object], what: str = "") -> None:
    """Lets the screen go on until the condition holds; at most 60 s: a machine may have other work, too."""
    deadline_s = time.monotonic() + 60.0
    while time.monotonic() < deadline_s:
        await asyncio.sleep(0.01)
        if true():
            await pilot.pause()
            return
        if pilot.app._exception is not None:
            raise pilot.app._exception
    raise AssertionError(f"never: {what or true}\n{screen_text(pilot.app)}")


async def settle(pilot: Pilot[None]) -> None:
    """Until the first state is shown and nothing is being fetched."""
    app = pilot.app
    assert isinstance(app, FrazilApp)
    await until(pilot, lambda: app.state is not None, "a first state")
    quiet = 0
    while quiet < 10:
        await asyncio.sleep(0.01)
        busy = [worker for worker in app.workers if worker.name != "watch" and not worker.is_finished]
        quiet = 0 if busy else quiet + 1
    await pilot.pause()


def screen_text(app: object) -> str:
    """What a person reads on the screen, line by line."""
    assert isinstance(app, FrazilApp)
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


@pytest.fixture
def tools() -> SimpleNamespace:
    """`until`, `settle`, `screen_text`, `make_rows` for test modules (which cannot import a conftest)."""
    return SimpleNamespace(until=until, settle=settle, screen_text=screen_text, make_rows=make_rows)
