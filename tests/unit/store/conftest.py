"""Made-up movies and results with known numbers, and a store that is closed after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from movie_results import movie_result

from frazil.daemon.store.rows import MovieRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.records import (
    AcquisitionMetadata,
    CausalLosses,
    CtfEstimate,
    DeviceReport,
    FrameShifts,
    LocalMotion,
    MovieFiles,
    MovieHeader,
    MovieResult,
    ParticlePicks,
    Quality,
    Spectra,
    StageTiming,
)

MakeMovie = Callable[[int], MovieRow]
MakeResult = Callable[[int], MovieResult]


def movie_row(index: int) -> MovieRow:
    return MovieRow(
        movie_id=f"m{index:05d}",
        relative_path=f"GridSquare_{index % 2}/foil_{index}.tif",
        generation=0,
        found_utc_us=1_000_000 * index,
        sequence=index,
        stem=f"foil_{index}",
        file_format="tiff",
        size_bytes=1000 + index,
        mtime_ns=5,
        inode=7,
        voltage_kv=300.0,
        dose_per_frame_e_per_a2=1.0,
        metadata=AcquisitionMetadata(grid_square=f"GridSquare_{index % 2}", cs_mm=2.7, stage_x_um=10.0 * (index % 2)),
        complete_utc_us=1_000_000 * index + 500_000,
    )


def stored_result(index: int, *, frames: int = 8) -> MovieResult:
    rng = np.random.default_rng(index)
    shift_x, shift_y = rng.normal(size=(2, frames))
    frequency = np.linspace(0.01, 0.4, 40)
    return movie_result(
        f"m{index:05d}",
        parameter_hash="parameters-1",
        code_version="0.1.0",
        header=MovieHeader(f"/raw/foil_{index}.tif", "tiff", frames, 512, 768, "uint8"),
        pixel_size_angstrom=1.1,
        shifts=FrameShifts(
            tuple((shift_x - shift_x.mean()).tolist()),
            tuple((shift_y - shift_y.mean()).tolist()),
            (0.1,) * frames,
            total_angstrom=10.0 + index,
            early_angstrom=3.0,
            late_angstrom=7.0 + index,
            converged=True,
        ),
        local_motion=LocalMotion(
            tuple(rng.normal(size=18).tolist()), tuple(rng.normal(size=18).tolist()), 5, 5, 0.3, accepted=True
        ),
        ctf=CtfEstimate(
            *(15_000.0 + index, 14_000.0, 20.0, 0.0, 40.0, 50.0, 4.0 + 0.1 * index, 0.3, float("nan"), True),
            tilt_angle_deg=31.0,
            tilt_sd_deg=2.5,
        ),
        spectra=Spectra(
            *(tuple(v.tolist()) for v in (frequency, rng.random(40), rng.random(40), rng.random(40))),
            half_frc=tuple(np.linspace(1.0, 0.0, 40).tolist()),
        ),
        quality=Quality(40.0, 1.0, 3, None, 0.01, already_summed=False, flags=("large-motion",)),
        picks=ParticlePicks((10.0, 20.0, 30.0), (11.0, 21.0, 31.0), (0.9, 0.8, 0.7), 150.0),
        losses=CausalLosses(
            ("motion", "ice"),
            (0.1, 0.2),
            ((0.5, 1.0), (0.25, 0.75)),
            ((0.1, 0.1), (0.2, 0.2)),
            prior_version=0,
        ),
        files=MovieFiles(micrograph=f"motion/foil_{index}.mrc", thumbnail=f"thumbnails/foil_{index}.png"),
        device=DeviceReport("worker-0", "here", "cpu", "a processor", None, 1234),
        timings=(StageTiming("read", 0.25), StageTiming("align", 2.0)),
    )


@pytest.fixture(scope="session")
def make_movie() -> MakeMovie:
    return movie_row


@pytest.fixture(scope="session")
def make_result() -> Callable[..., MovieResult]:
    return stored_result


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    session_dir = tmp_path / "session"
    session_dir.mkdir()
    with Store.open(session_dir, now_utc_us=1, query_timeout_s=5.0, query_max_rows=1000) as opened:
        yield opened


@pytest.fixture
def filled(store: Store) -> Store:
    """Six movies: 0-3 ready, 4 rejected, 5 quarantined."""
    return fill(store)


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The same as `filled`, shared by the tests of a module that do not change it."""
    with Store.open(
        tmp_path_factory.mktemp("shared"), now_utc_us=1, query_timeout_s=5.0, query_max_rows=1000
    ) as opened:
        yield fill(opened)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A session in which nothing has happened, shared by the tests of a module that do not change it."""
    with Store.open(tmp_path_factory.mktemp("empty"), now_utc_us=1) as opened:
        yield opened


def fill(store: Store) -> Store:
    pending: list[Future[Any]] = [
        store.submit(
            session_writes.create_session,
            SessionRow("s1", "night", "/raw", 1, "a: 1\n", "0.1.0", amplitude_contrast=0.1),
        )
    ]
    for index in range(6):
        row = movie_row(index)
        pending.append(store.submit(movie_writes.register_movie, row))
        pending.append(store.submit(movie_writes.start_attempt, row.movie_id))
        if index < 5:
            reason = "astigmatism 6000 A, the limit is 5000 A" if index == 4 else None
            pending.append(
                store.submit(
                    movie_writes.record_result,
                    stored_result(index),
                    ready_utc_us=1_000_000 * index + 2_000_000,
                    lag_s=2.0 + index,
                    rejection_reason=reason,
                )
            )
    evidence = {"error": "Truncated"}
    reason = "the file ends in frame 3"
    pending.append(store.submit(movie_writes.quarantine, "m00005", stage="read", reason=reason, evidence=evidence))
    for future in pending:
        future.result()
    return store
