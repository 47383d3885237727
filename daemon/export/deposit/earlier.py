"""What an earlier export left in a deposit: a movie may have been rejected or set aside since.

Only what frazil wrote goes, from folders that are its own; whatever a person put beside it stays.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from frazil.daemon.export.deposit.manifest import files_below
from frazil.daemon.export.relion_rows import JOB, STACKS, Row, why_not_kept
from frazil.models.records import MovieState

_WITH_LINKS = re.compile(r"(movies(_\d+)?|gain|sidecars|processed)(/|$)")
"""Names below `data` in which frazil makes links."""


@dataclass(slots=True)
class Staying:
    """Stems of movies whose copies may stay in the deposit."""

    sums: set[str] = field(default_factory=set)
    _stacks: dict[str, bool] = field(default_factory=dict)
    """Of kept movies with particles, and whether their stack is known."""

    def add(self, row: Row, session_dir: Path) -> None:
        """A finished movie. Where the session's own files were removed to make room, the copies are the last ones."""
        if row["micrograph_path"] is not None:
            self.sums.add(row["stem"])
        removed = row["micrograph_path"] is not None and not (session_dir / row["micrograph_path"]).exists()
        kept = row["state"] == MovieState.READY and (removed or why_not_kept(row, session_dir) is None)
        if row["particle_count"] and kept:
            self._stacks[row["stem"]] = bool(row["particles_path"])

    @property
    def stacks(self) -> set[str]:
        """Those of all or none are exported."""
        return set(self._stacks) if all(self._stacks.values()) else set()


def remove_links(data: Path) -> None:
    """Those that frazil made, which the export makes anew. Raises OSError."""
    for path, name in files_below(data):
        if path.is_symlink() and _WITH_LINKS.match(name):
            path.unlink()


def remove_earlier(processed: Path, staying: Staying) -> None:
    """STAR files of single movies, which the export writes anew, and copies of sums and stacks but for those.

    After `remove_links`: no folder in `processed` leads elsewhere. Raises OSError.
    """
    none: Set[str] = frozenset()
    for folder, ending, stay in (
        ("motion", ".star", none),
        ("coordinates", ".star", none),
        (JOB, ".mrc", staying.sums),
        (STACKS, ".mrcs", staying.stacks),
    ):
        for path in list((processed / folder).glob(f"*{ending}")):
            if path.name.removesuffix(ending) not in stay and path.is_file():
                path.unlink()
