"""Squares, patches and holes from the items of SerialEM's navigator.

A map is of the grid, a square or a patch by the width that it shows. A point with a `HoleArray` is a patch whose holes
are taken from one position of the stage, every other point a hole - or a square, where it was drawn on a map of the
grid. What is marked `Acquire` is chosen, in the table's order. SerialEM takes the mark away once it has been there, and
does not say whether it has: that a hole is exposed only its movies tell.

Where a patch's holes lie is not in the file: their vectors are image shifts, which a calibration of SerialEM's own
turns into um. They have a position only where `hole_vectors_um` is given.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from frazil.models.formats.grid.navigator import Navigator, NavigatorSection, read_navigator, shown
from frazil.models.formats.grid.navigator_maps import NavigatorMap, map_of
from frazil.models.formats.grid.reading import GridNote, GridReading, known_features
from frazil.models.formats.sidecar_values import file_name
from frazil.models.grid_target import LEVELS, GridTarget

PROGRAM = "serialem"
HoleVectors = tuple[tuple[float, float], tuple[float, float]]
"""From a hole to the next along the array's first and second axis: stage x and y, um."""
_GRID_FROM_UM = 400.0
"""What a map shows at least if it is of the grid: squares repeat every 50 to 400 um."""
_SQUARE_FROM_UM = 25.0
"""And if it is of a square; smaller ones are of a patch of holes (View images: some 10 um)."""
_MOST_HOLES_IN_AN_ARRAY = 1000
_CROSS = (-3, -3)
_POINT, _POLYGON = "0", "1"


def read_nav(path: Path, *, hole_vectors_um: HoleVectors | None = None) -> GridReading:
    """The targets of a navigator file.

    Raises
    ------
    RetryLaterError
        Not there, empty, or not whole.
    FormatError
        Not a navigator file.
    """
    return navigator_targets(read_navigator(path), path.name, hole_vectors_um=hole_vectors_um)


def item_ids(navigator: Navigator) -> list[str]:
    """A target's id for each item: by its `MapID`, else its label; a repeated one gets a number behind it."""
    seen: Counter[str] = Counter()
    ids = []
    for item in navigator.items:
        own = item.values.get("MapID", "")
        name = f"serialem:item:{own}" if own not in ("", "0") else f"serialem:label:{shown(item.label)}"
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return ids


def hole_key(column: int, row: int, columns: int, rows: int) -> str:
    """What `MultishotHoleAndPosition` calls a hole of an array: steps from the middle, without 0 where there is none.

    >>> [hole_key(column, 1, 3, 2) for column in range(3)], hole_key(0, 0, 2, 2)
    (['-1 1', '0 1', '1 1'], '-1 -1')
    """

    def step(index: int, count: int) -> int:
        below_middle = index < count // 2
        return index - count // 2 + (0 if count % 2 or below_middle else 1)

    return f"{step(column, columns)} {step(row, rows)}"


@dataclass(frozen=True, slots=True)
class _Around:
    """What is known of the items around one."""

    maps: dict[str, NavigatorMap]
    """By the `MapID` of the item; those that show the least first."""
    levels: dict[str, str]
    """Of the maps."""
    ids: dict[str, str]
    file: str


def navigator_targets(navigator: Navigator, file: str, *, hole_vectors_um: HoleVectors | None = None) -> GridReading:
    """The same from a file that was read already; `file` is its name, for a person."""
    items, ids = navigator.items, item_ids(navigator)
    maps = {one.map_id: one for item in items if (one := map_of(item)) is not None and one.map_id}
    maps = dict(sorted(maps.items(), key=lambda pair: pair[1].field_um))
    levels = {key: _map_level(one) for key, one in maps.items()}
    first_ids: dict[str, str] = {}
    for item, name in zip(items, ids, strict=True):
        first_ids.setdefault(item.values.get("MapID", ""), name)
    around = _Around(maps, levels, first_ids, file)
    notes = _notes_on_all(items, ids, file)
    targets: list[GridTarget] = []
    order = 0
    for item, name in zip(items, ids, strict=True):
        chosen = item.values.get("Acquire") == "1"
        target = _target(item, name, order if chosen else None, around, notes)
        order += chosen
        targets.append(target)
        if target.level == "patch":
            targets += _holes_of(item, target, notes, file, hole_vectors_um)
    return GridReading(tuple(targets), tuple(notes))


def _map_level(one: NavigatorMap) -> str:
    if one.field_um >= _GRID_FROM_UM:
        return "grid"
    return "square" if one.field_um >= _SQUARE_FROM_UM else "patch"


def _notes_on_all(items: tuple[NavigatorSection, ...], ids: list[str], file: str) -> list[GridNote]:
    notes = []
    repeated = [shown(item.label) for item, name in zip(items, ids, strict=True) if "#" in name]
    if repeated:
        what = f"has {len(repeated)} item(s) that share a MapID or label with another: {', '.join(repeated[:5])}"
        notes.append(GridNote(file, what, "none: they are kept apart; movies are linked to them by their place"))
    frames = Counter(item.values.get("Regis", "1") for item in items)
    if len(frames) > 1:
        what = f"has items of {len(frames)} registrations: their stage positions are not of one frame"
        notes.append(GridNote(file, what, "transform them to one registration in SerialEM"))
    return notes


