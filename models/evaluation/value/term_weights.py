"""The weights of V that ship, and how operators' verdicts move them in a session: a little, bounded, and logged.

The shipped weights come from Bayesian optimisation on simulated sessions against the truth of their maps
(`./run bench value_weights`, which writes the file). In a session V is a policy: it would keep a movie m with

    p(m) = sigmoid(w . (x_m - x) / T),

x_m the terms of that movie alone, x their mean over all movies that operators have spoken of. The reward is 1 where the
operator did the same. The policy gradient of its expectation (REINFORCE, Williams 1992, Mach. Learn. 8, 229; both
actions are summed instead of drawn, so that no baseline is needed against the scatter of draws) moves the weights by an
exponentiated step, which stays on the simplex (Kivinen & Warmuth 1997, Inf. Comput. 132, 1).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from frazil.models.evaluation.facts import MovieFacts, RoundFacts
from frazil.models.evaluation.logic.claims import movie_claims
from frazil.models.evaluation.logic.exact import counter_example
from frazil.models.evaluation.reproducibility.ring_agreement import half_agreement
from frazil.models.evaluation.value.hyperscore import EQUAL_WEIGHTS, VALUE_NAME
from frazil.models.evaluation.verdict import Json

_FILE = Path(__file__).with_name("value_weights.json")
KEY = "weights_in_use"
"""Of the evidence of V."""
LEAST_WEIGHT = 0.01
"""No term is switched off."""
MOST_PER_ROUND = 0.02
"""That a round's feedback moves a weight by."""
MOST_IN_ALL = 0.15
"""That a session moves a weight from the shipped one by."""
_RATE = 0.5
_TEMPERATURE = 0.1


@dataclass(frozen=True, slots=True)
class TermWeights:
    """Of the five terms; they add up to 1."""

    version: str
    """`1`: as shipped; `1+3`: after three steps of the session."""
    weights: Mapping[str, float]
    made: str
    """How, in words."""


@cache
def shipped() -> TermWeights:
    """The weights that ship.

    Raises
    ------
    OSError, ValueError, KeyError
        The file is not there or holds no weights.
    """
    return parsed(json.loads(_FILE.read_text()))


def parsed(found: Mapping[str, Any]) -> TermWeights:
    """Raises ValueError where the weights are not five shares of 1, KeyError where something is missing."""
    weights = {str(name): float(weight) for name, weight in found["weights"].items()}
    if set(weights) != set(EQUAL_WEIGHTS) or min(weights.values()) < 0 or abs(sum(weights.values()) - 1) > 1e-6:
        raise ValueError(f"weights of V must be shares of 1 of {', '.join(EQUAL_WEIGHTS)}: {weights}")
    return TermWeights(str(found["version"]), weights, str(found["made"]))


def movie_terms(facts: MovieFacts) -> dict[str, float]:
    """The terms of V that one movie has alone, [0, 1]: share of its claims that is not refuted, agreement of its even
    and odd frames, whether its CTF fit trusts itself. Novelty and impact speak of no movie."""
    claims = list(movie_claims(facts))
    refuted = sum(counter_example(claim) is not None for claim in claims)
    terms = {"logic": 1.0 - refuted / len(claims) if claims else 1.0, "meta": float(facts.result.ctf.reliable)}
    found = half_agreement(facts.result)
    if found is not None:
        terms["reproducibility"] = min(1.0, max(0.0, found[0]))
    return terms


