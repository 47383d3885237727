"""Which sidecar files exist, and which movies wait for them.

A sidecar may come before or after its movie, in the same folder or under another root. The book keeps both sides, so
that each scan costs what changed and not movies times candidates.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from frazil.daemon.intake.identity import FileStat
from frazil.models.formats.sidecar import sidecar_key

QUIET_AFTER_S = 30.0
"""A sidecar that stood still so long need not be asked for its stat by the quick scans between full ones."""


class SidecarBook:
    """`candidates(movie_path)` names the absolute paths where its sidecar may lie, the best first (pure arithmetic)."""

    def __init__(self, candidates: Callable[[str], Sequence[str]]) -> None:
        self._candidates = candidates
        self._present: dict[str, tuple[FileStat, float]] = {}
        self._movies: dict[str, list[str]] = {}
        """Key that a movie and its sidecar share -> movies. One entry a movie, where candidates would be many."""
        self._recent: deque[tuple[float, str]] = deque()
        self._quiet: set[str] = set()
        self.ever_saw_one = False
        """Any candidate of any movie ever existed."""

    def expect(self, movie_path: str) -> None:
        self._movies.setdefault(sidecar_key(PurePosixPath(movie_path)), []).append(movie_path)

    def best(self, movie_path: str) -> tuple[str, FileStat, float] | None:
        """(path, stat, when this stat was first seen) of the best candidate that exists."""
        if not self._present:
            return None
        for candidate in self._candidates(movie_path):
            entry = self._present.get(candidate)
            if entry is not None:
                self.ever_saw_one = True
                return candidate, entry[0], entry[1]
        return None

    def observe(self, sidecars: Mapping[str, FileStat | None], now_s: float) -> list[str]:
        """Take in a scan; returns the movies for which something is new, each once."""
        concerned: dict[str, None] = {}
        for path, stat in sidecars.items():
            entry = self._present.get(path)
            if stat is None or (entry is not None and entry[0] == stat):
                continue
            self._present[path] = (stat, now_s)
            self._quiet.discard(path)
            self._recent.append((now_s, path))
            for movie in self._movies.get(sidecar_key(PurePosixPath(path)), ()):
                if path in self._candidates(movie):
                    concerned[movie] = None
        if len(self._present) > len(sidecars):
            for path in [path for path in self._present if path not in sidecars]:
                del self._present[path]
                self._quiet.discard(path)
        while self._recent and self._recent[0][0] <= now_s - QUIET_AFTER_S:
            path = self._recent.popleft()[1]
            entry = self._present.get(path)
            if entry is not None and entry[1] <= now_s - QUIET_AFTER_S:
                self._quiet.add(path)
        return list(concerned)

    def quiet_paths(self) -> frozenset[str]:
        """Sidecars that a quick scan need not stat."""
        return frozenset(self._quiet)
