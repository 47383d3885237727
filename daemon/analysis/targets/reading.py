"""Files of the grid read when they are new or have changed, and again while they are being written.

EPU rewrites its files in place, so that half of one is nothing unusual: what a file said before stays until it can be
read again. A person is told of a file only when it stands still and cannot be read, once, with what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from frazil.config.errors import FrazilError
from frazil.daemon.analysis.targets.book import GridBook, Source
from frazil.daemon.analysis.targets.grids import GridNames
from frazil.daemon.analysis.targets.looking import SeenFile
from frazil.models.formats.grid.epu_atlas import read_atlas
from frazil.models.formats.grid.epu_grid import find_atlas
from frazil.models.formats.grid.epu_images import read_square_image
from frazil.models.formats.grid.epu_session import EpuPlan, read_epu_plan
from frazil.models.formats.grid.epu_square import read_grid_square
from frazil.models.formats.grid.navigator_targets import read_nav
from frazil.models.formats.grid.reading import GridNote, GridReading, note_of
from frazil.models.formats.grid.target_list import read_target_list
from frazil.models.grid_target import GridName, GridTarget, grid_named

RANKS = {"epu-session": 1, "epu-atlas": 2, "epu-square": 3, "epu-image": 4, "navigator": 5, "list": 6}
"""How much each is believed against the others; what is read first, too."""
_OF_THE_MICROSCOPE = ("epu-session", "epu-square", "navigator", "list")
"""Written while a grid is in the column; atlases are made of all grids beforehand."""
_STANDS_STILL_S = 60.0
"""A file that cannot be read and has not changed for so long is told to a person."""
_ATLAS_AGAIN_S = 60.0
_PICTURES = (".mrc", ".tiff", ".tif", ".jpg", ".jpeg", ".png")
"""The full image before its thumbnail."""
_NO_ATLAS_REMEDY = "name the folder that holds it: `frazil set SESSION targets.roots=FOLDER`"


FILE_ALERT = "targets-file-"
"""How the alerts on files begin; the path follows: what is told of one file is one alert."""
_MOST_NOTES = 3
"""On one file, in one alert."""


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What a person should know of a file."""

    alert_id: str
    path: Path
    note: GridNote
    severity: str = "warning"


@dataclass(slots=True)
class _Read:
    identity: tuple[int, int]
    since_s: float
    """When the file was first seen like this."""
    again: GridNote | None = None
    """It could not be read, and is read again."""
    grid_id: str = ""
    """As whose it was read."""


@dataclass(frozen=True, slots=True)
class _Atlas:
    """Where the atlas of a session's sample was sought."""

    named: str
    path: Path | None
    changes: int
    looked_s: float


