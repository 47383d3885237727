"""TIFF's LZW, four times as fast as the general libraries on counts.

Every string of the table is also a piece of what has been decoded already: the table holds where it begins and how long
it is, and a code is one copy of 16 bytes (TIFF 6.0, section 13: codes of 9 to 12 bits, most significant bit first, 256
clears, 257 ends, the width grows one code early). Sparse counts have strings of about five bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from frazil.models.compiled import compiled

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


def _make_copy_16(typing_context: Any, array: Any, to: Any, start: Any) -> Any:
    """array[to : to + 16] = array[start : start + 16], unaligned, unchecked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        vector = ir.VectorType(ir.IntType(8), 16).as_pointer()
        value = builder.load(builder.bitcast(builder.gep(data, [arguments[2]]), vector))
        value.align = 1
        builder.store(value, builder.bitcast(builder.gep(data, [arguments[1]]), vector), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


def _make_eight_bytes(typing_context: Any, array: Any, at: Any) -> Any:
    """array[at : at + 8] as a number, first byte highest (the machine is little-endian), unaligned, unchecked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        value = builder.load(builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer()))
        value.align = 1
        return builder.bswap(value)

    return types.uint64(array, types.intp), generate


_copy_16: Any = intrinsic(_make_copy_16)
_eight_bytes: Any = intrinsic(_make_eight_bytes)


@compiled
def _decode(source: NDArray[np.uint8], source_bytes: int, target: NDArray[np.uint8], expected_bytes: int) -> int:
    begin = np.empty(_TABLE, np.int64)
    length = np.empty(_TABLE, np.int64)
    free, width, widest_code = _FIRST_FREE, 9, 511
    bit, bits, done = 0, source_bytes * 8, 0
    while done < expected_bytes and bit + width <= bits:
        window = _eight_bytes(source, bit >> 3)
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
                    _copy_16(target, done + i, start + i)
            else:  # the string that is just being made: it overlaps its own copy
                for i in range(count):
                    target[done + i] = target[start + i]
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
