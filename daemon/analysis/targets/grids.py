"""Which files are of one grid, and how that grid is called. Pure.

EPU's files below one session's folder are of one grid, a session and the atlas that it names too, and so are two
sessions that name the same atlas. Navigator files are of one grid where they share an item. All tables of holes are of
one. A grid is called after the session's folder, or else after the file that tells of it, so that it keeps its name
while more is found; where two turn out to be one, the first name in order is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from frazil.daemon.analysis.targets.looking import SeenFile
from frazil.models.formats.epu_xml import epu_names
from frazil.models.formats.grid.epu_session import EpuSample
from frazil.models.grid_target import GridName

K = TypeVar("K")
V = TypeVar("V")
_SESSION, _ATLAS, _NAVIGATOR, _LIST = 0, 1, 2, 3
_Node = tuple[int, str]
"""Kind, and what it is called: a session's place, an atlas' path, a navigator's place."""
_PROGRAMS = {_SESSION: "epu", _ATLAS: "epu", _NAVIGATOR: "serialem", _LIST: "list"}


@dataclass(slots=True)
class GridNames:
    """See the module. Told of files as they are read."""

    _samples: dict[str, tuple[EpuSample, ...]] = field(default_factory=dict)
    """By a session's place; several where the session is of several grids."""
    _named: dict[_Node, str] = field(default_factory=dict)
    """Atlas of a session: its path, or as the session calls it while it is not found."""
    _items: dict[str, frozenset[str]] = field(default_factory=dict)
    """Of navigator files, by their place."""
    _atlases: dict[str, str] = field(default_factory=dict)
    """Places of the atlases that were read, by path."""
    _heads: dict[_Node, _Node] | None = None
    """After whom each is called; None: to be made anew."""

    def session(self, place: str, samples: tuple[EpuSample, ...] = ()) -> None:
        """There is a session of EPU; without `samples` its own file has not been read yet."""
        if samples or place not in self._samples:
            self._note(self._samples, place, samples)

    def atlas_of(self, place: str, sample: int, atlas: str) -> None:
        """A session's sample was recorded with this atlas."""
        self._note(self._named, self._sample(place, sample), atlas)

    def atlas(self, path: str, place: str) -> None:
        """There is an atlas."""
        self._note(self._atlases, path, place)

    def navigator(self, place: str, target_ids: Iterable[str]) -> None:
        """There is a navigator file with these items. Labels are anybody's, numbers (`MapID`) are an item's own."""
        own = (one for one in target_ids if one.startswith("serialem:item:") and "#" not in one)
        self._note(self._items, place, frozenset(own))

    def _note(self, facts: dict[K, V], key: K, value: V) -> None:
        if key not in facts or facts[key] != value:
            facts[key] = value
            self._heads = None

    def name_of(self, file: SeenFile) -> GridName:
        """Of the grid that a file tells of, as far as files have been read."""
        node = self._node(file)
        return self._called(self._known_heads().get(node, node))

    def grids_of_sessions(self) -> Mapping[str, frozenset[str]]:
        """Ids of the grids that were recorded in each session's folder, by its place."""
        heads = self._known_heads()
        return {
            place: frozenset(self._called(heads[node]).grid_id for node in self._nodes_of(place))
            for place in self._samples
        }

    def one_by_now(self, grid_ids: Iterable[str]) -> list[tuple[GridName, GridName]]:
        """Of the grids that are known: those that are another one by now, and which."""
        heads = self._known_heads()
        called = {self._called(head).grid_id for head in heads.values()}
        known = set(grid_ids)
        found = {}
        for node, head in heads.items():
            old, new = self._called(node), self._called(head)
            if old.grid_id in known and old.grid_id not in called:
                found[old] = new
        return sorted(found.items())

    # ---- who belongs together

    def _node(self, file: SeenFile) -> _Node:
        if file.kind == "navigator":
            return _NAVIGATOR, file.place
        if file.kind == "epu-atlas":
            return _ATLAS, str(file.path)
        if file.kind == "list":
            return _LIST, ""
        samples = self._samples.get(file.place, ())
        number = epu_names(file.path).grid_square or epu_names(file.path.with_suffix("") / "x").grid_square
        at = next((n for n, one in enumerate(samples) if number in one.square_numbers), 0)
        return self._sample(file.place, at)

    def _sample(self, place: str, number: int) -> _Node:
        """The first one has the session's own name: it keeps it when there are others."""
        return _SESSION, f"{place}/sample {number + 1}".lstrip("/") if number else place

    def _nodes_of(self, place: str) -> list[_Node]:
        return [self._sample(place, number) for number in range(max(1, len(self._samples[place])))]

    def _known_heads(self) -> dict[_Node, _Node]:
        if self._heads is None:
            self._heads = self._joined()
        return self._heads

    def _joined(self) -> dict[_Node, _Node]:
        """The first of those that belong together, sessions before atlases, for each."""
        pairs = [(session, (_ATLAS, atlas)) for session, atlas in self._named.items()]
        holders: dict[str, _Node] = {}
        for place in sorted(self._items):
            for item in self._items[place]:
                pairs.append(((_NAVIGATOR, place), holders.setdefault(item, (_NAVIGATOR, place))))
        nodes = {node for place in self._samples for node in self._nodes_of(place)}
        nodes |= {(_ATLAS, path) for path in self._atlases} | {(_NAVIGATOR, place) for place in self._items}
        heads = {node: node for node in (*nodes, *(node for pair in pairs for node in pair))}
        for one, other in pairs:
            first, second = sorted((_head(heads, one), _head(heads, other)))
            heads[second] = first
        return {node: _head(heads, node) for node in heads}

    def _called(self, node: _Node) -> GridName:
        kind, key = node
        if kind == _ATLAS:  # `Sample3/Atlas/Atlas.dm`
            key = re.sub(r"(/?Atlas)*\Z", "", self._atlases.get(key, key)) or "atlas"
        return GridName(_PROGRAMS[kind], f"{key}/" if key else "")


def _head(heads: Mapping[_Node, _Node], node: _Node) -> _Node:
    while heads[node] != node:
        node = heads[node]
    return node
