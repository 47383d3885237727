"""EPU XML as several versions write it: units, keys in any order, and what a stranger might put in."""

from __future__ import annotations

import random
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frazil.config.errors import FormatError, HeaderLimitError, RetryLaterError
from frazil.models.formats.epu_xml import MAX_IMAGE_XML_BYTES, epu_names, read_epu_session, read_epu_xml
from frazil.models.formats.metadata_limits import without_impossible

NAME = "FoilHole_17102_Data_17055_12_20260214_181530"
FEI = "http://schemas.datacontract.org/2004/07/Fei"

CUSTOM = {
    "DoseOnCamera": "36.0",
    "Detectors[EF-CCD].CommercialName": "BioQuantum K3",
    "Detectors[EF-CCD].ElectronCounted": "true",
    "DoseRate": "14.4",
    "Dose": "3.6E+21",
    "PhasePlateUsed": "false",
    "BinaryResult.Detector": "EF-CCD",
    "AppliedDefocus": "-1.85E-06",
}
K3_INPUT = {
    "SuperResolutionFactor": "2",
    "FractionationSettings": "<b:NumberOffractions>48</b:NumberOffractions>",
    "ElectronCountingEnabled": "true",
}


def pairs(values: dict[str, str], *, raw: bool = False) -> str:
    return "".join(
        f"<a:KeyValueOfstringanyType><a:Key>{escape(key)}</a:Key>"
        f'<a:Value xmlns:b="{FEI}.Omp">{value if raw else escape(value)}</a:Value></a:KeyValueOfstringanyType>'
        for key, value in values.items()
    )


def exposure(
    *,
    custom: dict[str, str] | None = None,
    camera_input: dict[str, str] | None = None,
    pixel_m: str = "1.0E-10",
    readout: tuple[int, int] = (2880, 2046),
    shuffle: random.Random | None = None,
    optics_defocus_m: str = "4.8E-07",
    namespace: str = f"{FEI}.SharedObjects",
) -> str:
    camera = [
        '<Binning xmlns:a="draw"><a:x>2</a:x><a:y>2</a:y></Binning>',
        "<CameraSpecificInput>"
        + pairs(K3_INPUT if camera_input is None else camera_input, raw=True)
        + "</CameraSpecificInput>",
        "<ExposureTime>2.5</ExposureTime>",
        "<Name>EF-CCD</Name>",
        f'<ReadoutArea xmlns:a="draw"><a:height>{readout[1]}</a:height><a:width>{readout[0]}</a:width></ReadoutArea>',
    ]
    optics = [
        "<BeamShift><t:_x>0.0609</t:_x><t:_y>-0.1542</t:_y></BeamShift>",
        "<BeamTilt><t:_x>0.0114</t:_x><t:_y>-0.0149</t:_y></BeamTilt>",
        f"<Defocus>{optics_defocus_m}</Defocus>",
        "<ImageShift><t:_x>1.5E-06</t:_x><t:_y>-2E-06</t:_y></ImageShift>",
    ]
    if shuffle:
        shuffle.shuffle(camera)
        shuffle.shuffle(optics)
    data = [
        "<acquisition><acquisitionDateTime>2026-02-14T18:15:32.1158288+01:00</acquisitionDateTime>"
        f"<camera>{''.join(camera)}</camera><plateCamera><ExposureTime>0</ExposureTime></plateCamera></acquisition>",
        "<gun><AccelerationVoltage>300000</AccelerationVoltage></gun>",
        "<instrument><InstrumentID>3632</InstrumentID><InstrumentModel>TITAN1</InstrumentModel></instrument>",
        f"<optics>{''.join(optics)}</optics>",
        "<stage><Position><A>0.0349065850398866</A><B>0</B><X>-9.7E-05</X><Y>0.000152</Y><Z>8.5E-05</Z></Position></stage>",
    ]
    body = [
        f"<CustomData>{pairs(CUSTOM if custom is None else custom)}</CustomData>",
        f"<SpatialScale><offset><x><numericValue>0</numericValue></x></offset><pixelSize><x><numericValue>{pixel_m}"
        f"</numericValue></x><y><numericValue>{pixel_m}</numericValue></y></pixelSize></SpatialScale>",
        "<name>Empty</name>",
    ]
    if shuffle:
        shuffle.shuffle(data)
        body.append(f"<microscopeData>{''.join(data)}</microscopeData>")
        shuffle.shuffle(body)
    else:
        body.append(f"<microscopeData>{''.join(data)}</microscopeData>")
    return (
        f'<MicroscopeImage xmlns="{namespace}" xmlns:a="arrays" xmlns:t="{FEI}.Types" '
        f'xmlns:i="http://www.w3.org/2001/XMLSchema-instance">{"".join(body)}</MicroscopeImage>'
    )


