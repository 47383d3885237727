"""In which order holes are shot: as listed, by chance, or as a file says that is rewritten meanwhile."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from frazil.models.simulation.grid.truth import GridTruth, hole_target_id

_COLUMNS = ("target_id", "name", "hole")
_LISTS = ("ranked", "targets", "next")
_MOST_BYTES = 32 << 20

Flags = npt.NDArray[np.bool_]


class Order(Protocol):
    def next(self, open_holes: Flags) -> int | None:
        """Index of the next hole to shoot among those that are left; None: no more."""


class ScanOrder:
    """As the program lists them."""

    def next(self, open_holes: Flags) -> int | None:
        left = np.flatnonzero(open_holes)
        return int(left[0]) if left.size else None


class RandomOrder:
    """Any hole, wherever it lies."""

    def __init__(self, truth: GridTruth) -> None:
        self._rank = truth.rng(6).permutation(len(truth.holes))

    def next(self, open_holes: Flags) -> int | None:
        left = np.flatnonzero(open_holes)
        return int(left[np.argmin(self._rank[left])]) if left.size else None


class FileOrder:
    """The first target of a file that is still to be shot; the scan's where there is no file, or nothing left in it.

    The file is read again before each exposure. Half a file, or one that is no list, counts as none: whoever
    writes it will be done in a moment.
    """

    def __init__(self, path: Path, truth: GridTruth) -> None:
        self._path = path
        self._scan = ScanOrder()
        self._hole_of: dict[str, int] = {}
        for at, number in enumerate(truth.holes.number.tolist()):
            self._hole_of[hole_target_id(number)] = self._hole_of[str(number)] = at
        self.obeyed = 0
        """Holes that came from the file."""

    def next(self, open_holes: Flags) -> int | None:
        for name in named_in(self._path):
            hole = self._hole_of.get(name)
            if hole is not None and open_holes[hole]:
                self.obeyed += 1
                return hole
        return self._scan.next(open_holes)


def named_in(path: Path) -> list[str]:
    """Targets that a .csv or a JSON file names, in its order; none where it cannot be read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return []
        text = path.read_text(encoding="utf-8-sig")
        return list(_of_csv(text) if path.suffix.lower() == ".csv" else _of_json(json.loads(text)))
    except (OSError, ValueError):
        return []


def _of_csv(text: str) -> Iterator[str]:
    for row in csv.DictReader(io.StringIO(text)):
        yield from _named(row)


def _of_json(content: Any) -> Iterator[str]:
    """A list of names or of objects, or an object with such a list, as `frazil next --json` prints it."""
    if isinstance(content, dict):
        content = next((content[name] for name in _LISTS if isinstance(content.get(name), list)), [])
    for one in content if isinstance(content, list) else []:
        if isinstance(one, dict):
            yield from _named(one)
        elif isinstance(one, (str, int)):
            yield str(one)


def _named(row: Mapping[str, Any]) -> Iterator[str]:
    value = next((row[name] for name in _COLUMNS if row.get(name)), None)
    if value is not None:
        yield str(value)
