"""Where to shoot next: what tells of the grid, and what is counted."""

from __future__ import annotations

from typing import Annotated, Literal

from frazil.config.sections.base import Positive, Section
from frazil.config.sections.touches import Stage, Touches


class TargetsSettings(Section):
    """Where to shoot next (docs/targets.md). The hours that are left are `evaluation.microscope_hours_left`."""

    enabled: Annotated[bool, Touches(Stage.NOTHING)] = True
    """Read what the acquisition program writes of the grid, link movies to holes, and say which to take next."""
    roots: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ()
    """Further folders or files that tell of the grid: EPU's atlas, SerialEM's .nav, a table of holes (.csv). Those in
    the raw folder and in `intake.sidecar_roots` are found anyway, but for tables."""
    usable_angstrom: Annotated[Positive, Touches(Stage.NOTHING)] = 6.0
    """A movie whose CTF fits so far is usable."""
    value: Annotated[Literal["usable", "effective_signal"], Touches(Stage.NOTHING)] = "usable"
    """What is counted: usable movies; or what they bring to a map: particles, less what causes of loss take of each at
    `evaluation.goal_resolution_angstrom` (5 A where there is no goal)."""
