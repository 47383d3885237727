"""A result that is made again takes the place of the earlier one with all its pictures and rows, or not at all.

The worker writes the pictures into a folder of the movie's own, laid out as the session's. With the result in it the
folder is whole: its pictures are renamed into the session's folders, the result's file and its rows follow, and the
folder goes. Whatever ends us in between, the next start does the rest (`settle`). A folder without a result is of a try
that came to nothing, and is thrown away; until then micrograph, picks and tables are those of the earlier result
(docs/decisions/0027).
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from frazil.config.errors import FormatError, WriteError
from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.store import Store
from frazil.models.records import MovieFiles

_log = logging.getLogger(__name__)
_FOLDER = ".redo"


def folder_of(movie_id: str) -> str:
    """Where a worker puts the pictures of a movie that has a result, relative to the session folder."""
    return f"{_FOLDER}/{movie_id}"


def result_waits(session_dir: Path, movie_id: str) -> bool:
    """Whether a result that was made again has yet to take its place; its pictures may have done so."""
    return result_files.result_path(session_dir / folder_of(movie_id), movie_id).exists()


def put_in_place(session_dir: Path, stored: StoredResult) -> None:
    """The pictures that wait for this result, and its file, take the place of the earlier ones. When its rows are
    durable too, `discard` ends it; doing it again does no harm.

    Raises
    ------
    OSError
        The disk refused it. Where not even the result could be written, all is as it was.
    """
    folder = session_dir / folder_of(stored.result.movie_id)
    result = result_files.write_result(folder, stored)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != result:
            target = session_dir / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
    earlier = _in_place(session_dir, stored.result.movie_id)
    if earlier is not None:
        # Whoever looks into the folders must not take what only the earlier result had for this one's.
        for name in _names(earlier.result.files) - _names(stored.result.files):
            (session_dir / name).unlink(missing_ok=True)
    if earlier is None or result_files.encode(earlier) != result_files.encode(stored):
        result_files.write_result(session_dir, stored)


def discard(session_dir: Path, movie_id: str) -> None:
    """Nothing in the movie's folder is wanted (any more)."""
    shutil.rmtree(session_dir / folder_of(movie_id), ignore_errors=True)


def settle(store: Store, session_dir: Path) -> None:
    """At a start, before anything else of the session is read: what an earlier run left is put in place or thrown away.

    Raises
    ------
    OSError, RetryLaterError
        The disk refused it; the next start goes on from there.
    """
    for folder in sorted((session_dir / _FOLDER).glob("*")):
        try:
            stored = result_files.read_result(result_files.result_path(folder, folder.name))
        except (FormatError, FileNotFoundError):
            pass
        else:
            put_in_place(session_dir, stored)
            try:
                store.submit(rebuild.adopt, stored).result()
            except WriteError as error:  # its file is in place, and no session is kept from starting by one result
                _log.error("the result of movie %s that was made again could not be stored: %s", folder.name, error)
        discard(session_dir, folder.name)


def _in_place(session_dir: Path, movie_id: str) -> StoredResult | None:
    try:
        return result_files.read_result(result_files.result_path(session_dir, movie_id))
    except (FormatError, FileNotFoundError):
        return None


def _names(files: MovieFiles) -> set[str]:
    return {name for name in (getattr(files, field) for field in MovieFiles.__dataclass_fields__) if name is not None}
