"""Values that no instrument has are not believed, and what they were is kept."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from frazil.config.loading import load_settings
from frazil.config.settings import Settings
from frazil.models.formats.acquisition import merge_metadata
from frazil.models.formats.epu_xml import with_source
from frazil.models.formats.metadata_limits import LIMITS, without_impossible
from frazil.models.formats.sidecar import read_sidecar
from frazil.models.records import AcquisitionMetadata, MovieHeader

HEADER = MovieHeader("raw/x.tif", "tiff", 40, 64, 64, "uint8")
MDOC = """[FrameSet = 0]
PixelSpacing = 0.83
NumSubFrames = 40
DateTime = 07-Dec-20  00:38:42
Voltage = 300
"""


@pytest.mark.parametrize("name", LIMITS)
def test_values_at_the_limits_are_believed_and_values_beyond_are_not(name: str) -> None:
    limits = LIMITS[name]
    for value, believed in ((limits.low, True), (limits.high, True), (limits.high * 1.01, False), (-1e9, False)):
        said = with_source(AcquisitionMetadata(**{name: value}), "sidecar x.xml")
        metadata = without_impossible(said)
        assert (getattr(metadata, name) == value) is believed
        assert [field for field, _ in metadata.not_used] == ([] if believed else [name])
        assert (metadata == said) is believed
        assert believed or "sidecar x.xml" in metadata.not_used[0][1]


@pytest.mark.parametrize(("total", "per_frame"), [(4000.0, 80.0), (240.0, 120.0), (-40.0, -1.0)])
def test_a_dose_is_refused_with_the_one_that_it_was_made_from(total: float, per_frame: float) -> None:
    said = AcquisitionMetadata(total_dose_e_per_a2=total, dose_per_frame_e_per_a2=per_frame)
    metadata = without_impossible(said)
    assert (metadata.total_dose_e_per_a2, metadata.dose_per_frame_e_per_a2) == (None, None)
    assert len(metadata.not_used) == 1


def test_a_total_that_its_frames_cannot_have_had_is_not_used() -> None:
    """An mdoc in e/nm2: 900 of two frames."""
    sidecar = with_source(AcquisitionMetadata(total_dose_e_per_a2=900.0), "sidecar x.mdoc")
    metadata = merge_metadata(settings=Settings(), header=replace(HEADER, frame_count=2), sidecar=sidecar)
    assert metadata.dose_per_frame_e_per_a2 is None
    ((name, reason),) = metadata.not_used
    assert name == "dose_per_frame_e_per_a2"
    assert reason == (
        "dose_per_frame_e_per_a2 is 450 e/A2 (sidecar x.mdoc: 900 e/A2 over the 2 frames of x.tif), "
        "which no microscope has (0.0001 to 100 e/A2)"
    )
    by_hand = load_settings(flags={"microscope.dose_per_frame_e_per_a2": 1.2})
    told = merge_metadata(settings=by_hand, header=replace(HEADER, frame_count=2), sidecar=sidecar)
    assert (told.dose_per_frame_e_per_a2, len(told.not_used)) == (1.2, 1)


def test_a_dose_in_a_header_that_cannot_be_is_not_used() -> None:
    header = replace(HEADER, file_format="eer", total_dose_e_per_px=1e6)
    sidecar = AcquisitionMetadata(pixel_size_angstrom=1.0)
    metadata = merge_metadata(settings=Settings(), header=header, sidecar=sidecar)
    assert metadata.dose_per_frame_e_per_a2 is None
    assert "header of x.tif: 1e+06 e/A2 over 40 frames" in metadata.not_used[0][1]


def test_every_number_of_an_exposure_has_limits() -> None:
    counted = {"amplitude_contrast", "beam_shift_x_au", "beam_shift_y_au"}  # a setting; no unit
    numbers = {field.name for field in fields(AcquisitionMetadata) if field.type == "float | None"}
    assert numbers - counted == set(LIMITS)


def test_zero_is_how_writers_say_that_they_do_not_know() -> None:
    metadata = without_impossible(AcquisitionMetadata(exposure_time_s=0.0, pixel_size_angstrom=0.0, stage_x_um=0.0))
    assert metadata == AcquisitionMetadata(stage_x_um=0.0)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("ImageShift = 4000000 0", "image_shift_x_um"),
        ("StagePosition = 1e9 3", "stage_x_um"),
        ("FrameDosesAndNumber = -1.2 40", "total_dose_e_per_a2"),
        ("ExposureDose = -40", "total_dose_e_per_a2"),
        ("ExposureTime = -3", "exposure_time_s"),
        ("TargetDefocus = 12000", "target_defocus_um"),
        ("Voltage = 3", "voltage_kv"),
        ("TiltAngle = 720", "stage_tilt_deg"),
    ],
)
def test_an_mdoc_with_one_impossible_value_loses_that_value_alone(tmp_path: Path, line: str, field: str) -> None:
    path = tmp_path / "x.tif.mdoc"
    path.write_text(MDOC + line + "\n")
    metadata = read_sidecar(path)
    assert [name for name, _ in metadata.not_used] == [field]
    assert path.name in metadata.not_used[0][1]
    assert metadata.dose_per_frame_e_per_a2 is None
    path.write_text(MDOC)
    usual = read_sidecar(path)
    gone = {"voltage_kv": None} if field == "voltage_kv" else {}
    assert replace(metadata, sources=(), not_used=()) == replace(usual, sources=(), **gone)


def test_a_tiff_tag_that_contradicts_is_told_and_not_used() -> None:
    sidecar = with_source(AcquisitionMetadata(pixel_size_angstrom=0.83), "sidecar x.xml")
    header = replace(HEADER, pixel_size_angstrom=1.66)
    metadata = merge_metadata(settings=Settings(), header=header, sidecar=sidecar)
    assert metadata.pixel_size_angstrom == 0.83
    ((name, reason),) = metadata.not_used
    assert name == "pixel_size_angstrom"
    assert "1.66 A" in reason
    assert "0.83 A" in reason
    close = merge_metadata(settings=Settings(), header=replace(header, pixel_size_angstrom=0.832), sidecar=sidecar)
    assert close.not_used == ()
    alone = merge_metadata(settings=Settings(), header=header)
    assert (alone.pixel_size_angstrom, alone.not_used) == (1.66, ())


def test_a_header_that_cannot_be_is_no_pixel_size() -> None:
    metadata = merge_metadata(settings=Settings(), header=replace(HEADER, pixel_size_angstrom=423.0))
    assert metadata.pixel_size_angstrom is None
    assert "423 A" in metadata.not_used[0][1]
