"""The pictures of the summary's page, as data that lie in the page itself.

Thumbnails are made smaller and become JPEG (some 10 kB each); pictures of the map are small already, and stay as they
are. A picture that is missing or damaged is left out: the page is about the session, not about its files.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np

from frazil.config.errors import FrazilError
from frazil.daemon.report.pictures import load_picture
from frazil.daemon.report.summary.records import SessionSummary

_THUMBNAIL_PX = 256
_LARGEST_BYTES = 600_000
_QUALITY = 82
_MAP_FILES: tuple[tuple[str, str], ...] = (
    ("maps/sections.png", "Central sections through the map"),
    ("maps/projections.png", "Projections of the map"),
    ("maps/orientations.png", "Where the particles are seen from: rot to the right, tilt downwards, white is often"),
    ("classes/strip.png", "2-D class averages, most particles first"),
)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Addresses of the form `data:...`."""

    thumbnails: Mapping[str, str] = field(default_factory=dict)
    """By movie id."""
    of_map: tuple[tuple[str, str], ...] = ()
    """(what it shows, address)"""


def collect(session_dir: Path, summary: SessionSummary) -> Pictures:
    """Read what the page shows from the session's folder. Only files below that folder are read."""
    thumbnails = {}
    for example in summary.examples:
        if example.thumbnail_path is not None:
            found = _jpeg(session_dir, example.thumbnail_path, _THUMBNAIL_PX)
            if found is not None:
                thumbnails[example.movie_id] = found
    of_map = []
    for relative, words in _MAP_FILES:
        found = _png(session_dir, relative)
        if found is not None:
            of_map.append((words, found))
    return Pictures(thumbnails, tuple(of_map))


def _png(session_dir: Path, relative: str) -> str | None:
    """As it is: stretching its grays would make even views look preferred."""
    path = _inside(session_dir, relative)
    try:
        data = path.read_bytes() if path is not None else b""
        if not data or len(data) > _LARGEST_BYTES or np.asarray(imagecodecs.png_decode(data)).ndim != 2:
            return None
    except (RuntimeError, ValueError, OSError):
        return None
    return f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"


def _inside(session_dir: Path, relative: str) -> Path | None:
    path = (session_dir / relative).resolve()
    return path if path.is_relative_to(session_dir.resolve()) else None


def _jpeg(session_dir: Path, relative: str, side_px: int) -> str | None:
    path = _inside(session_dir, relative)
    if path is None:
        return None
    try:
        picture = load_picture(path, max_width_px=side_px, max_height_px=side_px, pixel_size=0.0)
    except (FrazilError, OSError):
        return None
    gray = np.frombuffer(picture.gray, np.uint8).reshape(picture.height_px, picture.width_px)
    data = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(gray), level=_QUALITY))
    if len(data) > _LARGEST_BYTES:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
