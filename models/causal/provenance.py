"""How an advice is known: one short word, and what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from frazil.models.causal.refutation import Refuter


class KnownBy(StrEnum):
    """What stands behind an advice, the strongest first."""

    MEASURED = "measured"
    """An experiment of this session decided it."""
    ADJUSTED = "adjusted"
    """The session's movies show it with what confounds them held fixed, and no attempt to refute it succeeded."""
    PHYSICS = "physics"
    """A mechanism's forward model alone."""


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
    """What a decided experiment of the session says of a node of the graph."""

    pays: bool
    """Whether the advised direction was better."""
    sentence: str
