"""What makes a movie the same movie: its path below the raw root, its generation, and what `stat` says of it.

Two files of the same name in two folders are two movies. A file whose size, time or inode changes after it was handed
on is a new *generation* of the same path: its results replace the old ones and are never mixed with them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from frazil.models.records import AcquisitionMetadata, MovieHeader


class FileStat(NamedTuple):
    """The part of `stat` that must stand still. A named tuple, because a scan makes one per file."""

    size_bytes: int
    mtime_ns: int
    """Of the file server's clock: compared with itself only, never with ours."""
    inode: int
    """0 on file systems that make inode numbers up on each mount (see `watcher.trusts_inodes`)."""


def movie_id(relative_path: str, generation: int) -> str:
    """Sixteen hex digits that name one generation of one path.

    Derived, not drawn: when the database is lost, the same files get the same names again.
    """
    text = f"{relative_path}\0{generation}".encode()
    return hashlib.blake2b(text, digest_size=8, person=b"frazil-movie").hexdigest()


@dataclass(frozen=True, slots=True)
class CompleteMovie:
    """A movie that stood still, is structurally complete and may be processed."""

    relative_path: str
    """Below the raw root, '/' separated."""
    path: Path
    generation: int
    """From 1; see `movie_id`."""
    movie_id: str
    stat: FileStat
    header: MovieHeader
    sidecar: AcquisitionMetadata | None
    sidecar_path: str | None
    flags: tuple[str, ...]
    """Short words for the store: `no-sidecar`, `bad-sidecar`, `single-frame`, `frame-count-changed`,
    `more-frames-than-promised`, `duplicate`, `accepted-as-is`, `resumed`."""
    found_monotonic_s: float
    found_utc_us: int
    complete_monotonic_s: float
    """When the structure check passed; what follows until it is handed on is waiting for its sidecar."""
    duplicate_of: str | None = None
    """Relative path of another movie that is the same file on disk (hard link, link, or renamed since)."""
