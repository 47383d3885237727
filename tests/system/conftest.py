"""Sessions for the system tests: tiny movies, a daemon in a thread without Ray, a daemon in a process with it."""

from __future__ import annotations

import concurrent.futures as cf
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ray_errors import EXCEPTIONS, RayActorError, RayTaskError
from scipy import ndimage

from frazil.actors import ray_runtime
from frazil.config.loading import load_settings
from frazil.daemon.app import Daemon
from frazil.daemon.client import Client, connect
from frazil.daemon.session.options import DaemonOptions, ExitReport
from frazil.daemon.transport.messages import LiveState
from frazil.models.formats.tiff_write import write_movie_tiff

PIXEL_SIZE_ANGSTROM = 1.3
QUICK = {
    "intake.settle_s": 0.2,
    "intake.scan_interval_s": 0.2,
    "intake.sidecar_wait_s": 0.2,
    "intake.incomplete_timeout_s": 6.0,
    "motion.patch_grid_x": 1,
    "motion.patch_grid_y": 1,
    "ctf.box_px": 128,
    "workers.count": 1,
    "workers.threads": 1,
    "evaluation.sandbox": False,
    # Which round is judged when an epoch closes is a matter of pace; sessions are compared to the last bit here.
    "causal.hear_verdicts": False,
    "store.min_free_disk_gb": 0.05,
}
"""Settings that make minutes of a real session seconds of a test."""


# --- movies --------------------------------------------------------------------------------------------------------


