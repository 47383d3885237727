"""Logical consistency: the session's obligations, each proved, refuted with a counter-example, or unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from frazil.models.evaluation import exact
from frazil.models.evaluation.claims import ABOUT_MOVIES, STATEMENTS, Claim, movie_claims, session_claims
from frazil.models.evaluation.exact import CounterExample
from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.verdict import Json, Verdict, reliability

NAME = "logic"


class Settled(StrEnum):
    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Obligation:
    """A statement about all of its instances (movies, map rounds) of the session so far."""

    name: str
    checked: int = 0
    refuted: int = 0
    subject: str | None = None
    """Of the first instance that refutes it."""
    counter_example: CounterExample | None = None

    @property
    def settled(self) -> Settled:
        """Refuted by one counter-example, proved by all instances, unknown without any."""
        if self.refuted:
            return Settled.REFUTED
        return Settled.PROVED if self.checked else Settled.UNKNOWN

    @property
    def sentence(self) -> str:
        """For a person: what does not hold, and where."""
        numbers = ", ".join(f"{name} {value}" for name, value in (self.counter_example or {}).items())
        return f"it does not hold that {STATEMENTS[self.name]} ({self.subject}: {numbers})"


def settle(
    claims: Iterable[Claim],
    earlier: Mapping[str, Obligation] | None = None,
    *,
    check: Callable[[Claim], CounterExample | None] = exact.counter_example,
) -> tuple[Obligation, ...]:
    """All obligations of `STATEMENTS`, in its order, after these claims and those of earlier rounds.

    `check` is the prover: the counter-example, or None for a proof.
    """
    found = {name: (earlier or {}).get(name, Obligation(name)) for name in STATEMENTS}
    for claim in claims:
        before = found[claim.name]
        numbers = check(claim)
        now = replace(before, checked=before.checked + 1, refuted=before.refuted + (numbers is not None))
        if numbers is not None and not before.refuted:
            now = replace(now, subject=claim.subject, counter_example=numbers)
        found[claim.name] = now
    return tuple(found.values())


def evaluate(facts: RoundFacts) -> Verdict:
    """LogicScore: the proved share of the obligations that are decided.

    The uncertainty is half the span that the undecided ones leave: all of them refuted, or all proved. The reliability
    is the share that is not refuted.
    """
    claims = [claim for movie in facts.movies for claim in movie_claims(movie)]
    claims += session_claims(facts)
    earlier = obligations_of(facts.earlier.get(NAME, {}))
    # What is said of the map or the settings is said anew each round; a movie's fault stays one.
    return verdict_of(settle(claims, {name: earlier[name] for name in earlier if name in ABOUT_MOVIES}))


def verdict_of(obligations: tuple[Obligation, ...]) -> Verdict:
    """See `evaluate`."""
    by = {settled: [o for o in obligations if o.settled is settled] for settled in Settled}
    proved, refuted, unknown = (len(by[s]) for s in (Settled.PROVED, Settled.REFUTED, Settled.UNKNOWN))
    decided = proved + refuted
    return Verdict(
        evaluator=NAME,
        verdict=proved / decided if decided else None,
        unit="share proved",
        uncertainty=unknown / (2 * len(obligations)) if decided else None,
        reliability=reliability(1.0 - refuted / len(obligations)),
        evidence={
            "proved": proved,
            "refuted": refuted,
            "unknown": unknown,
            "prover": "exact integers",
            "obligations": [_as_json(obligation) for obligation in obligations],
        },
        does_not_know=tuple(f"nothing to decide yet: {STATEMENTS[o.name]}" for o in by[Settled.UNKNOWN]),
    )


def obligations_of(evidence: Mapping[str, Any]) -> dict[str, Obligation]:
    """The obligations of an earlier verdict from its stored evidence."""
    return {
        row["name"]: Obligation(row["name"], row["checked"], row["refuted"], row["subject"], row["counter_example"])
        for row in evidence.get("obligations", ())
        if row["name"] in STATEMENTS
    }


def _as_json(obligation: Obligation) -> dict[str, Json]:
    return {
        "name": obligation.name,
        "statement": STATEMENTS[obligation.name],
        "settled": obligation.settled.value,
        "checked": obligation.checked,
        "refuted": obligation.refuted,
        "subject": obligation.subject,
        "counter_example": obligation.counter_example,
    }
