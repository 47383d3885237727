"""Files of EPU as its tests need them, written here byte by byte, and the real ones where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


def shared(name: str) -> Path:
    """A file of the shared data; the test is skipped where it is not on this machine."""
    path = Path(os.environ.get("FRAZIL_SHARED_DATA", "")) / "acquisition" / name
    if not path.is_file():
        pytest.skip("the shared sample is not on this machine (FRAZIL_SHARED_DATA)")
    return path


NAMESPACES = (
    'xmlns="http://schemas.datacontract.org/2004/07/Applications.Epu.Persistence" '
    'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:z="http://schemas.microsoft.com/2003/10/Serialization/"'
)


def place(name: str, x_um: float, y_um: float, z_um: float = 90.0) -> str:
    """A stage position, in metres."""
    return f"<{name}><A>0</A><B>0</B><X>{x_um * 1e-6!r}</X><Y>{y_um * 1e-6!r}</Y><Z>{z_um * 1e-6!r}</Z></{name}>"


@dataclass(frozen=True)
class Said:
    """What EPU says of a hole, beside its place."""

    state: str = "Defined"
    selected: bool = True
    order: int = 0
    primary: int | None = None
    corrected_um: tuple[float, float] | None = None
    near_bar: bool = False
    mean: str = "700.5"
    exposures: Sequence[str] = ()


def hole_xml(number: int, x_px: float, y_px: float, stage_um: tuple[float, float], **said: Any) -> str:
    """One entry of a square's holes; `said` as in `Said`."""
    one = Said(**said)
    taken = "".join(
        f"<c:KeyValuePairOfintParticleXYZ><c:key>{n}</c:key><c:value><Image><BaseFileName>{name}</BaseFileName></Image>"
        f"</c:value></c:KeyValuePairOfintParticleXYZ>"
        for n, name in enumerate(one.exposures, 1)
    )
    moved = one.corrected_um is not None
    corrected = place("CorrectedStagePosition", *(one.corrected_um or (0.0, 0.0)), z_um=90.0 if moved else 0.0)
    primary = '<PrimaryId i:nil="true"/>' if one.primary is None else f"<PrimaryId>{one.primary}</PrimaryId>"
    return (
        f'<b:KeyValuePairOfintTargetABC xmlns:b="urn:b" xmlns:c="urn:c"><b:key>{number}</b:key><b:value>'
        f"<Id>{number}</Id>{corrected}<FilterProperties><PixelIntensityMean>{one.mean}</PixelIntensityMean>"
        f"<PixelIntensityStDev>20</PixelIntensityStDev></FilterProperties>"
        f"<IsNearGridBar>{str(one.near_bar).lower()}</IsNearGridBar>"
        f"<IsPositionCorrected>{str(moved).lower()}</IsPositionCorrected><Order>{one.order}</Order>"
        f"<ParticleAcquisitions><KeyValuePairs>{taken}</KeyValuePairs></ParticleAcquisitions>"
        f"<PixelCenter><x>{x_px}</x><y>{y_px}</y></PixelCenter>"
        f"<PixelWidthHeight><height>50</height><width>50</width></PixelWidthHeight>{primary}"
        f"<Selected>{str(one.selected).lower()}</Selected>{place('StagePosition', *stage_um)}"
        f"<State>{one.state}</State></b:value></b:KeyValuePairOfintTargetABC>"
    )


def square_xml(holes: str, *, number: int = 77, lacey: bool = False, extra: str = "") -> str:
    """A whole `GridSquare_<number>.dm`."""
    name, within = ("TargetLocations", holes)
    if not lacey:
        name, within = "TargetLocationsEfficient", f"<m_serializationArray>{holes}</m_serializationArray>"
    listed = f"<{name}>{within}</{name}>"
    return (
        f'<?xml version="1.0"?><GridSquareXml {NAMESPACES}><AtlasNodeId>{number}</AtlasNodeId>'
        f"<HoleSpacing>2.5E-06</HoleSpacing><Order>3</Order>{place('Position', 10.0, -20.0)}<Selected>true</Selected>"
        f"<State>InProgress</State><TargetLocations>{listed}</TargetLocations>{extra}</GridSquareXml>"
    )


def image_xml(x_um: float, y_um: float, *, found: str = "") -> str:
    """The XML beside an image of a square or a hole: 2880 x 2046 pixels of 16 A."""
    custom = (
        '<a:KeyValueOfstringanyType xmlns:a="urn:a"><a:Key>FindFoilHoleCenterResults</a:Key>'
        f"<a:Value>{found}</a:Value></a:KeyValueOfstringanyType>"
        if found
        else ""
    )
    size = "<x><numericValue>1.6E-09</numericValue></x><y><numericValue>1.6E-09</numericValue></y>"
    return (
        f"<MicroscopeImage><CustomData>{custom}</CustomData>"
        f"<SpatialScale><pixelSize>{size}</pixelSize></SpatialScale><microscopeData><acquisition>"
        "<acquisitionDateTime>2024-04-06T10:24:17.85+01:00</acquisitionDateTime><camera><ReadoutArea>"
        "<height>2046</height><width>2880</width></ReadoutArea></camera></acquisition>"
        f"<stage>{place('Position', x_um, y_um)}</stage></microscopeData></MicroscopeImage>"
    )
