"""How far an epoch's evidence was allowed to move the prior, and who said so: kept with the version that it made."""

from __future__ import annotations

from dataclasses import dataclass

TERMS = ("logic", "novelty", "impact", "reproducibility", "meta")
"""Of g, in the order of the design's formula."""


@dataclass(frozen=True, slots=True)
class HeardVerdict:
    """What an evaluator wrote in its newest round that the epoch could hear of."""

    evaluator: str
    round: int
    """From 0."""
    verdict: float | None
    """None: nothing could be said, and `why_not` says why."""
    reliability: float
    """(0, 1], of the evidence."""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class WeightTerm:
    """One factor of g."""

    name: str
    """Of `TERMS`."""
    reliability: float | None
    """(0, 1]; None: nobody could say, and the term is left out of the mean."""
    words: str
    """Where it comes from, for a person, without a full stop."""
    verdict_round: int | None = None
    """Of the evaluators' round that was heard; None: none was, or it could say nothing."""


@dataclass(frozen=True, slots=True)
class EvidenceWeight:
    """g of one epoch."""

    g: float = 1.0
    """(0, 1]: the exponent of the power posterior."""
    terms: tuple[WeightTerm, ...] = ()
    """Empty: of an earlier frazil, or version 0, which learnt from nothing."""
