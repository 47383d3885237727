"""A movie decoded once and kept in memory as it was counted, a byte a pixel, for all passes over it.

Above a limit of bytes nothing is kept: the frames are then decoded again for each pass, some at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.models.cpu_threads import run_blocks
from frazil.models.formats.movie import MovieReader
from frazil.models.motion.frame_source import as_counts
from frazil.models.motion.kernels.count_kernels import add_halves

_STREAMED_BYTES = 256 << 20
"""Held at a time where the movie is too large to be kept: memory, not speed."""
_SUMMED_BYTES = 64 << 20
"""Decoded before they are added: the larger caches still hold them then."""
_ROWS_AT_ONCE = 128
"""A band of rows that one thread adds."""


class HeldFrames:
    """The frames of an open movie, in blocks.

    Parameters
    ----------
    reader:
        Must stay open while `blocks` is used.
    limit_bytes:
        Most bytes that are kept; 0 keeps nothing.
    kept_passes:
        After so many passes over `blocks` the memory is given back; a further pass decodes again. None: never.
    """

    def __init__(self, reader: MovieReader, *, limit_bytes: int, kept_passes: int | None = None) -> None:
        self.header = reader.header
        self._reader = reader
        header = reader.header
        dtype = as_counts(np.empty(0, dtype=header.dtype)).dtype
        frame_bytes = header.height_px * header.width_px * dtype.itemsize
        self.held = header.frame_count * frame_bytes <= limit_bytes
        """Whether all frames are kept."""
        self._passes_left = kept_passes
        self._streamed_at_once = max(1, min(header.frame_count, _STREAMED_BYTES // frame_bytes))
        at_once = header.frame_count if self.held else self._streamed_at_once
        self._buffer = np.empty((at_once, header.height_px, header.width_px), dtype=dtype)
        self._summed_at_once = max(1, _SUMMED_BYTES // frame_bytes)
        self._bad: tuple[NDArray[np.int64], ...] | None = None
        self._decoded = False

    def half_sums(self) -> NDArray[np.float32]:
        """(2, h, w) sums of the counts of even and of odd frames; made while the frames are decoded."""
        sums = np.zeros((2, self.header.height_px, self.header.width_px), dtype=np.float32)
        rows = self.header.height_px
        for first_frame, counts in self.blocks() if self._decoded else self._decode():
            run_blocks(partial(add_halves, counts, first_frame, sums), rows, -(-rows // _ROWS_AT_ONCE))
        return sums

    def replace(
        self,
        bad_y_px: NDArray[np.int64],
        bad_x_px: NDArray[np.int64],
        donor_y_px: NDArray[np.int64],
        donor_x_px: NDArray[np.int64],
    ) -> None:
        """From now on each frame shows the donors' counts at the bad pixels."""
        self._bad = (bad_y_px, bad_x_px, donor_y_px, donor_x_px)
        if self._decoded:
            self._mend(self._buffer)

    def blocks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """(first frame, counts (n, h, w)) for all frames in order; a block is valid until the next is asked for."""
        if not self.held:
            yield from self._decode()
            return
        if not self._decoded:
            for _ in self._decode():
                pass
        yield 0, self._buffer
        if self._passes_left is not None:
            self._passes_left -= 1
            if self._passes_left <= 0:
                self.held = self._decoded = False
                self._buffer = np.empty((self._streamed_at_once, *self._buffer.shape[1:]), dtype=self._buffer.dtype)

    def _decode(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """All frames through the buffer, in portions small enough to be still in the cache when they are yielded."""
        count, room = self.header.frame_count, len(self._buffer)
        portion = min(self._summed_at_once, room) if self.held else room
        for start in range(0, count, room):
            stop = min(start + room, count)
            first = 0
            for place, _ in enumerate(self._reader.frames(start, stop, into=self._buffer)):
                if place + 1 - first == portion or start + place + 1 == stop:
                    self._mend(self._buffer[first : place + 1])
                    yield start + first, self._buffer[first : place + 1]
                    first = place + 1
        self._decoded = self.held

    def _mend(self, counts: NDArray[Any]) -> None:
        if self._bad is not None and self._bad[0].size:
            bad_y, bad_x, donor_y, donor_x = self._bad
            for frame in counts:
                frame[bad_y, bad_x] = frame[donor_y, donor_x]
