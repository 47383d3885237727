"""Logical consistency: the session's obligations, each proved, refuted with a counter-example, or unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.logic.claims import movie_claims, session_claims
from frazil.models.evaluation.logic.exact import CounterExample
from frazil.models.evaluation.logic.proving.outcome import Outcome, Prove, ProverRun, Settled, joint, prove_exactly
from frazil.models.evaluation.logic.statements import ABOUT_MOVIES, ABOUT_SESSION, STATEMENTS, Claim
from frazil.models.evaluation.verdict import Json, Verdict, reliability

NAME = "logic"
_MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Obligation:
    """A statement about all of its instances (movies, map rounds) of the session so far."""

    name: str
    checked: int = 0
    refuted: int = 0
    open: int = 0
    """Instances that no prover decided, or about which provers contradict each other."""
    subject: str | None = None
    """Of the first instance that refutes it."""
    counter_example: CounterExample | None = None

    @property
    def settled(self) -> Settled:
        """Refuted by one counter-example, proved by all instances, unknown without any or with an open one."""
        if self.refuted:
            return Settled.REFUTED
        return Settled.PROVED if self.checked and not self.open else Settled.UNKNOWN

    @property
    def sentence(self) -> str:
        """For a person: what does not hold, and where."""
        numbers = ", ".join(f"{name} {value}" for name, value in (self.counter_example or {}).items())
        return f"it does not hold that {STATEMENTS[self.name]} ({self.subject}: {numbers})"


def settle(
    claims: Iterable[Claim],
    earlier: Mapping[str, Obligation] | None = None,
    *,
    outcomes: Sequence[Outcome],
) -> tuple[Obligation, ...]:
    """All obligations of `STATEMENTS`, in its order, after these claims and those of earlier rounds.

    `outcomes`: what the provers say together of each claim (`proving.outcome.joint`).
    """
    found = {name: (earlier or {}).get(name, Obligation(name)) for name in STATEMENTS}
    for claim, outcome in zip(claims, outcomes, strict=True):
        before = found[claim.name]
        refuted = outcome.settled is Settled.REFUTED
        now = replace(
            before,
            checked=before.checked + 1,
            refuted=before.refuted + refuted,
            open=before.open + (outcome.settled is Settled.UNKNOWN),
        )
        if refuted and not before.refuted:
            now = replace(now, subject=claim.subject, counter_example=outcome.counter_example)
        found[claim.name] = now
    return tuple(found.values())


def evaluate(facts: RoundFacts, prove: Prove = prove_exactly) -> Verdict:
    """LogicScore: the proved share of the obligations that are decided.

    The uncertainty is half the span that the undecided ones leave: all of them refuted, or all proved. The reliability
    is the share that is not refuted. Without a model of a crystal or helix there are no obligations about one.

    Parameters
    ----------
    prove:
        The provers, on all claims of the round at once.
    """
    claims = [claim for movie in facts.movies for claim in movie_claims(movie)]
    claims += session_claims(facts)
    earlier = obligations_of(facts.earlier.get(NAME, {}))
    runs = prove(claims)
    outcomes = [joint([(run.prover, run.outcomes[place]) for run in runs]) for place in range(len(claims))]
    # What is said of the map or the settings is said anew each round; a movie's fault stays one.
    kept = {name: earlier[name] for name in earlier if name in ABOUT_MOVIES}
    obligations = settle(claims, kept, outcomes=outcomes)
    if facts.model is None:
        obligations = tuple(obligation for obligation in obligations if obligation.name in ABOUT_SESSION)
    verdict = verdict_of(obligations)
    about_provers: dict[str, Json] = {
        "provers": [_run_as_json(run) for run in runs],
        "contradictions": contradictions(claims, runs),
    }
    nothing = () if facts.model is not None else ("no crystal or helix was described (evaluation.model)",)
    return replace(
        verdict,
        evidence={**verdict.evidence, **about_provers},
        does_not_know=(*verdict.does_not_know, *nothing),
    )


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
            "obligations": [_as_json(obligation) for obligation in obligations],
        },
        does_not_know=tuple(
            f"{'provers leave it open' if o.open else 'nothing to decide yet'}: {STATEMENTS[o.name]}"
            for o in by[Settled.UNKNOWN]
        ),
    )


def contradictions(claims: Sequence[Claim], runs: Sequence[ProverRun]) -> list[Json]:
    """As evidence: a mistake in a prover, or in how it was asked (`Contradiction`)."""
    found: list[Json] = []
    for place, claim in enumerate(claims):
        said = {run.prover: run.outcomes[place].settled for run in runs}
        if {Settled.PROVED, Settled.REFUTED} <= set(said.values()):
            row: dict[str, Json] = {"name": claim.name, "subject": claim.subject}
            found.append({**row, "said": {prover: settled.value for prover, settled in said.items()}})
    return found


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A claim of which one prover says proved and another refuted."""

    name: str
    subject: str
    said: Mapping[str, str]

    @property
    def sentence(self) -> str:
        """For a person."""
        who = ", ".join(f"{prover}: {settled}" for prover, settled in self.said.items())
        return f"provers contradict each other about whether {STATEMENTS[self.name]} ({self.subject}; {who})"


def contradictions_of(evidence: Mapping[str, Any]) -> tuple[Contradiction, ...]:
    """Those of a verdict, from its evidence."""
    rows = evidence.get("contradictions", ())
    return tuple(Contradiction(row["name"], row["subject"], row["said"]) for row in rows if row["name"] in STATEMENTS)


def _run_as_json(run: ProverRun) -> dict[str, Json]:
    counts: dict[str, Json] = {s.value: sum(o.settled is s for o in run.outcomes) for s in Settled}
    reasons = dict.fromkeys(outcome.reason for outcome in run.outcomes if outcome.reason)
    return {"prover": run.prover, **counts, "reasons": list(reasons)[:_MOST_REASONS]}


def obligations_of(evidence: Mapping[str, Any]) -> dict[str, Obligation]:
    """The obligations of an earlier verdict from its stored evidence."""
    return {
        row["name"]: Obligation(
            name=row["name"],
            checked=row["checked"],
            refuted=row["refuted"],
            open=row.get("open", 0),
            subject=row["subject"],
            counter_example=row["counter_example"],
        )
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
        "open": obligation.open,
        "subject": obligation.subject,
        "counter_example": obligation.counter_example,
    }
