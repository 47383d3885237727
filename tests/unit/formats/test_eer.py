"""EER: electrons encoded here, bit by bit, come back as counts on the right pixel of the right fraction."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from frazil.config.errors import FormatError, SettingsError, TruncatedFileError
from frazil.models.formats import eer_decode
from frazil.models.formats.eer import EerReader, group_raw_frames, parse_metadata
from frazil.models.formats.movie import open_movie

METADATA = (
    '<metadata><item name="commercialName">Falcon 4i</item><item name="exposureTime" unit="s">2.5</item>'
    '<item name="numberOfFrames">{frames}</item><item name="totalDose" unit="e/pixel">{dose}</item>'
    '<item name="sensorPixelSize.width" unit="m">7.06e-11</item></metadata>'
)


@pytest.fixture
def raw_frames() -> np.ndarray:
    """23 raw frames of 32 x 48, about 3 % occupied, with the extremes of the coding among them."""
    frames = np.random.default_rng(11).random((23, 32, 48)) < 0.03
    frames[3] = False  # no electron at all
    frames[4] = True  # one on every pixel
    frames[5] = False
    frames[5, -1, -1] = True  # only on the last pixel
    frames[6] = False
    frames[6, 0, 0] = True  # only on the first
    frames[7] = False
    frames[7].reshape(-1)[127] = True  # a run of exactly the longest code
    frames[7].reshape(-1)[127 + 128] = True
    frames[8] = False
    frames[8].reshape(-1)[255] = True
    return frames


@pytest.mark.parametrize(("compression", "waste"), [(65000, False), (65000, True), (65001, False), (65002, False)])
@pytest.mark.parametrize("strips", [1, 3])
def test_every_electron_lies_on_its_pixel(
    make_eer: Callable[..., Path], raw_frames: np.ndarray, compression: int, strips: int, waste: bool
) -> None:
    path = make_eer(raw_frames, compression=compression, strips_per_frame=strips, waste=waste)
    with EerReader(path, dose_per_fraction_e_per_a2=1e-9, pixel_size_angstrom=1.0) as reader:
        assert reader.header.frame_count == reader.header.raw_frame_count == 23
        np.testing.assert_array_equal(np.stack(list(reader.frames())), raw_frames)


def test_tifffile_reads_the_same_from_our_encoder(make_eer: Callable[..., Path], raw_frames: np.ndarray) -> None:
    # tifffile's decoder refuses an odd number of bytes; cameras pad.
    path = make_eer(raw_frames, metadata=METADATA.format(frames=23, dose=1), pad_to_bytes=8)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_eer
        np.testing.assert_array_equal(tiff.asarray(), raw_frames)
    with open_movie(path) as reader:
        np.testing.assert_array_equal(next(reader.frames()), raw_frames.sum(0))


def test_fractions_are_equal_in_dose_and_drop_nothing(make_eer: Callable[..., Path], raw_frames: np.ndarray) -> None:
    # 23 raw frames of 10 e/px on 0.706 A pixels = 20.06 e/A2: about 5 e/A2 each makes 4 fractions of 5 or 6.
    path = make_eer(raw_frames, metadata=METADATA.format(frames=23, dose=10))
    with open_movie(path, eer_dose_per_fraction_e_per_a2=5.0) as reader:
        assert isinstance(reader, EerReader)
        header = reader.header
        assert header.file_format == "eer"
        assert (header.frame_count, header.raw_frame_count, header.dtype) == (4, 23, "uint8")
        assert header.pixel_size_angstrom == 0.706
        assert header.total_dose_e_per_px == 10.0
        assert header.exposure_time_s == 2.5
        fractions = list(reader.frames())
        for (first, last), fraction in zip(((0, 5), (5, 11), (11, 17), (17, 23)), fractions, strict=True):
            np.testing.assert_array_equal(fraction, raw_frames[first:last].sum(0))
        assert sum(int(fraction.sum()) for fraction in fractions) == raw_frames.sum()
        np.testing.assert_array_equal(next(reader.frames(2)), fractions[2])


@pytest.mark.parametrize("count", [1, 7, 40, 123])
def test_groups_differ_by_one_at_most_and_cover_everything(count: int) -> None:
    for groups in range(1, count + 1):
        ranges = group_raw_frames(count, groups)
        sizes = [last - first for first, last in ranges]
        assert [raw for first, last in ranges for raw in range(first, last)] == list(range(count))
        assert len(ranges) == groups
        assert max(sizes) - min(sizes) <= 1


def test_without_metadata_the_dose_is_counted(make_eer: Callable[..., Path]) -> None:
    frames = np.random.default_rng(5).random((40, 64, 64)) < 0.05  # 2 e/px in all
    path = make_eer(frames)
    with open_movie(path, eer_dose_per_fraction_e_per_a2=0.5, pixel_size_angstrom=1.0) as reader:
        assert reader.header.frame_count == 4
        assert reader.header.total_dose_e_per_px is None
        assert reader.header.pixel_size_angstrom is None


def test_without_a_dose_groups_of_40(make_eer: Callable[..., Path]) -> None:
    frames = np.zeros((90, 8, 8), bool)
    frames[:, 2, 3] = True
    with open_movie(make_eer(frames)) as reader:
        assert reader.header.frame_count == 2
        assert [int(fraction[2, 3]) for fraction in reader.frames()] == [45, 45]


def test_more_than_255_raw_frames_in_a_fraction_do_not_overflow(make_eer: Callable[..., Path]) -> None:
    frames = np.zeros((300, 8, 8), bool)
    frames[:, 2, 3] = True
    path = make_eer(frames, metadata=METADATA.format(frames=300, dose=1))
    with open_movie(path, eer_dose_per_fraction_e_per_a2=1000.0) as reader:
        assert reader.header.dtype == "uint16"
        assert next(reader.frames())[2, 3] == 300


def test_the_pixel_size_is_asked_for_by_name(make_eer: Callable[..., Path], raw_frames: np.ndarray) -> None:
    path = make_eer(raw_frames)
    with pytest.raises(SettingsError, match="--pixel-size-angstrom"):
        open_movie(path, eer_dose_per_fraction_e_per_a2=1.0)


def test_an_integrated_image_before_the_frames_is_left_out(
    make_eer: Callable[..., Path], raw_frames: np.ndarray
) -> None:
    path = make_eer(raw_frames, integrated_first=True, metadata=METADATA.format(frames=23, dose=10))
    with open_movie(path, eer_dose_per_fraction_e_per_a2=100.0) as reader:
        assert reader.header.raw_frame_count == 23
        np.testing.assert_array_equal(next(reader.frames()), raw_frames.sum(0))


def test_the_content_decides_not_the_name(make_eer: Callable[..., Path], raw_frames: np.ndarray) -> None:
    with open_movie(make_eer(raw_frames, name="movie.tiff")) as reader:
        assert reader.header.file_format == "eer"


def test_threads_give_the_same(make_eer: Callable[..., Path], raw_frames: np.ndarray) -> None:
    path = make_eer(raw_frames)
    with ThreadPoolExecutor(4) as executor:
        reader = open_movie(path, executor=executor, eer_dose_per_fraction_e_per_a2=1e-9, pixel_size_angstrom=1.0)
        with reader:
            np.testing.assert_array_equal(np.stack(list(reader.frames())), raw_frames)


@pytest.mark.parametrize("compression", [65000, 65001])
def test_a_damaged_raw_frame_is_named(make_eer: Callable[..., Path], raw_frames: np.ndarray, compression: int) -> None:
    path = make_eer(raw_frames, compression=compression)
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[10].dataoffsets[0], tiff.pages[10].databytecounts[0]
    whole = path.read_bytes()
    for keep in (0, 1, count // 2, count - 1):  # the stream ends early, whatever follows it
        damaged = bytearray(whole)
        damaged[offset + keep : offset + count] = b"\x55" * (count - keep)
        path.write_bytes(damaged)
        with open_movie(path, eer_dose_per_fraction_e_per_a2=1e-9, pixel_size_angstrom=1.0) as reader:
            with pytest.raises(FormatError, match="raw frame 11 of 23"):
                list(reader.frames())
            np.testing.assert_array_equal(next(reader.frames(11)), raw_frames[11])


@pytest.mark.parametrize("bits", [(7, 2, 2), (6, 2, 2)])
def test_a_stream_cut_short_is_not_taken_for_a_frame(
    eer_stream: Callable[..., bytes], bits: tuple[int, int, int]
) -> None:
    frame = np.random.default_rng(1).random((64, 64)) < 0.02
    stream = eer_stream(frame, bits[0])
    caught = 0
    for keep in range(len(stream)):
        try:
            eer_decode.add_events(stream[:keep], np.zeros((64, 64), np.uint8), 65001, bits)
        except eer_decode.EerStreamError:
            caught += 1
    # A cut stream can land on the last pixel by chance, once in 127 (or 63): not more often than that.
    assert caught >= len(stream) * 0.95


@pytest.mark.parametrize("bits", [(7, 2, 2), (5, 2, 2), (8, 2, 2), (12, 2, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_imagecodecs_reads_the_same_from_a_stream(
    eer_stream: Callable[..., bytes], bits: tuple[int, int, int], dtype: type
) -> None:
    frame = np.random.default_rng(2).random((96, 80)) < 0.01
    stream = eer_stream(frame, bits[0], bits[1] + bits[2])
    image = np.ones(frame.shape, dtype)
    for _ in range(2):
        eer_decode.add_events(stream, image, 65002, bits)
    np.testing.assert_array_equal(image, 1 + 2 * frame.astype(dtype))
    even_bytes = stream + b"\xff" * (64 + len(stream) % 2)
    np.testing.assert_array_equal(imagecodecs.eer_decode(even_bytes, frame.shape, *bits), frame)


def test_damage_never_writes_beside_the_image(eer_stream: Callable[..., bytes]) -> None:
    random = np.random.default_rng(3)
    stream = eer_stream(random.random((32, 32)) < 0.05, 7)
    for _ in range(300):
        broken = np.frombuffer(stream, np.uint8).copy()
        broken[random.integers(0, len(broken), 4)] = random.integers(0, 256, 4)
        memory = np.zeros((34, 32), np.uint8)
        with contextlib.suppress(eer_decode.EerStreamError):
            eer_decode.add_events(broken.tobytes(), memory[1:33], 65001, (7, 2, 2))
        assert not memory[[0, 33]].any()


def test_a_truncated_file_is_told(make_eer: Callable[..., Path], raw_frames: np.ndarray) -> None:
    path = make_eer(raw_frames)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TruncatedFileError):
        open_movie(path)


def test_metadata_that_are_no_numbers_count_as_not_given() -> None:
    text = METADATA.format(frames="many", dose="nan").replace("2.5", "-1").replace("7.06e-11", "1.4e-5")
    assert parse_metadata(text.encode()) == parse_metadata(b"")
    bad_declaration = b'<?xml version="1.0" encoding="utf - 8"?>' + METADATA.format(frames=3, dose=2).encode()
    assert parse_metadata(bad_declaration).frame_count == 3


@pytest.mark.relion
def test_relion_renders_the_same(make_eer: Callable[..., Path], tmp_path: Path) -> None:
    """RELION 3.1 converts 4 raw frames of 4,096 x 4,096 in two groups; its TIFF, read here, equals our fractions.

    RELION flips on writing TIFF as on reading, so equality shows that it does not flip EER itself.
    """
    if shutil.which("relion_convert_to_tiff") is None:
        pytest.skip("RELION is not installed")
    raw = np.random.default_rng(2).random((4, 4096, 4096)) < 0.002
    raw[:, :300, :200] = False  # not symmetric
    path = make_eer(raw, name="big.eer")
    command = [
        "relion_convert_to_tiff",
        "--i",
        path.name,
        "--o",
        "out/",
        "--eer_grouping",
        "2",
        "--eer_upsampling",
        "1",
    ]
    subprocess.run([*command, "--compression", "lzw"], cwd=tmp_path, check=True, capture_output=True)
    converted = next((tmp_path / "out").rglob("*.tif"))
    with (
        open_movie(converted) as theirs,
        open_movie(path, eer_dose_per_fraction_e_per_a2=1e-9, pixel_size_angstrom=1) as ours,
    ):
        assert theirs.header.frame_count == 2
        rendered = list(ours.frames())
        for index, frame in enumerate(theirs.frames()):
            np.testing.assert_array_equal(frame, rendered[2 * index] + rendered[2 * index + 1])
            np.testing.assert_array_equal(frame, raw[2 * index : 2 * index + 2].sum(0))
