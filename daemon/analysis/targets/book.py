"""What all files together say of the grids: kept file by file, so that it does not matter in which order they come.

Nothing is lost: what a file said that is gone, or what an earlier run of the daemon knew, counts until another file
tells of the same place, or a file of the same name of what lies beside it. A place that a file told of and tells of no
more is *gone* (EPU numbers holes anew when they are sought again): it is kept and not advised. Which grid a file is of
is said with the file (`grids.py`); targets of several grids never share an id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from frazil.daemon.store.target_rows import KnownTarget
from frazil.models.formats.grid.reading import merged
from frazil.models.grid_target import GridName, GridTarget, grid_named, unit_above

REMEMBERED = 0
"""Rank of what no file says any more: it counts where nothing else does."""
_APART_UM = 50.0
"""So far apart two files cannot mean the same hole."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A file, or whatever else tells of targets: the later one in this order is believed more."""

    rank: int
    mtime_ns: int
    path: str
    grid_id: str = ""
    """The grid that it is of."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two files that cannot both be right."""

    target: GridTarget
    what: str
    paths: tuple[str, str]
    """The one that is believed comes second."""


@dataclass(slots=True)
class GridBook:
    """See the module. Knows no files itself."""

    known: dict[str, KnownTarget] = field(default_factory=dict)
    unwritten: set[str] = field(default_factory=set)
    """Ids of those that are not in the store as they are here."""
    contradictions: list[Contradiction] = field(default_factory=list)
    """Found since somebody took them out."""
    version: int = 0
    """Counts up with every change."""
    versions: dict[str, int] = field(default_factory=dict)
    """The version at which each grid changed last."""
    _said: dict[str, dict[Source, GridTarget]] = field(default_factory=dict)
    """By target."""
    _told: dict[str, tuple[Source, frozenset[str]]] = field(default_factory=dict)
    """By path."""
    _remembered: dict[tuple[str, str, str | None], set[str]] = field(default_factory=lambda: defaultdict(set))
    """Ids of those that no file of this run may have told of, by what lies beside them in their file."""
    _without_square: set[str] = field(default_factory=set)
    """Their parents may still come."""

    def remember(self, rows: Iterable[KnownTarget]) -> None:
        """What the store knows, at the start."""
        for row in rows:
            self.known[row.target.target_id] = row
            self.versions.setdefault(row.grid_id, self.version)
            if not row.gone:
                source = Source(REMEMBERED, 0, "", row.grid_id)
                self._said.setdefault(row.target.target_id, {})[source] = row.target
                self._remembered[_beside(row.grid_id, row.target)].add(row.target.target_id)

    def take(self, source: Source, targets: Iterable[GridTarget]) -> bool:
        """A file says this, and no more what it said before. Whether anything has changed."""
        new = {target.target_id: target for target in targets}
        before = self._told.get(source.path)
        old: frozenset[str] = frozenset() if before is None else before[1]
        if before is not None:
            for target_id in old:
                self._said[target_id].pop(before[0], None)
        for target_id, target in new.items():
            self._said.setdefault(target_id, {})[source] = target
        self._told[source.path] = source, frozenset(new)
        return self._settle(old | set(new) | self._told_anew(source.grid_id, new.values()))

    def _told_anew(self, grid_id: str, targets: Iterable[GridTarget]) -> set[str]:
        """Of what is remembered: these, and what the same file said beside them or in them. It counts no more: the file
        says it again, or it is gone."""
        given_way: set[str] = set()
        for target in targets:
            beside, inside = _beside(grid_id, target), (grid_id, target.said_by, target.target_id)
            given_way |= {target.target_id} | self._remembered.pop(beside, set()) | self._remembered.pop(inside, set())
        for target_id in given_way:
            said = self._said.get(target_id, {})
            for source in [source for source in said if source.rank == REMEMBERED]:
                del said[source]
        return given_way

    def add(self, source: Source, targets: Iterable[GridTarget]) -> bool:
        """A source that grows and takes nothing back says this as well. Whether anything has changed."""
        new = {target.target_id: target for target in targets}
        for target_id, target in new.items():
            self._said.setdefault(target_id, {})[source] = target
        before = self._told.get(source.path)
        self._told[source.path] = source, frozenset(new) if before is None else before[1] | new.keys()
        return self._settle(new)

    def vanished(self, path: str) -> None:
        """The file is not there any more (its folder was moved): what it said counts until another one says more."""
        told = self._told.pop(path, None)
        if told is None:
            return
        source, ids = told
        remembered = Source(REMEMBERED, source.mtime_ns, path, source.grid_id)
        for target_id in ids:
            target = self._said[target_id][remembered] = self._said[target_id].pop(source)
            self._remembered[_beside(source.grid_id, target)].add(target_id)
        self._settle(ids)

    def _settle(self, ids: Iterable[str]) -> bool:
        changed = False
        for target_id in ids:
            changed |= self._settle_one(target_id)
        if changed:
            self.version += 1
            for target_id in tuple(self._without_square):
                self._settle_one(target_id)
        return changed

    def _settle_one(self, target_id: str) -> bool:
        before = self.known.get(target_id)
        said = self._said.get(target_id, {})
        sources = sorted(said)
        files = [source for source in sources if source.rank > REMEMBERED]
        if not sources:
            assert before is not None, "only what was told can be taken back"
            now = KnownTarget(before.target, before.square_id, gone=True, grid_id=before.grid_id)
        else:
            target = reduce(merged, (said[source] for source in files or sources))
            self._look_for_contradictions(files, said)
            now = KnownTarget(target, self._square_of(target), grid_id=sources[-1].grid_id)
        if now.square_id is None and now.target.parent_id is not None and not now.gone:
            self._without_square.add(target_id)
        else:
            self._without_square.discard(target_id)
        if now == before:
            return False
        self.known[target_id] = now
        self.unwritten.add(target_id)
        self.versions[now.grid_id] = self.version + 1
        return True

    def target(self, target_id: str) -> GridTarget | None:
        """By its id."""
        row = self.known.get(target_id)
        return None if row is None else row.target

    def called(self, plain_id: str) -> list[KnownTarget]:
        """What files call so, on every grid."""
        ids = (grid_named(grid_id).prefix + plain_id for grid_id in self.versions)
        return [self.known[target_id] for target_id in dict.fromkeys(ids) if target_id in self.known]

    def _square_of(self, target: GridTarget) -> str | None:
        square = unit_above(target, "square", self.target)
        return None if square is None else square.target_id

    def of_grid(self, grid_id: str) -> Mapping[str, KnownTarget]:
        """What lies on one grid, by id."""
        if len(self.versions) < 2:
            return MappingProxyType(self.known)
        return {target_id: row for target_id, row in self.known.items() if row.grid_id == grid_id}

    def rename(self, old: GridName, new: GridName) -> Mapping[str, str]:
        """Two grids turned out to be one: what was told of `old` is of `new`. Returns new ids by old ones."""
        ids = {key: new.prefix + key.removeprefix(old.prefix) for key, row in self.known.items() if _is_of(row, old)}
        for key, other in ids.items():
            said = {_of(source, new): _renamed(told, old, new) for source, told in self._said.pop(key, {}).items()}
            self._said.setdefault(other, {}).update(said)
            row = self.known.pop(key)
            self.known.setdefault(other, KnownTarget(_renamed(row.target, old, new), None, row.gone, new.grid_id))
            self.unwritten.discard(key)
        for path, (source, told_ids) in self._told.items():
            if source.grid_id == old.grid_id:
                self._told[path] = _of(source, new), frozenset(ids[key] for key in told_ids)
        for beside in [beside for beside in self._remembered if beside[0] == old.grid_id]:
            grid, said_by, parent_id = new.grid_id, *beside[1:]
            parent_id = None if parent_id is None else ids.get(parent_id, parent_id)
            self._remembered[grid, said_by, parent_id] |= {ids[key] for key in self._remembered.pop(beside)}
        self._without_square -= ids.keys()
        self.unwritten.update(ids.values())
        self.versions.pop(old.grid_id, None)
        self._settle(ids.values())
        return ids

    def _look_for_contradictions(self, files: list[Source], said: Mapping[Source, GridTarget]) -> None:
        for first, second in pairwise(files):
            what = _contradiction(said[first], said[second], same_kind=first.rank == second.rank)
            if what:
                self.contradictions.append(Contradiction(said[second], what, (first.path, second.path)))

    def written(self, rows: Iterable[KnownTarget]) -> None:
        """These are in the store now."""
        self.unwritten -= {row.target.target_id for row in rows}

    def to_write(self, at_once: int) -> Iterator[list[KnownTarget]]:
        """What is not in the store yet, squares before holes, in lists of so many."""
        rows = sorted((self.known[target_id] for target_id in self.unwritten), key=lambda row: row.target.target_id)
        for first in range(0, len(rows), at_once):
            yield rows[first : first + at_once]


