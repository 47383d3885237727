"""Writers of known truth for the readers' tests: EER and DM files byte by byte, independent of the readers."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest


def encode_eer_frame(electrons: np.ndarray, run_bits: int = 7, sub_pixel_bits: int = 4, waste: bool = False) -> bytes:
    """One raw frame: run lengths and sub-pixel positions, least significant bit first, ending on the last pixel.

    `waste`: the prototype coding of RELION's reader, where sub-pixel bits follow a run of all ones too.
    """
    stream, used = 0, 0
    longest = (1 << run_bits) - 1
    previous = 0
    positions = np.flatnonzero(electrons).tolist()
    for position in [*positions, electrons.size]:
        run = position - previous
        while run >= longest:
            stream |= longest << used
            used += run_bits + (sub_pixel_bits if waste else 0)
            run -= longest
        stream |= run << used
        used += run_bits
        if position < electrons.size:
            stream |= (position % (1 << sub_pixel_bits)) << used  # any sub-pixel position will do
            used += sub_pixel_bits
        previous = position + 1
    return stream.to_bytes(-(-used // 8), "little")


def build_eer(
    raw_frames: Sequence[np.ndarray],
    *,
    compression: int = 65001,
    metadata: str = "",
    integrated_first: bool = False,
    strips_per_frame: int = 1,
    waste: bool = False,
    pad_to_bytes: int = 1,
) -> bytes:
    """A little-endian BigTIFF of raw frames, one page each, as Falcon cameras write it."""
    height_px, width_px = raw_frames[0].shape
    run_bits = {65000: 8, 65001: 7, 65002: 6}[compression]
    body = bytearray(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
    pointer = 8
    pages: list[tuple[int, list[bytes]]] = []
    if integrated_first:
        pages.append((1, [np.sum(raw_frames, axis=0).astype(np.uint8).tobytes()]))
    for frame in raw_frames:
        stream = encode_eer_frame(frame, run_bits, waste=waste)
        stream += bytes(-len(stream) % pad_to_bytes)
        edges = [k * len(stream) // strips_per_frame for k in range(strips_per_frame + 1)]
        pages.append((compression, [stream[a:b] for a, b in itertools.pairwise(edges)]))
    for index, (code, strips) in enumerate(pages):
        offsets = []
        for strip in strips:
            offsets.append(len(body))
            body += strip
        tags: list[tuple[int, int, bytes, int]] = [
            (256, 4, struct.pack("<I", width_px), 1),
            (257, 4, struct.pack("<I", height_px), 1),
            (259, 3, struct.pack("<H", code), 1),
            (273, 16, struct.pack(f"<{len(offsets)}Q", *offsets), len(offsets)),
            (274, 3, struct.pack("<H", 2), 1),
            (278, 4, struct.pack("<I", height_px), 1),
            (279, 16, struct.pack(f"<{len(strips)}Q", *map(len, strips)), len(strips)),
        ]
        if code == 1:
            tags.append((258, 3, struct.pack("<H", 8), 1))
        if index == 0 and metadata:
            tags.append((65001, 7, metadata.encode(), len(metadata.encode())))
        if code == 65002:
            tags += [(65007, 3, struct.pack("<H", 6), 1), (65008, 3, b"\2\0", 1), (65009, 3, b"\2\0", 1)]
        entries = []
        for tag, kind, value, count in sorted(tags):
            if len(value) > 8:
                where = struct.pack("<Q", len(body))
                body += value
            else:
                where = value.ljust(8, b"\0")
            entries.append(struct.pack("<HHQ", tag, kind, count) + where)
        body[pointer : pointer + 8] = struct.pack("<Q", len(body))
        body += struct.pack("<Q", len(entries)) + b"".join(entries)
        pointer = len(body)
        body += bytes(8)
    return bytes(body)


@pytest.fixture
def make_eer(tmp_path: Path) -> Callable[..., Path]:
    """`make_eer(raw_frames, **options) -> path`."""

    def make(raw_frames: Sequence[np.ndarray], name: str = "movie.eer", **options: object) -> Path:
        path = tmp_path / name
        path.write_bytes(build_eer(raw_frames, **options))  # type: ignore[arg-type]
        return path

    return make


@pytest.fixture
def counts() -> np.ndarray:
    """Five 24 x 40 frames of 0-9 electrons, every corner different."""
    frames = np.random.default_rng(7).poisson(1.5, (5, 24, 40))
    frames[:, 0, 0], frames[:, 0, -1], frames[:, -1, 0], frames[:, -1, -1] = 6, 7, 8, 9
    return frames


@pytest.fixture
def eer_stream() -> Callable[..., bytes]:
    """`encode_eer_frame` for tests of a single stream."""
    return encode_eer_frame
