"""What is only read of a session: the same answers whether its daemon gives them or a process that reads its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from frazil.config.errors import NotThereError
from frazil.daemon.report.pictures import load_picture
from frazil.daemon.store.removed import check_not_removed
from frazil.daemon.store.table import Scalar, Table
from frazil.daemon.transport.messages import Picture, PictureReply, Rows

_PICTURE_COLUMNS = {
    "thumbnail": "thumbnail_path",
    "power_spectrum": "power_spectrum_path",
    "restored": "restored_path",
}
_SESSION_PICTURES = {
    "map_sections": "maps/sections.png",
    "map_projections": "maps/projections.png",
    "map_orientations": "maps/orientations.png",
    "class_averages": "classes/strip.png",
}


class NamedQueries(Protocol):
    """A store, or a session's reader."""

    def named(self, name: str, params: Mapping[str, Scalar] | None = None) -> Table:
        """One of the named queries."""


def as_rows(table: Table) -> Rows:
    """A table as it travels."""
    return Rows(
        columns=tuple(table.columns),
        rows=tuple(tuple(row) for row in table.rows),
        truncated=table.truncated,
        total=table.total,
    )


def picture_of(reader: NamedQueries, session_dir: Path, request: Picture) -> PictureReply:
    """Raises `NotThereError` for unknown movies, while the picture has not been written, and when it was removed."""
    of_session = _SESSION_PICTURES.get(request.kind)
    if of_session is not None:
        return load_picture(
            session_dir / of_session,
            max_width_px=request.max_width_px,
            max_height_px=request.max_height_px,
            pixel_size=0.0,
        )
    rows = reader.named("movie", {"movie_id": request.movie_id}).as_dicts()
    if not rows:
        raise NotThereError(
            f"no movie {request.movie_id} in this session",
            remedy="`frazil query SESSION --named movies` lists their ids",
        )
    movie = rows[0]
    relative = movie.get(_PICTURE_COLUMNS[request.kind])
    if not isinstance(relative, str):
        raise NotThereError("this movie has no such picture yet", remedy="wait until it is ready")
    path = session_dir / relative
    if request.kind == "restored":
        # The reduced one is freed of what is finer than 8 A, which no screen shows but as noise.
        small = session_dir / str(movie.get("thumbnail_path")).replace(".png", "_restored.png")
        path = small if small.is_file() else path
    check_not_removed(session_dir, path)
    pixel_size = movie.get("micrograph_pixel_size_angstrom")
    return load_picture(
        path,
        max_width_px=request.max_width_px,
        max_height_px=request.max_height_px,
        pixel_size=float(pixel_size) if isinstance(pixel_size, int | float) else 0.0,
    )
