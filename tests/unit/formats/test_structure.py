"""Complete, incomplete or damaged: decided by the file itself, at every length that a growing file can have."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile

from frazil.config.errors import RetryLaterError
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.structure import check_structure
from frazil.models.formats.tiff_write import write_movie_tiff


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).poisson(0.8, (6, 32, 32)).astype("u1")


def write_tiff(path: Path, frames: np.ndarray, flavour: str) -> None:
    if flavour == "bigtiff tiles":
        tifffile.imwrite(path, frames, tile=(16, 16), compression="lzw", bigtiff=True, photometric="minisblack")
    elif flavour == "contiguous":  # all directories but the first behind all pixels
        tifffile.imwrite(path, frames, photometric="minisblack")
    elif flavour == "big-endian":
        tifffile.imwrite(path, frames, byteorder=">", compression="zlib", photometric="minisblack")
    else:
        write_movie_tiff(path, frames, compression=flavour, rows_per_strip=8)  # type: ignore[arg-type]


@pytest.mark.parametrize("flavour", ["lzw", "none", "deflate", "bigtiff tiles", "contiguous", "big-endian"])
def test_a_tiff_cut_at_any_byte_is_not_complete(tmp_path: Path, frames: np.ndarray, flavour: str) -> None:
    path = tmp_path / "movie.tif"
    write_tiff(path, frames, flavour)
    whole = path.read_bytes()
    report = check_structure(path)
    assert (report.complete, report.frames_present, report.zero_trailing_frames, report.damaged) == (True, 6, 0, False)
    assert report.header is not None
    assert report.header.frame_count == 6
    with tifffile.TiffFile(path) as tiff:
        boundaries = {page.offset for page in tiff.pages} | {o for page in tiff.pages for o in page.dataoffsets}
    # The last byte that counts: tifffile leaves a byte or a text tag that nobody needs behind it.
    end = len(whole) - (16 if flavour == "contiguous" else 0)
    lengths = sorted({*range(40), *range(0, end, 97), *boundaries, *(b - 1 for b in boundaries), end - 1})
    seen = set()
    for length in lengths:
        path.write_bytes(whole[:length])
        report = check_structure(path)
        assert not report.complete, length
        assert not report.damaged, length
        assert report.reason
        assert report.frames_present < 6
        seen.add(report.frames_present)
    assert seen == set(range(6))


def test_a_tiff_growing_page_by_page_needs_the_expected_number(tmp_path: Path, frames: np.ndarray) -> None:
    """After each page the writer leaves a valid end of the chain; only the expected count tells."""
    path = tmp_path / "movie.tif"
    for count in range(1, 7):
        write_movie_tiff(path, frames[:count])
        assert check_structure(path).complete
        assert check_structure(path).frames_present == count
        report = check_structure(path, expected_frames=6)
        assert report.complete == (count == 6)
        assert not report.damaged
        if count < 6:
            assert f"{count} of 6" in report.reason
    more = check_structure(path, expected_frames=5)
    assert more.complete
    assert "6 of 5" in more.reason


@pytest.mark.parametrize(("dtype", "mode"), [("i1", 0), ("i2", 1), ("f4", 2), ("u2", 6), ("f2", 12)])
def test_an_mrc_cut_anywhere_is_not_complete(tmp_path: Path, frames: np.ndarray, dtype: str, mode: int) -> None:
    path = tmp_path / "movie.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(frames.astype(dtype))
        assert mrc.header.mode == mode
    whole = path.read_bytes()
    assert check_structure(path).complete
    frame_bytes = (len(whole) - 1024) // 6
    for length in [
        *range(0, 1025, 64),
        *itertools.chain(*((1024 + k * frame_bytes, 1023 + k * frame_bytes) for k in range(6))),
    ]:
        path.write_bytes(whole[:length])
        report = check_structure(path)
        assert not report.complete
        assert not report.damaged
        assert report.frames_present == max(0, length - 1024) // frame_bytes


@pytest.mark.parametrize("written", [0, 1, 3, 5])
def test_a_preallocated_mrc_is_not_complete(tmp_path: Path, frames: np.ndarray, written: int) -> None:
    path = tmp_path / "movie.mrc"
    data = frames.astype("i2")
    data[written:] = 0
    write_mrc(path, data, 1.0)
    report = check_structure(path, expected_frames=6)
    assert not report.complete
    assert not report.damaged
    assert (report.frames_present, report.zero_trailing_frames) == (written, 6 - written)
    assert "zero" in report.reason


def test_a_last_frame_written_by_half_is_not_complete(tmp_path: Path, frames: np.ndarray) -> None:
    data = frames.astype("f4")
    data[-1, 20:] = 0
    write_mrc(tmp_path / "movie.mrc", data, 1.0)
    report = check_structure(tmp_path / "movie.mrc")
    assert (report.complete, report.damaged, report.frames_present) == (False, False, 5)
    data[-1, :20], data[-1, 20:] = 0, 1.0  # the other half: the end was written
    write_mrc(tmp_path / "movie.mrc", data, 1.0)
    assert check_structure(tmp_path / "movie.mrc").complete


def test_an_mrc_whose_header_counts_too_few_is_still_being_written(tmp_path: Path, frames: np.ndarray) -> None:
    path = tmp_path / "movie.mrc"
    write_mrc(path, frames.astype("i2"), 1.0)
    with path.open("rb+") as file:
        file.seek(8)
        file.write((1).to_bytes(4, "little"))
    report = check_structure(path)
    assert (report.complete, report.damaged, report.frames_present) == (False, False, 1)
    with path.open("rb+") as file:
        file.seek(8)
        file.write((0).to_bytes(4, "little"))
    report = check_structure(path)
    assert (report.complete, report.damaged) == (False, False)


def test_a_few_bytes_behind_the_last_mrc_frame_do_no_harm(tmp_path: Path, frames: np.ndarray) -> None:
    path = tmp_path / "movie.mrc"
    write_mrc(path, frames.astype("i2"), 1.0)
    path.write_bytes(path.read_bytes() + bytes(512))
    assert check_structure(path).complete


@pytest.mark.parametrize("flavour", ["none", "lzw", "deflate"])
@pytest.mark.parametrize("written", [2, 5])
def test_a_preallocated_tiff_is_not_complete(tmp_path: Path, frames: np.ndarray, flavour: str, written: int) -> None:
    """Its directories are there, its last strips still hold the zeros of an empty file."""
    path = tmp_path / "movie.tif"
    write_movie_tiff(path, frames, compression=flavour)  # type: ignore[arg-type]
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        for page in tiff.pages[written:]:
            offset, count = page.dataoffsets[0], page.databytecounts[0]
            content[offset : offset + count] = bytes(count)
    path.write_bytes(content)
    report = check_structure(path)
    assert (report.complete, report.damaged) == (False, False)
    assert (report.frames_present, report.zero_trailing_frames) == (written, 6 - written)


def test_a_compressed_tiff_with_frames_of_zeros_at_its_end(tmp_path: Path, frames: np.ndarray) -> None:
    frames[4:] = 0
    write_movie_tiff(tmp_path / "movie.tif", frames)
    report = check_structure(tmp_path / "movie.tif")
    assert (report.complete, report.frames_present, report.zero_trailing_frames) == (False, 4, 2)


def test_a_last_strip_that_does_not_decode_may_still_be_on_its_way(tmp_path: Path, frames: np.ndarray) -> None:
    path = tmp_path / "movie.tif"
    write_movie_tiff(path, frames)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[-1].dataoffsets[0], tiff.pages[-1].databytecounts[0]
    content[offset + count // 2 : offset + count] = bytes(count - count // 2)
    path.write_bytes(content)
    report = check_structure(path)
    assert (report.complete, report.damaged, report.frames_present) == (False, False, 5)
    assert "frame 6 of 6" in report.reason


def test_an_eer_cut_anywhere_is_not_complete(make_eer: Callable[..., Path]) -> None:
    raw = np.random.default_rng(0).random((8, 32, 32)) < 0.05
    path = make_eer(raw)
    whole = path.read_bytes()
    report = check_structure(path)
    assert (report.complete, report.frames_present) == (True, 8)
    assert report.header is not None
    assert report.header.raw_frame_count == 8
    seen = set()
    for length in [*range(40), *range(0, len(whole), 13), len(whole) - 1]:
        path.write_bytes(whole[:length])
        report = check_structure(path)
        assert not report.complete
        assert not report.damaged
        seen.add(report.frames_present)
    assert seen == set(range(8))


def test_an_eer_with_fewer_raw_frames_than_its_metadata_promise(make_eer: Callable[..., Path]) -> None:
    raw = np.random.default_rng(0).random((8, 32, 32)) < 0.05
    metadata = '<metadata><item name="numberOfFrames">9</item></metadata>'
    report = check_structure(make_eer(raw, metadata=metadata))
    assert (report.complete, report.damaged, report.frames_present) == (False, False, 8)
    assert "8 of the 9" in report.reason
    assert check_structure(make_eer(raw, metadata=metadata.replace("9", "8")), expected_frames=8).complete
    assert not check_structure(make_eer(raw), expected_frames=20).complete


def test_a_preallocated_eer_is_not_complete(make_eer: Callable[..., Path]) -> None:
    raw = np.random.default_rng(0).random((8, 32, 32)) < 0.05
    path = make_eer(raw)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        places = [(page.dataoffsets[0], page.databytecounts[0]) for page in tiff.pages]
    for offset, count in places[6:]:
        content[offset : offset + count] = bytes(count)
    path.write_bytes(content)
    report = check_structure(path)
    assert (report.complete, report.frames_present, report.zero_trailing_frames) == (False, 6, 2)
    offset, count = places[5]
    content = bytearray(content[: places[6][0]])  # cut behind raw frame 6 and break its stream: only partly written
    content[offset + count // 2 : offset + count] = b"\x11" * (count - count // 2)
    path.write_bytes(content)
    assert not check_structure(path).complete


DAMAGED = {
    "absurd.mrc": np.array([100_000, 100_000, 100_000, 2], "<i4").tobytes().ljust(1024, b"\0"),
    "negative.mrc": np.array([-1, 100, 100, 2], "<i4").tobytes().ljust(1024, b"\0"),
    "text.mrc": b"once upon a time " * 100,
    "text.tif": b"once upon a time " * 100,
    "text.eer": b"once upon a time " * 100,
    "loop.tif": b"II*\0\x08\0\0\0",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_waiting_never_mends(tmp_path: Path, frames: np.ndarray, name: str) -> None:
    path = tmp_path / name
    if name == "loop.tif":
        write_movie_tiff(path, frames)
        with tifffile.TiffFile(path) as tiff:
            last = tiff.pages[-1]
            pointer = last.offset + 2 + 12 * len(last.tags)
            first = tiff.pages[0].offset
        content = bytearray(path.read_bytes())
        content[pointer : pointer + 4] = first.to_bytes(4, "little")
        path.write_bytes(content)
    else:
        path.write_bytes(DAMAGED[name])
    report = check_structure(path)
    assert not report.complete
    assert report.damaged
    assert report.reason


@pytest.mark.parametrize("name", ["movie.tif", "movie.mrc", "movie.eer"])
@pytest.mark.parametrize("content", [b"", bytes(1), bytes(5000), b"II"])
def test_what_is_not_there_yet_is_not_damaged(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    report = check_structure(tmp_path / name)
    assert (report.complete, report.damaged, report.header, report.frames_present) == (False, False, None, 0)


def test_a_file_that_is_gone_is_a_matter_of_trying_again(tmp_path: Path) -> None:
    with pytest.raises(RetryLaterError, match="gone"):
        check_structure(tmp_path / "gone.mrc")


def test_a_single_micrograph_is_complete(tmp_path: Path) -> None:
    write_mrc(tmp_path / "sum.mrc", np.random.default_rng(0).normal(size=(64, 48)).astype("f4"), 1.0)
    report = check_structure(tmp_path / "sum.mrc")
    assert (report.complete, report.frames_present) == (True, 1)
