"""What EPU writes beside its images of squares and holes: the XML of `GridSquare_<time>` and `FoilHole_<hole>_<time>`.

The newest image of a thing counts. With clusters (AFIS) only the hole in a cluster's centre has an image of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePath

from frazil.config.errors import FormatError
from frazil.models.formats.epu_xml import MAX_IMAGE_XML_BYTES, epu_names, key_values, read_epu_xml
from frazil.models.formats.grid.epu_ids import GRID_ID, PROGRAM, hole_id, square_id
from frazil.models.formats.grid.reading import known_features
from frazil.models.formats.safe_xml import XmlNode, read_xml
from frazil.models.formats.sidecar_values import number
from frazil.models.grid_target import GridTarget
from frazil.models.records import AcquisitionMetadata

_HOLE = re.compile(r"FoilHole_(\d+)_(\d{8})_(\d{4,6})")
_SQUARE = re.compile(r"GridSquare_(\d{8})_(\d{4,6})")
_UM_PER_ANGSTROM = 1e-4


def is_square_image(path: PurePath) -> bool:
    """Whether the name is that of an image of a square, or of its XML."""
    return _SQUARE.fullmatch(path.stem) is not None


def is_hole_image(path: PurePath) -> bool:
    """Whether the name is that of an image of a hole (not of an exposure in it), or of its XML."""
    return _HOLE.fullmatch(path.stem) is not None


def read_square_image(path: Path, image_path: str | None = None) -> GridTarget:
    """Where the stage was and when, of `GridSquare_<id>/GridSquare_<time>.xml`; the square is named by the folder.

    Parameters
    ----------
    image_path:
        Of the image itself, relative to the root, where there is one.

    Raises
    ------
    RetryLaterError
        Not there, or being written.
    FormatError
        Not of an image of EPU, or of no square's folder.
    """
    name = epu_names(path).grid_square
    if name is None:
        raise FormatError("lies in no folder GridSquare_<number>", path=path, remedy="leave it where EPU wrote it")
    image = read_epu_xml(path)
    return _imaged(GridTarget(square_id(name), "square", PROGRAM, name, GRID_ID), image, image_path, path.name)


def read_hole_image(path: Path, image_path: str | None = None) -> GridTarget:
    """Where the stage was, and what EPU found in the middle, of `FoilHole_<hole>_<time>.xml`. Raises as the other."""
    match = _HOLE.fullmatch(path.stem)
    if match is None:
        raise FormatError("is not named as the image of a hole", path=path, remedy="leave the names as EPU made them")
    square = epu_names(path).grid_square
    image = read_epu_xml(path)
    node = next(iter(_exposure_custom_data(path)), None)
    found = key_values(node).get("FindFoilHoleCenterResults")
    width_px = _value(found, "Size/width")
    scale_um = None if image.pixel_size_angstrom is None else image.pixel_size_angstrom * _UM_PER_ANGSTROM
    hole = GridTarget(
        hole_id(match[1]),
        "hole",
        PROGRAM,
        match[1],
        None if square is None else square_id(square),
        diameter_um=None if not width_px or scale_um is None else width_px * scale_um,
        features=known_features(centre_quality=_value(found, "Quality")),
    )
    return _imaged(hole, image, image_path, path.name)


def _imaged(target: GridTarget, image: AcquisitionMetadata, image_path: str | None, said_by: str) -> GridTarget:
    # The stage of a hole's image is where EPU went before it centred the hole: the square's file tells better.
    placed = target.level == "square"
    return replace(
        target,
        stage_x_um=image.stage_x_um if placed else None,
        stage_y_um=image.stage_y_um if placed else None,
        stage_z_um=image.stage_z_um if placed else None,
        image_path=image_path,
        image_width_px=image.image_width_px,
        image_height_px=image.image_height_px,
        acquired_utc_us=image.acquired_utc_us,
        said_by=said_by,
    )


def _exposure_custom_data(path: Path) -> list[XmlNode]:
    root = read_xml(path, max_bytes=MAX_IMAGE_XML_BYTES)
    return [node for node in (root.find("CustomData"), *root.descendants("CustomData")) if node is not None]


def _value(node: XmlNode | None, path: str) -> float | None:
    found = None if node is None else node.find(path)
    return None if found is None else number(found.text)
