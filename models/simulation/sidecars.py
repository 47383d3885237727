"""Metadata files beside simulated movies: EPU's XML and session file, SerialEM's mdoc, as the real programs write them.

They say what a real microscope knows: target defocus rather than defocus, nominal dose, stage and image shift.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from frazil.models.simulation.settings import SimulationSettings
from frazil.models.simulation.truth import MovieTruth

_SHARED = "http://schemas.datacontract.org/2004/07/Fei.SharedObjects"
_ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_OMP = "http://schemas.datacontract.org/2004/07/Fei.Applications.Common.Omp.Interface"
_DRAWING = "http://schemas.datacontract.org/2004/07/System.Drawing"
_TYPES = "http://schemas.datacontract.org/2004/07/Fei.Types"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
NOMINAL_MAGNIFICATION = 105_000
BEAM_SHIFT_UM_PER_UNIT = 100.0
"""Of the simulated microscope; the preset `simulated` tells it, the files do not."""


def _utc(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, tz=UTC)


def _pair(key: str, kind: str, value: str) -> str:
    return (
        f'<a:KeyValueOfstringanyType><a:Key>{key}</a:Key><a:Value i:type="b:{kind}" xmlns:b="{_SCHEMA}">{value}'
        "</a:Value></a:KeyValueOfstringanyType>"
    )


def _point(name: str, x: float, y: float) -> str:
    return f'<{name} xmlns:a="{_TYPES}"><a:_x>{x:.9g}</a:_x><a:_y>{y:.9g}</a:_y></{name}>'


def _custom_data(truth: MovieTruth, settings: SimulationSettings, detector: str) -> str:
    """Keys and values of one exposure: doses, apertures, camera, defocus."""
    total_e_per_a2 = truth.dose_per_frame_e_per_a2 * settings.frame_count
    exposure_s = settings.frame_time_s * settings.frame_count
    return "".join(
        [
            _pair("DoseOnCamera", "double", f"{total_e_per_a2 * settings.pixel_size_angstrom**2:.12g}"),
            _pair("Aperture[C2].Name", "string", "50"),
            _pair("Aperture[OBJ].Name", "string", "100"),
            _pair(f"Detectors[{detector}].CommercialName", "string", settings.camera.name),
            _pair(f"Detectors[{detector}].ElectronCounted", "boolean", "true"),
            _pair("DoseRate", "double", f"{total_e_per_a2 / exposure_s:.12g}"),
            _pair("Dose", "double", f"{total_e_per_a2 * 1e20:.12E}"),
            _pair("PhasePlateUsed", "boolean", "true" if truth.phase_shift_deg else "false"),
            _pair("BinaryResult.Detector", "string", detector),
            _pair("DetectorCommercialName", "string", settings.camera.name),
            _pair("AppliedDefocus", "double", f"{-truth.target_defocus_um * 1e-6:.6E}"),
        ]
    )


def _camera_input(settings: SimulationSettings, *, eer: bool) -> str:
    """Keys and values of the camera: fractions (none in EER), counting."""
    fractions = (
        "<a:KeyValueOfstringanyType><a:Key>FractionationSettings</a:Key>"
        f'<a:Value i:type="b:EquidistantFractionation" xmlns:b="{_OMP}"><b:NumberOffractions>{settings.frame_count}'
        "</b:NumberOffractions></a:Value></a:KeyValueOfstringanyType>"
    )
    return "".join(
        [
            _pair("AlignIntegratedImageEnabled", "boolean", "false"),
            _pair("SuperResolutionFactor", "long", "1"),
            "" if eer else fractions,
            _pair("ElectronCountingEnabled", "boolean", "true"),
        ]
    )


def epu_xml(truth: MovieTruth, settings: SimulationSettings, *, eer: bool = False) -> str:
    """The XML of one exposure. EER movies have no fractionation in theirs."""
    exposure_s = settings.frame_time_s * settings.frame_count
    pixel_m = settings.pixel_size_angstrom * 1e-10
    detector = "EF-Falcon" if eer else "EF-CCD"
    size = f"<numericValue>{pixel_m:.12E}</numericValue>"
    when = _utc(truth.acquired_utc_us).isoformat()
    shift_x, shift_y = (part / BEAM_SHIFT_UM_PER_UNIT for part in (truth.image_shift_x_um, truth.image_shift_y_um))
    return f"""<MicroscopeImage xmlns="{_SHARED}" xmlns:i="{_INSTANCE}">