def _beside(grid_id: str, target: GridTarget) -> tuple[str, str, str | None]:
    """The same for what one file says to lie in one place."""
    return grid_id, target.said_by, target.parent_id


def _is_of(row: KnownTarget, name: GridName) -> bool:
    return row.grid_id == name.grid_id


def _of(source: Source, name: GridName) -> Source:
    return replace(source, grid_id=name.grid_id)


def _renamed(target: GridTarget, old: GridName, new: GridName) -> GridTarget:
    return new.inside(old.plain(target))


def _contradiction(first: GridTarget, second: GridTarget, *, same_kind: bool) -> str:
    """Why both cannot be right; empty: they can."""
    if first.level != second.level:
        return f"is a {first.level} in one and a {second.level} in the other"
    if None not in (first.parent_id, second.parent_id) and first.parent_id != second.parent_id:
        return f"lies in {first.parent_id} by one and in {second.parent_id} by the other"
    places = (first.stage_x_um, first.stage_y_um, second.stage_x_um, second.stage_y_um)
    if same_kind and first.level == "hole" and None not in places:
        apart_um = float(np.hypot(places[0] - places[2], places[1] - places[3]))  # type: ignore[operator]
        if apart_um > _APART_UM:
            return f"lies at two places, {apart_um:.0f} um apart"
    return ""
