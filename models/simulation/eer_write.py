"""EER files (compression 65001, 7-bit runs) as a Falcon 4i writes them: one BigTIFF page per raw frame.

Coding: see `frazil.models.formats.eer_decode`. The runs of a frame end exactly on its last pixel, so that the padding
bits behind are never read as a code; no event is put on the very last pixel, since readers differ in what they do
after it. RELION 3.1 reads 4096 x 4096 only; any size is written.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from frazil.models.formats.atomic import atomic_path

RUN_BITS, SUBPIXEL_BITS = 7, 4
LONGEST_RUN = (1 << RUN_BITS) - 1
_LONG, _SHORT, _UNDEFINED, _LONG8 = 4, 3, 7, 16


@dataclass(frozen=True, slots=True)
class EerDescription:
    """What the file says of its exposure (tag 65001)."""

    exposure_time_s: float
    total_dose_e_per_px: float
    pixel_size_angstrom: float
    camera: str = "EF-Falcon"


def encode_raw_frame(position: NDArray[np.int64], subpixel: NDArray[np.uint8], pixel_count: int) -> bytes:
    """One raw frame as a bit stream.

    Parameters
    ----------
    position:
        Pixel indices (row * width + column) with an electron, strictly increasing.
    subpixel:
        Four bits per electron: where in its pixel it landed.
    pixel_count:
        height * width.

    Raises
    ------
    ValueError
        If positions are not strictly increasing or lie outside the frame.
    """
    if len(position) and (position[0] < 0 or position[-1] >= pixel_count or bool((np.diff(position) <= 0).any())):
        raise ValueError("positions of electrons must be strictly increasing and within the frame")
    keep = position < pixel_count - 1
    position, subpixel = position[keep], subpixel[keep]
    before = np.diff(position, prepend=-1) - 1
    tail = pixel_count - 1 - (int(position[-1]) if len(position) else -1)
    full_runs = np.append(before // LONGEST_RUN, tail // LONGEST_RUN)
    # The end needs no further code when full runs reach it exactly.
    last_run = [tail % LONGEST_RUN] if tail % LONGEST_RUN else []
    value = np.concatenate((before % LONGEST_RUN | (subpixel.astype(np.int64) << RUN_BITS), last_run)).astype(np.uint32)
    length = np.full(len(value), RUN_BITS + SUBPIXEL_BITS)
    if last_run:
        length[-1] = RUN_BITS
    # Bits before each code: all codes before it, and the full runs up to and including its own.
    offset = np.cumsum(length) - length + RUN_BITS * np.cumsum(full_runs)[: len(value)]
    bit_count = int(length.sum()) + RUN_BITS * int(full_runs.sum())
    stream = np.zeros((bit_count + 7) // 8 + 4, dtype=np.float64)
    shifted = value << (offset % 8).astype(np.uint32)
    for byte in range(3):  # 11 bits shifted by up to 7 span three bytes; codes do not overlap, so adding is or-ing
        part = (shifted >> (8 * byte)) & 0xFF
        stream += np.bincount(offset // 8 + byte, weights=part, minlength=len(stream))
    packed = stream.astype(np.uint8)
    packed |= _full_run_bits(full_runs, offset, bit_count, len(stream))
    # imagecodecs refuses streams of an odd number of bytes.
    return packed[: 2 * ((bit_count + 15) // 16)].tobytes()


def _full_run_bits(
    full_runs: NDArray[np.int64], offset: NDArray[np.int64], bit_count: int, byte_count: int
) -> NDArray[np.uint8]:
    """The all-ones runs, which lie right in front of the code that they belong to."""
    end = np.append(offset, bit_count)[: len(full_runs)]
    start = end - RUN_BITS * full_runs
    steps = np.bincount(start, minlength=byte_count * 8 + 1) - np.bincount(end, minlength=byte_count * 8 + 1)
    return np.packbits(np.cumsum(steps[:-1]).astype(np.uint8), bitorder="little")


def split_counts(
    counts: NDArray[np.uint16], raw_frames: int, rng: np.random.Generator
) -> list[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Spread the electrons of one frame over its raw frames at random: (positions, sub-pixels) of each.

    Two electrons of one pixel in one raw frame are one event, as in the camera.
    """
    flat = counts.ravel()
    pixel = np.repeat(np.arange(flat.size, dtype=np.int64), flat)
    key = rng.integers(0, raw_frames, pixel.size) * np.int64(flat.size) + pixel
    key.sort()
    key = key[np.diff(key, prepend=-1) > 0]
    edges = np.searchsorted(key, np.arange(raw_frames + 1) * np.int64(flat.size))
    subpixel = rng.integers(0, 16, key.size, dtype=np.uint8)
    return [
        (key[first:last] - number * np.int64(flat.size), subpixel[first:last])
        for number, (first, last) in enumerate(itertools.pairwise(edges.tolist()))
    ]


