"""Which part of the work a setting touches, declared at its field: `Annotated[float, Touches(Stage.MOTION)]`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The first part of the work that a setting has a say in; the order is that of the work.

    Stages follow one upon the other: what touches one touches all that come after it.
    """

    MOTION = "motion"
    """Reading, gain, alignment and sums: the movie is processed as a whole."""
    CTF = "ctf"
    """The CTF fit, quality, losses and restoration; picking, too."""
    PICKING = "picking"
    """Picks and extracted particles."""
    RECONSTRUCTION = "reconstruction"
    """Only the running map: it is made again from the particles that are there."""
    THRESHOLDS = "thresholds"
    """Only what is kept: micrographs move between `ready` and `rejected`."""
    CAUSES = "causes"
    """Only what is said of causes: losses of all movies are told anew from what was measured of them."""
    NOTHING = "nothing"
    """Nothing that is there; the new value holds from now on."""


@dataclass(frozen=True, slots=True)
class Touches:
    """Metadata of a setting's field: the first stage that another value of it changes."""

    stage: Stage
