"""Which place on which grid each movie is of: kept in the store, looked for again while it is not known.

A movie in the folder of a session of EPU is of that session's grid and of no other. Of other movies their names and
labels tell; where places on several grids are called so, or nothing but the stage's position is known, the grid counts
that was in the column when the movie was written. What was found in that way is looked at again when more is known of
any grid.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import msgspec

from frazil.config.errors import FrazilError
from frazil.daemon.analysis.targets.book import GridBook, Source
from frazil.daemon.analysis.targets.column import ColumnSigns
from frazil.daemon.store.movie_states import current
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import MovieTargetRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import target_writes
from frazil.models.formats.grid.epu_ids import exposure_id
from frazil.models.formats.grid.leginon_names import leginon_targets
from frazil.models.formats.grid.movie_link import (
    MovieLink,
    SerialemPlace,
    TargetIndex,
    UmPerShift,
    link_movie,
    serialem_place,
)
from frazil.models.grid_target import GridTarget, grid_named, unit_above
from frazil.models.records import AcquisitionMetadata

_log = logging.getLogger(__name__)
_AT_ONCE = 500
_RANK = 7
"""Of what names of movies tell, over `reading.RANKS`."""
_IMAGES = "Images-Disc"
_OPEN_SQL = f"""
SELECT m.movie_id FROM movies m LEFT JOIN movie_targets l USING (movie_id)
WHERE {current("m")} AND l.movie_id IS NULL ORDER BY m.sequence DESC NULLS LAST
"""
_LINKED_SQL = f"""
SELECT m.movie_id, m.relative_path FROM movies m JOIN movie_targets l USING (movie_id)
WHERE {current("m")} AND l.linked_by <> 'Leginon name' ORDER BY m.sequence DESC NULLS LAST
"""
_MOVIES_SQL = """
SELECT movie_id, relative_path, metadata_json, sidecar_path, mtime_ns FROM movies
WHERE movie_id IN (SELECT unnest(?::TEXT[])) ORDER BY sequence
"""


@dataclass(frozen=True, slots=True)
class GridsAround:
    """What is known of grids beside their places."""

    column: ColumnSigns = field(default_factory=ColumnSigns)
    of_folder: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Grids by the folder of the session that they were recorded in."""

    def of_movie(self, relative_path: str) -> frozenset[str] | None:
        """Of the session in whose folder a movie lies; None: it lies in none."""
        folder = session_folder(relative_path)
        return None if folder is None else self.of_folder.get(folder)


def session_folder(relative_path: str) -> str | None:
    """Of a movie among EPU's images; None: it does not lie there.

    >>> session_folder("visit/Images-Disc1/GridSquare_1/Data/x.tiff"), session_folder("x.tiff")
    ('visit', None)
    """
    parts = PurePosixPath(relative_path).parts
    at = next((number for number, part in enumerate(parts) if part.startswith(_IMAGES)), None)
    return None if at is None else "/".join(parts[:at])


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
    _indexes: tuple[int, Mapping[str, TargetIndex]] = (-1, MappingProxyType({}))
    """With the version of the book that they were made of."""
    _again: list[str] = field(default_factory=list)
    """Linked movies that are to be looked at again."""
    _grids: tuple[object, ...] = ()
    """Grids and how many places each had when movies were linked."""

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

    def link(self, book: GridBook, around: GridsAround | None = None, *, everything: bool) -> bool:
        """Link movies that have no place yet, the newest first, some hundreds of them or `everything`. Whether all of
        them have been tried with what the book says now. Raises what `Store.write` raises."""
        if not (book.known or self._news):
            return True  # no grid, and no names that could tell of one
        around = GridsAround() if around is None else around
        self._doubt(self._indexes_of(book), around)
        open_ids = [str(row[0]) for row in self.store.rows(_OPEN_SQL)]
        waiting = [movie_id for movie_id in open_ids if self._tried.get(movie_id) != book.version] + self._again
        now = waiting if everything else waiting[:_AT_ONCE]
        self._news = len(now) < len(waiting)
        if not now:
            return True
        rows = self.store.rows(_MOVIES_SQL, now)
        self._take_names(book, rows)
        if book.known:
            self._link_rows(book, around, rows)
        self._tried.update(dict.fromkeys(now, book.version))
        self._again = self._again[max(0, len(now) - (len(waiting) - len(self._again))) :]
        return not self._news

    def _doubt(self, indexes: Mapping[str, TargetIndex], around: GridsAround) -> None:
        """Where there are several grids and one of them has more places now: links are looked at again that do not
        follow from a movie's folder."""
        grids = tuple((grid_id, len(index.by_id)) for grid_id, index in indexes.items())
        if len(grids) > 1 and grids != self._grids:
            rows = self.store.rows(_LINKED_SQL)
            self._again = [str(row[0]) for row in rows if around.of_movie(str(row[1])) is None]
        self._grids = grids

    def _indexes_of(self, book: GridBook) -> Mapping[str, TargetIndex]:
        if self._indexes[0] != book.version:
            self._indexes = book.version, _indexes(book)
        return self._indexes[1]

    def _take_names(self, book: GridBook, rows: Sequence[Sequence[Any]]) -> None:
        """Leginon's names tell of the grid themselves, and many of them of the same places."""
        new: dict[str, dict[str, GridTarget]] = defaultdict(dict)
        for row in rows:
            chain = leginon_targets(str(row[1]))
            new_here = {target.target_id: target for target in chain if target.target_id not in self._named}
            if new_here:
                new[chain[0].target_id] |= new_here
        for grid_id, targets in new.items():
            book.add(Source(_RANK, 0, f"names of movies of {grid_id}", grid_id), targets.values())
            self._named.update(targets)

    def _link_rows(self, book: GridBook, around: GridsAround, rows: Sequence[Sequence[Any]]) -> None:
        indexes = self._indexes_of(book)
        serialem = any(target.program == "serialem" for index in indexes.values() for target in index.by_id.values())
        links, lost = [], []
        for movie_id, relative_path, metadata_json, sidecar_path, mtime_ns in rows:
            place = self._serialem_place(str(movie_id), sidecar_path, str(relative_path)) if serialem else None
            movie = _Movie(str(relative_path), _metadata(metadata_json), place, mtime_ns, self._um_per_shift)
            found = _found(movie, book, indexes, around)
            if found.target_id is not None:
                self._serialem.pop(movie_id, None)
                links.append(_link(str(movie_id), found.target_id, found.how, book))
            else:
                lost.append(str(movie_id))
        if not self.stop():
            self.store.write(WritePolicy.DURABLE, target_writes.record_links, links, not_linked=lost)

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


