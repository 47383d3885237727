"""Images of squares measured when they are there: each once, and again when it, or where its holes are, has changed.

One image is in memory at a time, and images wait for everything else: a round says what it can without them. A file
that is being written, is no image, or is of another size than its square's file says is told of once, when it stands
still; whatever was measured before it stays.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from frazil.config.errors import FormatError, FrazilError, RetryLaterError, TruncatedFileError, UnsupportedFormatError
from frazil.daemon.analysis.targets.book import GridBook
from frazil.daemon.analysis.targets.reading import FILE_ALERT, FileProblem
from frazil.daemon.store.image_rows import HoleImageRow, SquareImageRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import image_writes
from frazil.models.formats.epu_xml import read_epu_xml
from frazil.models.formats.grid.affine import fit_pixel_to_stage
from frazil.models.formats.grid.reading import GridNote, note_of
from frazil.models.formats.image import read_image_2d
from frazil.models.formats.limits import HeaderLimits
from frazil.models.grid_target import GridTarget
from frazil.models.hole_images.looks import LOOKS, HoleLooks, HolePlaces, SquareLook, places_in_image
from frazil.models.hole_images.square import square_look

_log = logging.getLogger(__name__)
_LEAST_HOLES = 5
"""With a place in the image: fewer say nothing of where the others are."""
_FRESH_NS = 2_000_000_000
_STANDS_STILL_S = 60.0
_LIMITS = HeaderLimits(max_side_px=16_384, max_frame_bytes=1 << 29)
_MOST_OFF = 0.02
"""Of an image's sides against each other: what is more is another image."""
_KNOWN_SQL = "SELECT square_id, mtime_ns, size_bytes, places_hash FROM square_images"
_ROWS_SQL = """
SELECT avg(upside_down::INTEGER) FROM square_images
WHERE rows_surely AND starts_with(kind, ?) HAVING count(*) > 0
"""
_STRETCHED = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class _Square:
    """What an image is measured with."""

    target: GridTarget
    holes: tuple[GridTarget, ...]
    places_hash: str


@dataclass(frozen=True, slots=True)
class _Tried:
    identity: tuple[int, int]
    since_s: float
    final: bool
    """It will not become better by itself."""


