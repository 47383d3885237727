"""Which folders below a root are acquisitions, told by their layout; and what lies in one of them.

A look lists folders and asks no file for anything, so that it can be made every few seconds on NFS, which sends no
events. It does not enter an acquisition that it is told to leave alone: what runs or has ended costs nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from frazil.config.serving import Program
from frazil.config.settings import IntakeSettings
from frazil.daemon.intake.scan import PathFilter
from frazil.models.formats.grid.leginon_names import leginon_targets

EPU_SESSION = "EpuSession.dm"
"""EPU writes it before the first movie."""
MOST_DEPTH = 5
"""Folders below the root in which an acquisition may begin."""
_MOST_MOVIES = 5
"""Of one acquisition, whose structure is looked at."""
_DISC = re.compile(r"Images-Disc\d+", re.IGNORECASE)
_INNER = re.compile(r"raw|rawdata|frames|movies|data|images-disc\d+|gridsquare_\d+", re.IGNORECASE)
"""Names of folders that tell no acquisition from another: it is the folder around them."""
_RULES = PathFilter(IntakeSettings())


@dataclass(frozen=True, slots=True)
class Found:
    """An acquisition's folder."""

    folder: Path
    program: Program


@dataclass(slots=True)
class Look:
    """What one look at the root has found."""

    found: list[Found] = field(default_factory=list)
    unreadable: int = 0
    """Folders that this account may not list."""
    root_there: bool = True


@dataclass(frozen=True, slots=True)
class Contents:
    """Of an acquisition's folder."""

    movies: tuple[Path, ...]
    """A few, from as many folders as there are."""
    newest_ns: int
    """When something was put into one of its folders last."""


@dataclass(frozen=True, slots=True)
class _Listing:
    folders: tuple[str, ...]
    files: tuple[str, ...]


def find_acquisitions(
    root: Path, *, leave: Container[Path] = (), exclude: Iterable[Path] = (), patterns: Sequence[str] = ()
) -> Look:
    """One look.

    Parameters
    ----------
    leave:
        Acquisitions that are known: neither entered nor told again.
    exclude:
        Folders that are not entered (where sessions lie).
    patterns:
        Shell patterns below the root which say what one acquisition is; without any the layout tells.
    """
    look, excluded = Look(), {folder.resolve() for folder in exclude}
    if not root.is_dir():
        look.root_there = False
        return look
    if patterns:
        folders = sorted({folder for pattern in patterns for folder in root.glob(pattern)})
        for folder in folders:
            # A link may lead to where others may not look: who made it must not get a session of that.
            if folder not in leave and folder.is_dir() and folder.resolve() == folder and folder not in excluded:
                listing = _listed(folder, look)
                look.found += [] if listing is None else [Found(folder, _program(listing))]
        return look
    _descend(root, root, 0, look, leave, excluded)
    # The same folder is told by each of its inner ones.
    look.found = list({one.folder: one for one in reversed(look.found) if one.folder not in leave}.values())
    look.found.sort(key=lambda one: one.folder)
    return look


def contents_of(folder: Path) -> Contents:
    """Goes through all of its folders, and asks no file."""
    movies: list[Path] = []
    newest_ns = 0
    for place, names, files in os.walk(folder):
        try:
            newest_ns = max(newest_ns, os.stat(place).st_mtime_ns)
        except OSError:
            continue
        names[:] = sorted(name for name in names if _RULES.takes_folder(name))
        here = sorted(name for name in files if _is_movie(name))
        movies += [Path(place, name) for name in here[: max(1, _MOST_MOVIES - len(movies))]]
        if len(movies) >= 2 * _MOST_MOVIES:
            movies = movies[:_MOST_MOVIES]
    return Contents(tuple(movies[:_MOST_MOVIES]), newest_ns)


def _descend(
    folder: Path, root: Path, depth: int, look: Look, leave: Container[Path], excluded: Container[Path]
) -> None:
    if folder in leave or folder.resolve() in excluded:
        return
    listing = _listed(folder, look)
    if listing is None:
        return
    if folder != root and (one := _acquisition(folder, root, listing)) is not None:
        look.found.append(one)
        return
    if depth < MOST_DEPTH:
        for name in listing.folders:
            _descend(folder / name, root, depth + 1, look, leave, excluded)


def _listed(folder: Path, look: Look) -> _Listing | None:
    """None: it is gone, or may not be looked into."""
    folders, files = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    files.append(entry.name)
                elif _RULES.takes_folder(entry.name):
                    folders.append(entry.name)
    except FileNotFoundError:
        return None
    except OSError:
        look.unreadable += 1
        return None
    return _Listing(tuple(sorted(folders)), tuple(sorted(files)))


def _acquisition(folder: Path, root: Path, listing: _Listing) -> Found | None:
    """The acquisition that begins here, or around this folder."""
    epu = EPU_SESSION in listing.files or any(_DISC.fullmatch(name) for name in listing.folders)
    if epu or any(name.lower().endswith(".nav") for name in listing.files):
        return Found(folder, _program(listing))
    if not any(_is_movie(name) for name in listing.files):
        return None
    outer = folder
    while _INNER.fullmatch(outer.name) and outer.parent != root:
        outer = outer.parent
    return Found(outer, _program(listing))


def _program(listing: _Listing) -> Program:
    if EPU_SESSION in listing.files or any(_DISC.fullmatch(name) for name in listing.folders):
        return "epu"
    if any(name.startswith("FoilHole_") and _is_movie(name) for name in listing.files):
        return "epu"
    if any(name.lower().endswith((".nav", ".mdoc")) for name in listing.files):
        return "serialem"
    if any(leginon_targets(name.replace(".frames.", ".")) for name in listing.files if _is_movie(name)):
        return "leginon"
    return "plain"


def _is_movie(name: str) -> bool:
    return _RULES.is_movie(name, name)
