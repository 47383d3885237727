"""STAR files as RELION 3.1 and later write them: typed blocks in and out.

Reading goes through the field's `starfile` package. Writing is done here, because RELION wants its `# version` line
before every block, the same tables must give the same bytes (no time stamp), and a value that is not known must stop
the writing instead of becoming `<NA>`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeAlias

import starfile

from frazil.config.errors import FormatError

StarValue: TypeAlias = str | int | float
MAX_STAR_BYTES = 2 << 30
_VERSION_LINE = "# version 30001"
_NEEDS_QUOTES = frozenset(" \t#;'\"")


@dataclass(frozen=True, slots=True)
class StarBlock:
    """One `data_NAME` block. Labels are without the leading underscore (`rlnDefocusU`).

    A loop has equally long columns; a list (`loop` False, RELION's `data_general`) has one value a label.
    """

    name: str
    columns: Mapping[str, Sequence[StarValue]]
    loop: bool = True

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self.columns.values()}
        if len(lengths) > 1 or (not self.loop and lengths not in (set(), {1})):
            raise ValueError(f"STAR block {self.name!r}: columns of different length")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def floats(self, label: str) -> list[float]:
        """A column as numbers. Raises `FormatError` when it is missing or not numeric."""
        try:
            return [float(value) for value in self.columns[label]]
        except (KeyError, ValueError) as error:
            raise FormatError(f"block {self.name!r} has no numbers in a column {label}") from error

    def texts(self, label: str) -> list[str]:
        """A column as text. Raises `FormatError` when it is missing."""
        if label not in self.columns:
            raise FormatError(f"block {self.name!r} has no column {label}")
        return [str(value) for value in self.columns[label]]


def read_star(path: Path) -> dict[str, StarBlock]:
    """All blocks by name (a nameless `data_` is ``""``). Raises `FormatError` for what is no STAR file."""
    if path.stat().st_size > MAX_STAR_BYTES:
        raise FormatError(f"this STAR file is larger than {MAX_STAR_BYTES >> 30} GB", path=path)
    try:
        found = starfile.read(path, always_dict=True)
    except (ValueError, KeyError, IndexError, AttributeError, StopIteration, UnicodeDecodeError) as error:
        raise FormatError(f"this is not a STAR file ({error})", path=path) from error
    if not found:
        raise FormatError("this is not a STAR file (it has no data_ block)", path=path)
    blocks: dict[str, StarBlock] = {}
    for name, content in found.items():
        if isinstance(content, dict):
            columns: dict[str, list[StarValue]] = {str(label): [value] for label, value in content.items()}
            blocks[str(name)] = StarBlock(str(name), columns, loop=False)
        else:
            columns = {str(label): content[label].tolist() for label in content.columns}
            blocks[str(name)] = StarBlock(str(name), columns)
    return blocks


def write_star(path: Path, blocks: Sequence[StarBlock], *, comment: str = "") -> None:
    """Write under a temporary name and rename. Raises ValueError for NaN, infinity or a line break in a value."""
    with _replacing(path) as file:
        for line in comment.splitlines():
            file.write(f"# {line}\n")
        for block in blocks:
            file.writelines(line + "\n" for line in block_lines(block))


class LoopAppender:
    """Writes the rows of one loop bit by bit; given out by `appending`."""

    def __init__(self, file: TextIO, labels: Sequence[str]) -> None:
        self._file = file
        self._labels = tuple(labels)
        self.row_count = 0

    def add(self, rows: Iterable[Sequence[StarValue]]) -> None:
        """Rows in the order of the labels. Raises ValueError as `star_text` does."""
        for row in rows:
            if len(row) != len(self._labels):
                raise ValueError(f"a row of {len(row)} values for {len(self._labels)} columns")
            self._file.write(_row_line(row) + "\n")
            self.row_count += 1


@contextmanager
def appending(
    path: Path, before: Sequence[StarBlock], name: str, labels: Sequence[str], *, comment: str = ""
) -> Iterator[LoopAppender]:
    """A STAR file whose last loop is too long for memory (particles): `before`, then `data_name` row by row.

    The file takes its name when the block is left without an error.
    """
    with _replacing(path) as file:
        for line in comment.splitlines():
            file.write(f"# {line}\n")
        for block in before:
            file.writelines(line + "\n" for line in block_lines(block))
        file.writelines(line + "\n" for line in _loop_head(name, labels))
        yield LoopAppender(file, labels)
        file.write(" \n")


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # Not synced to disk (unlike `atomic_path`): an export is tens of thousands of files and can be made again.
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def block_lines(block: StarBlock) -> Iterator[str]:
    """The text of one block, line by line.

    >>> optics = StarBlock("optics", {"rlnOpticsGroupName": ["group 1"], "rlnVoltage": [300.0]})
    >>> [line.rstrip() for line in block_lines(optics)][3:]
    ['data_optics', '', 'loop_', '_rlnOpticsGroupName #1', '_rlnVoltage #2', '   "group 1"        300.0', '']
    """
    if block.loop:
        yield from _loop_head(block.name, tuple(block.columns))
        yield from map(_row_line, zip(*block.columns.values(), strict=True))
    else:
        yield from ("", _VERSION_LINE, "", f"data_{block.name}", "")
        for label, values in block.columns.items():
            yield f"_{label:<40} {star_text(values[0])}"
    yield " "


def _loop_head(name: str, labels: Sequence[str]) -> Iterator[str]:
    yield from ("", _VERSION_LINE, "", f"data_{name}", "", "loop_ ")
    for number, label in enumerate(labels, start=1):
        yield f"_{label} #{number} "


def _row_line(row: Sequence[StarValue]) -> str:
    return " ".join(f"{star_text(value):>12}" for value in row) + " "


def star_text(value: StarValue) -> str:
    """One value: nine significant digits; text with blanks in quotes. Raises ValueError for what STAR cannot hold.

    >>> star_text(15_000.0), star_text(1 / 3), star_text(True), star_text("a movie.mrc")
    ('15000.0', '0.333333333', '1', '"a movie.mrc"')
    """
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("a STAR file has no NaN and no infinity")
        value += 0.0  # no "-0.0"
        return f"{value:.9g}" if value != int(value) or abs(value) >= 1e9 else f"{value:.1f}"
    if "\n" in value or "\r" in value:
        raise ValueError(f"a STAR value cannot hold a line break: {value!r}")
    if value == "" or _NEEDS_QUOTES & set(value) or value.startswith(("_", "data_", "loop_")):
        if '"' in value:
            raise ValueError(f"a STAR value cannot hold double quotes: {value!r}")
        return f'"{value}"'
    return value
