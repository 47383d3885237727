"""One place on a grid that a microscope can go to, by whatever program it was found: square, patch, hole, exposure.

Programs name the levels differently (EPU: grid square, foil hole; SerialEM: maps, items; Leginon: gr, sq, hl, en). A
level may be missing between two others: EPU has no patches, a plain list of holes has no squares.
"""

from __future__ import annotations

from dataclasses import dataclass

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