def saved(folder: Path, text: str | bytes, name: str = f"{NAME}.xml") -> Path:
    path = folder / "Images-Disc1" / "GridSquare_17001" / "Data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_every_field_of_a_k3_exposure_in_our_units(tmp_path: Path) -> None:
    data = read_epu_xml(saved(tmp_path, exposure()))
    assert data.voltage_kv == 300.0
    assert data.pixel_size_angstrom == 1.0
    assert (data.image_width_px, data.image_height_px, data.image_binning) == (2880, 2046, 2.0)
    assert data.total_dose_e_per_a2 == 36.0
    assert data.frame_count == 48
    assert data.dose_per_frame_e_per_a2 == 0.75
    assert data.exposure_time_s == 2.5
    assert data.target_defocus_um == 1.85
    assert (data.stage_x_um, data.stage_y_um, data.stage_z_um) == (-97.0, 152.0, 85.0)
    assert data.stage_tilt_deg == pytest.approx(2.0, abs=1e-9)
    assert (data.image_shift_x_au, data.image_shift_y_au) == (1.5e-06, -2e-06)
    assert (data.image_shift_x_um, data.image_shift_y_um) == (None, None)  # a number without a unit is no length
    assert (data.beam_shift_x_au, data.beam_shift_y_au) == (0.0609, -0.1542)
    assert (data.beam_tilt_x_mrad, data.beam_tilt_y_mrad) == (11.4, -14.9)
    assert (data.grid_square, data.hole, data.beam_shift_group) == ("17001", "17102", "17055")
    assert data.acquired_utc_us == 1_771_089_332_115_828
    assert (data.camera, data.microscope) == ("BioQuantum K3", "TITAN1")
    assert data.phase_plate is False
    assert data.cs_mm is None
    assert dict(data.sources)["pixel_size_angstrom"] == f"sidecar {NAME}.xml"
    assert "cs_mm" not in dict(data.sources)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_and_namespaces_do_not_matter(seed: int, tmp_path: Path) -> None:
    shuffle = random.Random(seed)
    custom = list(CUSTOM.items())
    shuffle.shuffle(custom)
    text = exposure(custom=dict(custom), shuffle=shuffle, namespace=f"urn:version-{seed}")
    assert read_epu_xml(saved(tmp_path, text)) == read_epu_xml(saved(tmp_path, exposure()))


@pytest.mark.parametrize(
    "text",
    ["2026-02-14T18:15:32.1158288+01:00", "2026-02-14T17:15:32.115828Z", "2026-02-14T09:45:32.115828-07:30"],
)
def test_time_zones(text: str, tmp_path: Path) -> None:
    written = exposure().replace("2026-02-14T18:15:32.1158288+01:00", text)
    assert read_epu_xml(saved(tmp_path, written)).acquired_utc_us == 1_771_089_332_115_828


def test_falcon_3_lists_its_fractions_one_by_one(tmp_path: Path) -> None:
    one = "<b:DoseFractionDefinition><b:StartFrame>1</b:StartFrame></b:DoseFractionDefinition>"
    fractions = {"FractionationSettings": f"<b:DoseFractions>{one * 39}</b:DoseFractions>"}
    custom = CUSTOM | {"Detectors[EF-CCD].CommercialName": "Falcon 3EC"}
    data = read_epu_xml(saved(tmp_path, exposure(camera_input=fractions, custom=custom)))
    assert data.frame_count == 39
    assert data.dose_per_frame_e_per_a2 == pytest.approx(36.0 / 39)
    assert data.camera == "Falcon 3EC"


