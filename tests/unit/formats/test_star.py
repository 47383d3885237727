"""STAR in and out: real RELION files are read, what is written is read back, what STAR cannot hold is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from frazil.config.errors import FormatError
from frazil.models.formats.relion_motion import MovieMotion, motion_blocks, read_motion, write_motion
from frazil.models.formats.star import StarBlock, appending, read_star, star_text, write_star

# Written by relion_run_motioncorr 3.1.3; the first frames of the beta-galactosidase tutorial movie 20170629_00021.
RELION_MOTION = """
# version 30001

data_general

_rlnImageSizeX                                     3710
_rlnImageSizeY                                     3838
_rlnImageSizeZ                                        4
_rlnMicrographMovieName                    Movies/20170629_00021_frameImage.tiff
_rlnMicrographBinning                          1.000000
_rlnMicrographOriginalPixelSize                0.885000
_rlnMicrographDoseRate                         1.277000
_rlnMicrographPreExposure                      0.000000
_rlnVoltage                                  200.000000
_rlnMicrographStartFrame                              1
_rlnMotionModelVersion                                0


# version 30001

data_global_shift

loop_
_rlnMicrographFrameNumber #1
_rlnMicrographShiftX #2
_rlnMicrographShiftY #3
           1     0.000000     0.000000
           2     0.963387    -0.816970
           3     1.956197    -1.562310
           4     2.545505    -2.112290

