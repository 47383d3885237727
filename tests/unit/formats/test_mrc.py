"""MRC: what other writers and hand-made bytes hold is what the reader delivers; hostile headers allocate nothing."""

from __future__ import annotations

import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from frazil.config.errors import FormatError, HeaderLimitError, TruncatedFileError, UnsupportedFormatError
from frazil.models.formats.limits import HeaderLimits
from frazil.models.formats.movie import open_movie
from frazil.models.formats.mrc import HEADER_BYTES, byte_sign, parse_header
from frazil.models.formats.mrc_write import write_mrc


def header_bytes(
    size: tuple[int, int, int] = (40, 24, 5),
    mode: int = 0,
    *,
    order: str = "<",
    stamp: bytes | None = None,
    extended: int = 0,
    cell: tuple[float, float, float] = (0.0, 0.0, 0.0),
    extremes: tuple[float, float] = (0.0, -1.0),
    imod_flags: int | None = None,
    axes: tuple[int, int, int] = (1, 2, 3),
) -> bytes:
    block = bytearray(HEADER_BYTES)
    struct.pack_into(order + "4i", block, 0, *size, mode)
    struct.pack_into(order + "3i", block, 28, *size)
    struct.pack_into(order + "3f", block, 40, *cell)
    struct.pack_into(order + "3i", block, 64, *axes)
    struct.pack_into(order + "2f", block, 76, *extremes)
    struct.pack_into(order + "i", block, 92, extended)
    if imod_flags is not None:
        struct.pack_into(order + "2i", block, 152, 1146047817, imod_flags)
    block[208:212] = b"MAP "
    block[212:216] = stamp if stamp is not None else (b"DD\0\0" if order == "<" else b"\x11\x11\0\0")
    return bytes(block)


def read_all(path: Path) -> np.ndarray:
    with open_movie(path) as reader:
        return np.stack(list(reader.frames()))


@pytest.mark.parametrize(
    ("written", "delivered"),
    [("int8", "int8"), ("int16", "int16"), ("float32", "float32"), ("uint16", "uint16"), ("float16", "float16")],
)
def test_what_mrcfile_writes_is_read_back(tmp_path: Path, counts: np.ndarray, written: str, delivered: str) -> None:
    path = tmp_path / "movie.mrcs"
    with mrcfile.new(path) as mrc:
        mrc.set_data(counts.astype(written))
        mrc.voxel_size = 0.835
    got = read_all(path)
    assert got.dtype == delivered
    np.testing.assert_array_equal(got, counts)
    with open_movie(path) as reader:
        assert reader.header.pixel_size_angstrom == 0.835
        assert (reader.header.frame_count, reader.header.height_px, reader.header.width_px) == counts.shape
        assert reader.header.dtype == delivered


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stamp", [None, b"\0\0\0\0"])
@pytest.mark.parametrize(("mode", "dtype"), [(0, "i1"), (1, "i2"), (2, "f4"), (6, "u2"), (12, "f2")])
def test_both_byte_orders_with_and_without_stamp(
    tmp_path: Path, counts: np.ndarray, order: str, stamp: bytes | None, mode: int, dtype: str
) -> None:
    path = tmp_path / "movie.mrc"
    data = (counts * 3 - 5).clip(0 if mode == 6 else -5, None)
    # mode 0 here has negative values, and the extremes say so
    header = header_bytes(mode=mode, order=order, stamp=stamp, extremes=(-5.0, 100.0))
    path.write_bytes(header + data.astype(order + dtype).tobytes())
    got = read_all(path)
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, data)


def test_an_extended_header_is_skipped(tmp_path: Path, counts: np.ndarray) -> None:
    path = tmp_path / "movie.mrc"
    path.write_bytes(header_bytes(mode=1, extended=131072) + b"\x7f" * 131072 + counts.astype("<i2").tobytes())
    np.testing.assert_array_equal(read_all(path), counts)


