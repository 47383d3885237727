"""Which place on the grid a movie was taken at: by its name where that says it, by the stage where nothing else does.

A wrong link is worse than none: where two places are as likely, or only the position of the stage is known and the beam
was shifted by nobody knows how far, there is no link, and its reason is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from frazil.models.formats.epu_xml import epu_names
from frazil.models.formats.grid.epu_ids import exposure_id, hole_id
from frazil.models.formats.grid.leginon_names import leginon_targets
from frazil.models.formats.serialem_mdoc import parse_mdoc, read_mdoc_text, section_of
from frazil.models.formats.sidecar import sidecar_key
from frazil.models.grid_target import GridTarget
from frazil.models.records import AcquisitionMetadata

UmPerShift = tuple[tuple[float, float], tuple[float, float]]
"""Stage um for one unit of EPU's beam shift in x (first column) and y."""
_LABEL_WITHIN_UM = 10.0
"""An item's stage position and that of a movie taken at it differ by the realignment, not by more than this."""


@dataclass(frozen=True, slots=True)
class MovieLink:
    """Where a movie belongs."""

    target_id: str | None
    """The exposure where a file names it, else the hole, else the patch; None: nowhere for sure."""
    how: str
    """`EPU name`, `navigator label`, `Leginon name`, `name`, `stage`, or `none`."""
    reason: str = ""
    """Why there is no link, or no closer one."""


@dataclass(frozen=True, slots=True)
class SerialemPlace:
    """What an mdoc says of the place of a movie."""

    label: str | None = None
    """`NavigatorLabel`: written while SerialEM acquires at its items."""
    hole: str | None = None
    """Of an array, in steps from its middle (`-1 1`), or its number in a custom pattern (`3`)."""
    position: int | None = None
    """In the hole: 0 is the middle."""


def serialem_place(path: Path, *, movie_name: str | None = None, settled: bool = False) -> SerialemPlace:
    """From the mdoc of a movie. Raises as `frazil.models.formats.serialem_mdoc.read_mdoc` does."""
    mdoc = parse_mdoc(read_mdoc_text(path), path=path)
    values = section_of(mdoc, path, movie_name, settled=settled).values
    words = values.get("MultishotHoleAndPosition", "").split()
    label = values.get("NavigatorLabel") or None
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        return SerialemPlace(label)
    if len(numbers) not in (2, 3):
        return SerialemPlace(label)
    return SerialemPlace(label, " ".join(map(str, numbers[:-1])), numbers[-1])


class TargetIndex:
    """Targets of a session, to be asked for one movie after another."""

    def __init__(self, targets: Iterable[GridTarget]) -> None:
        self.by_id = {target.target_id: target for target in targets}
        self.by_name: dict[tuple[str, str], list[GridTarget]] = defaultdict(list)
        self._placed: list[GridTarget] = []
        for target in self.by_id.values():
            self.by_name[target.program, target.name].append(target)
            if target.level == "hole" and target.stage_x_um is not None and target.stage_y_um is not None:
                self._placed.append(target)
        self._stage_um = np.array([(one.stage_x_um, one.stage_y_um) for one in self._placed]).reshape(-1, 2)

    def holes_near(self, x_um: float, y_um: float, within_um: float) -> list[GridTarget]:
        """Holes within a distance, the nearest first."""
        distances = np.hypot(*(self._stage_um - (x_um, y_um)).T)
        near = np.argsort(distances, kind="stable")
        return [self._placed[index] for index in near[: int(np.sum(distances <= within_um))]]


def link_movie(
    relative_path: str | PurePath,
    metadata: AcquisitionMetadata,
    index: TargetIndex,
    *,
    serialem: SerialemPlace | None = None,
    um_per_shift: UmPerShift | None = None,
    tolerance_um: float = 1.0,
    prefix: str = "",
) -> MovieLink:
    """The target of a movie.

    Parameters
    ----------
    serialem:
        From its mdoc; without it `metadata.hole` is taken for the label.
    um_per_shift:
        Of EPU's beam shift, where it has been calibrated.
    tolerance_um:
        How far a hole may lie from the stage's position. Holes repeat every 2 to 5 um.
    prefix:
        Of the ids of the grid that the index is of (`models.grid_target.GridName`).
    """
    path = PurePath(relative_path)
    if epu_names(path).hole is not None:
        return _by_epu_name(path, index, prefix)
    chain = leginon_targets(path)
    if chain:
        known = next((one.target_id for one in reversed(chain) if one.target_id in index.by_id), None)
        if known is not None:
            return MovieLink(known, "Leginon name")
    place = serialem or SerialemPlace(metadata.hole)
    if place.label is not None:
        found = _by_label(place, metadata, index) or _by_listed_name(place.label, metadata, index)
        if found is not None:
            return found
    return _by_listed_name(sidecar_key(path), metadata, index) or _by_stage(metadata, index, um_per_shift, tolerance_um)