def _target(item: NavigatorSection, name: str, order: int | None, around: _Around, notes: list[GridNote]) -> GridTarget:
    drawn_on = around.maps.get(item.values.get("DrawnID", ""))
    place = _stage(item, drawn_on)
    if place is None:
        what = f"gives no position of item {shown(item.label)}"
        notes.append(GridNote(around.file, what, "save the file in SerialEM once it has converted the item"))
    own = around.maps.get(item.values.get("MapID", "")) if item.values.get("Type") == "2" else None
    level = _level(item, own, drawn_on, around)
    parent = drawn_on or _map_around(place, own, level, around)
    x_px, y_px = (None, None) if parent is None or place is None else parent.pixel(place[0], place[1])
    sizes, defocus = item.numbers("HoleSizeSpacing"), item.numbers("TargetDefocus")
    file = item.values.get("MapFile")
    return GridTarget(
        name,
        level,
        PROGRAM,
        shown(item.label),
        None if parent is None else around.ids[parent.map_id],
        "seen" if order is None else "chosen",
        order,
        x_in_parent_px=x_px,
        y_in_parent_px=y_px,
        stage_x_um=None if place is None else place[0],
        stage_y_um=None if place is None else place[1],
        stage_z_um=None if place is None else place[2],
        diameter_um=sizes[0] if level == "hole" and sizes and sizes[0] > 0 else None,
        features=known_features(target_defocus_um=-defocus[0] if defocus else None),
        image_path=file_name(shown(file)) if file else None,
        said_by=around.file,
        image_width_px=None if own is None else own.width_px,
        image_height_px=None if own is None else own.height_px,
    )


def _stage(item: NavigatorSection, drawn_on: NavigatorMap | None) -> tuple[float, float, float | None] | None:
    """Stage position; that of an item which was defined outside from its pixel on a map."""
    stage = item.numbers("StageXYZ")
    if len(stage) >= 2:
        return stage[0], stage[1], stage[2] if len(stage) > 2 else None
    pixel = item.numbers("CoordsInMap")
    if len(pixel) < 2 or drawn_on is None:
        return None
    x_um, y_um = drawn_on.stage(pixel[0], drawn_on.height_px - pixel[1])
    return x_um, y_um, pixel[2] if len(pixel) > 2 else None


def _level(item: NavigatorSection, own: NavigatorMap | None, drawn_on: NavigatorMap | None, around: _Around) -> str:
    kind = item.values.get("Type", _POINT)
    if kind == _POLYGON:
        return "area"
    if kind != _POINT:
        return "square" if own is None else around.levels[own.map_id]
    if any(item.numbers("HoleArray")):
        return "patch"
    return "square" if drawn_on is not None and around.levels[drawn_on.map_id] == "grid" else "hole"


def _map_around(
    place: tuple[float, float, float | None] | None, own: NavigatorMap | None, level: str, around: _Around
) -> NavigatorMap | None:
    """The map that shows the least around a place and is of a higher level."""
    if place is None:
        return None
    higher = LEVELS[: LEVELS.index(level)]
    around_it = (
        one
        for key, one in around.maps.items()
        if one is not own and around.levels[key] in higher and one.holds(place[0], place[1])
    )
    return next(around_it, None)


def _holes_of(
    item: NavigatorSection, patch: GridTarget, notes: list[GridNote], file: str, vectors: HoleVectors | None
) -> list[GridTarget]:
    """The holes of an array, row by row from the first, without those that are skipped."""
    array = tuple(int(value) for value in item.numbers("HoleArray"))
    if len(array) != 2 or item.values.get("Type", _POINT) != _POINT:
        return []
    columns, rows = (3, 3) if array == _CROSS else array
    if columns < 1 or rows < 1 or columns * rows > _MOST_HOLES_IN_AN_ARRAY:
        what = f"has a pattern of holes that is not of rows and columns at item {patch.name} ({array[0]} {array[1]})"
        notes.append(GridNote(file, what, "none: the item is taken as one patch"))
        return []
    skips = [int(value) for value in item.numbers("SkipHoles")]
    left_out = set(zip(skips[::2], skips[1::2], strict=False))
    holes = []
    for row in range(rows):
        for column in range(columns):
            corner = array == _CROSS and column % 2 == 0 and row % 2 == 0
            if corner or (column, row) in left_out:
                continue
            key = hole_key(column, row, columns, rows)
            steps = column - (columns - 1) / 2, row - (rows - 1) / 2
            holes.append(_hole_of(patch, key, steps, vectors))
    return holes


def _hole_of(patch: GridTarget, key: str, steps: tuple[float, float], vectors: HoleVectors | None) -> GridTarget:
    x_um, y_um = patch.stage_x_um, patch.stage_y_um
    if vectors is None or x_um is None or y_um is None:
        x_um = y_um = None
    else:
        x_um += steps[0] * vectors[0][0] + steps[1] * vectors[1][0]
        y_um += steps[0] * vectors[0][1] + steps[1] * vectors[1][1]
    return replace(
        patch,
        target_id=f"{patch.target_id}:{key}",
        level="hole",
        name=f"{patch.name} {key}",
        parent_id=patch.target_id,
        group=patch.target_id,
        x_in_parent_px=None,
        y_in_parent_px=None,
        stage_x_um=x_um,
        stage_y_um=y_um,
        image_path=None,
    )
