"""What EPU (Thermo Fisher) says of an exposure and of a session.

Read from files of EPU 1.x to 3.x by their meaning, not by position: names without namespaces, values found by key.

Units in the file are SI and become ours: V -> kV, m -> A or um, rad -> deg or mrad, e/m2 -> e/A2.

Pixel size
    `SpatialScale/pixelSize` belongs to the image of `camera/ReadoutArea` (the sum beside the XML), not to the movie:
    with a K3 at `Binning` 2 and `SuperResolutionFactor` 2 the image has 2880 x 2046 pixels and the movie 5760 x 4092.
    Both are recorded, and `frazil.models.formats.acquisition` scales by the field of view, the same for both.
Dose
    `Dose` is on the specimen, e/m2. `DoseOnCamera` is e per pixel of that image: DoseOnCamera = Dose * pixelSize^2.
    Zero means not calibrated.
Defocus
    `AppliedDefocus` is what was asked for, in m, negative is underfocus; ours is positive. `optics/Defocus` counts from
    wherever the operator last zeroed it and is used only in files without `AppliedDefocus`.
Beam shift
    `BeamShift` and `ImageShift` come without a unit (189 exposures of EPU 2.6 on one Krios: some 25 um for 1 of
    BeamShift, and zero ImageShift). They tell places of a pattern apart; `microscope.beam_shift_um_per_unit` makes a
    length of the former. Exposures that share one are named by the number after `Data_` in the file name.
Frames
    `NumberOffractions` (K2, K3, Falcon 4) or the `DoseFractions` listed one by one (Falcon 3). EER keeps every camera
    frame, of which the XML does not give the number.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path, PurePath

from frazil.config.errors import FormatError
from frazil.models.formats.safe_xml import XmlNode, read_xml
from frazil.models.formats.sidecar_values import file_name, number, truth, utc_us, whole_number
from frazil.models.records import AcquisitionMetadata

MAX_IMAGE_XML_BYTES = 4 * 1024**2
MAX_SESSION_XML_BYTES = 64 * 1024**2
_GRID_SQUARE = re.compile(r"GridSquare_(\w+)")
_EXPOSURE = re.compile(r"FoilHole_(\d+)_Data_(\d+)_(\d+)_(\d{8})_(\d{4,6})")
_ANGSTROM_PER_M = 1e10
_UM_PER_M = 1e6
_A2_PER_M2 = 1e20


@dataclass(frozen=True, slots=True)
class EpuNames:
    """What EPU writes into file and folder names; None where it does not."""

    grid_square: str | None = None
    hole: str | None = None
    beam_shift_group: str | None = None


@dataclass(frozen=True, slots=True)
class EpuSession:
    """Facts of a whole session from `EpuSession.dm`. `None`: not said."""

    name: str | None = None
    started_utc_us: int | None = None
    output_format: str | None = None
    """Of the movies, as EPU writes it, e.g. `Tiff Lzw Non-Gain normalized`."""
    gain_corrected: bool | None = None
    """Whether the movies are gain-normalized, by `output_format`."""
    beam_shift_clustering: bool | None = None
    """AFIS: holes around a centre are reached with beam and image shift instead of the stage."""
    hole_size_um: float | None = None
    hole_spacing_um: float | None = None
    phase_plate: bool | None = None


def epu_names(path: PurePath) -> EpuNames:
    """Grid square, hole and beam-shift group from the path of a movie or its XML."""
    grid_square = next((m[1] for part in reversed(path.parts[:-1]) if (m := _GRID_SQUARE.fullmatch(part))), None)
    match = _EXPOSURE.match(path.name)
    return EpuNames(grid_square, match[1] if match else None, match[2] if match else None)


def read_epu_xml(path: Path) -> AcquisitionMetadata:
    """The XML of one exposure (`FoilHole_..._Data_....xml`).

    Raises
    ------
    RetryLaterError
        Not there or not fully written yet.
    FormatError
        Not an exposure of EPU, or damaged.
    """
    image = _exposure_node(read_xml(path, max_bytes=MAX_IMAGE_XML_BYTES), path)
    custom = key_values(image.find("CustomData"))
    camera_node = image.find("microscopeData/acquisition/camera")
    camera_input = key_values(camera_node.find("CameraSpecificInput") if camera_node else None)
    pixel = _pixel_size_angstrom(image, path)
    frame_count = None if _writes_eer(custom, camera_input) else _fraction_count(camera_node)
    total_dose = _total_dose(custom, pixel)
    names = epu_names(path)
    width, height = (_integer(camera_node, f"ReadoutArea/{side}") for side in ("width", "height"))
    metadata = AcquisitionMetadata(
        voltage_kv=_scaled(image, "microscopeData/gun/AccelerationVoltage", 1e-3),
        pixel_size_angstrom=pixel,
        dose_per_frame_e_per_a2=total_dose / frame_count if total_dose and frame_count else None,
        total_dose_e_per_a2=total_dose,
        frame_count=frame_count,
        exposure_time_s=_scaled(camera_node, "ExposureTime", 1.0),
        phase_plate=truth(_text(custom.get("PhasePlateUsed"))),
        target_defocus_um=_defocus_um(custom, image),
        stage_x_um=_scaled(image, "microscopeData/stage/Position/X", _UM_PER_M),
        stage_y_um=_scaled(image, "microscopeData/stage/Position/Y", _UM_PER_M),
        stage_z_um=_scaled(image, "microscopeData/stage/Position/Z", _UM_PER_M),
        stage_tilt_deg=_scaled(image, "microscopeData/stage/Position/A", 180.0 / math.pi),
        image_shift_x_au=_scaled(image, "microscopeData/optics/ImageShift/_x", 1.0),
        image_shift_y_au=_scaled(image, "microscopeData/optics/ImageShift/_y", 1.0),
        beam_shift_x_au=_scaled(image, "microscopeData/optics/BeamShift/_x", 1.0),
        beam_shift_y_au=_scaled(image, "microscopeData/optics/BeamShift/_y", 1.0),
        beam_shift_group=names.beam_shift_group,
        beam_tilt_x_mrad=_scaled(image, "microscopeData/optics/BeamTilt/_x", 1e3),
        beam_tilt_y_mrad=_scaled(image, "microscopeData/optics/BeamTilt/_y", 1e3),
        image_width_px=width,
        image_height_px=height,
        image_binning=_scaled(camera_node, "Binning/x", 1.0),
        grid_square=names.grid_square,
        hole=names.hole,
        acquired_utc_us=utc_us(_text(image.find("microscopeData/acquisition/acquisitionDateTime"))),
        camera=_camera_name(custom, camera_node),
        microscope=_text(image.find("microscopeData/instrument/InstrumentModel"))
        or _text(image.find("microscopeData/instrument/InstrumentID")),
        gain_reference=_gain_reference(custom),
        energy_filter=truth(
            _text(image.find("microscopeData/optics/EnergyFilter/EnergySelectionSlitInserted")),
        ),
    )
    return with_source(metadata, f"sidecar {path.name}")


def _exposure_node(root: XmlNode, path: Path) -> XmlNode:
    """The node of the exposure, at whatever depth. Raises FormatError where there is none."""
    image = root if root.name == "MicroscopeImage" else next(root.descendants("MicroscopeImage"), None)
    if image is None:
        raise FormatError(
            f"is XML, but not of an EPU exposure (<{root.name}> instead of <MicroscopeImage>)",
            path=path,
            remedy="leave only EPU's own XML beside the movies, or set intake.sidecar: ignore",
        )
    return image


def with_source(metadata: AcquisitionMetadata, source: str) -> AcquisitionMetadata:
    """The same with `source` recorded for every field that is not None."""
    values = {field.name: getattr(metadata, field.name) for field in fields(metadata)}
    values["sources"] = tuple(
        (name, source) for name in values if name not in ("sources", "not_used") and values[name] is not None
    )
    return AcquisitionMetadata(**values)


def read_epu_session(path: Path) -> EpuSession:
    """Session-level facts from `EpuSession.dm`.

    Raises
    ------
    RetryLaterError
        Not there or not fully written yet.
    FormatError
        Not an EPU session.
    """
    root = read_xml(path, max_bytes=MAX_SESSION_XML_BYTES)
    if root.name != "EpuSessionXml":
        raise FormatError(f"is XML, but not an EPU session (<{root.name}>)", path=path)
    output_format = _text(root.find("DoseFractionsOutputFormat"))
    clustering = _text(root.find("ClusteringMode"))
    holes = next(root.descendants("FilterHolesSettings"), None)
    return EpuSession(
        name=_text(root.find("Name")),
        started_utc_us=utc_us(_text(root.find("StartDateTime"))),
        output_format=output_format,
        gain_corrected=_is_gain_corrected(output_format),
        beam_shift_clustering=None if clustering is None else "beamshift" in clustering.lower(),
        hole_size_um=_scaled(holes, "HoleSize", _UM_PER_M, low=1e-3),
        hole_spacing_um=_scaled(holes, "HoleSpacing", _UM_PER_M, low=1e-3),
        phase_plate=truth(_text(root.find("PhasePlateEnabled"))),
    )


def _is_gain_corrected(output_format: str | None) -> bool | None:
    plain = re.sub(r"[^a-z]", "", (output_format or "").lower())
    if "nongainnormalized" in plain or "unnormalized" in plain or "eer" in plain:
        return False
    return True if "gainnormalized" in plain else None


def _text(node: XmlNode | None) -> str | None:
    return node.text or None if node is not None else None


def _scaled(
    node: XmlNode | None, path: str, factor: float, *, low: float = -math.inf, high: float = math.inf
) -> float | None:
    """Value at `path` times `factor`; `low` and `high` are limits of the result."""
    value = number(_text(node.find(path))) if node is not None else None
    if value is None:
        return None
    # Twelve digits: 300000 V * 1e-3 is 300 kV and not 300.00000000000006.
    scaled = float(f"{value * factor:.12g}")
    return scaled if low <= scaled <= high else None


def _integer(node: XmlNode | None, path: str) -> int | None:
    return whole_number(_text(node.find(path))) if node is not None else None


def key_values(node: XmlNode | None) -> dict[str, XmlNode]:
    """All pairs of a .NET dictionary, however deep it is wrapped (`Key`/`Value`, `key`/`value`)."""
    pairs: dict[str, XmlNode] = {}
    for pair in node.descendants() if node is not None else ():
        by_name = {child.name.lower(): child for child in pair.children}
        if "key" in by_name and "value" in by_name:
            pairs.setdefault(by_name["key"].text, by_name["value"])
    return pairs


def _pixel_size_angstrom(image: XmlNode, path: Path) -> float | None:
    x, y = (_scaled(image, f"SpatialScale/pixelSize/{axis}/numericValue", _ANGSTROM_PER_M) for axis in ("x", "y"))
    x, y = x or y, y or x  # 0: not said
    if x is not None and y is not None and abs(x - y) > 0.01 * abs(x):
        raise FormatError(f"gives different pixel sizes along x ({x:g} A) and y ({y:g} A)", path=path)
    return x if x is not None else y


def _fraction_count(camera: XmlNode | None) -> int | None:
    for node in camera.descendants() if camera is not None else ():
        if node.name.lower() == "numberoffractions":
            return whole_number(node.text)
        if node.name == "DoseFractions":
            return len(node.children) or None
    return None


def _writes_eer(custom: dict[str, XmlNode], camera_input: dict[str, XmlNode]) -> bool:
    # Falcon 4 in TIFF mode names an EER gain reference too, but has compression switched on.
    compressed = truth(_text(camera_input.get("EnableCompression")))
    return not compressed and any(key.endswith(".EerGainReference") and custom[key].text for key in custom)


def _total_dose(custom: dict[str, XmlNode], pixel_size_angstrom: float | None) -> float | None:
    dose_per_m2 = number(_text(custom.get("Dose")))
    if dose_per_m2:
        return float(f"{dose_per_m2 / _A2_PER_M2:.12g}")
    dose_per_px = number(_text(custom.get("DoseOnCamera")))
    return dose_per_px / pixel_size_angstrom**2 if dose_per_px and pixel_size_angstrom else None


def _defocus_um(custom: dict[str, XmlNode], image: XmlNode) -> float | None:
    applied = number(_text(custom.get("AppliedDefocus")))
    if applied is None:
        applied = number(_text(image.find("microscopeData/optics/Defocus")))
    return None if applied is None else float(f"{-applied * _UM_PER_M:.12g}")


def _camera_name(custom: dict[str, XmlNode], camera: XmlNode | None) -> str | None:
    commercial = [node.text for key, node in sorted(custom.items()) if key.endswith("CommercialName") and node.text]
    return commercial[0] if commercial else _text(camera.find("Name")) if camera is not None else None


def _gain_reference(custom: dict[str, XmlNode]) -> str | None:
    for suffix in (".EerGainReference", ".GainReference"):
        for key in sorted(custom):
            if key.endswith(suffix) and (name := file_name(custom[key].text)):
                return name
    return None