@dataclass(frozen=True, slots=True)
class _Movie:
    """What tells of a movie's place."""

    relative_path: str
    metadata: AcquisitionMetadata
    serialem: SerialemPlace | None
    mtime_ns: int | None
    um_per_shift: UmPerShift | None = None


def _indexes(book: GridBook) -> dict[str, TargetIndex]:
    """By grid. Exposures of EPU stand below holes that their movies name as well: there may be four times as many."""
    targets: dict[str, list[GridTarget]] = defaultdict(list)
    for row in book.known.values():
        if row.target.level != "exposure" or row.target.program != "epu":
            targets[row.grid_id].append(row.target)
    return {grid_id: TargetIndex(targets[grid_id]) for grid_id in sorted(targets)}


def _found(movie: _Movie, book: GridBook, indexes: Mapping[str, TargetIndex], around: GridsAround) -> MovieLink:
    """The place of a movie on the grid that it was taken on."""
    own = around.of_movie(movie.relative_path)
    found = {
        grid_id: _on_grid(movie, grid_id, index) for grid_id, index in indexes.items() if own is None or grid_id in own
    }
    if len(indexes) == 1 and found:
        return next(iter(found.values()))
    claims = {grid_id: link for grid_id, link in found.items() if link.target_id is not None}
    by_name = {grid_id: link for grid_id, link in claims.items() if link.how != "stage"}
    if len(by_name) > 1:
        by_name = {grid_id: link for grid_id, link in by_name.items() if _exposed_by(movie, grid_id, book)} or by_name
    if len(by_name) == 1:
        return next(iter(by_name.values()))
    there = None if movie.mtime_ns is None else around.column.at(movie.mtime_ns)
    many = MovieLink(None, "none", f"{len(claims)} grids have such a place, and which was in the column is not known")
    return (by_name or claims).get(there or "", many)


def _on_grid(movie: _Movie, grid_id: str, index: TargetIndex) -> MovieLink:
    prefix = grid_named(grid_id).prefix
    return link_movie(
        movie.relative_path,
        movie.metadata,
        index,
        serialem=movie.serialem,
        um_per_shift=movie.um_per_shift,
        prefix=prefix,
    )


def _exposed_by(movie: _Movie, grid_id: str, book: GridBook) -> bool:
    """A file of this grid names just this exposure, with its time."""
    return grid_named(grid_id).prefix + exposure_id(PurePosixPath(movie.relative_path).name) in book.known


def _link(movie_id: str, target_id: str, how: str, book: GridBook) -> MovieTargetRow:
    hole = unit_above(book.target(target_id), "hole", book.target)
    return MovieTargetRow(movie_id, target_id, target_id if hole is None else hole.target_id, how)


def _metadata(text: str | None) -> AcquisitionMetadata:
    return AcquisitionMetadata() if text is None else msgspec.json.decode(text, type=AcquisitionMetadata)
