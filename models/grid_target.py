"""One place on a grid that a microscope can go to, by whatever program it was found: square, patch, hole, exposure.

Programs name the levels differently (EPU: grid square, foil hole; SerialEM: maps, items; Leginon: gr, sq, hl, en). A
level may be missing between two others: EPU has no patches, a plain list of holes has no squares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

LEVELS = ("grid", "area", "square", "patch", "hole", "exposure")
"""From the whole grid down to one movie."""
STATES = ("seen", "chosen", "exposed", "processed", "avoided")
"""Found and no more; marked to be taken; taken; its movies are processed; a person or the program leaves it out."""


@dataclass(frozen=True, slots=True)
class GridTarget:
    """A target as one file tells it. None: that file does not say."""

    target_id: str
    """Unique in a session, and the same whenever the same thing is read again, from whichever file."""
    level: str
    """One of `LEVELS`."""
    program: str
    """`epu`, `serialem`, `leginon`, `list`."""
    name: str
    """What the program and its movies call it: EPU's number of a hole, SerialEM's label."""
    parent_id: str | None = None
    """The next level above that is known."""
    state: str = "seen"
    """One of `STATES`."""
    order: int | None = None
    """In which the program means to take it, from 0."""
    group: str | None = None
    """Holes that are reached from one position of the stage by beam shift: they are bought together."""
    x_in_parent_px: float | None = None
    y_in_parent_px: float | None = None
    """Of its centre in the parent's image at full size, from the image's top left corner."""
    stage_x_um: float | None = None
    stage_y_um: float | None = None
    stage_z_um: float | None = None
    diameter_um: float | None = None
    features: tuple[tuple[str, float], ...] = ()
    """(name, value) of what is known before it is exposed, the unit in the name: `intensity_mean_counts`,
    `predicted_resolution_angstrom`."""
    image_path: str | None = None
    """Of the image that was taken of it, relative to the root under which the file was found."""
    acquired_utc_us: int | None = None
    """When it was exposed, or its image was taken."""
    said_by: str = ""
    """The file that tells this, for a person."""
    image_width_px: int | None = None
    image_height_px: int | None = None
    """Of that image at full size: places of its targets are given in its pixels, a thumbnail has fewer."""


def at_grid_bar(target: GridTarget) -> bool:
    """A hole so near to a bar of the grid that the program leaves it out."""
    return bool(dict(target.features).get("near_grid_bar"))


_MOST_LEVELS = 8
"""A target lies no deeper, whatever files say."""


def lineage(target: GridTarget | None, find: Callable[[str], GridTarget | None]) -> Iterator[GridTarget]:
    """A target, what it lies in, what that lies in, and so on as far as it is known; `find` knows them by id.

    >>> square, hole = GridTarget("s", "square", "epu", "7"), GridTarget("h", "hole", "epu", "1", "s")
    >>> [one.target_id for one in lineage(hole, {"s": square}.get)]
    ['h', 's']
    """
    for _ in range(_MOST_LEVELS):
        if target is None:
            return
        yield target
        target = None if target.parent_id is None else find(target.parent_id)


def unit_above(target: GridTarget | None, level: str, find: Callable[[str], GridTarget | None]) -> GridTarget | None:
    """The target itself or what it lies in, of that level; None: not known."""
    return next((one for one in lineage(target, find) if one.level == level), None)


@dataclass(frozen=True, slots=True, order=True)
class GridName:
    """How a grid is called among others, so that squares and holes of two grids with the same numbers are kept apart:
    the ids that a file tells stand behind a prefix."""

    program: str
    prefix: str = ""
    """Empty for what lies at the top of the raw folder; else it ends with `/`."""

    @property
    def grid_id(self) -> str:
        """Of the grid itself.

        >>> GridName("epu").grid_id, GridName("epu", "visit/").grid_id
        ('epu:grid', 'visit/epu:grid')
        """
        return f"{self.prefix}{self.program}:grid"

    def inside(self, target: GridTarget) -> GridTarget:
        """The same target, called as one of this grid."""
        if not self.prefix:
            return target
        return replace(
            target,
            target_id=self.prefix + target.target_id,
            parent_id=None if target.parent_id is None else self.prefix + target.parent_id,
            group=None if target.group is None else self.prefix + target.group,
        )

    def plain(self, target: GridTarget) -> GridTarget:
        """As its file calls it: the inverse of `inside`."""
        return replace(
            target,
            target_id=target.target_id.removeprefix(self.prefix),
            parent_id=None if target.parent_id is None else target.parent_id.removeprefix(self.prefix),
            group=None if target.group is None else target.group.removeprefix(self.prefix),
        )


def grid_named(grid_id: str) -> GridName:
    """From its id.

    >>> grid_named("visit/epu:grid"), grid_named("leginon:s_g")
    (GridName(program='epu', prefix='visit/'), GridName(program='leginon', prefix=''))
    """
    prefix, slash, own = grid_id.rpartition("/")
    return GridName(own.partition(":")[0], prefix + slash)
