"""SHA-256 of many large files, kept one by one, so that a run that was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from frazil.config.errors import RetryLaterError


class ChecksumBook:
    """Checksums by a file's name in the deposit, in a file of one JSON line each, which is only ever appended to.

    A file is read again when its size or its time of change is another. A line that was cut by a crash does not count.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError where `path` cannot be read or written."""
        self._known = _read(path)
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - held until `close`
        if self._file.tell() > 0:
            self._file.write("\n")  # after a line that was cut; empty lines are passed over

    def known(self, name: str, path: Path) -> str | None:
        """The checksum as it was computed earlier, of the same bytes as far as size and time tell. Raises OSError."""
        size_bytes, mtime_ns, digest = self._known.get(name, (-1, -1, ""))
        return digest if (size_bytes, mtime_ns) == _stamp(path) else None

    def compute(self, name: str, path: Path) -> str:
        """Read the file once, a block at a time, and keep its checksum.

        Raises
        ------
        RetryLaterError
            The file changed while it was read.
        OSError
            It cannot be read.
        """
        before = _stamp(path)
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _stamp(path) != before:
            raise RetryLaterError("changed while it was read", path=path, remedy="export again when it stands still")
        self._known[name] = (*before, digest)
        self._file.write(json.dumps([name, *before, digest]) + "\n")
        self._file.flush()
        return digest

    def close(self) -> None:
        """Harmless when called twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _stamp(path: Path) -> tuple[int, int]:
    facts = os.stat(path)
    return facts.st_size, facts.st_mtime_ns


def _read(path: Path) -> dict[str, tuple[int, int, str]]:
    known: dict[str, tuple[int, int, str]] = {}
    if not path.exists():
        return known
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                name, size_bytes, mtime_ns, digest = json.loads(line)
            except ValueError:
                continue
            known[str(name)] = (int(size_bytes), int(mtime_ns), str(digest))
    return known
