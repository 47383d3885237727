"""How EPU's squares, holes and exposures are called here, from its numbers and its file names."""

from __future__ import annotations

from pathlib import PurePath

from frazil.models.formats.sidecar import sidecar_key

PROGRAM = "epu"
GRID_ID = "epu:grid"
"""Of a session of EPU over one sample; the reader of several tells them apart."""


def square_id(number: str) -> str:
    """Of a grid square: `AtlasNodeId`, the number in `GridSquare_<number>`."""
    return f"epu:square:{number}"


def hole_id(number: str) -> str:
    """Of a foil hole: `TargetLocationId`, the first number in `FoilHole_<number>_Data_...`."""
    return f"epu:hole:{number}"


def cluster_id(primary: str) -> str:
    """Of the holes that are reached from one (AFIS): `PrimaryId`."""
    return f"epu:cluster:{primary}"


def exposure_id(file_name: str) -> str:
    """Of an exposure, the same from its movie, its XML and its name in a `.dm`.

    >>> exposure_id("FoilHole_5_Data_6_7_20240406_102527_Fractions.tiff")
    'epu:exposure:FoilHole_5_Data_6_7_20240406_102527'
    """
    return f"epu:exposure:{sidecar_key(PurePath(file_name))}"
