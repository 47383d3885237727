"""A `ray` without processes, and made-up movies: desks are tested with a real store and nothing to wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from movie_results import movie_result
from ray_errors import EXCEPTIONS

from frazil.config.settings import Settings
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.session.notices import Notices
from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.rows import MovieRow
from frazil.daemon.store.store import Store
from frazil.models.records import (
    AcquisitionMetadata,
    CausalLosses,
    CtfEstimate,
    FrameShifts,
    MovieEvidence,
    MovieFiles,
    MovieHeader,
    MovieResult,
    ParticlePicks,
    Quality,
    Spectra,
)


class FakeRay:
    """`ray` as the desks use it. `answers[method]` is called for a call's answer; what it raises, `get` raises.

    Every call is finished as soon as it is made. `calls` lists (method, arguments); `started` and `ended` count actors.
    """

    exceptions = EXCEPTIONS

    def __init__(self) -> None:
        self.answers: dict[str, Callable[..., Any]] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.started = self.ended = 0

    def remote(self, actor_class: type) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._start))

    def _start(self, *_: Any, **__: Any) -> Any:
        self.started += 1
        return _Actor(self)

    def wait(self, calls: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        assert timeout == 0, "a desk never waits"
        return calls, []

    def get(self, call: Any) -> Any:
        return call()

    def kill(self, actor: Any, no_restart: bool) -> None:
        self.ended += 1


class _Actor:
    def __init__(self, ray: FakeRay) -> None:
        self._ray = ray

    def __getattr__(self, name: str) -> Any:
        def remote(*arguments: Any) -> Callable[[], Any]:
            self._ray.calls.append((name, arguments))
            return lambda: self._ray.answers[name](*arguments)

        return SimpleNamespace(remote=remote)


def desk_result(
    sequence: int,
    *,
    picks: int = 3,
    parameter_hash: str = "h",
    total_angstrom: float = 5.0,
    evidence: MovieEvidence | None = None,
    losses: CausalLosses | None = None,
) -> MovieResult:
    frequency = tuple(np.linspace(0.01, 0.4, 8).tolist())
    x_px = tuple(10.0 * (number + 1) for number in range(picks))
    return movie_result(
        f"m{sequence:03d}",
        parameter_hash=parameter_hash,
        code_version="1",
        header=MovieHeader(f"/raw/{sequence}.tif", "tiff", 2, 64, 64, "uint8"),
        shifts=FrameShifts((0.0, 0.0), (0.0, 0.0), (0.1, 0.1), total_angstrom, 1.0, 1.0, converged=True),
        ctf=CtfEstimate(15_000.0, 14_900.0, 20.0, 0.0, 40.0, 50.0, 4.0, 0.3, 0.1, True),
        spectra=Spectra(frequency, frequency, frequency, frequency, frequency),
        quality=Quality(40.0, 1.0, 3, None, 0.01, already_summed=False),
        picks=ParticlePicks(x_px, x_px, (0.9,) * picks, 150.0),
        losses=losses,
        evidence=evidence,
        files=MovieFiles(
            micrograph=f"motion/{sequence}.mrc", particles=f"particles/{sequence}.mrcs" if picks else None
        ),
    )


@pytest.fixture
def make_result() -> Callable[..., MovieResult]:
    return desk_result


@pytest.fixture
def ray() -> FakeRay:
    return FakeRay()


@pytest.fixture
def runtime(ray: FakeRay) -> Any:
    return SimpleNamespace(ray=ray)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, now_utc_us=1, query_timeout_s=5.0, query_max_rows=1000) as opened:
        yield opened


@pytest.fixture
def context(store: Store, tmp_path: Path) -> Callable[..., SessionContext]:
    """What a room of the session is given; arguments are fields that the test wants otherwise."""

    def make(**changes: Any) -> SessionContext:
        usual = SessionContext(
            store,
            tmp_path,
            Settings(),
            Notices(store, utc_us=lambda: 1),
            clock=lambda: 0.0,
            utc_us=lambda: 1,
            made_with=MadeWith("h", "1"),
        )
        return replace(usual, **changes)

    return make


@pytest.fixture
def put(store: Store, tmp_path: Path) -> Callable[..., MovieResult]:
    """Store a movie with its result, as the daemon does: first the file, then the rows."""

    def write(sequence: int, *, voltage_kv: float | None = 300.0, **changes: Any) -> MovieResult:
        result = desk_result(sequence, **changes)
        row = MovieRow(
            movie_id=result.movie_id,
            relative_path=f"{sequence}.tif",
            generation=0,
            found_utc_us=sequence,
            sequence=sequence,
            stem=str(sequence),
            complete_utc_us=sequence,
            metadata=AcquisitionMetadata(voltage_kv=voltage_kv),
        )
        stored = StoredResult(row, result, 10 + sequence, 1.0)
        result_files.write_result(tmp_path, stored)
        store.submit(rebuild.adopt, stored).result()
        return result

    return write


@pytest.fixture
def alerts(store: Store) -> Callable[[], list[str]]:
    """Texts of all alerts so far."""

    def read() -> list[str]:
        store.flush()
        return [str(row["text"]) for row in store.named("alerts", {"limit": 1000}).as_dicts()]

    return read
