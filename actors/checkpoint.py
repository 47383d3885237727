"""The checkpoint of a reconstruction: one file of arrays with a header, and what it is worth after a change.

A checkpoint is gone on with only where its key, what the sums depend on besides the movies, is still the same.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.config.settings import ParticleSettings
from frazil.models.formats.atomic import atomic_path

_FORMAT = 8
_KEY_SETTINGS = ("symmetry", "diameter_angstrom", "box_px", "map_classes", "initial_map")
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
    """What the sums depend on besides the movies: the format, then `_KEY_SETTINGS`."""
    start: list[object] = []
    if particles.initial_map is not None:
        try:
            status = os.stat(particles.initial_map)
            start = [particles.initial_map, status.st_size, status.st_mtime_ns]
        except OSError:
            start = [particles.initial_map]
    return [
        _FORMAT,
        particles.symmetry,
        particles.diameter_angstrom,
        particles.box_px,
        particles.map_classes,
        start,
    ]


def what_changed(before: list[Any], now: list[object]) -> str:
    """Between two keys; empty: nothing."""
    if before == now:
        return ""
    if before[:1] != now[:1] or len(before) != len(now):
        return "another version of frazil made it"
    names = [name for name, was, value in zip(_KEY_SETTINGS, before[1:], now[1:], strict=True) if was != value]
    return f"{' and '.join(f'particles.{name}' for name in names)} changed"


def of(arrays: dict[str, NDArray[Any]], owner: str) -> dict[str, NDArray[Any]]:
    """One owner's arrays of a checkpoint, under the names that it gave them."""
    return {name.removeprefix(f"{owner}/"): array for name, array in arrays.items() if name.startswith(f"{owner}/")}
