"""Novelty: how far the running map lies from known structures. Says nothing without references to compare with."""

from __future__ import annotations

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.verdict import Verdict

NAME = "novelty"


def evaluate(facts: RoundFacts) -> Verdict:
    """None with the reason: a session has no set of reference structures yet."""
    reasons = ["no reference structures supplied"]
    if facts.map is None:
        reasons.append("no running map to compare")
    return Verdict(evaluator=NAME, verdict=None, evidence={"references": 0}, does_not_know=tuple(reasons))
