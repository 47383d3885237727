"""What was removed from a session's folder to make room: a line for each time, in `removed.jsonl` beside the database.

Not in the database, which a finished session keeps as it is. Whoever finds a file missing asks here before he calls it
an error.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import msgspec

from frazil.config.errors import NotThereError

REMOVED_NAME = "removed.jsonl"
KIND_WORDS = {"restored": "restored micrographs", "particles": "particle stacks", "sums": "motion-corrected sums"}
KIND_FOLDERS = {"restored": "restored", "particles": "particles", "sums": "motion"}


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of files, removed at one time. Written before the first of them goes."""

    utc_us: int
    by: str
    """Account and machine."""
    kind: str
    """A key of `KIND_WORDS`."""
    files: int
    size_bytes: int
    rule: str
    """By which rule, in words."""

    @property
    def words(self) -> str:
        """For a person.

        >>> Removal(utc_us=0, by="em@scope", kind="sums", files=2, size_bytes=3_000_000_000, rule="").words
        'motion-corrected sums (2 files, 3.0 GB) were removed on 1970-01-01 by em@scope'
        """
        day = datetime.datetime.fromtimestamp(self.utc_us / 1e6, datetime.UTC).strftime("%Y-%m-%d")
        what = KIND_WORDS.get(self.kind, self.kind)
        return f"{what} ({self.files} files, {self.size_bytes / 1e9:.1f} GB) were removed on {day} by {self.by}"


def removals(session_dir: Path) -> tuple[Removal, ...]:
    """The oldest first; a line that is damaged is passed over. None where this account may not look."""
    try:
        lines = (session_dir / REMOVED_NAME).read_bytes().splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=Removal))
        except msgspec.DecodeError:
            continue
    return tuple(found)


def removal_words(session_dir: Path) -> tuple[str, ...]:
    """A sentence for each removal, for a person."""
    return tuple(one.words for one in removals(session_dir))


def note_removal(session_dir: Path, removal: Removal) -> None:
    """On disk when this returns. Raises OSError."""
    with open(session_dir / REMOVED_NAME, "ab") as file:
        file.write(msgspec.json.encode(removal) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def check_not_removed(session_dir: Path, path: Path) -> None:
    """Raises `NotThereError` for a file that is not there because its kind was removed."""
    if path.is_file() or not path.is_relative_to(session_dir):
        return
    folder = path.relative_to(session_dir).parts[0]
    last = [one for one in removals(session_dir) if KIND_FOLDERS.get(one.kind) == folder]
    if last:
        raise NotThereError(
            last[-1].words, path=path, remedy="`frazil requeue` makes it again while the movies are there"
        )
