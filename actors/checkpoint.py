"""The checkpoint of a reconstruction: what is of fixed size in one file, what grows with the session beside it.

`maps/checkpoint.npz` is written anew every time: sums, references, counts. What is kept of every movie goes to
`maps/checkpoint-N.rows`, at whose end the movies that changed since the last time are added: a movie costs the same
however many came before. The first file says how many bytes of the second count, and both have a digest. So a kill
between the two leaves the checkpoint of before, whole: bytes that no file speaks of are overwritten. Damage in either
is found before anything is read from it.

A checkpoint is gone on with only where its key, what the sums depend on besides the movies, is still the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import msgspec
import numpy as np
from numpy.typing import NDArray

from frazil.config.settings import ParticleSettings
from frazil.models.formats.atomic import atomic_path

_FORMAT = 10
_KEY_SETTINGS = ("symmetry", "diameter_angstrom", "box_px", "map_classes", "classes", "initial_map")
"""Of `particles`, those that the sums depend on."""
_PATH = "maps/checkpoint.npz"
_ROWS = "checkpoint-{number:04d}.rows"
_ROWS_PATTERN = "checkpoint-*.rows"
_DIGEST_BYTES = 16
_SIZE_BYTES = 8
_AT_ONCE = 1 << 24

Arrays = dict[str, NDArray[Any]]


class Grown(msgspec.Struct, frozen=True):
    """What changed of single movies between two checkpoints."""

    header: dict[str, Any]
    arrays: dict[str, tuple[str, tuple[int, ...], bytes]]
    """Type, shape and bytes by name."""

    @classmethod
    def of(cls, header: dict[str, Any], arrays: Arrays) -> Grown:
        return cls(header, {name: (one.dtype.str, one.shape, one.tobytes()) for name, one in arrays.items()})

    def unpacked(self) -> Arrays:
        """Not to be written to."""
        return {
            name: np.frombuffer(content, dtype=np.dtype(kind)).reshape(shape)
            for name, (kind, shape, content) in self.arrays.items()
        }


class Checkpoint:
    """Of one session, as one process reads it once and writes it time after time."""

    def __init__(self, session_dir: Path) -> None:
        self._path = session_dir / _PATH
        self._begin()

    def _begin(self) -> None:
        self._rows: Path | None = None
        """None: not begun."""
        self._counted_bytes = 0
        self._digest = _new_digest()
        """Of the bytes that count."""

    def read(self) -> tuple[dict[str, Any], Arrays]:
        """Header and arrays, after a look at all that lies beside them (`grown`); from then on `write` adds to it.

        Raises
        ------
        FileNotFoundError
            There is none.
        OSError, ValueError
            It is damaged, or a part of it is not there.
        """
        self._begin()
        with open(self._path, "rb") as file:
            if not _is_whole(file):
                return _header_of_before(file), {}
            file.seek(0)
            # np.load closes a file that it opened itself only where that is whole.
            with np.load(file, allow_pickle=False) as parts:
                arrays = {name: parts[name] for name in parts.files}
        header = json.loads(str(arrays.pop("header")))
        name, count, digest = header.pop("rows")
        rows = self._path.parent / str(name)
        known = _new_digest()
        try:
            with open(rows, "rb") as file:
                for part in _parts(file, count):
                    known.update(part)
        except FileNotFoundError:
            raise ValueError(f"{rows} is not there") from None
        if known.hexdigest() != digest:
            raise ValueError(f"{rows} is damaged")
        self._rows, self._counted_bytes, self._digest = rows, count, known
        return header, arrays

    def grown(self) -> Iterator[Grown]:
        """What was added beside it, in its order, after `read`: one after the other, for there may be gigabytes."""
        if self._rows is None:
            return
        with open(self._rows, "rb") as file:
            while file.tell() < self._counted_bytes:
                size = int.from_bytes(file.read(_SIZE_BYTES), "little")
                yield msgspec.msgpack.decode(file.read(size), type=Grown)

    @property
    def goes_on(self) -> bool:
        """Whether all that was written is there, so that only what changed has to be added."""
        try:
            return self._rows is not None and self._rows.stat().st_size >= self._counted_bytes
        except OSError:
            return False

    def write(self, header: dict[str, Any], arrays: Arrays, grown: Grown) -> None:
        """Replace what is of fixed size, and add `grown`: all there is where the checkpoint does not go on (`goes_on`).

        Raises
        ------
        OSError
            The disk is full: the checkpoint of before is still there, and counts.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self.goes_on:
            self._begin()
        rows = self._rows or self._path.parent / _ROWS.format(number=self._next_number())
        encoded = msgspec.msgpack.encode(grown)
        block = len(encoded).to_bytes(_SIZE_BYTES, "little") + encoded
        with open(rows, "r+b" if rows.exists() else "w+b") as file:
            file.seek(self._counted_bytes)
            file.truncate()
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        digest = self._digest.copy()
        digest.update(block)
        count = self._counted_bytes + len(block)
        self._write_fixed({**header, "rows": [rows.name, count, digest.hexdigest()]}, arrays)
        self._rows, self._counted_bytes, self._digest = rows, count, digest
        for other in self._path.parent.glob(_ROWS_PATTERN):
            if other != rows:
                other.unlink(missing_ok=True)

    def _write_fixed(self, header: dict[str, Any], arrays: Arrays) -> None:
        parts: dict[str, Any] = {"header": np.array(json.dumps(header)), **arrays}
        with atomic_path(self._path) as temporary, open(temporary, "wb") as file:
            digested = _Digested(file)
            np.savez(digested, **parts)
            file.write(digested.digest.digest())

    def _next_number(self) -> int:
        numbers = [path.stem.rpartition("-")[2] for path in self._path.parent.glob(_ROWS_PATTERN)]
        return max((int(number) for number in numbers if number.isdecimal()), default=0) + 1