@pytest.mark.parametrize(
    ("flags", "extremes", "expected"),
    [
        (0, (0, -1), "uint8"),  # IMOD stamp without the signed bit
        (1, (0, -1), "int8"),
        (1, (0, 255), "int8"),  # the stamp outranks the extremes
        (None, (0, 200), "uint8"),
        (None, (-20, 100), "int8"),
        (None, (0, -1), "uint8"),  # undetermined extremes: the histogram goes on above 127
    ],
)
def test_sign_of_bytes(tmp_path: Path, flags: int | None, extremes: tuple[float, float], expected: str) -> None:
    data = np.random.default_rng(1).normal(120, 12, (5, 24, 40)).clip(0, 255).astype(np.uint8)
    path = tmp_path / "movie.mrc"
    path.write_bytes(header_bytes(imod_flags=flags, extremes=extremes) + data.tobytes())
    got = read_all(path)
    assert got.dtype == expected
    np.testing.assert_array_equal(got.view(np.uint8), data)


def test_bytes_around_zero_without_any_mark_are_signed() -> None:
    header = parse_header(Path("x.mrc"), header_bytes(), HeaderLimits())
    around_zero = np.random.default_rng(2).normal(0, 6, 1000).astype(np.int8)
    assert byte_sign(header, around_zero) == np.int8
    assert byte_sign(header, np.arange(100, dtype=np.uint8)) == np.int8  # nothing above 127: both readings agree
    assert byte_sign(header, np.array([0, 1, 2, 200], np.uint8)) == np.uint8  # a hot pixel is not a negative count


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ((33.4, 20.04, 1.0), 0.835),
        ((0, 0, 0), None),
        ((float("nan"), 1, 1), None),
        ((4e9, 1, 1), None),
        ((40, 24, 5), None),  # 1 A exactly: what programs write that do not know
        ((-40, 1, 1), None),
    ],
)
def test_pixel_size(cell: tuple[float, float, float], expected: float | None) -> None:
    assert parse_header(Path("x.mrc"), header_bytes(cell=cell), HeaderLimits()).pixel_size_angstrom == expected


