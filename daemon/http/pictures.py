"""A session's pictures for HTTP, from the files in its folder: drawn here, kept for a moment, one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import imagecodecs
import numpy as np

from frazil.config.errors import NotThereError
from frazil.daemon.http.cache import AnswerCache
from frazil.daemon.report.pictures import load_picture
from frazil.daemon.store.removed import check_not_removed
from frazil.daemon.transport.messages import Scalar

_PICTURE_S = 10.0
"""How old a picture may be."""
_CACHE_BYTES = 64 << 20
_LARGEST_BYTES = 4 << 20
_COLUMNS = {"sum": "micrograph_path", "restored": "restored_path", "power_spectrum": "power_spectrum_path"}
MAP_PICTURES: Mapping[str, str] = {
    "sections": "maps/sections.png",
    "projections": "maps/projections.png",
    "orientations": "maps/orientations.png",
    "classes": "classes/strip.png",
}
"""Of the newest round of the running map, below the session's folder."""


class PictureDesk:
    """Thread-safe.

    Parameters
    ----------
    movie:
        All single values of a movie by their names; raises `NotThereError` for one that is not in the session.
    """

    def __init__(
        self,
        session_dir: Path,
        movie: Callable[[str], Mapping[str, Scalar]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session_dir, self._movie = session_dir, movie
        self._pictures: AnswerCache[bytes] = AnswerCache(_CACHE_BYTES, clock=clock, size_bytes=len)
        self._drawing = threading.Lock()

    def picture(self, movie_id: str, kind: str, *, small: bool, width_px: int) -> bytes:
        """PNG, at most `width_px` along its longer side; `small`: of the thumbnail."""

        def make() -> bytes:
            movie = self._movie(movie_id)
            path = self._small(movie, kind) if small else self._file(movie, _COLUMNS[kind])
            with self._drawing:  # a 6k micrograph takes 100 MB while it is reduced
                drawn = load_picture(path, max_width_px=width_px, max_height_px=width_px, pixel_size=0.0)
            gray = np.frombuffer(drawn.gray, dtype=np.uint8).reshape(drawn.height_px, drawn.width_px)
            return bytes(imagecodecs.png_encode(gray))

        return self._pictures.get((movie_id, kind, small, width_px), _PICTURE_S, make)

    def map_picture(self, kind: str) -> bytes:
        """As it was written: stretching its grays would make even views look preferred."""

        def make() -> bytes:
            path = self._session_dir / MAP_PICTURES[kind]
            if not path.is_file() or path.stat().st_size > _LARGEST_BYTES:
                raise NotThereError("there is no such picture of the map yet", remedy="wait for a round of the map")
            return path.read_bytes()

        return self._pictures.get(kind, _PICTURE_S, make)

    def map_pictures(self) -> list[str]:
        """Those that there are."""
        return [kind for kind, relative in MAP_PICTURES.items() if (self._session_dir / relative).is_file()]

    def micrograph_file(self, movie_id: str, kind: str) -> Path:
        """The MRC file itself."""
        return self._file(self._movie(movie_id), _COLUMNS[kind])

    def clear(self) -> None:
        """Forget everything: something was written."""
        self._pictures.clear()

    def _small(self, movie: Mapping[str, Scalar], kind: str) -> Path:
        if kind == "power_spectrum":
            return self._file(movie, _COLUMNS[kind])
        thumbnail = self._file(movie, "thumbnail_path")
        return thumbnail if kind == "sum" else thumbnail.with_name(f"{thumbnail.stem}_restored.png")

    def _file(self, movie: Mapping[str, Scalar], column: str) -> Path:
        relative = movie.get(column)
        if not isinstance(relative, str):
            raise NotThereError("this movie has no such picture yet", remedy="wait until it is ready")
        inside = PurePosixPath(relative)
        path = self._session_dir / inside
        check_not_removed(self._session_dir, path)
        if inside.is_absolute() or ".." in inside.parts or not path.is_file():
            raise NotThereError(f"{relative} is not in the session's folder", remedy="re-queue the movie")
        return path
