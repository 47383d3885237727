"""Go on, change something, or stop: what the verdict at the top of the screen holds movies against."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from frazil.config.sections.base import Positive, Section
from frazil.config.sections.touches import Stage, Touches


class VerdictSettings(Section):
    """The one verdict on the session (docs/verdict.md). A movie is good that was kept and is within the limits below as
    far as they are known of it. Disk, lag and a camera that stands still have their limits in `alerts`."""

    movies: Annotated[int, Field(ge=8, le=200), Touches(Stage.NOTHING)] = 24
    """The newest movies that are judged: some five minutes of a fast camera. Of 24, chance alone moves a share of nine
    good in ten by one movie and a half (binomial), less than what the limits below are apart."""
    fewest: Annotated[int, Field(ge=3, le=200), Touches(Stage.NOTHING)] = 8
    """Of fewer nothing is said of their quality: three bad ones of eight are no accident where one in ten is usual."""
    good_share: Annotated[float, Field(gt=0, le=1), Touches(Stage.NOTHING)] = 0.75
    """`change` where a smaller share of them is good. A quarter lost is where operators stop and look (Diamond's alert
    rule). Over when a tenth more than that is good, and has been for six movies."""
    stop_share: Annotated[float, Field(ge=0, lt=1), Touches(Stage.NOTHING)] = 0.25
    """`stop` where a smaller share is good: to mend it first costs less than to go on for an hour."""
    ctf_fit_angstrom: Annotated[Positive, Touches(Stage.NOTHING)] = 6.0
    """A good movie's CTF fits so far (RELION's default selection; `targets.usable_angstrom` is the same number)."""
    early_motion_angstrom: Annotated[Positive, Touches(Stage.NOTHING)] = 8.0
    """A good movie moves no more in its first 4 e/A2: half as much again as the median at which the summary advises to
    wait longer (5 A)."""
    ice_nm: Annotated[Positive, Touches(Stage.NOTHING)] = 150.0
    """A good movie's ice is not surely thicker. At 150 nm one electron in three has lost energy at 300 kV (mean free
    path 395 nm; Rice et al. 2018, J. Struct. Biol. 204, 38), in the 20 to 60 nm of good grids one in ten."""
    worth_changing: Annotated[float, Field(ge=1.0, le=10), Touches(Stage.NOTHING)] = 1.1
    """Advice is a reason to change something where it surely (lower end of its 95 % interval) brings so many times the
    signal an hour."""

    @model_validator(mode="after")
    def _ordered(self) -> VerdictSettings:
        if self.stop_share >= self.good_share:
            raise ValueError("verdict.stop_share must be below verdict.good_share")
        if self.fewest > self.movies:
            raise ValueError("verdict.fewest must not be above verdict.movies")
        return self
