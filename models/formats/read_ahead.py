"""Decode a few frames ahead on the threads of an executor, in order, with bounded memory."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future

import numpy as np


def frames_in_order(
    decode: Callable[[int, np.ndarray | None], np.ndarray],
    start: int,
    stop: int,
    executor: Executor | None,
    depth: int,
    into: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """`decode(start, None) ... decode(stop - 1, None)`, in order.

    With `into` (at least stop - start, h, w) each frame is decoded into its place there, which is what is yielded;
    `decode` may return another array (of another type), which is then copied.

    Without an executor each frame is decoded when it is asked for. With one, at most `depth` frames are decoded or
    waiting beside the one that the caller holds; closing the iterator early cancels the rest. An error of a frame is
    raised when that frame's turn comes.
    """

    def place(index: int) -> np.ndarray:
        if into is None:
            return decode(index, None)
        target: np.ndarray = into[index - start]
        frame = decode(index, target)
        if frame is not target:
            target[...] = frame
        return target

    if executor is None:
        return (place(index) for index in range(start, stop))
    return _ahead(place, range(start, stop), executor, max(depth, 1))


def _ahead(decode: Callable[[int], np.ndarray], indices: range, executor: Executor, depth: int) -> Iterator[np.ndarray]:
    """`decode` of each index, in order; at most `depth` of them wait or are decoded beside the one handed out."""
    pending: deque[Future[np.ndarray]] = deque()
    following = iter(indices)
    try:
        for index in itertools.islice(following, depth):
            pending.append(executor.submit(decode, index))
        while pending:
            yield pending.popleft().result()
            for index in itertools.islice(following, 1):
                pending.append(executor.submit(decode, index))
    finally:
        for future in pending:
            future.cancel()
        for future in pending:
            if not future.cancelled():
                # The file must stay open until the last running decode is over; its outcome no longer matters.
                future.exception()


def frame_range(start: int, stop: int | None, frame_count: int) -> tuple[int, int]:
    """Python's slice rules for `start` and `stop` on a movie of `frame_count` frames."""
    first, last, _ = slice(start, stop).indices(frame_count)
    return first, max(first, last)
