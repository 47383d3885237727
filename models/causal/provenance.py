"""How an advice is known: one short word, and what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_NEAR = 0.2
"""A setting is one of those compared when it is as near as this share of it."""


class KnownBy(StrEnum):
    """What stands behind an advice, the strongest first."""

    MEASURED = "measured"
    """An experiment of this session decided it."""
    ADJUSTED = "adjusted"
    """The session's movies show it with what confounds them held fixed, and no attempt to refute it succeeded."""
    PHYSICS = "physics"
    """A mechanism's forward model alone."""


@dataclass(frozen=True, slots=True)
class Refuter:
    """What one attempt to refute an effect found."""

    name: str
    """`placebo`, `negative control` or `random common cause`."""
    passed: bool
    words: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """What stands behind one advice."""

    known_by: KnownBy = KnownBy.PHYSICS
    sentence: str = "physics alone: this session's movies were not asked"
    """Without a full stop."""
    adjusted_for: tuple[str, ...] = ()
    """Nodes of the graph that were held fixed."""
    refuters: tuple[Refuter, ...] = ()
    """What was tried to refute the movies' effect; empty: there is none to refute."""
    robustness_value: float | None = None
    """Share of what is left of treatment and outcome that a hidden cause would have to explain to make the movies'
    effect doubtful, 0 to 1; None: there is no effect."""
    contradicted: bool = False
    """Experiment or movies say otherwise than physics: there is nothing to advise."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a decided experiment of the session says of a node of the graph: two values of it, compared by signal an
    hour."""

    low: float
    """The smaller of the two values, in the node's unit."""
    high: float
    better: float | None
    """The one that gives more signal an hour; None: they differ by nothing worth a change."""
    sentence: str

    def says_of(self, now: float, *, upwards: bool) -> bool | None:
        """Whether to go up (or down) from a value pays; None: the experiment was about other values."""
        if not (1 - _NEAR) * self.low <= now <= (1 + _NEAR) * self.high:
            return None
        if now >= (1 - _NEAR / 2) * self.high if upwards else now <= (1 + _NEAR / 2) * self.low:
            return None
        return self.better == (self.high if upwards else self.low)
