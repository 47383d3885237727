"""The squares of a grid from EPU's `Atlas.dm`.

Places on the atlas are pixels of the stitched image. `StagePosition` is of the time of the atlas; for the session EPU
aligns the atlas again (`AtlasAlignmentTransformation`: a turn and a shift) and drives to `AlignedStagePosition`, which
is what `GridSquare_<id>.dm` repeats as `Position`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from frazil.config.errors import RetryLaterError
from frazil.models.formats.grid.dm_xml import UM_PER_M, Dm, read_dm
from frazil.models.formats.grid.epu_ids import GRID_ID, PROGRAM, square_id
from frazil.models.formats.grid.reading import GridNote, GridReading, known_features
from frazil.models.formats.safe_xml import XmlNode
from frazil.models.formats.sidecar_values import utc_us
from frazil.models.grid_target import GridTarget

_SAMPLE = re.compile(r"Sample(\d+)")


def sample_of(parts: Sequence[str]) -> str | None:
    """Slot of the autoloader, from the folders of a path; None: they do not say.

    >>> sample_of(("visit", "Sample4", "Atlas", "Atlas.dm"))
    '4'
    """
    return next((match[1] for part in reversed(parts) if (match := _SAMPLE.fullmatch(part))), None)


def read_atlas(path: Path) -> GridReading:
    """The grid and every square that EPU found on it.

    Raises
    ------
    RetryLaterError
        Not there, or being written.
    FormatError
        Not an atlas of EPU.
    """
    dm = read_dm(path, "AtlasSessionXml")
    atlas = dm.at(dm.root, "Atlas")
    if atlas is None:
        raise RetryLaterError("has no atlas yet", path=path)
    aligned = dm.at(atlas, "AtlasAlignmentTransformation") is not None
    squares: dict[str, GridTarget] = {}
    unplaced: list[str] = []
    for tile in dm.items(atlas, "TilesEfficient"):
        for key, node in dm.pairs(tile, "Nodes/KeyValuePairs"):
            if key in squares:  # a square is listed with every tile that shows it
                continue
            squares[key] = _square(dm, key, node, aligned=aligned)
            if squares[key].stage_x_um is None:
                unplaced.append(key)
    notes = []
    if unplaced:
        what = f"gives no stage position of {len(unplaced)} square(s): {', '.join(unplaced[:5])}"
        notes.append(GridNote(path.name, what, "image these squares; their own files then tell it"))
    if not squares:
        notes.append(GridNote(path.name, "has no squares yet", "none: they come when the atlas is done", again=True))
    return GridReading((_grid(dm, atlas), *squares.values()), tuple(notes))


def _grid(dm: Dm, atlas: XmlNode) -> GridTarget:
    sample = sample_of(dm.path.parts)
    image = dm.text(atlas, "AtlasImageReference/BaseFileName")
    suffix = (dm.text(atlas, "AtlasImageReference/FileFormat") or "").lower()
    return GridTarget(
        GRID_ID,
        "grid",
        PROGRAM,
        f"sample {sample}" if sample else "grid",
        image_path=f"{image}.{suffix}" if image and suffix else None,
        acquired_utc_us=utc_us(dm.text(atlas, "AcquisitionDateTime")),
        said_by=dm.path.name,
    )


def _square(dm: Dm, key: str, node: XmlNode, *, aligned: bool) -> GridTarget:
    place = (aligned and dm.position_um(node, "AlignedStagePosition")) or dm.position_um(node, "StagePosition")
    x_um, y_um, _ = place or (None, None, None)  # Z is 0 in every node: not measured
    features = known_features(
        category_number=dm.number(node, "Category"),
        square_width_um=dm.number(node, "PositionOnTheAtlas/Physical/width", UM_PER_M),
        square_height_um=dm.number(node, "PositionOnTheAtlas/Physical/height", UM_PER_M),
        **{f"atlas_feature_{index}": value for index, value in enumerate(dm.numbers(node, "FeatureVector"), 1)},
    )
    return GridTarget(
        square_id(key),
        "square",
        PROGRAM,
        key,
        GRID_ID,
        x_in_parent_px=dm.number(node, "PositionOnTheAtlas/Center/x"),
        y_in_parent_px=dm.number(node, "PositionOnTheAtlas/Center/y"),
        stage_x_um=x_um,
        stage_y_um=y_um,
        features=features,
        said_by=dm.path.name,
    )
