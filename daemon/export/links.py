"""Files of a session in an export folder: links where that will do, copies where a person wants them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from frazil.config.errors import UsageError
from frazil.models.formats.atomic import atomic_path


def prefix_in(out: Path, project: Path | None) -> str:
    """`out` relative to the folder in which RELION runs, with a slash, or empty. Raises `UsageError`."""
    if project is None:
        return ""
    relative = os.path.relpath(out.resolve(), project.resolve())
    if relative.startswith(".."):
        raise UsageError(
            "the export folder does not lie in the project folder",
            path=project,
            remedy="give as --project the folder in which RELION runs, and as --star a folder in it",
        )
    return "" if relative == "." else relative.replace(os.sep, "/") + "/"


def place(source: Path, target: Path, *, copy: bool) -> None:
    """Copy or link a file into a folder that is frazil's own; what stood there is replaced, if it is not `source`.

    A copy has the time of its source, and is not made again where size and time agree. It appears when it is whole.
    It stays where the source is gone.
    """
    if target.exists() and not target.is_symlink():
        if not source.exists() or target.samefile(source) or (copy and _stamp(target) == _stamp(source)):
            return
        if not copy:
            target.unlink()  # a copy, made earlier
    if not copy:
        link(source, target)
        return
    with atomic_path(target) as temporary:
        found = source.stat()
        shutil.copyfile(source, temporary)
        os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def link(source: Path, target: Path) -> None:
    """A relative link where both lie in one tree, so that the session can be moved as a whole.

    Only a link is ever replaced: a folder of that name, and `source` itself, stay. Raises `UsageError` where another
    file has that name.
    """
    source, folder = source.resolve(), target.parent.resolve()
    common = os.path.commonpath([source, folder])
    text = os.path.relpath(source, folder) if common != os.sep else str(source)
    if target.is_symlink():
        if os.readlink(target) == text:
            return
        target.unlink()
    elif target.exists():
        if target.is_dir() or (source.exists() and target.samefile(source)):
            return  # not ours: a folder of that name was there before
        raise UsageError(
            "a file that frazil did not make has the name of a link",
            path=target,
            remedy="move it away and export again",
        )
    target.symlink_to(text)