def _by_epu_name(path: PurePath, index: TargetIndex, prefix: str) -> MovieLink:
    number = epu_names(path).hole or ""
    for target_id in (prefix + exposure_id(path.name), prefix + hole_id(number)):
        if target_id in index.by_id:
            return MovieLink(target_id, "EPU name")
    return MovieLink(None, "none", f"hole {number} of its name stands in no file that was read")


def _by_label(place: SerialemPlace, metadata: AcquisitionMetadata, index: TargetIndex) -> MovieLink | None:
    """None: no item is called so."""
    named = index.by_name.get(("serialem", place.label or ""), [])
    items = [one for one in named if one.level in ("patch", "hole")] or named
    if not items:
        return None
    near = [one for one in items if _distance_um(one, metadata) <= _LABEL_WITHIN_UM]
    if len(near) != 1:
        many = "none lies near" if not near else f"{len(near)} lie near"
        return MovieLink(
            None, "none", f"of {len(items)} item(s) with the label {place.label} {many} its stage position"
        )
    item = near[0]
    if item.level != "patch":
        return MovieLink(item.target_id, "navigator label")
    child = f"{item.target_id}:{place.hole}"
    if child in index.by_id:
        return MovieLink(child, "navigator label")
    said = "is not said" if place.hole is None else f"({place.hole}) is not in the navigator file"
    return MovieLink(item.target_id, "navigator label", f"which hole of its pattern {said}")


def _distance_um(target: GridTarget, metadata: AcquisitionMetadata) -> float:
    """0 where one of the two is not known: nothing speaks against it."""
    if None in (target.stage_x_um, target.stage_y_um, metadata.stage_x_um, metadata.stage_y_um):
        return 0.0
    return float(np.hypot(target.stage_x_um - metadata.stage_x_um, target.stage_y_um - metadata.stage_y_um))  # type: ignore[operator]


def _by_listed_name(name: str, metadata: AcquisitionMetadata, index: TargetIndex) -> MovieLink | None:
    """A hole of a table; None: none is called so, or several and the square does not tell them apart."""
    listed = [one for one in index.by_name.get(("list", name), []) if one.level == "hole"]
    if len(listed) > 1 and metadata.grid_square is not None:
        listed = [one for one in listed if one.parent_id == f"list:square:{metadata.grid_square}"]
    return MovieLink(listed[0].target_id, "name") if len(listed) == 1 else None


def _by_stage(
    metadata: AcquisitionMetadata, index: TargetIndex, um_per_shift: UmPerShift | None, tolerance_um: float
) -> MovieLink:
    if metadata.stage_x_um is None or metadata.stage_y_um is None:
        return MovieLink(None, "none", "neither its name nor its metadata say where it was taken")
    x_um, y_um = metadata.stage_x_um, metadata.stage_y_um
    shift = metadata.beam_shift_x_au or 0.0, metadata.beam_shift_y_au or 0.0
    if any(shift):
        if um_per_shift is None:
            return MovieLink(None, "none", "the beam was shifted from the stage's position, and its unit is not known")
        (a, b), (c, d) = um_per_shift
        x_um, y_um = x_um + a * shift[0] + b * shift[1], y_um + c * shift[0] + d * shift[1]
    elif abs(metadata.image_shift_x_um or 0.0) + abs(metadata.image_shift_y_um or 0.0) > tolerance_um:
        return MovieLink(None, "none", "the image was shifted from the stage's position, along axes that are not known")
    near = index.holes_near(x_um, y_um, tolerance_um)
    if len(near) != 1:
        many = f"{len(near)} holes lie" if near else "no hole lies"
        return MovieLink(None, "none", f"{many} within {tolerance_um:g} um of its stage position")
    return MovieLink(near[0].target_id, "stage")
