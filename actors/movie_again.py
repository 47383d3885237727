"""What is stored of a movie from which it can be processed again without being read, or without being aligned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from frazil.config.errors import FrazilError
from frazil.config.settings import Settings
from frazil.models.formats.image import read_image_2d
from frazil.models.motion.align import AlignedMovie, KnownMotion
from frazil.models.motion.estimate.field import stored_field
from frazil.models.movie_pipeline import Counted
from frazil.models.records import MovieResult


def known_motion(earlier: MovieResult) -> KnownMotion | None:
    """With which the movie's sums can be made again; None: an earlier frazil kept too little of it."""
    if earlier.local_modes is None:
        return None
    return KnownMotion(earlier.shifts, earlier.local_motion, earlier.local_modes)


def counted(earlier: MovieResult) -> Counted:
    """What the earlier result says of the movie's counts."""
    quality = earlier.quality
    return Counted(
        frame_count=earlier.header.frame_count,
        counts_per_px=quality.mean_counts_per_px,
        bad_pixel_count=quality.hot_pixel_count,
        fixed_pattern=quality.fixed_pattern,
        fixed_pattern_rms=quality.fixed_pattern_rms,
    )


def stored_micrograph(session_dir: Path, earlier: MovieResult, *, written_before_ns: int) -> torch.Tensor | None:
    """The dose-weighted sum of an earlier result; None: it is not there any more."""
    return _image(session_dir, earlier.files.micrograph, written_before_ns)


def stored_sums(
    session_dir: Path, earlier: MovieResult, settings: Settings, *, written_before_ns: int
) -> AlignedMovie | None:
    """All sums of an earlier result, from their files; None: not all of them were kept (`motion.save_even_odd`).

    `written_before_ns`: when the earlier result was written. Sums that are newer are those of an attempt that came to
    no result, perhaps with other settings of motion.
    """
    files = earlier.files
    if earlier.local_modes is None:
        return None
    weighted = _image(session_dir, files.micrograph, written_before_ns)
    if weighted is None:
        return None
    field = stored_field(earlier.shifts, earlier.local_modes)
    pixel_size = earlier.pixel_size_angstrom
    if earlier.header.frame_count == 1:
        return AlignedMovie(earlier.shifts, None, weighted, weighted, weighted, weighted, pixel_size, field)
    even, odd = (_image(session_dir, path, written_before_ns) for path in (files.even, files.odd))
    if even is None or odd is None:
        return None
    plain = even + odd
    if not settings.motion.dose_weighting:
        weighted = plain
    return AlignedMovie(earlier.shifts, earlier.local_motion, weighted, plain, even, odd, pixel_size, field)


def _image(session_dir: Path, relative: str | None, written_before_ns: int) -> torch.Tensor | None:
    if relative is None:
        return None
    path = session_dir / relative
    try:
        if path.stat().st_mtime_ns > written_before_ns:
            return None
        image, _ = read_image_2d(path)
    except (FrazilError, OSError):
        return None  # it is made again from the movie
    return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