HOSTILE = {
    "10^15 bytes": (header_bytes((100_000, 100_000, 100_000), 0), HeaderLimitError),
    "too many frames": (header_bytes((1, 1, 2**31 - 1), 0), HeaderLimitError),
    "large total": (header_bytes((30_000, 30_000, 60_000), 2), HeaderLimitError),
    "extended header of 2 GB": (header_bytes(extended=2**31 - 1), HeaderLimitError),
    "negative extended header": (header_bytes(extended=-1), FormatError),
    "negative width": (header_bytes((-40, 24, 5)), FormatError),
    "negative frames": (header_bytes((40, 24, -5)), FormatError),
    "zero height": (header_bytes((40, 0, 5)), FormatError),
    "complex": (header_bytes(mode=4), UnsupportedFormatError),
    "rgb": (header_bytes(mode=16), UnsupportedFormatError),
    "4 bit": (header_bytes(mode=101), UnsupportedFormatError),
    "imod 4 bit": (header_bytes(imod_flags=16), UnsupportedFormatError),
    "transposed": (header_bytes(axes=(2, 1, 3)), UnsupportedFormatError),
    "not mrc": (b"this is a text file, and a long one at that. " * 40, FormatError),
    "short of frames": (header_bytes((4000, 4000, 10), 2), TruncatedFileError),
    "no frames yet": (header_bytes((40, 24, 0)), TruncatedFileError),
    "zeros": (bytes(2000), TruncatedFileError),
    "half a header": (header_bytes()[:700], TruncatedFileError),
    "empty": (b"", TruncatedFileError),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused_before_anything_is_allocated(tmp_path: Path, name: str) -> None:
    content, expected = HOSTILE[name]
    path = tmp_path / "hostile.mrc"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(expected) as caught:
        open_movie(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(caught.value) is expected
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    assert peak < 1_000_000


def test_range_and_threads_and_several_passes(tmp_path: Path) -> None:
    data = np.arange(12 * 6 * 8, dtype=np.float32).reshape(12, 6, 8)
    path = tmp_path / "movie.mrc"
    write_mrc(path, data, 1.1)
    with ThreadPoolExecutor(3) as executor, open_movie(path, executor=executor) as reader:
        for _ in range(2):
            np.testing.assert_array_equal(np.stack(list(reader.frames())), data)
        np.testing.assert_array_equal(np.stack(list(reader.frames(3, 7))), data[3:7])
        np.testing.assert_array_equal(np.stack(list(reader.frames(-2))), data[-2:])
        assert list(reader.frames(12)) == []
        abandoned = reader.frames()
        next(abandoned)
        abandoned.close()  # type: ignore[attr-defined]
        np.testing.assert_array_equal(next(iter(reader.frames(5))), data[5])


@pytest.mark.parametrize(
    ("given", "mode", "back"),
    [
        ("float32", 2, "float32"),
        ("float64", 2, "float32"),
        ("float16", 12, "float16"),
        ("int8", 0, "int8"),
        ("int16", 1, "int16"),
        ("uint16", 6, "uint16"),
        ("uint8", 6, "uint16"),
    ],
)
def test_writer_and_an_independent_reader_agree(
    tmp_path: Path, counts: np.ndarray, given: str, mode: int, back: str
) -> None:
    path = tmp_path / "out.mrc"
    write_mrc(path, counts.astype(given), 1.25)
    with mrcfile.open(path) as mrc:
        assert mrc.header.mode == mode
        assert mrc.data.dtype == back
        np.testing.assert_array_equal(mrc.data, counts)
        assert mrc.is_image_stack()
        assert mrc.header.cella.x == pytest.approx(40 * 1.25)
        assert mrc.header.cella.y == pytest.approx(24 * 1.25)
        assert mrc.header.dmin == counts.min()
        assert mrc.header.dmax == counts.max()
        assert mrc.header.dmean == pytest.approx(counts.mean(), rel=1e-5)
        assert mrc.header.rms == pytest.approx(counts.std(), rel=1e-2 if given == "float16" else 1e-5)
    assert mrcfile.validate(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mrc"]


def test_writer_image_volume_and_same_bytes_twice(tmp_path: Path, counts: np.ndarray) -> None:
    write_mrc(tmp_path / "image.mrc", counts[0].astype("f4"), 2.0)
    write_mrc(tmp_path / "volume.mrc", counts.astype("f4"), 2.0, is_volume=True)
    with mrcfile.open(tmp_path / "image.mrc") as mrc:
        assert mrc.is_single_image()
    with mrcfile.open(tmp_path / "volume.mrc") as mrc:
        assert mrc.is_volume()
        assert mrc.header.mz == 5
        assert mrc.voxel_size.z == pytest.approx(2.0)
    first = (tmp_path / "volume.mrc").read_bytes()
    write_mrc(tmp_path / "volume.mrc", counts.astype("f4"), 2.0, is_volume=True)
    assert (tmp_path / "volume.mrc").read_bytes() == first


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, counts: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.mrc"
    write_mrc(path, counts[0].astype("f4"), 1.0)
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_mrc(path, counts[1].astype("f4"), 1.0)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mrc"]


@pytest.mark.parametrize("array", [np.zeros(4, "f4"), np.zeros((0, 4), "f4"), np.zeros((4, 4), "c8")])
def test_writer_refuses_what_mrc_cannot_hold(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(ValueError):
        write_mrc(tmp_path / "out.mrc", array, 1.0)
    assert list(tmp_path.iterdir()) == []


def test_one_angstrom_is_believed_only_from_our_own_writer(tmp_path: Path, counts: np.ndarray) -> None:
    write_mrc(tmp_path / "ours.mrc", counts.astype("f4"), 1.0)
    with mrcfile.new(tmp_path / "theirs.mrc") as mrc:
        mrc.set_data(counts.astype("f4"))
        mrc.voxel_size = 1.0
    with open_movie(tmp_path / "ours.mrc") as ours, open_movie(tmp_path / "theirs.mrc") as theirs:
        assert (ours.header.pixel_size_angstrom, theirs.header.pixel_size_angstrom) == (1.0, None)
