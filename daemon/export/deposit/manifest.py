"""The list of a deposit's files with their checksums, and small text files that appear only when they are whole."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import RetryLaterError
from frazil.daemon.export.deposit.checksums import ChecksumBook
from frazil.models.formats.atomic import atomic_path

_BREAKS = re.compile(r"[\t\r\n]")
_BOOK = ".checksums.jsonl"


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list holds."""

    files: int
    size_bytes: int
    """Of all that are there."""
    without_checksum: tuple[str, ...]
    """Not there, not readable, changed while they were read, or not asked for."""


def files_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """(path, name below `folder`) of everything that is no folder, in the order of names; links are not followed."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted([*names, *(one for one in folders if os.path.islink(os.path.join(place, one)))]):
            path = Path(place, name)
            yield path, path.relative_to(folder).as_posix()


def write_manifest(out: Path, *, checksums: bool, tell: Callable[[str], None]) -> Listed:
    """`manifest.tsv` and `SHA256SUMS` over all of `out/data`. Sums of an earlier run are taken over; what is not
    `checksums` is not read. Raises OSError when they cannot be written."""
    rows: list[tuple[str, str, str, str]] = []
    total_bytes, without = 0, []
    with ChecksumBook(out / _BOOK) as book:
        for path, below in files_below(out / "data"):
            name = f"data/{below}"
            size_bytes = digest = ""
            try:
                size_bytes = str(os.stat(path).st_size)
                total_bytes += int(size_bytes)
                digest = book.known(name, path) or (book.compute(name, path) if checksums else "")
            except (OSError, RetryLaterError):
                pass  # named in the list, without a sum
            if not digest:
                without.append(name)
            rows.append((name, size_bytes, digest, os.path.realpath(path)))
            if len(rows) % 20 == 0:
                tell(f"{len(rows)} files, {total_bytes / 1e9:.1f} GB")
    write_text(out / "manifest.tsv", tsv(("path", "size_bytes", "sha256", "source"), rows))
    write_text(out / "SHA256SUMS", "\n".join(f"{digest}  {name}" for name, _, digest, _ in rows if digest))
    return Listed(len(rows), total_bytes, tuple(without))


def tsv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of words; a tab or a line break within a word becomes a blank."""
    return "\n".join("\t".join(_BREAKS.sub(" ", word) for word in row) for row in (head, *rows))


def write_text(path: Path, text: str) -> None:
    """A text file that ends with a line break, under its name only when it is whole. Raises OSError."""
    with atomic_path(path) as temporary:
        temporary.write_text(text + ("" if text.endswith("\n") else "\n"), encoding="utf-8")