class _Digested(RawIOBase):
    """Written to from its beginning to its end: without a place to go back to, an archive is written so."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = _new_digest()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return self._file.write(content)


def _new_digest(content: bytes = b"") -> hashlib.blake2b:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES)


def _is_whole(file: IO[bytes]) -> bool:
    """Whether its digest, at its end, is that of all before."""
    digest = _new_digest()
    for part in _parts(file, os.fstat(file.fileno()).st_size - _DIGEST_BYTES):
        digest.update(part)
    return digest.digest() == file.read()


def _header_of_before(file: IO[bytes]) -> dict[str, Any]:
    """Of a checkpoint by an earlier frazil, which had no digest: it says by whom. Raises ValueError: it is damaged."""
    file.seek(0)
    try:
        with np.load(file, allow_pickle=False) as parts:
            header: dict[str, Any] = json.loads(str(parts["header"]))
        if header["key"][0] < _FORMAT:
            return header
    except (OSError, EOFError, KeyError, IndexError, TypeError, NotImplementedError, RuntimeError, BadZipFile) as error:
        raise ValueError("the checkpoint is damaged") from error
    raise ValueError("the checkpoint is damaged")


def _parts(file: IO[bytes], count: int) -> Iterator[bytes]:
    """The next so many bytes, as far as there are any."""
    while count > 0 and (part := file.read(min(_AT_ONCE, count))):
        count -= len(part)
        yield part


def key(particles: ParticleSettings) -> list[object]:
    """What the sums depend on besides the movies: the format, then `_KEY_SETTINGS`.

    An initial map by its path, what the disk says of it, and its content, which alone counts where it is known.
    """
    start: list[object] = []
    if particles.initial_map is not None:
        start = [particles.initial_map]
        digest = file_digest(Path(particles.initial_map))
        if digest:
            status = os.stat(particles.initial_map)
            start += [status.st_size, status.st_mtime_ns, digest]
    return [
        _FORMAT,
        particles.symmetry,
        particles.diameter_angstrom,
        particles.box_px,
        particles.map_classes,
        particles.classes,
        start,
    ]


def what_changed(before: list[Any], now: list[object]) -> str:
    """Between two keys; empty: nothing."""
    if before == now:
        return ""
    if before[:1] != now[:1] or len(before) != len(now):
        return "another version of frazil made it"
    pairs = zip(_KEY_SETTINGS, before[1:], now[1:], strict=True)
    names = [name for name, was, value in pairs if was != value and not (name == "initial_map" and _same(was, value))]
    return f"{' and '.join(f'particles.{name}' for name in names)} changed" if names else ""


def _same(before: Any, now: Any) -> bool:
    """Two initial maps, as `key` describes them. One that is not there any more, as beside an archived session, does
    not differ from what it was."""
    if not before or not now:
        return not before and not now
    if len(now) == 1 or len(before) == 1:
        return True
    if len(before) == 3:  # of an earlier frazil
        return bool(before == list(now)[:3])
    return bool(before[3] == now[3])


def file_digest(path: Path) -> str:
    """Of a file's content; empty: it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""


def of(arrays: Arrays, owner: str) -> Arrays:
    """One owner's arrays of a checkpoint, under the names that it gave them."""
    return {name.removeprefix(f"{owner}/"): array for name, array in arrays.items() if name.startswith(f"{owner}/")}
