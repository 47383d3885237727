"""Every obligation by its name, and the form of a claim: what a prover is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Integers: TypeAlias = Mapping[str, int | tuple[int, ...]]

STATEMENTS: Mapping[str, str] = {
    "frames-counted": "every frame of a movie has one measured shift",
    "frames-promised": "a movie has the frames that its sidecar promises",
    "dose-adds-up": "frames x dose per frame is the total dose, within 6 % (EER: and one fraction)",
    "dose-arrives": "no more electrons are counted than the stated dose sends, within 25 %",
    "fit-above-nyquist": "the CTF fit claims no rings beyond the sampling limit of two pixels",
    "defocus-ordered": "defocus U is not smaller than defocus V",
    "one-result-per-file": "no file counts twice",
    "halves-complete": "the half-sets of a movie add up to its particles",
    "halves-disjoint": "no particle is in both half-sets",
    "fibres-whole": "no fibre that is known has segments in both half-sets",
    "halves-apart": "particles of different half-sets are farther apart than the search could shift them together",
    "halves-balanced": "a movie's half-sets differ by its largest fibre at most, or by one particle",
    "box-holds-particle": "the box is not smaller than the particle",
    "group-order": "the symmetry group has the order that its name says",
    "group-closed": "the symmetry operations form a group of rotations",
    "map-counts": "the map holds no more movies and particles than there are",
    "map-halves-sum": "the half-sets of all movies add up to their particles, and hold those of the map",
    "map-halves-balanced": "the half-sets of all movies differ by no more than a particle, or a fibre, a movie",
    "map-above-nyquist": "the map claims no resolution beyond its last shell",
    "map-within-pixels": "the map claims no resolution beyond two pixels of the micrographs",
    "fsc-in-range": "every FSC value is between -1 and 1",
    "fsc-starts-high": "the FSC starts above 0.5",
    "fsc-crosses-where-claimed": "the FSC first falls below 0.143 at the claimed resolution, within a shell",
    "cell-positive": "the unit cell has a volume: its metric is positive definite",
    "cell-fits-operations": "every symmetry operation leaves the cell's metric as it is, within the cell's error",
    "operations-closed": "the symmetry operations form a group modulo lattice translations",
    "operations-order": "the space group has the number of operations that its name says",
    "operations-proper": "no operation is a mirror or an inversion: the specimen is chiral",
    "cell-contents": "the molecules of the cell are a whole multiple of the symmetry operations",
    "matthews": "the Matthews coefficient is between 1.6 and 4.0 A3/Da",
    "mates-apart": "no two symmetry mates overlap as coarse spheres",
    "cell-in-box": "the box holds a unit cell",
    "helix-rises": "a helix rises, and turns by no more than half a turn a subunit",
    "helix-pitch": "rise and twist of the helix make its pitch",
    "helix-handed": "the twist has the sign of the stated hand: positive is right-handed",
    "helix-in-box": "the box holds two subunits of the helix along its axis",
}
"""Every obligation by its name, in a person's words; the order is that of reports."""

_NAMES = tuple(STATEMENTS)

ABOUT_MOVIES = frozenset(_NAMES[: _NAMES.index("box-holds-particle")])
"""Obligations with an instance for each movie; the others are about the session, its map, or a model."""

ABOUT_MODELS = frozenset(_NAMES[_NAMES.index("cell-positive") :])
"""Obligations about the crystal or helix that a person describes (`evaluation.model`)."""

ABOUT_SESSION = frozenset(STATEMENTS) - ABOUT_MODELS
"""Obligations about movies, settings and the map."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One instance of an obligation."""

    name: str
    subject: str
    """What it is about: a movie id, `map round 3`, `session`, a model's name."""
    integers: Integers
