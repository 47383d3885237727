"""Bytes of an array as machine words, for decoders compiled by numba: unaligned and unchecked.

The caller sees to it that the bytes are there. Words are those of little-endian machines, which all supported ones are.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_WORD = ir.IntType(64)
_SIXTEEN_BYTES = ir.VectorType(ir.IntType(8), 16)


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any, what: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), what.as_pointer())


def _make_copy_16(typing_context: Any, array: Any, to: Any, start: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source = (_address(context, builder, array, arguments[0], at, _SIXTEEN_BYTES) for at in arguments[1:])
        value = builder.load(source)
        value.align = 1
        builder.store(value, target, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


def _make_word(typing_context: Any, array: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = builder.load(_address(context, builder, array, arguments[0], arguments[1], _WORD))
        value.align = 1
        return value

    return types.uint64(array, types.intp), generate


def _make_swapped_word(typing_context: Any, array: Any, at: Any) -> Any:
    signature, generate_word = _make_word(typing_context, array, at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bswap(generate_word(context, builder, signature, arguments))

    return signature, generate


copy_16: Any = intrinsic(_make_copy_16)
"""copy_16(array, to, start): array[to : to + 16] = array[start : start + 16]."""
word_first_byte_lowest: Any = intrinsic(_make_word)
"""(array, at): array[at : at + 8] as a 64-bit number."""
word_first_byte_highest: Any = intrinsic(_make_swapped_word)
"""(array, at): array[at : at + 8] as a 64-bit number."""
