"""Pictures of one movie: which of its files has the pixels that are asked for."""

from __future__ import annotations

from pathlib import Path

import msgspec

from frazil.config.errors import NotThereError
from frazil.daemon.report.pictures import load_bits, load_picture, size_px
from frazil.daemon.store.removed import check_not_removed
from frazil.daemon.transport.messages import Picture, PictureReply, Row

_COLUMNS = {
    "thumbnail": "thumbnail_path",
    "power_spectrum": "power_spectrum_path",
    "restored": "restored_path",
    "regions": "thumbnail_path",
}
_FINER, _FINER_IN_A_LARGE_BOX = 1.5, 1.1
"""The micrograph itself is read, which takes longer, where it gives so many more pixels along an axis."""


def movie_picture(session_dir: Path, movie: Row, request: Picture) -> PictureReply:
    """Raises `NotThereError` while the picture has not been written, `FormatError` where it is none."""
    relative = movie.get(_COLUMNS[request.kind])
    if not isinstance(relative, str):
        raise NotThereError("this movie has no such picture yet", remedy="wait until it is ready")
    own = movie.get("micrograph_pixel_size_angstrom")
    pixel_angstrom = float(own) if isinstance(own, int | float) else 0.0
    if request.kind == "power_spectrum":
        return _loaded(session_dir, session_dir / relative, request, pixel_angstrom)
    summed = movie.get("micrograph_path")
    field = size_px(session_dir / summed) if isinstance(summed, str) else None
    if request.kind == "regions":
        path = _beside_thumbnail(session_dir, movie, "_regions.png")
        box = (request.max_width_px, request.max_height_px)
        reply = load_bits(path, max_width_px=box[0], max_height_px=box[1], part=request.part)
    else:
        reply = _micrograph(session_dir, movie, request, pixel_angstrom)
    return msgspec.structs.replace(reply, field_px=field or (0, 0), field_pixel_angstrom=pixel_angstrom)


def _micrograph(session_dir: Path, movie: Row, request: Picture, pixel_angstrom: float) -> PictureReply:
    """From the reduced one, or from the file itself where that shows more."""
    large = movie.get("restored_path" if request.kind == "restored" else "micrograph_path")
    # The reduced restored one is freed of what is finer than 8 A, which no screen shows but as noise.
    ending = "_restored.png" if request.kind == "restored" else ".png"
    small = _beside_thumbnail(session_dir, movie, ending)
    reply = _loaded(session_dir, small, request, pixel_angstrom) if small.is_file() else None
    if not isinstance(large, str) or not (session_dir / large).is_file():
        if isinstance(large, str) and reply is None:
            check_not_removed(session_dir, session_dir / large)
        return reply or _loaded(session_dir, small, request, pixel_angstrom)  # which says what is missing
    if reply is not None:
        width, height = size_px(session_dir / large) or (0, 0)
        across, down = width * request.part[2], height * request.part[3]
        factor = max(1.0, -(-across // request.max_width_px), -(-down // request.max_height_px))
        small_box = min(request.max_width_px, request.max_height_px) <= reply.source_width_px
        if across / factor < (_FINER if small_box else _FINER_IN_A_LARGE_BOX) * reply.width_px:
            return reply
    return _loaded(session_dir, session_dir / large, request, pixel_angstrom)


def _beside_thumbnail(session_dir: Path, movie: Row, ending: str) -> Path:
    return session_dir / str(movie.get("thumbnail_path")).replace(".png", ending)


def _loaded(session_dir: Path, path: Path, request: Picture, pixel_size: float) -> PictureReply:
    check_not_removed(session_dir, path)
    return load_picture(
        path,
        max_width_px=request.max_width_px,
        max_height_px=request.max_height_px,
        pixel_size=pixel_size,
        part=request.part,
    )
