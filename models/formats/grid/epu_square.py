"""The holes of one square, and what was exposed in them, from EPU's `Metadata/GridSquare_<id>.dm`.

A stub of some kB for every square early on; it grows when the square's holes are found, and is rewritten as holes are
chosen and taken. Holes lie in `TargetLocationsEfficient` (regular films) or `TargetLocations` (lacey). Their places are
pixels of the full square image, an affine map of the stage; that of one square is fitted from its own holes.

A hole that is not chosen may have been left out by a filter, by the bars of the grid or by a person: the file does not
tell, so it is only `seen`. What EPU gives up (`Failed`, `Skipped`, `Unusable`) is `avoided`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from frazil.config.errors import FormatError
from frazil.models.formats.epu_xml import epu_names
from frazil.models.formats.grid.affine import PixelToStage, fit_pixel_to_stage
from frazil.models.formats.grid.dm_xml import UM_PER_M, Dm, read_dm
from frazil.models.formats.grid.epu_ids import GRID_ID, PROGRAM, cluster_id, exposure_id, hole_id, square_id
from frazil.models.formats.grid.reading import GridNote, GridReading, known_features
from frazil.models.formats.grid.windows_path import tail_from
from frazil.models.formats.safe_xml import XmlNode
from frazil.models.formats.sidecar_values import whole_number
from frazil.models.grid_target import GridTarget

_GIVEN_UP = ("failed", "skipped", "unusable", "aborted", "excluded")
_IN_WORK = ("defined", "inprogress", "queued", "completed", "acquired")
_MOST_RESIDUAL_UM = 0.5
"""Of stage positions from an affine map of the image; real ones follow it to 1e-5 um."""
_HOLES = ("TargetLocations/TargetLocationsEfficient/m_serializationArray", "TargetLocations/TargetLocations")
_LACEY = "KeyValuePairs"


def read_grid_square(path: Path) -> GridReading:
    """The square, its holes in EPU's order, and the exposures under them.

    Raises
    ------
    RetryLaterError
        Not there, or being written.
    FormatError
        Not a square of EPU, or one without a number.
    """
    dm = read_dm(path, "GridSquareXml")
    number = dm.id(dm.root, "AtlasNodeId") or dm.id(dm.root, "Id") or _number_in(path)
    if number is None:
        raise FormatError("does not say of which square it is", path=path, remedy="check that EPU wrote it")
    notes: list[GridNote] = []
    holes: dict[str, GridTarget] = {}
    exposures: dict[str, GridTarget] = {}
    as_written: list[GridTarget] = []
    repeated: list[str] = []
    for key, node in _hole_nodes(dm):
        hole, place = _hole(dm, key, node, square_id(number), notes)
        repeated += [key] if hole.target_id in holes else []
        taken = tuple(_exposures(dm, node, hole))
        holes[hole.target_id] = replace(hole, state="exposed") if taken else hole
        as_written.append(place)
        exposures |= {one.target_id: one for one in taken}
    if repeated:
        what = f"lists {len(repeated)} hole(s) twice: {', '.join(repeated[:5])}"
        notes.append(GridNote(path.name, what, "none: what stands later in the file counts"))
    fit = fit_pixel_to_stage(as_written)
    if fit is not None and fit.residual_um > _MOST_RESIDUAL_UM:
        what = f"has holes whose stage positions do not follow the image (by {fit.residual_um:.2g} um)"
        notes.append(GridNote(path.name, what, "image the square once more, or take distances on it with care"))
    done = _with_clusters_and_diameters(tuple(holes.values()), fit)
    square = _square(dm, number, exposed=bool(exposures))
    return GridReading((square, *done, *exposures.values()), tuple(notes))


def _number_in(path: Path) -> str | None:
    return epu_names(PurePath(path.stem) / "x").grid_square


def _square(dm: Dm, number: str, *, exposed: bool) -> GridTarget:
    root = dm.root
    state = (dm.text(root, "State") or "").lower()
    if dm.flag(root, "Unusable"):
        word = "avoided"
    elif exposed or state in ("completed", "inprogress"):
        word = "exposed" if exposed or state == "completed" else "chosen"
    else:
        word = "chosen" if dm.flag(root, "Selected") else "seen"
    x_um, y_um, z_um = dm.position_um(root, "Position") or (None, None, None)
    return GridTarget(
        square_id(number),
        "square",
        PROGRAM,
        number,
        GRID_ID,
        word,
        whole_number(dm.text(root, "Order"), low=0) if word in ("chosen", "exposed") else None,
        stage_x_um=x_um,
        stage_y_um=y_um,
        stage_z_um=z_um,
        features=known_features(
            hole_spacing_um=dm.number(root, "HoleSpacing", UM_PER_M) or None,
            category_number=dm.number(root, "CategoryNumber"),
        ),
        image_path=tail_from(dm.text(root, "GridSquareImagePath") or "", "Images-Disc"),
        said_by=dm.path.name,
    )


def _hole_nodes(dm: Dm) -> Iterator[tuple[str, XmlNode]]:
    for path in _HOLES:
        yield from dm.pairs(dm.root, path)
        yield from dm.pairs(dm.root, f"{path}/{_LACEY}")
        yield from dm.pairs(dm.root, f"{path}/m_serializationArray")


def _hole(dm: Dm, key: str, node: XmlNode, parent: str, notes: list[GridNote]) -> tuple[GridTarget, GridTarget]:
    """The hole, and the same where it stood before EPU corrected it: what the image's affine map is fitted to."""
    number = dm.id(node, "Id") or key
    found = dm.position_um(node, "StagePosition")
    corrected = dm.position_um(node, "CorrectedStagePosition") if dm.flag(node, "IsPositionCorrected") else None
    x_um, y_um, z_um = corrected or found or (None, None, None)
    near_bar, state = dm.flag(node, "IsNearGridBar"), _state(dm, node, number, notes)
    primary = dm.id(node, "PrimaryId")
    hole = GridTarget(
        hole_id(number),
        "hole",
        PROGRAM,
        number,
        parent,
        state,
        whole_number(dm.text(node, "Order"), low=0) if dm.flag(node, "Selected") else None,
        group=None if primary is None else cluster_id(primary),
        x_in_parent_px=dm.number(node, "PixelCenter/x"),
        y_in_parent_px=dm.number(node, "PixelCenter/y"),
        stage_x_um=x_um,
        stage_y_um=y_um,
        stage_z_um=z_um,
        diameter_um=dm.number(node, "PixelWidthHeight/width"),  # in pixels until the scale is known
        features=known_features(
            intensity_mean_counts=dm.number(node, "FilterProperties/PixelIntensityMean"),
            intensity_sd_counts=dm.number(node, "FilterProperties/PixelIntensityStDev"),
            near_grid_bar=None if near_bar is None else float(near_bar),
        ),
        image_path=tail_from(dm.text(node, "FoilHoleImagePath") or "", "Images-Disc"),
        said_by=dm.path.name,
    )
    before_x_um, before_y_um, _ = found or (None, None, None)
    return hole, replace(hole, stage_x_um=before_x_um, stage_y_um=before_y_um)


