"""Impact: expected citations of the structure in five years. Says nothing without a citation graph."""

from __future__ import annotations

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.verdict import Verdict

NAME = "impact"


def evaluate(facts: RoundFacts) -> Verdict:
    """None with the reason: a session has no citation graph yet."""
    del facts  # a forecast needs a graph, and none of the session's facts can stand for it
    return Verdict(
        evaluator=NAME,
        verdict=None,
        unit="citations in 5 years",
        evidence={"graph_nodes": 0},
        does_not_know=("no citation graph supplied",),
    )
