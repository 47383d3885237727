"""A file appears under its name only when it is whole."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_serial = itertools.count()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name in the same folder; renamed to `path` when the block ends well, removed when it does not.

    The temporary name starts with a dot and ends in `.tmp`, so that no scan takes it for data. The content is on disk
    before the rename, so that a crash leaves the old file or the new one, never half of one.

    Raises
    ------
    OSError
        The folder cannot be written or the disk is full; `path` is then as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_serial)}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
