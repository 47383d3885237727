"""Bytes of a file at an offset, with the end of the file as a typed error. Safe to share between threads."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from frazil.config.errors import RetryLaterError, TruncatedFileError

COPY_AGAIN = "copy it again"
WAIT = f"wait until the file has been written in full, or {COPY_AGAIN}"


class Closed(ABC):
    """Something that `with` closes at the end of its block."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileBytes(Closed):
    """An open file, its size at the moment of opening, and reads that never move a shared position."""

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises
        ------
        RetryLaterError
            The file does not exist or cannot be opened now.
        """
        self.path = Path(path)
        self._descriptor = -1
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            self.size = os.fstat(self._descriptor).st_size
        except OSError as error:
            self.close()
            raise RetryLaterError(
                f"cannot be opened ({error.strerror})", path=path, remedy="check that it exists and may be read"
            ) from error

    def read_at(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes from `offset`.

        Raises
        ------
        TruncatedFileError
            They reach beyond the end of the file.
        RetryLaterError
            The disk or the network failed.
        """
        self.check_range(offset, count)
        buffer = bytearray(count)
        self._fill(offset, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, offset: int, target: np.ndarray) -> None:
        """Fill a C-contiguous array with the bytes from `offset` on; errors as `read_at`."""
        view = memoryview(target.data).cast("B")
        self.check_range(offset, len(view))
        self._fill(offset, view)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def check_range(self, offset: int, count: int) -> None:
        if offset < 0 or count < 0 or offset + count > self.size:
            raise self._truncated(offset, count)

    def _truncated(self, offset: int, count: int) -> TruncatedFileError:
        return TruncatedFileError(
            f"ends at byte {self.size:,}, but {count:,} bytes are promised from byte {offset:,} on",
            path=self.path,
            remedy=WAIT,
        )

    def _fill(self, offset: int, view: memoryview) -> None:
        done = 0
        while done < len(view):  # one read returns at most 2 GiB, and less when interrupted
            try:
                count = os.preadv(self._descriptor, [view[done:]], offset + done)
            except OSError as error:
                raise RetryLaterError(
                    f"could not be read ({error.strerror})",
                    path=self.path,
                    remedy="check the disk or the network mount",
                ) from error
            if count == 0:
                raise self._truncated(offset, len(view))
            done += count
