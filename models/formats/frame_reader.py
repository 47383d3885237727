"""What the readers of movies have in common: an open file, frames in order, some of them decoded ahead."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from frazil.models.formats.file_bytes import Closed, FileBytes
from frazil.models.formats.read_ahead import frame_range, frames_in_order
from frazil.models.records import MovieHeader


class FrameReader(Closed):
    """A `MovieReader` (`movie.py`) but for the decoding of one frame, which each format adds (`_frame`)."""

    header: MovieHeader

    def __init__(self, path: Path, executor: Executor | None, read_ahead_frames: int) -> None:
        """Open the file.

        Parameters
        ----------
        executor:
            Whose threads decode ahead; None: each frame is decoded when it is asked for.

        Raises
        ------
        RetryLaterError
            The file does not exist or cannot be opened now.
        """
        self._file = FileBytes(path)
        self._executor = executor
        self._read_ahead_frames = read_ahead_frames

    def frames(
        self, start: int = 0, stop: int | None = None, *, into: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Frames `start ... stop - 1`, each an (h, w) array in the machine's byte order, new or one of `into`.

        Raises
        ------
        FormatError
            A frame does not decode; the message names it.
        """
        first, last = frame_range(start, stop, self.header.frame_count)
        return frames_in_order(self._frame, first, last, self._executor, self._read_ahead_frames, into)

    def close(self) -> None:
        self._file.close()

    @abstractmethod
    def _frame(self, index: int, out: np.ndarray | None) -> np.ndarray:
        """Frame `index`: decoded into `out` if that has its type, else a new array."""
