"""Who is believed about an exposure, and who is contradicted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.config.errors import ContradictionError, SettingsError
from frazil.config.loading import load_settings
from frazil.config.settings import Settings
from frazil.models.formats.acquisition import AcquisitionParameters, merge_metadata, resolve
from frazil.models.formats.epu_xml import with_source
from frazil.models.records import AcquisitionMetadata, ExposureFacts, MovieHeader

HEADER = MovieHeader("raw/x.tif", "tiff", 40, 4092, 5760, "uint8")


def sidecar(**values: Any) -> AcquisitionMetadata:
    return with_source(AcquisitionMetadata(**values), "sidecar x.xml")


def parameters(
    flags: dict[str, Any] | None = None,
    said: AcquisitionMetadata | None = None,
    header: MovieHeader = HEADER,
    preset: str | None = "krios-k3",
) -> AcquisitionParameters:
    settings = load_settings(preset=preset, flags=flags or {})
    return resolve(merge_metadata(settings=settings, header=header, sidecar=said), settings=settings)


def test_strongest_source_of_each_value_and_where_it_came_from() -> None:
    found = parameters(
        {"pixel_size_angstrom": 0.83, "pre_exposure_e_per_a2": 2},
        sidecar(pixel_size_angstrom=0.834, dose_per_frame_e_per_a2=1.1, total_dose_e_per_a2=44.0, frame_count=40),
        replace(HEADER, pixel_size_angstrom=0.831),
    )
    assert found == AcquisitionParameters(
        pixel_size_angstrom=0.83,
        voltage_kv=300.0,
        cs_mm=2.7,
        amplitude_contrast=0.1,
        dose_per_frame_e_per_a2=1.1,
        pre_exposure_e_per_a2=2.0,
        phase_plate=False,
        sources=found.sources,
        exposure=ExposureFacts(stated_dose_per_frame_e_per_a2=1.1, microscope="Titan Krios"),
    )
    sources = dict(found.sources)
    assert sources["pixel_size_angstrom"] == "flag --pixel-size-angstrom"
    assert sources["dose_per_frame_e_per_a2"] == "sidecar x.xml"
    assert sources["voltage_kv"] == "preset krios-k3"
    assert sources["phase_plate"] == "default"


@pytest.mark.parametrize("from_person", [None, 0.83])
@pytest.mark.parametrize("from_sidecar", [None, 0.832])
@pytest.mark.parametrize("from_header", [None, 0.834])
def test_person_then_sidecar_then_header(
    from_person: float | None, from_sidecar: float | None, from_header: float | None
) -> None:
    said = sidecar(pixel_size_angstrom=from_sidecar)
    header = replace(HEADER, pixel_size_angstrom=from_header)
    given_values = [value for value in (from_person, from_sidecar, from_header) if value is not None]
    if not given_values:
        with pytest.raises(SettingsError, match="--pixel-size-angstrom"):
            parameters({"pixel_size_angstrom": from_person}, said, header)
        return
    found = parameters({"pixel_size_angstrom": from_person}, said, header)
    assert found.pixel_size_angstrom == given_values[0]


@pytest.mark.parametrize("missing", ["pixel_size_angstrom", "voltage_kv", "cs_mm"])
def test_a_value_that_nobody_gives_is_asked_for_by_its_flag(missing: str) -> None:
    flags: dict[str, Any] = {"pixel_size_angstrom": 1.0, "voltage_kv": 300, "cs_mm": 2.7}
    del flags[missing]
    with pytest.raises(SettingsError) as caught:
        parameters(flags, preset=None)
    assert "--" + missing.replace("_", "-") in str(caught.value)
    assert f"microscope.{missing}" in str(caught.value)


def test_dose_may_stay_open() -> None:
    assert parameters({"pixel_size_angstrom": 1.0}).dose_per_frame_e_per_a2 is None


@pytest.mark.parametrize(
    ("name", "first", "second", "tolerance"),
    [
        ("pixel_size_angstrom", 0.83, 0.835, 0.01),
        ("voltage_kv", 300.0, 298.0, 0.02),
        ("cs_mm", 2.7, 2.68, 0.02),
        ("dose_per_frame_e_per_a2", 1.0, 1.04, 0.05),
    ],
)
@pytest.mark.parametrize("by", ["flags", "environment", "yaml"])
def test_a_person_against_the_sidecar(
    name: str, first: float, second: float, tolerance: float, by: str, tmp_path: Any
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"microscope:\n  {name}: {first}\n")
    settings = load_settings(
        preset="krios-k3",
        flags={name: first} if by == "flags" else {},
        environ={f"FRAZIL_MICROSCOPE__{name.upper()}": str(first)} if by == "environment" else {},
        yaml_path=path if by == "yaml" else None,
    )
    close = merge_metadata(settings=settings, header=HEADER, sidecar=sidecar(**{name: second}))
    assert getattr(close, name) == first
    for wrong in (first * (1 + 1.2 * tolerance), first * (1 - 1.2 * tolerance)):
        with pytest.raises(ContradictionError) as caught:
            merge_metadata(settings=settings, header=HEADER, sidecar=sidecar(**{name: wrong}))
        message = str(caught.value)
        for word in (f"{first:g}", f"{wrong:g}", "sidecar x.xml", settings.origins[f"microscope.{name}"], "raw/x.tif"):
            assert word in message


def test_sidecar_against_header_and_person_against_header() -> None:
    header = replace(HEADER, pixel_size_angstrom=1.66, file_format="mrc")
    with pytest.raises(ContradictionError, match=r"0\.83 A \(sidecar x\.xml\) and 1\.66 A \(header"):
        parameters({}, sidecar(pixel_size_angstrom=0.83), header)
    with pytest.raises(ContradictionError, match=r"0\.83 A \(flag --pixel-size-angstrom\) and 1\.66 A \(header"):
        parameters({"pixel_size_angstrom": 0.83}, None, header)


def test_a_preset_only_fills() -> None:
    found = parameters({"pixel_size_angstrom": 1.0}, sidecar(voltage_kv=200.0, cs_mm=2.0))
    assert (found.voltage_kv, found.cs_mm) == (200.0, 2.0)
    assert dict(found.sources)["voltage_kv"] == "sidecar x.xml"


def test_a_stored_session_remembers_that_its_preset_only_fills(tmp_path: Any) -> None:
    from frazil.config.loading import settings_to_yaml

    path = tmp_path / "settings.yaml"
    path.write_text(settings_to_yaml(load_settings(preset="krios-k3", flags={"cs_mm": 2.7})))
    resumed = load_settings(yaml_path=path)
    merged = merge_metadata(settings=resumed, header=HEADER, sidecar=sidecar(voltage_kv=200.0))
    assert merged.voltage_kv == 200.0
    with pytest.raises(ContradictionError, match=r"flag --cs-mm"):
        merge_metadata(settings=resumed, header=HEADER, sidecar=sidecar(cs_mm=2.0))


def test_a_person_who_knows_better_says_so() -> None:
    flags = {"pixel_size_angstrom": 0.80, "sidecar_distrust": ["pixel_size_angstrom"]}
    found = parameters(flags, sidecar(pixel_size_angstrom=0.83), replace(HEADER, pixel_size_angstrom=0.83))
    assert found.pixel_size_angstrom == 0.80
    # Distrust without a value of one's own leaves the sidecar as the only source.
    found = parameters({"sidecar_distrust": ["pixel_size_angstrom"]}, sidecar(pixel_size_angstrom=0.83))
    assert found.pixel_size_angstrom == 0.83


@pytest.mark.parametrize("nothing", [None, 0.0, 1.0])
def test_header_pixel_sizes_that_say_nothing(nothing: float | None) -> None:
    header = replace(HEADER, pixel_size_angstrom=nothing)
    assert parameters({"pixel_size_angstrom": 0.83}, None, header).pixel_size_angstrom == 0.83
    with pytest.raises(SettingsError, match="--pixel-size-angstrom"):
        parameters({}, None, header)


@pytest.mark.parametrize(
    ("movie", "expected"),
    [
        ((5760, 4092), 0.528),
        ((4092, 5760), 0.528),
        ((11520, 8184), 0.264),
        ((2880, 2046), 1.056),
        ((5656, 4092), 0.528),
    ],
)
def test_epu_pixel_size_follows_the_field_of_view(movie: tuple[int, int], expected: float) -> None:
    said = sidecar(pixel_size_angstrom=1.056, image_width_px=2880, image_height_px=2046, image_binning=2.0)
    header = replace(HEADER, width_px=movie[0], height_px=movie[1])
    assert parameters({}, said, header).pixel_size_angstrom == pytest.approx(expected)


def test_an_image_that_is_not_of_this_movie() -> None:
    said = sidecar(pixel_size_angstrom=1.056, image_width_px=2880, image_height_px=2046)
    header = replace(HEADER, width_px=4096, height_px=4096)
    with pytest.raises(ContradictionError, match=r"2880 x 2046 px.*4096 x 4096 px"):
        parameters({}, said, header)
    assert parameters({"pixel_size_angstrom": 0.9}, said, header).pixel_size_angstrom == 0.9


@pytest.mark.parametrize(
    ("image_binning", "movie", "expected"),
    [
        (0.5, (11520, 8184), 0.4),  # super-resolution frames, mdoc of the super-resolution image
        (1.0, (11520, 8184), 0.2),  # super-resolution frames, image kept at binning 1
        (1.0, (8184, 11520), 0.2),
        (1.0, (5760, 4092), 0.4),
        (2.0, (5760, 4092), 0.2),
        (1.0, (7676, 7420), 0.2),  # K2
        (1.0, (4096, 4096), 0.4),  # not a Gatan camera: taken as written
        (0.5, (1024, 1024), 0.4),
    ],
)
def test_serialem_pixel_size_is_of_the_kept_image(
    image_binning: float, movie: tuple[int, int], expected: float
) -> None:
    said = sidecar(pixel_size_angstrom=0.4, image_binning=image_binning)
    header = replace(HEADER, width_px=movie[0], height_px=movie[1])
    assert parameters({}, said, header).pixel_size_angstrom == pytest.approx(expected)


EER = MovieHeader("raw/a_EER.eer", "eer", 42, 4096, 4096, "uint8", raw_frame_count=1050, total_dose_e_per_px=36.0)


def test_eer_dose_is_per_fraction() -> None:
    said = sidecar(pixel_size_angstrom=0.9, total_dose_e_per_a2=42.0)
    assert parameters({}, said, EER).dose_per_frame_e_per_a2 == pytest.approx(1.0)
    # A sidecar counts the camera's frames (SerialEM), which are not the fractions that are delivered.
    raw = replace(said, dose_per_frame_e_per_a2=0.04, frame_count=1050)
    assert parameters({}, raw, EER).dose_per_frame_e_per_a2 == pytest.approx(1.0)
    # Without a sidecar the file's own dose, which is per pixel.
    found = parameters({"pixel_size_angstrom": 0.9}, None, EER)
    assert found.dose_per_frame_e_per_a2 == pytest.approx(36.0 / 0.81 / 42)
    assert dict(found.sources)["dose_per_frame_e_per_a2"] == "header of the movie"


def test_eer_header_dose_is_measured_behind_the_specimen_and_contradicts_nobody() -> None:
    header = replace(EER, total_dose_e_per_px=20.0)
    said = sidecar(pixel_size_angstrom=0.9, total_dose_e_per_a2=42.0)
    assert parameters({}, said, header).dose_per_frame_e_per_a2 == pytest.approx(1.0)


def test_total_dose_without_a_frame_count_is_spread_over_the_movie() -> None:
    said = sidecar(pixel_size_angstrom=0.83, total_dose_e_per_a2=30.0)
    assert parameters({}, said).dose_per_frame_e_per_a2 == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("flag", "in_sidecar", "expected"),
    [(None, None, False), (None, True, True), (True, False, True), (False, True, False), (True, None, True)],
)
def test_phase_plate(flag: bool | None, in_sidecar: bool | None, expected: bool) -> None:
    said = sidecar(pixel_size_angstrom=1.0, phase_plate=in_sidecar)
    assert parameters({"phase_plate": flag}, said).phase_plate is expected


def test_facts_are_kept_and_names_come_from_the_path_too() -> None:
    said = sidecar(stage_x_um=3.0, target_defocus_um=1.2, acquired_utc_us=5)
    path = "raw/GridSquare_7/Data/FoilHole_8_Data_9_1_20260101_101010_EER.eer"
    merged = merge_metadata(settings=Settings(), header=replace(HEADER, path=path), sidecar=said)
    assert (merged.stage_x_um, merged.target_defocus_um, merged.acquired_utc_us) == (3.0, 1.2, 5)
    assert (merged.grid_square, merged.hole, merged.beam_shift_group) == ("7", "8", "9")


@given(
    pixel=st.floats(0.2, 5.0),
    factor=st.floats(0.9, 1.1),
    binning=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_contradiction_depends_only_on_the_ratio(pixel: float, factor: float, binning: float) -> None:
    """Whatever the sampling, two statements agree or contradict by their ratio at the movie's pixel."""
    said = sidecar(
        pixel_size_angstrom=pixel / binning,
        image_width_px=round(5760 * binning),
        image_height_px=round(4092 * binning),
    )
    ratio = min(factor, 1 / factor)
    if abs(ratio - 0.99) < 1e-4:
        return
    if ratio < 0.99:
        with pytest.raises(ContradictionError):
            parameters({"pixel_size_angstrom": pixel * factor}, said)
    else:
        found = parameters({"pixel_size_angstrom": pixel * factor}, said)
        assert found.pixel_size_angstrom == pixel * factor
