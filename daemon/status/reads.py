"""What is only read of a session: the same answers whether its daemon gives them or a process that reads its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from frazil.config.errors import NotThereError
from frazil.daemon.store.table import Scalar, Table
from frazil.daemon.transport.messages import Picture, PictureReply, Rows

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
    # NumPy and the decoders: after the rows, which a screen that opens shows first.
    from frazil.daemon.report.pictures import load_picture
    from frazil.daemon.status.movie_pictures import movie_picture

    of_session = _SESSION_PICTURES.get(request.kind)
    if of_session is not None:
        return load_picture(
            session_dir / of_session,
            max_width_px=request.max_width_px,
            max_height_px=request.max_height_px,
            pixel_size=0.0,
            part=request.part,
        )
    rows = reader.named("movie", {"movie_id": request.movie_id}).as_dicts()
    if not rows:
        raise NotThereError(
            f"no movie {request.movie_id} in this session",
            remedy="`frazil query SESSION --named movies` lists their ids",
        )
    return movie_picture(session_dir, rows[0], request)
