"""Which files below some folders tell of the grid: a look that costs as little as it can.

Raw folders hold tens of thousands of movies and lie on slow mounts. So folders with exposures are never entered, a
folder is listed again only when it has changed, and only files whose names tell are asked for their time and size.
"""

from __future__ import annotations

import os
import stat as stat_module
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from frazil.models.formats.grid.epu_images import is_square_image

MOST_DEPTH = 4
"""Folders below a root that are entered."""
_FRESH_NS = 2_000_000_000
"""A folder that changed so lately may change again without its time telling."""
_OF_EXPOSURES = ("Data", "FoilHoles")
_KINDS = {"EpuSession.dm": "epu-session", "Atlas.dm": "epu-atlas"}
"""By whole name."""
_FOLDERS_UP = {"epu-session": 0, "epu-square": 1, "epu-image": 2}
"""From a file of EPU to the folder of its session."""


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file that tells of the grid, as it lay there at one moment."""

    path: Path
    root: Path
    """Of the session's folder, to which pictures are told relative; for lists the folder itself."""
    kind: str
    """epu-session, epu-square, epu-image, epu-atlas, navigator or list"""
    mtime_ns: int
    size_bytes: int
    place: str = ""
    """Of what is EPU's the session's folder, of other files their own path, below the folder that is looked in: the
    same for a session whose movies lie below one root and whose metadata below another."""

    @property
    def identity(self) -> tuple[int, int]:
        """The same as long as nobody writes into it."""
        return self.mtime_ns, self.size_bytes


@dataclass(frozen=True, slots=True)
class _Folder:
    mtime_ns: int
    files: tuple[tuple[str, str], ...]
    """(path, kind)"""
    folders: tuple[str, ...]


class GridFiles:
    """See the module. Remembers folders from one look to the next.

    Parameters
    ----------
    roots:
        Folders of movies and sidecars: EPU's and SerialEM's files in them are found.
    own_roots:
        Folders or files that a person named for the grid: atlases and tables of holes in them count too.
    exclude:
        Not entered (the session's own folder).
    """

    def __init__(self, roots: Sequence[Path], own_roots: Sequence[Path], *, exclude: Path) -> None:
        self._roots = tuple(dict.fromkeys(root.resolve() for root in roots))
        self._own_roots = tuple(dict.fromkeys(root.resolve() for root in own_roots))
        self._exclude = str(exclude.resolve())
        self._folders: dict[str, _Folder] = {}
        self.changes = 0
        """How often a folder was found to be another."""

    @property
    def roots(self) -> tuple[Path, ...]:
        """All of them, those that a person named first."""
        return tuple(dict.fromkeys((*self._own_roots, *self._roots)))

    def look(self, also: Iterable[Path] = (), *, now_ns: int) -> list[SeenFile]:
        """What is there, by path; `also`: atlases that session files name. A root that is not there has no files."""
        found: dict[str, SeenFile] = {}
        for root in self._roots:
            self._visit(root, found, now_ns, own=False)
        for root in self._own_roots:
            if root.is_dir():
                self._visit(root, found, now_ns, own=True)
            else:
                self._take(found, str(root), _own_kind(root.name), root.parent, root.parent)
        for path in map(Path.resolve, also):
            root = next((one for one in self.roots if path.is_relative_to(one)), path.parent)
            self._take(found, str(path), "epu-atlas", path.parent, root)
        return [found[path] for path in sorted(found)]

    def _visit(self, root: Path, found: dict[str, SeenFile], now_ns: int, *, own: bool) -> None:
        stack = [(str(root), 0, root)]
        while stack:
            folder, depth, session = stack.pop()
            listed = self._listed(folder, now_ns)
            if listed is None:
                continue
            if any(kind == "epu-session" for _, kind in listed.files):
                session = Path(folder)
            for path, kind in listed.files:
                if own or kind not in ("epu-atlas", "list"):
                    self._take(found, path, kind, session, root)
            if depth < MOST_DEPTH:
                stack += [(below, depth + 1, session) for below in listed.folders]

    def _listed(self, folder: str, now_ns: int) -> _Folder | None:
        """None: it is not there, or may not be read."""
        if folder == self._exclude:
            return None
        try:
            mtime_ns = os.stat(folder).st_mtime_ns
            known = self._folders.get(folder)
            if known is not None and known.mtime_ns == mtime_ns and now_ns - mtime_ns > _FRESH_NS:
                return known
            with os.scandir(folder) as entries:
                listed = _sorted_out(Path(folder), entries, mtime_ns)
        except OSError:
            self.changes += self._folders.pop(folder, None) is not None
            return None
        self.changes += known is None or (known.files, known.folders) != (listed.files, listed.folders)
        self._folders[folder] = listed
        return listed

    def _take(self, found: dict[str, SeenFile], path: str, kind: str | None, session: Path, root: Path) -> None:
        """A file that is found below several roots counts as found below the first."""
        if kind is None or path in found:
            return
        try:
            seen = os.stat(path)
        except OSError:
            return
        if stat_module.S_ISREG(seen.st_mode):
            place = self._place(Path(path), kind, root)
            found[path] = SeenFile(Path(path), session, kind, seen.st_mtime_ns, seen.st_size, place)

    def _place(self, path: Path, kind: str, root: Path) -> str:
        """Below a root that a person named for the grid it begins with that folder's name: it is another one's."""
        at = path.parents[_FOLDERS_UP[kind]] if kind in _FOLDERS_UP else path.with_suffix("")
        below = at.relative_to(root).as_posix() if at.is_relative_to(root) else "."
        parts = () if root in self._roots else (root.name,)
        return "/".join((*parts, *(() if below == "." else (below,))))


def _sorted_out(folder: Path, entries: Iterable[os.DirEntry[str]], mtime_ns: int) -> _Folder:
    if folder.name.startswith("GridSquare_"):
        # A square is imaged again now and then: the newest counts, and its time stands in its name.
        names = [name for entry in entries if (name := entry.name).endswith(".xml") and is_square_image(Path(name))]
        files = [(str(folder / max(names)), "epu-image")] if names else []
        return _Folder(mtime_ns, tuple(files), ())
    files, folders = [], []
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith(".") and entry.name not in _OF_EXPOSURES:
                folders.append(entry.path)
        elif (kind := _kind(folder.name, entry.name)) is not None:
            files.append((entry.path, kind))
    return _Folder(mtime_ns, tuple(sorted(files)), tuple(sorted(folders)))


def _kind(folder: str, name: str) -> str | None:
    if folder == "Metadata" and name.startswith("GridSquare_") and name.endswith(".dm"):
        return "epu-square"
    return _KINDS.get(name) or _own_kind(name)


def _own_kind(name: str) -> str | None:
    """Of a file that a person named, whatever its folder is called."""
    suffix = os.path.splitext(name)[1].lower()
    by_suffix = {".nav": "navigator", ".csv": "list"}
    return _KINDS.get(name) or by_suffix.get(suffix)
