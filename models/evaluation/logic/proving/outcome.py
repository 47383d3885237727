"""What a prover says of a claim, and what several of them say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from frazil.models.evaluation.logic import exact
from frazil.models.evaluation.logic.exact import CounterExample
from frazil.models.evaluation.logic.proving import calls
from frazil.models.evaluation.logic.statements import Claim

_MOST_CASES = 2_000_000


class Settled(StrEnum):
    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One prover's answer about one claim."""

    settled: Settled
    counter_example: CounterExample | None = None
    """The numbers that refute it, where the prover tells them (Lean proves the negation and names none)."""
    reason: str | None = None
    """Why it is unknown: the prover is not there, gave up, or was not given so large a claim."""


@dataclass(frozen=True, slots=True)
class ProverRun:
    """One prover on a batch of claims."""

    prover: str
    outcomes: tuple[Outcome, ...]
    """In the order of the claims."""


Prove: TypeAlias = Callable[[Sequence[Claim]], tuple[ProverRun, ...]]

ORACLE = "exact"
"""Exact integer arithmetic: always asked, and what others are held against."""


def unknown(count: int, reason: str) -> tuple[Outcome, ...]:
    """The same for every claim."""
    return (Outcome(Settled.UNKNOWN, reason=reason),) * count


def by_exact(claims: Sequence[Claim]) -> tuple[Outcome, ...]:
    """The oracle's answers; what has more cases than it gets through in some ten seconds is unknown."""
    return tuple(map(_exactly, claims))


def _exactly(claim: Claim) -> Outcome:
    cases = calls.case_count(claim)
    if cases > _MOST_CASES:
        return Outcome(Settled.UNKNOWN, reason=f"{cases} comparisons are more than the {_MOST_CASES} that are made")
    numbers = exact.counter_example(claim)
    return Outcome(Settled.PROVED) if numbers is None else Outcome(Settled.REFUTED, numbers)


def prove_exactly(claims: Sequence[Claim]) -> tuple[ProverRun, ...]:
    """The oracle alone."""
    return (ProverRun(ORACLE, by_exact(claims)),)


def joint(outcomes: Sequence[tuple[str, Outcome]]) -> Outcome:
    """Of one claim, by all provers: what those who decide agree on. If they contradict each other nothing is settled,
    and the reason says who said what."""
    decided = [(prover, outcome) for prover, outcome in outcomes if outcome.settled is not Settled.UNKNOWN]
    if not decided:
        return Outcome(Settled.UNKNOWN, reason="; ".join(f"{p}: {o.reason}" for p, o in outcomes) or "no prover")
    if len({outcome.settled for _, outcome in decided}) > 1:
        who = ", ".join(f"{prover} {outcome.settled.value}" for prover, outcome in decided)
        return Outcome(Settled.UNKNOWN, reason=f"provers contradict each other: {who}")
    numbers = [outcome.counter_example for _, outcome in decided if outcome.counter_example]
    return Outcome(decided[0][1].settled, numbers[0] if numbers else None)