def in_use(facts: RoundFacts) -> tuple[dict[str, float], dict[str, Json]]:
    """The weights of this round and what is kept of them as evidence: version, how they were made, the last step."""
    base = shipped()
    state: Mapping[str, Any] = facts.earlier.get(VALUE_NAME, {}).get(KEY, {})
    if state.get("shipped") != base.version:  # of another frazil, or none: begin with what ships
        state = {}
    before = {name: float(state.get("weights", {}).get(name, weight)) for name, weight in base.weights.items()}
    steps, until = int(state.get("steps", 0)), int(state.get("feedback_until_utc_us", -1))
    sums = {name: (int(n), float(total)) for name, (n, total) in state.get("term_sums", {}).items()}
    told = [(one, movie_terms(one.movie)) for one in facts.feedback if one.created_utc_us > until]
    after, last_step = before, state.get("last_step")
    if told:
        for _, terms in told:
            for name, value in terms.items():
                count, total = sums.get(name, (0, 0.0))
                sums[name] = count + 1, total + value
        means = {name: total / count for name, (count, total) in sums.items()}
        labelled = [(one.accepted, terms) for one, terms in told]
        after = step(before, labelled, means, anchor=base.weights)
        steps += 1
        until = max(one.created_utc_us for one, _ in told)
        accepted = sum(one.accepted for one, _ in told)
        last_step = {
            "round": facts.round,
            "reason": f"{accepted} accepted and {len(told) - accepted} rejected by "
            f"{', '.join(sorted({one.who for one, _ in told}))}",
            "before": before,
            "after": after,
            "agreement_before": agreement(before, labelled, means),
            "agreement_after": agreement(after, labelled, means),
        }
    return after, {
        "version": f"{base.version}+{steps}" if steps else base.version,
        "made": base.made,
        "weights": after,
        "shipped": base.version,
        "steps": steps,
        "feedback_until_utc_us": until,
        "term_sums": {name: list(pair) for name, pair in sums.items()},
        "last_step": last_step,
    }


def agreement(
    weights: Mapping[str, float], labelled: list[tuple[bool, dict[str, float]]], means: Mapping[str, float]
) -> float:
    """Expected share of movies of which V's policy does what the operator did."""
    chances = [_keeps(weights, terms, means) for _, terms in labelled]
    return sum(p if kept else 1 - p for p, (kept, _) in zip(chances, labelled, strict=True)) / len(labelled)


def step(
    weights: Mapping[str, float],
    labelled: list[tuple[bool, dict[str, float]]],
    means: Mapping[str, float],
    *,
    anchor: Mapping[str, float],
) -> dict[str, float]:
    """The weights after a round's feedback.

    Parameters
    ----------
    labelled:
        (accepted, terms of the movie); a term that is not there is taken to be average.
    means:
        Mean of each term.
    anchor:
        The shipped weights, from which none moves by more than `MOST_IN_ALL`.
    """
    gradient = dict.fromkeys(weights, 0.0)
    for kept, terms in labelled:
        p = _keeps(weights, terms, means)
        slope = (1 if kept else -1) * p * (1 - p) / _TEMPERATURE / len(labelled)
        for name, value in terms.items():
            gradient[name] += slope * (value - means[name])
    raw = {name: weight * math.exp(_RATE * gradient[name]) for name, weight in weights.items()}
    total = sum(raw.values())
    wanted = {name: weight / total for name, weight in raw.items()}
    return _within(
        wanted,
        {n: max(LEAST_WEIGHT, anchor[n] - MOST_IN_ALL, weight - MOST_PER_ROUND) for n, weight in weights.items()},
        {n: min(anchor[n] + MOST_IN_ALL, weight + MOST_PER_ROUND) for n, weight in weights.items()},
    )


def _within(wanted: Mapping[str, float], low: Mapping[str, float], high: Mapping[str, float]) -> dict[str, float]:
    """The shares of 1 within bounds nearest by relative entropy: all times one factor, held where they meet a bound."""

    def moved(by: float) -> dict[str, float]:
        return {name: min(max(weight * math.exp(by), low[name]), high[name]) for name, weight in wanted.items()}

    least, most = -5.0, 5.0
    for _ in range(60):
        middle = (least + most) / 2
        if sum(moved(middle).values()) < 1.0:
            least = middle
        else:
            most = middle
    return moved((least + most) / 2)


def _keeps(weights: Mapping[str, float], terms: Mapping[str, float], means: Mapping[str, float]) -> float:
    above = sum(weights[name] * (value - means[name]) for name, value in terms.items())
    return 1.0 / (1.0 + math.exp(-above / _TEMPERATURE))
