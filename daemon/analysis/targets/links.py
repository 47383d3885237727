"""Which place on the grid each movie is of: kept in the store, looked for again while it is not known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from frazil.config.errors import FrazilError
from frazil.daemon.analysis.targets.book import GridBook, Source
from frazil.daemon.store.movie_states import current
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import MovieTargetRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import target_writes
from frazil.models.formats.grid.leginon_names import leginon_targets
from frazil.models.formats.grid.movie_link import SerialemPlace, TargetIndex, UmPerShift, link_movie, serialem_place
from frazil.models.grid_target import GridTarget
from frazil.models.records import AcquisitionMetadata

_log = logging.getLogger(__name__)
_AT_ONCE = 500
_NAMES = Source(7, 0, "names of movies")
_MOST_LEVELS = 8
_OPEN_SQL = f"""
SELECT m.movie_id FROM movies m LEFT JOIN movie_targets l USING (movie_id)
WHERE {current("m")} AND l.movie_id IS NULL ORDER BY m.sequence DESC NULLS LAST
"""
_MOVIES_SQL = """
SELECT movie_id, relative_path, metadata_json, sidecar_path FROM movies
WHERE movie_id IN (SELECT unnest(?::TEXT[])) ORDER BY sequence
"""


@dataclass(slots=True)
class MovieLinks:
    """See the module."""

    store: Store
    raw_root: Path
    stop: Callable[[], bool] = lambda: False
    """Whether to leave off, and to write nothing more."""
    _um_per_shift: UmPerShift | None = None
    """Of EPU's beam shift."""
    _tried: dict[str, int] = field(default_factory=dict)
    """Movies that found no place, and with which version of the book."""
    _serialem: dict[str, SerialemPlace] = field(default_factory=dict)
    """What mdocs say of the places of movies: they are looked for again with every change of the book."""
    _news: bool = True
    """There may be movies whose names nobody has looked at."""
    _named: set[str] = field(default_factory=set)
    """Places that names of movies have told the book of."""

    def changed(self, movie_id: str) -> None:
        """More may be known of this movie now."""
        self._tried.pop(movie_id, None)
        self._serialem.pop(movie_id, None)
        self._news = True

    def use_beam_shift(self, um_per_shift: UmPerShift | None) -> None:
        """From now on. Movies that found no place are tried again; links that were made stay."""
        if um_per_shift != self._um_per_shift:
            self._um_per_shift = um_per_shift
            self._tried.clear()
            self._news = True

    def link(self, book: GridBook, *, everything: bool) -> bool:
        """Link movies that have no place yet, the newest first, some hundreds of them or `everything`. Whether all of
        them have been tried with what the book says now. Raises what `Store.write` raises."""
        if not (book.known or self._news):
            return True  # no grid, and no names that could tell of one
        open_ids = [str(row[0]) for row in self.store.rows(_OPEN_SQL)]
        waiting = [movie_id for movie_id in open_ids if self._tried.get(movie_id) != book.version]
        now = waiting if everything else waiting[:_AT_ONCE]
        self._news = len(now) < len(waiting)
        if not now:
            return True
        rows = self.store.rows(_MOVIES_SQL, now)
        self._take_names(book, rows)
        if book.known:
            self._link_rows(book, rows)
        self._tried.update(dict.fromkeys(now, book.version))
        return not self._news

    def _take_names(self, book: GridBook, rows: Sequence[Sequence[Any]]) -> None:
        """Leginon's names tell of the grid themselves, and many of them of the same places."""
        told = [target for row in rows for target in leginon_targets(str(row[1]))]
        new = {target.target_id: target for target in told if target.target_id not in self._named}
        if new:
            book.add(_NAMES, new.values())
            self._named.update(new)

    def _link_rows(self, book: GridBook, rows: Sequence[Sequence[Any]]) -> None:
        index = TargetIndex(_linkable(book))
        serialem = any(target.program == "serialem" for target in index.by_id.values())
        links = []
        for movie_id, relative_path, metadata_json, sidecar_path in rows:
            metadata = _metadata(metadata_json)
            place = self._serialem_place(str(movie_id), sidecar_path, str(relative_path)) if serialem else None
            found = link_movie(str(relative_path), metadata, index, serialem=place, um_per_shift=self._um_per_shift)
            if found.target_id is not None:
                self._serialem.pop(movie_id, None)
                links.append(_link(str(movie_id), found.target_id, found.how, book))
        if not self.stop():
            self.store.write(WritePolicy.DURABLE, target_writes.record_links, links)

    def _serialem_place(self, movie_id: str, sidecar_path: str | None, relative_path: str) -> SerialemPlace | None:
        place = self._serialem.get(movie_id) or self._read_place(sidecar_path, relative_path)
        if place is not None:
            self._serialem[movie_id] = place
        return place

    def _read_place(self, sidecar_path: str | None, relative_path: str) -> SerialemPlace | None:
        if sidecar_path is None or not sidecar_path.endswith(".mdoc"):
            return None
        try:
            return serialem_place(self.raw_root / sidecar_path, movie_name=Path(relative_path).name, settled=True)
        except (FrazilError, OSError) as error:
            _log.info("the place of %s is not read from its mdoc: %s", relative_path, error)
            return None  # what the intake has read of it says the label too


def _linkable(book: GridBook) -> list[GridTarget]:
    """Exposures of EPU stand below holes that their movies name as well: there may be four times as many."""
    return [row.target for row in book.known.values() if row.target.level != "exposure" or row.target.program != "epu"]


def _link(movie_id: str, target_id: str, how: str, book: GridBook) -> MovieTargetRow:
    hole_id, at = target_id, book.known.get(target_id)
    for _ in range(_MOST_LEVELS):
        if at is None or at.target.level == "hole":
            break
        at = book.known.get(at.target.parent_id or "")
    if at is not None:
        hole_id = at.target.target_id
    return MovieTargetRow(movie_id, target_id, hole_id, book.known[target_id].square_id, how)


def _metadata(text: str | None) -> AcquisitionMetadata:
    return AcquisitionMetadata() if text is None else msgspec.json.decode(text, type=AcquisitionMetadata)