@dataclass(slots=True)
class GridReader:
    """See the module. Fills the book; `clock` is monotonic."""

    book: GridBook
    clock: Callable[[], float]
    problems: list[FileProblem] = field(default_factory=list)
    """Found since somebody took them out."""
    pictures: dict[str, Path] = field(default_factory=dict)
    """Where images of squares should lie, by the target that was imaged."""
    over: set[str] = field(default_factory=set)
    """Ids of alerts of which nothing is left, or something else, since somebody took them out."""
    names: GridNames = field(default_factory=GridNames)
    signs: set[tuple[int, str]] = field(default_factory=set)
    """(mtime in ns, grid): when a file was written of a grid that was in the column then."""
    renamed: list[tuple[GridName, GridName]] = field(default_factory=list)
    """Grids that turned out to be another one, since somebody took them out."""
    _read: dict[Path, _Read] = field(default_factory=dict)
    _plans: dict[Path, tuple[str, EpuPlan]] = field(default_factory=dict)
    """With the place of the session."""
    _atlases: dict[tuple[Path, int], _Atlas] = field(default_factory=dict)
    """By session and number of its sample."""
    _told: dict[str, str] = field(default_factory=dict)
    """By alert: what was said."""
    _pictures_of_file: dict[str, Path] = field(default_factory=dict)
    """Of the file in hand, by the ids that it tells."""

    def remember(self) -> None:
        """The book has been told what the store knows."""
        items: dict[str, list[str]] = {}
        for target_id, row in self.book.known.items():
            name = grid_named(row.grid_id)
            if name.program == "serialem" and not row.gone:
                items.setdefault(name.prefix.rstrip("/"), []).append(target_id.removeprefix(name.prefix))
        for place, target_ids in items.items():
            self.names.navigator(place, target_ids)

    def read(self, seen: Iterable[SeenFile], *, until: Callable[[], bool]) -> bool:
        """Read what is new or has changed; `until`: leave off. Whether everything has been read."""
        files = sorted(seen, key=lambda file: (RANKS[file.kind], file.path))
        for path in self._read.keys() - {file.path for file in files}:
            del self._read[path]
            self._plans.pop(path, None)
            self._is_over(f"{FILE_ALERT}{path}")
            self._is_over(_atlas_alert(path))
            self.book.vanished(str(path))
        for file in files:
            if until():
                return False
            self._read_one(file)
        self._join_unnamed()
        return True

    def session_names(self, grid_id: str) -> tuple[str, ...]:
        """Of EPU's sessions of a grid whose files have been read, as EPU calls them."""
        grids = self.names.grids_of_sessions()
        names = {plan.name for place, plan in self._plans.values() if grid_id in grids.get(place, ())}
        return tuple(sorted(name for name in names if name is not None))

    def atlases(self, roots: tuple[Path, ...], changes: int) -> list[Path]:
        """Those that sessions of EPU name, wherever below the roots (or beside the session) they lie now. `changes`:
        another number when a folder below the roots has changed."""
        found = []
        for session, (place, plan) in self._plans.items():
            missing = []
            for number, sample in enumerate(plan.samples):
                if sample.atlas_path is None:
                    continue
                atlas = self._atlas((session, number), sample.atlas_path, roots, changes)
                self.names.atlas_of(place, number, sample.atlas_path if atlas is None else str(atlas.resolve()))
                if atlas is None:
                    missing.append(sample.atlas_path)
                else:
                    found.append(atlas)
            if missing:
                what = f"names the atlas {', '.join(missing)}, which is below none of the folders that are looked in"
                note = GridNote(session.name, what, _NO_ATLAS_REMEDY)
                self._tell(FileProblem(_atlas_alert(session), session, note, "info"))
            elif plan.samples:
                self._is_over(_atlas_alert(session))
        self._join_grids()
        return found

    def _atlas(self, key: tuple[Path, int], named: str, roots: tuple[Path, ...], changes: int) -> Path | None:
        """The folders are searched when the plan or they have changed, and once a minute: not all of them are told."""
        known = self._atlases.get(key)
        if known is not None and known.named == named:
            if known.path is not None and known.path.is_file():
                return known.path
            if known.path is None and known.changes == changes and self.clock() - known.looked_s < _ATLAS_AGAIN_S:
                return None
        folder = key[0].parent
        path = find_atlas(named, (folder, *roots, folder.parent))
        self._atlases[key] = _Atlas(named, path, changes, self.clock())
        return path

    def _join_grids(self) -> None:
        """What was told of a grid that turned out to be another one is of that one."""
        for old, new in self.names.one_by_now(self.book.versions):
            self._rename(old, new)

    def _join_unnamed(self) -> None:
        """A store of before grids had names: its one grid is that of the one session that there is."""
        old, sessions = GridName("epu"), self.names.grids_of_sessions()
        grids = {grid_id for of_session in sessions.values() for grid_id in of_session}
        if old.grid_id in self.book.versions and "" not in sessions and len(grids) == 1:
            self._rename(old, grid_named(*grids))

    def _rename(self, old: GridName, new: GridName) -> None:
        ids = self.book.rename(old, new)
        self.pictures = {ids.get(key, key): path for key, path in self.pictures.items()}
        for read in self._read.values():
            read.grid_id = new.grid_id if read.grid_id == old.grid_id else read.grid_id
        self.signs = {(at, new.grid_id if grid == old.grid_id else grid) for at, grid in self.signs}
        self.renamed.append((old, new))

    def _read_one(self, file: SeenFile) -> None:
        known = self._read.get(file.path)
        if known is None or known.identity != file.identity:
            known = self._read[file.path] = _Read(file.identity, self.clock())
        elif known.again is None and known.grid_id == self.names.name_of(file).grid_id:
            return
        known.grid_id = self.names.name_of(file).grid_id
        self._pictures_of_file = {}
        try:
            reading = self._reading(file)
        except FrazilError as error:
            self._could_not(file, known, note_of(error, file.path.name))
            return
        except OSError as error:
            what = f"cannot be read: {error.strerror or error}"
            self._could_not(file, known, GridNote(file.path.name, what, "check its permissions", again=True))
            return
        self._take(file, known, reading)
        half = next((note for note in reading.notes if note.again), None)
        if half is not None:
            self._could_not(file, known, half)
            return
        known.again = None
        if reading.notes:
            self._tell(_problem(file, _together(reading.notes)))
        else:
            self._is_over(f"{FILE_ALERT}{file.path}")

    def _take(self, file: SeenFile, known: _Read, reading: GridReading) -> None:
        """Into the book, as told of the grid that the file is of."""
        if file.kind == "navigator":
            self.names.navigator(file.place, (target.target_id for target in reading.targets))
        elif file.kind == "epu-atlas":
            self.names.atlas(str(file.path), file.place)
        elif file.kind == "epu-square":
            self.names.session(file.place)
        self._join_grids()
        name = self.names.name_of(file)
        known.grid_id = name.grid_id
        self.pictures |= {name.prefix + key: path for key, path in self._pictures_of_file.items()}
        itself = _grid_row(file, name)
        targets = (*(() if itself is None else (itself,)), *map(name.inside, reading.targets))
        self.book.take(Source(RANKS[file.kind], file.mtime_ns, str(file.path), name.grid_id), targets)
        if file.kind in _OF_THE_MICROSCOPE:
            self.signs.add((file.mtime_ns, name.grid_id))

    def _reading(self, file: SeenFile) -> GridReading:
        match file.kind:
            case "epu-session":
                plan = read_epu_plan(file.path)
                self._plans[file.path] = file.place, plan
                self.names.session(file.place, plan.samples)
                return GridReading(())
            case "epu-square":
                return read_grid_square(file.path)
            case "epu-image":
                return self._with_picture(file)
            case "epu-atlas":
                return read_atlas(file.path)
            case "navigator":
                reading = read_nav(file.path)
                # SerialEM names the folder on its own machine: the map lies beside the navigator here, or nowhere.
                maps = {one.target_id: file.path.parent / one.image_path for one in reading.targets if one.image_path}
                self._pictures_of_file = maps
                return reading
            case _:
                return read_target_list(file.path)

    def _with_picture(self, file: SeenFile) -> GridReading:
        picture = _picture_beside(file.path)
        if picture is None:
            return GridReading((read_square_image(file.path, None),))
        below = picture.is_relative_to(file.root)
        told = (picture.relative_to(file.root) if below else picture).as_posix()
        square = read_square_image(file.path, told)
        self._pictures_of_file = {square.target_id: picture}
        return GridReading((square,))

    def _could_not(self, file: SeenFile, known: _Read, note: GridNote) -> None:
        known.again = note if note.again else None
        if not note.again or self.clock() - known.since_s >= _STANDS_STILL_S:
            self._tell(_problem(file, note))

    def _tell(self, problem: FileProblem) -> None:
        if self._told.get(problem.alert_id) == problem.note.what:
            return
        self._is_over(problem.alert_id)  # it says something else now
        self._told[problem.alert_id] = problem.note.what
        self.problems.append(problem)

    def _is_over(self, alert_id: str) -> None:
        """Also what this run of the daemon has not told: it may be open from an earlier one."""
        self._told.pop(alert_id, None)
        self.over.add(alert_id)


def _grid_row(file: SeenFile, name: GridName) -> GridTarget | None:
    """The grid itself, called after its file or folder; an atlas says its own name of it, other files none."""
    if file.kind not in ("epu-session", "navigator", "list"):
        return None
    called = "table" if file.kind == "list" else PurePath(name.prefix).name or "grid"
    return GridTarget(name.grid_id, "grid", name.program, called, said_by=file.path.name)


def _problem(file: SeenFile, note: GridNote) -> FileProblem:
    return FileProblem(f"{FILE_ALERT}{file.path}", file.path, note)


def _atlas_alert(session: Path) -> str:
    return f"{FILE_ALERT}{session}:atlas"


def _together(notes: Sequence[GridNote]) -> GridNote:
    """What a person is told of a file with several notes."""
    more = len(notes) - _MOST_NOTES
    what = "; ".join(note.what for note in notes[:_MOST_NOTES]) + (f"; and {more} more" if more > 0 else "")
    return replace(notes[0], what=what)


def _picture_beside(path: Path) -> Path | None:
    pictures = (path.with_suffix(suffix) for suffix in _PICTURES)
    return next((picture for picture in pictures if picture.exists()), None)
