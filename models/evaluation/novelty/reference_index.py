"""The reference structures of one folder, described once and kept: names, shapes at every level, and what was refused.

Files of the cache (format in `_FORMAT`): `entries.bin` with one record a shape, written last, so that what a crash
left in the other files is cut off; `level-15.f16` and its like with the descriptors (`vector_index`); `refused.jsonl`
with the files that could not be described. A file that changes is described again, one that leaves the folder counts no
more.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frazil.config.errors import FormatError, NotThereError
from frazil.models.evaluation.facts import Neighbour
from frazil.models.evaluation.novelty.reference_shapes import ReferenceShape, is_reference, read_shapes
from frazil.models.evaluation.novelty.shape_descriptor import DIMENSION
from frazil.models.evaluation.novelty.shape_map import LEVELS_ANGSTROM
from frazil.models.evaluation.novelty.vector_index import VectorIndex

_FORMAT = "frazil-shapes-1"
"""Changes whenever a descriptor of the same structure would be another."""
_NAME_BYTES = 80
_ENTRY = np.dtype([("name", f"S{_NAME_BYTES}"), ("file", "<u8"), ("radius_angstrom", "<f4")])
_MORE_THAN_ASKED = 3
_SAMPLE = 256


class ReferenceIndex:
    """The references of one folder at present.

    Parameters
    ----------
    folder:
        With models and maps, sub-folders too; None: what the cache holds, whatever files there are.
    cache:
        A folder of its own for what was computed; made if it is not there.

    Raises
    ------
    NotThereError
        If the folder of references does not exist.
    FormatError
        If the cache is damaged; the message names the file.
    """

    def __init__(self, folder: Path | None, cache: Path) -> None:
        if folder is not None and not folder.is_dir():
            raise NotThereError(
                "the folder of reference structures does not exist",
                path=folder,
                remedy="correct evaluation.references_dir",
            )
        self._folder = folder
        self._cache = cache / _FORMAT
        self._cache.mkdir(parents=True, exist_ok=True)
        self._files: dict[int, Path] = {}
        self._loo: dict[tuple[float, int, int], tuple[float, ...]] = {}
        with self._locked():
            self._open()
        self.look()

    def _open(self) -> None:
        path = self._entries_path
        size = path.stat().st_size if path.exists() else 0
        self._vectors = {level: VectorIndex(self._cache / f"level-{level:g}", DIMENSION) for level in LEVELS_ANGSTROM}
        count = size // _ENTRY.itemsize
        if any(vectors.count < count for vectors in self._vectors.values()):
            raise FormatError(
                "holds more names than there are shapes",
                path=path,
                remedy="delete the folder: it is made again from the reference structures",
            )
        if size % _ENTRY.itemsize:
            os.truncate(path, count * _ENTRY.itemsize)
        for vectors in self._vectors.values():
            vectors.cut(count)
        self._entries = np.memmap(path, _ENTRY, "r", shape=(count,)) if count else np.zeros(0, dtype=_ENTRY)
        self._refused: dict[int, str] = {}
        if self._refused_path.exists():
            for line in self._refused_path.read_text().splitlines():
                try:
                    key, reason = json.loads(line)
                except ValueError:
                    continue  # a line that was cut short: the file is tried again
                self._refused[int(key)] = str(reason)

    @property
    def _entries_path(self) -> Path:
        return self._cache / "entries.bin"

    @property
    def _refused_path(self) -> Path:
        return self._cache / "refused.jsonl"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time grows the cache."""
        with open(self._cache / "lock", "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def look(self) -> None:
        """See which files the folder holds now."""
        if self._folder is not None:
            files = [path for path in sorted(self._folder.rglob("*")) if path.is_file() and is_reference(path)]
            self._files = {key: path for path in files if (key := _key(path, self._folder)) is not None}
        self._present: NDArray[np.bool_] | None = None

    @property
    def count(self) -> int:
        """Shapes of files that are there."""
        return int(self._is_present().sum())

    @property
    def pending(self) -> tuple[Path, ...]:
        """Files that are still to be described."""
        here = np.fromiter(self._files, dtype=np.uint64, count=len(self._files))
        new = ~np.isin(here, self._entries["file"])
        kept = zip(self._files.items(), new.tolist(), strict=True)
        return tuple(path for (key, path), is_new in kept if is_new and key not in self._refused)

    @property
    def refused(self) -> tuple[str, ...]:
        """Why files of the folder were left out; each names its file."""
        return tuple(self._refused[key] for key in self._files if key in self._refused)

    def name(self, number: int) -> str:
        return bytes(self._entries["name"][number]).decode("utf-8", errors="replace")

    def describe(self, limit: int | None = None) -> int:
        """Describe files that are pending, at most `limit`; returns how many are left."""
        for path in self.pending[:limit]:
            key = _key(path, self._folder)
            if key is None:
                continue  # it is gone by now
            try:
                shapes = list(read_shapes(path))
            except Exception as error:  # gemmi and torch raise their own; one bad file must not be met every round
                self._refuse(key, str(error) or type(error).__name__)
            else:
                self.add(shapes, key)
        self.look()
        return len(self.pending)

    def add(self, shapes: list[ReferenceShape], file_key: int = 0) -> None:
        """Keep shapes; they are on disk when this returns."""
        if not shapes:
            return
        names = [shape.name.encode()[:_NAME_BYTES] for shape in shapes]
        rows = [(name, file_key, s.radius_of_gyration_angstrom) for name, s in zip(names, shapes, strict=True)]
        with self._locked():
            self._open()  # another process may have grown it
            for number, vectors in enumerate(self._vectors.values()):
                vectors.append(np.stack([shape.descriptors[number] for shape in shapes]))
            self._write(self._entries_path, np.array(rows, dtype=_ENTRY).tobytes())
            self._open()
        self._present = None

    def _refuse(self, key: int, reason: str) -> None:
        with self._locked():
            self._write(self._refused_path, (json.dumps([key, reason]) + "\n").encode())
        self._refused[key] = reason

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        with open(path, "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _is_present(self) -> NDArray[np.bool_]:
        if self._present is None or len(self._present) != len(self._entries):
            here = np.fromiter(self._files, dtype=np.uint64, count=len(self._files))
            everything = np.ones(len(self._entries), dtype=bool)
            self._present = everything if self._folder is None else np.isin(self._entries["file"], here)
        return self._present

    def nearest(
        self, descriptor: NDArray[np.float32], level_angstrom: float, k: int, *, but_file_of: int | None = None
    ) -> tuple[Neighbour, ...]:
        """The k nearest shapes, nearest first; `but_file_of`: none of the file that this number is of."""
        allowed = self._is_present()
        if but_file_of is not None:
            allowed = allowed & (self._entries["file"] != self._entries["file"][but_file_of])
        vectors = self._vectors[level_angstrom]
        wanted = k * _MORE_THAN_ASKED
        while True:
            distance, number = vectors.nearest(descriptor[None], wanted)
            kept = [(d, int(i)) for d, i in zip(distance[0].tolist(), number[0], strict=True) if i >= 0 and allowed[i]]
            if len(kept) >= k or wanted >= vectors.count:
                return tuple(Neighbour(i, self.name(i), d) for d, i in kept[:k])
            wanted *= 4

    def leave_one_out(self, level_angstrom: float) -> tuple[float, ...]:
        """Of up to 256 references, spread evenly over all: the distance to the nearest that is not of the same file."""
        here = np.nonzero(self._is_present())[0]
        if not here.size:
            return ()
        key = level_angstrom, len(here), int(here[-1])
        if key not in self._loo:
            chosen = here[np.unique(np.linspace(0, len(here) - 1, min(_SAMPLE, len(here))).astype(np.int64))]
            found = [self.distance_to_next(int(number), level_angstrom) for number in chosen]
            self._loo[key] = tuple(distance for distance in found if distance is not None)
        return self._loo[key]

    def descriptor(self, number: int, level_angstrom: float) -> NDArray[np.float32]:
        """Of one reference."""
        row: NDArray[np.float32] = self._vectors[level_angstrom].rows(np.array([number]))[0]
        return row

    def distance_to_next(self, number: int, level_angstrom: float) -> float | None:
        """From a reference to the nearest of another file; None: there is no other."""
        found = self.nearest(self.descriptor(number, level_angstrom), level_angstrom, 1, but_file_of=number)
        return found[0].distance if found else None


def _key(path: Path, folder: Path | None) -> int | None:
    """Of a file as it is now: another when it changes; None: it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    name = path.relative_to(folder) if folder is not None else path
    text = f"{name}\0{status.st_size}\0{status.st_mtime_ns}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
