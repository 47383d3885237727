"""All that an EPU session tells of its grid: atlas, squares, holes, their images and exposures, put together.

Files that lack, are being written or are damaged become notes; the rest is read. Every file alone is read by its own
function (`epu_atlas`, `epu_square`, `epu_images`), for when one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from frazil.config.errors import FormatError, FrazilError
from frazil.models.formats.grid.epu_atlas import read_atlas, sample_of
from frazil.models.formats.grid.epu_images import is_hole_image, is_square_image, read_hole_image, read_square_image
from frazil.models.formats.grid.epu_session import EpuPlan, read_epu_plan
from frazil.models.formats.grid.epu_square import read_grid_square
from frazil.models.formats.grid.reading import GridNote, GridReading, merged_all, note_of
from frazil.models.formats.grid.windows_path import below, path_parts
from frazil.models.grid_target import LEVELS, GridTarget

T = TypeVar("T")
_PICTURES = (".mrc", ".tiff", ".tif", ".jpg", ".jpeg", ".png")
"""The full image before its thumbnail."""


def read_epu_grid(session_dir: Path, roots: Sequence[Path] = ()) -> GridReading:
    """Every target of a session folder (the one that holds `EpuSession.dm`).

    Parameters
    ----------
    roots:
        Where else files of the session may lie, the atlas above all; the session's own folder comes first.

    Raises
    ------
    FormatError
        The folder holds nothing of EPU.
    """
    notes: list[GridNote] = []
    targets: list[GridTarget] = []
    plan = EpuPlan()
    squares = sorted(session_dir.glob("Metadata/GridSquare_*.dm"))
    if (session_file := session_dir / "EpuSession.dm").exists():
        plan = _or_note(read_epu_plan, session_file, notes) or plan
    elif not squares:
        raise FormatError("holds no session of EPU", path=session_dir, remedy="give the folder with EpuSession.dm")
    for reading in _readings(plan, squares, (session_dir, *roots), notes):
        targets += reading.targets
        notes += reading.notes
    for xml in newest_images(session_dir):
        image = _or_note(lambda path: _imaged(path, session_dir), xml, notes)
        targets += [] if image is None else [image]
    whole = sorted(merged_all(targets), key=lambda target: LEVELS.index(target.level))
    return GridReading(tuple(whole), tuple(notes))


def _readings(
    plan: EpuPlan, squares: Sequence[Path], roots: Sequence[Path], notes: list[GridNote]
) -> Iterator[GridReading]:
    atlas = None if plan.atlas_path is None else find_atlas(plan.atlas_path, roots)
    if atlas is not None:
        found = _or_note(read_atlas, atlas, notes)
        if found is not None:
            yield found
    elif plan.atlas_path is not None:
        remedy = "name the folder that holds it among the metadata folders (intake.sidecar_roots)"
        notes.append(GridNote("Atlas.dm", "is not below any of the folders that are looked in", remedy))
    for path in squares:
        reading = _or_note(read_grid_square, path, notes)
        if reading is not None:
            yield reading


def find_atlas(named: str, roots: Sequence[Path]) -> Path | None:
    """The `Atlas.dm` that a session names below the first of the folders that has it; None: none has. Never that of
    another sample of the autoloader, whose path ends alike."""
    sample = sample_of(path_parts(named))
    for root in roots:
        path = below(root, named)
        if path is not None and path.is_file() and sample_of(path.parts) in (None, sample):
            return path
    return None


def newest_images(session_dir: Path) -> tuple[Path, ...]:
    """The XML of every square's newest image and of every hole's."""
    newest: dict[tuple[str, str], Path] = {}
    for folder in sorted(session_dir.glob("Images-Disc*/GridSquare_*")):
        xmls = sorted(folder.glob("GridSquare_*.xml")) + sorted(folder.glob("FoilHoles/FoilHole_*.xml"))
        for path in xmls:
            if is_square_image(path):
                newest[folder.name, ""] = path
            elif is_hole_image(path):
                newest[folder.name, path.stem.split("_")[1]] = path
    return tuple(newest.values())


def _imaged(xml: Path, root: Path) -> GridTarget:
    pictures = (xml.with_suffix(suffix) for suffix in _PICTURES)
    picture = next((path.relative_to(root).as_posix() for path in pictures if path.exists()), None)
    return (read_square_image if is_square_image(xml) else read_hole_image)(xml, picture)


def _or_note(read: Callable[[Path], T], path: Path, notes: list[GridNote]) -> T | None:
    try:
        return read(path)
    except FrazilError as error:
        notes.append(note_of(error, path.name))
        return None
