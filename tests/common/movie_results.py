"""A movie's result for tests that need one and not a worker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from frazil.models.records import (
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

SIDE_PX = 64


def movie_result(movie_id: str = "m", *, frames: int = 4, **fields: Any) -> MovieResult:
    """A movie that stood still, with a reliable CTF and no particle; `fields` are those that the test is about."""
    still = (0.0,) * frames
    plain = MovieResult(
        movie_id=movie_id,
        parameter_hash="p",
        code_version="v",
        prior_version=0,
        header=MovieHeader(f"/raw/{movie_id}.tif", "tiff", frames, SIDE_PX, SIDE_PX, "uint8"),
        pixel_size_angstrom=1.0,
        shifts=FrameShifts(still, still, (0.1,) * frames, 0.0, 0.0, 0.0, converged=True),
        local_motion=None,
        ctf=CtfEstimate(15_000.0, 14_900.0, 20.0, 0.0, 20.0, 20.0, 4.0, 0.4, 0.1, reliable=True),
        spectra=Spectra((), (), (), (), ()),
        quality=Quality(40.0, 1.0, 0, None, 0.0, already_summed=False),
        picks=ParticlePicks(),
        losses=None,
        files=MovieFiles(),
        device=DeviceReport("worker-0", "here", "cpu", "a processor", None, 1),
    )
    return replace(plain, **fields)
