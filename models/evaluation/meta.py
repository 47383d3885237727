"""Meta: how steady the other evaluators are from round to round."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.verdict import Json, Verdict, reliability

NAME = "meta"
_ROUNDS_KEPT = 8
"""Steadiness is that of the recent past: an early jump must not count for ever, nor the evidence grow."""


def evaluate(facts: RoundFacts, others: Sequence[Verdict]) -> Verdict:
    """1 minus the mean absolute change of the verdicts (of those in [0, 1]) from one round to the next, over the last
    eight rounds. The uncertainty is the standard error of that mean; None after a single change."""
    history = _history(facts.earlier.get(NAME, {}))
    newest = {v.evaluator: v.verdict for v in others if v.verdict is not None and 0.0 <= v.verdict <= 1.0}
    history = [*(entry for entry in history if entry[0] != facts.round), (facts.round, newest)][-_ROUNDS_KEPT:]
    changes = [
        abs(now[name] - before[name])
        for (_, before), (_, now) in itertools.pairwise(history)
        for name in sorted(now)
        if name in before
    ]
    evidence: dict[str, Json] = {
        "rounds": [{"round": number, "verdicts": dict(verdicts)} for number, verdicts in history],
        "changes": list(changes),
    }
    unknown = ("calibration against later truth: none is known", "contradictions between evaluators are not looked for")
    if not changes:
        reason = "steadiness needs two rounds"
        return Verdict(NAME, None, unit="steadiness", evidence=evidence, does_not_know=(reason, *unknown))
    mean = sum(changes) / len(changes)
    error = None
    if len(changes) > 1:
        error = math.sqrt(sum((c - mean) ** 2 for c in changes) / (len(changes) - 1) / len(changes))
    return Verdict(
        NAME,
        1.0 - mean,
        unit="steadiness",
        uncertainty=error,
        reliability=reliability(1.0 - mean),
        evidence=evidence,
        does_not_know=unknown,
    )


def _history(evidence: Mapping[str, Any]) -> list[tuple[int, dict[str, float]]]:
    return [(int(entry["round"]), dict(entry["verdicts"])) for entry in evidence.get("rounds", ())]
