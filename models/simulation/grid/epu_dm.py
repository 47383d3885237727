"""EPU's `.dm` files of a simulated grid: `Atlas.dm`, `EpuSession.dm`, `Metadata/GridSquare_<id>.dm`.

One line of XML each, with the elements and their nesting as EPU 3.7 writes them; of what EPU also writes (settings of
the camera, types of .NET) only what a reader could look for. Metres and radians.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from frazil.models.simulation.grid.clock import MoveTimes
from frazil.models.simulation.grid.images import Sheet, atlas_sheet, square_sheet
from frazil.models.simulation.grid.survey import BRIGHTEST, DARKEST, VACUUM_COUNTS
from frazil.models.simulation.grid.truth import GridTruth

_PERSISTENCE = "http://schemas.datacontract.org/2004/07/Applications.Epu.Persistence"
_ATLAS = "http://schemas.datacontract.org/2004/07/Applications.SciencesAppsShared.GridAtlas.Persistence"
_MODEL = "http://schemas.datacontract.org/2004/07/Applications.SciencesAppsShared.GridAtlas.Datamodel"
_SHARED = "http://schemas.datacontract.org/2004/07/Fei.SharedObjects"
_COMMON = "http://schemas.datacontract.org/2004/07/Fei.Applications.Common.Types"
_DRAWING = "http://schemas.datacontract.org/2004/07/System.Drawing"
_ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
_GENERIC = "http://schemas.datacontract.org/2004/07/System.Collections.Generic"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_SERIAL = "http://schemas.microsoft.com/2003/10/Serialization/"

AREA_ID, SETTING_ID = 4_601_896, 4_601_898
"""The one place of the template, and its camera setting."""
WINDOWS_ROOT = "X:\\simulated"
DEFOCUS_UM = (1.0, 1.3, 1.6, 1.9)


@dataclass(frozen=True, slots=True)
class HoleState:
    """One hole as EPU knows it now."""

    number: int
    x_px: float
    y_px: float
    x_um: float
    y_um: float
    mean_counts: float
    sd_counts: float
    near_bar: bool
    selected: bool
    order: int
    exposure: str | None = None
    """Name of its image without an ending; None: not taken."""
    image: str | None = None
    """Of the hole itself."""


def _root(name: str, space: str, content: str) -> str:
    return (
        f'<{name} z:Id="1" z:Type="{name}" xmlns="{space}" xmlns:i="{_INSTANCE}" xmlns:z="{_SERIAL}">{content}</{name}>'
    )


def _id(number: int) -> str:
    return f'<Id xmlns="{_COMMON}">{number}</Id>'


def _place(name: str, x_um: float, y_um: float, z_um: float = 0.0) -> str:
    parts = (("A", 0.0), ("B", 0.0), ("X", x_um * 1e-6), ("Y", y_um * 1e-6), ("Z", z_um * 1e-6))
    inner = "".join(f"<s:{axis}>{value:.12G}</s:{axis}>" for axis, value in parts)
    return f'<{name} xmlns:s="{_SHARED}">{inner}</{name}>'


def _point(name: str, x: float, y: float) -> str:
    return f'<{name} xmlns:d="{_DRAWING}"><d:x>{x:.9g}</d:x><d:y>{y:.9g}</d:y></{name}>'


def _time(utc_us: int) -> str:
    return datetime.fromtimestamp(utc_us / 1e6, tz=UTC).isoformat()


def _pairs(kind: str, entries: Iterable[tuple[int, str]]) -> str:
    """A serialised dictionary of numbers and objects."""
    listed = [
        f"<b:KeyValuePairOfint{kind}><b:key>{key}</b:key><b:value>{value}</b:value></b:KeyValuePairOfint{kind}>"
        for key, value in entries
    ]
    return (
        f'<a:m_serializationArray xmlns:a="{_ARRAYS}" xmlns:b="{_GENERIC}" z:Size="{len(listed)}">{"".join(listed)}'
        "</a:m_serializationArray>"
    )


def atlas_dm(truth: GridTruth, utc_us: int) -> str:
    """The atlas is one tile; it knows squares, where they lie, and nothing of their holes."""
    sheet = atlas_sheet(truth)
    nodes = "".join(
        '<KeyValuePairOfintNodeXml30oatNZW xmlns="'
        f'{_GENERIC}"><key>{square.number}</key><value xmlns:b="{_ATLAS}">{_node(truth, at, sheet)}</value>'
        "</KeyValuePairOfintNodeXml30oatNZW>"
        for at, square in enumerate(truth.squares)
    )
    tile = (
        f"<TileXml>{_id(4_590_151)}{_point('AtlasPixelPosition', 0, 0)}"
        f'<Nodes><KeyValuePairs xmlns="">{nodes}</KeyValuePairs></Nodes>{_place("StagePosition", 0.0, 0.0)}'
        f'<TileImageReference xmlns:c="{_COMMON}"><c:BaseFileName>Tile_4590151_0_0</c:BaseFileName>'
        "<c:FileFormat>Mrc</c:FileFormat></TileImageReference></TileXml>"
    )
    atlas = (
        f"<Atlas>{_id(3_436_163)}<AcquisitionDateTime>{_time(utc_us)}</AcquisitionDateTime>"
        f'<AtlasImageReference xmlns:c="{_COMMON}"><c:BaseFileName>Atlas_1</c:BaseFileName>'
        "<c:FileFormat>Mrc</c:FileFormat></AtlasImageReference>"
        f"<TilesEfficient><_items>{tile}</_items><_size>1</_size></TilesEfficient></Atlas>"
    )
    return _root("AtlasSessionXml", _ATLAS, _id(3_436_163) + atlas)


def _node(truth: GridTruth, at: int, sheet: Sheet) -> str:
    square = truth.squares[at]
    x, y = (float(part) for part in sheet.pixel(np.array(square.x_um), np.array(square.y_um)))
    side_um = truth.settings.film.square_pitch_um - truth.settings.film.bar_um
    side_px = side_um / sheet.um_per_px
    physical = "".join(
        f"<d:{name}>{value:.9G}</d:{name}>"
        for name, value in (
            ("height", side_um * 1e-6),
            ("width", side_um * 1e-6),
            ("x", (square.x_um - 0.5 * side_um) * 1e-6),
            ("y", (square.y_um - 0.5 * side_um) * 1e-6),
        )
    )
    return (
        f'{_id(square.number)}<b:Category i:nil="true"/>'
        f'<b:PositionOnTheAtlas xmlns:c="{_MODEL}">{_point("c:Center", x, y)}'
        f'<c:Physical xmlns:d="{_DRAWING}">{physical}</c:Physical><c:Quality>1</c:Quality>'
        f'<c:Size xmlns:d="{_DRAWING}"><d:height>{side_px:.6g}</d:height><d:width>{side_px:.6g}</d:width></c:Size>'
        f"</b:PositionOnTheAtlas>{_place('b:StagePosition', square.x_um, square.y_um)}"
    )


def session_dm(truth: GridTruth, name: str, utc_us: int, times: MoveTimes, *, output: str, atlas: str) -> str:
    """`output`: format of the movies in EPU's words; `atlas`: folders of `Atlas.dm` below the microscope's drive."""
    film = truth.settings.film
    squares = _pairs(
        "SerializedReferenceOfGridSquareXml_PsqDC3X0m6koiAE_P",
        (
            (one.number, f'<c:FileName xmlns:c="{_COMMON}">Metadata\\GridSquare_{one.number}.dm</c:FileName>')
            for one in truth.squares
        ),
    )
    holes = (
        f"<FilterHolesSettings><IsCalibrated>false</IsCalibrated><MaximumIntensity>{BRIGHTEST * VACUUM_COUNTS:.6g}"
        f"</MaximumIntensity><MinimumIntensity>{DARKEST * VACUUM_COUNTS:.6g}</MinimumIntensity>"
        f"<HoleSize>{film.hole_diameter_um * 1e-6:.6E}</HoleSize><HoleSpacing>{film.hole_spacing_um * 1e-6:.6E}"
        f"</HoleSpacing><Rotation>{math.radians(truth.lattice_turn_deg):.6g}</Rotation></FilterHolesSettings>"
    )
    sample = (
        f"<SampleXml>{_id(4_600_930)}<AtlasId>{WINDOWS_ROOT}\\{atlas}\\Atlas.dm</AtlasId>"
        "<FilterGridSquaresSettings><MaximumIntensity>65535</MaximumIntensity><MinimumIntensity>0</MinimumIntensity>"
        f"</FilterGridSquaresSettings>{holes}<GridSquares>{squares}</GridSquares>"
        f"<StartDateTime>{_time(utc_us)}</StartDateTime>{_template(times)}</SampleXml>"
    )
    mode = "ClusteringWithImageBeamShift" if times.reach_um > 0.0 else "NoClustering"
    return _root(
        "EpuSessionXml",
        _PERSISTENCE,
        f"{_id(4_600_928)}<ClusteringMode>{mode}</ClusteringMode><ClusteringRadius>{times.reach_um * 1e-6:.6g}"
        f"</ClusteringRadius><DoseFractionsOutputFormat>{output}</DoseFractionsOutputFormat><Name>{name}</Name>"
        "<PhasePlateEnabled>false</PhasePlateEnabled>"
        "<RemoveHolesCloseToGridBarOnAutomaticRun>true</RemoveHolesCloseToGridBarOnAutomaticRun>"
        f"<Samples><_items>{sample}</_items><_size>1</_size></Samples><StartDateTime>{_time(utc_us)}</StartDateTime>",
    )


def _template(times: MoveTimes) -> str:
    defocus = "".join(f'<a:double xmlns:a="{_ARRAYS}">{-value * 1e-6:.3E}</a:double>' for value in DEFOCUS_UM)
    area = _pairs(
        "DataAcquisitionAreaXmlBpEWF4JT",
        [
            (
                AREA_ID,
                f"{_id(AREA_ID)}<ImageAcquisitionSettingXml>{_id(SETTING_ID)}<Defocus>{defocus}</Defocus>"
                '<ExposureTime>1.6</ExposureTime></ImageAcquisitionSettingXml><ShiftInPixels xmlns:c="'
                f'{_DRAWING}"><c:height>0</c:height><c:width>0</c:width></ShiftInPixels>',
            )
        ],
    )
    return (
        "<TargetAreaTemplate><AutoFocusArea><Recurrence>AfterDistance</Recurrence><RecurrenceDistance>8E-06"
        f"</RecurrenceDistance></AutoFocusArea><DataAcquisitionAreas>{area}</DataAcquisitionAreas>"
        f"<DelayAfterImageShift>{times.shift_s:g}</DelayAfterImageShift>"
        f"<DelayAfterStageShift>{times.wait_s:g}</DelayAfterStageShift>"
        f"<MaximumImageShift>{times.reach_um * 1e-6:.6g}</MaximumImageShift></TargetAreaTemplate>"
    )


def square_dm(
    truth: GridTruth, at: int, *, holes: Sequence[HoleState] = (), image: str | None = None, order: int = -1
) -> str:
    """A stub without `image`; with it the square was imaged and its holes were found."""
    square, film = truth.squares[at], truth.settings.film
    folder = f"{WINDOWS_ROOT}\\session\\Images-Disc1\\GridSquare_{square.number}"
    taken = sum(one.exposure is not None for one in holes)
    wanted = sum(one.selected for one in holes)
    state = "None" if image is None else "Completed" if wanted and taken == wanted else "InProgress"
    path = '<GridSquareImagePath i:nil="true"/>'
    if image is not None:
        path = f"<GridSquareImagePath>{folder}\\{image}.mrc</GridSquareImagePath>"
    turn = math.radians(truth.lattice_turn_deg)
    diameter_px = film.hole_diameter_um / square_sheet(truth, at).um_per_px
    listed = _pairs(
        "TargetLocationXmlBpEWF4JT",
        ((one.number, _target(one, square.number, folder, diameter_px)) for one in holes),
    )
    return _root(
        "GridSquareXml",
        _PERSISTENCE,
        f'{_id(square.number)}<AtlasNodeId>{square.number}</AtlasNodeId><CategoryNumber i:nil="true"/>{path}'
        f"<HoleSpacing>{film.hole_spacing_um * 1e-6 if holes else 0.0:.9G}</HoleSpacing><Order>{order}</Order>"
        f"{_place('Position', square.x_um, square.y_um)}<Rotation>{turn if holes else 0.0:.9G}</Rotation>"
        f"<Selected>{str(image is not None).lower()}</Selected><State>{state}</State><TargetLocations>"
        f'<GridSquareId>{square.number}</GridSquareId><TargetLocations i:nil="true"/>'
        f"<TargetLocationsEfficient>{listed}</TargetLocationsEfficient></TargetLocations><Unusable>false</Unusable>",
    )


def _target(one: HoleState, square: int, folder: str, diameter_px: float) -> str:
    state = "Completed" if one.exposure is not None else "Defined"
    image = '<FoilHoleImagePath i:nil="true"/>'
    if one.image is not None:
        image = f"<FoilHoleImagePath>{folder}\\FoilHoles\\{one.image}.mrc</FoilHoleImagePath>"
    primary = f"<PrimaryId>{one.number}</PrimaryId>" if one.selected else '<PrimaryId i:nil="true"/>'
    return (
        f'{_id(one.number)}<BeamShiftId i:nil="true"/>{_place("CorrectedStagePosition", 0.0, 0.0)}'
        f"<FilterProperties><PixelIntensityMean>{one.mean_counts:.6f}</PixelIntensityMean><PixelIntensityStDev>"
        f"{one.sd_counts:.6f}</PixelIntensityStDev></FilterProperties>{image}<GridSquareId>{square}</GridSquareId>"
        f"<IsNearGridBar>{str(one.near_bar).lower()}</IsNearGridBar><IsPositionCorrected>false</IsPositionCorrected>"
        f"<IsPositionRefined>false</IsPositionRefined><Order>{one.order}</Order>{_acquisitions(one)}"
        f"{_point('PixelCenter', one.x_px, one.y_px)}"
        f'<PixelWidthHeight xmlns:d="{_DRAWING}"><d:height>{diameter_px:.6g}</d:height><d:width>{diameter_px:.6g}'
        f"</d:width></PixelWidthHeight>{primary}<Quality>1</Quality><Selected>{str(one.selected).lower()}</Selected>"
        f"{_place('StagePosition', one.x_um, one.y_um)}<State>{state}</State>"
    )


def _acquisitions(one: HoleState) -> str:
    if one.exposure is None:
        return '<ParticleAcquisitions><KeyValuePairs xmlns=""/></ParticleAcquisitions>'
    key = 10_000_000 + one.number
    return (
        f'<ParticleAcquisitions><KeyValuePairs xmlns="" xmlns:b="{_GENERIC}">'
        f'<b:KeyValuePairOfintParticleAcquisitionDataXmlBpEWF4JT><b:key>{key}</b:key><b:value xmlns:c="{_PERSISTENCE}">'
        f"{_id(key)}<c:DataAcquisitionAreaId>{AREA_ID}</c:DataAcquisitionAreaId>"
        f'<c:Image xmlns:d="{_COMMON}"><d:BaseFileName>{one.exposure}</d:BaseFileName><d:FileFormat>Tiff</d:FileFormat>'
        f"</c:Image><c:ImageAcquisitionSettingId>{SETTING_ID}</c:ImageAcquisitionSettingId>"
        f"<c:TargetLocationId>{one.number}</c:TargetLocationId></b:value>"
        "</b:KeyValuePairOfintParticleAcquisitionDataXmlBpEWF4JT></KeyValuePairs></ParticleAcquisitions>"
    )