def test_eer_promises_no_frame_count_but_names_its_gain(tmp_path: Path) -> None:
    custom = CUSTOM | {"Detectors[EF-Falcon].EerGainReference": r"C:\ref\20260101_EER_GainReference.gain"}
    data = read_epu_xml(saved(tmp_path, exposure(custom=custom)))
    assert data.frame_count is None
    assert data.dose_per_frame_e_per_a2 is None
    assert data.total_dose_e_per_a2 == 36.0
    assert data.gain_reference == "20260101_EER_GainReference.gain"
    compressed = exposure(custom=custom, camera_input=K3_INPUT | {"EnableCompression": "true"})
    assert read_epu_xml(saved(tmp_path, compressed)).frame_count == 48


def test_dose_on_camera_is_per_pixel_of_the_image(tmp_path: Path) -> None:
    custom = {key: value for key, value in CUSTOM.items() if key != "Dose"}
    data = read_epu_xml(saved(tmp_path, exposure(custom=custom, pixel_m="1.2E-10")))
    assert data.total_dose_e_per_a2 == pytest.approx(36.0 / 1.44)
    zero = exposure(custom=custom | {"Dose": "0", "DoseOnCamera": "0"})
    assert read_epu_xml(saved(tmp_path, zero)).total_dose_e_per_a2 is None


def test_applied_defocus_wins_over_the_lens_value(tmp_path: Path) -> None:
    custom = {key: value for key, value in CUSTOM.items() if key != "AppliedDefocus"}
    data = read_epu_xml(saved(tmp_path, exposure(custom=custom, optics_defocus_m="-2.1E-06")))
    assert data.target_defocus_um == 2.1


def test_missing_and_impossible_values_are_not_said(tmp_path: Path) -> None:
    empty = read_epu_xml(saved(tmp_path, "<MicroscopeImage/>"))
    said = {name: getattr(empty, name) for name, _ in empty.sources}
    assert said == {"grid_square": "17001", "hole": "17102", "beam_shift_group": "17055"}
    odd = exposure(pixel_m="NaN", custom={"AppliedDefocus": "deep"}).replace("300000", "0").replace("2.5", "-1")
    data = without_impossible(read_epu_xml(saved(tmp_path, odd)))
    assert (data.pixel_size_angstrom, data.voltage_kv, data.exposure_time_s) == (None, None, None)


def test_different_pixel_sizes_along_x_and_y_are_refused(tmp_path: Path) -> None:
    text = exposure().replace("<y><numericValue>1.0E-10", "<y><numericValue>1.1E-10")
    with pytest.raises(FormatError, match=r"x \(1 A\) and y \(1\.1 A\)"):
        read_epu_xml(saved(tmp_path, text))


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
        '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">',
    ],
)
def test_document_types_are_refused_before_anything_expands(declaration: str, tmp_path: Path) -> None:
    text = f"<?xml version='1.0'?>{declaration}<MicroscopeImage>&c;</MicroscopeImage>"
    with pytest.raises(FormatError, match="document type"):
        read_epu_xml(saved(tmp_path, text))


def test_too_large_too_deep_and_not_xml(tmp_path: Path) -> None:
    with pytest.raises(HeaderLimitError, match="larger than"):
        read_epu_xml(saved(tmp_path, b"<a>" + b" " * MAX_IMAGE_XML_BYTES))
    with pytest.raises(HeaderLimitError, match="deeper"):
        read_epu_xml(saved(tmp_path, "<a>" * 100 + "</a>" * 100))
    with pytest.raises(FormatError, match="well-formed"):
        read_epu_xml(saved(tmp_path, "<MicroscopeImage><a></b></MicroscopeImage>"))
    with pytest.raises(FormatError, match="not of an EPU exposure"):
        read_epu_xml(saved(tmp_path, "<html><body/></html>"))


