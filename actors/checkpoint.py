"""The checkpoint of a reconstruction: one file of arrays with a header, and what it is worth after a change.

A checkpoint is gone on with only where its key, what the sums depend on besides the movies, is still the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.config.settings import ParticleSettings
from frazil.models.formats.atomic import atomic_path

_FORMAT = 9
_KEY_SETTINGS = ("symmetry", "diameter_angstrom", "box_px", "map_classes", "classes", "initial_map")
"""Of `particles`, those that the sums depend on."""
_PATH = "maps/checkpoint.npz"


def read(session_dir: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays.

    Raises
    ------
    FileNotFoundError
        There is none.
    OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile
        It is damaged.
    """
    # np.load closes a file that it opened itself only where that is whole.
    with open(session_dir / _PATH, "rb") as opened, np.load(opened, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(str(arrays.pop("header"))), arrays


def write(session_dir: Path, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Replace the checkpoint as a whole. Raises OSError if the disk is full: the one before is still there."""
    path = session_dir / _PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {"header": np.array(json.dumps(header)), **arrays}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **parts)


def key(particles: ParticleSettings) -> list[object]:
    """What the sums depend on besides the movies: the format, then `_KEY_SETTINGS`.

    An initial map by its path, what the disk says of it, and its content, which alone counts where it is known.
    """
    start: list[object] = []
    if particles.initial_map is not None:
        start = [particles.initial_map]
        digest = file_digest(Path(particles.initial_map))
        if digest:
            status = os.stat(particles.initial_map)
            start += [status.st_size, status.st_mtime_ns, digest]
    return [
        _FORMAT,
        particles.symmetry,
        particles.diameter_angstrom,
        particles.box_px,
        particles.map_classes,
        particles.classes,
        start,
    ]


def what_changed(before: list[Any], now: list[object]) -> str:
    """Between two keys; empty: nothing."""
    if before == now:
        return ""
    if before[:1] != now[:1] or len(before) != len(now):
        return "another version of frazil made it"
    pairs = zip(_KEY_SETTINGS, before[1:], now[1:], strict=True)
    names = [name for name, was, value in pairs if was != value and not (name == "initial_map" and _same(was, value))]
    return f"{' and '.join(f'particles.{name}' for name in names)} changed" if names else ""


def _same(before: Any, now: Any) -> bool:
    """Two initial maps, as `key` describes them. One that is not there any more, as beside an archived session, does
    not differ from what it was."""
    if not before or not now:
        return not before and not now
    if len(now) == 1 or len(before) == 1:
        return True
    if len(before) == 3:  # of an earlier frazil
        return bool(before == list(now)[:3])
    return bool(before[3] == now[3])


def file_digest(path: Path) -> str:
    """Of a file's content; empty: it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""


def of(arrays: dict[str, NDArray[Any]], owner: str) -> dict[str, NDArray[Any]]:
    """One owner's arrays of a checkpoint, under the names that it gave them."""
    return {name.removeprefix(f"{owner}/"): array for name, array in arrays.items() if name.startswith(f"{owner}/")}
