"""A small session with known numbers, pictures and places: what docs/api.md shows answers of, and tests ask."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np

from frazil.daemon.store.engine import Connection
from frazil.daemon.store.rows import AlertRow, MovieRow, ScoreRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.records import (
    AcquisitionMetadata,
    CausalLosses,
    CtfEstimate,
    DeviceReport,
    FrameShifts,
    MovieFiles,
    MovieHeader,
    MovieResult,
    ParticlePicks,
    Quality,
    Spectra,
)

WIDTH_PX, HEIGHT_PX = 96, 64
SPOT_PX = (70, 14)
"""x and y, row 0 first: of the one pick of each movie, and of the one bright spot in its pictures."""
MINUTE_US = 60_000_000
_PIXEL_SIZE_ANGSTROM = 1.5


def fill_session(
    folder: Path,
    store: Store,
    movies: int,
    *,
    name: str,
    alert: str = "less than 20 GB are left",
    first_utc_us: int = 0,
) -> None:
    """Movies a minute apart, of which every tenth is rejected, with pictures, losses, an alert and a verdict."""
    session = SessionRow("s", name, "/data/raw", first_utc_us + 1, "{}", "0", preset="krios-k3")
    store.submit(session_writes.create_session, session).result()
    score = ScoreRow(0, "logic", first_utc_us + 1, "{}", verdict=0.75)
    store.submit(session_writes.record_score, score).result()
    told = AlertRow("warning", "disk", alert, first_utc_us + 1, remedy="free space", alert_id="disk")
    store.submit(session_writes.record_alert, told).result()
    for number in range(movies):
        add_movie(folder, store, number, first_utc_us)


def add_movie(folder: Path, store: Store, number: int, first_utc_us: int = 0) -> None:
    """One more."""
    utc_us = first_utc_us + (number + 1) * MINUTE_US
    _draw(folder, number)
    store.submit(movie_writes.register_movie, _found(number, utc_us)).result()
    rejected = "motion 31 A is above 15 A" if number % 10 == 9 else None

    def record(connection: Connection) -> None:
        movie_writes.record_result(
            connection, _result(number), rejection_reason=rejected, ready_utc_us=utc_us + MINUTE_US // 2, lag_s=30.0
        )

    store.submit(record).result()


def _found(number: int, utc_us: int) -> MovieRow:
    return MovieRow(
        f"m{number:04d}",
        f"square/FoilHole_{number}.tif",
        0,
        utc_us,
        sequence=number,
        stem=str(number),
        pixel_size_angstrom=_PIXEL_SIZE_ANGSTROM,
        metadata=AcquisitionMetadata(
            grid_square=f"GridSquare_{number // 10}",
            hole=f"hole {number}",
            stage_x_um=4.0 * (number % 5),
            stage_y_um=4.0 * (number // 5),
        ),
    )


def _result(number: int) -> MovieResult:
    return MovieResult(
        movie_id=f"m{number:04d}",
        parameter_hash="p",
        code_version="v",
        prior_version=0,
        header=MovieHeader("m.tif", "tiff", 3, HEIGHT_PX, WIDTH_PX, "uint8"),
        pixel_size_angstrom=_PIXEL_SIZE_ANGSTROM,
        shifts=FrameShifts((0.0, 1.0, 1.5), (0.0, 0.5, 2.0), (0.1,) * 3, 3.0, 1.0 + 0.01 * number, 2.0, converged=True),
        local_motion=None,
        ctf=CtfEstimate(15_000.0, 14_900.0, 20.0, 0.0, 20.0, 20.0, 4.0 + 0.01 * number, 0.4, 0.1, reliable=True),
        spectra=Spectra((), (), (), (), ()),
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
        device=DeviceReport("worker-0", "here", "cpu", "a processor", None, 1),
    )


def _draw(folder: Path, number: int) -> None:
    """Pictures whose only bright place is that of the pick; files of pictures have the top row first."""
    image = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    x, y = SPOT_PX
    image[y - 1 : y + 2, x - 1 : x + 2] = 1.0
    for name in ("motion", "restored", "thumbnails"):
        (folder / name).mkdir(exist_ok=True)
    for name in ("motion", "restored"):
        write_mrc(folder / name / f"{number}.mrc", image, pixel_size_angstrom=_PIXEL_SIZE_ANGSTROM)
    gray = np.ascontiguousarray((255 * image[::-1]).astype(np.uint8))
    for name in (f"{number}.png", f"{number}_restored.png"):
        (folder / "thumbnails" / name).write_bytes(imagecodecs.png_encode(gray))