def test_a_file_cut_anywhere_is_not_yet_there_and_never_half_read(tmp_path: Path) -> None:
    whole = exposure().encode()
    for length in range(0, len(whole), 41):
        with pytest.raises(RetryLaterError):
            read_epu_xml(saved(tmp_path, whole[:length]))
        with pytest.raises(RetryLaterError):
            read_epu_xml(saved(tmp_path, whole[:length] + b"\0" * 200))
    with pytest.raises(RetryLaterError):
        read_epu_xml(tmp_path / "absent.xml")
    assert read_epu_xml(saved(tmp_path, whole + b"\0" * 200)).voltage_kv == 300.0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings(encoding: str, tmp_path: Path) -> None:
    name = "utf-8" if encoding == "utf-8-sig" else "utf-16"
    text = f"<?xml version='1.0' encoding='{name}'?>" + exposure()
    assert read_epu_xml(saved(tmp_path, text.encode(encoding))).voltage_kv == 300.0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"raw/Images-Disc1/GridSquare_17001/Data/{NAME}_Fractions.tiff", ("17001", "17102", "17055")),
        ("GridSquare_5/Data/FoilHole_26_Data_53_54_20190726_1321_Fractions.mrc", ("5", "26", "53")),
        ("session/x_0001.tif", (None, None, None)),
        ("GridSquare_9/y.tif", ("9", None, None)),
    ],
)
def test_names(path: str, expected: tuple[str | None, ...]) -> None:
    names = epu_names(PurePosixPath(path))
    assert (names.grid_square, names.hole, names.beam_shift_group) == expected


SESSION = """<EpuSessionXml z:Id="1" xmlns="http://schemas.datacontract.org/2004/07/Applications.Epu.Persistence"
  xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:z="http://schemas.microsoft.com/2003/10/Serialization/">
  <Id xmlns="x">1</Id><ClusteringMode>ClusteringWithImageBeamShift</ClusteringMode>
  <DoseFractionsOutputFormat z:Id="5">{output}</DoseFractionsOutputFormat>
  <MicroscopeName i:nil="true"/><Name z:Id="6">apoferritin_night_2</Name><PhasePlateEnabled>false</PhasePlateEnabled>
  <Samples><_items><SampleXml><FilterHolesSettings><HoleSize>1.2E-06</HoleSize><HoleSpacing>2.5E-06</HoleSpacing>
  </FilterHolesSettings></SampleXml></_items></Samples><StartDateTime>2026-02-14T17:00:00Z</StartDateTime>
</EpuSessionXml>"""


@pytest.mark.parametrize(
    ("output", "corrected"),
    [("Tiff Lzw Non-Gain normalized", False), ("EER", False), ("Mrc Gain normalized", True), ("Other", None)],
)
def test_session_facts(output: str, corrected: bool | None, tmp_path: Path) -> None:
    path = tmp_path / "EpuSession.dm"
    path.write_text(SESSION.format(output=output))
    session = read_epu_session(path)
    assert session.gain_corrected is corrected
    assert session.name == "apoferritin_night_2"
    assert session.started_utc_us == 1_771_088_400_000_000
    assert session.beam_shift_clustering is True
    assert (session.hole_size_um, session.hole_spacing_um) == (1.2, 2.5)
    assert session.phase_plate is False


def test_an_exposure_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not an EPU session"):
        read_epu_session(saved(tmp_path, exposure()))


@given(position=st.integers(0, len(exposure()) - 1), byte=st.integers(0, 255), kept=st.integers(1, 40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_a_typed_error_or_a_plausible_reading(position: int, byte: int, kept: int, tmp_path: Path) -> None:
    whole = exposure().encode()
    damaged = whole[:position] + bytes([byte]) * kept + whole[position + kept :]
    try:
        data = read_epu_xml(saved(tmp_path, damaged))
    except (FormatError, RetryLaterError):
        return
    assert data.pixel_size_angstrom is None or 0.01 <= data.pixel_size_angstrom <= 100.0
    assert data.voltage_kv is None or 60.0 <= data.voltage_kv <= 1300.0
