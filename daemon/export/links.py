"""Files of a session in an export folder: links where that will do, copies where a person wants them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from frazil.config.errors import UsageError


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
    """Copy or link a file; what stood there is replaced."""
    if copy:
        if target.is_symlink():
            target.unlink()
        shutil.copyfile(source, target)
    else:
        link(source, target)


def link(source: Path, target: Path) -> None:
    """A relative link where both lie in one tree, so that the session can be moved as a whole."""
    source, folder = source.resolve(), target.parent.resolve()
    common = os.path.commonpath([source, folder])
    text = os.path.relpath(source, folder) if common != os.sep else str(source)
    if target.is_symlink():
        if os.readlink(target) == text:
            return
        target.unlink()
    elif target.exists():
        if target.is_dir():
            return  # not ours: a folder of that name was there before
        target.unlink()
    target.symlink_to(text)
