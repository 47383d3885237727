"""A short private runtime directory per test (socket paths are limited to 107 bytes) and a service that answers from
what the test put there."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from frazil.config.errors import NotThereError, QueryError
from frazil.daemon.transport.messages import (
    Command,
    Done,
    LiveState,
    NamedQuery,
    Picture,
    PictureReply,
    Rows,
    Sql,
)


@dataclass
class RecordingService:
    """Echoes; remembers commands; a query named `wait` blocks until the test lets it go."""

    commands: list[Command] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def named(self, request: NamedQuery) -> Rows:
        if request.name == "wait":
            self.waiting.release()
            assert self.may_go_on.wait(30)
        if request.name == "broken":
            raise ZeroDivisionError("a fault of ours")
        if request.name == "huge":
            return Rows(("a",), (("x" * (65 << 20),),))
        return Rows(("name", *request.params), ((request.name, *request.params.values()),), total=1)

    def sql(self, request: Sql) -> Rows:
        raise QueryError("only reading is allowed", remedy="write a select")

    def picture(self, request: Picture) -> PictureReply:
        if request.movie_id == "none":
            raise NotThereError("no thumbnail yet", path="none.png", remedy="wait for the movie")
        return PictureReply(request.max_width_px, 2, bytes(range(request.max_width_px)) * 2)

    def command(self, request: Command) -> Done:
        self.commands.append(request)
        return Done(f"{request.name} {len(self.commands)}")

    def snapshot(self) -> LiveState:
        return LiveState(sequence=7, session_name="from the service")


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="fz"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    fallback = SimpleNamespace(gettempdir=lambda: str(directory))
    monkeypatch.setattr("frazil.daemon.transport.endpoints.tempfile", fallback)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def service() -> Iterator[RecordingService]:
    service = RecordingService()
    yield service
    service.may_go_on.set()