@dataclass(slots=True)
class SquareImages:
    """See the module. `clock` is monotonic, `now_ns` that of files."""

    store: Store
    clock: Callable[[], float]
    now_ns: Callable[[], int]
    utc_us: Callable[[], int]
    stop: Callable[[], bool]
    problems: list[FileProblem] = field(default_factory=list)
    over: set[str] = field(default_factory=set)
    """As those of `GridReader`."""
    version: int = 0
    """Counts up with every image that was measured."""
    _known: dict[str, tuple[int, int, str]] | None = None
    _squares: tuple[int, dict[str, _Square]] = (-1, {})
    """By the version of the book."""
    _tried: dict[Path, _Tried] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)

    def measure(self, book: GridBook, pictures: Mapping[str, Path], *, until: Callable[[], bool]) -> bool:
        """Measure what is new or has changed; whether nothing is left. Raises what the store raises."""
        if self._known is None:
            rows = self.store.rows(_KNOWN_SQL)
            self._known = {str(row[0]): (int(row[1]), int(row[2]), str(row[3])) for row in rows}
        waits = False
        for square_id, square in self._with_holes(book, pictures).items():
            if until():
                return False
            waits |= not self._measure_one(square_id, square, pictures[square_id], self._known)
        return not waits

    def _with_holes(self, book: GridBook, pictures: Mapping[str, Path]) -> dict[str, _Square]:
        if self._squares[0] != book.version:
            holes: dict[str, list[GridTarget]] = defaultdict(list)
            for row in book.known.values():
                one = row.target
                if one.level == "hole" and not row.gone and one.parent_id and one.x_in_parent_px is not None:
                    holes[one.parent_id].append(one)
            squares = {
                square_id: _Square(book.known[square_id].target, tuple(members), _hash(members))
                for square_id, members in sorted(holes.items())
                if square_id in book.known and len(members) >= _LEAST_HOLES
            }
            self._squares = book.version, squares
        return {square_id: square for square_id, square in self._squares[1].items() if square_id in pictures}

    def _measure_one(self, square_id: str, square: _Square, path: Path, known: dict[str, tuple[int, int, str]]) -> bool:
        """Whether there is nothing more to do for it now."""
        try:
            seen = path.stat()
        except OSError:
            return True  # what was measured of it stays; the file that names it may come before it
        identity = seen.st_mtime_ns, seen.st_size
        if known.get(square_id) == (*identity, square.places_hash):
            return True
        tried = self._tried.get(path)
        if tried is not None and tried.identity == identity and tried.final:
            return True
        if tried is None or tried.identity != identity:
            tried = self._tried[path] = _Tried(identity, self.clock(), final=False)
        if abs(self.now_ns() - seen.st_mtime_ns) < _FRESH_NS:
            return False
        try:
            row, holes = _measured(square, path, identity, self._rows_of(square), utc_us=self.utc_us())
        except (RetryLaterError, TruncatedFileError) as error:
            stands = self.clock() - tried.since_s >= _STANDS_STILL_S
            if stands:
                self._tell(path, note_of(error, path.name))
            self._tried[path] = _Tried(identity, tried.since_s, final=stands)
            return stands
        except (FrazilError, OSError) as error:
            note = note_of(error, path.name) if isinstance(error, FrazilError) else _unreadable(path, error)
            self._tell(path, note)
            self._tried[path] = _Tried(identity, tried.since_s, final=True)
            return True
        if self.stop():
            return False
        self.store.write(WritePolicy.DURABLE, image_writes.record_image, row, holes)
        known[square_id] = (*identity, square.places_hash)
        self.version += 1
        self._is_over(path)
        return True

    def _rows_of(self, square: _Square) -> bool | None:
        """Whether the program's images lie upside down; None: none has said so beyond doubt."""
        found = self.store.rows(_ROWS_SQL, f"{square.target.program} ")
        return None if not found else float(found[0][0]) > 0.5

    def _tell(self, path: Path, note: GridNote) -> None:
        alert_id = _alert(path)
        if self._told.get(alert_id) != note.what:
            self._told[alert_id] = note.what
            self.problems.append(FileProblem(alert_id, path, note, "info"))
            _log.info("%s %s", path, note.what)

    def _is_over(self, path: Path) -> None:
        self._tried.pop(path, None)
        self._told.pop(_alert(path), None)
        self.over.add(_alert(path))


def _alert(path: Path) -> str:
    """Where a session's images are all without counts, that is one thing to know."""
    return f"{FILE_ALERT}{'without-counts' if path.suffix.lower() in _STRETCHED else path}"


def _unreadable(path: Path, error: OSError) -> GridNote:
    return GridNote(path.name, f"cannot be read: {error.strerror or error}", "check its permissions")


def _hash(holes: list[GridTarget]) -> str:
    """Of where holes are and how large: what else is known of them changes with every shot."""
    told = hashlib.sha256()
    for one in sorted(holes, key=lambda hole: hole.target_id):
        told.update(f"{one.target_id} {one.x_in_parent_px!r} {one.y_in_parent_px!r} {one.diameter_um!r}\n".encode())
    return told.hexdigest()[:16]


def _measured(
    square: _Square, path: Path, identity: tuple[int, int], upside_down: bool | None, *, utc_us: int
) -> tuple[SquareImageRow, list[HoleImageRow]]:
    """Raises `FrazilError` where the image cannot be used, `OSError` where it cannot be read."""
    if path.suffix.lower() in _STRETCHED:
        remedy = "have squares' images saved as MRC or TIFF: ice is told by counts"
        raise UnsupportedFormatError("has grey values, not counts of the camera", path=path, remedy=remedy)
    image, pixel_angstrom = read_image_2d(path, flip_tiff=False, limits=_LIMITS)
    places = _places(square, image.shape, path)
    look, looks = square_look(image, places, upside_down)
    if not look.seen_holes:
        remedy = "check that it is the image that the holes were found in"
        raise FormatError("shows no holes where its file has them", path=path, remedy=remedy)
    ln_exposure_s = _ln_exposure_s(path)
    kind = f"{square.target.program} {look.width_px} x {look.height_px}"
    if pixel_angstrom:
        kind += f", {pixel_angstrom:.3g} A"
    row = _square_row(square, path, identity, look, places, kind=kind, ln_exposure_s=ln_exposure_s, utc_us=utc_us)
    return row, _hole_rows(square, looks, places, ln_exposure_s)


