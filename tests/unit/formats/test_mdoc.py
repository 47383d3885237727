"""SerialEM mdoc: any order, any line ends, several sections, and files that are still being written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frazil.config.errors import FormatError, HeaderLimitError, RetryLaterError
from frazil.models.formats import serialem_mdoc
from frazil.models.formats.metadata_limits import without_impossible
from frazil.models.formats.serialem_mdoc import parse_mdoc, read_mdoc

TITLE = "T = SerialEM: Krios 4, Institute of Ice        07-Dec-20  00:12:55"
FRAME_SET = {
    "TiltAngle": "0.0025",
    "StagePosition": "24.2868 -41.113",
    "StageZ": "-29.8365",
    "Magnification": "105000",
    "Intensity": "0.114429",
    "ExposureDose": "36",
    "DoseRate": "14.2",
    "PixelSpacing": "0.415",
    "SpotSize": "8",
    "Defocus": "-3.33245",
    "ImageShift": "-0.124064 2.5e-016",
    "RotationAngle": "-94.0936",
    "ExposureTime": "2.5",
    "Binning": "0.5",
    "CameraIndex": "1",
    "DividedBy2": "0",
    "CountsPerElectron": "32",
    "TargetDefocus": "-1.6",
    "SubFramePath": r"X:\data\grid 2\square_0007_00.38.38.tif",
    "NumSubFrames": "48",
    "FrameDosesAndNumber": "0.75 48",
    "DateTime": "07-Dec-20  00:38:42",
    "NavigatorLabel": "84-1",
    "FilterSlitAndLoss": "20 0",
    "UncroppedSize": "-11520 -8184",
    "GainReference": r"C:\ProgramData\Gatan\CountRef_square_0000.mrc",
    "DefectFile": "defects_square_0000.txt",
    "SomethingNew": "a = b [c]",
}


def frame_mdoc(values: dict[str, str] = FRAME_SET, *, end: str = "\r\n") -> str:
    lines = [TITLE, "Voltage = 300", "", "[FrameSet = 0]", *(f"{key} = {value}" for key, value in values.items()), ""]
    return end.join(lines)


def saved(folder: Path, text: str | bytes, name: str = "square_0007_00.38.38.tif.mdoc") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_every_field_of_a_k3_frame_mdoc_in_our_units(tmp_path: Path) -> None:
    data = read_mdoc(saved(tmp_path, frame_mdoc()))
    assert data.voltage_kv == 300.0
    assert (data.pixel_size_angstrom, data.image_binning) == (0.415, 0.5)
    assert data.total_dose_e_per_a2 == 36.0
    assert data.dose_per_frame_e_per_a2 == 0.75
    assert data.frame_count == 48
    assert data.exposure_time_s == 2.5
    assert data.target_defocus_um == 1.6
    assert (data.stage_x_um, data.stage_y_um, data.stage_z_um) == (24.2868, -41.113, -29.8365)
    assert data.stage_tilt_deg == 0.0025
    assert (data.image_shift_x_um, data.image_shift_y_um) == (-0.124064, 2.5e-16)
    assert data.acquired_utc_us == 1_607_301_522_000_000
    assert data.microscope == "Krios 4, Institute of Ice"
    assert data.gain_reference == "CountRef_square_0000.mrc"
    assert data.gain_corrected is False
    assert data.hole == "84-1"


@given(keys=st.permutations(sorted(FRAME_SET)), end=st.sampled_from(["\n", "\r\n", "\r"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_and_line_ends_do_not_matter(keys: list[str], end: str, tmp_path: Path) -> None:
    shuffled = frame_mdoc({key: FRAME_SET[key] for key in keys}, end=end)
    assert read_mdoc(saved(tmp_path, shuffled)) == read_mdoc(saved(tmp_path, frame_mdoc()))


def test_unknown_keys_and_titles_are_kept(tmp_path: Path) -> None:
    text = frame_mdoc() + "\r\n[T = Second title]\r\n"
    mdoc = parse_mdoc(text, path=tmp_path)
    assert mdoc.sections[0].values["SomethingNew"] == "a = b [c]"
    assert mdoc.sections[0].values == FRAME_SET
    assert mdoc.titles == (TITLE.removeprefix("T = "), "Second title")
    assert mdoc.globals == {"Voltage": "300"}
    assert mdoc.ends_within is None


@pytest.mark.parametrize(
    ("text", "utc_us"),
    [
        ("07-Dec-20  00:38:42", 1_607_301_522_000_000),
        ("07-Dec-2020  00:38:42", 1_607_301_522_000_000),
        ("7-dec-2020 00:38:42", 1_607_301_522_000_000),
        ("2020-12-07 00:38:42", 1_607_301_522_000_000),
        ("31-Feb-20  00:38:42", None),
        ("soon", None),
    ],
)
def test_dates_with_two_and_four_digits(text: str, utc_us: int | None, tmp_path: Path) -> None:
    values = FRAME_SET | {"DateTime": text}
    assert read_mdoc(saved(tmp_path, frame_mdoc(values))).acquired_utc_us == utc_us


@pytest.mark.parametrize(
    ("doses", "exposure_dose", "frames", "total", "per_frame"),
    [
        ("0.75 48", "36", "48", 36.0, 0.75),
        ("0.5 10 0.8 38", "0", "48", 35.4, 35.4 / 48),
        ("0 48", "36", "48", 36.0, 0.75),  # dose per frame not calibrated
        ("0 48", "0", "48", None, None),  # no dose calibrated at all
        ("0.75", "36", "40", 36.0, 0.9),  # half a pair
        ("0.75 48", "36", "", 36.0, 0.75),
    ],
)
def test_dose(
    doses: str, exposure_dose: str, frames: str, total: float | None, per_frame: float | None, tmp_path: Path
) -> None:
    values = FRAME_SET | {"FrameDosesAndNumber": doses, "ExposureDose": exposure_dose, "NumSubFrames": frames}
    data = read_mdoc(saved(tmp_path, frame_mdoc(values)))
    assert data.total_dose_e_per_a2 == (None if total is None else pytest.approx(total))
    assert data.dose_per_frame_e_per_a2 == (None if per_frame is None else pytest.approx(per_frame))


def test_target_defocus_missing_falls_back_to_the_lens_value(tmp_path: Path) -> None:
    values = {key: value for key, value in FRAME_SET.items() if key != "TargetDefocus"}
    assert read_mdoc(saved(tmp_path, frame_mdoc(values))).target_defocus_um == 3.33245


def stack_mdoc(names: list[str]) -> str:
    head = "DataMode = 1\nImageSize = 64 48\nImageFile = x.st\nPixelSpacing = 2.5\nVoltage = 200\n\n[T = a title]\n\n"
    sections = [
        f"[ZValue = {index}]\nSubFramePath = \\\\server\\share\\{name}\nPixelSpacing = 2.5\nTargetDefocus = -{index}\n"
        for index, name in enumerate(names)
    ]
    return head + "\n".join(sections)


def test_the_section_of_the_movie_is_taken(tmp_path: Path) -> None:
    path = saved(tmp_path, stack_mdoc(["a.tif", "B.tif", "c.tif"]), "session.mdoc")
    assert read_mdoc(path, movie_name="b.tif").target_defocus_um == 1.0
    assert read_mdoc(path, movie_name="c.tif").target_defocus_um == 2.0
    data = read_mdoc(path, movie_name="c.tif")
    assert (data.voltage_kv, data.image_width_px, data.image_height_px) == (200.0, 64, 48)
    with pytest.raises(RetryLaterError, match=r"none of d\.tif"):
        read_mdoc(path, movie_name="d.tif")


def test_a_sessions_mdoc_that_has_only_another_movie_yet(tmp_path: Path) -> None:
    path = saved(tmp_path, stack_mdoc(["a.tif"]), "session.mdoc")
    with pytest.raises(RetryLaterError):
        read_mdoc(path, movie_name="b.tif")
    renamed = saved(tmp_path, stack_mdoc(["a.tif"]), "b.tif.mdoc")
    assert read_mdoc(renamed, movie_name="b.tif").voltage_kv == 200.0


def test_a_frame_mdoc_cut_anywhere_is_never_read_with_wrong_numbers(tmp_path: Path) -> None:
    whole = frame_mdoc().encode()
    truth = read_mdoc(saved(tmp_path, whole))
    needed = whole.index(b"NumSubFrames = 48\r\nFrameDosesAndNumber = 0.75 48\r\n") + len(
        b"NumSubFrames = 48\r\nFrameDosesAndNumber = 0.75 48\r"
    )
    for length in range(len(whole) - 1):
        path = saved(tmp_path, whole[:length])
        if length < needed:
            with pytest.raises(RetryLaterError):
                read_mdoc(path)
            continue
        try:
            data = read_mdoc(path)
        except RetryLaterError:
            continue
        for name in (
            "pixel_size_angstrom",
            "frame_count",
            "dose_per_frame_e_per_a2",
            "voltage_kv",
            "target_defocus_um",
        ):
            assert getattr(data, name) == getattr(truth, name)


def test_a_hand_written_end_is_taken_once_it_has_stood_still(tmp_path: Path) -> None:
    path = saved(tmp_path, "[FrameSet = 0]\nPixelSpacing = 1.1\nVoltage = 200")
    with pytest.raises(RetryLaterError):
        read_mdoc(path)
    data = read_mdoc(path, settled=True)
    assert (data.pixel_size_angstrom, data.voltage_kv) == (1.1, 200.0)


def test_reserved_zeros_and_empty_files_are_not_there_yet(tmp_path: Path) -> None:
    for content in (b"", b"\0" * 4096, b"\r\n\r\n"):
        with pytest.raises(RetryLaterError):
            read_mdoc(saved(tmp_path, content))
    with pytest.raises(RetryLaterError):
        read_mdoc(tmp_path / "absent.mdoc")
    assert read_mdoc(saved(tmp_path, frame_mdoc().encode() + b"\0" * 100)).frame_count == 48


def test_not_an_mdoc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError, match="line 2"):
        read_mdoc(saved(tmp_path, "[FrameSet = 0]\nthis is prose\nNumSubFrames = 4\n"))
    with pytest.raises(FormatError, match="not a text"):
        read_mdoc(saved(tmp_path, b"II*\0\x08\0\0\0" + b"x = 1\n"))
    colours = saved(tmp_path, "Colour = blue\n")
    with pytest.raises(RetryLaterError, match="no section yet"):
        read_mdoc(colours)
    with pytest.raises(FormatError, match="no section of a movie"):
        read_mdoc(colours, settled=True)
    monkeypatch.setattr(serialem_mdoc, "MAX_MDOC_BYTES", 100)
    with pytest.raises(HeaderLimitError):
        read_mdoc(saved(tmp_path, frame_mdoc()))


def test_impossible_values_are_not_said(tmp_path: Path) -> None:
    values = FRAME_SET | {"PixelSpacing": "0", "NumSubFrames": "-3", "Binning": "nan", "StagePosition": "1"}
    data = without_impossible(read_mdoc(saved(tmp_path, frame_mdoc(values))))
    assert (data.pixel_size_angstrom, data.frame_count, data.image_binning) == (None, None, None)
    assert (data.stage_x_um, data.stage_y_um) == (None, None)


@given(position=st.integers(0, len(frame_mdoc()) - 1), byte=st.integers(0, 255), kept=st.integers(1, 40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_a_typed_error_or_a_plausible_reading(position: int, byte: int, kept: int, tmp_path: Path) -> None:
    whole = frame_mdoc().encode()
    damaged = whole[:position] + bytes([byte]) * kept + whole[position + kept :]
    for settled in (False, True):
        try:
            data = read_mdoc(saved(tmp_path, damaged), settled=settled)
        except (FormatError, RetryLaterError):
            continue
        assert data.pixel_size_angstrom is None or 0.01 <= data.pixel_size_angstrom <= 100.0
        assert data.frame_count is None or data.frame_count >= 1


@pytest.mark.parametrize(
    ("before", "after"), [("T = SerialEM:", "x"), ("[FrameSet = ", "]"), ("[FrameSet = ", ""), ("a", "b")]
)
def test_a_line_of_spaces_takes_no_longer_than_it_is(before: str, after: str, tmp_path: Path) -> None:
    # Backtracking over this would take hours; the test's time limit would see it.
    path = saved(tmp_path, before + " " * 3_000_000 + after + "\nPixelSpacing = 1\n")
    with pytest.raises((RetryLaterError, FormatError)):
        read_mdoc(path)
