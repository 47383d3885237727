"""The movies of a session as a deposition lists them: what they are alike in, and which files are theirs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from frazil.config.errors import FrazilError
from frazil.daemon.export.deposit.empiar import ImageSet
from frazil.daemon.export.relion_rows import Row

T = TypeVar("T")
MOVIES = "data/movies"
GAIN = "data/gain"
SIDECARS = "data/sidecars"


@dataclass(frozen=True, slots=True)
class DepositMovie:
    """One processed movie. `None`: not known."""

    relative_path: str
    """Below the raw root, and below `data/movies`."""
    kept: bool
    file_format: str | None
    frame_count: int | None
    """As the file has them: of an EER file the camera's frames."""
    width_px: int | None
    height_px: int | None
    pixel_size_angstrom: float | None
    size_bytes: int | None
    """When it was processed."""
    sidecar_path: str | None
    acquired_utc_us: int | None
    exposure_time_s: float | None
    total_dose_e_per_a2: float | None
    target_defocus_um: float | None
    """Positive is underfocus."""
    camera: str | None
    microscope: str | None
    energy_filter: bool | None
    phase_plate: bool | None

    @classmethod
    def of(cls, row: Row, session: Row) -> DepositMovie:
        """From the row of a movie (`export_movies`, named by `name_files`)."""
        said = row["metadata"]
        dose = row["dose_per_frame_e_per_a2"] or session["dose_per_frame_e_per_a2"]
        return cls(
            relative_path=row["relative_path"],
            kept=row["state"] == "ready",
            file_format=row["file_format"],
            frame_count=row["raw_frame_count"] or row["frame_count"],
            width_px=row["width_px"],
            height_px=row["height_px"],
            pixel_size_angstrom=row["pixel_size_angstrom"] or session["pixel_size_angstrom"],
            size_bytes=row["size_bytes"],
            sidecar_path=row["sidecar_path"],
            acquired_utc_us=row["acquired_utc_us"],
            exposure_time_s=said.get("exposure_time_s"),
            total_dose_e_per_a2=dose * row["frame_count"] if dose and row["frame_count"] else None,
            target_defocus_um=row["target_defocus_um"],
            camera=said.get("camera"),
            microscope=said.get("microscope"),
            energy_filter=said.get("energy_filter"),
            phase_plate=said.get("phase_plate"),
        )

    @property
    def empiar_format(self) -> str:
        """EMPIAR tells stacks by the ending of their name."""
        if self.file_format == "mrc":
            return "MRCS" if self.relative_path.lower().endswith(".mrcs") else "MRC"
        return {"eer": "EER"}.get(self.file_format or "", "TIFF")


def common(values: Iterable[T | None]) -> T | None:
    """What all of them are; None where they differ or one is not known.

    >>> common([3, 3]), common([3, 4]), common([3, None])
    (3, None, None)
    """
    found = set(values)
    return found.pop() if len(found) == 1 else None


def alike(movies: Sequence[DepositMovie]) -> dict[str, list[DepositMovie]]:
    """Movies of one format, size and pixel size, by the folder that they go to; the largest set first.

    EMPIAR wants one folder an image set, and one shape.
    """
    groups: dict[tuple[Any, ...], list[DepositMovie]] = {}
    for movie in movies:
        shape = (movie.empiar_format, movie.width_px, movie.height_px, movie.pixel_size_angstrom)
        groups.setdefault(shape, []).append(movie)
    ordered = sorted(groups.values(), key=lambda members: -len(members))
    return {MOVIES if number == 1 else f"{MOVIES}_{number}": members for number, members in enumerate(ordered, 1)}


def movie_set(directory: str, movies: Sequence[DepositMovie], raw_root: Path, details: str) -> ImageSet:
    """Movies that are alike, as EMPIAR's image set. The type of their values is looked up in the first that opens."""
    first = movies[0]
    frames = {movie.frame_count for movie in movies}
    unknown = []
    if len(frames) > 1:
        known = sorted(count for count in frames if count is not None)
        unknown.append(("frames_per_image", f"not the same for all, {known[0]} to {known[-1]}"))
    dtype = None if first.file_format == "eer" else _dtype_of_first(movies, raw_root)
    if dtype is None:
        why = "EER files hold events, not values" if first.file_format == "eer" else "no movie can be opened now"
        unknown.append(("voxel_type", why))
    frame_count = first.frame_count if len(frames) == 1 else None
    return ImageSet(
        name="Movies" if directory == MOVIES else "Movies of another shape",
        directory=directory,
        category="micrographs - single frame" if frame_count == 1 else "micrographs - multiframe",
        file_format=first.empiar_format,
        image_count=len(movies),
        frames_per_image=frame_count,
        dtype=dtype,
        pixel_size_angstrom=first.pixel_size_angstrom,
        width_px=first.width_px,
        height_px=first.height_px,
        details=details,
        unknown=tuple(unknown),
    )


def _dtype_of_first(movies: Sequence[DepositMovie], raw_root: Path) -> str | None:
    from frazil.models.formats.movie import open_movie  # late: it brings decoders and their compiler

    for movie in movies[:5]:
        try:
            with open_movie(raw_root / movie.relative_path) as reader:
                return reader.header.dtype
        except (FrazilError, OSError):
            continue
    return None


def gain_words(decision: Mapping[str, Any] | None) -> str:
    """What a depositor says of the gain, by the gate's decision; empty before there is one."""
    if decision is None:
        return ""
    if decision["convention"] != "none" and decision["gain_path"]:
        name = PurePosixPath(decision["gain_path"]).name
        return (
            f"Not gain-corrected; the gain reference is {GAIN}/{name}: {decision['convention']} after "
            f"{decision['orientation']} (rotated first, then flipped, RELION's order)."
        )
    return "Already gain-corrected, or needing no gain reference."


def sidecar_name(sidecar: Path, raw_root: Path, directory: str) -> str:
    """Where a movie's metadata file goes: beside its movie where it lies beside it, else into a folder of its own."""
    relative = os.path.relpath(sidecar, raw_root)
    if relative.startswith(".."):
        return f"{SIDECARS}/{sidecar.parent.name}/{sidecar.name}"
    return f"{directory}/{relative}".replace(os.sep, "/")
