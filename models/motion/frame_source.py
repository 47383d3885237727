"""Where frames come from, as motion correction sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor


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
