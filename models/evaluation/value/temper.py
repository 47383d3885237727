"""How far an epoch's evidence moves the causal prior: the exponent of its power posterior.

g = (r_logic r_novelty r_impact r_reproducibility r_meta)^(1/5), each r in (0, 1] the reliability of the evidence as one
evaluator sees it, never its score. Two speak of each term: what the epoch's own results show, and what the evaluator
wrote in its newest round; the one that doubts more counts. Where nobody can speak the term is left out and g is the
geometric mean of the others: a 1 would flatter. The weight keeps each term with its words and its round, so that g can
be computed again from what is stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from frazil.models.causal.evidence_weight import TERMS, EvidenceWeight, HeardVerdict, WeightTerm
from frazil.models.evaluation.facts import MovieFacts
from frazil.models.evaluation.logic.claims import movie_claims
from frazil.models.evaluation.logic.exact import counter_example
from frazil.models.evaluation.reproducibility.ring_agreement import half_agreement
from frazil.models.evaluation.verdict import Json, Verdict, reliability
from frazil.models.records import MovieResult

NAME = "temper"
HEARD_ROUNDS_BACK = 2
"""Epoch e hears rounds up to e - 2, as far as they are finished: the two in between are in hand while it closes."""
HEARD = ("logic", "novelty", "impact", "reproducibility", "sandbox", "meta")
"""Evaluators whose verdicts enter g."""
_OF_THE_STRUCTURE = ("novelty", "impact")
LEAST_OF_THE_STRUCTURE = 0.5
"""Novelty and impact speak of the structure's worth and not of a movie: together they take at most a quarter off g."""


def temper(reliabilities: Mapping[str, float]) -> float:
    """The geometric mean of the reliabilities that are known; 1 where none is: then there is nothing to weigh.

    Raises
    ------
    ValueError
        If one is not in (0, 1], or of no term.
    """
    for name, value in reliabilities.items():
        if name not in TERMS or not 0.0 < value <= 1.0:
            raise ValueError(f"the reliability of {name} must be of {', '.join(TERMS)} and in (0, 1], not {value}")
    return math.prod(reliabilities.values()) ** (1 / len(reliabilities)) if reliabilities else 1.0


def epoch_reliabilities(results: Sequence[MovieResult], broken_claims: int = 0) -> dict[str, float]:
    """The reliability of an epoch's evidence as its own results show it; what they cannot show is left out.

    logic: share of what the results claim of themselves that is not refuted, divided by one more than the claims of
    the causal graph that the session has refuted (`broken_claims`): what is learnt with a graph that does not hold is
    half as reliable, or less. reproducibility: mean agreement of the
    halves, over movies where it can be had. meta: share of movies whose CTF fit trusts itself (with one success in two
    assumed beforehand): where most fits fail, the others are doubted too.
    """
    found = {}
    claims = [claim for result in results for claim in movie_claims(MovieFacts(result))]
    refuted = sum(counter_example(claim) is not None for claim in claims)
    if claims or broken_claims:
        found["logic"] = reliability((1.0 - refuted / max(len(claims), 1)) / (1 + broken_claims))
    agreements = [agreed[0] for result in results if (agreed := half_agreement(result)) is not None]
    clipped = [min(1.0, max(0.0, value)) for value in agreements]
    if clipped:
        found["reproducibility"] = reliability(math.fsum(clipped) / len(clipped))
    if results:
        trusted = sum(result.ctf.reliable for result in results)
        found["meta"] = reliability((trusted + 1) / (len(results) + 1))
    return found


def evidence_weight(
    results: Sequence[MovieResult], heard: Sequence[HeardVerdict] = (), broken_claims: int = 0
) -> EvidenceWeight:
    """g of an epoch, with what each term follows from. Neither the order of the results nor that of `heard` matters."""
    own = epoch_reliabilities(results, broken_claims)
    by_name = {one.evaluator: one for one in heard}
    terms = tuple(_term(name, own.get(name), by_name) for name in TERMS)
    return EvidenceWeight(temper({one.name: one.reliability for one in terms if one.reliability is not None}), terms)


def evaluate(round_number: int, results: Sequence[MovieResult], verdicts: Sequence[Verdict] = ()) -> Verdict:
    """g as this round's verdicts and movies would have it, as a row of the record. What a version of the prior was
    made with, which hears of earlier rounds, stands in its weight."""
    heard = [heard_of(verdict, round_number) for verdict in verdicts if verdict.evaluator in HEARD]
    weight = evidence_weight(results, heard)
    known: dict[str, Json] = {one.name: one.reliability for one in weight.terms if one.reliability is not None}
    return Verdict(
        NAME,
        weight.g,
        unit="exponent",
        evidence={
            "reliabilities": known,
            "why": {one.name: one.words for one in weight.terms},
            "heard_from_version": round_number + 1 + HEARD_ROUNDS_BACK,
            "movies": len(results),
        },
        does_not_know=(
            *(f"{one.name}, left out: {one.words}" for one in weight.terms if one.reliability is None),
            "what the sandbox, and claims of the causal graph that the session refutes, take off besides",
        ),
    )


def heard_of(verdict: Verdict, round_number: int) -> HeardVerdict:
    """A verdict as the weight hears of it."""
    if verdict.verdict is not None and not _only_cost(verdict):
        return HeardVerdict(verdict.evaluator, round_number, verdict.verdict, verdict.reliability)
    why_not = next(iter(verdict.does_not_know), "")
    return HeardVerdict(verdict.evaluator, round_number, None, verdict.reliability, why_not)


def _only_cost(verdict: Verdict) -> bool:
    """Whether a verdict on reproducibility rests on nothing but the time that movies took: that is no evidence."""
    parts = verdict.evidence.get("parts")
    return verdict.evaluator == "reproducibility" and isinstance(parts, Mapping) and set(parts) <= {"cost"}


def _term(name: str, own: float | None, heard: Mapping[str, HeardVerdict]) -> WeightTerm:
    verdict = heard.get(name)
    said, words = _said(name, verdict)
    round_number = verdict.round if verdict is not None and said is not None else None
    sandbox = heard.get("sandbox") if name == "reproducibility" else None
    if own is not None:
        words = f"{own:.2f} by this epoch's own movies; {words}"
    known = [one for one in (own, said) if one is not None]
    value = min(known, default=None)
    if sandbox is not None and sandbox.verdict is not None:
        # What comes again, and what stands when the instrument is off by its errors: both make evidence firm.
        stands = reliability(sandbox.verdict)
        value = stands if value is None else math.sqrt(value * stands)
        words += f"; sandbox: {stands:.2f} in round {sandbox.round + 1}"
        round_number = sandbox.round if round_number is None else round_number
    return WeightTerm(name, value, words, round_number)


def _said(name: str, verdict: HeardVerdict | None) -> tuple[float | None, str]:
    """What an evaluator's newest round says of a term, and the words for it."""
    if verdict is None:
        return None, "no finished round of the evaluators yet"
    if verdict.verdict is None:
        return None, f"round {verdict.round + 1}: {verdict.why_not or 'nothing could be said'}"
    value = verdict.reliability
    if name in _OF_THE_STRUCTURE:
        value = max(value, LEAST_OF_THE_STRUCTURE)
    return value, f"{value:.2f} in round {verdict.round + 1}"
