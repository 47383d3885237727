"""A movie whose file is gone, as its stored result knows it: enough to make again what needs only its stored sums."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from frazil.config.settings import Settings
from frazil.daemon.intake.identity import CompleteMovie, FileStat
from frazil.daemon.store.result_files import StoredResult
from frazil.models.records import ACCEPTED_AS_IS, AcquisitionMetadata

_OF_SETTINGS = ("flag ", "environment ", "set by ", "preset ", "default", "settings")
_SETTINGS_FILES = (".yaml", ".yml")
_SCALED: dict[str, Any] = {
    "image_width_px": None,
    "image_height_px": None,
    "image_binning": None,
    "total_dose_e_per_a2": None,
}
"""What was used to bring a sidecar's values to the movie's frames: they are so already."""
_MERGED = ("voltage_kv", "cs_mm", "pixel_size_angstrom", "dose_per_frame_e_per_a2", "phase_plate", "amplitude_contrast")


def is_of_settings(source: str, settings: Settings) -> bool:
    """Whether a source (of `AcquisitionMetadata.sources`) is a person or a preset, now or under earlier settings."""
    by_name = source.startswith(_OF_SETTINGS) or source.endswith(_SETTINGS_FILES)
    return not source or by_name or source in settings.origins.values()


def said_by_the_sidecar(merged: AcquisitionMetadata, settings: Settings) -> AcquisitionMetadata:
    """What is left of merged metadata without what settings and header said: those of today are asked."""
    sources = {
        name: source
        for name, source in merged.sources
        if not is_of_settings(source, settings) and not source.startswith("header")
    }
    gone: dict[str, Any] = {name: None for name in _MERGED if name not in sources}
    return replace(merged, **_SCALED, **gone, sources=tuple(sources.items()))


def movie_from_store(stored: StoredResult, settings: Settings, *, now_s: float) -> CompleteMovie:
    """As if the intake had just handed it on; `path` is where the movie was."""
    row, header = stored.movie, stored.result.header
    return CompleteMovie(
        relative_path=row.relative_path,
        path=Path(header.path),
        generation=row.generation,
        movie_id=row.movie_id,
        stat=FileStat(row.size_bytes or 0, row.mtime_ns or 0, row.inode or 0),
        header=header,
        sidecar=said_by_the_sidecar(row.metadata, settings),
        sidecar_path=row.sidecar_path,
        flags=tuple(flag for flag in stored.result.quality.flags if flag == ACCEPTED_AS_IS),
        found_monotonic_s=now_s,
        found_utc_us=row.found_utc_us,
        complete_monotonic_s=now_s,
        duplicate_of=None,
    )
