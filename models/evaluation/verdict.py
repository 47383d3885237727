"""What an evaluator says: one verdict with its error, its reliability, its evidence and what it does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None

LEAST_RELIABILITY = 0.05
"""A reliability is in (0, 1]: evidence is doubted, never thrown away."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one evaluator says in one round. Every evaluator's answer has this form.

    `verdict` None means that nothing can be said and the first of `does_not_know` says why; it is never a number that
    stands for "unknown".
    """

    evaluator: str
    verdict: float | None
    unit: str = "0-1"
    uncertainty: float | None = None
    """One sigma, or the half width of what is possible (the evaluator's docstring says which)."""
    reliability: float = 1.0
    """(0, 1]: how far the evidence can be trusted. Not the score: a well-known protein is not unreliable."""
    evidence: Mapping[str, Json] = field(default_factory=dict)
    does_not_know: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 < self.reliability <= 1.0:
            raise ValueError(f"{self.evaluator}: reliability {self.reliability} is not in (0, 1]")


def reliability(share: float) -> float:
    """A share as a reliability: clipped to [0.05, 1]."""
    return min(1.0, max(LEAST_RELIABILITY, share))
