"""Documents of strangers read behind walls: a process of its own, limited in memory, time and disk, without a network.

What is read are bytes in a folder that is removed afterwards; what comes back is a tree as JSON, checked again here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from frazil.actors.sandbox_process import SandboxLimits, SandboxRun, Stopped, run_sandboxed
from frazil.config.errors import (
    FormatError,
    FrazilError,
    HeaderLimitError,
    TruncatedFileError,
    UnsupportedFormatError,
    UsageError,
)
from frazil.models.documents.formats.pdf import picture_pages
from frazil.models.documents.formats.picture import reading_of_pictures
from frazil.models.documents.reading import MAX_BYTES
from frazil.models.documents.tree import Kind, Node, from_record

_TEXT = SandboxLimits(cpu_s=60, wall_s=120.0, memory_mib=1024, disk_mib=256)
_PICTURES = SandboxLimits(cpu_s=900, wall_s=1200.0, memory_mib=6144, disk_mib=256)
"""A page takes some 20 s of one core and 0.7 GB; address space is several times that."""
_ANSWER = "answer.json"
_CODE = """
import json, os
from pathlib import Path
from frazil.config.errors import FrazilError
from frazil.models.documents.reading import read_document
from frazil.models.documents.tree import to_record
try:
    answer = {"tree": to_record(read_document(Path(NAME), pictures=PICTURES))}
except FrazilError as error:
    answer = {"refused": type(error).__name__, "what": error.what, "remedy": error.remedy}
with open(ANSWER + ".new", "w") as file:
    json.dump(answer, file)
os.replace(ANSWER + ".new", ANSWER)
"""
_REFUSALS: dict[str, type[FrazilError]] = {
    kind.__name__: kind for kind in (FormatError, HeaderLimitError, UnsupportedFormatError, TruncatedFileError)
}
_PICTURE_MARKS = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"RIFF")


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A tree, and what its reading took."""

    tree: Node
    seconds: float
    peak_memory_mib: float


def read_behind_walls(path: Path) -> ReadDocument:
    """The tree of one document.

    Raises
    ------
    UsageError
        No such file, or not to be read.
    FormatError
        Damaged, of a kind that is not read (UnsupportedFormatError), or more than a document is (HeaderLimitError); the
        message names the file and what to do.
    """
    data = _bytes_of(path)
    if data.startswith(_PICTURE_MARKS):
        return _read(path, data, pictures=True)
    read = _read(path, data, pictures=False)
    if read.tree.name == "PDF" and picture_pages(read.tree) and reading_of_pictures() is None:
        return _with_pictures(path, data, read)
    return read


def _with_pictures(path: Path, data: bytes, read: ReadDocument) -> ReadDocument:
    """The same with its pictures read. `read`: its text, which is kept where they take too much or are of no use."""
    try:
        return _read(path, data, pictures=True)
    except (HeaderLimitError, UnsupportedFormatError) as error:
        if not any(node.text for node in read.tree.walk() if node.kind in (Kind.PARAGRAPH, Kind.CELL)):
            raise
        read.tree.remarks.append(f"its pictures were not read: {error.what}")
        return read


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise HeaderLimitError(
                f"is larger than {MAX_BYTES:,} bytes", path=path, remedy="give the pages that matter"
            )
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})", path=path, remedy="check the path and its permissions"
        ) from error


def _read(path: Path, data: bytes, *, pictures: bool) -> ReadDocument:
    suffix = path.suffix if re.fullmatch(r"\.\w{1,8}", path.suffix) else ""
    name = f"document{suffix}"
    code = f"NAME, ANSWER, PICTURES = {name!r}, {_ANSWER!r}, {pictures}\n{_CODE}"
    run = run_sandboxed(code, limits=_PICTURES if pictures else _TEXT, files={name: data}, results=(_ANSWER,))
    if not run.finished:
        raise _stopped(run, path)
    try:
        answer = json.loads(run.results[_ANSWER])
        if "tree" in answer:
            return ReadDocument(from_record(answer["tree"]), run.wall_seconds, run.peak_memory_mib)
        kind, what, remedy = _REFUSALS[answer["refused"]], str(answer["what"]), answer["remedy"]
    except (KeyError, TypeError, ValueError, RecursionError, FormatError) as error:
        raise FormatError(
            "was read into something that is no document", path=path, remedy="do not trust this file"
        ) from error
    raise kind(what, path=path, remedy=None if remedy is None else str(remedy))


def _stopped(run: SandboxRun, path: Path) -> FrazilError:
    remedy = "do not trust this file; give its text, or pages of it printed anew"
    if run.stopped in (Stopped.MEMORY, Stopped.DISK, Stopped.CPU_TIME, Stopped.WALL_TIME) or "MemoryError" in run.text:
        return HeaderLimitError(f"takes more to read than any document: {run.text}", path=path, remedy=remedy)
    if run.stopped is not None:
        return FormatError(
            f"made its reader try what is forbidden ({run.stopped}: {run.text})", path=path, remedy=remedy
        )
    # PDFium ends itself when it is refused memory: from outside that cannot be told from a crash over damage.
    said = run.text[:200]
    return FormatError(
        f"made its reader fail: it decompresses to too much, or is damaged ({said})", path=path, remedy=remedy
    )
