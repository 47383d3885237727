"""How far an epoch's evidence moves the causal prior: the exponent of its power posterior.

g = (r_logic r_novelty r_impact r_reproducibility r_meta)^(1/5), each r in (0, 1] the reliability of the evidence as one
evaluator sees it, never its score. Computed from the epoch's own results alone, so that a version of the prior is the
same whenever it is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from frazil.models.evaluation.facts import MovieFacts
from frazil.models.evaluation.logic.claims import movie_claims
from frazil.models.evaluation.logic.exact import counter_example
from frazil.models.evaluation.reproducibility.ring_agreement import half_agreement
from frazil.models.evaluation.verdict import Verdict, reliability
from frazil.models.records import MovieResult

NAME = "temper"
_NAMES = ("logic", "novelty", "impact", "reproducibility", "meta")


def temper(reliabilities: Mapping[str, float]) -> float:
    """The geometric mean of the five reliabilities.

    Raises
    ------
    ValueError
        If one is missing or not in (0, 1].
    """
    for name in _NAMES:
        if not 0.0 < reliabilities.get(name, 0.0) <= 1.0:
            raise ValueError(f"the reliability of {name} must be in (0, 1], not {reliabilities.get(name)}")
    return math.prod(reliabilities[name] for name in _NAMES) ** (1 / len(_NAMES))


def epoch_reliabilities(results: Sequence[MovieResult], broken_claims: int = 0) -> dict[str, float]:
    """The reliability of an epoch's evidence by evaluator.

    logic: share of what the results claim of themselves that is not refuted, divided by one more than the claims of
    the causal graph that the session has refuted (`broken_claims`): what is learnt with a graph that does not hold is
    half as reliable, or less. reproducibility: mean agreement of the
    halves, over movies where it can be had. meta: share of movies whose CTF fit trusts itself (with one success in two
    assumed beforehand): where most fits fail, the others are doubted too. novelty has said nothing that could be
    wrong, and the forecast of citations is no evidence about a movie (versions of the prior must not wait for it): 1.
    """
    claims = [claim for result in results for claim in movie_claims(MovieFacts(result))]
    refuted = sum(counter_example(claim) is not None for claim in claims)
    agreements = [found[0] for result in results if (found := half_agreement(result)) is not None]
    clipped = [min(1.0, max(0.0, value)) for value in agreements]
    trusted = sum(result.ctf.reliable for result in results)
    return {
        "logic": reliability((1.0 - refuted / len(claims) if claims else 1.0) / (1 + broken_claims)),
        "novelty": 1.0,
        "impact": 1.0,
        "reproducibility": reliability(sum(clipped) / len(clipped)) if clipped else 1.0,
        "meta": reliability((trusted + 1) / (len(results) + 1)) if results else 1.0,
    }


def epoch_temper(results: Sequence[MovieResult], broken_claims: int = 0) -> float:
    """g of an epoch, (0, 1]; 1 without results and broken claims of the graph (there is nothing to doubt)."""
    return temper(epoch_reliabilities(results, broken_claims))


def evaluate(round_number: int, results: Sequence[MovieResult]) -> Verdict:
    """g as a row of the record: what the prior's next version was made with."""
    reliabilities = epoch_reliabilities(results)
    return Verdict(
        NAME,
        temper(reliabilities),
        unit="exponent",
        evidence={"reliabilities": reliabilities, "prior_version": round_number + 1, "movies": len(results)},
        does_not_know=(
            "the calibration of novelty and impact: neither moves g",
            "what claims of the causal graph that the session refutes take off besides",
        ),
    )
