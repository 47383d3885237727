"""Single images: gain references and maps from MRC, TIFF, `.gain` and DM3/DM4 files made here tag by tag."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tracemalloc
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile

from frazil.config.errors import FormatError, HeaderLimitError, TruncatedFileError, UnsupportedFormatError, UsageError
from frazil.models.formats.image import read_image_2d
from frazil.models.formats.limits import HeaderLimits
from frazil.models.formats.movie import open_movie
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.tiff_write import write_movie_tiff

_CODES = {"i2": 2, "i4": 3, "u2": 4, "u4": 5, "f4": 6, "f8": 7, "u1": 10, "i1": 9}


class DmWriter:
    """DM3 and DM4 as C. Boothroyd describes them: big-endian tags, data in the order that the header gives."""

    def __init__(self, version: int, order: str = "<") -> None:
        self.version, self.order = version, order
        self.word = ">q" if version == 4 else ">i"

    def file(self, root: dict[str, object]) -> bytes:
        body = self.group(root)
        head = struct.pack(">i", self.version) + struct.pack(self.word, len(body))
        return head + struct.pack(">i", 1 if self.order == "<" else 0) + body + bytes(8)

    def group(self, children: dict[str, object]) -> bytes:
        out = b"\1\0" + struct.pack(self.word, len(children))
        for name, value in children.items():
            label = b"" if name.isdigit() else name.encode()
            is_group = isinstance(value, dict)
            body = self.group(value) if isinstance(value, dict) else self.value(value)
            out += struct.pack(">BH", 20 if is_group else 21, len(label)) + label
            if self.version == 4:
                out += struct.pack(">q", len(body))
            out += body
        return out

    def value(self, value: object) -> bytes:
        if isinstance(value, np.ndarray):
            kind = _CODES[value.dtype.str[1:]]
            return self.typed([20, kind, value.size]) + value.astype(value.dtype.newbyteorder(self.order)).tobytes()
        if isinstance(value, str):
            codec = "utf-16-le" if self.order == "<" else "utf-16-be"
            return self.typed([20, 4, len(value)]) + value.encode(codec)
        if isinstance(value, float):
            return self.typed([6]) + struct.pack(self.order + "f", value)
        if isinstance(value, tuple):  # a struct of 16-bit integers
            definition = [15, 0, len(value)]
            for _ in value:
                definition += [0, 2]
            return self.typed(definition) + struct.pack(f"{self.order}{len(value)}h", *value)
        if isinstance(value, bytes):  # an array of structs of two 32-bit floats
            return self.typed([20, 15, 0, 2, 0, 6, 0, 6, len(value) // 8]) + value
        return self.typed([5]) + struct.pack(self.order + "I", value)

    def typed(self, words: list[int]) -> bytes:
        return b"%%%%" + struct.pack(self.word, len(words)) + b"".join(struct.pack(self.word, w) for w in words)


def dm_image(data: np.ndarray, data_type: int = 2, scale: float = 0.0835, unit: str = "nm") -> dict[str, object]:
    axis = {"Origin": 0.0, "Scale": scale, "Units": unit}
    return {
        "ImageData": {
            "Calibrations": {"Brightness": {"Scale": 3.0, "Units": "e-"}, "Dimension": {"0": axis, "1": dict(axis)}},
            "Data": data.reshape(-1),
            "DataType": data_type,
            "Dimensions": {str(i): int(n) for i, n in enumerate(data.shape[::-1])},
            "PixelDepth": data.dtype.itemsize,
        },
        "Name": "gain",
    }


def dm_root(image: dict[str, object]) -> dict[str, object]:
    thumbnail = dm_image(np.zeros((64, 64), "i4"), data_type=23)
    return {
        "ApplicationBounds": (0, 0, 100, 200),
        "Curve": bytes(16),
        "ImageList": {"0": thumbnail, "1": image},
        "InImageMode": 1,
    }


@pytest.fixture
def gain() -> np.ndarray:
    values = np.random.default_rng(0).normal(1.0, 0.05, (20, 28)).astype("f4")
    values[0, 0], values[-1, 0] = 5.0, 7.0
    return values


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["f4", "u1", "u2", "i2", "i4", "f8"])
def test_dm_images(tmp_path: Path, version: int, order: str, dtype: str) -> None:
    data = np.arange(20 * 28).reshape(20, 28).astype(dtype)
    path = tmp_path / f"gain.dm{version}"
    path.write_bytes(DmWriter(version, order).file(dm_root(dm_image(data))))
    image, pixel_size_angstrom = read_image_2d(path)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, data[::-1])
    assert pixel_size_angstrom == pytest.approx(0.835, rel=1e-5)
    np.testing.assert_array_equal(read_image_2d(path, flip_tiff=False)[0], data)


@pytest.mark.parametrize(
    ("unit", "scale", "expected"), [("nm", 0.1, 1.0), ("µm", 1e-4, 1.0), ("", 1.0, None), ("nm", 0.0, None)]
)
def test_dm_pixel_size(tmp_path: Path, unit: str, scale: float, expected: float | None) -> None:
    path = tmp_path / "gain.dm4"
    path.write_bytes(DmWriter(4).file(dm_root(dm_image(np.ones((4, 4), "f4"), scale=scale, unit=unit))))
    assert read_image_2d(path)[1] == (pytest.approx(expected, rel=1e-5) if expected else None)


def test_dm_stack_of_one_is_an_image_and_a_stack_of_two_is_not(tmp_path: Path, gain: np.ndarray) -> None:
    path = tmp_path / "gain.dm4"
    path.write_bytes(DmWriter(4).file(dm_root(dm_image(gain[None]))))
    np.testing.assert_array_equal(read_image_2d(path)[0], gain[::-1])
    path.write_bytes(DmWriter(4).file(dm_root(dm_image(np.stack([gain, gain])))))
    with pytest.raises(UnsupportedFormatError, match="no 2-D greyscale image"):
        read_image_2d(path)


def hostile_dm() -> dict[str, tuple[bytes, type[FormatError]]]:
    writer = DmWriter(4)
    whole = writer.file(dm_root(dm_image(np.ones((20, 28), "f4"))))
    wrong_size = dm_image(np.ones((20, 28), "f4"))
    wrong_size["ImageData"]["Dimensions"]["0"] = 29  # type: ignore[index]
    huge = dm_image(np.ones((20, 28), "f4"))
    huge["ImageData"]["Dimensions"] = {"0": 2**31, "1": 2**31}  # type: ignore[index]
    deep: dict[str, object] = {}
    for _ in range(100):
        deep = {"a": deep}
    long_array = writer.typed([20, 6, 2**60])
    nested = struct.pack(">BH", 21, 1) + b"a" + struct.pack(">q", 0) + long_array
    head = struct.pack(">iqi", 4, 100, 1)
    return {
        "cut": (whole[: len(whole) // 2], TruncatedFileError),
        "cut in the header": (whole[:17], TruncatedFileError),
        "another size": (writer.file(dm_root(wrong_size)), FormatError),
        "huge": (writer.file(dm_root(huge)), HeaderLimitError),
        "deep": (writer.file(deep), HeaderLimitError),
        "many tags": (head + b"\1\0" + struct.pack(">q", 2**62), HeaderLimitError),
        "negative tags": (head + b"\1\0" + struct.pack(">q", -5), FormatError),
        "long array": (head + b"\1\0" + struct.pack(">q", 1) + nested, TruncatedFileError),
        "no image": (writer.file({"ImageList": {}}), UnsupportedFormatError),
        "garbage": (head + b"\1\0" + struct.pack(">q", 3) + b"\x77\0\1a" + bytes(100), FormatError),
    }


@pytest.mark.parametrize("name", hostile_dm())
def test_hostile_dm_files(tmp_path: Path, name: str) -> None:
    content, expected = hostile_dm()[name]
    path = tmp_path / "gain.dm4"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(expected) as caught:
        read_image_2d(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert type(caught.value) is expected
    assert str(path) in str(caught.value)


def test_mrc_as_stored_tiff_flipped(tmp_path: Path, gain: np.ndarray) -> None:
    with mrcfile.new(tmp_path / "gain.mrc") as mrc:
        mrc.set_data(gain)
        mrc.voxel_size = 0.9
    tifffile.imwrite(tmp_path / "gain.tif", gain)
    tifffile.imwrite(tmp_path / "falcon.gain", gain, compression="lzw")
    image, pixel_size_angstrom = read_image_2d(tmp_path / "gain.mrc")
    np.testing.assert_array_equal(image, gain)
    assert pixel_size_angstrom == pytest.approx(0.9)
    np.testing.assert_array_equal(read_image_2d(tmp_path / "gain.tif")[0], gain[::-1])
    np.testing.assert_array_equal(read_image_2d(tmp_path / "falcon.gain")[0], gain[::-1])
    np.testing.assert_array_equal(read_image_2d(tmp_path / "falcon.gain", flip_tiff=False)[0], gain)


def test_sections(tmp_path: Path, counts: np.ndarray) -> None:
    write_mrc(tmp_path / "map.mrc", counts.astype("f4"), 1.0, is_volume=True)
    np.testing.assert_array_equal(read_image_2d(tmp_path / "map.mrc", section=3)[0], counts[3])
    with pytest.raises(UsageError, match="5 images"):
        read_image_2d(tmp_path / "map.mrc")
    with pytest.raises(UsageError, match="no image 5"):
        read_image_2d(tmp_path / "map.mrc", section=5)


def test_a_missing_reference_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing"):
        read_image_2d(tmp_path / "missing.mrc")


def test_limits_hold_for_images_too(tmp_path: Path, gain: np.ndarray) -> None:
    path = tmp_path / "gain.dm4"
    path.write_bytes(DmWriter(4).file(dm_root(dm_image(gain))))
    with pytest.raises(HeaderLimitError):
        read_image_2d(path, limits=HeaderLimits(max_side_px=16))


@pytest.mark.relion
def test_relion_sees_tiff_and_mrc_as_we_do(tmp_path: Path, gain: np.ndarray) -> None:
    if shutil.which("relion_image_handler") is None:
        pytest.skip("RELION is not installed")
    write_movie_tiff(tmp_path / "ours.tif", gain[None])
    command = ["relion_image_handler", "--i", "1@ours.tif", "--o", "theirs.mrc"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    theirs, _ = read_image_2d(tmp_path / "theirs.mrc")
    with open_movie(tmp_path / "ours.tif") as reader:
        np.testing.assert_array_equal(theirs, next(reader.frames()))
    np.testing.assert_array_equal(theirs, gain)
