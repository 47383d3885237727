"""TIFF: what tifffile and hand-made bytes hold is what the reader delivers, upside down; hostile files are refused."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from frazil.config.errors import FormatError, HeaderLimitError, TruncatedFileError, UnsupportedFormatError
from frazil.models.formats.limits import HeaderLimits
from frazil.models.formats.movie import open_movie
from frazil.models.formats.tiff_write import write_movie_tiff

SHORT, LONG = 3, 4


def read_all(path: Path) -> np.ndarray:
    with open_movie(path) as reader:
        return np.stack(list(reader.frames()))


def page(order: str, at: int, tags: dict[int, tuple[int, int]], next_offset: int = 0) -> bytes:
    """A classic directory of single values at byte `at`."""
    entries = b""
    for tag, (kind, value) in sorted(tags.items()):
        packed = struct.pack(order + {SHORT: "H", LONG: "I"}[kind], value).ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, kind, 1) + packed
    return struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", next_offset)


def plain_tags(width: int, height: int, offset: int, count: int, **more: int) -> dict[int, tuple[int, int]]:
    tags = {
        256: (LONG, width),
        257: (LONG, height),
        258: (SHORT, 8),
        259: (SHORT, 1),
        262: (SHORT, 1),
        273: (LONG, offset),
        277: (SHORT, 1),
        278: (LONG, height),
        279: (LONG, count),
    }
    names = {"compression": 259, "bits": 258, "samples": 277, "predictor": 317, "fill_order": 266, "subfile": 254}
    for name, value in more.items():
        tags[names[name]] = (SHORT, value)
    return tags


def one_page(pixels: bytes, width: int, height: int, *, order: str = "<", next_offset: int = 0, **more: int) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = page(order, 8, plain_tags(width, height, 0, len(pixels), **more), next_offset)
    start = 8 + len(directory)
    directory = page(order, 8, plain_tags(width, height, start, len(pixels), **more), next_offset)
    return mark + struct.pack(order + "I", 8) + directory + pixels


@pytest.mark.parametrize("compression", [None, "lzw", "adobe_deflate", "deflate", "zstd", "packbits"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "float32", "float16"])
def test_what_tifffile_writes_is_read_back_flipped(
    tmp_path: Path, counts: np.ndarray, compression: str | None, dtype: str
) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, counts.astype(dtype), compression=compression, rowsperstrip=7, photometric="minisblack")
    got = read_all(path)
    assert got.dtype == dtype
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, counts[:, ::-1])


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("layout", [{"tile": (16, 32)}, {"rowsperstrip": 1}, {"rowsperstrip": 24}])
@pytest.mark.parametrize(("compression", "predictor"), [(None, False), ("lzw", False), ("lzw", True)])
def test_layouts(
    tmp_path: Path,
    counts: np.ndarray,
    byteorder: str,
    bigtiff: bool,
    layout: dict[str, object],
    compression: str | None,
    predictor: bool,
) -> None:
    for dtype in ("uint16", "float32"):
        path = tmp_path / "movie.tif"
        tifffile.imwrite(
            path,
            counts.astype(dtype),
            byteorder=byteorder,
            bigtiff=bigtiff,
            compression=compression,
            predictor=predictor,
            photometric="minisblack",
            **layout,
        )
        got = read_all(path)
        assert got.dtype.isnative
        np.testing.assert_array_equal(got, counts[:, ::-1])


@pytest.mark.parametrize(("dtype", "delivered"), [("uint32", "float32"), ("int32", "float32"), ("float64", "float32")])
def test_wide_samples_are_delivered_as_float32(tmp_path: Path, counts: np.ndarray, dtype: str, delivered: str) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", counts.astype(dtype), photometric="minisblack")
    got = read_all(tmp_path / "movie.tif")
    assert got.dtype == delivered
    np.testing.assert_array_equal(got, counts[:, ::-1])


def test_hand_made_bytes(tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    for order in "<>":
        path.write_bytes(one_page(bytes([1, 2, 3, 4, 5, 6]), 3, 2, order=order))
        np.testing.assert_array_equal(read_all(path), [[[4, 5, 6], [1, 2, 3]]])


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [((1e8 / 0.835, 1e8 / 0.835), "CENTIMETER", 0.835), ((2.54e8 / 1.1, 1), "INCH", 1.1), ((72, 72), "INCH", None)],
)
def test_pixel_size(
    tmp_path: Path, counts: np.ndarray, resolution: tuple[float, float], unit: str, expected: float | None
) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, counts.astype("u1"), resolution=resolution, resolutionunit=unit, photometric="minisblack")
    with open_movie(path) as reader:
        assert reader.header.pixel_size_angstrom == (pytest.approx(expected, rel=1e-5) if expected else None)


@pytest.mark.parametrize("compression", ["lzw", "deflate", "zstd", "none"])
@pytest.mark.parametrize("rows_per_strip", [None, 5])
def test_our_writer_gives_back_the_same_array(
    tmp_path: Path, counts: np.ndarray, compression: str, rows_per_strip: int | None
) -> None:
    path = tmp_path / "movie.tif"
    options = {"compression": compression, "rows_per_strip": rows_per_strip, "pixel_size_angstrom": 0.835}
    assert write_movie_tiff(path, iter(counts.astype("u1")), **options) == 5  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_all(path), counts)
    np.testing.assert_array_equal(tifffile.imread(path), counts[:, ::-1])
    with open_movie(path) as reader:
        assert reader.header.pixel_size_angstrom == 0.835
    first = path.read_bytes()
    write_movie_tiff(path, iter(counts.astype("u1")), **options)  # type: ignore[arg-type]
    assert path.read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["movie.tif"]


def test_our_writer_refuses_unlike_frames_and_leaves_nothing(tmp_path: Path) -> None:
    for frames in (
        [],
        [np.zeros((4, 4), "u1"), np.zeros((4, 5), "u1")],
        [np.zeros((4, 4), "u1"), np.zeros((4, 4), "u2")],
    ):
        with pytest.raises(ValueError):
            write_movie_tiff(tmp_path / "movie.tif", frames)
    assert list(tmp_path.iterdir()) == []


def test_threads_range_and_several_passes(tmp_path: Path) -> None:
    data = np.arange(15 * 6 * 8).reshape(15, 6, 8).astype("u2")
    path = tmp_path / "movie.tif"
    write_movie_tiff(path, data)
    with ThreadPoolExecutor(3) as executor, open_movie(path, executor=executor, read_ahead_frames=3) as reader:
        for _ in range(2):
            np.testing.assert_array_equal(np.stack(list(reader.frames())), data)
        np.testing.assert_array_equal(np.stack(list(reader.frames(4, 9))), data[4:9])


def test_a_thumbnail_is_not_a_frame(tmp_path: Path, counts: np.ndarray) -> None:
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(counts.astype("u1"), photometric="minisblack", metadata=None)
        tiff.write(counts[0, ::2, ::2].astype("u1"), subfiletype=1, photometric="minisblack", metadata=None)
    np.testing.assert_array_equal(read_all(path), counts[:, ::-1])


@pytest.mark.parametrize("compression", ["lzw", "deflate", "zstd"])
def test_a_damaged_strip_names_its_frame(tmp_path: Path, compression: str) -> None:
    data = np.random.default_rng(3).poisson(1.0, (4, 64, 64)).astype("u1")
    path = tmp_path / "movie.tif"
    write_movie_tiff(path, data, compression=compression, rows_per_strip=16)  # type: ignore[arg-type]
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[2].dataoffsets[1], tiff.pages[2].databytecounts[1]
    content = bytearray(path.read_bytes())
    content[offset : offset + count] = np.random.default_rng(4).bytes(count)
    path.write_bytes(content)
    with open_movie(path) as reader:
        np.testing.assert_array_equal(np.stack(list(reader.frames(0, 2))), data[:2])
        with pytest.raises(FormatError, match="frame 3 of 4, chunk 2") as caught:
            list(reader.frames())
        assert type(caught.value) is FormatError
        assert str(path) in str(caught.value)
    with ThreadPoolExecutor(2) as executor, open_movie(path, executor=executor) as reader:
        frames = reader.frames()
        for expected in data[:2]:
            np.testing.assert_array_equal(next(frames), expected)
        with pytest.raises(FormatError, match="frame 3 of 4"):
            next(frames)


@pytest.mark.parametrize("compression", ["lzw", "packbits", "none"])
def test_a_strip_that_ends_early_is_not_padded(tmp_path: Path, compression: str) -> None:
    import imagecodecs

    rows = np.random.default_rng(3).poisson(1.0, (10, 64)).astype("u1").tobytes()
    encode = {"lzw": imagecodecs.lzw_encode, "packbits": imagecodecs.packbits_encode, "none": bytes}[compression]
    path = tmp_path / "movie.tif"
    code = {"lzw": 5, "packbits": 32773, "none": 1}[compression]
    path.write_bytes(one_page(encode(rows[:-64]), 64, 10, compression=code))
    with open_movie(path) as reader, pytest.raises(FormatError, match=r"576 bytes of pixels instead of 640"):
        list(reader.frames())


def deflate_bomb() -> bytes:
    side = 10_000  # 100 MB of zeros in 100 kB
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(side * 100)) for _ in range(side // 100)) + packer.flush()
    return one_page(packed, side, side, compression=8)


def many_tags() -> bytes:
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 65_535) + bytes(12 * 65_535 + 4)


def text_of_four_gigabytes() -> bytes:
    tags = plain_tags(3, 2, 8, 6)
    directory = bytearray(page("<", 8, {**tags, 270: (LONG, 0)}))
    at = directory.index(struct.pack("<HH", 270, LONG))
    directory[at : at + 8] = struct.pack("<HHI", 270, 2, 2**32 - 1)
    return b"II*\0" + struct.pack("<I", 8) + bytes(directory) + bytes(100)


def loop_of_two() -> bytes:
    first = one_page(bytes(6), 3, 2, next_offset=0)
    second_at = len(first)
    first = one_page(bytes(6), 3, 2, next_offset=second_at)
    return first + page("<", second_at, plain_tags(3, 2, 8, 6), next_offset=8)


HOSTILE = {
    "loop of one": (one_page(bytes(6), 3, 2, next_offset=8), FormatError),
    "loop of two": (loop_of_two(), FormatError),
    "many tags": (many_tags(), HeaderLimitError),
    "four gigabytes of text": (text_of_four_gigabytes(), HeaderLimitError),
    "too wide": (one_page(bytes(6), 2**31, 2), HeaderLimitError),
    "too large": (one_page(bytes(6), 60_000, 60_000), HeaderLimitError),
    "zero width": (one_page(bytes(6), 0, 2), FormatError),
    "colour": (one_page(bytes(18), 3, 2, samples=3), UnsupportedFormatError),
    "jpeg": (one_page(bytes(6), 3, 2, compression=7), UnsupportedFormatError),
    "one bit": (one_page(bytes(6), 3, 2, bits=1), UnsupportedFormatError),
    "12 bit": (one_page(bytes(9), 3, 2, bits=12), UnsupportedFormatError),
    "reversed bits": (one_page(bytes(6), 3, 2, fill_order=2), UnsupportedFormatError),
    "unknown predictor": (one_page(bytes(6), 3, 2, predictor=3), UnsupportedFormatError),
    "no pixels": (
        b"II*\0" + struct.pack("<I", 8) + page("<", 8, {256: (LONG, 3), 257: (LONG, 2), 258: (SHORT, 8)}),
        FormatError,
    ),
    "only a thumbnail": (one_page(bytes(6), 3, 2, subfile=1), FormatError),
    "next page beyond the end": (one_page(bytes(6), 3, 2, next_offset=5000), TruncatedFileError),
    "pixels beyond the end": (one_page(bytes(600), 30, 20)[:-1], TruncatedFileError),
    "empty directory": (b"II*\0" + struct.pack("<I", 8) + bytes(200), TruncatedFileError),
    "no directory yet": (b"II*\0" + bytes(200), TruncatedFileError),
    "bigtiff with odd offsets": (struct.pack("<2sHHHQ", b"II", 43, 4, 0, 16), FormatError),
    "not a tiff": (b"hello, this is no TIFF file at all", FormatError),
    "empty": (b"", TruncatedFileError),
    "zeros": (bytes(5000), TruncatedFileError),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_before_anything_is_allocated(tmp_path: Path, name: str) -> None:
    content, expected = HOSTILE[name]
    path = tmp_path / "hostile.tif"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(expected) as caught:
        open_movie(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(caught.value) is expected
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    assert peak < 3_000_000


def test_a_deflate_bomb_is_refused_by_its_ratio_and_by_its_promise(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tif"
    path.write_bytes(deflate_bomb())
    with pytest.raises(HeaderLimitError, match="would decompress"):
        open_movie(path)
    # A directory that promises little does not let the stream deliver more.
    path.write_bytes(one_page(zlib.compress(bytes(10_000_000)), 100, 100, compression=8))
    with open_movie(path) as reader, pytest.raises(FormatError, match="frame 1 of 1"):
        list(reader.frames())


def test_limits_can_be_narrowed(tmp_path: Path, counts: np.ndarray) -> None:
    path = tmp_path / "movie.tif"
    write_movie_tiff(path, counts.astype("u1"))
    with pytest.raises(HeaderLimitError, match="directories"):
        open_movie(path, limits=HeaderLimits(max_frames=4))
    with pytest.raises(HeaderLimitError, match="width"):
        open_movie(path, limits=HeaderLimits(max_side_px=39))


def test_unlike_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(np.ones((8, 8), "u1"), metadata=None)
        tiff.write(np.ones((8, 9), "u1"), metadata=None)
    with pytest.raises(FormatError, match=r"frame 2 of 2 is 9 x 8"):
        open_movie(path)


def test_images_without_a_directory_are_not_lost_silently(tmp_path: Path, counts: np.ndarray) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, counts[0].astype("u1"), description="ImageJ=1.53\nimages=5\nframes=5\n", metadata=None)
    with pytest.raises(UnsupportedFormatError, match="5 images behind one directory"):
        open_movie(path)
