"""One simulated movie as a file: TIFF-LZW, MRC of any camera's mode, or EER."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.tiff_write import write_movie_tiff
from frazil.models.simulation.eer_write import EerDescription, split_counts, write_movie_eer
from frazil.models.simulation.movie import SimulatedMovie
from frazil.models.simulation.truth import MovieTruth

FileFormat = Literal["tiff", "mrc", "eer"]
MrcType = Literal["int8", "int16", "float32", "uint16"]
EER_ELECTRONS_PER_PX = 0.1
"""Most electrons per pixel in a raw frame: more would merge in one pixel too often."""


def eer_raw_frames_per_frame(truth: MovieTruth) -> int:
    """Raw frames that one simulated frame becomes."""
    return max(1, math.ceil(truth.expected_counts_per_px_per_frame / EER_ELECTRONS_PER_PX))


def frames_with_faults(movie: SimulatedMovie, faults: tuple[str, ...]) -> Iterator[NDArray[np.uint16]]:
    """The movie's frames, with those faults that lie in the frames."""
    count = movie.frame_count
    last = max(1, count // 2) if "few-frames" in faults else count
    dark_from = count - max(1, count // 4) if "zero-tail" in faults else count
    for number, frame in enumerate(movie.frames()):
        if number >= last:
            return
        yield np.zeros_like(frame) if number >= dark_from else frame


def write_movie(
    path: Path,
    movie: SimulatedMovie,
    *,
    file_format: FileFormat,
    mrc_type: MrcType = "int8",
    faults: tuple[str, ...] = (),
) -> None:
    """Write a movie under `path`; atomic. Counts above the type's range are clipped, as cameras do."""
    frames, pixel = frames_with_faults(movie, faults), movie.settings.pixel_size_angstrom
    if file_format == "tiff":
        write_movie_tiff(path, _as_type(frames, "uint8"), pixel_size_angstrom=pixel)
    elif file_format == "mrc":
        write_mrc(path, np.stack(list(_as_type(frames, mrc_type))), pixel)
    else:
        _write_eer(path, movie, list(frames))


def _as_type(frames: Iterable[NDArray[np.uint16]], name: str) -> Iterator[np.ndarray]:
    for frame in frames:
        limit = np.iinfo(name).max if name != "float32" else 65535
        yield np.minimum(frame, limit).astype(name)


def _write_eer(path: Path, movie: SimulatedMovie, frames: list[NDArray[np.uint16]]) -> None:
    settings, per_frame = movie.settings, eer_raw_frames_per_frame(movie.truth)

    def raw_frames() -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        for number, frame in enumerate(frames):
            yield from split_counts(frame, per_frame, movie.event_rng(number))

    share = len(frames) / movie.frame_count
    write_movie_eer(
        path,
        raw_frames(),
        height_px=movie.height_px,
        width_px=movie.width_px,
        raw_frame_count=per_frame * len(frames),
        description=EerDescription(
            exposure_time_s=settings.frame_time_s * movie.frame_count * share,
            total_dose_e_per_px=movie.truth.expected_counts_per_px_per_frame * len(frames),
            pixel_size_angstrom=settings.pixel_size_angstrom,
        ),
    )
