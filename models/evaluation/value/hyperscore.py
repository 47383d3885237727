"""V and HyperScore: the evaluators' verdicts in one number.

    V = w1 Logic + w2 Novelty + w3 ln(Impact + 1) + w4 dRepro + w5 Meta
    HyperScore = 100 (1 + sigmoid(beta ln V + gamma)^kappa)

A term whose verdict is undefined is left out, and the weights of the others are divided by their sum, so that V stays
an average and its meaning does not depend on what happens to be known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frazil.models.evaluation.verdict import Verdict, reliability

VALUE_NAME = "value"
NAME = "hyperscore"

EQUAL_WEIGHTS: Mapping[str, float] = {
    "logic": 0.2,
    "novelty": 0.2,
    "impact": 0.2,
    "reproducibility": 0.2,
    "meta": 0.2,
}
"""No term is preferred: what learned weights (`term_weights`) are held against."""


@dataclass(frozen=True, slots=True)
class HyperScoreShape:
    """Of the sigmoid. With V = 1 the score is 100 (1 + (1/3)^2) = 111.1; it never leaves [100, 200]."""

    beta: float = 5.0
    """Sensitivity: how sharply the score rises with ln V; > 0."""
    gamma: float = -math.log(2.0)
    """Shift: the sigmoid's middle lies at V = exp(-gamma / beta), here 1.149 (more than all terms at 1)."""
    kappa: float = 2.0
    """Boost: > 1 spreads the high scores and presses the low ones together."""


def value(verdicts: Sequence[Verdict], weights: Mapping[str, float] = EQUAL_WEIGHTS) -> Verdict:
    """V from the verdicts by evaluator name; None if no term is defined. The uncertainty takes the terms' errors as
    independent; the reliability is the weighted mean of the terms'.

    Raises
    ------
    ValueError
        For a negative weight, or an impact of -1 or less.
    """
    if any(weight < 0 for weight in weights.values()):
        raise ValueError(f"weights are not negative: {dict(weights)}")
    known = {v.evaluator: v for v in verdicts if v.evaluator in weights and v.verdict is not None}
    total = sum(weights[name] for name in known)
    missing = tuple(f"{name} is undefined and left out" for name in weights if name not in known)
    if total <= 0:
        return Verdict(VALUE_NAME, None, unit="V", evidence={"terms": {}}, does_not_know=missing)
    used = {name: weights[name] / total for name in known}
    terms: dict[str, float] = {}
    variance = 0.0
    for name, verdict in known.items():
        assert verdict.verdict is not None
        terms[name], slope = _term(name, verdict.verdict)
        variance += (used[name] * slope * (verdict.uncertainty or 0.0)) ** 2
    return Verdict(
        VALUE_NAME,
        sum(used[name] * term for name, term in terms.items()),
        unit="V",
        uncertainty=math.sqrt(variance),
        reliability=reliability(sum(used[name] * known[name].reliability for name in known)),
        evidence={"terms": terms, "weights": used, "weights_before": dict(weights), "left_out": list(missing)},
        does_not_know=missing,
    )


def _term(name: str, verdict: float) -> tuple[float, float]:
    """The term and its derivative."""
    if name != "impact":
        return verdict, 1.0
    if verdict <= -1.0:
        raise ValueError(f"an impact of {verdict} citations has no logarithm")
    return math.log1p(verdict), 1.0 / (1.0 + verdict)


def hyperscore(v: float, shape: HyperScoreShape | None = None) -> float:
    """100 (1 + sigmoid(beta ln V + gamma)^kappa), from 100 (V = 0, where ln V has its limit) up to 200.

    Raises
    ------
    ValueError
        For V < 0 or NaN: the logarithm is not defined.
    """
    shape = shape or HyperScoreShape()
    if not v >= 0.0:
        raise ValueError(f"HyperScore is defined for V >= 0, not {v}")
    if v == 0.0:
        return 100.0
    exponent = shape.beta * math.log(v) + shape.gamma
    # sigmoid(x)^kappa without overflow: exp(-kappa ln(1 + exp(-x)))
    softplus = math.log1p(math.exp(-exponent)) if exponent > -700.0 else -exponent
    return 100.0 * (1.0 + math.exp(-shape.kappa * softplus))


def evaluate(v: Verdict, shape: HyperScoreShape | None = None) -> Verdict:
    """The HyperScore of V, with its error carried over."""
    shape = shape or HyperScoreShape()
    if v.verdict is None:
        return Verdict(NAME, None, unit="100-200", does_not_know=("V is undefined", *v.does_not_know))
    score = hyperscore(v.verdict, shape)
    error = None
    if v.uncertainty is not None:
        low, high = max(0.0, v.verdict - v.uncertainty), v.verdict + v.uncertainty
        error = (hyperscore(high, shape) - hyperscore(low, shape)) / 2
    return Verdict(
        NAME,
        score,
        unit="100-200",
        uncertainty=error,
        reliability=v.reliability,
        evidence={"v": v.verdict, "beta": shape.beta, "gamma": shape.gamma, "kappa": shape.kappa},
        does_not_know=v.does_not_know,
    )
