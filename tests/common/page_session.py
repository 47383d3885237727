"""A small session with known pictures and places, and a server for its page in this process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import uvicorn
from movie_results import movie_result

from frazil.daemon.store.rows import AlertRow, MovieRow, ScoreRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.records import (
    AcquisitionMetadata,
    CausalLosses,
    CtfEstimate,
    FrameShifts,
    MovieFiles,
    MovieHeader,
    ParticlePicks,
    Quality,
)

WIDTH_PX, HEIGHT_PX = 96, 64
SPOT_PX = (70, 14)
"""x and y, row 0 first: of the one pick of each movie, and of the one bright spot in its pictures."""
MINUTE_US = 60_000_000


def fill_session(folder: Path, store: Store, movies: int = 30) -> None:
    """Movies, of which every tenth is rejected, with pictures, losses, an alert and a verdict."""
    store.submit(
        session_writes.create_session, SessionRow("s", "grid <4>", "/raw", 1, "{}", "0", preset="krios-k3")
    ).result()
    store.submit(session_writes.record_score, ScoreRow(0, "logic", 1, "{}", verdict=0.75)).result()
    store.submit(
        session_writes.record_alert, AlertRow("warning", "disk", "nearly <b>full</b>", 1, remedy="empty it")
    ).result()
    for number in range(movies):
        add_movie(folder, store, number)


def add_movie(folder: Path, store: Store, number: int) -> None:
    """One more."""
    movie_id, utc_us = f"m{number:04d}", (number + 1) * MINUTE_US
    row = MovieRow(
        movie_id,
        f"square/FoilHole_{number}.tif",
        0,
        utc_us,
        sequence=number,
        stem=str(number),
        pixel_size_angstrom=1.5,
        metadata=AcquisitionMetadata(
            grid_square=f"GridSquare_{number // 10}",
            hole=f"hole {number}",
            stage_x_um=4.0 * (number % 5),
            stage_y_um=4.0 * (number // 5),
        ),
    )
    result = movie_result(
        movie_id,
        header=MovieHeader("m.tif", "tiff", 3, HEIGHT_PX, WIDTH_PX, "uint8"),
        pixel_size_angstrom=1.5,
        shifts=FrameShifts((0.0, 1.0, 1.5), (0.0, 0.5, 2.0), (0.1,) * 3, 3.0, 1.0 + 0.01 * number, 2.0, converged=True),
        ctf=CtfEstimate(15_000.0, 14_900.0, 20.0, 0.0, 20.0, 20.0, 4.0 + 0.01 * number, 0.4, 0.1, reliable=True),
        quality=Quality(40.0, 1.0, 0, None, 0.0, already_summed=False),
        picks=ParticlePicks((float(SPOT_PX[0]),), (float(SPOT_PX[1]),), (0.9,), 30.0),
        losses=CausalLosses(
            ("motion", "ice"), (0.1, 0.2, 0.25), ((0.3,) * 3, (0.1,) * 3), ((0.05,) * 3, (0.05,) * 3), 0, "motion", 0.1
        ),
        files=MovieFiles(
            micrograph=f"motion/{number}.mrc",
            restored=f"restored/{number}.mrc",
            thumbnail=f"thumbnails/{number}.png",
        ),
    )
    _draw(folder, number)
    store.submit(movie_writes.register_movie, row).result()
    rejected = "motion 31 A is above 15 A" if number % 10 == 9 else None
    store.submit(_record, result, rejected, utc_us + MINUTE_US // 2).result()


def _record(connection: Any, result: Any, rejected: str | None, ready_utc_us: int) -> None:
    movie_writes.record_result(connection, result, rejection_reason=rejected, ready_utc_us=ready_utc_us, lag_s=30.0)


def _draw(folder: Path, number: int) -> None:
    """Pictures whose only bright place is that of the pick; files of pictures have the top row first."""
    image = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    x, y = SPOT_PX
    image[y - 1 : y + 2, x - 1 : x + 2] = 1.0
    for name in ("motion", "restored", "thumbnails"):
        (folder / name).mkdir(exist_ok=True)
    for name in ("motion", "restored"):
        write_mrc(folder / name / f"{number}.mrc", image, pixel_size_angstrom=1.5)
    gray = np.ascontiguousarray((255 * image[::-1]).astype(np.uint8))
    for name in (f"{number}.png", f"{number}_restored.png"):
        (folder / "thumbnails" / name).write_bytes(imagecodecs.png_encode(gray))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


@contextlib.contextmanager
def served(app: Any, port: int | None = None) -> Iterator[int]:
    """An ASGI application on loopback; its port."""
    chosen = port if port is not None else free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=chosen, log_level="error", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()
    try:
        deadline_s = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        yield chosen
    finally:
        server.should_exit = True
        thread.join()
