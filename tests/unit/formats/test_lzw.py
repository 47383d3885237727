"""LZW against imagecodecs' encoder and decoder, over what makes the table behave differently."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from frazil.models.formats import lzw


def _decode(coded: bytes, expected: int) -> tuple[int, bytes]:
    source = np.frombuffer(coded + b"\xff" * lzw.SOURCE_PADDING_BYTES, np.uint8)
    target = np.full(expected + lzw.TARGET_PADDING_BYTES, 77, np.uint8)
    count = lzw.decode(source, len(coded), target, expected)
    return count, target[:expected].tobytes()


def _cases() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    return {
        "counts, the table filled many times": rng.poisson(0.8, 400_000).astype(np.uint8).tobytes(),
        "few electrons": rng.poisson(0.02, 300_000).astype(np.uint8).tobytes(),
        "noise, every code a literal": rng.integers(0, 256, 50_000, dtype=np.uint8).tobytes(),
        "one value, strings that overlap themselves": bytes(200_000),
        "two values": b"\x00\x01" * 5000,
        "a short period": bytes(range(15)) * 3000,
        "16-bit counts": rng.poisson(300.0, 100_000).astype("<u2").tobytes(),
        "one byte": b"\x05",
        "just before and after codes get wider": rng.integers(0, 256, 253, dtype=np.uint8).tobytes(),
    }


@pytest.mark.parametrize("name", _cases())
def test_decodes_what_was_encoded(name: str) -> None:
    data = _cases()[name]
    count, decoded = _decode(imagecodecs.lzw_encode(data), len(data))
    assert count == len(data)
    assert decoded == data


@pytest.mark.parametrize(
    "length", [252, 253, 254, 255, 256, 764, 765, 766, 767, 1788, 1789, 1790, 1791, 3836, 3837, 3838]
)
def test_widths_change_at_the_right_code(length: int) -> None:
    data = np.random.default_rng(length).integers(0, 256, length, dtype=np.uint8).tobytes()
    count, decoded = _decode(imagecodecs.lzw_encode(data), length)
    assert (count, decoded) == (length, data)


def test_never_writes_more_than_asked_for() -> None:
    data = bytes(10_000)
    coded = imagecodecs.lzw_encode(data)
    target = np.full(100 + lzw.TARGET_PADDING_BYTES, 77, np.uint8)
    source = np.frombuffer(coded + bytes(8), np.uint8)
    assert lzw.decode(source, len(coded), target, 100) == 100
    assert not target[:100].any()
    with pytest.raises(ValueError, match="shorter"):
        lzw.decode(source, len(coded), target, 101)


def test_damage_is_noticed_or_harmless() -> None:
    rng = np.random.default_rng(1)
    data = rng.poisson(0.8, 20_000).astype(np.uint8).tobytes()
    coded = imagecodecs.lzw_encode(data)
    for _ in range(300):
        broken = np.frombuffer(coded, np.uint8).copy()
        broken[rng.integers(0, len(broken), 3)] = rng.integers(0, 256, 3)
        count, decoded = _decode(broken.tobytes(), len(data))
        assert -1 <= count <= len(data)
        assert len(decoded) == len(data)
    count, _ = _decode(coded[: len(coded) // 2], len(data))
    assert 0 < count < len(data)
    assert _decode(b"\xff" * 50, 1000)[0] == -1