def _places(square: _Square, shape: tuple[int, ...], path: Path) -> HolePlaces:
    """In pixels of the image that is there: it may be a smaller one than the holes were found in."""
    height, width = shape
    told_width, told_height = square.target.image_width_px or width, square.target.image_height_px or height
    scale = width / told_width
    if abs(height / told_height - scale) > _MOST_OFF * scale:
        raise FormatError(
            f"is {width} x {height} pixels; its holes were found in one of {told_width} x {told_height}",
            path=path,
            remedy="leave the image where the program wrote it",
        )
    x, y = (np.array([getattr(hole, name) for hole in square.holes]) for name in ("x_in_parent_px", "y_in_parent_px"))
    fit = fit_pixel_to_stage(square.holes)
    sizes_um = [hole.diameter_um for hole in square.holes if hole.diameter_um]
    if fit is None or not sizes_um:
        raise FormatError(
            "is of a square whose file does not say how large its holes are",
            path=path,
            remedy="none: its holes are not measured",
        )
    diameter_px = float(np.median(sizes_um)) / fit.um_per_px * scale
    if not 4.0 <= diameter_px <= 0.25 * min(height, width):
        what = f"has holes of {diameter_px:.1f} pixels, too small or too large to be measured"
        raise UnsupportedFormatError(what, path=path, remedy="none")
    return HolePlaces(x * scale, y * scale, diameter_px)


def _ln_exposure_s(path: Path) -> float:
    """Of the XML beside it; 0 where there is none, so that images of one kind count as exposed alike."""
    beside = path.with_suffix(".xml")
    try:
        exposure_s = read_epu_xml(beside).exposure_time_s if beside.exists() else None
    except (FrazilError, OSError):
        return 0.0
    return math.log(exposure_s) if exposure_s and exposure_s > 0.0 else 0.0


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _square_row(
    square: _Square,
    path: Path,
    identity: tuple[int, int],
    look: SquareLook,
    places: HolePlaces,
    *,
    kind: str,
    ln_exposure_s: float,
    utc_us: int,
) -> SquareImageRow:
    empty = look.empty
    u, v = (None, None)
    if empty is not None:
        u, v = (float(at[0]) for at in places_in_image(places, np.array([empty.x_px]), np.array([empty.y_px])))
    return SquareImageRow(
        square.target.target_id, str(path), *identity, square.places_hash, kind, ln_exposure_s, look.width_px,
        look.height_px, look.upside_down, look.rows_surely, look.shift_x_px, look.shift_y_px, look.seen_holes,
        _known(look.ln_intensity - ln_exposure_s), _known(look.gradient_ln), _known(look.gradient_ln_sd),
        _known(look.dark_share), _known(look.torn_share), _known(look.saturated_share),
        None if empty is None else empty.ln_intensity - ln_exposure_s,
        None if empty is None else empty.ln_intensity_sd, u, v, None if empty is None else empty.torn, utc_us,
    )  # fmt: skip


def _hole_rows(square: _Square, looks: HoleLooks, places: HolePlaces, ln_exposure_s: float) -> list[HoleImageRow]:
    u, v = places_in_image(places, places.x_px, places.y_px)
    columns = {name: getattr(looks, name).tolist() for name in LOOKS}
    columns["ln_intensity"] = [value - ln_exposure_s for value in columns["ln_intensity"]]
    rows = zip(*columns.values(), strict=True)
    return [
        HoleImageRow(hole.target_id, square.target.target_id, float(a), float(b), *map(_known, values))
        for hole, a, b, values in zip(square.holes, u, v, rows, strict=True)
    ]
