"""Where frames come from, as motion correction sees it: as tensors one by one, or as blocks of raw counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

COUNT_TYPES = tuple(np.dtype(t) for t in (np.uint8, np.int8, np.uint16, np.int16, np.float32))
"""Types in which blocks hold counts; anything else becomes float32."""
_GATHERED_BYTES = 256 << 20
"""Of float32 frames in a block made here: memory, not speed."""


class FrameSource(Protocol):
    """Gain-corrected frames of one movie, one at a time, as often as asked for.

    `frames()` yields float32 tensors (height_px, width_px), in time order, on the CPU or already on the device; each
    call starts from the first frame. A yielded tensor is only valid until the next one is asked for.
    """

    @property
    def frame_count(self) -> int: ...

    @property
    def height_px(self) -> int: ...

    @property
    def width_px(self) -> int: ...

    def frames(self) -> Iterator[Tensor]: ...


@dataclass(frozen=True, slots=True)
class CountBlock:
    """Some frames in a row, as few bytes as they came in: corrected = counts * multiplier * scale."""

    first_frame: int
    counts: NDArray[Any]
    """(n, h, w), C-contiguous, one of COUNT_TYPES, bad pixels replaced; not to be written to."""
    multiplier: NDArray[np.float32] | None = None
    """(h, w), the same in all blocks of a movie; None: 1 everywhere."""
    scale: float = 1.0
    """The same in all blocks of a movie."""

    def __post_init__(self) -> None:
        # Compiled loops read the gain without asking how large it is.
        if self.multiplier is not None and self.multiplier.shape != self.counts.shape[1:]:
            raise ValueError(f"the gain is {self.multiplier.shape}, the frames are {self.counts.shape[1:]}")


@runtime_checkable
class BlockSource(Protocol):
    """A source that can also hand out its frames as they were counted, many at a time."""

    def blocks(self) -> Iterator[CountBlock]: ...


def count_blocks(source: FrameSource) -> Iterator[CountBlock]:
    """All frames of `source` in order; gathered into float32 blocks if it knows nothing of blocks.

    A block is only valid until the next one is asked for.
    """
    if isinstance(source, BlockSource):
        yield from source.blocks()
        return
    at_once = max(1, min(source.frame_count, _GATHERED_BYTES // (4 * source.height_px * source.width_px)))
    held = np.empty((at_once, source.height_px, source.width_px), dtype=np.float32)
    filled = 0
    for index, frame in enumerate(source.frames()):
        held[filled] = frame.cpu().numpy()
        filled += 1
        if filled == at_once or index + 1 == source.frame_count:
            yield CountBlock(index + 1 - filled, held[:filled])
            filled = 0


def as_counts(frames: NDArray[Any]) -> NDArray[Any]:
    """`frames` in one of COUNT_TYPES and C-contiguous; a copy only where it must be."""
    return np.ascontiguousarray(frames if frames.dtype in COUNT_TYPES else frames.astype(np.float32))


class StackFrames:
    """A movie that is already in memory, (F, h, w) in any numeric type (bytes stay bytes until they are used)."""

    def __init__(self, stack: Tensor) -> None:
        if stack.ndim != 3:
            raise ValueError(f"a movie is (frames, height, width), not {tuple(stack.shape)}")
        self._stack = stack

    @property
    def frame_count(self) -> int:
        return int(self._stack.shape[0])

    @property
    def height_px(self) -> int:
        return int(self._stack.shape[1])

    @property
    def width_px(self) -> int:
        return int(self._stack.shape[2])

    def frames(self) -> Iterator[Tensor]:
        for frame in self._stack:
            yield frame.to(torch.float32)

    def blocks(self) -> Iterator[CountBlock]:
        yield CountBlock(0, as_counts(self._stack.cpu().numpy()))
