"""Nearest neighbours among up to some 10^7 unit vectors, kept in files and grown row by row.

The rows themselves (float16, appended) are the truth. Up to `FLAT_ROWS` they are all looked at; beyond that an
inverted file (Sivic & Zisserman 2003, ICCV; faiss: Johnson, Douze & Jegou 2021, IEEE Trans. Big Data 7, 535) with a
byte a number says which rows are worth looking at, and the distance of those is computed from the rows. The inverted
file is made from the rows and is made again where it is missing, damaged or grown out of; docs/decisions/0018 says why
this library.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.models.formats.atomic import atomic_path

Array = NDArray[np.float32]

FLAT_ROWS = 50_000
_BLOCK_ROWS = 50_000
_PROBED_CELLS = 48
_CELLS_PER_ROOT = 0.65
"""Cells for each root of the number of rows: to find a row's cell is what building costs most."""
_LOOKED_AT = 8
"""Rows whose distance is computed from the rows themselves, for each one asked for."""
_TRAINING_ROWS_PER_CELL = 40
_GROWN = 4
"""Cells are drawn anew when there are so many times the rows that they were drawn for."""


class VectorIndex:
    """The rows of one file.

    Parameters
    ----------
    stem:
        Rows lie in `stem.f16`, the inverted file in `stem.ivf`. A row that a crash left unfinished does not count.
    """

    def __init__(self, stem: Path, dimension: int) -> None:
        self._rows_path = stem.with_name(stem.name + ".f16")
        self._cells_path = stem.with_name(stem.name + ".ivf")
        self._dimension = dimension
        size = self._rows_path.stat().st_size if self._rows_path.exists() else 0
        self.count = size // self._row_bytes
        self._cells: Any = None
        self._all: Array | None = None

    @property
    def _row_bytes(self) -> int:
        return 2 * self._dimension

    def append(self, rows: Array) -> None:
        """Add (n, dimension) rows; they are on disk when this returns.

        Raises
        ------
        ValueError
            For rows of another length, or that are not finite.
        """
        if rows.ndim != 2 or rows.shape[1] != self._dimension or not bool(np.isfinite(rows).all()):
            raise ValueError(f"rows of {self._dimension} finite numbers are kept, not an array {rows.shape}")
        self.cut(self.count)
        with open(self._rows_path, "ab") as file:
            file.write(np.ascontiguousarray(rows, dtype="<f2").tobytes())
            file.flush()
            os.fsync(file.fileno())
        self.count += len(rows)
        self._all = None

    def cut(self, count: int) -> None:
        """Drop the rows from number `count` on, and what is left of an unfinished one."""
        if self._rows_path.exists() and self._rows_path.stat().st_size > count * self._row_bytes:
            os.truncate(self._rows_path, count * self._row_bytes)
        if count < self.count:
            self.count, self._cells, self._all = count, None, None

    def rows(self, numbers: NDArray[np.int64] | slice) -> Array:
        """(n, dimension) of some rows."""
        if not self.count:
            return np.zeros((0, self._dimension), dtype=np.float32)
        if isinstance(numbers, slice):
            start, stop, _ = numbers.indices(self.count)
            wanted = self._dimension * max(stop - start, 0)
            read = np.fromfile(self._rows_path, dtype="<f2", count=wanted, offset=start * self._row_bytes)
            return read.reshape(-1, self._dimension).astype(np.float32)
        mapped = np.memmap(self._rows_path, dtype="<f2", mode="r", shape=(self.count, self._dimension))
        return np.asarray(mapped[numbers], dtype=np.float32)

    def refresh(self) -> None:
        """Bring the inverted file up to the rows; does nothing while all rows are looked at."""
        if self.count <= FLAT_ROWS:
            return
        import faiss

        if self._cells is None and self._cells_path.exists():
            try:
                self._cells = faiss.read_index(str(self._cells_path))
            except RuntimeError:
                self._cells = None  # damaged: made again
        have = 0 if self._cells is None else int(self._cells.ntotal)
        if have == self.count:
            return
        if self._cells is None or have > self.count or self.count > _GROWN * _rows_drawn_for(self._cells.nlist):
            self._cells, have = self._drawn_cells(faiss), 0
        for start in range(have, self.count, _BLOCK_ROWS):
            self._cells.add(self.rows(slice(start, min(start + _BLOCK_ROWS, self.count))))
        with atomic_path(self._cells_path) as temporary:
            faiss.write_index(self._cells, str(temporary))

    def _drawn_cells(self, faiss: Any) -> Any:
        cells = 1 << max(8, round(math.log2(math.sqrt(self.count) * _CELLS_PER_ROOT)))
        wanted = min(self.count, _TRAINING_ROWS_PER_CELL * cells)
        numbers = np.unique(np.linspace(0, self.count - 1, wanted).astype(np.int64))
        made = faiss.index_factory(self._dimension, f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
        made.train(self.rows(numbers))
        return made

    def nearest(self, asked: Array, k: int) -> tuple[Array, NDArray[np.int64]]:
        """Distances and numbers, each (q, k), of the nearest rows, nearest first; infinity and -1 beyond the last."""
        k_found = min(k, self.count)
        distance = np.full((len(asked), k), np.inf, dtype=np.float32)
        number = np.full((len(asked), k), -1, dtype=np.int64)
        if not k_found:
            return distance, number
        self.refresh()
        for index, one in enumerate(asked):
            candidates, rows = self._candidates(one, k_found)
            near = np.linalg.norm(rows - one, axis=1)
            order = np.lexsort((candidates, near))[:k_found]
            distance[index, : len(order)] = near[order]
            number[index, : len(order)] = candidates[order]
        return distance, number

    def _candidates(self, one: Array, k: int) -> tuple[NDArray[np.int64], Array]:
        if self.count <= FLAT_ROWS:
            if self._all is None:
                self._all = self.rows(slice(None))
            return np.arange(self.count, dtype=np.int64), self._all
        self._cells.nprobe = _PROBED_CELLS
        found = self._cells.search(one[None], k * _LOOKED_AT)[1][0]
        candidates = np.sort(found[found >= 0]).astype(np.int64)
        return candidates, self.rows(candidates)


def _rows_drawn_for(cells: int) -> float:
    return (cells / _CELLS_PER_ROOT) ** 2