def write_movie_eer(
    path: Path,
    raw_frames: Iterable[tuple[NDArray[np.int64], NDArray[np.uint8]]],
    *,
    height_px: int,
    width_px: int,
    raw_frame_count: int,
    description: EerDescription,
) -> int:
    """Write raw frames one by one; atomic. Returns their number.

    Raises
    ------
    ValueError
        If fewer or more raw frames come than `raw_frame_count` (the metadata on the first page state it).
    """
    xml = _acquisition_xml(description, height_px, width_px, raw_frame_count)
    count = 0
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        link_at = 8
        for position, subpixel in raw_frames:
            stream = encode_raw_frame(position, subpixel, height_px * width_px)
            dose = len(position) / (height_px * width_px)
            link_at = _write_page(file, stream, (height_px, width_px), link_at, xml if count == 0 else b"", count, dose)
            count += 1
        if count != raw_frame_count:
            raise ValueError(f"{count} raw frames were given, {raw_frame_count} announced")
    return count


def _write_page(
    file: IO[bytes], stream: bytes, shape: tuple[int, int], link_at: int, xml: bytes, number: int, dose_e_per_px: float
) -> int:
    """Strip, metadata, directory; links it from `link_at` and returns where the next link goes."""

    def append(data: bytes) -> int:
        at = file.seek(0, 2)
        file.write(data + b"\0" * (-len(data) % 8))
        return at

    strip_at = append(stream)
    frame_xml = (
        f'<metadata><item name="frameID">{number}</item><item name="dose" unit="e/pixel">{dose_e_per_px:.6f}</item>'
        f'<item name="rleCodeLength">{RUN_BITS}</item></metadata>'
    ).encode()
    tags = [
        (256, _LONG, 1, shape[1]),
        (257, _LONG, 1, shape[0]),
        (258, _SHORT, 1, 8),
        (259, _SHORT, 1, 65001),
        (262, _SHORT, 1, 1),
        (273, _LONG8, 1, strip_at),
        (277, _SHORT, 1, 1),
        (278, _LONG, 1, shape[0]),
        (279, _LONG8, 1, len(stream)),
    ]
    if xml:
        tags.append((65001, _UNDEFINED, len(xml), append(xml)))
    tags.append((65002, _UNDEFINED, len(frame_xml), append(frame_xml)))
    entries = b"".join(struct.pack("<HHQQ", tag, kind, count, value) for tag, kind, count, value in tags)
    directory_at = append(struct.pack("<Q", len(tags)) + entries + struct.pack("<Q", 0))
    file.seek(link_at)
    file.write(struct.pack("<Q", directory_at))
    return directory_at + 8 + len(entries)


def _acquisition_xml(description: EerDescription, height_px: int, width_px: int, raw_frame_count: int) -> bytes:
    pixel_m = description.pixel_size_angstrom * 1e-10
    items = [
        ("acquisitionID", "", "simulated"),
        ("cameraName", "", description.camera),
        ("commercialName", "", "Falcon 4i"),
        ("eerGainReference", "", ""),
        ("exposureTime", "s", f"{description.exposure_time_s:.6f}"),
        ("meanDoseRate", "e/pixel/s", f"{description.total_dose_e_per_px / description.exposure_time_s:.6f}"),
        ("numberOfFrames", "", str(raw_frame_count)),
        ("sensorImageHeight", "pixel", str(height_px)),
        ("sensorImageWidth", "pixel", str(width_px)),
        ("sensorPixelSize.height", "m", f"{pixel_m:.6e}"),
        ("sensorPixelSize.width", "m", f"{pixel_m:.6e}"),
        ("totalDose", "e/pixel", f"{description.total_dose_e_per_px:.6f}"),
    ]
    body = "".join(
        f'<item name="{name}" unit="{unit}">{value}</item>' if unit else f'<item name="{name}">{value}</item>'
        for name, unit, value in items
    )
    return f"<metadata>{body}</metadata>".encode()
