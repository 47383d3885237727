"""One raw EER frame: a stream of run lengths between electrons, added to an image of counts.

The coding (Thermo Fisher, "EER file format documentation" 3.0, 2023; read here as RELION 3.1 `renderEER.cpp` and
imagecodecs do): bits are taken least significant first; a run of `skip` bits is the number of pixels without an
electron, in raster order; a run of all ones has no electron behind it and goes on in the next code; any other run is
followed by the sub-pixel position (dropped here: frames are rendered on physical pixels). A frame ends when the runs
reach exactly the last pixel. Compression 65001: 7-bit runs; 65002: widths from tags 65007-65009; 65000 (prototypes):
8-bit runs, of which RELION and Thermo Fisher's own reader say that the sub-pixel bits follow even a run of all ones,
and imagecodecs that they do not: both are tried, and the one that ends on the last pixel is right.
"""

from __future__ import annotations

import functools

import imagecodecs
import numpy as np

_PROTOTYPE = 65000
_MOST_PADDING_BYTES = 64


class EerStreamError(ValueError):
    """A raw frame whose runs do not end on the last pixel."""


def add_events(stream: bytes, image: np.ndarray, compression: int, code_bits: tuple[int, int, int]) -> None:
    """Add one raw frame's electrons to `image`, a C-contiguous (h, w) array of `uint8` or `uint16`.

    A pixel takes at most one electron of a raw frame, so `uint8` holds 255 raw frames.

    Raises
    ------
    EerStreamError
        The stream is damaged or cut short; `image` is then undefined.
    """
    if compression == _PROTOTYPE:
        positions = _prototype_positions(stream, image.size)
        if positions is not None:
            image.reshape(-1)[positions] += 1
            return
    padded = _with_end_guard(stream, image.size, code_bits[0])
    try:
        if _decoder_accumulates():
            imagecodecs.eer_decode(padded, image.shape, *code_bits, out=image)
        else:
            image += imagecodecs.eer_decode(padded, image.shape, *code_bits)
    except (RuntimeError, ValueError) as error:
        raise EerStreamError(f"its runs do not end on the last pixel ({error})") from error


def _with_end_guard(stream: bytes, pixel_count: int, skip_bits: int) -> bytes:
    """The stream with enough 1-bits behind it to run past the last pixel.

    The decoder takes a stream that ends early for a frame without further electrons. Runs of all ones place no
    electron and walk on, so a complete frame is read as before, and one that is cut short overshoots and fails.
    """
    longest_run = (1 << skip_bits) - 1
    guard = (pixel_count // longest_run + 2) * skip_bits // 8 + 4
    guard += (len(stream) + guard) % 2  # the decoder wants an even number of bytes
    return stream + b"\xff" * guard


@functools.cache
def _decoder_accumulates() -> bool:
    """Whether imagecodecs adds to `out` (2026.3 does) or overwrites it; adding saves a pass over 16 million pixels."""
    image = np.zeros((8, 8), np.uint8)
    # An electron on pixel 0 (run 0, sub-pixel 0), then a run of 63 to the end.
    one_electron = _with_end_guard((63 << 11).to_bytes(3, "little"), image.size, 7)
    for _ in range(2):
        imagecodecs.eer_decode(one_electron, image.shape, 7, 2, 2, out=image)
    return int(image[0, 0]) == 2 and int(image.sum()) == 2


def _prototype_positions(stream: bytes, pixel_count: int) -> np.ndarray | None:
    """Pixels with an electron under RELION's reading of compression 65000 (always 12 bits a code); None: not that."""
    whole = len(stream) // 3
    triples = np.frombuffer(stream, np.uint8, count=whole * 3).reshape(-1, 3).astype(np.uint16)
    runs = np.empty(whole * 2, np.int64)
    runs[0::2] = triples[:, 0]
    runs[1::2] = (triples[:, 1] >> 4) | ((triples[:, 2] << 4) & 0xFF)
    if len(stream) - whole * 3 >= 1:  # a last run need not be followed by its sub-pixel bits
        runs = np.append(runs, stream[whole * 3])
    electrons = runs < 255
    # Pixel reached by each run, before its own electron moves the stream on by one.
    reached = np.cumsum(runs) + np.cumsum(electrons) - electrons
    ends = np.flatnonzero(reached >= pixel_count)
    if ends.size == 0 or reached[ends[0]] != pixel_count:
        return None
    if len(stream) - ends[0] * 3 // 2 > _MOST_PADDING_BYTES:
        return None  # landed on the last pixel by chance, long before the stream is over
    return np.asarray(reached[: ends[0]][electrons[: ends[0]]])
