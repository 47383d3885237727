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

import numpy as np
from numpy.typing import NDArray

from frazil.models.compiled import compiled
from frazil.models.formats.unaligned import word_first_byte_lowest

_PROTOTYPE = 65000
_PADDING_BYTES = 8
"""That are read, but not believed, behind the last code."""
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
    skip_bits, horizontal_bits, vertical_bits = code_bits
    source = np.frombuffer(stream + bytes(_PADDING_BYTES), np.uint8)
    end_px = _add_events(source, len(stream) * 8, skip_bits, horizontal_bits + vertical_bits, image.reshape(-1))
    if end_px != image.size:
        raise EerStreamError(f"its runs end on pixel {end_px:,} of {image.size:,}")


@compiled
def _add_events(source: NDArray[np.uint8], bits: int, skip_bits: int, position_bits: int, image: np.ndarray) -> int:
    """The pixel that the runs reach: the number of pixels if all is well, less if bits are missing."""
    longest_run = (1 << skip_bits) - 1
    mask = np.uint64(longest_run)
    event_bits = skip_bits + position_bits
    bit, at = 0, 0
    while at < len(image) and bit < bits:
        window = word_first_byte_lowest(source, bit >> 3) >> np.uint64(bit & 7)
        known = 57  # of 64 bits, up to 7 were shifted out
        while known >= event_bits and at < len(image):
            if bit + skip_bits > bits:
                return at
            run = np.int64(window & mask)
            used = skip_bits
            at += int(run)
            if run != longest_run and at < len(image):
                image[at] += 1
                at += 1
                used = event_bits
            bit += used
            window >>= np.uint64(used)
            known -= used
    return at


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