<name>Empty</name>
<uniqueID>{uuid5(NAMESPACE_URL, truth.stem)}</uniqueID>
<CustomData xmlns:a="{_ARRAYS}">{_custom_data(truth, settings, detector)}</CustomData>
<IntensityScale i:nil="true"/>
<SpatialScale><offset><x><numericValue>0</numericValue></x><y><numericValue>0</numericValue></y></offset>
<pixelSize><x>{size}</x><y>{size}</y></pixelSize></SpatialScale>
<microscopeData>
<acquisition><acquisitionDateTime>{when}</acquisitionDateTime><analyticalDetectors/>
<camera><Binning xmlns:a="{_DRAWING}"><a:x>1</a:x><a:y>1</a:y></Binning><CameraLocation>EnergyFilter</CameraLocation>
<CameraSpecificInput xmlns:a="{_ARRAYS}">{_camera_input(settings, eer=eer)}</CameraSpecificInput>
<DarkGainCorrection>None</DarkGainCorrection><ExposureTime>{exposure_s:.9g}</ExposureTime><Inserted>true</Inserted>
<Name>{detector}</Name>
<ReadoutArea xmlns:a="{_DRAWING}"><a:height>{settings.height_px}</a:height><a:width>{settings.width_px}</a:width>
<a:x>0</a:x><a:y>0</a:y></ReadoutArea></camera>
<plateCamera><ExposureTime>0</ExposureTime><Use>false</Use></plateCamera></acquisition>
<core><ApplicationSoftware>EPU</ApplicationSoftware><ApplicationSoftwareVersion>3.9.1.8206</ApplicationSoftwareVersion>
</core>
<gun><AccelerationVoltage>{settings.optics.voltage_kv * 1e3:.0f}</AccelerationVoltage></gun>
<instrument><InstrumentID>0</InstrumentID><InstrumentModel>SIMULATED</InstrumentModel></instrument>
<optics>{_point("BeamShift", shift_x, shift_y)}{_point("BeamTilt", 0.0, 0.0)}
<Defocus>{-truth.target_defocus_um * 1e-6:.6E}</Defocus>
<EnergyFilter><EnergySelectionSlitInserted>{str(settings.optics.energy_filter).lower()}</EnergySelectionSlitInserted>
<EnergySelectionSlitWidth>10</EnergySelectionSlitWidth></EnergyFilter>
{_point("ImageShift", 0.0, 0.0)}
<ProbeMode>NanoProbe</ProbeMode><SpotIndex>5</SpotIndex>
<TemMagnification><NominalMagnification>{NOMINAL_MAGNIFICATION}</NominalMagnification></TemMagnification></optics>
<stage><Position><A>0</A><B>0</B><X>{truth.stage_x_um * 1e-6:.9E}</X><Y>{truth.stage_y_um * 1e-6:.9E}</Y><Z>0</Z>
</Position></stage>
</microscopeData>
</MicroscopeImage>
"""


def epu_session(settings: SimulationSettings, *, eer: bool = False) -> str:
    """`EpuSession.dm`, the part of it that says what the movies are."""
    output = "Eer" if eer else "Tiff Lzw Non-Gain normalized"
    namespace = "http://schemas.datacontract.org/2004/07/Applications.Epu.Persistence"
    return f"""<?xml version="1.0"?>
<EpuSessionXml xmlns="{namespace}" xmlns:i="{_INSTANCE}">
<ClusteringMode>ClusteringWithImageBeamShift</ClusteringMode>
<DoseFractionsOutputFormat>{output}</DoseFractionsOutputFormat>
<Name>{settings.name}</Name>
<PhasePlateEnabled>{"true" if settings.optics.phase_shift_deg else "false"}</PhasePlateEnabled>
</EpuSessionXml>
"""


def mdoc(truth: MovieTruth, settings: SimulationSettings, movie_name: str, gain_name: str | None) -> str:
    """SerialEM's frame mdoc, with the line ends of Windows."""
    total = truth.dose_per_frame_e_per_a2 * settings.frame_count
    exposure_s = settings.frame_time_s * settings.frame_count
    # SerialEM sums the doses it is given; what Poisson and ice make of them is not its business.
    rate_e_per_px_s = truth.dose_per_frame_e_per_a2 * settings.pixel_size_angstrom**2 / settings.frame_time_s
    when = _utc(truth.acquired_utc_us)
    stamp = f"{when.day:02d}-{when:%b}-{when:%y}  {when:%H:%M:%S}"
    lines = [
        f"T = SerialEM: Simulated Krios  {stamp}",
        f"Voltage = {settings.optics.voltage_kv:g}",
        "",
        "[FrameSet = 0]",
        "TiltAngle = 0.00",
        f"StagePosition = {truth.stage_x_um:.3f} {truth.stage_y_um:.3f}",
        "StageZ = 0.000",
        f"Magnification = {NOMINAL_MAGNIFICATION}",
        "Intensity = 0.1127",
        f"ExposureDose = {total:.6g}",
        f"DoseRate = {rate_e_per_px_s:.6g}",
        f"PixelSpacing = {settings.pixel_size_angstrom:g}",
        "SpotSize = 5",
        f"Defocus = {-truth.target_defocus_um:.5f}",
        f"ImageShift = {truth.image_shift_x_um:.6g} {truth.image_shift_y_um:.6g}",
        "RotationAngle = 0",
        f"ExposureTime = {exposure_s:.6g}",
        "Binning = 1",
        "CameraIndex = 1",
        "DividedBy2 = 0",
        "CountsPerElectron = 1",
        f"TargetDefocus = {-truth.target_defocus_um:g}",
        *([f"GainReference = {gain_name}"] if gain_name else []),
        f"SubFramePath = X:\\frames\\{movie_name}",
        f"NumSubFrames = {settings.frame_count}",
        f"FrameDosesAndNumber = {truth.dose_per_frame_e_per_a2:.6g} {settings.frame_count}",
        f"DateTime = {stamp}",
    ]
    return "\r\n".join(lines) + "\r\n"
