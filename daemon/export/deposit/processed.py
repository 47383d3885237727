"""Aligned sums and particle stacks of a deposit as image sets, by what their files say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from frazil.config.errors import FrazilError
from frazil.daemon.export.deposit.empiar import ImageSet
from frazil.daemon.export.relion_rows import JOB, STACKS
from frazil.models.records import MovieHeader

PROCESSED = "data/processed"


def processed_sets(out: Path, particle_count: int, version: str) -> list[ImageSet]:
    """Those of the aligned sums and of the particles of the deposit in `out`; an empty folder is none."""
    sets = []
    sums = sorted((out / PROCESSED / JOB).glob("*.mrc"))
    header = _first_header(sums)
    if header is not None:
        sets.append(
            ImageSet(
                name="Aligned sums of the movies",
                directory=f"{PROCESSED}/{JOB}",
                category="micrographs - single frame",
                file_format="MRC",
                image_count=len(sums),
                frames_per_image=1,
                dtype=header.dtype,
                pixel_size_angstrom=header.pixel_size_angstrom,
                width_px=header.width_px,
                height_px=header.height_px,
                details=f"Motion-corrected and weighted by exposure by frazil {version}.",
            )
        )
    header = _first_header((out / PROCESSED / STACKS).glob("*.mrcs"))
    if header is not None:
        sets.append(
            ImageSet(
                name="Particles",
                directory=f"{PROCESSED}/{STACKS}",
                category="picked particles - single frame - processed",
                file_format="MRCS",
                image_count=particle_count,
                frames_per_image=1,
                dtype=header.dtype,
                pixel_size_angstrom=header.pixel_size_angstrom,
                width_px=header.width_px,
                height_px=header.height_px,
                details=f"Extracted from the aligned sums by frazil {version}; listed in {PROCESSED}/particles.star.",
            )
        )
    return sets


def _first_header(paths: Iterator[Path] | list[Path]) -> MovieHeader | None:
    """Of the first that can be opened."""
    from frazil.models.formats.movie import open_movie  # late: it brings decoders and their compiler

    for path in paths:
        try:
            with open_movie(path) as reader:
                return reader.header
        except (FrazilError, OSError):
            continue
    return None
