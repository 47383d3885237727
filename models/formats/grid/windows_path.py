r"""Paths that a program on the microscope's own computer wrote (`Z:\visit\Sample4\Atlas\Atlas.dm`), found below a
folder of ours: drives and upper folders have other names here, the end of the path is the same.
"""

from __future__ import annotations

import re
from pathlib import Path

_DEEPEST = 3
"""Folders below the root in which an end is looked for: raw folders hold too many files to search in full."""


def path_parts(text: str) -> tuple[str, ...]:
    r"""Folders and the name, without a drive and without what leads elsewhere.

    >>> path_parts(r"Z:\visit\..\Sample4\Atlas.dm")
    ('visit', 'Sample4', 'Atlas.dm')
    """
    parts = re.split(r"[\\/]+", text.strip())
    return tuple(part for part in parts if part not in ("", ".", "..") and not part.endswith(":") and "\0" not in part)


def tail_from(text: str, folder: str) -> str | None:
    r"""The end of a path that begins with the last folder whose name starts as `folder`; None: it has none.

    >>> tail_from(r"Z:\visit\session\Images-Disc1\GridSquare_1\a.jpg", "Images-Disc")
    'Images-Disc1/GridSquare_1/a.jpg'
    """
    parts = path_parts(text)
    first = next((i for i in reversed(range(len(parts))) if parts[i].startswith(folder)), None)
    return None if first is None else "/".join(parts[first:])


def below(root: Path, text: str) -> Path | None:
    """The file or folder below `root` that ends as `text` does, by as many folders as possible.

    None: there is none, or two that end alike (which one is meant nobody can tell).
    """
    parts = path_parts(text)
    for first in range(len(parts)):
        tail = parts[first:]
        found = _ending_in(root, tail)
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _ending_in(root: Path, tail: tuple[str, ...]) -> list[Path]:
    direct = root.joinpath(*tail)
    if direct.exists():
        return [direct]
    if len(tail) < 2:  # a name alone, Atlas.dm, is anybody's
        return []
    # Brackets and stars in folder names are letters here, not patterns.
    pattern = "/".join(re.sub(r"([\[*?])", r"[\1]", part) for part in tail)
    for depth in range(1, _DEEPEST + 1):
        found = sorted(root.glob("*/" * depth + pattern))
        if found:
            return found
    return []
