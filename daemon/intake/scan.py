"""One look at the tree: what is there, with its stat. The truth that hints only anticipate.

Links are followed only if what they lead to lies below the same root; a linked file is then a movie under the link's
own path. Linked folders are not entered: inside the root their files are seen under their own names anyway.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat as stat_module
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake.events import Snapshot
from frazil.daemon.intake.identity import FileStat

SIDECAR_GLOBS = ("*.xml", "*.mdoc")
_NOT_UTF8 = "its name is not valid UTF-8; rename it"
_NOT_REGULAR = "it is not a regular file"


def _compile(globs: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob.lower()) for glob in globs) or r"(?!)")


class PathFilter:
    """Which names are movies. Case does not matter.

    A pattern with a '/' is matched against the relative path, any other against the file's name. Patterns that begin
    with '.' or end with '/' also keep whole folders out.
    """

    def __init__(self, settings: IntakeSettings) -> None:
        self.recursive = settings.recursive
        self._include = _compile(glob for glob in settings.include if "/" not in glob)
        self._include_path = _compile(glob for glob in settings.include if "/" in glob)
        self._exclude = _compile(glob for glob in settings.exclude if "/" not in glob)
        self._exclude_path = _compile(glob for glob in settings.exclude if "/" in glob.rstrip("/"))
        folders = [glob.rstrip("/") for glob in settings.exclude if glob.startswith(".") or glob.endswith("/")]
        self._exclude_folder = _compile(folders)
        self._sidecar = _compile(SIDECAR_GLOBS)

    def takes_folder(self, name: str) -> bool:
        return self.recursive and self._exclude_folder.match(name.lower()) is None

    def is_movie(self, relative_path: str, name: str) -> bool:
        name, path = name.lower(), relative_path.lower()
        if self._include.match(name) is None and self._include_path.match(path) is None:
            return False
        return self._exclude.match(name) is None and self._exclude_path.match(path) is None

    def is_sidecar(self, name: str) -> bool:
        name = name.lower()
        return self._sidecar.match(name) is not None and self._exclude.match(name) is None

    def takes(self, relative_path: str) -> bool:
        """The whole rule for one relative path, as a scan would apply it on the way down."""
        *folders, name = relative_path.split("/")
        return all(self.takes_folder(folder) for folder in folders) and self.is_movie(relative_path, name)


@dataclass(frozen=True, slots=True)
class Tree:
    """Where to look.

    Parameters
    ----------
    root:
        The raw root. Nothing outside it is ever opened as a movie.
    sidecar_roots:
        Further folders that hold sidecars only.
    exclude_folders:
        Not entered, wherever they lie (the session's own folder).
    use_inodes:
        False where the file system makes inode numbers up anew on each mount.
    """

    root: Path
    filter: PathFilter
    sidecar_roots: tuple[Path, ...] = ()
    exclude_folders: tuple[Path, ...] = ()
    use_inodes: bool = True

    def to_stat(self, found: os.stat_result) -> FileStat:
        return FileStat(found.st_size, found.st_mtime_ns, found.st_ino if self.use_inodes else 0)

    def look(self, relative_path: str) -> FileStat | None:
        """Stat of one movie by the same rules as a scan; `None`: not there, not a movie, or refused.

        The file is opened and closed first: on NFS that, and not `stat`, is what asks the server.
        """
        if not self.filter.takes(relative_path):
            return None
        path = self.root / relative_path
        try:
            root = self.root.resolve(strict=True)
            resolved = path.resolve(strict=True)
            if not resolved.is_relative_to(root) or self._is_excluded(resolved):
                return None
            # Non-blocking: opening a named pipe would otherwise wait for its writer for ever.
            descriptor = os.open(resolved, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        return self.to_stat(found) if stat_module.S_ISREG(found.st_mode) else None

    def _is_excluded(self, resolved: Path) -> bool:
        return any(resolved.is_relative_to(folder.resolve()) for folder in self.exclude_folders)

    def scan(self, *, quiet: Container[str] = (), quiet_sidecars: Container[str] = ()) -> Snapshot:
        """Look at everything; entries named in `quiet` (relative) and `quiet_sidecars` (absolute) are only listed."""
        try:
            root_stat = os.stat(self.root)
            root = self.root.resolve(strict=True)
        except OSError:
            return Snapshot(root_present=False)
        if not stat_module.S_ISDIR(root_stat.st_mode):
            return Snapshot(root_present=False)
        walk = _Walk(self, quiet, quiet_sidecars)
        walk.visit(root, movies=True)
        for sidecar_root in self.sidecar_roots:
            if sidecar_root.resolve().is_relative_to(root):
                continue  # seen already
            if sidecar_root.is_dir():
                walk.visit(sidecar_root.resolve(), movies=False)
        if "" in walk.unreadable and not self.root.is_dir():
            return Snapshot(root_present=False)
        identity = (root_stat.st_dev, root_stat.st_ino) if self.use_inodes else None
        # By name, not as the file system lists them: what one look finds is numbered in an order that can be repeated.
        files = dict(sorted(walk.files.items()))
        return Snapshot(True, identity, files, walk.sidecars, walk.refused, walk.unreadable)


class _Walk:
    def __init__(self, tree: Tree, quiet: Container[str], quiet_sidecars: Container[str]) -> None:
        self._tree = tree
        self._quiet = quiet
        self._quiet_sidecars = quiet_sidecars
        self._excluded = {str(folder.resolve()) for folder in tree.exclude_folders}
        self.files: dict[str, FileStat | None] = {}
        self.sidecars: dict[str, FileStat | None] = {}
        self.refused: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}

    def visit(self, root: Path, *, movies: bool) -> None:
        stack = [(str(root), "")]
        while stack:
            folder, relative = stack.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        self._visit_entry(entry, relative, root, movies, stack)
            except OSError as error:
                if movies and (not isinstance(error, FileNotFoundError) or not relative):
                    self.unreadable[relative] = error.strerror or str(error)

    def _visit_entry(
        self, entry: os.DirEntry[str], relative: str, root: Path, movies: bool, stack: list[tuple[str, str]]
    ) -> None:
        name = entry.name
        path = f"{relative}/{name}" if relative else name
        rules = self._tree.filter
        if entry.is_dir(follow_symlinks=False):
            if rules.takes_folder(name) and entry.path not in self._excluded:
                stack.append((entry.path, path))
            return
        is_movie = movies and rules.is_movie(path, name)
        if not is_movie and not rules.is_sidecar(name):
            if movies and entry.is_symlink() and rules.takes_folder(name):
                self._refuse_folder_link_outside(entry, path, root)
            return
        if not name.isascii() and not _is_utf8(name):
            self.refused[path.encode(errors="replace").decode()] = _NOT_UTF8
            return
        if is_movie:
            self._take(entry, path, root, self.files, path, self._quiet)
        else:
            self._take(entry, path, root, self.sidecars, entry.path, self._quiet_sidecars)

    def _take(
        self,
        entry: os.DirEntry[str],
        path: str,
        root: Path,
        into: dict[str, FileStat | None],
        key: str,
        quiet: Container[str],
    ) -> None:
        try:
            if entry.is_symlink():
                reason = _outside(entry.path, root)
                if reason is not None:
                    self.refused[path] = reason
                    return
            if key in quiet:
                into[key] = None
                return
            found = entry.stat()
        except FileNotFoundError:
            return  # went away between listing and stat
        except OSError as error:
            self.refused[path] = error.strerror or str(error)
            return
        if stat_module.S_ISREG(found.st_mode):
            into[key] = self._tree.to_stat(found)
        else:
            self.refused[path] = _NOT_REGULAR

    def _refuse_folder_link_outside(self, entry: os.DirEntry[str], path: str, root: Path) -> None:
        try:
            if entry.is_dir():
                reason = _outside(entry.path, root)
                if reason is not None:
                    self.refused[path] = reason
        except OSError:
            return  # leads nowhere, so it hides nothing


def _outside(path: str, root: Path) -> str | None:
    """Why this link is refused; `None`: it stays below the root."""
    try:
        target = Path(path).resolve(strict=True)
    except (OSError, RuntimeError):
        return "the link leads nowhere"
    return None if target.is_relative_to(root) else f"the link leads out of the raw folder, to {target}"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