def frames(
    seed: int,
    *,
    count: int = 6,
    size_px: int = 128,
    e_per_px: float = 1.0,
    sensitivity: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Counts of a scene of blobs that moves by a pixel or two a frame."""
    rng = np.random.default_rng(seed)
    scene = ndimage.gaussian_filter(rng.normal(size=(size_px, size_px)), 4.0, mode="wrap")
    light = np.maximum(1.0 + 0.3 * scene / scene.std(), 0.1)
    step = rng.integers(-2, 3, 2)
    moved = np.stack([np.roll(light, tuple(index * step), (0, 1)) for index in range(count)])
    return rng.poisson(e_per_px * moved * (1.0 if sensitivity is None else sensitivity)).astype(np.uint8)


def put_movie(path: Path, seed: int, **kwargs: Any) -> Path:
    """A whole LZW movie, by rename, as good transfers do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_movie_tiff(path, frames(seed, **kwargs), pixel_size_angstrom=PIXEL_SIZE_ANGSTROM)
    return path


# --- Ray without Ray: an actor is a thread -------------------------------------------------------------------------


class KillsItsProcessError(BaseException):
    """Raised inside an actor: its process ends (a segfault, the memory killer)."""


class _Actor:
    def __init__(self, cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._pool = cf.ThreadPoolExecutor(1)
        self._futures: list[cf.Future[Any]] = []
        self._made = self._pool.submit(cls, *args, **kwargs)
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *args: self._call(name, args))

    def _call(self, name: str, args: tuple[Any, ...]) -> cf.Future[Any]:
        future: cf.Future[Any] = cf.Future()
        self._futures.append(future)
        if self.dead:
            future.set_exception(RayActorError("dead"))
        else:
            self._pool.submit(self._run, future, name, args)
        return future

    def _run(self, future: cf.Future[Any], name: str, args: tuple[Any, ...]) -> None:
        try:
            value = getattr(self._made.result(), name)(*args)
        except KillsItsProcessError:
            self.die()
        except Exception as error:  # what Ray does at this border
            if not future.done():
                future.set_exception(RayTaskError(error))
        else:
            if not future.done():
                future.set_result(value)

    def die(self) -> None:
        self.dead = True
        for future in self._futures:
            if not future.done():
                future.set_exception(RayActorError("dead"))
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Builder:
    def __init__(self, cls: type) -> None:
        self._cls = cls

    def options(self, **_: Any) -> _Builder:
        return self

    def remote(self, *args: Any, **kwargs: Any) -> _Actor:
        return _Actor(self._cls, args, kwargs)


class ThreadRay:
    """The part of Ray's interface that frazil uses."""

    exceptions = EXCEPTIONS

    def remote(self, cls: type) -> _Builder:
        return _Builder(cls)

    def get(self, future: cf.Future[Any]) -> Any:
        return future.result()

    def kill(self, actor: _Actor, no_restart: bool = True) -> None:
        actor.die()

    def wait(
        self, futures: list[cf.Future[Any]], num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[cf.Future[Any]], list[cf.Future[Any]]]:
        deadline = None if timeout is None else time.monotonic() + timeout
        while sum(future.done() for future in futures) < num_returns:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            cf.wait([future for future in futures if not future.done()], left, cf.FIRST_COMPLETED)
        ready = [future for future in futures if future.done()]
        return ready, [future for future in futures if not future.done()]


class ThreadRuntime:
    """Stands in for `RayRuntime`."""

    private = True

    def __init__(self, **_: Any) -> None:
        self.ray = ThreadRay()

    def gpu_total(self) -> int:
        return 0

    def accelerator_types(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


# --- a session with a daemon in a thread ---------------------------------------------------------------------------


@dataclass
class LiveSession:
    """One raw folder, one session folder, and a daemon that can be started, asked and stopped."""

    root: Path
    raw: Path = field(init=False)
    session_dir: Path = field(init=False)
    report: ExitReport | None = None
    error: BaseException | None = None
    _daemon: Daemon | None = None
    _thread: threading.Thread | None = None
    _client: Client | None = None

    def __post_init__(self) -> None:
        self.raw, self.session_dir = self.root / "raw", self.root / "session"
        self.raw.mkdir(parents=True, exist_ok=True)

    def start(self, *, once: bool = False, **flags: Any) -> None:
        """Start the daemon; flags are settings with `__` for the dot."""
        told = QUICK | {name.replace("__", "."): value for name, value in flags.items()}
        settings = load_settings(preset="simulated", yaml_path=None, environ={}, flags=told)
        self._daemon = Daemon(DaemonOptions(self.raw, self.session_dir, settings, once=once))
        self.report = self.error = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        assert self._daemon is not None
        try:
            self.report = self._daemon.run()
        except BaseException as error:  # for the test to look at
            self.error = error

    def stop(self) -> None:
        """Ask the daemon to stop and wait until it has."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._thread is not None and self._thread.is_alive():
            assert self._daemon is not None
            self._daemon.stop()
        self.join()

    def join(self, timeout_s: float = 60.0) -> ExitReport | None:
        """Wait for the daemon's own end; raises what ended it."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            assert not self._thread.is_alive(), "the daemon does not end"
            self._thread = None
        return self.report

    def client(self) -> Client:
        """Over the socket, as every screen does."""
        if self._client is None:
            self._client = wait_for(lambda: connect(self.session_dir), "the daemon's socket")
        return self._client

    def state(self) -> LiveState:
        """What the screen shows now."""
        return self.client().snapshot()

    def calls_done(self) -> int:
        """Movies that all workers of this daemon have brought a result of."""
        return sum(worker.done for worker in self.state().workers)

    def sql(self, text: str) -> list[dict[str, Any]]:
        rows = self.client().sql(text)
        return [dict(zip(rows.columns, row, strict=True)) for row in rows.rows]

    def movies(self) -> dict[str, dict[str, Any]]:
        """Relative path -> row of its newest generation."""
        rows = self.sql("SELECT * FROM movies ORDER BY relative_path, generation")
        return {row["relative_path"]: row for row in rows}

    def states(self) -> dict[str, str]:
        return {path: row["state"] for path, row in self.movies().items()}

    def wait_state(self, path: str, *states: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Until this movie is in one of the states; returns its row."""

        def look() -> dict[str, Any] | None:
            assert self.error is None, self.error
            row = self.movies().get(path)
            return row if row is not None and row["state"] in states else None

        return wait_for(look, lambda: f"{path} to be {states}; it is {self.movies().get(path)}", timeout_s)

    def alerts(self) -> list[str]:
        return [row["text"] for row in self.sql("SELECT text FROM alerts")]


def wait_for(look: Callable[[], Any], what: str | Callable[[], str], timeout_s: float = 60.0) -> Any:
    """The first true answer of `look`; fails loudly when the time is up."""
    deadline = time.monotonic() + timeout_s
    while not (answer := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:.0f} s in vain for {what if isinstance(what, str) else what()}")
        time.sleep(0.05)
    return answer


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveSession]:
    """A session whose daemon runs in a thread of this process, with real workers but without Ray."""
    monkeypatch.setattr(ray_runtime, "RayRuntime", ThreadRuntime)
    session = LiveSession(tmp_path)
    yield session
    session.stop()


@pytest.fixture(scope="module")
def module_live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSession]:
    """As `live`, shared by the tests of one file."""
    patch = pytest.MonkeyPatch()
    patch.setattr(ray_runtime, "RayRuntime", ThreadRuntime)
    session = LiveSession(tmp_path_factory.mktemp("session"))
    yield session
    session.stop()
    patch.undo()


# --- a daemon in a process of its own ------------------------------------------------------------------------------


def frazil_command(*words: str | Path) -> list[str]:
    return [sys.executable, "-c", "from frazil.daemon.cli.main import main; main()", *map(str, words)]


def child_environment(**extra: str) -> dict[str, str]:
    """One thread per process: the machine belongs to others too."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **extra}


def start_watch(
    raw: Path, session_dir: Path, *words: str, log: Path, environ: dict[str, str]
) -> subprocess.Popen[bytes]:
    """`frazil watch` in a process of its own."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            frazil_command("watch", raw, "--session", session_dir, *words),
            stdout=sink,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            env=environ,
        )


@dataclass(frozen=True)
class Kit:
    """The helpers above, for tests (which cannot import a conftest)."""

    frames = staticmethod(frames)
    put_movie = staticmethod(put_movie)
    wait_for = staticmethod(wait_for)
    start_watch = staticmethod(start_watch)
    child_environment = staticmethod(child_environment)
    frazil_command = staticmethod(frazil_command)
    kills_its_process = KillsItsProcessError
    pixel_size_angstrom = PIXEL_SIZE_ANGSTROM
    quick = QUICK


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()