def _state(dm: Dm, node: XmlNode, number: str, notes: list[GridNote]) -> str:
    word = dm.text(node, "State") or ""
    plain = word.lower()
    if plain in ("completed", "acquired"):
        return "exposed"
    if plain in _GIVEN_UP or dm.flag(node, "Unusable"):
        return "avoided"
    if plain and plain not in _IN_WORK and not any(word in note.what for note in notes):
        what = f"says {word!r} of hole {number}, a state that is not known here"
        notes.append(GridNote(dm.path.name, what, "none: whether it is selected counts"))
    return "chosen" if dm.flag(node, "Selected") else "seen"


def _exposures(dm: Dm, node: XmlNode, hole: GridTarget) -> Iterator[GridTarget]:
    for order, (_, value) in enumerate(dm.pairs(node, "ParticleAcquisitions/KeyValuePairs")):
        name = dm.text(value, "Image/BaseFileName")
        if name is not None and epu_names(PurePath(name)).hole is not None:
            yield GridTarget(
                exposure_id(name), "exposure", PROGRAM, name, hole.target_id, "exposed", order, said_by=dm.path.name
            )


def _with_clusters_and_diameters(holes: tuple[GridTarget, ...], fit: PixelToStage | None) -> tuple[GridTarget, ...]:
    """Diameters in um, where the fit gives the scale; a cluster of one is none."""
    sizes = Counter(hole.group for hole in holes)
    return tuple(
        replace(
            hole,
            group=hole.group if sizes[hole.group] > 1 else None,
            diameter_um=None if fit is None or not hole.diameter_um else hole.diameter_um * fit.um_per_px,
        )
        for hole in holes
    )