"""


def motion(**changes: object) -> MovieMotion:
    values: dict[str, object] = {
        "movie_name": "raw/a movie.tif",
        "width_px": 5760,
        "height_px": 4092,
        "pixel_size_angstrom": 0.5,
        "binning": 2.0,
        "voltage_kv": 300.0,
        "dose_per_frame_e_per_a2": 1.25,
        "pre_exposure_e_per_a2": 0.0,
        "shift_x_angstrom": (-1.0, 0.0, 1.0),
        "shift_y_angstrom": (2.0, 0.0, -2.0),
        "local_x_angstrom": tuple(0.001 * i for i in range(18)),
        "local_y_angstrom": tuple(-1e-7 * i for i in range(18)),
    }
    return MovieMotion(**(values | changes))  # type: ignore[arg-type]


def test_relions_own_motion_file_in_our_sign_and_gauge(tmp_path: Path) -> None:
    path = tmp_path / "m.star"
    path.write_text(RELION_MOTION)
    found = read_motion(path)
    assert (found.width_px, found.height_px, found.voltage_kv) == (3710, 3838, 200.0)
    assert found.dose_per_frame_e_per_a2 == 1.277
    # RELION applies +0.963 px to frame 2: the specimen had moved by -0.963 px = -0.8526 A since frame 1.
    assert found.shift_x_angstrom[1] - found.shift_x_angstrom[0] == pytest.approx(-0.963387 * 0.885)
    assert found.shift_y_angstrom[3] - found.shift_y_angstrom[0] == pytest.approx(2.112290 * 0.885)
    assert sum(found.shift_x_angstrom) == pytest.approx(0.0, abs=1e-12)
    assert found.local_x_angstrom is None


def test_motion_comes_back_as_it_was(tmp_path: Path) -> None:
    for truth in (motion(), motion(local_x_angstrom=None, local_y_angstrom=None, eer_grouping=7)):
        write_motion(tmp_path / "m.star", truth)
        found = read_motion(tmp_path / "m.star")
        for name in MovieMotion.__slots__:
            expected, got = getattr(truth, name), getattr(found, name)
            assert got == (pytest.approx(expected) if isinstance(expected, tuple | float) else expected), name


def test_signs_and_units_of_what_relion_reads() -> None:
    general, shifts, local = motion_blocks(motion())
    assert shifts.columns["rlnMicrographFrameNumber"] == [1, 2, 3]
    assert shifts.columns["rlnMicrographShiftX"] == [0.0, -2.0, -4.0]
    assert shifts.columns["rlnMicrographShiftY"] == [0.0, 4.0, 8.0]
    assert local.columns["rlnMotionModelCoeffsIdx"] == list(range(36))
    assert local.floats("rlnMotionModelCoeff")[17] == pytest.approx(-0.001 * 17 / 0.5)
    assert (general.columns["rlnMotionModelVersion"], general.columns["rlnImageSizeZ"]) == ([1], [3])
    with pytest.raises(ValueError, match="18 coefficients"):
        motion_blocks(motion(local_x_angstrom=(1.0,)))


def test_blocks_come_back_with_blanks_and_small_numbers(tmp_path: Path) -> None:
    block = StarBlock(
        "micrographs",
        {
            "rlnMicrographName": ["a b.mrc", "c.mrc"],
            "rlnOpticsGroup": [1, 2],
            "rlnDefocusU": [12345.678, 1.5e-12],
            "rlnReason": ["CTF fits to 12 A, the limit is 10 A", ""],
        },
    )
    path = tmp_path / "deep" / "x.star"
    write_star(path, [StarBlock("optics", {"rlnVoltage": [300.0]}), block], comment="made by a test\nof two lines")
    text = path.read_text()
    assert text.startswith("# made by a test\n# of two lines\n")
    assert text.count("# version 30001") == 2
    found = read_star(path)
    assert list(found) == ["optics", "micrographs"]
    assert found["micrographs"].texts("rlnMicrographName") == ["a b.mrc", "c.mrc"]
    assert found["micrographs"].texts("rlnReason")[0] == "CTF fits to 12 A, the limit is 10 A"
    assert found["micrographs"].floats("rlnDefocusU") == [12345.678, 1.5e-12]
    assert [p.name for p in path.parent.iterdir()] == ["x.star"]


def test_a_long_loop_is_written_bit_by_bit_and_only_whole(tmp_path: Path) -> None:
    path = tmp_path / "particles.star"
    with appending(path, [StarBlock("optics", {"rlnOpticsGroup": [1]})], "particles", ["rlnA", "rlnB"]) as loop:
        loop.add([(1, 2.5), (2, 3.5)])
        loop.add([(3, 4.5)])
        assert loop.row_count == 3
    assert read_star(path)["particles"].floats("rlnB") == [2.5, 3.5, 4.5]
    before = path.read_bytes()
    with pytest.raises(ValueError, match="3 values for 2 columns"), appending(path, [], "x", ["rlnA", "rlnB"]) as loop:
        loop.add([(1, 2, 3)])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["particles.star"]


@pytest.mark.parametrize("value", [math.nan, math.inf, "two\nlines", 'both " and blank '])
def test_what_star_cannot_hold_is_refused_and_nothing_is_left(tmp_path: Path, value: float | str) -> None:
    with pytest.raises(ValueError):
        write_star(tmp_path / "x.star", [StarBlock("b", {"rlnA": [value]})])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0, "0.0"),
        (300.0, "300.0"),
        (0.1, "0.1"),
        (12345.6789, "12345.6789"),
        (1 / 3, "0.333333333"),
        (7, "7"),
        ("a", "a"),
        ("", '""'),
    ],
)
def test_values_as_text(value: float | str, text: str) -> None:
    assert star_text(value) == text


@pytest.mark.parametrize("content", ["", "not a star file\n", "loop_\n_rlnA #1\n1\n"])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.star"
    path.write_text(content)
    with pytest.raises(FormatError):
        read_motion(path)


def test_missing_columns_are_named() -> None:
    block = StarBlock("b", {"rlnA": ["x"]})
    with pytest.raises(FormatError, match="rlnB"):
        block.texts("rlnB")
    with pytest.raises(FormatError, match="rlnA"):
        block.floats("rlnA")
    with pytest.raises(ValueError, match="different length"):
        StarBlock("b", {"rlnA": [1], "rlnB": [1, 2]})
