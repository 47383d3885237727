"""A movie's counts in a device's memory: uploaded once as the bytes they were read as, corrected there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from frazil.models.motion.frame_source import CountBlock, FrameSource, count_blocks

_UPLOADED_BYTES = 64 << 20
"""At once: enough for the bus, and page-locked memory is dear."""
_CORRECTED_BYTES = 512 << 20
"""Of float32 frames at once: what is done with them takes a few times as much."""
_HELD_BYTES = 8 << 30
"""Of counts that stay on the device between passes; a larger movie is uploaded again for each."""


class DeviceFrames:
    """A `FrameSource` on a device; see the module."""

    def __init__(self, source: FrameSource, device: torch.device) -> None:
        self.device = device
        self.frame_count, self.height_px, self.width_px = source.frame_count, source.height_px, source.width_px
        self._source = source
        self._held: list[tuple[int, Tensor, Tensor | None, float]] = []
        self._whole = False

    def portions(self) -> Iterator[tuple[int, Tensor]]:
        """(first frame, corrected frames (n, h, w) float32 on the device) for all frames in order."""
        at_once = max(1, _CORRECTED_BYTES // (4 * self.height_px * self.width_px))
        for first_frame, counts, multiplier, scale in self._blocks():
            for start in range(0, len(counts), at_once):
                frames = counts[start : start + at_once].to(torch.float32)
                if multiplier is not None:
                    frames = frames * multiplier
                yield first_frame + start, frames if scale == 1.0 else frames * scale

    def frames(self) -> Iterator[Tensor]:
        """One at a time, float32 on the device."""
        for _, frames in self.portions():
            yield from frames

    def _blocks(self) -> Iterator[tuple[int, Tensor, Tensor | None, float]]:
        if self._whole:
            yield from self._held
            return
        self._held, held_bytes, multiplier = [], 0, None
        for block in count_blocks(self._source):
            if block.multiplier is not None and multiplier is None:
                # One gain for the whole movie (`CountBlock`).
                multiplier = _uploaded(block.multiplier, self.device)
            one = (block.first_frame, self._counts(block), multiplier, block.scale)
            held_bytes += one[1].numel() * one[1].element_size()
            if held_bytes <= _HELD_BYTES:
                self._held.append(one)
            yield one
        self._whole = held_bytes <= _HELD_BYTES
        if not self._whole:
            self._held = []

    def _counts(self, block: CountBlock) -> Tensor:
        at_once = max(1, _UPLOADED_BYTES // max(block.counts[0].nbytes, 1))
        parts = [
            _uploaded(block.counts[start : start + at_once], self.device)
            for start in range(0, len(block.counts), at_once)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _uploaded(values: np.ndarray, device: torch.device) -> Tensor:
    """A copy, as the block's memory is only lent; from page-locked memory where the device is CUDA."""
    host = torch.from_numpy(values)
    if device.type == "cpu":
        return host.clone()
    if torch.cuda.is_available():
        host = host.pin_memory()
    return host.to(device, non_blocking=True)


def on_device(source: FrameSource, device: torch.device) -> FrameSource:
    """`source`, its counts on the device; itself where the device is the CPU."""
    return source if device.type == "cpu" or isinstance(source, DeviceFrames) else DeviceFrames(source, device)


def device_portions(source: FrameSource, device: torch.device) -> Iterator[tuple[int, Tensor]]:
    """`DeviceFrames.portions` of any source."""
    return (source if isinstance(source, DeviceFrames) else DeviceFrames(source, device)).portions()
